//! The steps of a commit, and failing at one of them.
//!
//! Each step has a name so that its failure can be told, and so that a test can end the process's
//! life after any of them.

use std::io;

/// The steps of a commit in their order, with what a crash right after each leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The target is opened and looked at. Leaves nothing.
    Open,
    /// An unnamed file is made in the target's directory. Leaves nothing. (Where there are no
    /// unnamed files: an empty temporary.)
    Draft,
    /// The new content is written to it. Leaves nothing. (Or a partial temporary.)
    Write,
    /// Owner, mode, attributes and modification time are set. Leaves nothing. (Or a whole
    /// temporary.)
    Carry,
    /// The data is on disk. Leaves nothing.
    WriteOut,
    /// It has a name. Leaves a temporary with the new content; the target is old.
    Name,
    /// When durable: it is on disk for good, with that name. As before. Or, where that is enough, it
    /// is with the target's: see there.
    SyncFile,
    /// Temporary and target have swapped names. Leaves a temporary with what stood in the
    /// target; the target is new.
    Exchange,
    /// What was displaced has been compared with what was expected. As before.
    Compare,
    /// A displaced version that was not expected is in `kept/`. Leaves a second copy of it.
    Keep,
    /// A rename: the old name is gone. Leaves what was displaced.
    Leave,
    /// The temporary is gone. Leaves nothing.
    Unlink,
    /// The names are on disk, when durable. Leaves nothing.
    SyncDirectory,
    /// In place: a journal with the new content is on disk. Leaves it; the target is old.
    Journal,
    /// In place: the target is written over. Leaves it torn, and the journal that mends it.
    Overwrite,
}

/// A commit that failed. The target holds what it held before, unless [`CommitError::took_place`].
#[derive(Debug, thiserror::Error)]
#[error("{step:?}: {source}")]
pub struct CommitError {
    /// The step that failed.
    pub step: Step,
    /// Why; the errno is the kernel's.
    #[source]
    pub source: io::Error,
}

impl CommitError {
    /// Whether the new content does stand in the target, only not certainly on disk.
    pub fn took_place(&self) -> bool {
        self.step == Step::SyncDirectory
    }

    /// Whether something that the step needed was not there.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether the target's name was made or removed at the very moment.
    pub(super) fn is_passing(&self) -> bool {
        let kinds = [io::ErrorKind::AlreadyExists, io::ErrorKind::NotFound];
        self.step == Step::Exchange && kinds.contains(&self.source.kind())
    }
}

impl From<CommitError> for io::Error {
    fn from(error: CommitError) -> Self {
        error.source
    }
}

/// Names the step in an I/O error.
pub(super) trait At<T> {
    fn at(self, step: Step) -> Result<T, CommitError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, step: Step) -> Result<T, CommitError> {
        self.map_err(|source| CommitError { step, source })
    }
}

/// Marks that `step` is done; a test may end the process's life here.
pub(super) fn passed(step: Step) {
    #[cfg(test)]
    crash::passed(step);
    #[cfg(not(test))]
    let _ = step;
}

#[cfg(test)]
pub(super) mod crash {
    //! Death after a chosen step, as by SIGKILL: no clean-up code of ours runs.

    use super::Step;
    use std::cell::Cell;

    thread_local! {
        static AFTER: Cell<Option<Step>> = const { Cell::new(None) };
    }

    struct Killed;

    pub(super) fn passed(step: Step) {
        if AFTER.get() == Some(step) {
            std::panic::resume_unwind(Box::new(Killed));
        }
    }

    /// Runs `life` until it passes `step`; says whether it did.
    pub(in super::super) fn after(step: Step, life: impl FnOnce()) -> bool {
        AFTER.set(Some(step));
        let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(life));
        AFTER.set(None);
        match end {
            Ok(()) => false,
            Err(cause) if cause.is::<Killed>() => true,
            Err(cause) => std::panic::resume_unwind(cause),
        }
    }
}
