//! Names: finding, making and removing them. Renaming has a file of its own.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::sync::Arc;

use super::file::{Base, Content, Loaded, Trust};
use super::node::Node;
use super::{Attr, Caller, Entry, Error, Filesystem, Ino, OpenMode, OpenReply, Pace, ROOT, Result};
use crate::document::{Form, Stock};
use crate::store::{CONTROL_DIR, Dir, FileKind, Metadata, Owner, is_reserved, is_version_control};

impl Filesystem {
    /// The node `name` in `parent`; the kernel holds one reference more to it.
    pub fn lookup(&self, parent: Ino, name: &OsStr, pace: Pace) -> Result<Entry> {
        if let Some(entry) = self.control_lookup(parent, name) {
            return entry;
        }
        let parent = self.directory_node(parent)?;
        if is_reserved(name) {
            return Err(Error::NotFound);
        }
        let dir = self.dir(&parent)?;
        loop {
            let node = self.known_child(&parent, &dir, name, pace)?.ok_or(Error::NotFound)?;
            let attr = self.attr(&node, pace)?;
            node.looked_up();
            // Not if the kernel gave its last reference back before this one was counted.
            if self.nodes.get(node.ino).is_some_and(|known| Arc::ptr_eq(&known, &node)) {
                return Ok(Entry { attr, ttl: self.ttl(parent.ino) });
            }
        }
    }

