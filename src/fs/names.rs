//! Names: finding, making and removing them. Renaming has a file of its own.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use super::attributes::from_store;
use super::file::{Base, Content, FileState, Loaded, Trust};
use super::node::{Identity, Node};
use super::rules::Rules;
use super::{Attr, Caller, Entry, Error, Filesystem, Ino, OpenMode, OpenReply, Pace, ROOT, Result};
use crate::document::{Form, Stock};
use crate::path::RelPath;
use crate::policy::Class;
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
        // Watched before it is looked at, so that no change falls between.
        if pace == Pace::Patient {
            self.watch(&parent);
        } else if self.wants_watch(parent.ino) {
            return Err(Error::WouldBlock);
        }
        let ttl = self.ttl(parent.ino);
        let dir = self.dir(&parent)?;
        let node = self.child(&parent, &dir, name, pace)?.ok_or(Error::NotFound)?;
        self.entry(node, ttl, pace)
    }

    /// Hands `node` to the kernel.
    fn entry(&self, node: Arc<Node>, ttl: Duration, pace: Pace) -> Result<Entry> {
        match self.attr(&node, pace) {
            Ok(attr) => {
                node.looked_up();
                Ok(Entry { attr, ttl })
            }
            Err(error) => {
                self.nodes.drop_if_unknown(node, Self::is_needed);
                Err(error)
            }
        }
    }

    /// The kernel gives `count` references back.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.nodes.forget(ino, count, Self::is_needed);
    }

    /// Whether a node holds something that is nowhere else.
    pub(super) fn is_needed(node: &Node) -> bool {
        let unsaved = |state: &FileState| state.is_dirty() && node.is_linked();
        node.state.try_lock().is_none_or(|state| state.opens > 0 || unsaved(&state))
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
        let (node, attr, ttl) = match self.make_file(caller, parent, name, mode, umask) {
            // It came up in the store since the kernel looked.
            Err(Error::Store(error))
                if error.kind() == ErrorKind::AlreadyExists && !open.exclusive =>
            {
                let entry = self.lookup(parent, name, Pace::Patient)?;
                let opened = self.open(caller, entry.attr.ino, open, Pace::Patient);
                let reply = opened.inspect_err(|_| self.forget(entry.attr.ino, 1))?;
                return Ok((entry, reply));
            }
            other => other?,
        };
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
        let to_dir = self.dir(&to)?;
        dir.link(&from_name, &to_dir, name)?;
        self.nodes.unlink(to.ino, name);
        let made = self.stat(&to_dir, name)?;
        self.nodes.adopt(&to, name, &made, Identity::Same(&node));
        drop(state);
        self.entry(node, self.ttl(to.ino), Pace::Patient)
    }

    /// Removes a name. What is open stays readable and writable until it is closed.
    pub fn unlink(&self, parent: Ino, name: &OsStr) -> Result<()> {
        let parent = self.writable_directory(parent, name)?;
        let dir = self.dir(&parent)?;
        let Some(node) = self.child(&parent, &dir, name, Pace::Patient)? else {
            return Ok(dir.unlink(name)?);
        };
        let mut state = node.state.lock();
        let path = parent.path().ok_or(Error::Stale)?.join(name);
        if node.kind == FileKind::File {
            // Into memory while it can still be read: open descriptors need it, and a program
            // that makes the file anew finds its tokens again.
            let _ = self.refresh(&node, &mut state, Pace::Patient);
            self.remember(&path, &state.content);
            state.hold_on(&dir, name);
        } else {
            // A pipe may be open, too.
            state.last_metadata = Some(self.stat(&dir, name)?);
        }
        dir.unlink(name)?;
        self.nodes.unlink(parent.ino, name);
        self.troubles.cleared(&path);
        state.lost_a_name();
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
        let dir = self.dir(&parent)?;
        let Some(node) = self.child(&parent, &dir, name, Pace::Patient)? else {
            return self.once_empty(&parent, name, || dir.rmdir(name));
        };
        let mut state = node.state.lock();
        let last = self.stat(&dir, name)?;
        self.once_empty(&parent, name, || dir.rmdir(name))?;
        self.nodes.unlink(parent.ino, name);
        state.last_metadata = Some(last);
        Ok(())
    }

    /// Keeps the stored form of `content` for whoever takes the name next.
    pub(super) fn remember(&self, path: &RelPath, content: &Content) {
        let base = match content {
            Content::Clean(Loaded { base, .. }) => base,
            Content::Dirty(buffer) => &buffer.base,
            Content::Unloaded | Content::Broken(_) | Content::Stream(_) | Content::TooLarge(_) => {
                return;
            }
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
    ) -> Result<(Arc<Node>, Attr, Duration)> {
        let parent = self.writable_directory(parent, name)?;
        let dir = self.dir(&parent)?;
        let mode = self.mode(&dir, mode, umask)?;
        let ttl = self.ttl(parent.ino);
        let (_, metadata) = dir.create_file(name, mode, self.owner(caller))?;
        let node = self.newborn(&parent, &dir, name, &metadata)?;
        let mut state = node.state.lock();
        let stock = Arc::new(Stock::default());
        let base =
            Base { stored: Arc::from([]), form: Form::Plain, stock, stamp: metadata.stamp() };
        let trust = Trust { young: true, rules: self.rules().version };
        state.content = Content::Clean(Loaded { view: Arc::default(), base, trust });
        state.shown_mtime = None;
        state.last_metadata = Some(metadata);
        let attr = match node.is(&metadata) {
            // Nothing of it is to be looked up: it was just made.
            true => {
                state.tell(&metadata);
                from_store(&node, &metadata)
            }
            false => self.file_attr(&node, &mut state, Pace::Patient)?,
        };
        drop(state);
        Ok((node, attr, ttl))
    }

    fn make(
        &self,
        parent: Ino,
        name: &OsStr,
        make: impl FnOnce(&Dir) -> std::io::Result<Metadata>,
    ) -> Result<Entry> {
        let parent = self.writable_directory(parent, name)?;
        let dir = self.dir(&parent)?;
        let ttl = self.ttl(parent.ino);
        let metadata = make(&dir)?;
        let node = self.newborn(&parent, &dir, name, &metadata)?;
        self.entry(node, ttl, Pace::Patient)
    }

    /// The node of what was just made under `name`.
    fn newborn(
        &self,
        parent: &Arc<Node>,
        dir: &Dir,
        name: &OsStr,
        made: &Metadata,
    ) -> Result<Arc<Node>> {
        self.announcements.made(parent.ino, name);
        match self.nodes.adopt(parent, name, made, Identity::Newborn) {
            Some(node) => Ok(node),
            // Somebody else was known there, and was removed behind the mount.
            None => self.child(parent, dir, name, Pace::Patient)?.ok_or(Error::Stale),
        }
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

    /// The node under `name`, known or not; `None` when nothing stands there.
    ///
    /// A commit has another inode take the name, and the node is told a moment later: so what
    /// looks like a replacement counts only when it is seen while no commit can be going on.
    pub(super) fn child(
        &self,
        parent: &Arc<Node>,
        dir: &Dir,
        name: &OsStr,
        pace: Pace,
    ) -> Result<Option<Arc<Node>>> {
        loop {
            let found = self.stat_if_there(dir, name)?;
            let Some(known) = self.nodes.child(parent.ino, name) else {
                let Some(found) = found else { return Ok(None) };
                match self.adopt(parent, dir, name, &found, pace)? {
                    Some(node) => return Ok(Some(node)),
                    None => continue,
                }
            };
            if found.is_some_and(|found| known.is(&found)) {
                return Ok(Some(known));
            }
            let _state = self.state(&known, pace)?;
            self.lose_if_gone(&known, parent, dir, name)?;
        }
    }

    /// Whether `node`, whose `state` is held, still stands under `name` is looked up in the store.
    pub(super) fn lose_if_gone(
        &self,
        node: &Node,
        parent: &Arc<Node>,
        dir: &Dir,
        name: &OsStr,
    ) -> Result<()> {
        let found = self.stat_if_there(dir, name)?;
        let still = self.nodes.child(parent.ino, name).is_some_and(|now| now.ino == node.ino);
        if still && !found.is_some_and(|found| node.is(&found)) {
            self.lost_behind(node, parent, name);
        }
        Ok(())
    }

    /// Gives `found` its node: a new one, or that of the file whose further name this is. `None`
    /// when things have changed meanwhile.
    fn adopt(
        &self,
        parent: &Arc<Node>,
        dir: &Dir,
        name: &OsStr,
        found: &Metadata,
        pace: Pace,
    ) -> Result<Option<Arc<Node>>> {
        let Some(known) = self.nodes.by_store(found.ino) else {
            return Ok(self.nodes.adopt(parent, name, found, Identity::Unknown));
        };
        let mut state = self.state(&known, pace)?;
        let again = self.stat_if_there(dir, name)?;
        if !known.is(found) || again.is_none_or(|again| !known.is(&again)) {
            self.nodes.forget_store_ino(&known, found);
            return Ok(None);
        }
        let adopted = self.nodes.adopt(parent, name, found, Identity::Same(&known));
        self.seal_by_the_strictest_name(&known, &mut state);
        Ok(adopted)
    }

    /// Whoever works in the store may link a file to a name that asks for other sealing. It is
    /// opened and sealed by the strictest of the names that are known, whichever came first: else a
    /// look at a plain name would have the others' secrets stored in the clear. To be called when
    /// `node`, whose `state` is held, has got a name.
    pub(super) fn seal_by_the_strictest_name(&self, node: &Node, state: &mut FileState) {
        let rules = self.rules();
        if !node.newest_name_is_in_place(|file| looseness(&rules, file)) {
            self.order_names(node, state);
        }
    }

    /// The same whichever name is in the wrong place, as after a change of the rules.
    pub(super) fn order_names(&self, node: &Node, state: &mut FileState) {
        let rules = self.rules();
        let before = node.path();
        if node.order_names(|file| looseness(&rules, file)) {
            state.doubt_rules();
            if let Some(before) = before {
                self.troubles.opened(&before);
            }
        }
    }

    fn stat_if_there(&self, dir: &Dir, name: &OsStr) -> Result<Option<Metadata>> {
        match dir.stat(name) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
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

/// The lower, the more of `file` is sealed for its name.
fn looseness(rules: &Rules, file: &RelPath) -> u8 {
    match rules.sealing.policy.classify(file).class {
        Class::Whole => 0,
        Class::Fields(_) => 1,
        Class::Unknown => 2,
        Class::Plain => 3,
    }
}
