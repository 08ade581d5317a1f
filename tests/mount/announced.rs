//! Programs that watch files in the mount: they learn of what is done behind it, and of what is done
//! through it exactly what they learn on a plain directory.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};

use crate::support::{Fixture, sh};

const OLD: &str = "name = \"old\"\npassword = \"hunter2-hunter2\"\n";
const NEW: &str = "name = \"much newer\"\npassword = \"hunter3-hunter3\"\nport = 5432\n";

/// All that a watch of a file and of its directory says of a change, but for reading.
fn all() -> WatchMask {
    WatchMask::OPEN
        | WatchMask::MODIFY
        | WatchMask::CLOSE_WRITE
        | WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::MOVE
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
}

/// Watches in one directory tree, and what they said so far: what is watched, which entry of it,
/// and the event.
struct Ear {
    inotify: Inotify,
    names: HashMap<WatchDescriptor, String>,
    heard: Vec<(String, String, EventMask)>,
}

impl Ear {
    fn at(root: &Path, watched: &[&str]) -> Self {
        let inotify = Inotify::init().unwrap();
        let watch = |name: &&str| {
            let watch = inotify.watches().add(root.join(name), all()).unwrap();
            (watch, (*name).to_owned())
        };
        let names = watched.iter().map(watch).collect();
        Self { inotify, names, heard: Vec::new() }
    }

    fn listen(&mut self) {
        let mut buffer = [0; 16 * 1024];
        let events = match self.inotify.read_events(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            other => other.unwrap(),
        };
        for event in events {
            let entry = event.name.unwrap_or_default().to_string_lossy().into_owned();
            let kind = event.mask - EventMask::ISDIR;
            self.heard.push((self.names[&event.wd].clone(), entry, kind));
        }
    }

    /// Listens until `event` of `entry` is heard at `watched`.
    fn wait_for(&mut self, watched: &str, entry: &str, event: EventMask) {
        let start = Instant::now();
        while !self.has_heard(watched, entry, event) {
            let late = start.elapsed() > Duration::from_secs(20);
            assert!(!late, "{event:?} of {watched}/{entry} is not heard, only {:?}", self.heard);
            std::thread::sleep(Duration::from_millis(2));
            self.listen();
        }
    }

    fn has_heard(&self, watched: &str, entry: &str, event: EventMask) -> bool {
        self.count(watched, entry, event) > 0
    }

    fn count(&self, watched: &str, entry: &str, event: EventMask) -> usize {
        let same = |(at, name, kind): &&(String, String, EventMask)| {
            at == watched && name == entry && *kind == event
        };
        self.heard.iter().filter(same).count()
    }

    /// What was heard of one entry of a directory.
    fn of(&self, watched: &str, entry: &str) -> Vec<EventMask> {
        let same = |(at, name, _): &&(String, String, EventMask)| at == watched && name == entry;
        self.heard.iter().filter(same).map(|(.., kind)| *kind).collect()
    }
}

const ONCE: [EventMask; 2] = [EventMask::OPEN, EventMask::CLOSE_WRITE];

/// A mount in which the files with these names have been read.
fn mounted(names: &[&str]) -> Fixture {
    let mut fixture = Fixture::new();
    for name in names {
        fixture.put(name, OLD);
    }
    fixture.mount();
    for name in names {
        assert_eq!(fixture.seen(name), OLD);
    }
    fixture
}

/// Changes `last.toml` behind the mount and waits until that is heard: by then all that was done
/// before has been, too.
fn in_the_end(fixture: &Fixture, ear: &mut Ear) {
    let last = fixture.store().join("last.toml");
    let longer = fs::read_to_string(&last).unwrap() + "# and on\n";
    fs::write(last, longer).unwrap();
    ear.wait_for("", "last.toml", EventMask::CLOSE_WRITE);
}