    /// The kernel gives `count` references back.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.nodes.forget(ino, count, Self::is_needed);
    }

    /// Whether a node holds something that is nowhere else.
    pub(super) fn is_needed(node: &Node) -> bool {
        node.state.try_lock().is_none_or(|state| state.opens > 0 || state.is_dirty())
    }

    /// Makes and opens a file. `mode`: permission bits as the program gave them; `umask`: what the
    /// kernel says is to be taken off unless the directory has a default ACL.
    pub fn create(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        umask: u32,
        open: OpenMode,
    ) -> Result<(Entry, OpenReply)> {
        let (node, attr, ttl) = self.make_file(caller, parent, name, mode, umask)?;
        let reply = self.count_open(&mut node.state.lock(), open);
        node.looked_up();
        Ok((Entry { attr, ttl }, reply))
    }

    /// Makes a node of any type but a directory or symbolic link.
    pub fn mknod(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        (kind, mode, rdev): (FileKind, u32, u64),
        umask: u32,
    ) -> Result<Entry> {
        if kind == FileKind::File {
            let (node, attr, ttl) = self.make_file(caller, parent, name, mode, umask)?;
            node.looked_up();
            return Ok(Entry { attr, ttl });
        }
        self.make(parent, name, |dir| {
            let mode = self.mode(dir, mode, umask)?;
            dir.mknod(name, kind, mode, rdev, self.owner(caller))
        })
    }

    /// Makes a directory.
    pub fn mkdir(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        umask: u32,
    ) -> Result<Entry> {
        if is_version_control(name) {
            return Err(Error::VersionControl);
        }
        self.make(parent, name, |dir| {
            let mode = self.mode(dir, mode, umask)?;
            dir.mkdir(name, mode, self.owner(caller))
        })
    }

    /// Makes a symbolic link. Its target is never followed here: that is the kernel's part.
    pub fn symlink(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        target: &OsStr,
    ) -> Result<Entry> {
        self.make(parent, name, |dir| {
            dir.symlink(name, target.as_encoded_bytes(), self.owner(caller))
        })
    }

    /// The target of a symbolic link.
    pub fn readlink(&self, ino: Ino) -> Result<Vec<u8>> {
        let node = self.node(ino)?;
        let (dir, _, name) = self.place(&node)?.ok_or(Error::Stale)?;
        Ok(dir.read_link(&name)?)
    }

    /// Gives `ino` a further name. EXDEV when the content would be sealed differently under it.
    pub fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Entry> {
        let node = self.node(ino)?;
        let to = self.writable_directory(parent, name)?;
        // One content can only be sealed one way: a link must not ask for another.
        let mut state = node.state.lock();
        let (dir, from_parent, from_name) = self.place(&node)?.ok_or(Error::Stale)?;
        let from_path = from_parent.path().ok_or(Error::Stale)?.join(&from_name);
        let to_path = to.path().ok_or(Error::Stale)?.join(name);
        if node.kind == FileKind::File {
            self.commit(&node, &mut state, false)?;
            if !self.seals_alike(&from_path, &to_path) {
                return Err(Error::WouldReseal);
            }
        }
        dir.link(&from_name, &self.dir(&to)?, name)?;
        drop(state);
        self.nodes.adopt(&to, name, node.store_ino(), node.kind);
        let attr = self.attr(&node, Pace::Patient)?;
        node.looked_up();
        Ok(Entry { attr, ttl: self.ttl(to.ino) })
    }

    /// Removes a name. What is open stays readable and writable until it is closed.
    pub fn unlink(&self, parent: Ino, name: &OsStr) -> Result<()> {
        let parent = self.writable_directory(parent, name)?;
        let dir = self.dir(&parent)?;
        let Some(node) = self.known_child(&parent, &dir, name, Pace::Patient)? else {
            return Ok(dir.unlink(name)?);
        };
        let mut state = node.state.lock();
        let path = parent.path().ok_or(Error::Stale)?.join(name);
        if node.kind == FileKind::File {
            // Into memory while it can still be read: open descriptors need it, and a program
            // that makes the file anew finds its tokens again.
            let _ = self.refresh(&node, &mut state, Pace::Patient);
            self.remember(&path, &state.content);
        }
        dir.unlink(name)?;
        self.nodes.unlink(parent.ino, name);
        self.troubles.cleared(&path);
        if let Some(last) = &mut state.last_metadata {
            last.nlink = last.nlink.saturating_sub(1);
        }
        if !node.is_linked() {
            self.dirty.lock().remove(&node.ino);
        }
        Ok(())
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<()> {
        let parent = self.writable_directory(parent, name)?;
        if is_version_control(name) {
            return Err(Error::VersionControl);
        }
        self.dir(&parent)?.rmdir(name)?;
        self.nodes.unlink(parent.ino, name);
        Ok(())
    }

    /// Keeps the stored form of `content` for whoever takes the name next.
    pub(super) fn remember(&self, path: &crate::path::RelPath, content: &Content) {
        let base = match content {
            Content::Clean(Loaded { base, .. }) => base,
            Content::Dirty(buffer) => &buffer.base,
            Content::Unloaded | Content::Broken(_) | Content::Stream(_) => return,
        };
        self.recent.left(path, base.form, base.stored.clone());
    }

    fn make_file(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        umask: u32,
    ) -> Result<(Arc<Node>, Attr, std::time::Duration)> {
        let parent = self.writable_directory(parent, name)?;
        let dir = self.dir(&parent)?;
        let mode = self.mode(&dir, mode, umask)?;
        let (_, metadata) = dir.create_file(name, mode, self.owner(caller))?;
        let node = self.nodes.adopt(&parent, name, metadata.ino, metadata.kind);
        let mut state = node.state.lock();
        let stock = Arc::new(Stock::default());
        let base =
            Base { stored: Arc::from([]), form: Form::Plain, stock, stamp: metadata.stamp() };
        let trust = Trust { young: true, rules: self.rules().version };
        state.content = Content::Clean(Loaded { view: Arc::default(), base, trust });
        state.shown_mtime = None;
        state.last_metadata = Some(metadata);
        let attr = self.file_attr(&node, &mut state, Pace::Patient)?;
        drop(state);
        Ok((node, attr, self.ttl(parent.ino)))
    }

    fn make(
        &self,
        parent: Ino,
        name: &OsStr,
        make: impl FnOnce(&Dir) -> std::io::Result<Metadata>,
    ) -> Result<Entry> {
        let parent = self.writable_directory(parent, name)?;
        let dir = self.dir(&parent)?;
        let metadata = make(&dir)?;
        let node = self.nodes.adopt(&parent, name, metadata.ino, metadata.kind);
        let attr = self.attr(&node, Pace::Patient)?;
        node.looked_up();
        Ok(Entry { attr, ttl: self.ttl(parent.ino) })
    }

    /// A directory in which `name` may be made, removed or replaced.
    pub(super) fn writable_directory(&self, parent: Ino, name: &OsStr) -> Result<Arc<Node>> {
        if super::is_control(parent) || is_reserved(name) || (parent == ROOT && name == CONTROL_DIR)
        {
            return Err(Error::Reserved);
        }
        self.directory_node(parent)
    }

    fn directory_node(&self, ino: Ino) -> Result<Arc<Node>> {
        if super::is_control(ino) {
            return Err(Error::NotFound);
        }
        let node = self.node(ino)?;
        match node.kind {
            FileKind::Dir if self.is_version_control(ino) => Err(Error::VersionControl),
            FileKind::Dir => Ok(node),
            _ => Err(Error::NotADirectory),
        }
    }

    /// The node under `name`, known or not; `None` when nothing stands there. Takes the `state` of
    /// the node that is known there: a commit of it puts another inode under the name, and is not
    /// to be taken for a replacement.
    pub(super) fn known_child(
        &self,
        parent: &Arc<Node>,
        dir: &Dir,
        name: &OsStr,
        pace: Pace,
    ) -> Result<Option<Arc<Node>>> {
        loop {
            let known = self.nodes.child(parent.ino, name);
            let is_file = |node: &&Arc<Node>| node.kind == FileKind::File;
            let _uncommitted =
                known.as_ref().filter(is_file).map(|node| self.state(node, pace)).transpose()?;
            let known = known.as_ref().map(|node| node.ino);
            let metadata = match dir.stat(name) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.nodes.unlink_after(known, parent.ino, name);
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            };
            let (ino, kind) = (metadata.ino, metadata.kind);
            if let Some(node) = self.nodes.adopt_after(known, parent, name, ino, kind) {
                return Ok(Some(node));
            }
        }
    }

    /// POSIX: a directory's default ACL takes the place of the umask.
    fn mode(&self, dir: &Dir, mode: u32, umask: u32) -> std::io::Result<u32> {
        Ok(if dir.has_default_acl()? { mode } else { mode & !umask })
    }

    fn owner(&self, caller: Caller) -> Option<Owner> {
        self.options.give_away.then_some(Owner { uid: caller.uid, gid: caller.gid })
    }
}
