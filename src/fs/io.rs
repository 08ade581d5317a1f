//! Opening, reading, writing, closing.

use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::MutexGuard;

use super::file::{Content, FileState, Told};
use super::node::Node;
use super::{Caller, Error, Filesystem, Ino, Pace, Result, is_control};
use crate::document::holds_secret;
use crate::policy::Class;
use crate::secret::SecretBytes;
use crate::store::{FileKind, Time};

/// The bits of a mode that give a program its owner's or group's rights.
const SET_ID: u32 = libc::S_ISUID | libc::S_ISGID;

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenMode {
    /// It may be written through this descriptor.
    pub write: bool,
    /// It is emptied first.
    pub truncate: bool,
    /// It must not exist yet; counts where it is made.
    pub exclusive: bool,
}

/// What the kernel is told about an open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenReply {
    /// What tells this open from others, where that matters: in the control room.
    pub handle: u64,
    /// Neither pages nor positions: each read and write is a message.
    pub direct: bool,
    /// The pages it holds are still right.
    pub keep_cache: bool,
    /// A close need not be announced.
    pub no_flush: bool,
}

/// Bytes read from a file.
pub enum ReadData {
    /// Out of a view that others share.
    Shared(Arc<SecretBytes>, Range<usize>),
    /// A copy.
    Own(SecretBytes),
}

impl Deref for ReadData {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            ReadData::Shared(view, range) => &view[range.clone()],
            ReadData::Own(bytes) => bytes,
        }
    }
}

impl Filesystem {
    /// Opens the file `ino`. ESTALE when it was replaced behind the mount; ENOKEY, EBADMSG,
    /// EKEYREJECTED when it cannot be opened and is not emptied either.
    pub fn open(&self, caller: Caller, ino: Ino, mode: OpenMode, pace: Pace) -> Result<OpenReply> {
        if is_control(ino) {
            return match pace {
                Pace::Quick => Err(Error::WouldBlock),
                Pace::Patient => self.control_open(caller, ino, mode.write),
            };
        }
        let node = self.file_node(ino)?;
        let mut state = self.state(&node, pace)?;
        let is_gone = !node.is_linked() && matches!(state.content, Content::Unloaded);
        if node.is_lost() || is_gone || self.has_lost_a_name(&node)? {
            return Err(Error::Stale);
        }
        if node.is_linked() {
            let known = state.kernel_knows;
            let metadata = match mode.write && mode.truncate {
                true => self.refresh_to_empty(&node, &mut state, pace)?,
                false => self.refresh(&node, &mut state, pace)?,
            };
            if known.is_some_and(|known| known != Told::of(&metadata)) {
                // It would read only as much as the file had before.
                state.kernel_knows = None;
                self.tell(|kernel| kernel.attributes_now(ino));
            }
        }
        if mode.truncate {
            if !mode.write && pace == Pace::Quick {
                return Err(Error::WouldBlock);
            }
            self.drop_set_id(caller, &node, &state, pace)?;
            self.empty(&node, &mut state, pace)?;
            if !mode.write && state.writers == 0 {
                // Linux empties a file that is opened for reading, too: no close will follow.
                self.commit(&node, &mut state, false)?;
            }
        } else {
            self.openable(&node, &state)?;
        }
        self.cache.used(ino);
        let reply = self.count_open(&mut state, mode);
        Ok(OpenReply { keep_cache: reply.keep_cache && self.hears_of(&node), ..reply })
    }

    /// Whether one of several names of a file, whose `state` is held, is gone or another file's now,
    /// and nobody was told by an open: it may be the one that is opened, and the kernel then looks
    /// for what stands under it.
    fn has_lost_a_name(&self, node: &Node) -> Result<bool> {
        for (parent, name) in node.several_links().iter().flatten() {
            // Where the directory cannot be reached, nothing is opened under the name.
            if let Ok(dir) = self.dir(parent) {
                self.lose_if_gone(node, parent, &dir, name)?;
            }
        }
        Ok(node.take_lost_name())
    }

    /// Counts an open descriptor of a file whose content is known.
    pub(super) fn count_open(&self, state: &mut FileState, mode: OpenMode) -> OpenReply {
        state.opens += 1;
        state.writers += u32::from(mode.write);
        let keep_cache = state.cached_version == state.version;
        state.cached_version = state.version;
        OpenReply { handle: 0, direct: false, keep_cache, no_flush: !mode.write }
    }

