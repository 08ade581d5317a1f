//! What an attacker, an auditor and an operator tried: files at the limit of what is held in
//! memory, secrets on their way through several names, more directories than descriptors.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{FIRST, Fixture, SECOND, holds, sh};

/// The `max_view` of these mounts, in bytes.
const LIMIT: usize = 1 << 20;

const PEM: &str = "-----BEGIN PRIVATE KEY-----\nCANARY-pem\n-----END PRIVATE KEY-----\n";

/// Mounts with a `max_view` of [`LIMIT`]; keys by name, the master first.
fn mount_with_limit(fixture: &mut Fixture, master: &str, legacy: &[&str]) {
    let quoted: Vec<_> = legacy.iter().map(|key| format!("\"{}\"", fixture.source(key))).collect();
    let (store, mnt) = (fixture.store(), fixture.mnt());
    let text = format!(
        "store = \"{}\"\n[keys]\nmaster = \"{}\"\nlegacy = [{}]\n[mount]\nmax_view = 1\n",
        store.display(),
        fixture.source(master),
        quoted.join(", ")
    );
    let instance = fixture.dir().join("shop.toml");
    fs::write(&instance, text).unwrap();
    fixture.mount_with(&store, Some(&mnt), &["--instance", instance.to_str().unwrap()]);
}

fn append(path: &Path, text: &str) -> Result<(), Option<i32>> {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).map_err(|error| error.raw_os_error())
}

fn large_log() -> Vec<u8> {
    b"a line of a log\n".repeat(LIMIT / 16 + 1)
}

#[test]
fn a_document_without_secrets_does_not_outgrow_its_rule() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", "port = 1\n");
    mount_with_limit(&mut fixture, "master", &[]);
    let file = OpenOptions::new().write(true).open(fixture.mnt().join("app.toml")).unwrap();
    let refused = file.write_all_at(b"\npassword = \"CANARY-grown\"\n", LIMIT as u64);
    assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EFBIG));
    drop(file);
    assert_eq!(fixture.seen("app.toml"), "port = 1\n");
    fixture.assert_sealed(&["CANARY-grown"]);
}

#[test]
fn a_secret_is_refused_on_its_way_into_a_file_too_large_to_be_sealed() {
    let mut fixture = Fixture::new();
    fixture.put("app.log", large_log());
    mount_with_limit(&mut fixture, "master", &[]);
    let log = fixture.mnt().join("app.log");
    assert_eq!(append(&log, "one more\n"), Ok(()));
    let mut file = OpenOptions::new().append(true).open(&log).unwrap();
    for line in PEM.split_inclusive('\n') {
        let refused = file.write_all(line.as_bytes());
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EFBIG), "{line}");
    }
    drop(file);
    assert_eq!(append(&log, "and one more\n"), Ok(()));
    assert!(fixture.seen("app.log").ends_with("one more\nand one more\n"));
    fixture.assert_sealed(&["CANARY-pem"]);
}

#[test]
fn a_large_plain_file_cannot_take_a_name_under_which_its_secrets_would_be_sealed() {
    let mut fixture = Fixture::new();
    fixture.put("big", large_log());
    mount_with_limit(&mut fixture, "master", &[]);
    let mnt = fixture.mnt();
    let mut open = OpenOptions::new().append(true).open(mnt.join("big")).unwrap();
    open.write_all(b"x\n").unwrap();
    let refused = fs::rename(mnt.join("big"), mnt.join("big.toml")).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EFBIG));
    fs::rename(mnt.join("big"), mnt.join("big.1")).unwrap();
    open.write_all(b"y\n").unwrap();
    drop(open);
    assert!(fixture.stored("big.1").ends_with("x\ny\n"));
}

#[test]
fn a_large_plain_file_that_is_emptied_is_looked_into_again() {
    for shrink in ["cat ../pem > app.log", ": > app.log; cat ../pem >> app.log"] {
        let mut fixture = Fixture::new();
        fixture.put("app.log", large_log());
        fs::write(fixture.dir().join("pem"), PEM).unwrap();
        mount_with_limit(&mut fixture, "master", &[]);
        sh(&fixture.mnt(), "echo more >> app.log; tail -1 app.log >/dev/null");
        sh(&fixture.mnt(), shrink);
        assert_eq!(fixture.seen("app.log"), PEM, "{shrink}");
        fixture.assert_sealed(&["CANARY-pem"]);
    }
}

#[test]
fn a_view_as_large_as_may_be_is_read_back_and_rewrapped() {
    let mut fixture = Fixture::new();
    fixture.key("old", FIRST);
    fixture.key("new", SECOND);
    mount_with_limit(&mut fixture, "old", &[]);
    let view: Vec<u8> = (0..LIMIT).map(|at| (at * 7 + at / 251) as u8).collect();
    fs::write(fixture.mnt().join("store.p12"), &view).unwrap();
    assert!(fs::metadata(fixture.store().join("store.p12")).unwrap().len() > LIMIT as u64);

    fixture.umount();
    mount_with_limit(&mut fixture, "new", &["old"]);
    assert!(fs::read(fixture.mnt().join("store.p12")).unwrap() == view);
    let (done, answer) = fixture.control("rewrap");
    assert_eq!(done, Ok(()), "{answer}");
    assert!(answer.contains("0 still using legacy keys"), "{answer}");

    fixture.umount();
    mount_with_limit(&mut fixture, "new", &[]);
    assert!(fs::read(fixture.mnt().join("store.p12")).unwrap() == view);
}

