//! Bounds the memory of views of files that nobody has open: the least recently used go first.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::file::{Content, FileState};
use super::node::{Ino, Node};

/// Fewer views than this are not looked through.
const MANY: usize = 1024;

pub(super) struct ViewCache {
    limit: usize,
    /// Held for moments; other nodes' states are only tried, never waited for.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    views: HashMap<Ino, View>,
    bytes: usize,
    clock: u64,
    /// At how many views those of nodes that are gone are looked for.
    crowded: usize,
}

struct View {
    node: Weak<Node>,
    bytes: usize,
    used: u64,
}

impl ViewCache {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: Mutex::default() }
    }

    /// The view of `ino` was opened: it goes later than those that were not.
    pub(super) fn used(&self, ino: Ino) {
        let mut held = self.held.lock();
        held.clock += 1;
        let now = held.clock;
        if let Some(view) = held.views.get_mut(&ino) {
            view.used = now;
        }
    }

    /// The content of `node` was read or committed; lets others go if it is too much.
    pub(super) fn loaded(&self, node: &Arc<Node>, state: &FileState) {
        let bytes = match &state.content {
            Content::Clean(loaded) => loaded.view.len() + loaded.base.stored.len(),
            _ => 0,
        };
        let mut held = self.held.lock();
        held.clock += 1;
        let view = View { node: Arc::downgrade(node), bytes, used: held.clock };
        let before = held.views.insert(node.ino, view).map_or(0, |view| view.bytes);
        held.bytes = held.bytes + bytes - before;
        if held.views.len() > held.crowded {
            held.forget_gone();
        }
        if held.bytes <= self.limit {
            return;
        }
        let mut oldest: Vec<(u64, Ino)> =
            held.views.iter().map(|(ino, view)| (view.used, *ino)).collect();
        oldest.sort_unstable();
        // Down to three quarters, so that not every further view sorts them anew.
        let enough = self.limit / 4 * 3;
        for (_, ino) in oldest {
            if held.bytes <= enough {
                break;
            }
            if ino != node.ino && held.views.get(&ino).is_some_and(View::let_go) {
                held.bytes -= held.views.remove(&ino).map_or(0, |view| view.bytes);
            }
        }
    }
}

impl Held {
    /// Views of nodes that the kernel has forgotten went with them.
    fn forget_gone(&mut self) {
        self.views.retain(|_, view| view.node.strong_count() > 0);
        self.bytes = self.views.values().map(|view| view.bytes).sum();
        self.crowded = (2 * self.views.len()).max(MANY);
    }
}

impl View {
    /// Drops the view unless somebody has the file open; whether it is gone.
    fn let_go(&self) -> bool {
        let Some(node) = self.node.upgrade() else { return true };
        let Some(mut state) = node.state.try_lock() else { return false };
        match state.content {
            // Of a file without a name there is no other copy.
            Content::Clean(_) if state.opens == 0 && node.is_linked() => {
                state.content = Content::Unloaded;
                true
            }
            Content::Clean(_) => false,
            _ => true,
        }
    }
}
