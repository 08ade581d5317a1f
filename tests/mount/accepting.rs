//! A running mount and a policy that changes under it, as a `git pull` would change it.

use std::fs;

use serde_json::Value;

use crate::support::{FIRST, Fixture, SECOND, text};

const APP: &str = "password = \"hunter2-hunter2\"\npin = \"4711-4711\"\nport = 1\n";
const ACCEPTED: &str = "version = 1\n[[file]]\npath = 'app.toml'\nsecret = ['pin']\n";
const WEAKER: &str = "version = 1\n[[file]]\npath = 'app.toml'\npublic = ['pin', 'password']\n";

fn mounted(policy: &str) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.put(".confseal/policy.toml", policy).put("app.toml", APP).seal().mount();
    fixture
}

/// As git does it: another file in the place of the old one.
fn pull(fixture: &Fixture, policy: &str) {
    let room = fixture.store().join(".confseal");
    fs::write(room.join("pulled"), policy).unwrap();
    fs::rename(room.join("pulled"), room.join("policy.toml")).unwrap();
}

fn save(fixture: &Fixture, content: &str) {
    fs::write(fixture.mnt().join("app.toml"), content).unwrap();
}

fn status(fixture: &Fixture) -> Value {
    serde_json::from_str(&fixture.seen(".confseal/status")).expect("JSON")
}

fn reload(fixture: &Fixture, line: &str) -> String {
    let (done, answer) = fixture.control(line);
    assert_eq!(done, Ok(()), "{answer}");
    answer
}

#[test]
fn a_pulled_policy_that_is_weaker_waits_until_it_is_accepted() {
    let mut fixture = mounted(ACCEPTED);
    assert_eq!(status(&fixture)["policy"], "accepted");
    pull(&fixture, WEAKER);
    let answer = reload(&fixture, "reload");
    assert!(answer.contains("2 loosenings wait for `policy accept`"), "{answer}");
    assert!(answer.contains("- line 4: app.toml: secret `pin`"), "{answer}");
    assert!(answer.contains("app.toml: password: `password` is named by"), "{answer}");
    assert_eq!(status(&fixture)["policy"], "waits for acceptance");
    let changed = APP.replace("port = 1", "port = 2").replace("4711-4711", "0815-0815");
    save(&fixture, &changed);
    fixture.assert_sealed(&["hunter2-hunter2", "0815-0815"]);
    // Nor does a new daemon believe it.
    fixture.umount().mount();
    assert!(fixture.log().contains("is not the accepted one: both hold"), "{}", fixture.log());
    save(&fixture, APP);
    fixture.assert_sealed(&["hunter2-hunter2", "4711-4711"]);

    let answer = reload(&fixture, "reload --accept");
    assert!(!answer.contains("wait"), "{answer}");
    assert_eq!(status(&fixture)["policy"], "accepted");
    save(&fixture, &changed);
    assert_eq!(fixture.stored("app.toml"), changed);
    fixture.umount();
}

#[test]
fn what_a_pulled_policy_adds_for_one_name_of_a_file_holds_for_all() {
    let rule = |path: &str, seal: &str| format!("[[file]]\npath = '{path}'\nseal = '{seal}'\n");
    let plain = format!("version = 1\n{}", rule("*.txt", "none"));
    let mut fixture = Fixture::new();
    fixture.put(".confseal/policy.toml", &plain).put("first.txt", APP).seal();
    let [first, second] = ["first.txt", "second.txt"].map(|name| fixture.store().join(name));
    fs::hard_link(first, second).unwrap();
    fixture.mount();
    assert_eq!([fixture.seen("first.txt"), fixture.seen("second.txt")], [APP, APP]);
    pull(&fixture, &(plain + &rule("second.txt", "whole")));
    reload(&fixture, "reload");
    let changed = APP.replace("port = 1", "port = 2");
    fs::write(fixture.mnt().join("first.txt"), &changed).unwrap();
    assert_eq!(fixture.seen("second.txt"), changed);
    fixture.umount();
    fixture.assert_sealed(&["hunter2-hunter2", "4711-4711"]);
}

