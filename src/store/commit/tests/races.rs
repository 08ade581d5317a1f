//! Commits against somebody else who replaces the same file: whoever wins, no version is lost.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;

/// How many commits are raced in memory, and how many on the disk, where what is kept is synced.
const ROUNDS: (usize, usize) = (10_000, 500);

fn rounds(fresh: &Fresh) -> usize {
    const TMPFS: u32 = 0x0102_1994;
    let kind = rustix::fs::statfs(fresh.place.path()).unwrap().f_type as u32;
    if kind == TMPFS { ROUNDS.0 } else { ROUNDS.1 }
}

/// Replaces `app.toml` over and over until `ended`, and says which versions it wrote and which it
/// found in their place: those it has seen.
fn other_writer(fresh: &Fresh, ended: &AtomicBool) -> (BTreeSet<String>, HashSet<String>) {
    let (mut wrote, mut saw) = (BTreeSet::new(), HashSet::new());
    let (own, target) = (fresh.path("pulled"), fresh.path("app.toml"));
    while !ended.load(Ordering::Relaxed) {
        let version = format!("theirs {}", wrote.len());
        std::fs::write(&own, &version).unwrap();
        renameat_with(CWD, &own, CWD, &target, RenameFlags::EXCHANGE).unwrap();
        wrote.insert(version);
        saw.insert(String::from_utf8(std::fs::read(&own).unwrap()).unwrap());
        // About every fifth commit is to meet one.
        for _ in 0..wrote.len() % 10 {
            std::thread::yield_now();
        }
    }
    std::fs::remove_file(own).unwrap();
    (wrote, saw)
}

/// What stands in the target. A read that is overtaken each time it is tried says so.
fn read(fresh: &Fresh) -> Vec<u8> {
    loop {
        match fresh.store.root().read(os("app.toml"), 100) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            read => return read.unwrap().bytes,
        }
    }
}

/// Ends the other writer, whatever becomes of this one.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn race(fresh: &Fresh, on_conflict: OnConflict) {
    fresh.put("app.toml", "first");
    let ended = AtomicBool::new(false);
    let (mut wrote, mut saw) = (BTreeSet::from(["first".to_owned()]), HashSet::new());
    let (mut conflicts, mut gave_way) = (0, 0);
    std::thread::scope(|threads| {
        let other = threads.spawn(|| other_writer(fresh, &ended));
        // Else a failure below would wait for the other one.
        let _end = EndOnDrop(&ended);
        for round in 0..rounds(fresh) {
            let seen = read(fresh);
            let version = format!("ours {round}");
            let commit = Commit { on_conflict, ..commit(version.as_bytes(), &seen) };
            match fresh.store.root().commit(os("app.toml"), &commit) {
                Ok(committed) => {
                    conflicts += usize::from(committed.conflict.is_some());
                    wrote.insert(version);
                    saw.insert(String::from_utf8(seen).unwrap());
                }
                Err(error) => {
                    assert_eq!(on_conflict, OnConflict::GiveWay, "{error}");
                    assert_eq!(error.source.raw_os_error(), Some(libc::ESTALE), "{error}");
                    gave_way += 1;
                }
            }
        }
        ended.store(true, Ordering::Relaxed);
        let (theirs, seen) = other.join().unwrap();
        wrote.extend(theirs);
        saw.extend(seen);
    });
    // What a commit that gave way could not put back.
    fresh.store.recover(&|_, bytes| seal(bytes)).unwrap();
    assert!(fresh.temporaries(".").is_empty());
    for version in kept(fresh) {
        let version = String::from_utf8(version).unwrap();
        saw.insert(version.strip_prefix("sealed:").expect("it is sealed").to_owned());
    }
    saw.insert(String::from_utf8(fresh.content("app.toml")).unwrap());
    let lost: Vec<_> = wrote.iter().filter(|version| !saw.contains(*version)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), wrote.len());
    assert!(conflicts + gave_way > 0, "they never met");
}

#[test]
fn no_version_is_lost_to_a_writer_in_the_store() {
    on_each_filesystem(Means::ALL, |fresh| race(fresh, OnConflict::Keep));
}

#[test]
fn a_commit_that_gives_way_loses_no_version_either() {
    on_each_filesystem(Means::ALL, |fresh| race(fresh, OnConflict::GiveWay));
}
