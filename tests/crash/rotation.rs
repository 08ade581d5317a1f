//! A new master key while programs are at work: nobody notices, no value stays under the old key,
//! and a second rewrap has nothing to do.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use regex::Regex;

use crate::Writer;
use crate::support::{FIRST, Fixture, SECOND, collect, control_at};

/// The views at the start: fields in three formats, whole files by rule and by unknown name, and
/// one with two names.
const FILES: [(&str, &str); 6] = [
    ("app.toml", "[db]\npassword = \"CANARY-toml\" # prod\n# token = \"CANARY-comment\"\n"),
    ("app.json", "{\"api_key\": \"CANARY-json\", \"tokens\": [\"CANARY-a\", \"CANARY-b\"]}\n"),
    (".env", "DB_PASSWORD=CANARY-env\nDEBUG=1\n"),
    ("notes", "CANARY-notes\n"),
    ("linked.toml", "password = \"CANARY-linked\"\n"),
    ("conf.d/more.toml", "password = \"CANARY-below\"\n"),
];

/// An instance file as the operator rewrites it.
fn write_instance(fixture: &Fixture, master: &str, legacy: &[&str]) -> PathBuf {
    let path = fixture.dir().join("shop.toml");
    let legacy: Vec<String> = legacy.iter().map(|name| fixture.source(name)).collect();
    let text = format!(
        "store = {:?}\nmountpoint = {:?}\n[keys]\nmaster = {:?}\nlegacy = {legacy:?}\n",
        fixture.store(),
        fixture.mnt(),
        fixture.source(master),
    );
    fs::write(&path, text).expect("an instance");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("its mode");
    path
}

/// How many tokens of each key id stand in the store, kept versions included.
fn tokens(store: &Path) -> BTreeMap<String, usize> {
    let token = Regex::new("ENC:(?:file:)?v1:([0-9a-f]{8}):").expect("a pattern");
    let mut count = BTreeMap::new();
    for file in files(store) {
        let text = fs::read(&file).expect("a file");
        for found in token.captures_iter(&String::from_utf8_lossy(&text)) {
            *count.entry(found[1].to_owned()).or_default() += 1;
        }
    }
    count
}

fn files(store: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(store, &mut files);
    files.retain(|file| file.file_name() != Some("lock".as_ref()));
    files.sort();
    files
}

/// Every stored byte with the time of its file.
fn state(store: &Path) -> Vec<(PathBuf, Vec<u8>, i64, i64)> {
    let look = |file: PathBuf| {
        let metadata = fs::metadata(&file).expect("a file");
        (file.clone(), fs::read(&file).expect("a file"), metadata.mtime(), metadata.mtime_nsec())
    };
    files(store).into_iter().map(look).collect()
}

/// Runs a control command that has to succeed.
fn control(mount: &Path, line: &str) -> String {
    let (done, answer) = control_at(mount, line);
    assert_eq!(done, Ok(()), "{line}: {answer}");
    answer
}

fn key_id(fixture: &Fixture) -> String {
    fixture.seen(".confseal/fingerprint")[..8].to_owned()
}

fn mtime(path: &Path) -> (i64, i64) {
    let metadata = fs::metadata(path).expect("a file");
    (metadata.mtime(), metadata.mtime_nsec())
}

/// Makes a kept version: the store changes behind a program that is about to save.
fn make_conflict(fixture: &Fixture) {
    let path = fixture.mnt().join("conflict.toml");
    fs::write(&path, "password = \"CANARY-ours\"\n").expect("a file");
    let mut writer = Writer::of(&path);
    let written = "password = \"CANARY-ours\"\nmore = 1\n";
    writer.write("more = 1\n", || fixture.seen("conflict.toml") == written);
    fs::write(fixture.store().join("conflict.toml"), "port = 1\n").expect("behind the mount");
    writer.close();
    let kept = fs::read_dir(fixture.store().join(".confseal/kept")).expect("kept").count();
    assert_eq!(kept, 1, "the displaced version is kept");
}

