//! What `stat` shows of a view, its length and its time, remembered for as long as the stored text
//! stays what it is; over remounts too, in this machine's pins. So a walk need not open every file.
//!
//! What must stay true:
//! - an entry holds for one stamp: a file that changed by anybody's hand, also while nothing was
//!   mounted, has another. A young stamp is never remembered, since it proves nothing;
//! - entries hold for the keys and rules under which the files were opened. A file that could not be
//!   opened has none: it is tried again;
//! - whatever is wrong with the saved table, it is dropped whole. It says lengths and times, no
//!   content, and lies where only its owner and root can write.

use std::collections::HashMap;
use std::sync::OnceLock;

use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

use super::Filesystem;
use super::attributes::{Attr, from_store, show_times};
use super::file::{Content, FileState};
use super::node::Node;
use super::rules::Rules;
use crate::document::Sealing;
use crate::pins::Pin;
use crate::store::{Metadata, Stamp, Time};

/// The first bytes of a saved table, and the name of its form.
const MAGIC: &[u8; 16] = b"confseal views 1";

const DIGEST: usize = 32;

/// Bytes of a saved entry: stamp, length, time.
const ENTRY: usize = Stamp::BYTES + 8 + Time::BYTES;

/// How many files are remembered, at most: some 30 MB in memory.
const MOST: usize = 1 << 18;

/// A table, read from the pins when it is first asked.
#[derive(Default)]
pub(super) struct Remembered {
    /// Held for moments, once it has been read.
    table: OnceLock<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    views: HashMap<u64, View>,
    /// What the entries hang on, and the number of the rules for which that was last worked out.
    digest: [u8; DIGEST],
    rules: u64,
    /// Whether it says other than what was saved.
    changed: bool,
}

/// What is remembered of the view of one inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct View {
    stamp: Stamp,
    len: u64,
    mtime: Time,
    /// Whether it was of use since the mount. The others go first.
    used: bool,
}

impl Filesystem {
    /// The attributes of a file whose content is not held, if it need not be opened for them.
    pub(super) fn remembered_attr(
        &self,
        node: &Node,
        state: &mut FileState,
        metadata: &Metadata,
    ) -> Option<Attr> {
        if !matches!(state.content, Content::Unloaded) {
            return None;
        }
        let rules = self.rules();
        let view = self.table(&rules).get(&metadata.stamp())?;
        state.note_unseen_change(metadata);
        state.last_metadata = Some(*metadata);
        state.tell(metadata);
        state.told_len = Some(view.len);
        state.shown_mtime = Some((metadata.mtime, view.mtime));
        let mut attr = from_store(node, metadata);
        attr.set_size(view.len);
        show_times(&mut attr, state);
        Some(attr)
    }

    /// Remembers the view that `state` holds of the file with these attributes, if it can be
    /// known again.
    pub(super) fn remember_view(&self, state: &FileState, metadata: &Metadata) {
        let Content::Clean(loaded) = &state.content else { return };
        let stamp = metadata.stamp();
        let rules = self.rules();
        if loaded.trust.young || loaded.trust.rules != rules.version || loaded.base.stamp != stamp {
            return;
        }
        let mtime = match state.shown_mtime {
            Some((stored, shown)) if stored == metadata.mtime => shown,
            _ => metadata.mtime,
        };
        let view = View { stamp, len: loaded.view.len() as u64, mtime, used: true };
        self.table(&rules).set(view);
    }

    /// Saves what has been learned since the last time, for the next mount.
    pub fn save_remembered(&self) {
        let (Some(pins), Some(table)) = (&self.options.pins, self.remembered.table.get()) else {
            return;
        };
        let mut table = table.lock();
        if !std::mem::take(&mut table.changed) {
            return;
        }
        let saved = table.encode();
        drop(table);
        if let Err(error) = pins.write_bytes(Pin::Views, &saved) {
            log::warn!("the next walk will be slow, its lengths cannot be saved: {error}");
        }
    }

    /// The table, for `rules`.
    fn table(&self, rules: &Rules) -> MutexGuard<'_, Table> {
        let table = self.remembered.table.get_or_init(|| {
            let saved = self.options.pins.as_ref().map(|pins| pins.read_bytes(Pin::Views));
            let saved = match saved {
                Some(Ok(Some(saved))) => saved,
                Some(Ok(None)) | None => Vec::new(),
                Some(Err(error)) => {
                    log::warn!("what was remembered of the files is lost: {error}");
                    Vec::new()
                }
            };
            let digest = self.digest(&rules.sealing);
            let views = decode(&saved, &digest).unwrap_or_default();
            Mutex::new(Table { views, digest, rules: rules.version, changed: false })
        });
        let mut table = table.lock();
        if table.rules != rules.version {
            table.rules = rules.version;
            table.hold_for(self.digest(&rules.sealing));
        }
        table
    }

    /// What a length hangs on beside the stored text: the program, the filesystem whose stamps
    /// these are, the keys, and the rules by which texts are read.
    fn digest(&self, sealing: &Sealing) -> [u8; DIGEST] {
        let mut all = Sha256::new();
        let mut add = |part: &[u8]| {
            all.update((part.len() as u64).to_le_bytes());
            all.update(part);
        };
        add(env!("CARGO_PKG_VERSION").as_bytes());
        add(&self.device.to_le_bytes());
        add(format!("{:?} {:?}", sealing.binding, sealing.imports).as_bytes());
        for key in sealing.sealer.keyring().keys() {
            add(key.fingerprint().to_string().as_bytes());
        }
        add(sealing.policy.text().as_bytes());
        let accepted = sealing.policy.accepted();
        add(accepted.as_ref().map_or("", |policy| policy.text()).as_bytes());
        all.finalize().into()
    }
}