#[test]
fn a_change_in_place_is_announced_once_and_by_then_it_can_be_seen() {
    let fixture = mounted(&["app.toml", "last.toml"]);
    let mut ear = Ear::at(&fixture.mnt(), &["", "app.toml"]);
    for n in 1..=20 {
        let text = format!("{NEW}n = {n}\n");
        fs::write(fixture.store().join("app.toml"), &text).unwrap();
        let before = fs::metadata(fixture.store().join("app.toml")).unwrap();
        ear.heard.clear();
        ear.wait_for("app.toml", "", EventMask::CLOSE_WRITE);
        let size = fs::metadata(fixture.mnt().join("app.toml")).unwrap().size();
        assert_eq!(size, text.len() as u64);
        assert_eq!(fixture.seen("app.toml"), text);
        let after = fs::metadata(fixture.store().join("app.toml")).unwrap();
        let stamp =
            |m: &fs::Metadata| (m.ino(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec());
        assert_eq!(stamp(&before), stamp(&after), "announcing changes nothing");
        in_the_end(&fixture, &mut ear);
        let once = ear.of("", "app.toml");
        assert_eq!(once.iter().filter(|kind| **kind == EventMask::CLOSE_WRITE).count(), 1);
        assert!(!once.contains(&EventMask::MODIFY) && !once.contains(&EventMask::CREATE));
    }
}

#[test]
fn a_file_that_was_never_opened_is_announced_too() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", OLD).put("last.toml", OLD).mount();
    fs::metadata(fixture.mnt().join("last.toml")).unwrap();
    let mut ear = Ear::at(&fixture.mnt(), &["", "app.toml"]);
    fs::write(fixture.store().join("app.toml"), NEW).unwrap();
    ear.wait_for("app.toml", "", EventMask::CLOSE_WRITE);
    in_the_end(&fixture, &mut ear);
    assert_eq!(ear.of("app.toml", ""), ONCE);
}

#[test]
fn a_change_is_announced_in_a_mount_that_programs_cannot_write_to() {
    let mut fixture = Fixture::new();
    let (store, mnt) = (fixture.store(), fixture.mnt());
    fixture.put("app.toml", OLD).put("last.toml", OLD).mount_with(
        &store,
        Some(&mnt),
        &["--read-only"],
    );
    assert_eq!(fixture.seen("app.toml") + &fixture.seen("last.toml"), OLD.repeat(2));
    let refused = fs::write(mnt.join("app.toml"), NEW).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem);
    let mut ear = Ear::at(&mnt, &["", "app.toml"]);
    fs::write(store.join("app.toml"), NEW).unwrap();
    ear.wait_for("app.toml", "", EventMask::CLOSE_WRITE);
    in_the_end(&fixture, &mut ear);
    assert_eq!(fixture.seen("app.toml"), NEW);
}

#[test]
fn a_replacement_is_announced_in_the_directory_and_ends_the_watch_of_the_old_file() {
    let fixture = mounted(&["app.toml", "conf.d/app.toml", "last.toml"]);
    let mut ear = Ear::at(&fixture.mnt(), &["", "conf.d", "app.toml", "conf.d/app.toml"]);
    for (dir, file) in [("", "app.toml"), ("conf.d", "conf.d/app.toml")] {
        let (new, old) = (fixture.store().join("new"), fixture.store().join(file));
        fs::write(&new, NEW).unwrap();
        fs::rename(&new, &old).unwrap();
        ear.wait_for(dir, "app.toml", EventMask::CLOSE_WRITE);
        ear.wait_for(file, "", EventMask::DELETE_SELF);
        assert_eq!(fixture.seen(file), NEW);
    }
    in_the_end(&fixture, &mut ear);
    assert_eq!(ear.count("", "app.toml", EventMask::CLOSE_WRITE), 1);
    assert_eq!(ear.count("conf.d", "app.toml", EventMask::CLOSE_WRITE), 1);
}

