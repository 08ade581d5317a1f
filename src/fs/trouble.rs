//! Files in trouble: what an operator must know and a program only sees as an errno.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Error;
use crate::document::{OpenError, WholeBecause};
use crate::path::RelPath;

/// One file in trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The field, if one is to blame.
    pub field: Option<String>,
    /// The id of the key that is missing or did not fit.
    pub key_id: Option<String>,
    /// What is wrong, in words.
    pub reason: String,
}

#[derive(PartialEq, Eq)]
struct Held {
    trouble: Trouble,
    /// Whether it stays though the file opens: only another save can end it.
    until_saved: bool,
}

#[derive(Default)]
pub(super) struct Troubles {
    /// Held for moments.
    files: Mutex<BTreeMap<RelPath, Held>>,
    pub conflicts: AtomicU64,
}

impl Troubles {
    /// `file` cannot be opened. Logged once, until it changes.
    pub(super) fn found(&self, file: &RelPath, error: &OpenError) {
        let trouble = Trouble {
            field: error.field.as_ref().map(ToString::to_string),
            key_id: error.key_id().map(|id| id.to_string()),
            reason: error.to_string(),
        };
        if self.note(file, trouble, false) {
            log::error!("{file}: {error}");
        }
    }

    /// A written buffer could not be committed.
    pub(super) fn not_saved(&self, file: &RelPath, error: &Error) {
        let trouble = Trouble { field: None, key_id: None, reason: format!("not saved: {error}") };
        if self.note(file, trouble, false) {
            log::error!("{file}: not saved: {error}");
        }
    }

    /// `file` was saved, in another form than the policy means it to have.
    pub(super) fn sealed_whole(&self, file: &RelPath, because: &WholeBecause) {
        let reason = format!("sealed whole: {because}");
        if self.note(file, Trouble { field: None, key_id: None, reason }, true) {
            log::warn!("{file}: sealed whole: {because}");
        }
    }

    /// `file`, a sealed one, is larger than `limit` bytes and cannot be opened.
    pub(super) fn too_large(&self, file: &RelPath, limit: u64) {
        self.refused(file, &format!("sealed, and larger than {}", max_view(limit)), false);
    }

    /// `file` was to grow beyond `limit` bytes, and is held in memory, since it is sealed or would
    /// be; `unruled`: only because no rule knows its name.
    pub(super) fn not_grown(&self, file: &RelPath, limit: u64, unruled: bool) {
        let because = match unruled {
            true => ", as no rule knows its name (`seal = \"none\"` in a rule leaves it plain)",
            false => "",
        };
        let reason = format!("not grown beyond {}: it is sealed{because}", max_view(limit));
        self.refused(file, &reason, true);
    }

    fn refused(&self, file: &RelPath, reason: &str, until_saved: bool) {
        let trouble = Trouble { field: None, key_id: None, reason: reason.to_owned() };
        if self.note(file, trouble, until_saved) {
            log::warn!("{file}: {reason}");
        }
    }

    /// A version that someone else wrote was displaced by a commit.
    pub(super) fn conflict(&self, file: &RelPath, kept: &str) {
        self.conflicts.fetch_add(1, Ordering::Relaxed);
        log::warn!("{file}: changed in the store meanwhile; that version is kept as {kept}");
    }

    /// `file` is well, or gone.
    pub(super) fn cleared(&self, file: &RelPath) {
        self.files.lock().remove(file);
    }

    /// `file` can be opened.
    pub(super) fn opened(&self, file: &RelPath) {
        let mut files = self.files.lock();
        if files.get(file).is_some_and(|held| !held.until_saved) {
            files.remove(file);
        }
    }

    /// What was known of `from` is now true of `to`.
    pub(super) fn renamed(&self, from: &RelPath, to: &RelPath) {
        let mut files = self.files.lock();
        files.remove(to);
        if let Some(trouble) = files.remove(from) {
            files.insert(to.clone(), trouble);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.lock().len()
    }

    /// All of them, by path.
    pub(super) fn all(&self) -> BTreeMap<RelPath, Trouble> {
        let files = self.files.lock();
        files.iter().map(|(file, held)| (file.clone(), held.trouble.clone())).collect()
    }

    /// Whether this is news.
    fn note(&self, file: &RelPath, trouble: Trouble, until_saved: bool) -> bool {
        let held = Held { trouble, until_saved };
        let mut files = self.files.lock();
        let news = files.get(file) != Some(&held);
        files.insert(file.clone(), held);
        news
    }
}

fn max_view(bytes: u64) -> String {
    format!("{} MiB (max_view)", bytes >> 20)
}
