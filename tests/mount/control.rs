//! The control room, and names that belong to confseal.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use crate::calls::{errno, mounted, names, shell};
use crate::support::{FIRST, Fixture, SECOND, sh};

const APP: &str = "password = \"hunter2-hunter2\"\nport = 1\n";

fn with_app() -> Fixture {
    let fixture = mounted();
    fs::write(fixture.mnt().join("app.toml"), APP).unwrap();
    fixture
}

fn status(fixture: &Fixture) -> Value {
    serde_json::from_str(&fixture.seen(".confseal/status")).expect("JSON")
}

#[test]
fn the_control_room_is_not_listed_and_always_there() {
    let fixture = with_app();
    let mnt = fixture.mnt();
    assert_eq!(names(&mnt), ["app.toml"]);
    assert_eq!(sh(&mnt, "ls -a; find . -name control"), ".\n..\napp.toml\n");
    let room = mnt.join(".confseal");
    assert_eq!(names(&room), ["control", "fingerprint", "metrics", "policy.toml", "status"]);
    let mode = |name: &str| fs::metadata(room.join(name)).unwrap().mode() & 0o7777;
    let modes = ["control", "status", "metrics", "policy.toml", "fingerprint"].map(mode);
    assert_eq!(modes, [0o600, 0o440, 0o444, 0o444, 0o444]);
}

#[test]
fn names_that_belong_to_confseal_are_refused() {
    let fixture = with_app();
    let mnt = fixture.mnt();
    let at = |name: &str| mnt.join(name);
    let refused = [
        (errno(fs::create_dir(at(".confseal"))), libc::EEXIST),
        (errno(File::create(at(".confseal"))), libc::EISDIR),
        (errno(File::create(at(".confseal-tmp.x"))), libc::EPERM),
        (errno(fs::create_dir(at(".confseal-tmp.x"))), libc::EPERM),
        (errno(fs::rename(at("app.toml"), at(".confseal-tmp.x"))), libc::EPERM),
        (errno(fs::hard_link(at("app.toml"), at(".confseal-tmp.x"))), libc::EPERM),
        (errno(fs::remove_dir(at(".confseal"))), libc::EPERM),
        (errno(fs::rename(at(".confseal"), at("x"))), libc::EPERM),
        (errno(File::create(at(".confseal/x"))), libc::EPERM),
        (errno(fs::remove_file(at(".confseal/control"))), libc::EPERM),
        (errno(fs::rename(at("app.toml"), at(".confseal/x"))), libc::EPERM),
        (errno(fs::write(at(".confseal/status"), "x")), libc::EACCES),
        (errno(fs::write(at(".confseal/metrics"), "x")), libc::EACCES),
        (errno(fs::write(at(".confseal/policy.toml"), "x")), libc::EACCES),
    ];
    for (n, (seen, expected)) in refused.into_iter().enumerate() {
        assert_eq!(seen, Err(expected), "{n}");
    }
    // Elsewhere the name is free.
    fs::create_dir_all(at("d/.confseal")).unwrap();
    fs::write(at("d/.confseal/x.toml"), "a = 1\n").unwrap();
    assert_eq!(fixture.seen("app.toml"), APP);
}

#[test]
fn a_command_is_answered_on_its_descriptor() {
    let fixture = with_app();
    let (done, answer) = fixture.control("help");
    assert_eq!(done, Ok(()));
    assert!(answer.contains("rewrap [--all]"));
    let (done, answer) = fixture.control("rewrap --all");
    assert_eq!(done, Ok(()));
    let expected = "1 encrypted fields re-wrapped with the current master key\n\
                    0 still using legacy keys\n";
    assert_eq!(answer, expected);
    let (done, answer) = fixture.control("rewrap");
    assert_eq!((done, answer.starts_with("0 encrypted fields")), (Ok(()), true));
    let (done, answer) = fixture.control("verify");
    assert_eq!(
        (done, answer),
        (Ok(()), "1 files, 1 encrypted fields, 0 files in trouble\n".into())
    );
    let (done, answer) = fixture.control("status");
    assert_eq!(done, Ok(()));
    assert!(serde_json::from_str::<Value>(&answer).is_ok());
}