#[test]
fn a_master_key_is_replaced_while_files_are_open_and_being_saved() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.key("old", FIRST);
    fixture.key("new", SECOND);
    let instance = write_instance(&fixture, "old", &[]);
    let instance = instance.to_str().expect("a path").to_owned();
    let (store, mnt) = (fixture.store(), fixture.mnt());
    fixture.mount_with(&store, Some(&mnt), &["--instance", &instance]);
    fs::create_dir(mnt.join("conf.d")).unwrap();
    for (name, content) in FILES {
        fs::write(mnt.join(name), content).unwrap();
    }
    fs::hard_link(mnt.join("linked.toml"), mnt.join("linked-too.toml")).unwrap();
    make_conflict(&fixture);
    let old = key_id(&fixture);
    let times_before = FILES.map(|(name, _)| (mtime(&mnt.join(name)), mtime(&store.join(name))));

    let mut reader = File::open(mnt.join("app.toml")).unwrap();
    let mut writer = OpenOptions::new().append(true).open(mnt.join(".env")).unwrap();
    let stop = AtomicBool::new(false);
    let rounds = std::thread::scope(|scope| {
        let saver = scope.spawn(|| {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                let text = format!("round = {round}\npassword = \"CANARY-round-{round}\"\n");
                fs::write(mnt.join("busy.toml"), text).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
            round
        });
        crate::eventually("a first save", || mnt.join("busy.toml").exists());
        write_instance(&fixture, "new", &["old"]);
        let answer = control(&mnt, "reload");
        assert!(answer.contains(&old), "{answer}");
        writer.write_all(b"API_TOKEN=CANARY-later\n").unwrap();
        let answer = control(&mnt, "rewrap");
        assert!(answer.contains("0 still using legacy keys\n"), "{answer}");
        let first = answer.lines().next().unwrap_or_default();
        let (count, rest) = first.split_once(' ').unwrap_or_default();
        assert_eq!(rest, "encrypted fields re-wrapped with the current master key", "{answer}");
        assert!(count.parse::<usize>().is_ok_and(|count| count >= 10), "{answer}");
        stop.store(true, Ordering::Relaxed);
        saver.join().unwrap()
    });
    let new = key_id(&fixture);
    assert_ne!(old, new);

    // Whoever had a file open goes on.
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, FILES[0].1);
    drop(writer);
    assert_eq!(fixture.seen(".env"), format!("{}API_TOKEN=CANARY-later\n", FILES[2].1));
    let round = format!("round = {rounds}\npassword = \"CANARY-round-{rounds}\"\n");
    assert_eq!(fixture.seen("busy.toml"), round);
    for ((name, content), (view, stored)) in FILES.into_iter().zip(times_before) {
        if name == ".env" {
            continue;
        }
        assert_eq!(fixture.seen(name), content);
        assert_eq!(mtime(&mnt.join(name)), view, "{name}: its view did not change");
        let now = mtime(&store.join(name));
        assert!(now >= (stored.0 + 1, stored.1), "{name}: a backup has to see it");
    }

    assert_eq!(tokens(&store).into_keys().collect::<Vec<_>>(), [new.as_str()]);
    fixture.assert_sealed(&["CANARY"]);
    let before = state(&store);
    let answer = control(&mnt, "rewrap");
    assert!(answer.starts_with("0 encrypted fields re-wrapped"), "{answer}");
    assert!(answer.contains("\n0 still using legacy keys\n"), "{answer}");
    assert!(state(&store) == before, "a second rewrap touches nothing");

    // The old key can go: now, and for good.
    write_instance(&fixture, "new", &[]);
    fs::remove_file(fixture.dir().join("old.key")).unwrap();
    let answer = control(&mnt, "reload");
    assert!(answer.contains(&new) && !answer.contains(&old), "{answer}");
    let answer = control(&mnt, "verify");
    assert!(answer.contains(" 0 files in trouble"), "{answer}");
    reader.rewind().unwrap();
    text.clear();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, FILES[0].1);
    drop(reader);
    fixture.umount().mount_with(&store, Some(&mnt), &["--instance", &instance]);
    for (name, content) in FILES.iter().filter(|(name, _)| *name != ".env") {
        assert_eq!(fixture.seen(name), *content);
    }
    assert_eq!(fixture.seen("linked-too.toml"), FILES[4].1);
    assert!(control(&mnt, "rewrap --all").contains("\n0 still using legacy keys\n"));
    assert_eq!(fixture.seen("app.json"), FILES[1].1);
    fixture.umount();
}