#[test]
fn a_sealed_file_too_large_to_be_rewrapped_is_a_failure_and_a_large_plain_one_is_not() {
    let mut fixture = Fixture::new();
    fixture.key("old", FIRST);
    fixture.key("new", SECOND);
    fixture.put("store.p12", vec![7; 3 * LIMIT]);
    let store = fixture.store();
    let sealed =
        fixture.confseal(["seal", store.to_str().unwrap(), "--key", &fixture.source("old")]);
    assert!(sealed.status.success());
    fixture.put("app.log", large_log().repeat(3));
    mount_with_limit(&mut fixture, "new", &["old"]);
    let (done, answer) = fixture.control("rewrap");
    assert_eq!(done, Err(libc::EBADMSG), "{answer}");
    assert!(answer.contains("failed: store.p12: "), "{answer}");
    assert!(!answer.contains("app.log"), "{answer}");
    let (_, answer) = fixture.control("verify");
    assert!(answer.contains(" 1 files in trouble"), "{answer}");
}

#[test]
fn secrets_do_not_become_plain_on_the_way_through_a_name_that_no_rule_knows() {
    let mut fixture = Fixture::new();
    fixture.put("README", "just words\n");
    fixture.mount();
    let mnt = fixture.mnt();
    fs::write(mnt.join("app.toml"), "password = \"CANARY-chain\"\n").unwrap();
    // No format reads this, so that only where it comes from says what it is.
    fs::write(mnt.join("app.toml"), "<<<< [\n{ password = \"CANARY-chain\"\n").unwrap();
    sh(&mnt, "mv app.toml 4913; mv 4913 README");
    assert!(holds(&fs::read(mnt.join("README")).unwrap(), "CANARY-chain"));
    fixture.assert_sealed(&["CANARY-chain"]);
}

#[test]
fn a_file_that_is_emptied_and_filled_again_keeps_its_tokens_or_stays_plain() {
    let mut fixture = Fixture::new();
    fixture.put("README", "just words\n");
    fixture.mount();
    let mnt = fixture.mnt();
    fs::write(mnt.join("app.toml"), "password = \"CANARY-kept\"\n").unwrap();
    let before = fixture.stored("app.toml");
    sh(&mnt, "for f in app.toml README; do cp $f ../copy; : > $f; cat ../copy >> $f; done");
    assert_eq!(fixture.stored("app.toml"), before);
    assert_eq!(fixture.stored("README"), "just words\n");
}

#[test]
fn more_directories_than_descriptors_can_be_walked_and_rewrapped() {
    let mut fixture = Fixture::new();
    for at in 0..300 {
        fixture.put(&format!("d/{at}/app.toml"), format!("password = \"CANARY-{at}\"\n"));
    }
    fixture.seal();
    fixture.open_files(128).mount();
    let found = sh(&fixture.mnt(), "cat d/*/app.toml | grep -c CANARY");
    assert_eq!(found.trim(), "300");
    let (done, answer) = fixture.control("rewrap --all");
    assert_eq!(done, Ok(()), "{answer}");
    assert!(answer.starts_with("300 encrypted fields"), "{answer}");
    assert!(sh(&fixture.mnt(), "find . -type f | wc -l").trim() == "300");
}

#[test]
fn a_reader_never_fails_while_the_file_is_replaced_again_and_again() {
    let mut fixture = Fixture::new();
    fixture.mount_quietly();
    let mnt = fixture.mnt();
    let content = "password = \"CANARY-replaced\"\n";
    let end = Instant::now() + Duration::from_secs(3);
    fs::write(mnt.join("app.toml"), content).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let mnt = &mnt;
            scope.spawn(move || {
                let new = mnt.join(format!("new-{writer}.toml"));
                while Instant::now() < end {
                    fs::write(&new, content).unwrap();
                    fs::rename(&new, mnt.join("app.toml")).unwrap();
                }
            });
        }
        for _ in 0..3 {
            scope.spawn(|| {
                while Instant::now() < end {
                    assert_eq!(fs::read_to_string(mnt.join("app.toml")).unwrap(), content);
                }
            });
        }
    });
}

#[test]
fn a_new_file_that_gets_the_number_of_a_removed_one_does_not_write_into_that() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", "a = 1\n").mount();
    let mnt = fixture.mnt();
    for round in 0..50 {
        assert_eq!(fixture.seen("app.toml"), "a = 1\n", "round {round}");
        // The new one first: the number of the old one is free afterwards.
        fixture.put("next", "a = 1\n");
        fs::rename(fixture.store().join("next"), fixture.store().join("app.toml")).unwrap();
        fs::write(mnt.join("new.toml"), "b = 2\n").unwrap();
        assert_eq!(fixture.stored("app.toml"), "a = 1\n", "round {round}");
        assert_eq!(fixture.stored("new.toml"), "b = 2\n", "round {round}");
        fs::remove_file(mnt.join("new.toml")).unwrap();
    }
}
