//! Changes made to the store behind the mount, as inotify tells them.
//!
//! One watch per directory. A watch holds on to the inode, not to the name: it goes on under a
//! mount that covers the store, and through renames of the directory. Our own commits show up
//! too, as [`Kind::MovedFrom`] and [`Kind::MovedTo`] of the target: whoever reads the events
//! knows them by the stamp.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask, Watches};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::dir::Dir;
use super::is_reserved;

/// Room for some hundred events; the smallest that always takes one is 272 bytes.
const BUFFER: usize = 16 * 1024;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An entry's content was written.
    Changed,
    /// An entry was closed by somebody who could write it.
    Closed,
    /// An entry's metadata changed; without a name, the directory's own.
    Attributes,
    /// An entry was made.
    Created,
    /// An entry was removed.
    Removed,
    /// An entry was renamed, and had this name.
    MovedFrom,
    /// An entry was renamed, and has this name now.
    MovedTo,
    /// The directory was removed, or its filesystem unmounted; the watch is gone.
    SelfGone,
    /// Events were lost: everything may have changed. The tag means nothing.
    Overflow,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The tag under which the directory was added.
    pub tag: u64,
    /// The entry; `None` when it is about the directory itself.
    pub name: Option<OsString>,
    /// What happened to it.
    pub kind: Kind,
}

/// Watches directories. One thread waits; any may add, remove and wake.
pub struct Watcher {
    /// Taken by the waiting thread while it reads, never while it sleeps.
    events: Mutex<Inotify>,
    /// Taken after `events`. Held over `inotify_add_watch`, which does not sleep, so that an
    /// event never comes before its tag is known.
    watched: Mutex<Watched>,
    bell: OwnedFd,
}

struct Watched {
    watches: Watches,
    by_tag: HashMap<u64, WatchDescriptor>,
    by_watch: HashMap<WatchDescriptor, u64>,
}

