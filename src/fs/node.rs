//! Nodes: what the kernel knows by number, and where it stands in the store.
//!
//! A node keeps its number while commits replace the inode below it. Numbers are those of the
//! store where they are free, so that they last over a remount for files that were not changed.

mod table;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

pub(super) use table::NodeTable;

use super::Result;
use super::file::FileState;
use crate::path::RelPath;
use crate::store::{Dir, FileKind, Metadata, Time};

/// An inode number of the mount.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ino(pub u64);

/// The root of the mount.
pub const ROOT: Ino = Ino(1);

/// Numbers from here on are ours, given when the store's own is taken.
const OURS: u64 = 1 << 62;

/// From here on they belong to the control room.
pub(super) const CONTROL: u64 = 1 << 63;

/// One file, directory or other object of the mount.
pub(super) struct Node {
    pub ino: Ino,
    pub kind: FileKind,
    /// Content of a regular file. Store I/O on this file is done under it, so that commits,
    /// rewraps, renames and removals of one file never overlap.
    pub state: Mutex<FileState>,
    links: Mutex<Links>,
    dir: Mutex<Option<Dir>>,
    lookups: AtomicU64,
    /// The name that it lost behind the mount: the kernel may not have heard of it yet, and mean
    /// by it what stands under the name now. Held for moments.
    lost: Mutex<Option<(Arc<Node>, OsString)>>,
}

/// Where a node stands. Held for moments, never across I/O.
struct Links {
    store_ino: u64,
    /// When that inode was made; `None` until it was looked at, or where nobody knows. The number
    /// alone will not do: once the inode is gone, the next one may get it.
    born: Option<Time>,
    names: Vec<(Arc<Node>, OsString)>,
}

impl Node {
    fn new(ino: Ino, kind: FileKind, store_ino: u64, names: Vec<(Arc<Node>, OsString)>) -> Self {
        Self {
            ino,
            kind,
            state: Mutex::default(),
            links: Mutex::new(Links { store_ino, born: None, names }),
            dir: Mutex::new(None),
            lookups: AtomicU64::new(0),
            lost: Mutex::new(None),
        }
    }

    /// Whether the node lost its last name behind the mount.
    pub(super) fn is_lost(&self) -> bool {
        !self.is_linked() && self.lost.lock().is_some()
    }

    /// The last name of a node that lost it behind the mount.
    pub(super) fn lost_name(&self) -> Option<(Arc<Node>, OsString)> {
        // Let go before the links are asked for: who holds those waits for this.
        let lost = self.lost.lock().clone();
        lost.filter(|_| !self.is_linked())
    }

    /// The path under which a node stood that lost its last name behind the mount.
    pub(super) fn lost_path(&self) -> Option<RelPath> {
        let (parent, name) = self.lost_name()?;
        Some(parent.path()?.join(&name))
    }

    /// Whether the store's inode with these attributes, as found under a name, is this node now.
    pub(super) fn is(&self, found: &Metadata) -> bool {
        let mut links = self.links.lock();
        let is_it = self.kind == found.kind
            && links.store_ino == found.ino
            && (links.born.is_none() || found.born.is_none() || links.born == found.born);
        if is_it {
            links.born = links.born.or(found.born);
        }
        is_it
    }

    /// The number of the inode in the store that is this node now.
    pub(super) fn store_ino(&self) -> u64 {
        self.links.lock().store_ino
    }

    /// A directory and a name under which the node stands, of several the one by whose rules it is
    /// sealed; `None` when it was removed.
    pub(super) fn first_link(&self) -> Option<(Arc<Node>, OsString)> {
        self.links.lock().names.first().cloned()
    }

    /// Whether the node has lost one of several names behind the mount since it was last asked.
    pub(super) fn take_lost_name(&self) -> bool {
        self.is_linked() && self.lost.lock().take().is_some()
    }

    /// All names of a node that has more than the first.
    pub(super) fn several_links(&self) -> Option<Vec<(Arc<Node>, OsString)>> {
        let links = self.links.lock();
        (links.names.len() > 1).then(|| links.names.clone())
    }