#[test]
fn what_a_pulled_policy_adds_holds_after_a_reload() {
    let mut fixture = mounted("version = 1\n");
    pull(&fixture, "version = 1\n[[file]]\npath = 'app.toml'\nsecret = ['port']\n");
    let answer = reload(&fixture, "reload");
    assert!(answer.contains("0 loosenings wait"), "{answer}");
    assert!(answer.contains("1 field will be sealed from now on"), "{answer}");
    save(&fixture, &APP.replace("4711-4711", "1111"));
    assert!(
        fixture.stored("app.toml").contains("port = \"ENC:v1:"),
        "{}",
        fixture.stored("app.toml")
    );
    fixture.umount();
}

#[test]
fn only_what_was_shown_is_accepted() {
    let mut fixture = mounted(ACCEPTED);
    pull(&fixture, WEAKER);
    let answer = reload(&fixture, "reload");
    let line = answer.lines().last().unwrap().rsplit(": ").next().unwrap();
    assert!(line.starts_with("reload --accept "), "{answer}");
    pull(&fixture, &format!("{WEAKER}[[file]]\npath = '*.key'\nseal = 'none'\n"));
    let (done, answer) = fixture.control(line);
    assert_eq!(done, Err(libc::EINVAL), "{answer}");
    assert!(answer.contains("changed since they were shown"), "{answer}");
    pull(&fixture, WEAKER);
    reload(&fixture, line);
    assert_eq!(status(&fixture)["policy"], "accepted");
    fixture.umount();
}

#[test]
fn policy_accept_on_a_mount_has_its_daemon_do_it() {
    let mut fixture = mounted(ACCEPTED);
    pull(&fixture, WEAKER);
    let mnt = fixture.mnt();
    let accept = |more: &[&str]| {
        let arguments = [&["policy", "accept", mnt.to_str().unwrap()], more].concat();
        fixture.confseal(arguments)
    };
    let shown = accept(&["--dry-run"]);
    assert!(shown.status.success(), "{}", text(&shown));
    assert!(text(&shown).contains("2 fields would no longer be sealed"), "{}", text(&shown));
    assert_eq!(accept(&[]).status.code(), Some(2));
    assert_eq!(status(&fixture)["policy"], "waits for acceptance");
    let done = accept(&["--yes"]);
    assert!(done.status.success(), "{}", text(&done));
    save(&fixture, &APP.replace("port = 1", "port = 2"));
    assert!(fixture.stored("app.toml").contains("hunter2-hunter2"));
    // Beside the mount, the store is in use.
    let store = fixture.store();
    let done = fixture.confseal(["policy", "accept", store.to_str().unwrap(), "--yes"]);
    assert_eq!(done.status.code(), Some(8), "{}", text(&done));
    fixture.umount();
}

#[test]
fn a_broken_policy_is_refused_and_the_old_one_goes_on() {
    let mut fixture = mounted(ACCEPTED);
    pull(&fixture, "version = 1\n[[file]]\npath = 'app.toml'\npulbic = ['pin']\n");
    for line in ["reload", "reload --accept"] {
        let (done, answer) = fixture.control(line);
        assert_eq!(done, Err(libc::EINVAL), "{answer}");
        for part in ["line 4, column 1", "pulbic", "did you mean `public`", "stay in force"] {
            assert!(answer.contains(part), "{part:?} in {answer}");
        }
    }
    let refused = status(&fixture)["reload_refused"].as_str().unwrap_or_default().to_owned();
    assert!(refused.contains("line 4, column 1"), "{refused}");
    save(&fixture, &APP.replace("port = 1", "port = 2"));
    fixture.assert_sealed(&["hunter2-hunter2", "4711-4711"]);
    fixture.umount();
    let key = fixture.source("master");
    let (store, mnt) = (fixture.store(), fixture.mnt());
    let paths = [store.to_str().unwrap(), mnt.to_str().unwrap()];
    let done = fixture.confseal(["mount", paths[0], paths[1], "--key", &key]);
    assert_eq!(done.status.code(), Some(6), "{}", text(&done));
    assert!(text(&done).contains("4 | pulbic = ['pin']"), "{}", text(&done));

    pull(&fixture, ACCEPTED);
    fixture.mount();
    reload(&fixture, "reload");
    assert_eq!(status(&fixture)["reload_refused"], Value::Null);
    fixture.umount();
}

