//! The trail, as verbs use it: what shows or lays open a secret is recorded before it is done.
//!
//! Must stay true: where [`Audited::before`] fails, nothing has been shown or changed yet. What
//! comes after is recorded too, and that it cannot be is only said: it is done by then.

use std::path::{Path, PathBuf};

use super::error::Failure;
use super::open::is_mount;
use super::output::warn;
use super::{Result, mounts, pinned};
use crate::audit::{self, Action, Deed, Limits, Outcome, Trail, Who};
use crate::document::FieldPath;
use crate::instance::{self, Instance};
use crate::path::RelPath;
use crate::pins::{Pins, PinsError};
use crate::systemd;

/// One deed of this process's user.
pub(super) struct Audited {
    /// `None` where the instance says that nothing is recorded.
    trail: Option<Trail>,
    who: Who,
    action: Action,
    file: String,
    field: String,
}

impl Audited {
    /// `action` on `file`, or on `field` of it, in the store or mount at `root`.
    pub(super) fn of(
        root: &Path,
        action: Action,
        file: &RelPath,
        field: Option<&FieldPath>,
    ) -> Result<Self> {
        let name = pinned::name_of(&store_of(root));
        let field = field.map(ToString::to_string).unwrap_or_default();
        Self::in_trail_of(&name, action, file.to_string(), field)
    }

    fn in_trail_of(name: &str, action: Action, file: String, field: String) -> Result<Self> {
        let settings = Instance::named(name).map(|instance| instance.audit).unwrap_or_default();
        systemd::send_records_of(audit::MODULE, name);
        let trail = trail(name, settings).map_err(Failure::NoTrail)?;
        Ok(Self { trail, who: Who::me(), action, file, field })
    }

    /// Records that it is about to be done. An error: it must not be.
    pub(super) fn before(&self, outcome: Outcome) -> Result<()> {
        self.write(outcome, "").map_err(Failure::Unrecorded)
    }

    /// Records how it ended.
    pub(super) fn after(&self, outcome: Outcome, reason: &str) {
        if let Err(error) = self.write(outcome, reason) {
            warn(format_args!("how it ended could not be recorded: {error}"));
        }
    }

    /// The same for what came of it: `done` if it worked, failed with its reason if not.
    pub(super) fn ended<T>(&self, done: Outcome, result: Result<T>) -> Result<T> {
        match &result {
            Ok(_) => self.after(done, ""),
            Err(failure) => self.after(Outcome::Failed, &failure.to_string()),
        }
        result
    }

    fn write(&self, outcome: Outcome, reason: &str) -> Result<(), audit::TrailError> {
        let Some(trail) = &self.trail else { return Ok(()) };
        let (action, file, field) = (self.action, &*self.file, &*self.field);
        trail.write(&self.who, &Deed { action, file, field, outcome, reason })
    }
}

/// Does `act` to the whole store of the instance called `name`, which need not be there before or
/// after, between two records. Where the first cannot be made, nothing is done.
pub(super) fn recorded(name: &str, action: Action, act: impl FnOnce() -> Result) -> Result {
    let audited = Audited::in_trail_of(name, action, String::new(), String::new())?;
    audited.before(Outcome::Begun)?;
    let result = act();
    match &result {
        Ok(super::Outcome::Done) => audited.after(Outcome::Done, ""),
        Ok(_) => audited.after(Outcome::Failed, "not all of it could be done"),
        Err(failure) => audited.after(Outcome::Failed, &failure.to_string()),
    }
    result
}

/// The trail of the store called `name`, unless its instance wants none.
fn trail(name: &str, settings: instance::Audit) -> Result<Option<Trail>, PinsError> {
    if !settings.enabled {
        return Ok(None);
    }
    let pins = Pins::find_or_create(name)?;
    Ok(Some(Trail::at(pins.path(), limits(settings))))
}

fn limits(settings: instance::Audit) -> Limits {
    Limits { size: settings.max_size << 20, files: settings.keep.max(1) }
}

/// The same for the daemon: where this machine can remember nothing, it mounts all the same, as it
/// has said.
pub(super) fn trail_of_mount(name: &str, settings: instance::Audit) -> Result<Option<Trail>> {
    match trail(name, settings) {
        Err(error) if error.is_absence() => Ok(None),
        other => other.map_err(Failure::NoTrail),
    }
}

/// The trail of a store, to be read; `None` when there is none here.
pub(super) fn find(store: &Path) -> Result<Option<Trail>> {
    let name = pinned::name_of(store);
    let settings = Instance::named(&name).map(|instance| instance.audit).unwrap_or_default();
    Ok(Pins::find(&name)?.map(|pins| Trail::at(pins.path(), limits(settings))))
}

/// The store at `root`, or the one that is mounted there.
pub(super) fn store_of(root: &Path) -> PathBuf {
    match is_mount(root) {
        true => mounts::source_of(root).unwrap_or_else(|| root.to_owned()),
        false => root.to_owned(),
    }
}