    /// Whether the newest name, which is the first or the last of them, is where it belongs by `rank`.
    pub(super) fn newest_name_is_in_place(&self, rank: impl Fn(&RelPath) -> u8) -> bool {
        let ends = match &self.links.lock().names[..] {
            [] | [_] => return true,
            names => [&names[..2], &names[names.len() - 2..]].concat(),
        };
        ends.chunks_exact(2).all(|two| rank_of(&two[0], &rank) <= rank_of(&two[1], &rank))
    }

    /// Orders the names by `rank`, lowest first, and says whether another has become the first. The
    /// caller holds the node's `state`, so that no name comes or goes meanwhile.
    pub(super) fn order_names(&self, rank: impl Fn(&RelPath) -> u8) -> bool {
        let mut names = self.links.lock().names.clone();
        names.sort_by_cached_key(|name| rank_of(name, &rank));
        let mut links = self.links.lock();
        let is_first = |(parent, name): &(Arc<Node>, OsString)| {
            links.names.first().is_some_and(|(at, known)| at.ino == parent.ino && known == name)
        };
        let leads_another = names.first().is_some_and(|first| !is_first(first));
        links.names = names;
        leads_another
    }

    /// Whether the node has a name (the root has none and needs none).
    pub(super) fn is_linked(&self) -> bool {
        self.ino == ROOT || !self.links.lock().names.is_empty()
    }

    /// The path in the store by its first name.
    pub(super) fn path(&self) -> Option<RelPath> {
        if self.ino == ROOT {
            return Some(RelPath::root());
        }
        let (parent, name) = self.first_link()?;
        Some(parent.path()?.join(&name))
    }

    /// The open directory, opened by `open` the first time.
    pub(super) fn directory(
        &self,
        open: impl FnOnce(&Node, &OsStr) -> Result<(u64, Dir)>,
    ) -> Result<Dir> {
        if let Some(dir) = &*self.dir.lock() {
            return Ok(dir.clone());
        }
        let (parent, name) = self.first_link().ok_or(super::Error::Stale)?;
        let (ino, dir) = open(&parent, &name)?;
        if ino != self.store_ino() {
            return Err(super::Error::Stale);
        }
        *self.dir.lock() = Some(dir.clone());
        Ok(dir)
    }

    /// Closes the directory; it can be opened again by its name.
    pub(super) fn close_directory(&self) {
        if self.ino != ROOT && self.is_linked() {
            *self.dir.lock() = None;
        }
    }

    /// The kernel was given this node once more.
    pub(super) fn looked_up(&self) {
        self.lookups.fetch_add(1, Ordering::Relaxed);
    }
}

/// Last comes a name in a directory that is gone.
fn rank_of((parent, name): &(Arc<Node>, OsString), rank: impl Fn(&RelPath) -> u8) -> u8 {
    parent.path().map_or(u8::MAX, |parent| rank(&parent.join(name)))
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.ino.0)
    }
}

/// What is known of an inode that gets a name.
#[derive(Clone, Copy)]
pub(super) enum Identity<'a> {
    /// It was made just now.
    Newborn,
    /// It is that of this node, whose `state` is held.
    Same(&'a Node),
    /// Nothing.
    Unknown,
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::fs::Pace;
    use crate::fs::testing::over;

    #[test]
    fn a_name_is_lost_while_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("app.toml"), "").unwrap();
        let fs = Arc::new(over(dir.path()));
        let name = OsStr::new("app.toml");
        let ino = fs.lookup(ROOT, name, Pace::Patient).unwrap().attr.ino;
        let node = fs.nodes.get(ino).unwrap();
        let (done, both) = mpsc::channel();
        let (asked, told) = (node.clone(), done.clone());
        std::thread::spawn(move || {
            (0..50_000).for_each(|_| drop(asked.lost_name()));
            told.send(()).unwrap();
        });
        std::thread::spawn(move || {
            for _ in 0..50_000 {
                fs.nodes.lose_link(&node, ROOT, name);
                fs.nodes.announce(&node, &fs.nodes.root(), name);
            }
            done.send(()).unwrap();
        });
        for _ in 0..2 {
            both.recv_timeout(Duration::from_secs(60)).expect("neither waits for the other");
        }
    }
}
