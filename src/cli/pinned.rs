//! What was accepted of a store on this machine, brought together with what the store says now.
//!
//! Must stay true: what the store says can add to what was accepted, and never take away from it;
//! a verb that only looks pins nothing. Where there are no pins and none can be made, the store is
//! believed, and whoever writes is told so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::Result;
use super::error::Failure;
use super::open::written_rules;
use super::output::warn;
use super::waiting::{self, Waiting};
use crate::document::Sealing;
use crate::fs::Acceptance;
use crate::instance::Instance;
use crate::keyring::{Fingerprint, Keyring};
use crate::pins::{Pin, Pins, PinsError};
use crate::policy::{Ledger, Policy};
use crate::store::{CONTROL_DIR, Store};
use crate::sys::mount::canonical;

/// Where a store can be reached while a mount covers it.
const RUN_DIRECTORY: &str = "/run/confseal";

/// The names of the stores that this process works on. Settled when first asked for: a daemon must
/// not look at paths again that mounts, its own among them, lie over by then. Held while one is
/// looked up.
static NAMES: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());

/// The name that this machine has for a store: its instance's; without one, the first 16 hex
/// digits of SHA-256 of its path.
pub(super) fn name_of(store: &Path) -> String {
    NAMES.lock().entry(store.to_owned()).or_insert_with(|| look_up_name(store)).clone()
}