#[test]
fn a_removal_is_announced_to_those_who_watch_the_file() {
    let fixture = mounted(&["app.toml", "last.toml"]);
    let mut ear = Ear::at(&fixture.mnt(), &["", "app.toml"]);
    fs::remove_file(fixture.store().join("app.toml")).unwrap();
    ear.wait_for("app.toml", "", EventMask::DELETE_SELF);
    in_the_end(&fixture, &mut ear);
    assert_eq!(ear.count("", "app.toml", EventMask::CLOSE_WRITE), 0);
}

#[test]
fn a_git_pull_in_the_store_is_announced() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", OLD).put("conf.d/app.toml", OLD).put("same.toml", OLD);
    let store = fixture.store();
    let git = "git -c user.name=a -c user.email=a@example.org";
    sh(&store, &format!("git init -q . && {git} add . && {git} commit -qm first"));
    sh(fixture.dir(), "git clone -q store elsewhere");
    fs::write(fixture.dir().join("elsewhere/app.toml"), NEW).unwrap();
    fs::write(fixture.dir().join("elsewhere/conf.d/app.toml"), NEW).unwrap();
    sh(&fixture.dir().join("elsewhere"), &format!("{git} commit -qam second"));
    fixture.mount();
    for name in ["app.toml", "conf.d/app.toml", "same.toml"] {
        assert_eq!(fixture.seen(name), OLD);
    }
    let mut ear = Ear::at(&fixture.mnt(), &["", "conf.d"]);
    sh(&store, "git pull -q ../elsewhere");
    for (dir, file) in [("", "app.toml"), ("conf.d", "conf.d/app.toml")] {
        ear.wait_for(dir, "app.toml", EventMask::CLOSE_WRITE);
        assert_eq!(fixture.seen(file), NEW);
    }
    fixture.put("same.toml", NEW);
    ear.wait_for("", "same.toml", EventMask::CLOSE_WRITE);
    for dir in ["", "conf.d"] {
        assert_eq!(ear.count(dir, "app.toml", EventMask::CLOSE_WRITE), 1, "{:?}", ear.heard);
    }
    assert_eq!(ear.count("", "same.toml", EventMask::CLOSE_WRITE), 1, "{:?}", ear.heard);
}

/// Saves as programs make them, in the directory `at`, which holds `app.toml`.
fn save_in_every_way(at: &Path) {
    let app = at.join("app.toml");
    fs::write(&app, NEW).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&app).unwrap();
    file.write_all(b"more = 1\n").unwrap();
    file.sync_all().unwrap();
    file.write_all(b"and = 2\n").unwrap();
    drop(file);
    fs::write(at.join("app.toml.new"), OLD).unwrap();
    fs::rename(at.join("app.toml.new"), &app).unwrap();
    fs::write(at.join("other.toml"), OLD).unwrap();
    fs::hard_link(at.join("other.toml"), at.join("link.toml")).unwrap();
    fs::write(at.join("link.toml"), NEW).unwrap();
    fs::remove_file(at.join("other.toml")).unwrap();
    drop(fs::OpenOptions::new().write(true).open(&app).unwrap());
    fs::write(&app, NEW).unwrap();
    fs::remove_file(&app).unwrap();
    fs::write(&app, OLD).unwrap();
}

#[test]
fn what_is_saved_through_the_mount_is_heard_as_in_a_plain_directory() {
    let fixture = mounted(&["app.toml", "last.toml"]);
    let plain = fixture.dir().join("plain");
    fs::create_dir(&plain).unwrap();
    fs::write(plain.join("app.toml"), OLD).unwrap();
    let mut there = Ear::at(&plain, &["", "app.toml"]);
    let mut here = Ear::at(&fixture.mnt(), &["", "app.toml"]);
    save_in_every_way(&plain);
    save_in_every_way(&fixture.mnt());
    there.listen();
    in_the_end(&fixture, &mut here);
    here.heard.retain(|(_, entry, _)| entry != "last.toml");
    assert_eq!(here.heard, there.heard);
}

