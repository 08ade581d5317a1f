//! The filesystem on plain structs: what the mount does, testable without a mount.
//!
//! What must stay true:
//! - plaintext lives in the buffers and views of `file` only; everything that leaves for the store has
//!   gone through `document::Sealing`;
//! - a node's identity is ours: commits, which replace the inode in the store, keep the number;
//! - locks are taken in this order: a node's `state` (two of them by ascending number), then the
//!   node table, then a node's `links`. Store I/O is done under a node's `state` at most, never
//!   under a lock that other nodes need.

mod announce;
mod attributes;
mod cache;
mod census;
mod commit;
mod control;
mod directory;
mod errno;
mod file;
mod io;
mod load;
mod names;
mod node;
mod recent;
mod recovery;
mod remembered;
mod rename;
mod requests;
mod rewrap;
mod rules;
mod service;
mod size;
mod trouble;
mod watch;

#[cfg(test)]
mod testing;

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

pub use attributes::{Attr, Entry, NewTime, SetAttr};
pub use control::is_control;
pub use directory::{DirEntry, Listing};
pub use errno::Error;
pub use io::{OpenMode, OpenReply, ReadData};
pub use node::{Ino, ROOT};
pub use requests::{Op, Requests};
pub use rewrap::Progress;
pub use rules::{Acceptance, Reload, Reloaded};
pub use trouble::{Trouble, TroubleKind};

use crate::audit::Trail;
use crate::document::Sealing;
use crate::path::RelPath;
use crate::pins::Pins;
use crate::store::{Dir, Metadata, Store};
pub use crate::store::{FileKind, RenameFlags, Time};

use cache::ViewCache;
use node::{Node, NodeTable};
use recent::Recent;
use rules::Rules;
use trouble::Troubles;

/// How many directories of the store are held open: a store may have more than a process may have
/// descriptors.
const MOST_OPEN_DIRS: usize = 256;

/// The result of a filesystem operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether an operation may wait for the store or for another operation on the same file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// At most one `fstatat`; else [`Error::WouldBlock`], without any effect.
    Quick,
    /// As long as it takes.
    Patient,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Effective user of the calling thread.
    pub uid: u32,
    /// Effective group of the calling thread.
    pub gid: u32,
    /// Its process, as seen from the mount's namespace; 0 when unknown.
    pub pid: u32,
}

/// What a mount is set to.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the kernel may believe names and attributes without asking, where changes in the
    /// store are watched.
    pub ttl: Duration,
    /// Whether the store is watched, if its filesystem tells of changes at all.
    pub watch: bool,
    /// The largest file that is held in memory, in bytes; a larger sealed one gives EFBIG.
    pub max_view: u64,
    /// How many bytes of views of files that nobody has open are kept.
    pub cache: usize,
    /// How long a written buffer may wait for its commit.
    pub commit_after: Duration,
    /// Whether new files are handed to their creator: only root may.
    pub give_away: bool,
    /// Where the store can be reached while the mount covers it.
    pub store_at: Option<PathBuf>,
    /// Where this machine remembers what it accepted of the store; `None` where it cannot.
    pub pins: Option<Arc<Pins>>,
    /// What this machine calls the store, for whoever watches several.
    pub name: String,
    /// Where it is written down who had what done; `None` where nothing is.
    pub trail: Option<Arc<Trail>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(3600),
            watch: true,
            max_view: 64 << 20,
            cache: 64 << 20,
            commit_after: Duration::from_secs(5),
            give_away: false,
            store_at: None,
            pins: None,
            name: String::new(),
            trail: None,
        }
    }
}

/// Tells the kernel what it must forget. Called from any thread; never blocks.
pub trait Invalidate: Send + Sync {
    /// Attributes and cached pages of a file.
    fn content(&self, ino: Ino);
    /// Attributes only.
    fn attributes(&self, ino: Ino);
    /// Attributes only, and before it returns; waits for no request.
    fn attributes_now(&self, ino: Ino);
    /// One name in a directory.
    fn name(&self, parent: Ino, name: &OsStr);
    /// One name in a directory, and that the node `ino`, which it named, has no other: programs that
    /// watch it are told that it is gone.
    fn removed(&self, parent: Ino, name: &OsStr, ino: Ino);
    /// Tells programs that watch `file` that it has changed. The kernel is told before.
    fn changed(&self, file: RelPath);
}