fn look_up_name(store: &Path) -> String {
    // The same store, reached below the mount that covers it.
    if let Some(name) = store.strip_prefix(RUN_DIRECTORY).ok().and_then(covered_name) {
        return name;
    }
    let is_its = |instance: &Instance| {
        instance.store == store || canonical(&instance.store).is_ok_and(|path| path == store)
    };
    if let Some((name, _)) = Instance::all().into_iter().find(|(_, instance)| is_its(instance)) {
        return name;
    }
    let digest = Sha256::digest(store.as_os_str().as_encoded_bytes());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `NAME` out of `NAME/store`.
fn covered_name(rest: &Path) -> Option<String> {
    let name = rest.parent().filter(|_| rest.ends_with("store"))?;
    let name = name.to_str().filter(|name| !name.is_empty() && !name.contains('/'))?;
    Some(name.to_owned())
}

/// Where a covered store named `name` can be reached.
pub(super) fn covered_at(name: &str) -> PathBuf {
    Path::new(RUN_DIRECTORY).join(name).join("store")
}

/// The pins of a store, if it has any here.
pub(super) fn find(store: &Store) -> Result<Option<Pins>> {
    Ok(Pins::find(&name_of(store.path()))?)
}

/// What the store at this path says, together with what was accepted of it.
pub(super) fn together(store: &Path, policy: Policy, ledger: Ledger) -> Result<(Policy, Ledger)> {
    let Some(pins) = Pins::find(&name_of(store))? else { return Ok((policy, ledger)) };
    let (accepted, entered) = accepted(&pins)?;
    let policy = match accepted {
        Some(accepted) => policy.together_with(&accepted),
        None => policy,
    };
    Ok((policy, ledger.united_with(&entered)))
}

/// The accepted policy, if any, and the ledger that was accepted or entered since.
pub(super) fn accepted(pins: &Pins) -> Result<(Option<Policy>, Ledger)> {
    let path = |pin| pins.path_of(pin);
    let policy = match pins.read(Pin::Policy)?.as_deref() {
        None => None,
        Some("") => Some(Policy::builtin()),
        Some(text) => Some(
            Policy::parse(text)
                .map_err(|error| Failure::Policy { path: path(Pin::Policy), error })?,
        ),
    };
    let ledger = pins.read(Pin::Ledger)?.unwrap_or_default();
    let ledger = Ledger::parse(&ledger)
        .map_err(|error| Failure::Ledger { path: path(Pin::Ledger), error })?;
    Ok((policy, ledger))
}

/// The last master key that was accepted for the store, and the file that says so.
pub(super) fn key(store: &Store) -> Result<Option<(Fingerprint, PathBuf)>> {
    let Some(pins) = find(store)? else { return Ok(None) };
    let pinned = fingerprints(&pins)?.pop();
    Ok(pinned.map(|pinned| (pinned, pins.path_of(Pin::Fingerprints))))
}

fn fingerprints(pins: &Pins) -> Result<Vec<Fingerprint>> {
    let text = pins.read(Pin::Fingerprints)?.unwrap_or_default();
    let parse = |line: &str| line.trim().parse::<Fingerprint>();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(parse).collect::<Result<_, _>>().map_err(|_| {
        let path = pins.path_of(Pin::Fingerprints);
        Failure::Pins(PinsError::Untrusted { path, what: "a line of it is no fingerprint" })
    })
}

/// Accepts the rules of a store on first use, and later on what its ledger gained. To be called by
/// whoever is about to write it. Returns the pins, unless there can be none.
pub(super) fn keep(store: &Store, sealing: &Sealing) -> Result<Option<Arc<Pins>>> {
    let pins = match Pins::find_or_create(&name_of(store.path())) {
        Ok(pins) => pins,
        Err(error) if error.is_absence() => {
            warn(format_args!(
                "{}: its policy is believed as it is, since this machine cannot \
                 remember them: {error}",
                store.path().display()
            ));
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    if pins.read(Pin::Policy)?.is_none() {
        write(&pins, Pin::Store, &format!("{}\n", store.path().display()));
        write(&pins, Pin::Policy, sealing.policy.text());
    }
    let ledger = sealing.ledger.to_string();
    if pins.read(Pin::Ledger)?.unwrap_or_default() != ledger {
        write(&pins, Pin::Ledger, &ledger);
    }
    Ok(Some(Arc::new(pins)))
}

/// Accepts the master key under which the store is sealed from now on; it has been admitted.
pub(super) fn keep_key(store: &Store, keyring: &Keyring) -> Result<()> {
    let Some(pins) = find(store)? else { return Ok(()) };
    let master = keyring.master().fingerprint();
    let mut known = fingerprints(&pins)?;
    if known.last() == Some(&master) {
        return Ok(());
    }
    known.push(master);
    let lines: String = known.iter().map(|fingerprint| format!("{fingerprint}\n")).collect();
    write(&pins, Pin::Fingerprints, &lines);
    log::debug!("the master key {} is accepted", master.id());
    Ok(())
}

/// What cannot be written is not there next time; what is there holds all the same.
fn write(pins: &Pins, pin: Pin, text: &str) {
    if let Err(error) = pins.write(pin, text) {
        warn(format_args!("{error}: not remembered"));
    }
}

/// Accepts these rules of a store, and nothing that was accepted before.
pub(super) fn accept(store: &Store, (policy, ledger): &(Policy, Ledger)) -> Result<()> {
    let pins = Pins::find_or_create(&name_of(store.path()))?;
    pins.write(Pin::Store, &format!("{}\n", store.path().display()))?;
    // The ledger last: with the new policy and the old ledger more is sealed, not less.
    pins.write(Pin::Policy, policy.text())?;
    Ok(pins.write(Pin::Ledger, &ledger.to_string())?)
}

/// Accepts `policy` in place of what was accepted: its maker has agreed to what he changed in it.
pub(super) fn accept_policy(store: &Store, policy: &Policy) -> Result<()> {
    match find(store)? {
        Some(pins) => Ok(pins.write(Pin::Policy, policy.text())?),
        None => Ok(()),
    }
}

/// Accepts what the store says now, if that is asked for; else what of it waits, if anything does.
pub(super) fn waiting(store: &Store, acceptance: &Acceptance) -> Result<Option<Waiting>> {
    let written = written_rules(store)?;
    match acceptance {
        Acceptance::Waits => {}
        Acceptance::GivenTo(stamp) if *stamp != waiting::stamp(&written.0, &written.1) => {
            let what = "policy or ledger changed since they were shown: nothing is accepted";
            return Err(Failure::Refused(what.into()));
        }
        Acceptance::Given | Acceptance::GivenTo(_) => {
            return accept(store, &written).map(|()| None);
        }
    }
    let Some(pins) = find(store)? else { return Ok(None) };
    let (Some(policy), ledger) = &accepted(&pins)? else { return Ok(None) };
    Waiting::of(store, (policy, ledger), (&written.0, &written.1))
}

/// Tells that the policy of a store is not the accepted one, if so.
pub(super) fn tell(store: &Store, policy: &Policy) {
    if policy.accepted().is_some() {
        let root = store.path().display();
        warn(format_args!(
            "{root}/{CONTROL_DIR}/policy.toml is not the accepted one: both hold until \
             `confseal policy accept {root}`"
        ));
    }
}

/// Writes the ledger of a store, and pins it.
pub(super) fn write_ledger(store: &Store, ledger: &Ledger) -> Result<()> {
    let path = store.path().join(CONTROL_DIR).join("sealed");
    let text = ledger.to_string();
    store.write_state("sealed", text.as_bytes()).map_err(Failure::io(path))?;
    if let Some(pins) = find(store)? {
        write(&pins, Pin::Ledger, &text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_covered_store_has_the_name_of_its_mount() {
        assert_eq!(name_of(&covered_at("shop")), "shop");
        for other in ["/run/confseal/store", "/run/confseal/a/b/store", "/run/confseal/a"] {
            assert_eq!(name_of(Path::new(other)).len(), 16, "{other}");
        }
    }
}
