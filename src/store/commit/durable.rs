//! How a commit reaches the disk.
//!
//! What must stay true: the target's name never stands, on the disk, for content that is not there
//! yet; and a durable commit that returns is there, content and name, whatever the filesystem does
//! by itself. Where one journal keeps the order (see [`Order`]), one fsync behind the exchange is
//! enough; elsewhere there is one before it, of the file, and one behind, of the directory.

use super::Replace;
use crate::store::metadata::Metadata;
use crate::store::order::Order;
use crate::store::step::{At, CommitError, Step, passed};
use crate::store::temporary::Draft;
use crate::sys::file::write_out;

impl Replace<'_> {
    /// Gives the draft its name. The data has to be ahead of that: otherwise there is a moment in
    /// which the name stands for an empty file on disk, or for zeros.
    pub(super) fn bring_out(&self, draft: &mut Draft) -> Result<(), CommitError> {
        write_out(&draft.file).at(Step::WriteOut)?;
        passed(Step::WriteOut);
        draft.give_name().at(Step::Name)?;
        passed(Step::Name);
        if self.commit.durable && !self.syncs_once() {
            // Not before it has a name: without a journal, the inode on the disk would say that it
            // has none, and the file would be lost with the power.
            draft.file.sync_all().at(Step::SyncFile)?;
            passed(Step::SyncFile);
        }
        Ok(())
    }

    /// Whether one `fsync` after the exchange makes content and name durable. A rename has two names
    /// to bring out, and what is on disk has to be so before the first of them goes.
    pub(super) fn syncs_once(&self) -> bool {
        self.commit.durable
            && self.commit.moved_from.is_none()
            && self.dir.shared().order == Order::Journal
    }

    /// Makes the exchange durable while it can still be undone.
    pub(super) fn sync_exchanged(&self, draft: &Draft) -> Result<(), CommitError> {
        if self.syncs_once() {
            draft.file.sync_all().at(Step::SyncFile)?;
            passed(Step::SyncFile);
        }
        Ok(())
    }

    /// What `error` is once the way back was tried: a commit that could not be undone has
    /// taken place, only not for certain on the disk.
    pub(super) fn unless_undone(&self, error: CommitError, draft: &Draft) -> CommitError {
        match error.step {
            Step::SyncFile if self.is_in_place(draft).is_ok_and(|still| still) => {
                CommitError { step: Step::SyncDirectory, ..error }
            }
            _ => error,
        }
    }

    /// The names are as they are to be; when durable, on disk too.
    pub(super) fn settle(&self, draft: &Draft, is_synced: bool) -> Result<Metadata, CommitError> {
        let metadata = Metadata::of(&draft.file).at(Step::SyncDirectory)?;
        if self.commit.durable && !is_synced {
            if self.syncs_once() {
                draft.file.sync_all().at(Step::SyncDirectory)?;
            }
            self.dir.sync().at(Step::SyncDirectory)?;
            if let Some((left, _)) = self.commit.moved_from {
                left.sync().at(Step::SyncDirectory)?;
            }
        }
        Ok(metadata)
    }
}
