//! Replacing a file's content: the one way by which content reaches the store.
//!
//! What must stay true at every instant, also after a crash at any point:
//! - the target holds wholly what it held, or wholly the new content;
//! - what stood in the target and was not expected is in `kept/`, or still in a temporary that
//!   [`super::Store::recover`] will keep;
//! - owner, mode, attributes and ACL of the target never differ from what they were.
//!
//! The usual way, one [`Step`] after the other. A file that has further names, or whose
//! attributes this process may not give to a new file, goes by [`super::in_place`] instead.

mod durable;
mod put_back;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

use super::carry::carry;
use super::change::RenameFlags;
use super::dir::{Access, Dir, read_from_start, snapshot};
use super::in_place;
use super::metadata::{Metadata, Time, set_mtime, set_times};
use super::step::{At, CommitError, Step, passed};
use super::temporary::{Draft, TempName, is_unsupported, place_new};
use crate::sys::closing::close_later;

/// How often a target that comes and goes is tried.
const ATTEMPTS: u32 = 8;

/// A content to commit.
pub struct Commit<'a> {
    /// The new content, already sealed.
    pub content: &'a [u8],
    /// What the target holds, as last read; anything else found there is a conflict. `None`: the
    /// target must not exist (EEXIST), unless [`OnConflict::Replace`] says that it may.
    pub expected: Option<&'a [u8]>,
    /// The file that comes to this name, for a rename: its owner, mode and attributes come along,
    /// its own name goes, and a further name of the target keeps the old content. `None`: the
    /// target's attributes stay.
    pub moved_from: Option<(&'a Dir, &'a OsStr)>,
    /// What becomes of an unexpected version.
    pub on_conflict: OnConflict,
    /// Whether the commit is to survive a power failure from the moment it returns.
    pub durable: bool,
    /// The modification time afterwards.
    pub mtime: MtimeRule,
    /// Seals a displaced version for `kept/`; called on a conflict only.
    pub seal_kept: &'a dyn Fn(&[u8]) -> io::Result<Vec<u8>>,
}

/// What becomes of a version that stands in the target and was not expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// It goes to `kept/`, and the new content takes its place.
    Keep,
    /// It goes as rename(2) would have it go: it is no file whose content is known.
    Replace,
    /// It stays, and the commit fails with ESTALE: the new content says nothing that it lacks.
    GiveWay,
}

/// The modification time after a commit. But for [`MtimeRule::Exactly`] at least a second later
/// than before, so that a backup that compares whole seconds sees every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MtimeRule {
    /// This time, or the old one plus a second when that is later: the content changed.
    NotBefore(Time),
    /// The old time plus a second: the same content under another key.
    JustLater,
    /// This time: a file takes its time along to a new name.
    Exactly(Time),
}

impl MtimeRule {
    pub(super) fn after(self, old: Time) -> Time {
        match self {
            Self::NotBefore(time) => time.max(old.plus_seconds(1)),
            Self::JustLater => old.plus_seconds(1),
            Self::Exactly(time) => time,
        }
    }
}

/// A commit that took place.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The target's metadata afterwards.
    pub metadata: Metadata,
    /// The name in `kept/` of a version that stood in the target unexpectedly.
    pub conflict: Option<String>,
}

impl Dir {
    /// Replaces the content of the regular file `name`, or makes it.
    ///
    /// Two commits of one file at a time are the caller's mistake, though none is lost: one of
    /// them finds the other's content and keeps it.
    pub fn commit(&self, name: &OsStr, commit: &Commit<'_>) -> Result<Committed, CommitError> {
        let replace = Replace { dir: self, name, commit };
        if commit.expected.is_none() {
            return replace.make();
        }
        match replace.run()? {
            Some(committed) => Ok(committed),
            // In place the target would keep its own attributes: a copy has to do.
            None if commit.moved_from.is_some() => Err(Errno::XDEV.into()).at(Step::Carry),
            None => in_place::rewrite(self, name, commit),
        }
    }
}

/// The usual way. `None` from any of its steps: it has to be done in place.
struct Replace<'a> {
    dir: &'a Dir,
    name: &'a OsStr,
    commit: &'a Commit<'a>,
}

