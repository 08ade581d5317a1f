//! Why single files could not be done: each is named, and the others go on.

use std::io;
use std::path::Path;

use super::Outcome;
use super::error::Failure;
use super::offline::LARGEST;
use crate::document::{OpenError, SealStoredError, ValueError};

/// Why one file could not be done. Never holds plaintext.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Reading or writing it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is sealed and cannot be opened.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// It is not sealed, lest something be laid open.
    #[error(transparent)]
    NotSealed(SealStoredError),
    /// A kept version cannot be opened.
    #[error(transparent)]
    Kept(#[from] ValueError),
    /// Too large to be looked at.
    #[error("larger than {} MiB", LARGEST >> 20)]
    TooLarge,
    /// Others write it.
    #[error("other programs keep writing it")]
    Busy,
}

impl From<SealStoredError> for Trouble {
    fn from(error: SealStoredError) -> Self {
        match error {
            SealStoredError::Sealed(error) => Trouble::Sealed(error),
            laid_open @ SealStoredError::LaidOpen(_) => Trouble::NotSealed(laid_open),
        }
    }
}

impl Trouble {
    /// The same, of the one file that a verb is about.
    pub(super) fn into_failure(self, path: &Path) -> Failure {
        match self {
            Trouble::Io(error) => Failure::io(path)(error),
            other => Failure::Io { path: path.into(), error: io::Error::other(other) },
        }
    }
}

/// The files that could not be done, named on standard error as they are met.
#[derive(Default)]
pub(super) struct Troubles {
    pub count: usize,
}

impl Troubles {
    /// Notes one; what has vanished since it was listed is none.
    pub(super) fn note(&mut self, path: &Path, trouble: &Trouble) {
        if matches!(trouble, Trouble::Io(error) if error.kind() == io::ErrorKind::NotFound) {
            return;
        }
        self.count += 1;
        eprintln!("confseal: {}: {trouble}", path.display());
    }

    /// The outcome of a verb that went on to the end.
    pub(super) fn outcome(&self) -> Outcome {
        if self.count == 0 { Outcome::Done } else { Outcome::NotClean }
    }
}