    /// A file that somebody empties who has no rights of its owner loses the power to give them.
    /// The kernel sees to that before a write and a truncate; a truncating open is left to us.
    fn drop_set_id(
        &self,
        caller: Caller,
        node: &Node,
        state: &FileState,
        pace: Pace,
    ) -> Result<()> {
        let given = state.last_metadata.map_or(0, |last| last.mode & SET_ID);
        if given == 0 || caller.uid == 0 || !node.is_linked() {
            return Ok(());
        }
        if pace == Pace::Quick {
            return Err(Error::WouldBlock);
        }
        let at = self.locate(node)?;
        let mode = at.metadata.mode;
        // Without execution by the group, set-group-ID is a mark for locking.
        let group = if mode & libc::S_IXGRP != 0 { libc::S_ISGID } else { 0 };
        Ok(at.dir.set_mode(&at.name, mode & !(libc::S_ISUID | group))?)
    }

    /// Up to `size` bytes from `offset`.
    pub fn read(
        &self,
        ino: Ino,
        handle: u64,
        offset: u64,
        size: u32,
        pace: Pace,
    ) -> Result<ReadData> {
        if is_control(ino) {
            return self.control_read(handle, size);
        }
        let node = self.file_node(ino)?;
        let mut state = self.state(&node, pace)?;
        if matches!(state.content, Content::Unloaded) {
            self.refresh(&node, &mut state, pace)?;
        }
        self.openable(&node, &state)?;
        let range = |len: usize| {
            let start = usize::try_from(offset).unwrap_or(len).min(len);
            start..start.saturating_add(size as usize).min(len)
        };
        match &state.content {
            Content::Clean(loaded) => {
                Ok(ReadData::Shared(loaded.view.clone(), range(loaded.view.len())))
            }
            Content::Dirty(buffer) => {
                Ok(ReadData::Own(buffer.bytes[range(buffer.bytes.len())].into()))
            }
            Content::Stream(_) if pace == Pace::Quick => Err(Error::WouldBlock),
            Content::Stream(stream) => {
                let file = stream.file.clone();
                drop(state);
                let mut bytes = vec![0; size as usize];
                let mut read = 0;
                while read < bytes.len() {
                    match file.read_at(&mut bytes[read..], offset + read as u64)? {
                        0 => break,
                        more => read += more,
                    }
                }
                bytes.truncate(read);
                Ok(ReadData::Own(bytes.into()))
            }
            Content::Unloaded | Content::Broken(_) | Content::TooLarge(_) => Err(Error::Stale),
        }
    }

    /// Writes `bytes` at `offset`; into memory, to be committed at fsync, at close or in time. The
    /// kernel follows a write under O_SYNC with an fsync of its own.
    pub fn write(&self, ino: Ino, offset: u64, bytes: &[u8], pace: Pace) -> Result<u32> {
        let node = self.file_node(ino)?;
        let mut state = self.state(&node, pace)?;
        if matches!(state.content, Content::Unloaded) {
            self.refresh(&node, &mut state, pace)?;
        }
        self.openable(&node, &state)?;
        let written = u32::try_from(bytes.len()).map_err(|_| Error::Invalid)?;
        let end = offset.checked_add(bytes.len() as u64).ok_or(Error::TooLarge)?;
        let outgrown = end > self.options.max_view;
        if outgrown || matches!(state.content, Content::Stream(_)) {
            if pace == Pace::Quick {
                return Err(Error::WouldBlock);
            }
            if !matches!(state.content, Content::Stream(_)) {
                self.outgrow(&node, &mut state)?;
            }
        }
        if let Content::Stream(stream) = &mut state.content {
            stream.refused |= self.is_sealed_in(&node, bytes);
            if stream.refused {
                return Err(Error::TooLarge);
            }
            stream.change(|file| file.write_all_at(bytes, offset))?;
            return Ok(written);
        }
        let now = Time::now();
        if !state.make_dirty(now) {
            return Err(Error::Stale);
        }
        if let Content::Dirty(buffer) = &mut state.content {
            buffer.bytes.write_at(offset as usize, bytes);
            buffer.touch(now);
        }
        state.written_since = true;
        self.note_dirty(&node);
        Ok(written)
    }

    /// Whether `bytes`, on their way into the store as they are, would make any file under this
    /// name a sealed one.
    fn is_sealed_in(&self, node: &Node, bytes: &[u8]) -> bool {
        let Some(file) = node.path() else { return false };
        let sealing = &self.rules().sealing;
        let classified = sealing.policy.classify(&file);
        match classified.class {
            Class::Plain => false,
            Class::Fields(_) if !classified.is_by_content() => true,
            Class::Whole => true,
            Class::Fields(_) | Class::Unknown => {
                holds_secret(&sealing.policy, &sealing.ledger, &file, bytes)
            }
        }
    }