impl Table {
    fn get(&mut self, stamp: &Stamp) -> Option<View> {
        let view = self.views.get_mut(&stamp.ino()).filter(|view| view.stamp == *stamp)?;
        view.used = true;
        Some(*view)
    }

    fn set(&mut self, view: View) {
        let ino = view.stamp.ino();
        if self.views.len() >= MOST && !self.views.contains_key(&ino) {
            self.views.retain(|_, view| view.used);
            if self.views.len() >= MOST {
                return;
            }
        }
        let before = self.views.insert(ino, view);
        self.changed |= before.is_none_or(|before| View { used: true, ..before } != view);
    }

    /// Under other rules nothing that was known is known.
    fn hold_for(&mut self, digest: [u8; DIGEST]) {
        if self.digest != digest {
            *self = Self { digest, rules: self.rules, changed: true, ..Self::default() };
        }
    }

    /// The magic, the digest of the rules, the entries, the digest of all that.
    fn encode(&self) -> Vec<u8> {
        let mut saved = Vec::with_capacity(MAGIC.len() + 2 * DIGEST + self.views.len() * ENTRY);
        saved.extend_from_slice(MAGIC);
        saved.extend_from_slice(&self.digest);
        for view in self.views.values() {
            saved.extend_from_slice(&view.stamp.to_bytes());
            saved.extend_from_slice(&view.len.to_le_bytes());
            saved.extend_from_slice(&view.mtime.to_bytes());
        }
        let digest = Sha256::digest(&saved);
        saved.extend_from_slice(&digest);
        saved
    }
}

/// `None` for what was saved under other rules, or not here.
fn decode(saved: &[u8], rules: &[u8; DIGEST]) -> Option<HashMap<u64, View>> {
    let (content, digest) = saved.split_at_checked(saved.len().checked_sub(DIGEST)?)?;
    if *Sha256::digest(content) != *digest {
        return None;
    }
    let entries = content.strip_prefix(MAGIC)?.strip_prefix(rules)?;
    let view = |entry: &[u8]| {
        let (stamp, rest) = entry.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let view = View {
            stamp: Stamp::from_bytes(stamp),
            len: u64::from_le_bytes(*len),
            mtime: Time::from_bytes(rest.first_chunk()?),
            used: false,
        };
        Some((view.stamp.ino(), view))
    };
    entries.chunks(ENTRY).map(view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [u8; DIGEST] = [7; DIGEST];

    fn view(ino: u64, len: u64) -> View {
        let time = |sec| Time { sec, nsec: 999_999_999 };
        let mut stamp = [0; Stamp::BYTES];
        stamp[..8].copy_from_slice(&ino.to_le_bytes());
        View { stamp: Stamp::from_bytes(&stamp), len, mtime: time(-5), used: true }
    }

    fn table() -> Table {
        let mut table = Table { digest: RULES, ..Table::default() };
        table.set(view(1, 10));
        table.set(view(u64::MAX, u64::MAX));
        table
    }

    #[test]
    fn a_saved_table_reads_back() {
        let read = decode(&table().encode(), &RULES).unwrap();
        for (ino, view) in table().views {
            assert_eq!(read[&ino], View { used: false, ..view });
        }
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn a_table_of_other_rules_or_a_damaged_one_is_dropped_whole() {
        let saved = table().encode();
        assert!(decode(&saved, &[8; DIGEST]).is_none());
        assert!(decode(&[], &RULES).is_none());
        for cut in 0..saved.len() {
            assert!(decode(&saved[..cut], &RULES).is_none(), "{cut}");
        }
        for at in 0..saved.len() {
            let mut saved = saved.clone();
            saved[at] ^= 1;
            assert!(decode(&saved, &RULES).is_none(), "{at}");
        }
    }

    #[test]
    fn another_stamp_or_other_rules_know_nothing() {
        let mut table = table();
        let stamp = view(1, 0).stamp;
        assert_eq!(table.get(&stamp).map(|view| view.len), Some(10));
        let mut other = stamp.to_bytes();
        other[Stamp::BYTES - 1] ^= 1;
        assert_eq!(table.get(&Stamp::from_bytes(&other)), None);
        table.hold_for(RULES);
        assert!(table.get(&stamp).is_some());
        table.hold_for([8; DIGEST]);
        assert_eq!(table.get(&stamp), None);
    }

    #[test]
    fn only_what_is_new_is_worth_saving() {
        let mut table = table();
        table.changed = false;
        table.set(view(1, 10));
        assert!(!table.changed);
        table.set(view(1, 11));
        assert!(table.changed);
    }
}
