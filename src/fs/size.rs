//! The length of a file: emptying, truncating, `fallocate`.

use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate};

use super::file::{Content, FileState};
use super::node::Node;
use super::{Error, Filesystem, Ino, Pace, Result};
use crate::store::Time;

impl Filesystem {
    /// Sets the length of the view. Committed at once when nobody has the file open for writing:
    /// no close will follow.
    pub(super) fn resize(&self, node: &Arc<Node>, size: u64) -> Result<()> {
        let mut state = node.state.lock();
        if node.is_linked() {
            self.refresh(node, &mut state, Pace::Patient)?;
        }
        if size > self.options.max_view && !matches!(state.content, Content::Stream(_)) {
            self.openable(node, &state)?;
            self.outgrow(node, &mut state)?;
        }
        if let Content::Stream(stream) = &mut state.content {
            stream.change(|file| file.set_len(size))?;
            return self.shrunk(node, &mut state);
        }
        let now = Time::now();
        if size == 0 {
            self.empty(node, &mut state, Pace::Patient)?;
        } else {
            self.openable(node, &state)?;
            if !state.make_dirty(now) {
                return Err(Error::Stale);
            }
        }
        if let Content::Dirty(buffer) = &mut state.content {
            buffer.bytes.resize(size as usize);
            buffer.touch(now);
        }
        self.note_dirty(node);
        if state.writers == 0 {
            self.commit(node, &mut state, false)?;
        }
        Ok(())
    }

    /// `fallocate`: grows the file, or makes a range of it read as zeros. No space is set aside:
    /// a sealed file is written anew by each commit. A plain file too large to be held is the
    /// store's own affair.
    pub fn allocate(&self, ino: Ino, offset: u64, len: u64, mode: i32) -> Result<()> {
        let node = self.file_node(ino)?;
        let end = offset.checked_add(len).ok_or(Error::TooLarge)?;
        let mut state = node.state.lock();
        if node.is_linked() {
            self.refresh(&node, &mut state, Pace::Patient)?;
        }
        self.openable(&node, &state)?;
        let keep_size = mode & libc::FALLOC_FL_KEEP_SIZE != 0;
        let outgrown = end > self.options.max_view && !keep_size;
        if outgrown && !matches!(state.content, Content::Stream(_)) {
            self.outgrow(&node, &mut state)?;
        }
        if let Content::Stream(stream) = &mut state.content {
            let flags = FallocateFlags::from_bits(mode as u32).ok_or(Error::Unsupported)?;
            return Ok(stream.change(|file| Ok(fallocate(file, flags, offset, len)?))?);
        }
        let zero = match mode & !libc::FALLOC_FL_KEEP_SIZE {
            0 => false,
            libc::FALLOC_FL_PUNCH_HOLE if keep_size => true,
            libc::FALLOC_FL_ZERO_RANGE => true,
            _ => return Err(Error::Unsupported),
        };
        let now = Time::now();
        if !state.make_dirty(now) {
            return Err(Error::Stale);
        }
        if let Content::Dirty(buffer) = &mut state.content {
            let len = buffer.bytes.len();
            if zero {
                let clip = |at: u64| usize::try_from(at).unwrap_or(len).min(len);
                buffer.bytes.as_mut_slice()[clip(offset)..clip(end)].fill(0);
            }
            if !keep_size && end as usize > len {
                buffer.bytes.resize(end as usize);
            }
            buffer.touch(now);
        }
        self.note_dirty(&node);
        Ok(())
    }

    /// Leaves nothing in the view, whatever was in it.
    pub(super) fn empty(&self, node: &Arc<Node>, state: &mut FileState, pace: Pace) -> Result<()> {
        if let Content::Stream(stream) = &mut state.content {
            if pace == Pace::Quick {
                return Err(Error::WouldBlock);
            }
            stream.change(|file| file.set_len(0))?;
            self.shrunk(node, state)?;
        }
        if matches!(state.content, Content::TooLarge(_)) {
            if pace == Pace::Quick {
                return Err(Error::WouldBlock);
            }
            self.load_at_any_size(node, state)?;
        }
        if !state.empty(Time::now()) {
            // Its content was never read, and it is not in the store any more.
            return Err(Error::Stale);
        }
        self.note_dirty(node);
        Ok(())
    }

    /// A file that went through to the store may be small enough to be held, and looked into,
    /// again.
    fn shrunk(&self, node: &Arc<Node>, state: &mut FileState) -> Result<()> {
        let Content::Stream(stream) = &state.content else { return Ok(()) };
        if node.is_linked() && stream.file.metadata()?.len() <= self.options.max_view {
            state.content = Content::Unloaded;
            self.refresh(node, state, Pace::Patient)?;
        }
        Ok(())
    }
}