    /// A descriptor is closed: what was written through any is committed.
    pub fn flush(&self, ino: Ino, pace: Pace) -> Result<()> {
        if is_control(ino) {
            return Ok(());
        }
        let node = self.file_node(ino)?;
        let mut state = self.state(&node, pace)?;
        match &state.content {
            Content::Dirty(buffer) if buffer.only_emptied => Ok(()),
            Content::Dirty(_) if pace == Pace::Quick => Err(Error::WouldBlock),
            Content::Dirty(_) => self.commit(&node, &mut state, false),
            _ => Ok(()),
        }
    }

    /// Commits, and returns when the disk has it.
    pub fn fsync(&self, ino: Ino) -> Result<()> {
        if is_control(ino) {
            return Ok(());
        }
        let node = self.file_node(ino)?;
        let mut state = node.state.lock();
        self.commit(&node, &mut state, true)
    }

    /// The last reference to an open descriptor went. Errors can no longer reach a program: they
    /// are noted, and the buffer is tried again in time.
    pub fn release(&self, ino: Ino, handle: u64, mode: OpenMode, pace: Pace) -> Result<()> {
        if is_control(ino) {
            self.control_release(handle);
            return Ok(());
        }
        let Some(node) = self.nodes.get(ino) else { return Ok(()) };
        let mut state = self.state(&node, pace)?;
        let last_writer = mode.write && state.writers == 1;
        if last_writer && state.is_dirty() && pace == Pace::Quick {
            return Err(Error::WouldBlock);
        }
        state.opens = state.opens.saturating_sub(1);
        state.writers = state.writers.saturating_sub(u32::from(mode.write));
        if state.writers == 0
            && let Content::Stream(stream) = &mut state.content
        {
            stream.refused = false;
        }
        // What others are still writing they save themselves: this comes late, with half of it there.
        if last_writer
            && state.is_dirty()
            && let Err(error) = self.commit(&node, &mut state, false)
        {
            self.troubles.not_saved(&node.path().unwrap_or_default(), &error);
        }
        if state.opens == 0 && !node.is_linked() {
            // The content stays until the kernel forgets the node: an open may be on its way.
            self.dirty.lock().remove(&ino);
        }
        Ok(())
    }

    /// The state of a file, at the pace that is asked for.
    pub(super) fn state<'a>(
        &self,
        node: &'a Node,
        pace: Pace,
    ) -> Result<MutexGuard<'a, FileState>> {
        match pace {
            Pace::Quick => node.state.try_lock().ok_or(Error::WouldBlock),
            Pace::Patient => Ok(node.state.lock()),
        }
    }

    pub(super) fn file_node(&self, ino: Ino) -> Result<Arc<Node>> {
        let node = self.node(ino)?;
        match node.kind {
            FileKind::File => Ok(node),
            FileKind::Dir => Err(Error::IsADirectory),
            _ => Err(Error::Invalid),
        }
    }

    pub(super) fn note_dirty(&self, node: &Node) {
        self.dirty.lock().entry(node.ino).or_insert_with(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::ROOT;
    use crate::fs::testing::{CALLER, READ, over};

    const WRITE: OpenMode = OpenMode { write: true, ..READ };

    /// The kernel says so some time after the close, when another program may be at work.
    #[test]
    fn a_descriptor_that_goes_late_does_not_save_what_another_one_is_writing() {
        let dir = tempfile::tempdir().unwrap();
        let stored = dir.path().join("app.toml");
        std::fs::write(&stored, "port = 1\n").unwrap();
        let fs = over(dir.path());
        let ino = fs.lookup(ROOT, "app.toml".as_ref(), Pace::Patient).unwrap().attr.ino;
        let open = |mode| fs.open(CALLER, ino, mode, Pace::Patient).unwrap();
        let write = |offset, text: &str| fs.write(ino, offset, text.as_bytes(), Pace::Patient);
        let close = |mode| fs.release(ino, 0, mode, Pace::Patient).unwrap();
        open(WRITE);
        write(0, "port = 2\n").unwrap();
        fs.flush(ino, Pace::Patient).unwrap();
        open(OpenMode { truncate: true, ..WRITE });
        write(0, "port").unwrap();
        close(WRITE);
        assert_eq!(std::fs::read(&stored).unwrap(), b"port = 2\n");
        write(4, " = 3\n").unwrap();
        close(WRITE);
        assert_eq!(std::fs::read(&stored).unwrap(), b"port = 3\n");
    }
}
