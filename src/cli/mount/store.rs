//! The store of a mount: opened and locked, with its rules and what was accepted of them here.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::error::Failure;
use super::super::open::{self, Keys};
use super::super::{Result, pinned};
use super::{Plan, succession};
use crate::document::{Binding, Sealing};
use crate::fuse::mount::Host;
use crate::path::RelPath;
use crate::pins::Pins;
use crate::store::{Store, StoreLock};
use crate::systemd::Kept;

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
            self.look_for_holders(&store)?;
        }
        let lock = open::lock(&store)?;
        Ok((store, lock))
    }

    /// Who holds files of the store open would go on seeing the store, not the mount.
    ///
    /// Not to be asked where an earlier daemon's mount is taken over, which has hidden the store all
    /// along: a process that is being executed (execve(2)) and closes a file of that mount waits for
    /// us, and whoever looks into it waits for the process.
    fn look_for_holders(&self, store: &Store) -> Result<()> {
        let holders = store.holders();
        for holder in &holders {
            log::warn!("{holder} goes on seeing the sealed store");
        }
        let writers: Vec<_> = holders.iter().filter(|holder| holder.can_write()).collect();
        if writers.is_empty() || self.force {
            return Ok(());
        }
        let list = writers.iter().map(|holder| format!("  {holder}")).collect::<Vec<_>>();
        Err(Failure::Held { store: self.store.clone(), list: list.join("\n") })
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
