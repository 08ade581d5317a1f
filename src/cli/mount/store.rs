//! The store of a mount: opened and locked, with its rules and what was accepted of them here.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::open::{self, Keys};
use super::super::{Result, pinned};
use super::{Plan, held, succession};
use crate::document::{Binding, Sealing};
use crate::fuse::mount::Host;
use crate::path::RelPath;
use crate::pins::Pins;
use crate::store::{Store, StoreLock};
use crate::systemd::{self, Kept};

/// The store, ready to be mounted.
pub(super) struct Opened {
    pub store: Store,
    /// Held for as long as the daemon has anything to do with the store.
    pub lock: StoreLock,
    pub sealing: Sealing,
    pub pins: Option<Arc<Pins>>,
    /// Where its policy is remembered, if this machine sees the store for the first time.
    pub first_use: Option<PathBuf>,
}

impl Plan {
    /// What an earlier daemon left is opened before anything else is done: whether it lives is told by
    /// the lock alone.
    pub(super) fn take_over(
        &self,
        host: &Host,
        kept: &[Kept],
    ) -> Result<Option<(Store, StoreLock)>> {
        let over = |old| succession::take_over((host, old), kept, &self.store, &self.mountpoint);
        self.old.as_ref().map(over).transpose()
    }

    /// Opens the store, unless it was `taken` over, and makes it ready.
    pub(super) fn open_store(
        &self,
        taken: Option<(Store, StoreLock)>,
        keys: Keys,
        binding: Binding,
    ) -> Result<Opened> {
        let (store, lock) = match taken {
            Some(taken) => taken,
            None => self.open_and_lock()?,
        };
        let sealing = open::sealing_with(&store, keys, binding)?;
        pinned::tell(&store, &sealing.policy);
        let is_new = !pinned::is_known(&store)?;
        let pins = pinned::keep(&store, &sealing)?;
        let first_use = pins.as_ref().filter(|_| is_new).map(|pins| pins.path().to_owned());
        open::remember_key(&store, &sealing)?;
        mend(&store, &sealing);
        Ok(Opened { store, lock, sealing, pins, first_use })
    }

    fn open_and_lock(&self) -> Result<(Store, StoreLock)> {
        let store = open::open_store(&self.store)?;
        if self.is_over_itself() {
            let is_patient = self.foreground && systemd::is_service();
            held::look_for_holders(&store, self.force, is_patient)?;
        }
        let lock = open::lock(&store)?;
        Ok((store, lock))
    }
}

/// Makes whole what a daemon that was killed left torn; its other leftovers can wait until the
/// mount stands.
fn mend(store: &Store, sealing: &Sealing) {
    let seal_kept = |_: &RelPath, bytes: &[u8]| Ok(sealing.seal_kept(bytes));
    match store.mend(&seal_kept) {
        Ok(found) => found.log(),
        Err(error) => log::error!("what a crash left cannot be looked for: {error}"),
    }
}
