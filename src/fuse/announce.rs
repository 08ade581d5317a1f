//! Telling programs that watch files in the mount of changes made behind it.
//!
//! The kernel tells watchers (inotify, fanotify) only of what is done through the mount. So that is
//! what happens: a changed file is opened for writing through the mount and closed, and nothing is
//! written. Watchers see IN_OPEN and IN_CLOSE_WRITE.
//!
//! What must stay true:
//! - no lock is held and no request waits while a file is opened: the requests of that open have to
//!   be answered by the other threads;
//! - the mount is not kept busy: files are reached through a copy of it that is attached nowhere and
//!   lives for one batch, so an `umount` succeeds at any time;
//! - the open is known for our own where it arrives, and does nothing there.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::mount::Attachment;
use crate::path::RelPath;

/// How long it has to be quiet before a change is announced: a file that is emptied and filled
/// again changed once.
const QUIET: Duration = Duration::from_millis(20);

/// How long the first change waits at most.
const PATIENCE: Duration = Duration::from_millis(250);

/// How many files are announced through one copy of the mount, which delays the end of a session
/// whose mount is taken away meanwhile.
const BATCH: usize = 64;

/// Tells the opens that announce from those of programs.
#[derive(Clone, Debug, Default)]
pub struct OwnOpens {
    /// The thread that announces, by the number that requests bear; 0 when there is none.
    thread: Arc<AtomicU32>,
    /// Held while a batch is announced.
    announcing: Arc<Mutex<()>>,
    /// Held while the kernel is told what to forget.
    invalidating: Arc<Mutex<()>>,
}

impl OwnOpens {
    /// Whether a request of `thread` is the announcer's.
    pub(super) fn include(&self, thread: u32) -> bool {
        // 0: a thread of another PID namespace, which has no number here.
        thread != 0 && thread == self.thread.load(Ordering::Relaxed)
    }

    /// Ends what makes the kernel ask us something, or wait until we have answered: announcements and
    /// invalidations. Waits for those under way.
    pub(super) fn stop(&self) {
        std::mem::forget(self.announcing.lock());
        std::mem::forget(self.invalidating.lock());
    }

    fn begin(&self) {
        let thread = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        self.thread.store(thread, Ordering::Relaxed);
    }

    fn end(&self) {
        self.thread.store(0, Ordering::Relaxed);
    }
}

/// Takes changes to be announced.
pub struct Announcer {
    queue: Sender<RelPath>,
    own: OwnOpens,
}

impl Announcer {
    /// Starts the thread that announces in the mount at `attachment`, whose wire knows `own`.
    pub fn start(attachment: Attachment, own: OwnOpens) -> io::Result<Self> {
        let (queue, changes) = channel();
        std::thread::Builder::new().name("announce".into()).spawn({
            let own = own.clone();
            move || announce_all(&changes, &attachment, &own)
        })?;
        Ok(Self { queue, own })
    }

    /// Held by whoever tells the kernel what to forget.
    pub(super) fn invalidating(&self) -> MutexGuard<'_, ()> {
        self.own.invalidating.lock()
    }

    /// `file` has changed; returns at once.
    pub(super) fn changed(&self, file: RelPath) {
        // The thread ends only with the process; what is lost then matters to nobody.
        let _ = self.queue.send(file);
    }
}

fn announce_all(changes: &Receiver<RelPath>, attachment: &Attachment, own: &OwnOpens) {
    while let Ok(first) = changes.recv() {
        let files = settle(first, changes);
        for batch in files.chunks(BATCH) {
            let _turn = own.announcing.lock();
            let done = attachment.look_in(|mount| {
                own.begin();
                batch.iter().for_each(|file| told(file, announce(mount, file)));
                own.end();
            });
            match done {
                Ok(()) => {}
                // Taken away, or covered: nobody can watch.
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => {
                    log::debug!("changes in the store are not announced in the mount: {error}");
                    break;
                }
            }
        }
    }
}

/// Each file once, in the order in which they changed first, when no more come.
fn settle(first: RelPath, changes: &Receiver<RelPath>) -> Vec<RelPath> {
    let until = Instant::now() + PATIENCE;
    let mut seen = HashSet::from([first.clone()]);
    let mut files = vec![first];
    loop {
        let wait = QUIET.min(until.saturating_duration_since(Instant::now()));
        match changes.recv_timeout(wait) {
            Ok(file) if seen.insert(file.clone()) => files.push(file),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return files,
        }
        if Instant::now() >= until {
            return files;
        }
    }
}

/// Opens `file` for writing below `mount`, and closes it.
fn announce(mount: BorrowedFd<'_>, file: &RelPath) -> io::Result<()> {
    let open = |flags| {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inside = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(mount, file.as_os_str(), flags, Mode::empty(), inside)
    };
    let place = open(OFlags::PATH)?;
    if may_be_opened(&rustix::fs::fstat(place.as_fd())?) {
        drop(open(OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?);
    }
    Ok(())
}

/// Not a pipe, whose reader would take it for a writer; not a program, which could not be started
/// at that moment (ETXTBSY).
fn may_be_opened(stat: &Stat) -> bool {
    let executable = Mode::XUSR | Mode::XGRP | Mode::XOTH;
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && !Mode::from_raw_mode(stat.st_mode).intersects(executable)
}

fn told(file: &RelPath, result: io::Result<()>) {
    match result.map_err(|error| (Errno::from_io_error(&error), error)) {
        Ok(()) => {}
        // Gone again, or not there for writing: nothing to tell.
        Err((Some(Errno::NOENT | Errno::ROFS | Errno::ACCESS | Errno::PERM), _)) => {}
        Err((_, error)) => log::debug!("{file}: a change is not announced in the mount: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> RelPath {
        RelPath::new(name).unwrap()
    }

    #[test]
    fn a_file_that_changes_again_and_again_is_one_change() {
        let (queue, changes) = channel();
        for name in ["a", "b", "a", "c", "b"] {
            queue.send(file(name)).unwrap();
        }
        drop(queue);
        let first = changes.recv().unwrap();
        assert_eq!(settle(first, &changes), [file("a"), file("b"), file("c")]);
    }

    #[test]
    fn a_store_that_never_rests_is_announced_all_the_same() {
        let (queue, changes) = channel();
        let busy = std::thread::spawn(move || while queue.send(file("b")).is_ok() {});
        assert_eq!(settle(file("a"), &changes), [file("a"), file("b")]);
        drop(changes);
        busy.join().unwrap();
    }

    #[test]
    fn a_request_without_a_thread_is_nobody_s() {
        let own = OwnOpens::default();
        assert!(!own.include(0));
        own.begin();
        let here = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        assert!(own.include(here) && !own.include(0));
        own.end();
        assert!(!own.include(here));
    }

    #[test]
    fn pipes_and_programs_are_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let stat = |mode: u32| {
            let path = place.path().join(format!("{mode:o}"));
            let kind = FileType::from_raw_mode(mode);
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, Mode::from_raw_mode(mode), 0)
                .unwrap();
            rustix::fs::stat(&path).unwrap()
        };
        assert!(may_be_opened(&stat(libc::S_IFREG | 0o640)));
        assert!(!may_be_opened(&stat(libc::S_IFREG | 0o744)));
        assert!(!may_be_opened(&stat(libc::S_IFIFO | 0o600)));
    }
}