#[test]
fn a_storm_is_announced_for_known_files_only_and_keeps_nobody_from_unmounting() {
    let mut fixture = mounted(&["app.toml", "last.toml"]);
    let store = fixture.store();
    fs::create_dir(store.join("many")).unwrap();
    let known: Vec<_> = (0..50).map(|n| format!("many/known-{n}.toml")).collect();
    for name in &known {
        fixture.put(name, OLD);
        assert_eq!(fixture.seen(name), OLD);
    }
    let mut ear = Ear::at(&fixture.mnt(), &["", "many"]);
    for n in 0..2000 {
        fs::write(store.join(format!("many/{n}.toml")), OLD).unwrap();
    }
    for name in &known {
        fs::write(store.join(name), NEW).unwrap();
    }
    for name in &known {
        ear.wait_for("many", name.trim_start_matches("many/"), EventMask::CLOSE_WRITE);
    }
    in_the_end(&fixture, &mut ear);
    assert!(
        ear.heard.iter().all(|(_, entry, _)| entry == "last.toml" || entry.starts_with("known"))
    );
    drop(ear);
    let ended = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut n = 0;
            while !ended.load(Ordering::Relaxed) {
                n += 1;
                fs::write(store.join(&known[n % known.len()]), format!("n = {n}\n")).unwrap();
            }
        });
        fixture.umount();
        ended.store(true, Ordering::Relaxed);
    });
}

#[test]
fn where_events_are_lost_everything_is_looked_at_again_and_announced() {
    let fixture = mounted(&["app.toml", "conf.d/app.toml"]);
    let (store, mnt) = (fixture.store(), fixture.mnt());
    let mut ear = Ear::at(&mnt, &["app.toml"]);
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    fixture.signal("STOP");
    for n in 0..=limit {
        // In turn: equal events that follow each other count as one.
        fs::write(store.join(["even", "odd"][n % 2]), "").unwrap();
    }
    // Of these nothing is heard any more.
    fs::write(store.join("app.toml"), NEW).unwrap();
    fs::remove_file(store.join("conf.d/app.toml")).unwrap();
    fs::write(store.join("later.toml"), NEW).unwrap();
    fixture.signal("CONT");
    ear.wait_for("app.toml", "", EventMask::CLOSE_WRITE);
    assert!(fixture.log().contains("faster than they could be followed"), "{}", fixture.log());
    assert_eq!(fs::metadata(mnt.join("app.toml")).unwrap().size(), NEW.len() as u64);
    assert_eq!(fixture.seen("app.toml"), NEW);
    assert_eq!(fixture.seen("later.toml"), NEW);
    let start = Instant::now();
    while mnt.join("conf.d/app.toml").exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "the removal is not seen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn old_descriptors_keep_what_they_had_when_git_replaces_the_file() {
    use std::os::unix::fs::FileExt;
    let fixture = mounted(&["app.toml"]);
    for n in 0..20 {
        // Two of one number that were made in one tick of the kernel's clock are one inode to us.
        std::thread::sleep(Duration::from_millis(15));
        let before = fixture.seen("app.toml");
        let file = File::open(fixture.mnt().join("app.toml")).unwrap();
        let stored = fixture.store().join("app.toml");
        let after = format!("{NEW}n = {n}\n");
        // As git does: the number of the old inode is often given to the new one.
        fs::remove_file(&stored).unwrap();
        fs::write(&stored, &after).unwrap();
        assert_eq!(fixture.seen("app.toml"), after);
        let mut text = vec![0; before.len() + 1];
        assert_eq!(file.read_at(&mut text, 0).unwrap(), before.len());
        assert_eq!(text[..before.len()], *before.as_bytes());
        assert_eq!(file.metadata().unwrap().nlink(), 0);
    }
}
