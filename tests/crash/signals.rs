//! How a mount ends when it is told to, and when somebody is still at work in it.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Fixture, text};

const TEXT: &str = "password = \"CANARY-saved\"\n";
const MORE: &str = "token = \"CANARY-after\"\n";

/// A mount with a file that is open and has unsaved bytes.
fn with_unsaved() -> (Fixture, File) {
    crate::apart();
    let mut fixture = Fixture::new();
    fixture.mount();
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(fixture.mnt().join("app.toml"))
        .unwrap();
    file.write_all(TEXT.as_bytes()).unwrap();
    assert_eq!(fixture.stored("app.toml"), "", "not saved yet");
    (fixture, file)
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
        let (mut fixture, mut file) = with_unsaved();
        fixture.signal(signal);
        crate::eventually("out of sight", || fixture.mounted().is_empty());
        assert!(fixture.stored("app.toml").starts_with("password = \"ENC:v1:"), "{signal}");

        // In use still: it is served on.
        file.write_all(MORE.as_bytes()).unwrap();
        file.rewind().unwrap();
        let mut seen = String::new();
        file.read_to_string(&mut seen).unwrap();
        assert_eq!(seen, format!("{TEXT}{MORE}"));
        drop(file);
        let start = Instant::now();
        fixture.expect_end();
        assert!(start.elapsed() < Duration::from_secs(5), "nothing to wait for");
        assert_eq!(saved(&mut fixture), format!("{TEXT}{MORE}"), "{signal}");
    }
}

#[test]
fn sigterm_ends_an_idle_mount_at_once() {
    crate::apart();
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
    let (mut fixture, mut file) = with_unsaved();
    fixture.signal("TERM");
    crate::eventually("out of sight", || fixture.mounted().is_empty());
    file.write_all(MORE.as_bytes()).unwrap();
    fixture.expect_end();
    assert_eq!(saved(&mut fixture), format!("{TEXT}{MORE}"));
}

#[test]
fn sighup_reads_keys_and_rules_anew_and_a_failure_changes_nothing() {
    crate::apart();
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
    let (mut fixture, mut file) = with_unsaved();
    let done = Command::new("umount").arg(fixture.mnt()).output().unwrap();
    assert!(!done.status.success(), "it is in use: {}", text(&done));
    let done = Command::new("umount").arg("-l").arg(fixture.mnt()).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    file.write_all(MORE.as_bytes()).unwrap();
    drop(file);
    fixture.expect_end();
    assert_eq!(saved(&mut fixture), format!("{TEXT}{MORE}"));

    // And without a user: committed by the close, gone by a plain umount right after.
    fixture.mount();
    fs::write(fixture.mnt().join("app.toml"), MORE).unwrap();
    fixture.umount();
    assert_eq!(saved(&mut fixture), MORE);
}

#[test]
fn confseal_umount_does_it_too() {
    crate::apart();
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
    let (mut fixture, file) = with_unsaved();
    let start = Instant::now();
    fixture.wait_for("the commit in time", {
        let stored = fixture.store().join("app.toml");
        move || fs::read_to_string(&stored).is_ok_and(|text| text.contains("ENC:v1:"))
    });
    let after = start.elapsed();
    assert!((4..8).contains(&after.as_secs()), "{after:?}");
    drop(file);
    fixture.umount();
}
