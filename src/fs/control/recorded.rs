//! The records of what is done by the control file, under the name of whoever wrote to it.

use super::super::{Caller, Filesystem};
use crate::audit::{Action, Deed, Outcome, TrailError, Who};

/// A deed that has begun and been recorded; to be brought to its [`Entry::end`].
pub(super) struct Entry {
    who: Who,
    action: Action,
    file: String,
}

impl Entry {
    /// Records that `caller` begins it. Where nothing is recorded at all, that is no error.
    pub(super) fn begin(
        fs: &Filesystem,
        caller: Caller,
        action: Action,
        file: &str,
    ) -> Result<Self, TrailError> {
        let who = Who::of(caller.uid, caller.pid);
        let entry = Self { who, action, file: file.to_owned() };
        entry.write(fs, Outcome::Begun, "").inspect_err(|error| entry.is_missing(error))?;
        Ok(entry)
    }

    /// Records how it ended: well, or for this reason not.
    pub(super) fn end(self, fs: &Filesystem, failed: Option<&str>) {
        let outcome = if failed.is_some() { Outcome::Failed } else { Outcome::Done };
        if let Err(error) = self.write(fs, outcome, failed.unwrap_or_default()) {
            self.is_missing(&error);
        }
    }

    fn write(&self, fs: &Filesystem, outcome: Outcome, reason: &str) -> Result<(), TrailError> {
        let Some(trail) = &fs.options.trail else { return Ok(()) };
        let deed = Deed { action: self.action, file: &self.file, field: "", outcome, reason };
        trail.write(&self.who, &deed)
    }

    fn is_missing(&self, error: &TrailError) {
        let action = self.action.name();
        log::error!(
            event = "audit-failed", action = action, uid = self.who.uid, pid = self.who.pid;
            "{action} by {} could not be recorded: {error}", self.who
        );
    }
}
