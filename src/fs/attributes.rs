//! Attributes: what `stat` shows, what `chmod`, `chown`, `utimensat` and the xattr calls change.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::Duration;

use super::file::{Content, FileState};
use super::node::Node;
use super::{Caller, Error, Filesystem, Ino, Pace, ROOT, Result, is_control};
use crate::store::{Dir, FileKind, Metadata, Place, SetTime, Time, XattrFlags};

/// What `stat` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// The node.
    pub ino: Ino,
    /// The type.
    pub kind: FileKind,
    /// Permission bits with set-id and sticky.
    pub mode: u32,
    /// Hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device node.
    pub rdev: u64,
    /// Bytes of the view.
    pub size: u64,
    /// Units of 512 bytes that the view would take.
    pub blocks: u64,
    /// Preferred size of I/O.
    pub blksize: u32,
    /// Last access.
    pub atime: Time,
    /// Last change of the view.
    pub mtime: Time,
    /// Last change of the attributes or the stored content.
    pub ctime: Time,
}

/// A node given to the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its attributes.
    pub attr: Attr,
    /// How long they, and the name, may be believed.
    pub ttl: Duration,
}

/// A new time.
pub type NewTime = SetTime;

/// What `setattr` changes; `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SetAttr {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Length of the view.
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<NewTime>,
    /// Last change.
    pub mtime: Option<NewTime>,
}

impl Filesystem {
    /// The attributes of `ino`.
    pub fn getattr(&self, ino: Ino, pace: Pace) -> Result<Entry> {
        if is_control(ino) {
            return self.control_attr(ino);
        }
        let node = self.node(ino)?;
        let parent = node.first_link().map_or(ROOT, |(parent, _)| parent.ino);
        let attr = self.attr(&node, pace)?;
        Ok(Entry { attr, ttl: self.ttl(parent) })
    }

    /// The attributes of a node, its view's size included: a file is opened for it if need be.
    pub(super) fn attr(&self, node: &Arc<Node>, pace: Pace) -> Result<Attr> {
        if node.kind == FileKind::File {
            let mut state = self.state(node, pace)?;
            return self.file_attr(node, &mut state, pace);
        }
        if !node.is_linked() {
            return unlinked(node, &*self.state(node, pace)?);
        }
        Ok(from_store(node, &self.locate_any(node)?))
    }

    /// The store's attributes of what is no regular file and has a name, or is the root.
    fn locate_any(&self, node: &Node) -> Result<Metadata> {
        match node.ino {
            ROOT => Ok(self.dir(node)?.metadata()?),
            _ => Ok(self.locate(node)?.metadata),
        }
    }

    /// The attributes of a regular file.
    pub(super) fn file_attr(
        &self,
        node: &Arc<Node>,
        state: &mut FileState,
        pace: Pace,
    ) -> Result<Attr> {
        if !node.is_linked() {
            return unlinked(node, state);
        }
        let at = self.locate(node)?;
        if let Some(attr) = self.remembered_attr(node, state, &at.metadata) {
            return Ok(attr);
        }
        let metadata = match self.refresh_at(node, state, &at, pace) {
            // It cannot be read, but it has attributes.
            Err(Error::Store(error)) => {
                log::debug!("a file whose attributes are asked for cannot be read: {error}");
                at.metadata
            }
            other => other?,
        };
        state.tell(&metadata);
        let mut attr = from_store(node, &metadata);
        if let Some(size) = state.view_size() {
            attr.set_size(size);
        }
        show_times(&mut attr, state);
        Ok(attr)
    }

    /// Changes attributes; returns them all.
    pub fn setattr(&self, ino: Ino, set: SetAttr) -> Result<Entry> {
        if is_control(ino) {
            // A redirect empties what it opens; there is nothing to empty.
            let only_size = SetAttr { size: None, atime: None, mtime: None, ..set };
            let harmless = only_size == SetAttr::default();
            return if harmless { self.control_attr(ino) } else { Err(Error::Reserved) };
        }
        let node = self.node(ino)?;
        if let Some(size) = set.size {
            match node.kind {
                FileKind::File => self.resize(&node, size)?,
                FileKind::Dir => return Err(Error::IsADirectory),
                _ => return Err(Error::Invalid),
            }
        }
        // Under the state lock: a commit would carry the old attributes over.
        let mut state = node.state.lock();
        if !node.is_linked() {
            set_unlinked(&mut state, &set);
            return Ok(Entry { attr: unlinked(&node, &state)?, ttl: self.ttl(ROOT) });
        }
        let (dir, name) = self.attribute_place(&node, &state)?;
        // That nothing is to change is what is left of `chown(-1, -1)`, which moves ctime.
        if set.uid.is_some() || set.gid.is_some() || set == SetAttr::default() {
            dir.set_owner(&name, set.uid, set.gid)?;
        }
        if let Some(mode) = set.mode {
            dir.set_mode(&name, mode)?;
        }
        if set.atime.is_some() || set.mtime.is_some() {
            dir.set_times(&name, set.atime, set.mtime)?;
        }
        if set.mtime.is_some() {
            state.shown_mtime = None;
            if let Content::Dirty(buffer) = &mut state.content {
                // The commit to come would show the time of the last write.
                buffer.written = dir.stat(&name)?.mtime;
                buffer.time_is_set = matches!(set.mtime, Some(SetTime::At(_)));
            }
        }
        drop(state);
        self.getattr(ino, Pace::Patient)
    }

