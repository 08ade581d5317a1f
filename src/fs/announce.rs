//! Which changes behind the mount are told to the programs that watch files in it.
//!
//! What must stay true: a change is announced when its writer is done with it (a file closed, a name
//! moved into place), once, and only if programs can tell it: the view changed, or another file has
//! taken the name. What came through the mount the kernel has told already.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use parking_lot::Mutex;

use super::file::{Content, FileState};
use super::node::Node;
use super::{Error, Filesystem, Ino, OpenReply, Result, is_control};
use crate::store::{EventKind, FileKind, Metadata};

/// How many times the store has to be found at rest until a name that lost its file is given up.
const RESTS: u8 = 10;

#[derive(Default)]
pub(super) struct Announcements {
    /// Names that lost their file behind the mount and may get another, and how many rests ago. At
    /// most as many as the kernel knew. Held for moments.
    lost: Mutex<HashMap<(Ino, OsString), u8>>,
}

impl Announcements {
    /// A file was made under `name` through the mount.
    pub(super) fn made(&self, parent: Ino, name: &OsStr) {
        self.lost.lock().remove(&(parent, name.to_owned()));
    }

    /// The store is at rest.
    pub(super) fn rest(&self) {
        self.lost.lock().retain(|_, rests| {
            *rests += 1;
            *rests < RESTS
        });
    }
}

impl FileState {
    /// Notes that content that is not held may have changed since it was.
    pub(super) fn note_unseen_change(&mut self, now: &Metadata) {
        let is_let_go = matches!(self.content, Content::Unloaded);
        let known = self.last_metadata.map(|metadata| metadata.stamp());
        self.unannounced |= is_let_go && known.is_some_and(|known| known != now.stamp());
    }
}

impl Filesystem {
    /// An open by which the daemon itself announces a change: it has no effect, and its release
    /// bears `handle`, by which it is to be known.
    pub fn announce_open(&self, ino: Ino, handle: u64) -> Result<OpenReply> {
        if is_control(ino) {
            return Err(Error::Reserved);
        }
        let node = self.file_node(ino)?;
        // The kernel then looks for what stands under the name now.
        if !node.is_linked() {
            return Err(Error::Stale);
        }
        Ok(OpenReply { handle, direct: false, keep_cache: true, no_flush: true })
    }

    /// `node` does not stand under `name` any more, and that was done behind the mount.
    pub(super) fn lost_behind(&self, node: &Node, parent: &Arc<Node>, name: &OsStr) {
        // First: who finds it lost here, and sees the new file, sees as well that the old one, which
        // it may have open, has a name less.
        self.tell(|kernel| kernel.attributes_now(node.ino));
        self.nodes.lose_link(node, parent.ino, name);
        if node.kind == FileKind::File {
            self.announcements.lost.lock().insert((parent.ino, name.to_owned()), 0);
        }
        self.tell(|kernel| match node.is_linked() {
            true => kernel.name(parent.ino, name),
            false => kernel.removed(parent.ino, name, node.ino),
        });
    }

    /// Announces what `event` says is done under `name`, if anything is to be told.
    pub(super) fn announce(&self, event: EventKind, parent: &Arc<Node>, name: &OsStr) {
        if !matches!(event, EventKind::Closed | EventKind::MovedTo) {
            return;
        }
        let lost = self.announcements.lost.lock().remove(&(parent.ino, name.to_owned()));
        let has_changed = self
            .nodes
            .child(parent.ino, name)
            .is_some_and(|node| std::mem::take(&mut node.state.lock().unannounced));
        if (lost.is_some() || has_changed)
            && let Some(directory) = parent.path()
        {
            self.tell(|kernel| kernel.changed(directory.join(name)));
        }
    }
}
