//! Programs that save through the mount, and others that replace the same files in the store at the
//! same time: every version is the last, was seen by who replaced it, or is kept, sealed.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::calls::names;
use crate::support::{Fixture, sh, text};

const ROUNDS: usize = 400;

/// Lets the other threads end when a test does, whichever way.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Saves through one descriptor: reads what stands there, and writes over it. What it read.
fn save(path: &Path, version: &str) -> std::io::Result<String> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut seen = String::new();
    file.read_to_string(&mut seen)?;
    file.rewind()?;
    file.write_all(version.as_bytes())?;
    Ok(seen)
}

/// What `confseal view` says of every kept version.
pub(super) fn kept_versions(fixture: &Fixture) -> Vec<String> {
    let dir = fixture.store().join(".confseal/kept");
    let key = ["--key".to_owned(), fixture.source("master")];
    let view = |name: String| {
        let path = dir.join(&name).display().to_string();
        assert!(fs::read_to_string(&path).unwrap().starts_with("ENC:file:v1:"), "{name} is sealed");
        let said = fixture.confseal(["view".to_owned(), path].iter().chain(&key));
        assert!(said.status.success(), "{}", text(&said));
        String::from_utf8(said.stdout).unwrap()
    };
    if dir.exists() { names(&dir).into_iter().map(view).collect() } else { Vec::new() }
}

#[test]
fn no_version_is_lost_between_the_mount_and_the_store() {
    let mut fixture = Fixture::new();
    // Of one length: a save is one write, and no file ever has to be cut.
    let version = |whose: &str, n: usize| format!("# {whose:>6} {n:>6}\nport = 1\n");
    let first = version("first", 0);
    fixture.put("app.toml", &first).mount();
    let ended = AtomicBool::new(false);
    let (mut wrote, mut seen) = (BTreeSet::from([first]), HashSet::new());
    let (own, target) = (fixture.dir().join("pulled"), fixture.store().join("app.toml"));
    std::thread::scope(|threads| {
        let other = threads.spawn(|| {
            let (mut wrote, mut seen) = (BTreeSet::new(), HashSet::new());
            while !ended.load(Ordering::Relaxed) {
                let version = version("theirs", wrote.len());
                fs::write(&own, &version).unwrap();
                renameat_with(CWD, &own, CWD, &target, RenameFlags::EXCHANGE).unwrap();
                wrote.insert(version);
                seen.insert(fs::read_to_string(&own).unwrap());
                fs::remove_file(&own).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(500));
            }
            (wrote, seen)
        });
        let ends = Ends(&ended);
        for round in 0..ROUNDS {
            let version = version("ours", round);
            match save(&fixture.mnt().join("app.toml"), &version) {
                Ok(read) => {
                    wrote.insert(version);
                    seen.insert(read);
                }
                // Replaced between the look-up and the open, again and again.
                Err(error) => assert_eq!(error.kind(), ErrorKind::StaleNetworkFileHandle),
            }
        }
        drop(ends);
        let (theirs, saw) = other.join().unwrap();
        wrote.extend(theirs);
        seen.extend(saw);
    });
    let status: serde_json::Value =
        serde_json::from_str(&fixture.seen(".confseal/status")).unwrap();
    let listed = status["kept"].as_array().unwrap().len();
    fixture.umount();
    let kept = kept_versions(&fixture);
    assert_eq!(listed, kept.len(), "status shows what is kept");
    assert!(!kept.is_empty(), "they never met");
    seen.extend(kept);
    seen.insert(fixture.stored("app.toml"));
    let lost: Vec<_> = wrote.iter().filter(|version| !seen.contains(*version)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), wrote.len());
}

#[test]
fn a_rewrap_and_a_pull_and_saves_at_once_lose_nothing() {
    let mut fixture = Fixture::new();
    let text = |n: usize| format!("n = {n}\npassword = \"CANARY-of-{n:04}\"\n");
    for name in ["pulled.toml", "saved.toml"] {
        fixture.put(name, text(0));
    }
    fixture.seal();
    let git = "git -c user.name=a -c user.email=a@example.org";
    let (store, elsewhere) = (fixture.store(), fixture.dir().join("elsewhere"));
    fs::write(store.join(".gitignore"), "/.confseal/\nsaved.toml\n").unwrap();
    sh(&store, &format!("git init -q . && {git} add . && {git} commit -qm first"));
    sh(fixture.dir(), "git clone -q store elsewhere");
    // Sealed text that the store has not seen yet: what another host committed.
    for n in 1..=20 {
        let line = format!(
            "printf '# pulled {n}\\n' >> pulled.toml && {git} commit -qam {n} && git tag v{n}"
        );
        sh(&elsewhere, &line);
    }
    fixture.mount();
    let ended = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let rewraps = threads.spawn(|| {
            let mut rewraps = 0;
            while !ended.load(Ordering::Relaxed) {
                let (done, answer) = fixture.control("rewrap --all");
                assert_eq!(done, Ok(()), "{answer}");
                rewraps += 1;
            }
            rewraps
        });
        let saves = threads.spawn(|| {
            let mut n = 0;
            while !ended.load(Ordering::Relaxed) {
                n += 1;
                fs::write(fixture.mnt().join("saved.toml"), text(n)).unwrap();
            }
            n
        });
        let ends = Ends(&ended);
        for n in 1..=20 {
            // A pull: what the rewrap left in the work tree is set aside for the commit's version.
            // Git gives up on a file that comes back in that very moment; its user would not.
            let pull = "git fetch -q ../elsewhere";
            let reset = "git reset -q --hard FETCH_HEAD";
            sh(&store, &format!("{pull} v{n} && {{ {reset} || {reset} || {reset}; }}"));
        }
        drop(ends);
        assert!(rewraps.join().unwrap() > 0);
        let last = saves.join().unwrap();
        assert_eq!(fixture.seen("saved.toml"), text(last));
    });
    let comments: String = (1..=20).map(|n| format!("# pulled {n}\n")).collect();
    assert_eq!(fixture.seen("pulled.toml"), text(0) + &comments);
    fixture.umount();
    let of_saved = |name: &String| name.starts_with("saved.toml");
    let kept = fixture.store().join(".confseal/kept");
    assert!(!kept.exists() || !names(&kept).iter().any(of_saved), "saves conflicted with nobody");
    for view in kept_versions(&fixture) {
        assert!(view.starts_with(&text(0)), "a kept version opens: {view}");
    }
    // The commits themselves are sealed, so git may hold them.
    fixture.assert_sealed(&["CANARY-of-"]);
}
