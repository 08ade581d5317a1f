//! The keys of a mount: read once at its start, and anew with each reload.
//!
//! Must stay true: nothing that holds a key is ever dumped; the process that outlives the daemon is
//! made before a key is read, and neither it nor any other child finds one in its environment.

use parking_lot::Mutex;

use super::super::error::Failure;
use super::super::open::{self, Keys, KeysRead};
use super::super::policy::waiting_text;
use super::super::{Result, pinned};
use super::Plan;
use crate::document::{Binding, Sealing};
use crate::fs::{Acceptance, Reload, Reloaded};
use crate::fuse::Survivor;
use crate::keyring::wipe_environment;
use crate::store::Store;
use crate::sys::memory;

/// The keys as they are when the daemon starts.
pub(super) struct FirstKeys {
    pub survivor: Survivor,
    pub keys: Keys,
    pub binding: Binding,
    /// For [`Plan::reload`], which finds no variables any more.
    pub known: KeysRead,
}

impl Plan {
    /// Reads the keys into memory that is neither swapped nor dumped. The survivor is left behind on
    /// the way: the process must have one thread still.
    pub(super) fn read_keys(&self) -> Result<FirstKeys> {
        memory::forbid_dumps().map_err(self.here())?;
        if let Err(error) = memory::lock_all() {
            log::warn!("only keys are locked into memory, views are not ({error})");
        }
        let sources = self.keys.sources(&self.store)?;
        let survivor = Survivor::leave_behind(|| {
            // Fails only where there are several threads, and it has one.
            let _ = wipe_environment(&sources.all());
        });
        let survivor = survivor.map_err(self.here())?;
        let mut known = KeysRead::default();
        let keys = sources.read_again(&mut known)?;
        wipe_environment(&sources.all())
            .map_err(|error| Failure::Refused(format!("variables that hold keys: {error}")))?;
        Ok(FirstKeys { survivor, keys, binding: sources.binding, known })
    }

    /// Reads keys and rules anew, for the control room.
    pub(super) fn reload(&self, known: KeysRead) -> Box<Reload> {
        let (arguments, path) = (self.keys.clone(), self.store.clone());
        let known = Mutex::new(known);
        Box::new(move |store, acceptance| {
            let read = || -> Result<Reloaded> {
                let sources = arguments.sources(&path)?;
                let keys = sources.read_again(&mut known.lock())?;
                take_on(store, keys, sources.binding, acceptance)
            };
            read().map_err(|failure| match failure.hint() {
                Some(hint) => format!("{failure}\nhint: {hint}"),
                None => failure.to_string(),
            })
        })
    }
}

/// Brings `keys` and the rules of the store into force, if nothing speaks against it.
fn take_on(
    store: &Store,
    keys: Keys,
    binding: Binding,
    acceptance: &Acceptance,
) -> Result<Reloaded> {
    open::admit(store, &keys.keyring)?;
    let waiting = pinned::waiting(store, acceptance)?;
    let sealing = open::sealing_with(store, keys, binding)?;
    pinned::keep(store, &sealing)?;
    pinned::keep_key(store, sealing.sealer.keyring())?;
    let mut summary = keys_in_words(&sealing);
    if let Some(waiting) = waiting {
        summary += &format!("\n{}", waiting_text(&waiting));
    }
    Ok(Reloaded { sealing, summary })
}

/// `master key 00e98867, legacy keys: none`, and what is opened of other systems.
fn keys_in_words(sealing: &Sealing) -> String {
    let keyring = sealing.sealer.keyring();
    let legacy: Vec<_> = keyring.legacy().iter().map(|key| key.id().to_string()).collect();
    let legacy = if legacy.is_empty() { "none".into() } else { legacy.join(", ") };
    let imports: Vec<_> = sealing.imports.schemes().map(|scheme| scheme.name()).collect();
    let imports = match imports.is_empty() {
        true => String::new(),
        false => format!(", opened of other systems: {}", imports.join(", ")),
    };
    format!("master key {}, legacy keys: {legacy}{imports}", keyring.master().id())
}