    /// A directory and a name in it by which the store's object below `node` is reached; good as
    /// long as the node's state is held.
    fn attribute_place(&self, node: &Node, _held: &FileState) -> Result<(Dir, OsString)> {
        if node.kind == FileKind::Dir && (node.ino == ROOT || !node.is_linked()) {
            return Ok((self.dir(node)?, ".".into()));
        }
        let at = self.locate(node)?;
        Ok((at.dir, at.name))
    }

    /// The value of an extended attribute.
    pub fn getxattr(&self, ino: Ino, attribute: &OsStr) -> Result<Vec<u8>> {
        let node = self.xattr_node(ino)?;
        match self.xattr_place(&node, &node.state.lock())? {
            Some(place) => Ok(place.get_xattr(attribute)?),
            None => Err(Error::NoAttribute),
        }
    }

    /// The names of all extended attributes that `caller` may know of, each ended by a NUL. The
    /// kernel leaves it to the filesystem to keep those of `trusted.*` from others than root.
    pub fn listxattr(&self, caller: Caller, ino: Ino) -> Result<Vec<u8>> {
        if is_control(ino) {
            return Ok(Vec::new());
        }
        let node = self.node(ino)?;
        let Some(place) = self.xattr_place(&node, &node.state.lock())? else {
            return Ok(Vec::new());
        };
        let all = place.list_xattr()?;
        if caller.uid == 0 {
            return Ok(all);
        }
        let names = all.split_inclusive(|byte| *byte == 0);
        Ok(names.filter(|name| !name.starts_with(b"trusted.")).flatten().copied().collect())
    }

    /// Sets an extended attribute; `flags` are those of `setxattr(2)`.
    pub fn setxattr(&self, ino: Ino, attribute: &OsStr, value: &[u8], flags: i32) -> Result<()> {
        let node = self.xattr_node(ino)?;
        let flags = XattrFlags::from_bits(flags as u32).ok_or(Error::Invalid)?;
        let place = self.xattr_place(&node, &node.state.lock())?.ok_or(Error::Unsupported)?;
        Ok(place.set_xattr(attribute, value, flags)?)
    }

    /// Removes an extended attribute.
    pub fn removexattr(&self, ino: Ino, attribute: &OsStr) -> Result<()> {
        let node = self.xattr_node(ino)?;
        let place = self.xattr_place(&node, &node.state.lock())?.ok_or(Error::NoAttribute)?;
        Ok(place.remove_xattr(attribute)?)
    }
}

impl Filesystem {
    fn xattr_node(&self, ino: Ino) -> Result<Arc<Node>> {
        if is_control(ino) { Err(Error::NoAttribute) } else { self.node(ino) }
    }

    /// Where the extended attributes of `node` are; `None` when they went with its last name.
    fn xattr_place(&self, node: &Node, held: &FileState) -> Result<Option<Arc<Place>>> {
        if !node.is_linked() {
            return Ok(held.remains.clone());
        }
        let (dir, name) = self.attribute_place(node, held)?;
        Ok(Some(Arc::new(dir.place(&name)?)))
    }
}

impl Attr {
    /// Takes on the size of a view.
    pub(super) fn set_size(&mut self, size: u64) {
        self.size = size;
        self.blocks = blocks(size, self.blksize);
    }
}

pub(super) fn from_store(node: &Node, metadata: &Metadata) -> Attr {
    Attr {
        ino: node.ino,
        kind: metadata.kind,
        mode: metadata.mode,
        nlink: u32::try_from(metadata.nlink).unwrap_or(u32::MAX),
        uid: metadata.uid,
        gid: metadata.gid,
        rdev: metadata.rdev,
        size: metadata.size,
        blocks: metadata.blocks,
        blksize: metadata.blksize,
        atime: metadata.atime,
        mtime: metadata.mtime,
        ctime: metadata.ctime,
    }
}

/// Puts the view's times in the place of the store's.
pub(super) fn show_times(attr: &mut Attr, state: &FileState) {
    attr.ctime = state.shown_ctime(attr.ctime);
    match (&state.content, state.shown_mtime) {
        (Content::Dirty(buffer), _) => attr.mtime = buffer.written,
        (_, Some((stored, shown))) if stored == attr.mtime => attr.mtime = shown,
        _ => {}
    }
}

/// Units of 512 bytes that a view of `size` bytes would take on a disk with such blocks.
fn blocks(size: u64, blksize: u32) -> u64 {
    let block = u64::from(blksize).max(512);
    size.div_ceil(block) * (block / 512)
}

/// What has no name any more keeps its attributes in memory.
fn set_unlinked(state: &mut FileState, set: &SetAttr) {
    let Some(last) = &mut state.last_metadata else { return };
    let time = |time: SetTime| match time {
        SetTime::Now => Time::now(),
        SetTime::At(time) => time,
    };
    last.mode = set.mode.unwrap_or(last.mode);
    last.uid = set.uid.unwrap_or(last.uid);
    last.gid = set.gid.unwrap_or(last.gid);
    last.atime = set.atime.map_or(last.atime, time);
    last.mtime = set.mtime.map_or(last.mtime, time);
    last.ctime = Time::now();
    if let (Content::Dirty(buffer), Some(_)) = (&mut state.content, set.mtime) {
        buffer.written = last.mtime;
    }
}

/// What has no name any more but is still open: what is left to say of it.
fn unlinked(node: &Node, state: &FileState) -> Result<Attr> {
    let last = state.last_metadata.as_ref().ok_or(Error::Stale)?;
    let mut attr = from_store(node, last);
    attr.nlink = 0;
    if let Some(size) = state.view_size() {
        attr.set_size(size);
    }
    show_times(&mut attr, state);
    if let Content::Stream(stream) = &state.content {
        attr.size = stream.file.metadata()?.len();
    }
    Ok(attr)
}