/// What an attempt to bring the draft to the target's name found there.
enum Displaced {
    /// A file: it has the draft's name now.
    Swapped,
    /// Nothing: the target was removed meanwhile.
    Nothing,
    /// A file, compared and replaced in that order, for want of an exchange.
    Replaced { conflict: Option<String> },
}

impl Replace<'_> {
    fn run(&self) -> Result<Option<Committed>, CommitError> {
        let target = self.dir.open_file(self.name, Access::Read).at(Step::Open)?;
        let before = Metadata::of(&target).at(Step::Open)?;
        if self.keeps_names_apart(&before) {
            return Ok(None);
        }
        passed(Step::Open);
        let name = TempName::of(self.commit.content, self.commit.expected.unwrap_or_default());
        let mut draft = match Draft::begin(self.dir, name) {
            Err(error) if is_forbidden(&error) => return Ok(None),
            other => other.at(Step::Draft)?,
        };
        passed(Step::Draft);
        let pattern = self.pattern()?;
        let done = self.with_draft(&mut draft, pattern.as_ref().unwrap_or(&target), &before);
        match done {
            // With the target goes what it held: that takes time, and nobody has to wait for it.
            Ok(Some(_)) => close_later(target),
            _ => drop(draft.discard()),
        }
        done
    }

    /// Makes the target, which does not exist, out of a file elsewhere.
    fn make(&self) -> Result<Committed, CommitError> {
        let pattern = self.pattern()?.ok_or(Errno::NOENT.into()).at(Step::Open)?;
        let before = Metadata::of(&pattern).at(Step::Open)?;
        passed(Step::Open);
        let name = TempName::of(self.commit.content, &[]);
        let mut draft = Draft::begin(self.dir, name).at(Step::Draft)?;
        passed(Step::Draft);
        let made = self.make_from(&mut draft, &pattern, &before);
        if made.is_err() {
            draft.discard();
        }
        made
    }

    fn make_from(
        &self,
        draft: &mut Draft,
        pattern: &File,
        before: &Metadata,
    ) -> Result<Committed, CommitError> {
        draft.file.write_all_at(self.commit.content, 0).at(Step::Write)?;
        passed(Step::Write);
        if !self.dress(draft, pattern, before)? {
            return Err(Errno::XDEV.into()).at(Step::Carry);
        }
        passed(Step::Carry);
        self.bring_out(draft)?;
        let temporary = draft.name().unwrap_or_default();
        match self.commit.on_conflict {
            OnConflict::Replace => {
                self.dir.rename(temporary, self.dir, self.name, RenameFlags::Plain)
            }
            OnConflict::Keep | OnConflict::GiveWay => place_new(self.dir, temporary, self.name),
        }
        .at(Step::Exchange)?;
        passed(Step::Exchange);
        if let Err(error) = self.leave_old_name() {
            if self.commit.on_conflict != OnConflict::Replace {
                self.take_back(draft);
            }
            return Err(error);
        }
        let metadata = self.settle(draft, false)?;
        Ok(Committed { metadata, conflict: None })
    }

    /// Removes the name that the content had before. Should that fail, the commit is undone: no
    /// rename leaves two names.
    fn leave_old_name(&self) -> Result<(), CommitError> {
        if let Some((dir, name)) = self.commit.moved_from {
            dir.unlink(name).at(Step::Leave)?;
            passed(Step::Leave);
        }
        Ok(())
    }

    /// Whether the target's name stands for the draft.
    fn is_in_place(&self, draft: &Draft) -> io::Result<bool> {
        let ours = Metadata::of(&draft.file)?.ino;
        Ok(self.dir.stat(self.name)?.ino == ours)
    }

    /// Removes the target that was just made, unless its name stands for another file by now.
    fn take_back(&self, draft: &Draft) {
        let taken = self
            .is_in_place(draft)
            .and_then(|ours| if ours { self.dir.unlink(self.name) } else { Ok(()) });
        if let Err(error) = taken {
            log::warn!("{} stays: {error}", self.dir.place_of(self.name));
        }
    }

    /// The file whose attributes are taken, unless it is the target.
    fn pattern(&self) -> Result<Option<File>, CommitError> {
        let open = |(dir, name): (&Dir, &OsStr)| dir.open_file(name, Access::Read);
        self.commit.moved_from.map(open).transpose().at(Step::Open)
    }

    /// Whether the target has further names that have to show the new content too.
    fn keeps_names_apart(&self, target: &Metadata) -> bool {
        target.nlink > 1 && self.commit.moved_from.is_none()
    }

    fn with_draft(
        &self,
        draft: &mut Draft,
        target: &File,
        before: &Metadata,
    ) -> Result<Option<Committed>, CommitError> {
        draft.file.write_all_at(self.commit.content, 0).at(Step::Write)?;
        passed(Step::Write);
        if !self.dress(draft, target, before)? {
            return Ok(None);
        }
        passed(Step::Carry);
        self.bring_out(draft)?;

        self.give_way(before)?;
        let exchanged = self.exchange(draft)?;
        let is_synced = matches!(exchanged, Some(Displaced::Swapped)) && self.syncs_once();
        let conflict = match exchanged {
            None => return Ok(None),
            Some(Displaced::Nothing) => {
                self.leave_old_name().inspect_err(|_| self.take_back(draft))?;
                None
            }
            Some(Displaced::Replaced { conflict }) => {
                self.leave_old_name()?;
                conflict
            }
            Some(Displaced::Swapped) => {
                passed(Step::Exchange);
                let examined = self.examine(draft, before);
                let left = match &examined {
                    Ok(Some(_)) => self.sync_exchanged(draft).and_then(|()| self.leave_old_name()),
                    _ => Ok(()),
                };
                if left.is_err() || !matches!(examined, Ok(Some(_))) {
                    self.put_back(draft);
                }
                left.map_err(|error| self.unless_undone(error, draft))?;
                let Some(conflict) = examined? else { return Ok(None) };
                self.unlink_displaced(draft);
                conflict
            }
        };
        passed(Step::Unlink);
        let metadata = self.settle(draft, is_synced)?;
        Ok(Some(Committed { metadata, conflict }))
    }

    /// Gives the draft all that the target has but its content. Writing is no reading: the access
    /// time stays.
    fn dress(&self, draft: &Draft, target: &File, old: &Metadata) -> Result<bool, CommitError> {
        let carried = carry(target, &draft.file).at(Step::Carry)?;
        if carried {
            let mtime = self.commit.mtime.after(old.mtime);
            set_times(&draft.file, Some(old.atime), mtime).at(Step::Carry)?;
        }
        Ok(carried)
    }

    /// A commit that would give way to a version that came meanwhile does so before it displaces it.
    /// The comparison after the exchange is what counts; this one spares others the detour.
    fn give_way(&self, before: &Metadata) -> Result<(), CommitError> {
        if self.commit.on_conflict != OnConflict::GiveWay {
            return Ok(());
        }
        match self.dir.stat(self.name) {
            Ok(found) if found.stamp() == before.stamp() => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Err(Errno::STALE.into()),
        }
        .at(Step::Compare)
    }

    /// Brings the draft to the target's name.
    fn exchange(&self, draft: &Draft) -> Result<Option<Displaced>, CommitError> {
        let mut attempt = 1;
        loop {
            match self.try_exchange(draft) {
                // It came, or went, between two of our calls.
                Err(error) if error.is_passing() && attempt < ATTEMPTS => attempt += 1,
                other => return other,
            }
        }
    }

    fn try_exchange(&self, draft: &Draft) -> Result<Option<Displaced>, CommitError> {
        let temporary = draft.name().unwrap_or_default();
        let swapped = if self.dir.shared().means.exchange {
            self.dir.rename(temporary, self.dir, self.name, RenameFlags::Exchange)
        } else {
            Err(Errno::INVAL.into())
        };
        match swapped {
            Ok(()) => Ok(Some(Displaced::Swapped)),
            // An immutable target, or a sticky directory: what writing in place says, counts.
            Err(error) if is_forbidden(&error) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.fill_gap(temporary),
            Err(error) if is_unsupported(&error) => self.replace(draft, temporary),
            Err(error) => Err(error).at(Step::Exchange),
        }
    }

    /// The target was removed meanwhile: what is saved takes its place. A commit that gives way
    /// stays out of it: git removes a file before it makes it anew.
    fn fill_gap(&self, temporary: &OsStr) -> Result<Option<Displaced>, CommitError> {
        if self.commit.on_conflict == OnConflict::GiveWay {
            return Err(Errno::STALE.into()).at(Step::Compare);
        }
        place_new(self.dir, temporary, self.name).at(Step::Exchange)?;
        Ok(Some(Displaced::Nothing))
    }

    /// Without an exchange: compare first, then replace; a change in between goes unseen.
    fn replace(&self, draft: &Draft, temporary: &OsStr) -> Result<Option<Displaced>, CommitError> {
        let target = match self.dir.open_file(self.name, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.fill_gap(temporary);
            }
            other => other.at(Step::Compare)?,
        };
        let metadata = Metadata::of(&target).at(Step::Compare)?;
        let own = self.commit.moved_from.is_none();
        if self.keeps_names_apart(&metadata) || (own && !self.dress(draft, &target, &metadata)?) {
            return Ok(None);
        }
        let conflict = self.keep_unexpected(&target)?;
        passed(Step::Keep);
        match self.dir.rename(temporary, self.dir, self.name, RenameFlags::Plain) {
            Err(error) if is_forbidden(&error) => return Ok(None),
            other => other.at(Step::Exchange)?,
        }
        passed(Step::Exchange);
        Ok(Some(Displaced::Replaced { conflict }))
    }

    /// Looks at what the exchange displaced: whether it is what was expected, and whether its
    /// attributes changed since they were carried over. Says the conflict, if any.
    fn examine(
        &self,
        draft: &Draft,
        before: &Metadata,
    ) -> Result<Option<Option<String>>, CommitError> {
        let temporary = draft.name().unwrap_or_default();
        let displaced = self.dir.open_file(temporary, Access::Read).at(Step::Compare)?;
        let metadata = Metadata::of(&displaced).at(Step::Compare)?;
        // A further name was made meanwhile: it would stay behind with the old content.
        let own = self.commit.moved_from.is_none();
        if self.keeps_names_apart(&metadata)
            || (own && !carry(&displaced, &draft.file).at(Step::Carry)?)
        {
            return Ok(None);
        }
        if metadata.mtime != before.mtime {
            set_mtime(&draft.file, self.commit.mtime.after(metadata.mtime)).at(Step::Carry)?;
        }
        passed(Step::Compare);
        let conflict = self.keep_unexpected(&displaced)?;
        passed(Step::Keep);
        Ok(Some(conflict))
    }

    fn keep_unexpected(&self, found: &File) -> Result<Option<String>, CommitError> {
        keep_unexpected(self.dir, self.name, self.commit, found)
    }

    /// The commit has taken place; a leftover is hidden, and the next recovery removes it.
    fn unlink_displaced(&self, draft: &Draft) {
        let temporary = draft.name().unwrap_or_default();
        if let Err(error) = self.dir.unlink(temporary) {
            log::warn!("cannot remove {}: {error}", self.dir.place_of(temporary));
        }
    }
}

