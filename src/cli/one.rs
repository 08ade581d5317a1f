//! One file of a store, looked at and changed without a mount.
//!
//! Must stay true: nothing is written but under the store's lock, over the content that was looked
//! at; and the ledger knows a field before the file has it sealed.

use std::path::{Path, PathBuf};

use super::Result;
use super::error::Failure;
use super::offline::{Change, Found, Place, places};
use super::open::KeyArguments;
use super::pinned::write_ledger;
use super::trouble::Trouble;
use crate::document::{FieldPath, Opened, Sealing};
use crate::path::RelPath;
use crate::store::{Dir, MtimeRule, Store, StoreLock, Time};

/// See the head of this file.
pub(super) struct One {
    place: Place,
    dir: Dir,
    /// Its path in the store.
    pub file: RelPath,
    /// Its path as the user wrote it.
    pub shown: PathBuf,
}

impl One {
    /// The regular file at `path`. Refuses a mount, and what is confseal's or version control's.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let metadata = path.metadata().map_err(Failure::io(path))?;
        if !metadata.is_file() {
            return Err(Failure::Usage(format!("{}: not a regular file", path.display())));
        }
        let mut places = places(&[path.to_owned()])?;
        let place = places.pop().ok_or_else(|| Failure::Usage("no file was given".into()))?;
        let file = place.only_part().clone();
        let dir = place.store.dir(&file.parent()).map_err(Failure::io(path))?;
        Ok(Self { place, dir, file, shown: path.to_owned() })
    }

    /// The store that it lies in.
    pub(super) fn store(&self) -> &Store {
        &self.place.store
    }

    /// Where a kept version is, for messages.
    pub(super) fn kept_path(&self, name: &str) -> PathBuf {
        self.place.kept_path(name)
    }

    /// Keys and rules.
    pub(super) fn sealing(&self, keys: &KeyArguments) -> Result<Sealing> {
        self.place.sealing(keys)
    }

    /// Keys and rules, and the store for ourselves.
    pub(super) fn begin(&self, keys: &KeyArguments) -> Result<(Sealing, Option<StoreLock>)> {
        self.place.begin(keys, false)
    }

    /// Its content in the store.
    pub(super) fn read(&self) -> Result<Vec<u8>> {
        self.found().read().map_err(|trouble| self.failure(trouble))
    }

    /// `stored`, its content in the store, opened.
    pub(super) fn open(&self, sealing: &Sealing, stored: &[u8]) -> Result<Opened> {
        let sealed = |error| Failure::Sealed { file: self.file.clone(), error };
        sealing.open(&self.file, stored).map_err(sealed)
    }

    /// Replaces its content by what `make` makes of what stands there. To be called with the store
    /// for ourselves.
    pub(super) fn replace<T>(
        &self,
        sealing: &Sealing,
        make: impl Fn(&[u8]) -> Result<Change<T>, Trouble>,
    ) -> Result<T> {
        let mtime = MtimeRule::NotBefore(Time::now());
        let done = self.found().replace_at(mtime, sealing, false, make);
        done.map_err(|trouble| self.failure(trouble))
    }

    /// Enters `fields` into the ledger: they are to be sealed, whatever the rules say.
    pub(super) fn enter(&self, sealing: &mut Sealing, fields: &[FieldPath]) -> Result<()> {
        let mut ledger = (*sealing.ledger).clone();
        for field in fields {
            ledger.insert(&self.file, field);
        }
        if ledger != *sealing.ledger {
            write_ledger(self.store(), &ledger)?;
            sealing.ledger = ledger.into();
        }
        Ok(())
    }

    /// The same trouble, of the file that the verb is about.
    pub(super) fn failure(&self, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Sealed(error) => Failure::Sealed { file: self.file.clone(), error },
            other => other.into_failure(&self.shown),
        }
    }

    fn found(&self) -> Found<'_> {
        Found { dir: &self.dir, file: &self.file, shown: self.shown.clone() }
    }
}
