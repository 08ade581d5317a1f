//! The control room: `.confseal/` in the mount. Not listed in the root, always reachable by name.
//!
//! Its files have no pages in the kernel's cache (direct I/O), and each open of one is a handle
//! with an answer of its own.

mod command;
mod metrics;
mod recorded;
mod status;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::node::CONTROL;
use super::{
    Attr, Caller, DirEntry, Entry, Error, Filesystem, Ino, OpenReply, ROOT, ReadData, Result,
};
use crate::store::{CONTROL_DIR, FileKind, Time};

use command::Answer;

/// Whether a node belongs to the control room.
pub fn is_control(ino: Ino) -> bool {
    ino.0 >= CONTROL
}

/// The directory itself.
const DIRECTORY: Ino = Ino(CONTROL);

/// What the control room holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Item {
    Control,
    Status,
    Metrics,
    Policy,
    Fingerprint,
}

impl Item {
    const ALL: [Item; 5] =
        [Item::Control, Item::Status, Item::Metrics, Item::Policy, Item::Fingerprint];

    fn name(self) -> &'static str {
        match self {
            Item::Control => "control",
            Item::Status => "status",
            Item::Metrics => "metrics",
            Item::Policy => "policy.toml",
            Item::Fingerprint => "fingerprint",
        }
    }

    fn mode(self) -> u32 {
        match self {
            Item::Control => 0o600,
            Item::Status => 0o440,
            Item::Metrics | Item::Policy | Item::Fingerprint => 0o444,
        }
    }

    fn ino(self) -> Ino {
        Ino(CONTROL + 1 + self as u64)
    }

    fn of(ino: Ino) -> Option<Self> {
        Self::ALL.into_iter().find(|item| item.ino() == ino)
    }
}

#[derive(Default)]
pub(super) struct Room {
    next: AtomicU64,
    /// What each open handle reads. Held for moments.
    handles: Mutex<HashMap<u64, Reading>>,
    /// The last answer of each user, for whoever opens `control` anew. Held for moments.
    last: Mutex<HashMap<u32, Answer>>,
    /// One walk at a time: rewraps and verifies queue here.
    walking: Arc<Mutex<()>>,
    jobs: Mutex<Vec<Arc<command::Job>>>,
}

/// One open handle. The kernel keeps no position for a stream, so we do; a write starts over.
struct Reading {
    answer: Answer,
    /// The text as it was when reading began, and how far it has been read.
    begun: Option<(Arc<str>, usize)>,
}

impl Reading {
    fn new(answer: Answer) -> Self {
        Self { answer, begun: None }
    }

    fn next(&mut self, size: usize) -> ReadData {
        let (text, at) = self.begun.get_or_insert_with(|| (self.answer.text(), 0));
        let end = at.saturating_add(size).min(text.len());
        let piece = &text.as_bytes()[*at..end];
        *at = end;
        ReadData::Own(piece.into())
    }
}

impl Room {
    pub(super) fn list(&self) -> Vec<DirEntry> {
        let entry = |ino, kind, name: &str| DirEntry { ino, kind, name: name.into() };
        let mut entries =
            vec![entry(DIRECTORY, FileKind::Dir, "."), entry(ROOT, FileKind::Dir, "..")];
        let files = Item::ALL.into_iter();
        entries.extend(files.map(|item| entry(item.ino(), FileKind::File, item.name())));
        entries
    }
}

impl Filesystem {
    /// The answer to a lookup that concerns the control room; `None` for any other.
    pub(super) fn control_lookup(&self, parent: Ino, name: &OsStr) -> Option<Result<Entry>> {
        let ino = match parent {
            ROOT if name == CONTROL_DIR => DIRECTORY,
            DIRECTORY => match Item::ALL.into_iter().find(|item| name == item.name()) {
                Some(item) => item.ino(),
                None => return Some(Err(Error::NotFound)),
            },
            parent if is_control(parent) => return Some(Err(Error::NotADirectory)),
            _ => return None,
        };
        Some(self.control_attr(ino))
    }

    /// The attributes of a file of the control room.
    pub(super) fn control_attr(&self, ino: Ino) -> Result<Entry> {
        let (kind, mode, nlink) = match Item::of(ino) {
            Some(item) => (FileKind::File, item.mode(), 1),
            None if ino == DIRECTORY => (FileKind::Dir, 0o555, 2),
            None => return Err(Error::Stale),
        };
        let owner = self.store.root().metadata()?;
        let now = Time::now();
        let attr = Attr {
            ino,
            kind,
            mode,
            nlink,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            size: 0,
            blocks: 0,
            blksize: owner.blksize,
            atime: now,
            mtime: now,
            ctime: now,
        };
        Ok(Entry { attr, ttl: std::time::Duration::from_secs(1) })
    }

    /// Opens a file of the control room; its content is fixed here, but for `control`'s.
    pub(super) fn control_open(&self, caller: Caller, ino: Ino, write: bool) -> Result<OpenReply> {
        let item = Item::of(ino).ok_or(Error::IsADirectory)?;
        if write && item != Item::Control {
            return Err(Error::ReadOnly);
        }
        let answer = match item {
            Item::Control => {
                self.control.last.lock().get(&caller.uid).cloned().unwrap_or_else(Answer::help)
            }
            Item::Status => Answer::Text(self.status_text()?.into()),
            Item::Metrics => Answer::Text(self.metrics_text()?.into()),
            Item::Policy => Answer::Text(self.state_text("policy.toml")?),
            Item::Fingerprint => Answer::Text(self.state_text("fingerprint")?),
        };
        let handle = self.control.next.fetch_add(1, Ordering::Relaxed) + 1;
        self.control.handles.lock().insert(handle, Reading::new(answer));
        Ok(OpenReply { handle, keep_cache: false, no_flush: true, direct: true })
    }

    /// The next piece of what a handle holds.
    pub(super) fn control_read(&self, handle: u64, size: u32) -> Result<ReadData> {
        let mut handles = self.control.handles.lock();
        Ok(handles.get_mut(&handle).ok_or(Error::Stale)?.next(size as usize))
    }

    /// Runs the command in `line`. Returns when it is done, or goes on as a job after 10 s.
    pub fn control_write(
        self: &Arc<Self>,
        caller: Caller,
        ino: Ino,
        handle: u64,
        line: &[u8],
    ) -> Result<u32> {
        if Item::of(ino) != Some(Item::Control) {
            return Err(Error::ReadOnly);
        }
        let (answer, result) = self.run(caller, line);
        self.control.last.lock().insert(caller.uid, answer.clone());
        if let Some(held) = self.control.handles.lock().get_mut(&handle) {
            *held = Reading::new(answer);
        }
        result.map(|()| u32::try_from(line.len()).unwrap_or(u32::MAX))
    }

    /// A handle is closed.
    pub(super) fn control_release(&self, handle: u64) {
        self.control.handles.lock().remove(&handle);
    }

    fn state_text(&self, name: &str) -> Result<Arc<str>> {
        let text = self.store.read_state(name)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&text).into())
    }
}
