//! Directory listings: a snapshot an open, so that positions in it stay what they were.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::node::Node;
use super::{Error, Filesystem, Ino, Pace, ROOT, Result};
use crate::store::{CONTROL_DIR, FileKind};

/// One name of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The node's number, as far as it is known without asking.
    pub ino: Ino,
    /// Its type.
    pub kind: FileKind,
    /// Its name.
    pub name: OsString,
}

/// The names a directory had when it was opened or last rewound.
pub type Listing = Arc<Vec<DirEntry>>;

/// Open directories, by handle.
#[derive(Default)]
pub(super) struct Listings {
    next: AtomicU64,
    /// Held for moments.
    open: Mutex<HashMap<u64, Listing>>,
}

impl Filesystem {
    /// Opens a directory; the handle will name a snapshot of it.
    pub fn open_directory(&self, ino: Ino) -> Result<u64> {
        if !super::is_control(ino) {
            self.listable(ino)?;
        }
        Ok(self.listings.next.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The snapshot of an open directory: taken at the first read, and anew when it is rewound.
    pub fn read_directory(
        &self,
        ino: Ino,
        handle: u64,
        offset: u64,
        pace: Pace,
    ) -> Result<Listing> {
        let known = self.listings.open.lock().get(&handle).cloned();
        match known {
            Some(listing) if offset > 0 => Ok(listing),
            _ if pace == Pace::Quick => Err(Error::WouldBlock),
            _ => {
                let listing = self.list(ino)?;
                self.listings.open.lock().insert(handle, listing.clone());
                Ok(listing)
            }
        }
    }

    /// An open directory is closed.
    pub fn close_directory(&self, handle: u64) {
        self.listings.open.lock().remove(&handle);
    }

    /// The names in `ino`, `.` and `..` first. The control room is not among them.
    fn list(&self, ino: Ino) -> Result<Listing> {
        if super::is_control(ino) {
            return Ok(Arc::new(self.control.list()));
        }
        let node = self.listable(ino)?;
        let parent = node.first_link().map_or(ROOT, |(parent, _)| parent.ino);
        let dot = |ino, name: &str| DirEntry { ino, kind: FileKind::Dir, name: name.into() };
        let mut entries = vec![dot(ino, "."), dot(parent, "..")];
        for entry in self.dir(&node)?.entries()? {
            if ino == ROOT && entry.name == CONTROL_DIR {
                continue;
            }
            let ino = self.nodes.shown(entry.ino);
            entries.push(DirEntry { ino, kind: entry.kind, name: entry.name });
        }
        self.watch(&node);
        Ok(Arc::new(entries))
    }

    fn listable(&self, ino: Ino) -> Result<Arc<Node>> {
        let node = self.node(ino)?;
        match node.kind {
            FileKind::Dir if self.is_version_control(ino) => Err(Error::VersionControl),
            FileKind::Dir => Ok(node),
            _ => Err(Error::NotADirectory),
        }
    }

    /// Brings a directory's names to the disk.
    pub fn sync_directory(&self, ino: Ino) -> Result<()> {
        let node = self.node(ino)?;
        // A removed one has nothing that could last.
        if node.is_linked() { Ok(self.dir(&node)?.sync()?) } else { Ok(()) }
    }

    /// The file system that holds the store.
    pub fn statfs(&self) -> Result<rustix::fs::StatVfs> {
        Ok(self.store.statfs()?)
    }
}