#[test]
fn each_write_starts_a_new_answer_and_each_client_has_its_own() {
    let fixture = with_app();
    let open = || {
        let path = fixture.mnt().join(".confseal/control");
        OpenOptions::new().read(true).write(true).open(path).unwrap()
    };
    let answer = |file: &mut File| {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    };
    let (mut one, mut two) = (open(), open());
    one.write_all(b"verify\n").unwrap();
    two.write_all(b"rewrap\n").unwrap();
    assert!(answer(&mut one).starts_with("1 files"));
    assert!(answer(&mut two).starts_with("0 encrypted fields"));
    assert_eq!(answer(&mut two), "");
    two.write_all(b"help").unwrap();
    assert!(answer(&mut two).contains("\nreload "));
    one.write_all(b"rewrap --dry-run\n").unwrap();
    one.seek(SeekFrom::Start(0)).ok();
    assert!(answer(&mut one).starts_with("0 encrypted fields would be"));
    std::thread::scope(|threads| {
        for n in 0..8 {
            let verb = if n % 2 == 0 { "verify" } else { "rewrap --all" };
            let expected = if n % 2 == 0 { "1 files" } else { "1 encrypted" };
            let fixture = &fixture;
            threads.spawn(move || {
                let (done, answer) = fixture.control(verb);
                assert_eq!(done, Ok(()));
                assert!(answer.starts_with(expected), "{verb}: {answer}");
            });
        }
    });
}

#[test]
fn a_shell_reads_the_last_answer_of_its_user() {
    let fixture = with_app();
    let said = sh(&fixture.mnt(), "echo verify > .confseal/control; cat .confseal/control");
    assert!(said.starts_with("1 files"), "{said}");
    // Nobody else sees it: not even the file's mode lets them.
    let other = "setpriv --reuid=7 --regid=7 --clear-groups cat .confseal/control";
    assert_eq!(shell(&fixture.mnt(), other).0, Some(1));
}

#[test]
fn what_is_no_command_is_refused_with_a_sentence() {
    let fixture = with_app();
    for (line, sentence) in [
        ("frobnicate", "There is no command `frobnicate`."),
        ("", "A command is expected."),
        ("rewrap --everything", "`rewrap` has no option `--everything`."),
        ("reload now", "`reload` was given too much."),
        ("verify ../..", "PATH is relative to the root of the mount."),
    ] {
        let (done, answer) = fixture.control(line);
        assert_eq!(done, Err(libc::EINVAL), "{line}");
        assert!(answer.starts_with(sentence), "{line}: {answer}");
    }
    let path = fixture.mnt().join(".confseal/control");
    let garbage: Vec<u8> = (0..5000u32).map(|n| (n * 7919 % 251) as u8).collect();
    let file = OpenOptions::new().read(true).write(true).open(path);
    let mut file = file.unwrap();
    assert_eq!(errno(file.write(&garbage)), Err(libc::EINVAL));
    let mut answer = String::new();
    file.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("There is no command"), "{answer}");
    assert_eq!(fixture.control("verify absent").0, Err(libc::ENOENT));
    assert_eq!(fixture.seen("app.toml"), APP);
}

#[test]
fn status_tells_what_an_operator_needs() {
    let mut fixture = Fixture::new();
    fixture.put("clear.toml", APP).put("README", "x\n").mount();
    fs::write(fixture.mnt().join("app.toml"), APP).unwrap();
    fs::write(fixture.mnt().join("notes"), "x").unwrap();
    let status = status(&fixture);
    let key = status["master_key"].as_str().unwrap();
    assert!(status["fingerprint"].as_str().unwrap().starts_with(key));
    assert_eq!(status["store"], fixture.store().canonicalize().unwrap().to_str().unwrap());
    assert_eq!(status["tokens"][key], 2);
    assert_eq!(status["legacy_keys"], serde_json::json!([]));
    assert!(status["version"].is_string() && status["uptime_seconds"].is_u64());
    assert_eq!(status["in_the_clear"][0]["file"], "clear.toml");
    assert_eq!(status["in_the_clear"][0]["field"], "password");
    let files = &status["files"];
    let count = |form: &str| files[form].as_u64().unwrap();
    assert_eq!((count("fields"), count("whole"), count("unread")), (1, 1, 0));
    for list in ["trouble", "kept", "jobs"] {
        assert_eq!(status[list], serde_json::json!([]), "{list}");
    }
    assert_eq!((&status["unsaved"], &status["conflicts"]), (&0.into(), &0.into()));
}

#[test]
fn metrics_can_be_scraped() {
    let fixture = with_app();
    let text = fixture.seen(".confseal/metrics");
    let mut samples = 0;
    let mut declared = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (word, rest) = rest.split_once(' ').unwrap();
            let (name, _) = rest.split_once(' ').unwrap();
            assert!(["HELP", "TYPE"].contains(&word) && name.starts_with("confseal_"), "{line}");
            declared = name;
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let labels = name.strip_prefix(declared).expect("declared before it is given");
        assert!(labels.is_empty() || (labels.starts_with('{') && labels.ends_with('}')), "{line}");
        samples += 1;
    }
    assert!(samples > 20 && text.contains("role=\"master\"} 1\n"), "{text}");
}

