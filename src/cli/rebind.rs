//! `rebind`: tokens that stand elsewhere than they were sealed for, after a rename made in the store.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Result;
use super::error::Failure;
use super::offline::{Found, Place, places};
use super::open::{KeyArguments, remember_key};
use super::output::{count, say};
use super::pinned::write_ledger;
use super::trouble::{Trouble, Troubles};
use super::view::parse_field;
use crate::document::{FieldPath, Sealing, Was};
use crate::path::RelPath;

/// Repair a rename made in the store: seal values for where they stand now
///
/// A token opens under the field it was sealed for, and where `binding = "file"`, in that file alone.
/// What opens where it stands is left as it is.
#[derive(Args)]
pub(super) struct Rebind {
    /// A file in a store, which must not be mounted; with --was a directory too.
    path: PathBuf,
    /// The field path, or the table, that the values were sealed under ...
    #[arg(requires = "new", required_unless_present = "was")]
    old: Option<String>,
    /// ... and what it is called now.
    new: Option<String>,
    /// The path that the file or directory had.
    #[arg(long, value_name = "OLD")]
    was: Option<PathBuf>,
    /// Say what would be done, and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    keys: KeyArguments,
}

impl Rebind {
    pub(super) fn run(self) -> Result {
        let field = match (&self.old, &self.new) {
            (Some(old), Some(new)) => Some((parse_field(old)?, parse_field(new)?)),
            _ => None,
        };
        if self.was.is_none() && self.path.is_dir() {
            let what = "a directory: fields are renamed in a file";
            return Err(Failure::Usage(format!("{}: {what}", self.path.display())));
        }
        let (mut rebound, mut troubles) = (0, Troubles::default());
        for place in places(std::slice::from_ref(&self.path))? {
            let was = match &self.was {
                Some(was) => inside(&place, was)?,
                None => place.only_part().clone(),
            };
            rebound += self.rebind(&place, &was, field.as_ref(), &mut troubles)?;
        }
        let would = if self.dry_run { "would be " } else { "" };
        say(format_args!("{} {would}sealed for where they stand", count(rebound, "value")))?;
        Ok(troubles.outcome())
    }

    fn rebind(
        &self,
        place: &Place,
        was: &RelPath,
        field: Option<&(FieldPath, FieldPath)>,
        troubles: &mut Troubles,
    ) -> Result<usize> {
        let (mut sealing, _lock) = place.begin(&self.keys, self.dry_run)?;
        let now = place.only_part().clone();
        if was != &now {
            // First: under its new name, too, what the ledger has of the file is secret.
            let mut ledger = (*sealing.ledger).clone();
            ledger.rename_file(was, &now);
            ledger.rename_dir(was, &now);
            self.write(place, &mut sealing, ledger)?;
        }
        let mut ledger = (*sealing.ledger).clone();
        let mut rebound = 0;
        place.each_file(&mut |found| {
            let was = Was { file: moved(found.file, &now, was), field: field.cloned() };
            match self.rebind_file(found, &sealing, &was) {
                Ok((values, fields)) => {
                    rebound += values;
                    fields.iter().for_each(|field| _ = ledger.insert(found.file, field));
                    if values > 0 {
                        let values = count(values, "value");
                        say(format_args!("{}: {values}", found.shown.display()))?;
                    }
                }
                Err(Trouble::TooLarge) if found.may_be_large(&sealing.policy) => {}
                Err(trouble) => troubles.note(&found.shown, &trouble),
            }
            Ok(())
        })?;
        if rebound > 0 && !self.dry_run {
            self.write(place, &mut sealing, ledger)?;
            remember_key(&place.store, &sealing)?;
        }
        Ok(rebound)
    }

    fn write(
        &self,
        place: &Place,
        sealing: &mut Sealing,
        ledger: crate::policy::Ledger,
    ) -> Result<()> {
        if ledger != *sealing.ledger {
            if !self.dry_run {
                write_ledger(&place.store, &ledger)?;
            }
            sealing.ledger = ledger.into();
        }
        Ok(())
    }

    /// How many values there were, and fields for the ledger.
    fn rebind_file(
        &self,
        found: &Found<'_>,
        sealing: &Sealing,
        was: &Was,
    ) -> Result<(usize, Vec<FieldPath>), Trouble> {
        found.replace(sealing, self.dry_run, |stored| {
            Ok(match sealing.rebind(found.file, stored, was)? {
                None => (None, (0, Vec::new())),
                Some(rebound) => {
                    let said = (rebound.values, rebound.sealed.ledger);
                    (Some(rebound.sealed.stored), said)
                }
            })
        })
    }
}

/// The path that `file`, below `now`, had below `was`.
fn moved(file: &RelPath, now: &RelPath, was: &RelPath) -> RelPath {
    let rest = &file.as_bytes()[now.as_bytes().len()..];
    let path = [was.as_bytes(), rest].concat();
    let path = path.strip_prefix(b"/").unwrap_or(&path);
    RelPath::new(path).unwrap_or_else(|_| file.clone())
}

/// Where `path`, which need not be there any more, lies in the store.
fn inside(place: &Place, path: &Path) -> Result<RelPath> {
    let path = std::path::absolute(path).map_err(Failure::io(path))?;
    let mut gone: Vec<&OsStr> = Vec::new();
    let mut there = path.as_path();
    // The nearest directory that is there may be reached through links.
    let there = loop {
        match there.canonicalize() {
            Ok(found) => break found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                gone.extend(there.file_name());
                there = there.parent().unwrap_or(Path::new("/"));
            }
            Err(error) => return Err(Failure::io(there)(error)),
        }
    };
    let outside = || {
        let store = place.store.path().display();
        Failure::Usage(format!("{}: not in the store {store}", path.display()))
    };
    let mut inside = there.strip_prefix(place.store.path()).map_err(|_| outside())?.to_owned();
    inside.extend(gone.iter().rev());
    RelPath::new(inside.as_os_str().as_encoded_bytes()).map_err(|_| outside())
}
