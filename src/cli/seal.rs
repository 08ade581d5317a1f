//! `seal`: every secret of a store that stands in the clear is sealed. It never lays one open.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::Failure;
use super::offline::{Change, Found, Place, is_unread_configuration, places};
use super::open::{KeyArguments, is_mount, locate, remember_key};
use super::output::{count, say};
use super::trouble::{Trouble, Troubles};
use super::{Outcome, Result, control, pinned};
use crate::document::{Cause, FieldPath, Form, SealedStored, Sealing, TokenError, WholeBecause};
use crate::path::RelPath;
use crate::store::CONTROL_DIR;

/// Seal the secrets of a store, or of some of its files
///
/// What is sealed already keeps its bytes: a second run changes nothing. Version-control
/// directories and symlinks are left alone. On a mount, its daemon does it, with its own keys.
#[derive(Args)]
pub(super) struct Seal {
    /// Files, and directories with all that is in them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Say what would be sealed, and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    keys: KeyArguments,
}

/// What there is to say of one file.
struct Done {
    changed: bool,
    form: Form,
    /// Tokens that were not there before.
    fresh: usize,
    whole: Option<WholeBecause>,
    /// Fields for the ledger.
    ledger: Vec<FieldPath>,
    /// Left plain, since nobody knows how to read it.
    unread: bool,
}

#[derive(Default)]
struct Totals {
    changed: usize,
    sealed: usize,
    plain: usize,
    /// Left plain though they look like configuration.
    unread: Vec<PathBuf>,
    troubles: Troubles,
}

impl Seal {
    pub(super) fn run(self) -> Result {
        let mut totals = Totals::default();
        let mut outcome = Outcome::Done;
        let mut stored = Vec::new();
        for path in &self.paths {
            let (root, below) = locate(path)?;
            if !is_mount(&root) {
                stored.push(path.clone());
            } else if self.seal_mounted(&root, &below)? != Outcome::Done {
                outcome = Outcome::NotClean;
            }
        }
        if stored.is_empty() {
            return Ok(outcome);
        }
        for place in places(&stored)? {
            self.seal_store(&place, &mut totals)?;
        }
        totals.say()?;
        if self.dry_run {
            eprintln!("dry run: nothing was written");
        }
        Ok(if outcome == Outcome::Done { totals.troubles.outcome() } else { outcome })
    }

    fn seal_mounted(&self, root: &Path, below: &RelPath) -> Result {
        let flag = self.dry_run.then_some(&b"--dry-run"[..]);
        let path = Some(below.as_bytes()).filter(|_| !below.is_root());
        control::command(root, "seal", &flag.into_iter().chain(path).collect::<Vec<_>>())
    }

    fn seal_store(&self, place: &Place, totals: &mut Totals) -> Result<()> {
        let (sealing, _lock) = place.begin(&self.keys, self.dry_run)?;
        refuse_a_strange_key(place, &sealing)?;
        let mut ledger = (*sealing.ledger).clone();
        let mut any_sealed = false;
        let walked = place.each_file(&mut |found| {
            let make = |stored: &[u8]| seal_file(&sealing, found.file, stored);
            match found.replace(&sealing, self.dry_run, make) {
                Ok(done) => {
                    for field in &done.ledger {
                        ledger.insert(found.file, field);
                    }
                    any_sealed |= done.form != Form::Plain;
                    totals.add(&sealing, found, done)
                }
                // Nothing that a rule names is in it, as far as can be told.
                Err(Trouble::TooLarge) if found.may_be_large(&sealing.policy) => {
                    totals.plain += 1;
                    Ok(())
                }
                Err(trouble) => {
                    totals.troubles.note(&found.shown, &trouble);
                    Ok(())
                }
            }
        });
        // Also when the walk ended early: what was sealed until then is sealed.
        if !self.dry_run {
            if ledger != *sealing.ledger {
                pinned::write_ledger(&place.store, &ledger)?;
            }
            if any_sealed {
                remember_key(&place.store, &sealing)?;
            }
        }
        walked
    }
}

/// A store may have tokens and not remember its key. Under another one nothing is to be added.
fn refuse_a_strange_key(place: &Place, sealing: &Sealing) -> Result<()> {
    let path = place.store.path().join(CONTROL_DIR).join("fingerprint");
    if place.store.read_state("fingerprint").map_err(Failure::io(path))?.is_some() {
        return Ok(());
    }
    place.each_file(&mut |found| {
        let opened = found.read().map(|stored| sealing.open(found.file, &stored));
        match opened {
            Ok(Err(error)) if matches!(error.cause, Cause::Token(TokenError::NoKey(_))) => {
                Err(Failure::Sealed { file: found.file.clone(), error })
            }
            // What else fails is said when its turn comes.
            _ => Ok(()),
        }
    })
}

/// Opened first, so that what is sealed stays as it is.
fn seal_file(sealing: &Sealing, file: &RelPath, stored: &[u8]) -> Result<Change<Done>, Trouble> {
    let SealedStored { sealed, fresh, ledger, changed } = sealing.seal_stored(file, stored)?;
    let done = Done {
        changed,
        form: sealed.form,
        fresh,
        unread: sealed.form == Form::Plain
            && is_unread_configuration(&sealing.policy, file, stored),
        whole: sealed.whole,
        ledger,
    };
    Ok((changed.then_some(sealed.stored), done))
}

impl Totals {
    /// Counts a file, and says what was done to it.
    fn add(&mut self, sealing: &Sealing, found: &Found<'_>, done: Done) -> Result<()> {
        let class = sealing.policy.classify(found.file);
        if done.unread {
            self.unread.push(found.shown.clone());
        }
        match (done.changed, done.form) {
            (true, _) => self.changed += 1,
            (false, Form::Plain) => self.plain += 1,
            (false, Form::Fields(_) | Form::Whole) => self.sealed += 1,
        }
        if !done.changed {
            return Ok(());
        }
        let shown = found.shown.display();
        match &done.whole {
            None => say(format_args!("{shown}: {} sealed", count(done.fresh, "field"))),
            Some(WholeBecause::Rule) => {
                say(format_args!("{shown}: sealed whole, by {}", class.reason))
            }
            Some(because) => say(format_args!("{shown}: sealed whole: {because}")),
        }
    }

    fn say(&self) -> Result<()> {
        say(format_args!(
            "{} sealed, {} sealed already, {} left plain",
            count(self.changed, "file"),
            self.sealed,
            self.plain
        ))?;
        if self.unread.is_empty() {
            return Ok(());
        }
        say(format_args!(
            "left plain: no rule names them, and their content is of no known format:"
        ))?;
        for path in &self.unread {
            say(format_args!("  {}", path.display()))?;
        }
        eprintln!(
            "  hint: a rule with `seal = \"whole\"` in .confseal/policy.toml seals such files"
        );
        Ok(())
    }
}