#[test]
fn a_reload_brings_a_new_key_and_a_rewrap_puts_it_to_use() {
    let mut fixture = Fixture::new();
    let (store, mnt) = (fixture.store(), fixture.mnt());
    fixture.key("old", SECOND);
    let legacy = fixture.source("old");
    fixture.mount_with(
        &store,
        Some(&mnt),
        &["--legacy", &legacy, "--key", &fixture.source("master")],
    );
    fs::write(mnt.join("app.toml"), APP).unwrap();
    let first = status(&fixture)["master_key"].as_str().unwrap().to_owned();
    let before = fixture.stored("app.toml");
    fixture.key("master", SECOND);
    fixture.key("old", FIRST);
    let (done, answer) = fixture.control("reload");
    assert_eq!(done, Ok(()), "{answer}");
    assert!(answer.contains(&format!("legacy keys: {first}")), "{answer}");
    assert_eq!((fixture.stored("app.toml"), fixture.seen("app.toml")), (before, APP.into()));
    let (done, answer) = fixture.control("rewrap");
    assert_eq!((done, answer.starts_with("1 encrypted fields re-wrapped")), (Ok(()), true));
    assert!(!fixture.stored("app.toml").contains(&first));
    assert_eq!(fixture.seen("app.toml"), APP);
    // A key file that cannot be read changes nothing.
    fs::write(fixture.dir().join("master.key"), "rubbish").unwrap();
    let (done, answer) = fixture.control("reload");
    assert_eq!(done, Err(libc::EINVAL));
    assert!(answer.contains("stay in force"), "{answer}");
    assert_eq!(fixture.seen("app.toml"), APP);
}

#[test]
fn a_mount_seals_what_stands_in_the_clear_and_gives_it_back() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", APP).put("conf.d/b.toml", "token = \"canary-value-b\"\n");
    fixture.put("plain.txt", "nothing\n").mount();
    let mnt = fixture.mnt();
    let time = |path: &std::path::Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.mtime(), metadata.mtime_nsec())
    };
    let before = time(&mnt.join("app.toml"));
    let (done, answer) = fixture.control("seal --dry-run");
    assert_eq!((done, &*answer), (Ok(()), "2 secrets in 2 files would be sealed\n"));
    assert_eq!(fixture.stored("app.toml"), APP);
    let (done, answer) = fixture.control("seal conf.d");
    assert_eq!((done, &*answer), (Ok(()), "1 secrets in 1 files sealed\n"));
    assert_eq!(fixture.stored("app.toml"), APP);
    let (done, answer) = fixture.control("seal");
    assert_eq!((done, &*answer), (Ok(()), "1 secrets in 1 files sealed\n"));
    assert!(fixture.stored("app.toml").contains("\"ENC:v1:"));
    assert_eq!(fixture.seen("app.toml"), APP);
    assert_eq!(time(&mnt.join("app.toml")), before);
    let (done, answer) = fixture.control("seal");
    assert_eq!((done, &*answer), (Ok(()), "0 secrets in 0 files sealed\n"));

    let (done, answer) = fixture.control("give-back --dry-run");
    assert_eq!((done, &*answer), (Ok(()), "2 secrets in 2 files would be laid open\n"));
    assert_eq!(status(&fixture)["gives_back"], false);
    let (done, answer) = fixture.control("give-back");
    assert_eq!((done, &*answer), (Ok(()), "2 secrets in 2 files laid open\n"));
    assert_eq!(status(&fixture)["gives_back"], true);
    assert_eq!(fixture.stored("app.toml"), APP);
    assert_eq!(time(&fixture.store().join("app.toml")), before);
    // What is saved from now on stays plain, under a name without a rule too.
    fs::write(mnt.join("new.toml"), "password = \"canary-new-pw\"\n").unwrap();
    fs::write(mnt.join("x.tmp"), APP).unwrap();
    fs::rename(mnt.join("x.tmp"), mnt.join("app.toml")).unwrap();
    assert_eq!(fixture.stored("new.toml"), "password = \"canary-new-pw\"\n");
    assert_eq!(fixture.stored("app.toml"), APP);
    // Until it is in service again.
    let (done, answer) = fixture.control("seal");
    assert_eq!((done, &*answer), (Ok(()), "3 secrets in 3 files sealed\n"));
    fs::write(mnt.join("new.toml"), "password = \"canary-newer\"\n").unwrap();
    fixture.assert_sealed(&["canary", "hunter2"]);
}

#[test]
fn what_would_read_as_a_token_is_not_given_back() {
    let fixture = with_app();
    let text = "note = \"ENC:v1:00000000:AAAA\"\n";
    fs::write(fixture.mnt().join("odd.toml"), text).unwrap();
    let (done, answer) = fixture.control("give-back --dry-run");
    assert_eq!(done, Err(libc::EBADMSG));
    assert!(answer.contains("odd.toml: a value in it begins like a token"), "{answer}");
    assert_eq!(fixture.seen("odd.toml"), text);
}
