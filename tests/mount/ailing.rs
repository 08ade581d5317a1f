//! `doctor`: a program got an error, and somebody wants to know why.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Fixture, SECOND, sh, text};

const APP: &str = "password = \"hunter2-hunter2\"\nport = 1\n";

/// What `doctor` says of `path`: the exit code, and the findings that are wrong.
fn doctor(fixture: &Fixture, path: &Path, more: &[&str]) -> (i32, Vec<Value>) {
    let source = fixture.source("master");
    let given = ["doctor", path.to_str().unwrap(), "--key", &source];
    let human = fixture.confseal([&given[..], more].concat());
    let said = fixture.confseal([&given[..], &["--json"], more].concat());
    assert_eq!(human.status.code(), said.status.code(), "{}\n{}", text(&human), text(&said));
    for said in [&human, &said] {
        assert!(!text(said).contains("hunter2"), "a value is shown: {}", text(said));
    }
    let findings: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let all = findings["findings"].as_array().unwrap().clone();
    let wrong: Vec<Value> = all.into_iter().filter(|it| it["grade"] == "wrong").collect();
    assert_eq!(findings["wrong"], wrong.len());
    for finding in &wrong {
        let first = finding["text"].as_str().unwrap().lines().next().unwrap();
        assert!(text(&human).contains(first), "{}", text(&human));
    }
    (said.status.code().unwrap(), wrong)
}

fn texts(findings: &[Value]) -> String {
    findings.iter().map(|finding| finding["text"].as_str().unwrap().to_owned() + "\n").collect()
}

fn has_advice(findings: &[Value]) -> bool {
    findings.iter().all(|finding| !finding["todo"].as_array().unwrap().is_empty())
}

fn with_app() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", APP).seal().mount();
    fixture
}

#[test]
fn where_nothing_is_wrong_doctor_finds_nothing() {
    let fixture = with_app();
    let (code, wrong) = doctor(&fixture, &fixture.mnt().join("app.toml"), &[]);
    assert_eq!((code, wrong.len()), (0, 0), "{wrong:#?}");
    let (code, wrong) =
        doctor(&fixture, &fixture.mnt(), &["--pid", &std::process::id().to_string()]);
    assert_eq!((code, wrong.len()), (0, 0), "{wrong:#?}");
}

#[test]
fn a_damaged_value_is_named_with_its_field_and_what_to_do() {
    let fixture = with_app();
    let stored = fixture.stored("app.toml");
    let at = stored.find("ENC:v1:").unwrap() + 40;
    let other = if &stored[at..=at] == "A" { "B" } else { "A" };
    let damaged = format!("{}{other}{}", &stored[..at], &stored[at + 1..]);
    fs::write(fixture.store().join("app.toml"), damaged).unwrap();
    let (code, wrong) = doctor(&fixture, &fixture.mnt().join("app.toml"), &[]);
    assert_eq!(code, 1);
    assert!(texts(&wrong).contains("gives EBADMSG"), "{wrong:#?}");
    let opened = wrong.iter().find(|finding| finding["field"] == "password").unwrap();
    assert!(opened["key_id"].is_string() && has_advice(&wrong), "{wrong:#?}");
    // Once the daemon has met it, its word is there too.
    let (_, wrong) = doctor(&fixture, &fixture.mnt().join("app.toml"), &[]);
    assert!(wrong.iter().any(|finding| finding["about"] == "last error"), "{wrong:#?}");
}

#[test]
fn a_key_that_is_not_there_is_named() {
    let mut fixture = with_app();
    fixture.umount();
    fixture.key("other", SECOND);
    let elsewhere = fixture.dir().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("api.toml"), APP).unwrap();
    let other = fixture.source("other");
    assert!(fixture.confseal(["seal", "elsewhere", "--key", &other]).status.success());
    fs::copy(elsewhere.join("api.toml"), fixture.store().join("api.toml")).unwrap();
    let id = fixture.confseal(["key", "fingerprint", "--key", &other]);
    let id = text(&id)[..].lines().find(|line| line.len() == 64).unwrap()[..8].to_owned();

    fixture.mount();
    let (code, wrong) = doctor(&fixture, &fixture.mnt().join("api.toml"), &[]);
    assert_eq!(code, 1);
    assert!(texts(&wrong).contains("gives ENOKEY"), "{wrong:#?}");
    let needs = format!("holds values sealed under the key {id}, which is not among the keys");
    assert!(texts(&wrong).contains(&needs), "{wrong:#?}");
    fixture.umount();

    // Without a mount, and with the key file gone.
    fs::remove_file(fixture.dir().join("master.key")).unwrap();
    let (code, wrong) = doctor(&fixture, &fixture.store().join("app.toml"), &[]);
    assert_eq!(code, 1);
    assert!(
        texts(&wrong).contains("not mounted") && texts(&wrong).contains("no such file"),
        "{wrong:#?}"
    );
    assert!(has_advice(&wrong), "{wrong:#?}");
}