#[test]
fn a_ledger_line_struck_in_the_store_holds_on() {
    let mut fixture = mounted("version = 1\n");
    let store = fixture.store();
    // Sealed by a rule for a while, then the rule goes: the field is entered into the ledger.
    fixture.umount();
    let accept = ["policy", "accept", store.to_str().unwrap(), "--yes"];
    let key = fixture.source("master");
    pull(&fixture, ACCEPTED);
    let seal = ["seal", store.to_str().unwrap(), "--key", &key];
    assert!(fixture.confseal(seal).status.success());
    pull(&fixture, "version = 1\n");
    assert!(fixture.confseal(accept).status.success());
    fixture.mount();
    assert_eq!(fixture.seen("app.toml"), APP);
    assert_eq!(fixture.stored(".confseal/sealed"), "app.toml\tpin\n");

    fs::write(store.join(".confseal/sealed"), "").unwrap();
    let answer = reload(&fixture, "reload");
    assert!(answer.contains("1 loosening waits"), "{answer}");
    assert!(answer.contains("- ledger: app.toml: pin"), "{answer}");
    // Without the field, then with it again: nothing in the file reminds of it.
    save(&fixture, "port = 1\n");
    save(&fixture, APP);
    fixture.assert_sealed(&["4711-4711"]);
    fixture.umount();
}

#[test]
fn ledger_lines_that_are_pulled_stay_when_the_mount_adds_its_own() {
    let mut fixture = mounted("version = 1\n");
    let sealed = fixture.store().join(".confseal/sealed");
    fs::write(&sealed, "other.toml\tpulled\n").unwrap();
    // A token by hand: its field is entered when it is opened.
    let place = ["encrypt-value", "--field", "pin", "--file"];
    let (file, key) = (fixture.store().join("new.toml"), fixture.source("master"));
    let arguments = [&place[..], &[file.to_str().unwrap(), "--key", &key]].concat();
    let token = fixture.confseal(arguments);
    let token = String::from_utf8(token.stdout).unwrap();
    fs::write(&file, format!("pin = \"{}\"\n", token.trim())).unwrap();
    fs::read(fixture.mnt().join("new.toml")).unwrap();
    assert_eq!(fs::read_to_string(&sealed).unwrap(), "new.toml\tpin\nother.toml\tpulled\n");
    fixture.umount();
}

#[test]
fn explain_through_the_mount_knows_both_policies() {
    let mut fixture = mounted(ACCEPTED);
    pull(&fixture, WEAKER);
    let file = fixture.mnt().join("app.toml");
    let said = text(&fixture.confseal(["explain", file.to_str().unwrap()]));
    assert!(said.contains("by the accepted policy: secret by the rule `pin`"), "{said}");
    fixture.umount();
}

#[test]
fn a_mount_under_another_key_than_this_machine_knows_is_refused() {
    let mut fixture = mounted("version = 1\n");
    fixture.umount();
    fixture.key("second", SECOND);
    fs::remove_file(fixture.store().join(".confseal/fingerprint")).unwrap();
    let (store, mnt) = (fixture.store(), fixture.mnt());
    let second = fixture.source("second");
    let paths = [store.to_str().unwrap(), mnt.to_str().unwrap()];
    let done = fixture.confseal(["mount", paths[0], paths[1], "--key", &second]);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    assert!(text(&done).contains("known on this machine under the key"), "{}", text(&done));
    // A successor comes with the old key beside it, also by a reload.
    fixture.key("new", FIRST);
    let legacy = fixture.source("new");
    fixture.mount_with(&store, Some(&mnt), &["--key", &second, "--legacy", &legacy]);
    assert_eq!(fixture.seen("app.toml"), APP);
    fixture.umount();
    let pins = fs::read_dir(fixture.state()).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_to_string(pins.join("fingerprints")).unwrap().lines().count(), 2);
}