/// Keeps what `found` holds, sealed, unless it is what the commit expected.
pub(super) fn keep_unexpected(
    dir: &Dir,
    name: &OsStr,
    commit: &Commit<'_>,
    found: &File,
) -> Result<Option<String>, CommitError> {
    if holds(found, commit.expected.unwrap_or_default()).at(Step::Compare)? {
        return Ok(None);
    }
    if commit.on_conflict == OnConflict::GiveWay {
        return Err(Errno::STALE.into()).at(Step::Compare);
    }
    // Whoever wrote it may still be writing: then the commit fails with EBUSY and is put back.
    let content = snapshot(found, u64::MAX).at(Step::Compare)?.bytes;
    let sealed = (commit.seal_kept)(&content).at(Step::Keep)?;
    dir.keep(&dir.place_of(name), &sealed).map(Some).at(Step::Keep)
}

/// Whether `file` holds exactly `content`.
fn holds(file: &File, content: &[u8]) -> io::Result<bool> {
    if Metadata::of(file)?.size != content.len() as u64 {
        return Ok(false);
    }
    let mut found = Vec::with_capacity(content.len() + 1); // one more, to see the end in one call
    read_from_start(file, &mut found, content.len() as u64)?;
    Ok(found == content)
}

/// Whether the directory or the target refuses a new file under this name.
pub(super) fn is_forbidden(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied // EPERM and EACCES
}

#[cfg(test)]
mod tests;
