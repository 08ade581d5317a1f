//! Files that cannot be opened: each fails alone, with an errno that says why, and can still be
//! listed, replaced, renamed and removed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::calls::{errno, names};
use crate::support::{Fixture, SECOND, sh};

const APP: &str = "password = \"hunter2-hunter2\"\ntoken = \"tokens-of-my-own\"\nport = 1\n";

/// A store with a sealed `app.toml` and a sealed `well.toml`, not mounted; `damage` is done to
/// the text of the first before it is mounted.
fn damaged(damage: impl Fn(&str) -> String) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.mount();
    for name in ["app.toml", "well.toml"] {
        fs::write(fixture.mnt().join(name), APP).unwrap();
    }
    fixture.umount();
    let text = damage(&fixture.stored("app.toml"));
    fs::write(fixture.store().join("app.toml"), text).unwrap();
    fixture.mount();
    fixture
}

fn open(fixture: &Fixture, name: &str) -> Result<(), i32> {
    errno(fs::File::open(fixture.mnt().join(name)))
}

fn trouble(fixture: &Fixture) -> Vec<Value> {
    let status: Value = serde_json::from_str(&fixture.seen(".confseal/status")).unwrap();
    status["trouble"].as_array().unwrap().clone()
}

/// The two tokens of the damaged file's text.
fn tokens(text: &str) -> [String; 2] {
    let mut found = text.split('"').filter(|piece| piece.starts_with("ENC:"));
    [found.next().unwrap().to_owned(), found.next().unwrap().to_owned()]
}

/// What holds for every file in trouble.
fn fails_alone(fixture: &mut Fixture, expected: i32, field: &str) {
    assert_eq!(open(fixture, "app.toml"), Err(expected));
    assert_eq!(fixture.seen("well.toml"), APP);
    let found = trouble(fixture);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["file"], &found[0]["field"]), (&"app.toml".into(), &field.into()));
    let log = fixture.log();
    let told = |line: &str| line.contains("app.toml") && line.contains(field);
    assert!(log.lines().any(told), "{log}");
    assert!(!log.contains("hunter2"));

    let (mnt, stored) = (fixture.mnt(), fixture.stored("app.toml"));
    assert_eq!(names(&mnt), ["app.toml", "well.toml"]);
    assert_eq!(fs::metadata(mnt.join("app.toml")).unwrap().len(), stored.len() as u64);
    sh(&mnt, "mv app.toml b.toml; mv b.toml app.toml");
    assert_eq!(fixture.stored("app.toml"), stored);

    fs::write(mnt.join("app.toml"), "port = 2\n").unwrap();
    // An edit by redirect ends with the last close, of which nobody hears.
    fixture.wait_for("the save", || fs::read_to_string(mnt.join("app.toml")).is_ok());
    assert_eq!(fixture.seen("app.toml"), "port = 2\n");
    assert!(trouble(fixture).is_empty());
    is_kept(fixture, &stored, 1);

    fs::write(fixture.store().join("app.toml"), &stored).unwrap();
    assert_eq!(open(fixture, "app.toml"), Err(expected));
    sh(&mnt, "echo port = 3 > new.toml; mv new.toml app.toml");
    assert_eq!(fixture.seen("app.toml"), "port = 3\n");
    assert!(trouble(fixture).is_empty());
    is_kept(fixture, &stored, 2);

    fs::write(fixture.store().join("app.toml"), &stored).unwrap();
    assert_eq!(open(fixture, "app.toml"), Err(expected));
    fs::remove_file(mnt.join("app.toml")).unwrap();
    assert!(trouble(fixture).is_empty());
    assert_eq!(names(&mnt), ["well.toml"]);
}

/// `count` versions are kept, sealed, and named in the status.
fn is_kept(fixture: &Fixture, stored: &str, count: usize) {
    let kept = names(&fixture.store().join(".confseal/kept"));
    assert_eq!(kept.len(), count, "{kept:?}");
    for name in kept {
        let text = fixture.stored(&format!(".confseal/kept/{name}"));
        assert!(text.starts_with("ENC:") && text != stored);
        assert!(fixture.seen(".confseal/status").contains(&name));
    }
}

#[test]
fn a_token_under_an_unknown_key() {
    let mut fixture = Fixture::new();
    let mnt = fixture.mnt();
    let store = fixture.store();
    fixture.mount();
    fs::write(mnt.join("well.toml"), APP).unwrap();
    fixture.umount();
    // The foreign file comes out of another store under another key.
    let mut other = Fixture::new();
    other.key("master", SECOND);
    other.mount();
    fs::write(other.mnt().join("app.toml"), APP).unwrap();
    fs::write(store.join("app.toml"), other.stored("app.toml")).unwrap();
    let key = tokens(&other.stored("app.toml"))[0].split(':').nth(2).unwrap().to_owned();
    fixture.mount();
    assert_eq!(open(&fixture, "app.toml"), Err(libc::ENOKEY));
    assert_eq!(trouble(&fixture)[0]["key_id"], key);
    assert!(fixture.log().lines().any(|line| line.contains("app.toml") && line.contains(&key)));
    fails_alone(&mut fixture, libc::ENOKEY, "password");
}

#[test]
fn a_tampered_token() {
    let flip = |text: &str| {
        let token = &tokens(text)[0];
        let last = if token.ends_with('A') { "Q" } else { "A" };
        text.replace(token, &format!("{}{last}", &token[..token.len() - 1]))
    };
    fails_alone(&mut damaged(flip), libc::EBADMSG, "password");
}

