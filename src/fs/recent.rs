//! What stood last under a name: so that a program which saves by rename, or by removing and
//! creating anew, keeps its tokens, and a plain file stays plain.
//!
//! Holds sealed bytes only, as they stood in the store.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::document::{Form, is_whole};
use crate::path::RelPath;

/// How many names, and how many bytes, are remembered.
const MOST_NAMES: usize = 1024;
const MOST_BYTES: usize = 16 << 20;

#[derive(Default)]
pub(super) struct Recent {
    /// Held for moments.
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    by_name: HashMap<RelPath, (Form, Arc<[u8]>)>,
    oldest_first: VecDeque<RelPath>,
    bytes: usize,
}

impl Recent {
    /// `stored` no longer stands under `file`.
    pub(super) fn left(&self, file: &RelPath, form: Form, stored: Arc<[u8]>) {
        let mut seen = self.seen.lock();
        if stored.is_empty() || stored.len() > MOST_BYTES {
            return;
        }
        seen.drop_name(file);
        seen.bytes += stored.len();
        seen.by_name.insert(file.clone(), (form, stored));
        seen.oldest_first.push_back(file.clone());
        while seen.by_name.len() > MOST_NAMES || seen.bytes > MOST_BYTES {
            let Some(oldest) = seen.oldest_first.front().cloned() else { break };
            seen.drop_name(&oldest);
        }
    }

    /// The sealed content last seen under `file`.
    pub(super) fn stored(&self, file: &RelPath) -> Option<Arc<[u8]>> {
        let seen = self.seen.lock();
        let (form, stored) = seen.by_name.get(file)?;
        (*form != Form::Plain || is_whole(stored)).then(|| stored.clone())
    }

    /// The form of what stood under `file` last.
    pub(super) fn form(&self, file: &RelPath) -> Option<Form> {
        self.seen.lock().by_name.get(file).map(|(form, _)| *form)
    }

    /// Forgets everything, as after a rewrap: no token of before may come back.
    pub(super) fn clear(&self) {
        *self.seen.lock() = Seen::default();
    }
}

impl Seen {
    fn drop_name(&mut self, file: &RelPath) {
        if let Some((_, stored)) = self.by_name.remove(file) {
            self.bytes -= stored.len();
            self.oldest_first.retain(|name| name != file);
        }
    }
}