impl Watcher {
    /// A watcher of nothing yet. EMFILE when the user has too many of them
    /// (`fs.inotify.max_user_instances`).
    pub fn new() -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let watches = inotify.watches();
        let bell = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let watched = Watched { watches, by_tag: HashMap::new(), by_watch: HashMap::new() };
        Ok(Self { events: Mutex::new(inotify), watched: Mutex::new(watched), bell })
    }

    /// Watches `dir`; its events carry `tag`. A directory that is watched already gets the new
    /// tag. ENOSPC when the user has too many watches (`fs.inotify.max_user_watches`).
    pub fn add(&self, tag: u64, dir: &Dir) -> io::Result<()> {
        let mask = WatchMask::MODIFY
            | WatchMask::CLOSE_WRITE
            | WatchMask::ATTRIB
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVE
            | WatchMask::DELETE_SELF
            | WatchMask::EXCL_UNLINK
            | WatchMask::ONLYDIR;
        let mut watched = self.watched.lock();
        let watch = watched.watches.add(dir.watch_path(), mask)?;
        if let Some(former) = watched.by_watch.insert(watch.clone(), tag) {
            watched.by_tag.remove(&former);
        }
        if let Some(former) = watched.by_tag.insert(tag, watch.clone())
            && former != watch
        {
            watched.drop_watch(former);
        }
        Ok(())
    }

    /// Ends the watch of the directory added as `tag`, if there is one.
    pub fn remove(&self, tag: u64) {
        let mut watched = self.watched.lock();
        if let Some(watch) = watched.by_tag.remove(&tag) {
            watched.drop_watch(watch);
        }
    }

    /// Waits for events, at most `timeout` (`None`: without end). Returns what there is; nothing
    /// after the timeout or a [`Watcher::wake`]. Events of temporaries are left out.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<Vec<Event>> {
        let timeout = timeout.map(Timespec::try_from).transpose();
        let timeout = timeout.map_err(|_| Errno::INVAL)?;
        // A descriptor outlives the lock: it is the watcher's own, and `self` is borrowed.
        let inotify = rustix::io::dup(self.events.lock().as_fd())?;
        let mut fds =
            [PollFd::new(&inotify, PollFlags::IN), PollFd::new(&self.bell, PollFlags::IN)];
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        if !fds[1].revents().is_empty() {
            let mut count = [0; 8];
            match rustix::io::read(&self.bell, &mut count) {
                Ok(_) | Err(Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.read()
    }

    /// Makes the wait that is going on, or else the next one, return at once.
    pub fn wake(&self) -> io::Result<()> {
        match rustix::io::write(&self.bell, &1u64.to_ne_bytes()) {
            // AGAIN: rung more often than can be counted.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self) -> io::Result<Vec<Event>> {
        let mut buffer = [0; BUFFER];
        let mut inotify = self.events.lock();
        let raw = match inotify.read_events(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
            other => other?,
        };
        let mut watched = self.watched.lock();
        let mut events = Vec::new();
        for event in raw {
            if event.mask.contains(EventMask::Q_OVERFLOW) {
                events.push(Event { tag: 0, name: None, kind: Kind::Overflow });
                continue;
            }
            // Of a watch that was removed, or replaced, in the meantime.
            let Some(&tag) = watched.by_watch.get(&event.wd) else { continue };
            if event.mask.contains(EventMask::IGNORED) {
                watched.by_watch.remove(&event.wd);
                watched.by_tag.remove(&tag);
                continue;
            }
            if event.name.is_some_and(is_reserved) {
                continue;
            }
            let name = event.name.map(ToOwned::to_owned);
            let unnamed = event.name.is_some_and(is_of_unnamed_file);
            let seen = kinds(event.mask)
                .filter(|kind| {
                    !(unnamed && matches!(kind, Kind::Changed | Kind::Closed | Kind::Attributes))
                })
                .map(|kind| Event { tag, name: name.clone(), kind });
            // A program that writes in small pieces makes one event of each.
            events.extend(seen.filter(|event| events.last() != Some(event)).collect::<Vec<_>>());
        }
        Ok(events)
    }
}

impl Watched {
    fn drop_watch(&mut self, watch: WatchDescriptor) {
        self.by_watch.remove(&watch);
        // EINVAL: the kernel has dropped it already, with its directory.
        if let Err(error) = self.watches.remove(watch)
            && error.raw_os_error() != Some(Errno::INVAL.raw_os_error())
        {
            log::debug!("a watch could not be removed: {error}");
        }
    }
}

/// Whether the kernel made up `name`: what is done to a file without a name (`O_TMPFILE`), by
/// every commit of ours for one, it tells of `#` and the inode number. A file that is really
/// called so is noticed when it comes and goes, and for the rest when it is next opened.
fn is_of_unnamed_file(name: &OsStr) -> bool {
    let digits = name.as_bytes().strip_prefix(b"#").unwrap_or_default();
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn kinds(mask: EventMask) -> impl Iterator<Item = Kind> {
    let table = [
        (EventMask::MODIFY, Kind::Changed),
        (EventMask::CLOSE_WRITE, Kind::Closed),
        (EventMask::ATTRIB, Kind::Attributes),
        (EventMask::CREATE, Kind::Created),
        (EventMask::DELETE, Kind::Removed),
        (EventMask::MOVED_FROM, Kind::MovedFrom),
        (EventMask::MOVED_TO, Kind::MovedTo),
        (EventMask::DELETE_SELF | EventMask::UNMOUNT, Kind::SelfGone),
    ];
    table.into_iter().filter(move |(bits, _)| mask.intersects(*bits)).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{Commit, MtimeRule};
    use super::*;
    use std::time::Instant;

    const SOON: Option<Duration> = Some(Duration::from_secs(5));
    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

    /// All events there are, after waiting for the first.
    fn events(watcher: &Watcher) -> Vec<(u64, String, Kind)> {
        let mut all = watcher.wait(SOON).unwrap();
        loop {
            let more = watcher.wait(AT_ONCE).unwrap();
            if more.is_empty() {
                let name = |name: Option<OsString>| name.map(|n| n.into_string().unwrap());
                let flat = |e: Event| (e.tag, name(e.name).unwrap_or_default(), e.kind);
                return all.into_iter().map(flat).collect();
            }
            all.extend(more);
        }
    }

    #[test]
    fn changes_are_told_with_their_directory_and_name() {
        let fresh = Fresh::new();
        std::fs::create_dir(fresh.path("sub")).unwrap();
        let root = fresh.store.root();
        let sub = root.open_dir(os("sub")).unwrap();
        let watcher = Watcher::new().unwrap();
        watcher.add(1, root).unwrap();
        watcher.add(2, &sub).unwrap();
        let one = |tag, name: &str, kind| (tag, name.to_owned(), kind);

        fresh.put("a", "x");
        let written = [Kind::Created, Kind::Changed, Kind::Closed].map(|kind| one(1, "a", kind));
        assert_eq!(events(&watcher), written);
        root.rename(os("a"), &sub, os("b"), super::super::RenameFlags::Plain).unwrap();
        assert_eq!(events(&watcher), [one(1, "a", Kind::MovedFrom), one(2, "b", Kind::MovedTo)]);
        sub.set_mode(os("b"), 0o600).unwrap();
        assert_eq!(events(&watcher), [one(2, "b", Kind::Attributes)]);
        sub.unlink(os("b")).unwrap();
        assert_eq!(events(&watcher), [one(2, "b", Kind::Removed)]);
        drop(sub);
        root.rmdir(os("sub")).unwrap();
        let gone = events(&watcher);
        // The inode goes when its last descriptor does, so this may be said before or after.
        assert!(gone.contains(&one(2, "", Kind::SelfGone)), "{gone:?}");
        assert!(gone.contains(&one(1, "sub", Kind::Removed)), "{gone:?}");
        watcher.remove(1);
        watcher.remove(2);
        fresh.put("c", "x");
        assert!(watcher.wait(AT_ONCE).unwrap().is_empty());
    }

    #[test]
    fn a_commit_shows_its_target_and_no_temporary() {
        let fresh = Fresh::new();
        fresh.put("app.toml", "old");
        let root = fresh.store.root();
        let watcher = Watcher::new().unwrap();
        watcher.add(7, root).unwrap();
        let commit = Commit {
            content: b"new",
            expected: Some(b"old"),
            moved_from: None,
            on_conflict: crate::store::OnConflict::Keep,
            durable: false,
            mtime: MtimeRule::NotBefore(crate::store::Time::now()),
            seal_kept: &seal,
        };
        root.commit(os("app.toml"), &commit).unwrap();
        let events = events(&watcher);
        assert!(events.contains(&(7, "app.toml".into(), Kind::MovedTo)), "{events:?}");
        assert!(events.iter().all(|(_, name, _)| name == "app.toml"), "{events:?}");
    }

    #[test]
    fn a_tag_can_move_to_another_directory() {
        let fresh = Fresh::new();
        fresh.put("a/x", "");
        fresh.put("b/x", "");
        let open = |name| fresh.store.root().open_dir(os(name)).unwrap();
        let watcher = Watcher::new().unwrap();
        watcher.add(1, &open("a")).unwrap();
        watcher.add(1, &open("b")).unwrap();
        watcher.add(2, &open("b")).unwrap();
        fresh.put("a/y", "");
        fresh.put("b/y", "");
        let tags: Vec<_> = events(&watcher).into_iter().map(|(tag, ..)| tag).collect();
        assert!(!tags.is_empty() && tags.iter().all(|tag| *tag == 2), "{tags:?}");
    }

    #[test]
    fn a_wait_ends_when_woken() {
        let watcher = Watcher::new().unwrap();
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| watcher.wait(None).unwrap());
            watcher.wake().unwrap();
            assert!(waiting.join().unwrap().is_empty());
        });
        let start = Instant::now();
        assert!(watcher.wait(Some(Duration::from_millis(30))).unwrap().is_empty());
        assert!(start.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn lost_events_are_told() {
        let fresh = Fresh::new();
        let watcher = Watcher::new().unwrap();
        watcher.add(1, fresh.store.root()).unwrap();
        let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let limit: usize = limit.trim().parse().unwrap();
        for name in 0..=limit / 4 {
            // Four events each: made, changed by closing, and two of the removal at least.
            let (a, b) = (fresh.path(&format!("{name}")), fresh.path(&format!("{name}b")));
            std::fs::write(&a, "").unwrap();
            std::fs::rename(&a, &b).unwrap();
            std::fs::remove_file(b).unwrap();
        }
        assert!(events(&watcher).iter().any(|(.., kind)| *kind == Kind::Overflow));
    }
}