#[test]
fn a_key_is_replaced_behind_flags_whose_legacy_file_comes_later() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    let (store, mnt, legacy) = (fixture.store(), fixture.mnt(), fixture.source("legacy"));
    let master = fixture.source("master");
    let keys = ["--key", master.as_str(), "--legacy", legacy.as_str()];
    fixture.mount_with(&store, Some(&mnt), &keys);
    fs::write(mnt.join("app.toml"), FILES[0].1).unwrap();
    let old = key_id(&fixture);

    // A new master alone is refused: nothing could be read any more.
    fixture.key("master", SECOND);
    let (done, answer) = control_at(&mnt, "reload");
    assert!(done.is_err() && answer.contains(&old), "{answer}");
    assert_eq!(fixture.seen("app.toml"), FILES[0].1);
    fs::write(mnt.join("later.toml"), FILES[4].1).unwrap();
    assert_eq!(tokens(&store).into_keys().collect::<Vec<_>>(), [old.as_str()]);

    fixture.key("legacy", FIRST);
    fixture.signal("HUP");
    crate::eventually("the new key", || fixture.log().contains("reloaded: master key"));
    assert!(control(&mnt, "rewrap").contains("\n0 still using legacy keys\n"));
    let new = key_id(&fixture);
    assert_eq!(tokens(&store).into_keys().collect::<Vec<_>>(), [new.as_str()]);

    fs::remove_file(fixture.dir().join("legacy.key")).unwrap();
    let answer = control(&mnt, "reload");
    assert!(answer.contains("legacy keys: none"), "{answer}");
    fixture.umount().mount();
    assert_eq!(fixture.seen("app.toml"), FILES[0].1);
    assert_eq!(fixture.seen("later.toml"), FILES[4].1);
    fixture.umount();
}

#[test]
fn a_descriptor_keeps_its_file_while_that_is_saved_and_rewrapped_over_and_over() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.mount();
    let mnt = fixture.mnt();
    let path = mnt.join("app.toml");
    let text = |round: u32| format!("password = \"CANARY-{round:05}\"\n");
    fs::write(&path, text(0)).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let number = file.metadata().unwrap().ino();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let rewraps = scope.spawn(|| {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                // One that gives way to a save is no failure; nothing else may come up.
                control(&mnt, "rewrap --all");
                count += 1;
            }
            count
        });
        for round in 1..=300 {
            file.write_all_at(text(round).as_bytes(), 0).unwrap();
            file.sync_all().unwrap();
            assert_eq!(fs::metadata(&path).unwrap().ino(), number, "it is the same file");
        }
        stop.store(true, Ordering::Relaxed);
        assert!(rewraps.join().unwrap() > 10, "they were at it together");
    });
    assert_eq!(fixture.seen("app.toml"), text(300));
    drop(file);
    fixture.umount().mount();
    assert_eq!(fixture.seen("app.toml"), text(300));
    fixture.umount();
}

/// How many files are rewrapped, and how often that is cut off.
const MANY: usize = 80;
const CUTS: u64 = 12;

#[test]
fn a_rewrap_that_is_killed_is_taken_up_by_the_next() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.key("one", FIRST);
    fixture.key("two", SECOND);
    let instance = write_instance(&fixture, "one", &[]);
    let instance = instance.to_str().expect("a path").to_owned();
    let (store, mnt) = (fixture.store(), fixture.mnt());
    let name = |number: usize| format!("{number}.toml");
    let text = |number: usize| format!("password = \"CANARY-{number}\"\nport = {number}\n");
    fixture.mount_with(&store, Some(&mnt), &["--instance", &instance]);
    for number in 0..MANY {
        fs::write(mnt.join(name(number)), text(number)).unwrap();
    }
    let mut halfway = 0;
    for cut in 0..CUTS {
        let (master, legacy) = if cut % 2 == 0 { ("two", "one") } else { ("one", "two") };
        write_instance(&fixture, master, &[legacy]);
        control(&mnt, "reload");
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo rewrap >\"$0\""]).arg(mnt.join(".confseal/control"));
        let mut shell = shell.stderr(Stdio::null()).spawn().expect("a shell");
        // From before it begins to after its end.
        std::thread::sleep(Duration::from_millis(cut * 4));
        fixture.kill_daemon();
        shell.wait().expect("the shell");
        fixture.clear_mounts();
        halfway += usize::from(tokens(&store).len() == 2);
        fixture.assert_sealed(&["CANARY"]);

        fixture.mount_with(&store, Some(&mnt), &["--instance", &instance]);
        assert!(control(&mnt, "verify").contains(" 0 files in trouble"));
        assert!(control(&mnt, "rewrap").contains("\n0 still using legacy keys\n"));
        assert_eq!(tokens(&store).into_values().collect::<Vec<_>>(), [MANY]);
        for number in 0..MANY {
            assert_eq!(fixture.seen(&name(number)), text(number));
        }
    }
    assert!(halfway > 0, "no rewrap was cut off in the middle");
    fixture.umount();
}