#[test]
fn a_wrong_key_is_told_from_the_stores() {
    let mut fixture = with_app();
    fixture.umount();
    fixture.key("master", SECOND);
    let (code, wrong) = doctor(&fixture, &fixture.store().join("app.toml"), &[]);
    assert_eq!(code, 1);
    let store = wrong.iter().find(|finding| finding["about"] == "store").unwrap();
    assert!(store["text"].as_str().unwrap().contains("but the master key given is"), "{wrong:#?}");
}

#[test]
fn a_dead_mount_and_a_file_that_is_not_there_are_told() {
    let mut fixture = with_app();
    let (code, wrong) = doctor(&fixture, &fixture.mnt().join("nowhere/app.toml"), &[]);
    assert_eq!(
        (code, texts(&wrong).contains("no such file in the store")),
        (1, true),
        "{wrong:#?}"
    );
    fixture.kill_daemon();
    let (code, wrong) = doctor(&fixture, &fixture.mnt().join("app.toml"), &[]);
    assert_eq!((code, texts(&wrong).contains("the mount is dead")), (1, true), "{wrong:#?}");
    let todo = wrong[0]["todo"].to_string();
    assert!(todo.contains("mount it: confseal mount ") && todo.contains("umount /"), "{todo}");
    fixture.clear_mounts();
    let (code, wrong) = doctor(&fixture, Path::new("/nowhere/app.toml"), &[]);
    assert_eq!((code, texts(&wrong).contains("belongs to no mount")), (1, true), "{wrong:#?}");
}

#[test]
fn a_process_whose_namespace_is_older_than_the_mount_is_told() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", APP).seal();
    // Alive as long as its input is open.
    let older = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut older = older.expect("unshare");
    let pid = older.id().to_string();
    fixture.wait_for("its namespace", || {
        let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        of(&pid) != of("self") && comm.trim() == "cat"
    });
    fixture.mount();
    let (code, wrong) = doctor(&fixture, &fixture.mnt().join("app.toml"), &["--pid", &pid]);
    drop(older.stdin.take());
    older.wait().unwrap();
    assert_eq!((code, wrong.len()), (1, 1), "{wrong:#?}");
    assert_eq!(wrong[0]["in_namespace"], false);
    assert!(wrong[0]["todo"][0].as_str().unwrap().starts_with("restart it"), "{wrong:#?}");
}

#[test]
fn who_may_not_read_a_file_is_named_by_uid() {
    let fixture = with_app();
    let path = fixture.mnt().join("app.toml");
    fs::set_permissions(fixture.dir(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let user = Command::new("setpriv")
        .args(["--reuid=4711", "--regid=4711", "--clear-groups", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut user = user.expect("setpriv");
    let pid = user.id().to_string();
    let is_user = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("Uid:\t4711\t4711\t4711\t4711")
    };
    while !is_user() {
        assert!(user.try_wait().unwrap().is_none(), "setpriv ended");
        std::thread::yield_now();
    }
    let (code, wrong) = doctor(&fixture, &path, &["--pid", &pid]);
    drop(user.stdin.take());
    user.wait().unwrap();
    assert_eq!(code, 1, "{wrong:#?}");
    assert!(wrong.iter().all(|finding| finding["denied_uid"] == 4711), "{wrong:#?}");
    assert!(texts(&wrong).contains("app.toml: mode 0600, user 0"), "{wrong:#?}");
}

#[test]
fn a_secret_in_the_clear_and_a_refused_policy_are_told() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", APP).mount();
    let (code, wrong) = doctor(&fixture, &fixture.mnt().join("app.toml"), &[]);
    assert_eq!(code, 1);
    assert!(
        texts(&wrong).contains("secrets stand in the clear: `password` (line 1)"),
        "{wrong:#?}"
    );
    sh(&fixture.store(), "mkdir -p .confseal; echo 'version = 99' > .confseal/policy.toml");
    assert!(fixture.control("reload").0.is_err());
    let (_, wrong) = doctor(&fixture, &fixture.mnt().join("app.toml"), &[]);
    assert!(texts(&wrong).contains("the last reload was refused"), "{wrong:#?}");
    assert!(wrong.iter().any(|finding| finding["about"] == "rule"), "{wrong:#?}");
}

#[test]
fn a_covered_store_is_looked_at_below_its_mount() {
    let mut fixture = Fixture::apart();
    fixture.put("app.toml", APP).seal().mount_over();
    let (code, wrong) = doctor(&fixture, &fixture.store().join("app.toml"), &[]);
    assert_eq!((code, wrong.len()), (0, 0), "{wrong:#?}");
}
