//! Programs that hold files of a store open when a mount is about to cover it.
//!
//! Not to be asked for where an earlier daemon's mount is taken over, which has hidden the store all
//! along: a process that is being executed (execve(2)) and closes a file of that mount waits for us,
//! and whoever looks into it waits for the process.

use std::thread;
use std::time::{Duration, Instant};

use super::super::Result;
use super::super::error::Failure;
use crate::store::Store;
use crate::store::holders::Holder;
use crate::systemd;

/// How long a service waits for programs that may write to the store. Signals wait as long: less than
/// the unit's `TimeoutStopSec=`.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is looked again.
const PACE: Duration = Duration::from_millis(50);

/// Who holds files of the store open would go on seeing the store, not the mount: he is named, and if
/// he could write there, the mount is refused unless it is forced.
///
/// Whoever is patient waits a while for those first. Most only save something; and a service that
/// fails for good has the programs stopped that need it.
pub(super) fn look_for_holders(store: &Store, force: bool, is_patient: bool) -> Result<()> {
    let patience = if is_patient && !force { PATIENCE } else { Duration::ZERO };
    let holders = once_nobody_writes(store, patience);
    for holder in &holders {
        log::warn!("{holder} goes on seeing the sealed store");
    }
    let writers: Vec<_> = holders.iter().filter(|holder| holder.can_write()).collect();
    if writers.is_empty() || force {
        return Ok(());
    }
    let list = writers.iter().map(|holder| format!("  {holder}")).collect::<Vec<_>>();
    Err(Failure::Held { store: store.path().to_owned(), list: list.join("\n") })
}

/// Those who hold files open when none of them may write, or when `patience` is at its end.
fn once_nobody_writes(store: &Store, patience: Duration) -> Vec<Holder> {
    let until = Instant::now() + patience;
    loop {
        let holders = store.holders();
        match holders.iter().find(|holder| holder.can_write()) {
            Some(writer) if Instant::now() < until => {
                systemd::status(&format!("not mounted yet: {writer}"));
            }
            _ => return holders,
        }
        thread::sleep(PACE);
    }
}
