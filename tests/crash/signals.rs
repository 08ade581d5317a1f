//! How a mount ends when it is told to, and when somebody is still at work in it.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Writer;
use crate::support::{Fixture, text};

const TEXT: &str = "password = \"CANARY-saved\"\n";
const MORE: &str = "token = \"CANARY-after\"\n";

/// A mount with a file that a program has open, with unsaved bytes.
struct Busy {
    fixture: Fixture,
    writer: Writer,
    reader: File,
}

impl Busy {
    fn new() -> Self {
        crate::support::apart();
        let mut fixture = Fixture::new();
        fixture.mount();
        let busy = Self::at(&fixture.mnt(), fixture);
        assert_eq!(busy.fixture.stored("app.toml"), "", "not saved yet");
        busy
    }

    /// Over the store itself.
    fn over() -> Self {
        crate::support::apart();
        let mut fixture = Fixture::new();
        fixture.mount_over();
        Self::at(&fixture.store(), fixture)
    }

    fn at(point: &Path, fixture: Fixture) -> Self {
        let path = point.join("app.toml");
        let writer = Writer::of(&path);
        crate::eventually("the file", || path.exists());
        let reader = File::open(path).unwrap();
        let mut busy = Self { fixture, writer, reader };
        busy.write(TEXT, TEXT);
        busy
    }

    /// Writes `more`, after which the descriptor that was open before reads `whole`.
    fn write(&mut self, more: &str, whole: &str) {
        let mut reader = &self.reader;
        self.writer.write(more, || {
            let mut seen = String::new();
            reader.rewind().unwrap();
            reader.read_to_string(&mut seen).unwrap();
            seen == whole
        });
    }

    /// Closes the file and waits for the daemon.
    fn close(self) -> Fixture {
        let Self { mut fixture, writer, reader } = self;
        writer.close();
        drop(reader);
        fixture.expect_end();
        fixture
    }
}

/// Mounts again and reads the file.
fn saved(fixture: &mut Fixture) -> String {
    fixture.assert_sealed(&["CANARY"]);
    fixture.mount();
    let saved = fixture.seen("app.toml");
    fixture.umount();
    saved
}

#[test]
fn sigterm_and_sigint_commit_and_unmount_and_open_files_go_on() {
    for signal in ["TERM", "INT"] {
        let mut busy = Busy::new();
        busy.fixture.signal(signal);
        crate::eventually("out of sight", || busy.fixture.mounted().is_empty());
        let stored = busy.fixture.stored("app.toml");
        assert!(stored.starts_with("password = \"ENC:v1:"), "{signal}: {stored}");

        // In use still: it is served on.
        busy.write(MORE, &format!("{TEXT}{MORE}"));
        let start = Instant::now();
        let mut fixture = busy.close();
        assert!(start.elapsed() < Duration::from_secs(5), "nothing to wait for");
        assert_eq!(saved(&mut fixture), format!("{TEXT}{MORE}"), "{signal}");
    }
}

#[test]
fn sigterm_ends_an_idle_mount_at_once() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.mount();
    fs::write(fixture.mnt().join("app.toml"), TEXT).unwrap();
    let start = Instant::now();
    fixture.signal("TERM");
    fixture.expect_end();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(fixture.mounted().is_empty());
    assert_eq!(saved(&mut fixture), TEXT);
}

#[test]
fn after_its_deadline_the_daemon_leaves_and_what_was_written_is_saved() {
    let mut busy = Busy::over();
    busy.fixture.signal("TERM");
    crate::eventually("out of sight", || busy.fixture.mounted().is_empty());
    busy.write(MORE, &format!("{TEXT}{MORE}"));
    let Busy { mut fixture, writer, reader } = busy;
    fixture.expect_end();
    drop((writer, reader));
    assert_eq!(crate::mounts_of(&fixture), Vec::<String>::new(), "nothing is left mounted");
    assert_eq!(saved(&mut fixture), format!("{TEXT}{MORE}"));
}

#[test]
fn sighup_reads_keys_and_rules_anew_and_a_failure_changes_nothing() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.mount();
    let control = fixture.store().join(".confseal");
    fs::write(fixture.mnt().join("plain.toml"), "internal_pin = \"CANARY-not-yet\"\n").unwrap();
    assert!(fixture.stored("plain.toml").contains("CANARY-not-yet"), "no rule names it");

    let policy = "version = 1\n[secrets]\nnames = [\"internal_pin\"]\n";
    fs::write(control.join("policy.toml"), policy).unwrap();
    fixture.signal("HUP");
    fixture.wait_for("the reload", {
        let log = fixture.dir().join("daemon.log");
        move || fs::read_to_string(&log).is_ok_and(|log| log.contains("reloaded: "))
    });
    fs::write(fixture.mnt().join("app.toml"), "internal_pin = \"CANARY-pin\"\n").unwrap();
    fixture.assert_sealed(&["CANARY-pin"]);

    fs::write(control.join("policy.toml"), "version = nonsense").unwrap();
    fixture.signal("HUP");
    fixture.wait_for("the refusal", {
        let log = fixture.dir().join("daemon.log");
        move || fs::read_to_string(&log).is_ok_and(|log| log.contains("not reloaded: "))
    });
    fs::write(fixture.mnt().join("more.toml"), "internal_pin = \"CANARY-pin\"\n").unwrap();
    fixture.assert_sealed(&["CANARY-pin"]);
    fixture.umount();
}

#[test]
fn umount_waits_for_nobody_and_loses_nothing() {
    let mut busy = Busy::new();
    let mnt = busy.fixture.mnt();
    let done = Command::new("umount").arg(&mnt).output().unwrap();
    assert!(!done.status.success(), "it is in use: {}", text(&done));
    let done = Command::new("umount").arg("-l").arg(&mnt).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    busy.write(MORE, &format!("{TEXT}{MORE}"));
    let mut fixture = busy.close();
    assert_eq!(saved(&mut fixture), format!("{TEXT}{MORE}"));

    // And without a user: committed by the close, gone by a plain umount right after.
    fixture.mount();
    fs::write(fixture.mnt().join("app.toml"), MORE).unwrap();
    fixture.umount();
    assert_eq!(saved(&mut fixture), MORE);
}

#[test]
fn confseal_umount_does_it_too() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.mount();
    fs::write(fixture.mnt().join("app.toml"), TEXT).unwrap();
    let mnt = fixture.mnt();
    let done = fixture.confseal(["umount".as_ref(), mnt.as_os_str()]);
    assert!(done.status.success(), "{}", text(&done));
    fixture.expect_end();
    assert_eq!(saved(&mut fixture), TEXT);
}

#[test]
fn a_descriptor_that_stays_open_is_committed_five_seconds_after_its_last_write() {
    let mut busy = Busy::new();
    let start = Instant::now();
    busy.fixture.wait_for("the commit in time", {
        let stored = busy.fixture.store().join("app.toml");
        move || fs::read_to_string(&stored).is_ok_and(|text| text.contains("ENC:v1:"))
    });
    let after = start.elapsed();
    assert!((4..8).contains(&after.as_secs()), "{after:?}");
    let Busy { mut fixture, writer, reader } = busy;
    writer.close();
    drop(reader);
    fixture.umount();
}