/// A mounted store: every operation of the mount is a method.
pub struct Filesystem {
    store: Store,
    options: Options,
    /// Held for moments.
    rules: RwLock<Arc<Rules>>,
    /// Taken before `rules` by whoever changes the ledger, and held until it is written.
    ledger_turn: Mutex<()>,
    reload: Box<Reload>,
    /// Why the last reload was refused, if it was. Held for moments.
    refusal: Mutex<Option<String>>,
    nodes: NodeTable,
    /// Nodes of open directories, the longest open first. Held for moments.
    open_dirs: Mutex<VecDeque<Weak<Node>>>,
    /// How many of them stay open: descriptors are limited.
    most_open_dirs: usize,
    /// Nodes with a buffer that is not committed, and since when. Held for moments.
    dirty: Mutex<HashMap<Ino, Instant>>,
    cache: ViewCache,
    recent: Recent,
    troubles: Troubles,
    control: control::Room,
    listings: directory::Listings,
    census: census::Census,
    requests: Requests,
    recovered: recovery::Recovered,
    remembered: remembered::Remembered,
    /// Of the filesystem that the store stands on.
    device: u64,
    watch: watch::Watch,
    announcements: announce::Announcements,
    invalidate: OnceLock<Box<dyn Invalidate>>,
    started: Instant,
}

impl Filesystem {
    /// The filesystem over `store`, which the caller has locked. `reload` makes new rules when the
    /// control room asks for it.
    pub fn new(
        store: Store,
        sealing: Sealing,
        options: Options,
        reload: Box<Reload>,
    ) -> std::io::Result<Self> {
        let root = store.root().clone();
        let metadata = root.metadata()?;
        let cache = ViewCache::new(options.cache);
        Ok(Self {
            nodes: NodeTable::new(root, metadata.ino),
            open_dirs: Mutex::default(),
            // The other half is for files, pipes and sockets.
            most_open_dirs: MOST_OPEN_DIRS.min(crate::sys::file::most_open() / 2),
            rules: RwLock::new(Arc::new(Rules::first(sealing))),
            ledger_turn: Mutex::default(),
            store,
            options,
            reload,
            refusal: Mutex::default(),
            dirty: Mutex::default(),
            cache,
            recent: Recent::default(),
            troubles: Troubles::default(),
            control: control::Room::default(),
            listings: directory::Listings::default(),
            census: census::Census::default(),
            requests: Requests::default(),
            recovered: recovery::Recovered::default(),
            remembered: remembered::Remembered::default(),
            device: metadata.dev,
            watch: watch::Watch::default(),
            announcements: announce::Announcements::default(),
            invalidate: OnceLock::new(),
            started: Instant::now(),
        })
    }

    /// Says how the kernel is told; once, when the mount stands.
    pub fn set_invalidate(&self, invalidate: Box<dyn Invalidate>) {
        // A second mount of the same filesystem is not made; the first keeps its way.
        if self.invalidate.set(invalidate).is_ok() {
            self.tell_what_was_not_told();
        }
    }

    /// The store below.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What the kernel has asked so far.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    fn rules(&self) -> Arc<Rules> {
        self.rules.read().clone()
    }

    fn node(&self, ino: Ino) -> Result<Arc<Node>> {
        self.nodes.get(ino).ok_or(Error::Stale)
    }

    /// The directory that holds `node`, and its name there; `None` when it has no name any more.
    fn place(&self, node: &Node) -> Result<Option<(Dir, Arc<Node>, std::ffi::OsString)>> {
        match node.first_link() {
            None => Ok(None),
            Some((parent, name)) => Ok(Some((self.dir(&parent)?, parent, name))),
        }
    }

    /// The open directory of a directory node.
    fn dir(&self, node: &Node) -> Result<Dir> {
        let mut is_new = false;
        let dir = node.directory(|parent, name| {
            is_new = true;
            let dir = self.dir(parent)?.open_dir(name).map_err(Error::Store)?;
            Ok((dir.metadata().map_err(Error::Store)?.ino, dir))
        })?;
        if is_new && let Some(node) = self.nodes.get(node.ino) {
            let mut open = self.open_dirs.lock();
            open.push_back(Arc::downgrade(&node));
            let oldest = if open.len() > self.most_open_dirs { open.pop_front() } else { None };
            drop(open);
            if let Some(oldest) = oldest.and_then(|oldest| oldest.upgrade()) {
                oldest.close_directory();
            }
        }
        Ok(dir)
    }

    fn tell(&self, what: impl FnOnce(&dyn Invalidate)) {
        if let Some(invalidate) = self.invalidate.get() {
            what(&**invalidate);
        }
    }

    /// How long the kernel may believe what it is told about entries of `parent`.
    fn ttl(&self, parent: Ino) -> Duration {
        let unwatched = Duration::from_secs(1);
        if self.watch.covers(parent) { self.options.ttl } else { self.options.ttl.min(unwatched) }
    }

    fn stat(&self, dir: &Dir, name: &OsStr) -> Result<Metadata> {
        dir.stat(name).map_err(Error::Store)
    }
}
