//! Directory listings: a snapshot an open, so that positions in it stay what they were.

use std::ffi::OsString;
use std::sync::Arc;

use super::{Error, Filesystem, Ino, ROOT, Result};
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

/// An open directory: the names it had when it was opened or last rewound.
pub type DirHandle = Arc<Vec<DirEntry>>;

impl Filesystem {
    /// The names in `ino`, `.` and `..` first. The control room is not among them.
    pub fn list(&self, ino: Ino) -> Result<DirHandle> {
        if super::is_control(ino) {
            return Ok(Arc::new(self.control.list()));
        }
        let node = self.node(ino)?;
        if node.kind != FileKind::Directory {
            return Err(Error::NotADirectory);
        }
        if self.is_version_control(ino) {
            return Err(Error::VersionControl);
        }
        let parent = node.first_link().map_or(ROOT, |(parent, _)| parent.ino);
        let dot = |ino, name: &str| DirEntry { ino, kind: FileKind::Directory, name: name.into() };
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

    /// Brings a directory's names to the disk.
    pub fn sync_directory(&self, ino: Ino) -> Result<()> {
        Ok(self.dir(&*self.node(ino)?)?.sync()?)
    }

    /// The file system that holds the store.
    pub fn statfs(&self) -> Result<rustix::fs::StatVfs> {
        Ok(self.store.statfs()?)
    }
}
