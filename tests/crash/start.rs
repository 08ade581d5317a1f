//! `confseal mount` as it is usually called: it returns once the mount stands, or says why not.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use crate::support::{Fixture, SECOND, text};

/// The id of [`SECOND`].
const SECOND_ID: &str = "ec071e0a";

const TEXT: &str = "password = \"CANARY\"\n";

/// Runs `confseal mount STORE MOUNTPOINT --key SOURCE` to its end.
fn mount(fixture: &Fixture, store: &Path, at: &Path, source: &str) -> Output {
    let words: [OsString; 5] =
        ["mount".into(), store.into(), at.into(), "--key".into(), source.into()];
    fixture.confseal(words)
}

/// It failed with `code`, says each of `words`, and nothing is mounted by it.
#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
    let said = String::from_utf8_lossy(&output.stderr);
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

/// Whether a process other than this one was started with this fixture's paths.
fn daemon_of(fixture: &Fixture) -> Option<u32> {
    let dir = fixture.dir().to_string_lossy().into_owned();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.find(|id| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&dir)
    })
}

#[test]
fn it_returns_once_the_mount_stands_and_lets_go_of_its_caller() {
    crate::support::apart();
    let fixture = Fixture::new();
    let mnt = fixture.mnt();
    // The output's end is waited for: a daemon that held the pipes would keep us here.
    let done = mount(&fixture, &fixture.store(), &mnt, &fixture.source("master"));
    assert!(done.status.success(), "{}", text(&done));
    assert_eq!(text(&done).trim(), done.status.to_string(), "nothing to say");
    fs::write(mnt.join("app.toml"), TEXT).unwrap();
    fixture.assert_sealed(&["CANARY"]);
    let daemon = daemon_of(&fixture).expect("a daemon");
    assert_eq!(fs::read_link(format!("/proc/{daemon}/cwd")).unwrap(), Path::new("/"));

    let again = mount(&fixture, &fixture.store(), &mnt, &fixture.source("master"));
    refused(&again, 2, &["a confseal mount stands there already", mnt.to_str().unwrap()]);
    let other = fixture.dir().join("other");
    fs::create_dir(&other).unwrap();
    let second = mount(&fixture, &fixture.store(), &other, &fixture.source("master"));
    refused(&second, 8, &[fixture.store().to_str().unwrap(), "hint: "]);
    assert_eq!(fs::read_to_string(mnt.join("app.toml")).unwrap(), TEXT, "the first goes on");

    let done = fixture.confseal(["umount".as_ref(), mnt.as_os_str()]);
    assert!(done.status.success(), "{}", text(&done));
    crate::eventually("the daemon's end", || daemon_of(&fixture).is_none());
}

#[test]
fn a_wrong_key_is_refused_with_both_ids_and_what_to_do() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.mount();
    fs::write(fixture.mnt().join("app.toml"), TEXT).unwrap();
    let right = fixture.seen(".confseal/fingerprint")[..8].to_owned();
    fixture.umount();
    fixture.key("other", SECOND);
    let before = fixture.stored("app.toml");
    let done = mount(&fixture, &fixture.store(), &fixture.mnt(), &fixture.source("other"));
    refused(
        &done,
        4,
        &[&right, SECOND_ID, "hint: ", "--legacy", fixture.store().to_str().unwrap()],
    );
    assert!(!String::from_utf8_lossy(&done.stderr).contains(SECOND), "no key in a message");
    assert_eq!(fixture.stored("app.toml"), before);
    assert!(fixture.mounted().is_empty());
}

#[test]
fn what_is_missing_or_open_to_others_is_named() {
    crate::support::apart();
    let fixture = Fixture::new();
    let (store, mnt, key) = (fixture.store(), fixture.mnt(), fixture.source("master"));
    let absent = fixture.dir().join("absent");
    let name = absent.to_str().unwrap();
    refused(&mount(&fixture, &absent, &mnt, &key), 7, &[name, "No such file or directory"]);
    refused(&mount(&fixture, &store, &absent, &key), 7, &[name, "No such file or directory"]);
    let source = fixture.source("absent");
    refused(&mount(&fixture, &store, &mnt, &source), 3, &["absent.key", "hint: "]);

    let exposed = fixture.dir().join("master.key");
    fs::set_permissions(&exposed, PermissionsExt::from_mode(0o640)).unwrap();
    let command = format!("chmod 600 {}", exposed.display());
    refused(&mount(&fixture, &store, &mnt, &key), 3, &["0640", &command]);
    fs::set_permissions(&exposed, PermissionsExt::from_mode(0o600)).unwrap();

    let within = store.join("within");
    fs::create_dir(&within).unwrap();
    refused(&mount(&fixture, &store, &within, &key), 2, &["must not lie inside the store"]);
    assert!(fixture.mounted().is_empty());
    assert_eq!(daemon_of(&fixture), None);
}

#[test]
fn a_dead_mount_of_another_store_is_left_alone_and_its_own_is_taken_over() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.put("app.toml", TEXT).seal().mount();
    fixture.kill_daemon();
    let (store, mnt, key) = (fixture.store(), fixture.mnt(), fixture.source("master"));
    let other = fixture.dir().join("other");
    fs::create_dir(&other).unwrap();
    let done = mount(&fixture, &other, &mnt, &key);
    refused(&done, 10, &[mnt.to_str().unwrap(), "umount -l"]);
    let done = mount(&fixture, &store, &mnt, &key);
    assert!(done.status.success(), "{}", text(&done));
    assert_eq!(fs::read_to_string(mnt.join("app.toml")).unwrap(), TEXT);
    assert_eq!(fixture.mounted(), [mnt]);
}