#[test]
fn two_tokens_that_changed_places() {
    let swap = |text: &str| {
        let [one, two] = tokens(text);
        text.replace(&one, "@").replace(&two, &one).replace('@', &two)
    };
    fails_alone(&mut damaged(swap), libc::EBADMSG, "password");
}

#[test]
fn a_token_that_was_cut_off() {
    let cut = |text: &str| {
        let token = &tokens(text)[1];
        text.replace(token, &token[..40])
    };
    fails_alone(&mut damaged(cut), libc::EBADMSG, "token");
}

#[test]
fn a_document_with_tokens_that_cannot_be_read() {
    let conflict = |text: &str| format!("<<<<<<< ours\n{text}>>>>>>> theirs\n");
    let fixture = damaged(conflict);
    assert_eq!(open(&fixture, "app.toml"), Err(libc::EBADMSG));
    assert_eq!(trouble(&fixture).len(), 1);
    // Mended in the store, it is well again.
    let text = fixture.stored("app.toml");
    let mended: String = text
        .lines()
        .filter(|l| !l.contains("<<<") && !l.contains(">>>"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(fixture.store().join("app.toml"), mended).unwrap();
    assert_eq!(fixture.seen("app.toml"), APP);
    assert!(trouble(&fixture).is_empty());
}

#[test]
fn a_tampered_whole_file() {
    let mut fixture = Fixture::new();
    fixture.mount();
    fs::write(fixture.mnt().join("notes"), "my own words").unwrap();
    fixture.umount();
    let text = fixture.stored("notes");
    let at = text.len() - 20;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    fs::write(fixture.store().join("notes"), format!("{}{other}{}", &text[..at], &text[at + 1..]))
        .unwrap();
    fixture.mount();
    assert_eq!(open(&fixture, "notes"), Err(libc::EBADMSG));
    assert_eq!(
        errno(fs::OpenOptions::new().append(true).open(fixture.mnt().join("notes"))),
        Err(libc::EBADMSG)
    );
    assert_eq!(trouble(&fixture)[0]["file"], "notes");
}

#[test]
fn a_file_behind_an_open_descriptor_that_is_damaged_stops_reading() {
    let fixture = damaged(str::to_owned);
    let path: &Path = &fixture.mnt().join("app.toml");
    assert_eq!(fixture.seen("app.toml"), APP);
    let whole = fixture.stored("app.toml");
    fs::write(fixture.store().join("app.toml"), &whole[..60]).unwrap();
    assert_eq!(errno(fs::read(path)), Err(libc::EBADMSG));
    fs::write(fixture.store().join("app.toml"), &whole).unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), APP);
}

#[test]
fn a_token_bound_more_weakly_than_demanded() {
    let mut fixture = Fixture::new();
    let (store, mnt) = (fixture.store(), fixture.mnt());
    fixture.mount();
    fs::write(mnt.join("app.toml"), APP).unwrap();
    fixture.umount();
    let instance = fixture.dir().join("shop.toml");
    let text = format!(
        "store = '{}'\n[keys]\nmaster = '{}'\nbinding = 'file'\n",
        store.display(),
        fixture.source("master")
    );
    fs::write(&instance, text).unwrap();
    let name = instance.to_str().unwrap();
    fixture.mount_with(&store, Some(&mnt), &["--instance", name]);
    fs::write(mnt.join("well.toml"), APP).unwrap();
    assert_eq!(fixture.seen("well.toml"), APP);
    sh(&mnt, "mv well.toml b.toml; mkdir d; mv b.toml d/; mv d e; mv e/b.toml well.toml; rmdir e");
    fails_alone(&mut fixture, libc::EKEYREJECTED, "password");
}

#[test]
fn a_pattern_that_matches_nothing_any_more_is_told_until_it_matches_again() {
    let mut fixture = Fixture::new();
    fixture.put(
        ".confseal/policy.toml",
        "version = 1\n[[file]]\npath = \"odd.cfg\"\nformat = \"regex\"\n\
         pattern = '(?m)^pass:(?P<value>.+)$'\n",
    );
    fixture.mount();
    let path = fixture.mnt().join("odd.cfg");
    fs::write(&path, "pass:hunter2-hunter2\n").unwrap();
    assert!(fixture.stored("odd.cfg").starts_with("pass:ENC:v1:"));
    assert!(trouble(&fixture).is_empty());

    fs::write(&path, "pass = hunter2-hunter2\n").unwrap();
    assert!(fixture.stored("odd.cfg").starts_with("ENC:file:v1:"));
    let told = "the rule's pattern matches nothing";
    assert!(fixture.log().contains(told), "{}", fixture.log());
    // Reading it does not make it well.
    assert_eq!(fixture.seen("odd.cfg"), "pass = hunter2-hunter2\n");
    let found = trouble(&fixture);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0]["reason"].as_str().unwrap().contains(told));
    assert_eq!(fixture.metric("files_in_trouble", "kind=\"sealed-whole\""), 1);

    fs::write(&path, "pass:hunter2-hunter2\n").unwrap();
    assert!(fixture.stored("odd.cfg").starts_with("pass:ENC:v1:"));
    assert!(trouble(&fixture).is_empty());
}
