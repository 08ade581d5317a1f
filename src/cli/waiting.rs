//! What of a store waits to be accepted: how its policy and ledger differ from the accepted ones,
//! and what that does to the files that are there.

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Result;
use super::offline::each_file;
use super::output::count;
use crate::document::{RuleSet, Shift, weigh};
use crate::path::RelPath;
use crate::policy::{Difference, Ledger, Policy};
use crate::store::Store;

/// No more files and fields are named one by one, lest a mount's answer grows without end.
const MOST_NAMED: usize = 1000;

/// See the head of this file.
pub(super) struct Waiting {
    difference: Difference,
    /// Accepted or entered here, and no longer in the store's ledger.
    struck: Ledger,
    shifts: Vec<(RelPath, Shift)>,
    /// Files that could not be read.
    unread: usize,
    /// Names what waits, to accept it and nothing that came later.
    pub stamp: String,
}

impl Waiting {
    /// What waits of `written`, where `accepted` holds; `None` when they are the same.
    pub(super) fn of(
        store: &Store,
        accepted: (&Policy, &Ledger),
        written: (&Policy, &Ledger),
    ) -> Result<Option<Self>> {
        let struck = accepted.1.without(written.1);
        if accepted.0.text() == written.0.text() && struck.is_empty() {
            return Ok(None);
        }
        let set = |(policy, ledger)| RuleSet { policy, ledger };
        let (mut shifts, mut unread) = (Vec::new(), 0);
        each_file(store, &RelPath::root(), Path::new(""), &mut |found| {
            match found.read() {
                Ok(text) => {
                    let found_here = weigh(set(accepted), set(written), found.file, &text);
                    shifts.extend(found_here.into_iter().map(|shift| (found.file.clone(), shift)));
                }
                Err(_) => unread += 1,
            }
            Ok(())
        })?;
        let difference = written.0.difference_from(accepted.0);
        let stamp = stamp(written.0, written.1);
        Ok(Some(Self { difference, struck, shifts, unread, stamp }))
    }

    /// How much would be sealed no longer: fields, files, and lines of the ledger.
    pub(super) fn loosenings(&self) -> usize {
        self.shifts.iter().filter(|(_, shift)| shift.loosens).count() + self.struck.iter().count()
    }
}

/// Names a policy and a ledger by their content.
pub(super) fn stamp(policy: &Policy, ledger: &Ledger) -> String {
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(policy.text()));
    hash.update(ledger.to_string());
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "policy (- accepted, + in the store):")?;
        for statement in &self.difference.gone {
            writeln!(f, "  - {statement}")?;
        }
        for statement in &self.difference.new {
            writeln!(f, "  + {statement}")?;
        }
        if self.difference.is_reordered {
            writeln!(f, "  rules stand in another order: the last that matches wins")?;
        }
        if self.difference == Difference::default() {
            writeln!(f, "  it says the same")?;
        }
        for (file, field) in self.struck.iter() {
            writeln!(f, "  - ledger: {file}: {field}")?;
        }
        self.list(f, true, "would no longer be sealed")?;
        self.list(f, false, "will be sealed from now on, accepted or not")?;
        if self.unread > 0 {
            writeln!(f, "not looked into: {}", count(self.unread, "file"))?;
        }
        Ok(())
    }
}

impl Waiting {
    fn list(&self, f: &mut fmt::Formatter<'_>, loosens: bool, what: &str) -> fmt::Result {
        let shifts: Vec<_> =
            self.shifts.iter().filter(|(_, shift)| shift.loosens == loosens).collect();
        if shifts.is_empty() && !loosens {
            return Ok(());
        }
        let files = shifts.iter().filter(|(_, shift)| shift.field.is_none()).count();
        let fields = count(shifts.len() - files, "field");
        let all =
            if files > 0 { format!("{fields} and {}", count(files, "whole file")) } else { fields };
        writeln!(f, "{all} {what}{}", if shifts.is_empty() { "" } else { ":" })?;
        for (file, Shift { field, before, after, .. }) in shifts.iter().take(MOST_NAMED) {
            match field {
                Some(field) => writeln!(f, "  {file}: {field}: {before} -> {after}")?,
                None => writeln!(f, "  {file}: {before} -> {after}")?,
            }
        }
        match shifts.len().saturating_sub(MOST_NAMED) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}
