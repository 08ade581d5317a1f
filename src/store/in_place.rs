//! Replacing a file's content without replacing the file: for files with several names, and for
//! those whose owner or attributes this process may not give to a new file.
//!
//! Invariant: the target is written over only while a journal with the whole new content is on
//! disk, and the journal goes only after the target is on disk. So a torn target can always be
//! made whole.
//!
//! A journal is a temporary `….inplace` in `.confseal/`, where the next start finds it without
//! listing the store; next to the target where the target's path cannot be told or `.confseal/`
//! takes no new file: `confseal journal 1\n`, the target's inode number, the length of its path in
//! bytes, the path (relative to the root in `.confseal/`, else a name), the content.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::commit::{Commit, Committed, is_forbidden, keep_unexpected};
use super::dir::{Access, Dir, component};
use super::metadata::{Metadata, set_mtime};
use super::step::{At, CommitError, Step, passed};
use super::temporary::{Claim, Draft, TempName};
use super::{CONTROL_DIR, read_all};
use crate::path::RelPath;
use crate::sys::file::write_out;

const MAGIC: &[u8] = b"confseal journal 1\n";

/// What a journal says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Journal<'a> {
    /// Inode number of the target.
    pub(super) ino: u64,
    /// The target, from the journal's directory or, in `.confseal/`, from the root.
    pub(super) target: RelPath,
    /// What it is to hold.
    pub(super) content: &'a [u8],
}

impl<'a> Journal<'a> {
    fn encode(&self) -> Vec<u8> {
        let path = self.target.as_bytes();
        let numbers = format!("{} {}\n", self.ino, path.len());
        [MAGIC, numbers.as_bytes(), path, b"\n", self.content].concat()
    }

    /// `None` for what is no whole header.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (numbers, rest) = rest.split_at(rest.iter().position(|b| *b == b'\n')?);
        let (ino, len) = std::str::from_utf8(numbers).ok()?.split_once(' ')?;
        let (path, content) = rest[1..].split_at_checked(len.parse().ok()?)?;
        let target = RelPath::new(path).ok().filter(|path| !path.is_root())?;
        Some(Self { ino: ino.parse().ok()?, target, content: content.strip_prefix(b"\n")? })
    }
}

/// Commits to the regular file `name` in place. The errno of an unwritable, append-only or
/// immutable target is the one that opening it for writing gives.
pub(super) fn rewrite(
    dir: &Dir,
    name: &OsStr,
    commit: &Commit<'_>,
) -> Result<Committed, CommitError> {
    component(name).at(Step::Open)?;
    let _alone = dir.shared().in_place.lock();
    let target = dir.open_file(name, Access::ReadWrite).at(Step::Open)?;
    let before = Metadata::of(&target).at(Step::Open)?;
    let old = read_all(&target).at(Step::Open)?;
    let conflict = keep_unexpected(dir, name, commit, &target)?;
    passed(Step::Keep);
    let journal = begin_journal(dir, name, before.ino, commit.content, &old).at(Step::Journal)?;
    passed(Step::Journal);
    supersede(dir, name).at(Step::Journal)?;

    let written = reserve(&target, commit.content)
        .and_then(|()| overwrite(&target, commit.content))
        .and_then(|()| set_later(&target, commit, &before))
        .and_then(|()| target.sync_all());
    if let Err(error) = written {
        // A journal that stays makes the next recovery complete what could not be undone.
        if restore(&target, &old, &before).is_ok() {
            retire(journal).at(Step::Unlink)?;
        }
        return Err(error).at(Step::Overwrite);
    }
    passed(Step::Overwrite);
    retire(journal).at(Step::SyncDirectory)?;
    passed(Step::Unlink);
    Ok(Committed { metadata: Metadata::of(&target).at(Step::SyncDirectory)?, conflict })
}

/// Puts the new content on disk under a name that leads back to the target.
fn begin_journal(
    dir: &Dir,
    name: &OsStr,
    ino: u64,
    content: &[u8],
    old: &[u8],
) -> io::Result<Draft> {
    let temporary = TempName { in_place: true, ..TempName::of(content, old) };
    let begun = dir.relative_path().map(|place| {
        let control = dir.root().control_or_create()?;
        let draft = Draft::begin(&control, temporary.clone())?;
        io::Result::Ok((control, place.join(name), draft))
    });
    let (home, target, mut draft) = match begun {
        Some(Ok(begun)) => begun,
        Some(Err(error)) if !is_forbidden(&error) => return Err(error),
        Some(Err(_)) | None => {
            let draft = Draft::begin(dir, temporary)?;
            (dir.clone(), RelPath::root().join(name), draft)
        }
    };
    let written = draft
        .file
        .write_all_at(&Journal { ino, target, content }.encode(), 0)
        .and_then(|()| write_out(&draft.file))
        .and_then(|()| draft.give_name())
        // Only now: see `Replace::bring_out`.
        .and_then(|()| draft.file.sync_all())
        .and_then(|()| home.sync());
    match written {
        Ok(()) => Ok(draft),
        Err(error) => {
            draft.discard();
            Err(error)
        }
    }
}

/// Removes a journal that is done with, for good: one that came back after a power failure
/// would undo whatever was written to the target since.
fn retire(journal: Draft) -> io::Result<()> {
    // Either is enough: an empty leftover says nothing, should the name survive.
    let emptied = journal.file.set_len(0);
    let home = journal.dir().clone();
    let removed = journal.discard();
    if removed { home.sync() } else { emptied.and_then(|()| home.sync()) }
}

/// Removes journals that a crash left for the same target. The one just made replaces them; a
/// recovery that came to them later would take the new content for a torn one.
fn supersede(dir: &Dir, name: &OsStr) -> io::Result<()> {
    let remove = |home: &Dir, target: &RelPath| -> io::Result<()> {
        for entry in home.all_entries()? {
            let is_journal = TempName::parse(&entry.name).is_some_and(|name| name.in_place);
            // A claimed one is our own: no other is at work, the lock sees to that.
            let Some(_claim) = is_journal.then(|| Claim::take(home, &entry.name)).flatten() else {
                continue;
            };
            let bytes = home.read(&entry.name, u64::MAX)?.bytes;
            if Journal::decode(&bytes).is_some_and(|journal| journal.target == *target) {
                home.unlink(&entry.name)?;
            }
        }
        Ok(())
    };
    remove(dir, &RelPath::root().join(name))?;
    match dir.root().open_dir(OsStr::new(CONTROL_DIR)) {
        Ok(control) => remove(&control, &dir.place_of(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes the space before the first byte is written over, so that a full disk is noticed while
/// the target is still whole.
fn reserve(target: &File, content: &[u8]) -> io::Result<()> {
    if content.is_empty() {
        return Ok(());
    }
    match rustix::fs::fallocate(target, FallocateFlags::KEEP_SIZE, 0, content.len() as u64) {
        Err(Errno::NOTSUP | Errno::NOSYS) => Ok(()),
        other => Ok(other?),
    }
}

/// Writes `content` over what `target` holds. Not atomic: a journal has to stand.
pub(super) fn overwrite(target: &File, content: &[u8]) -> io::Result<()> {
    target.write_all_at(content, 0)?;
    target.set_len(content.len() as u64)
}

/// Advances the modification time as the commit wants. To set a time takes the owner; for
/// everybody else the time of the writing has to do.
fn set_later(target: &File, commit: &Commit<'_>, before: &Metadata) -> io::Result<()> {
    match set_mtime(target, commit.mtime.after(before.mtime)) {
        Err(error) if is_forbidden(&error) => Ok(()),
        other => other,
    }
}

/// Brings back what the target held; its blocks are still its own.
fn restore(target: &File, old: &[u8], before: &Metadata) -> io::Result<()> {
    overwrite(target, old)?;
    match set_mtime(target, before.mtime) {
        Err(error) if !is_forbidden(&error) => return Err(error),
        _ => {}
    }
    target.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_reads_back_whatever_its_names() {
        for path in ["app.toml", "a dir/with\nlines/app.toml"] {
            let target = RelPath::new(path).unwrap();
            let journal = Journal { ino: 17, target, content: b"x\ny" };
            assert_eq!(Journal::decode(&journal.encode()), Some(journal));
        }
    }

    #[test]
    fn what_is_no_journal_is_told_apart() {
        let journal =
            Journal { ino: 17, target: RelPath::new("app.toml").unwrap(), content: b"" }.encode();
        for end in 0..journal.len() {
            assert_eq!(Journal::decode(&journal[..end]), None, "{end}");
        }
        for path in ["", "..", "/etc/passwd", "a/../../b"] {
            let forged = format!("confseal journal 1\n1 {}\n{path}\nx", path.len());
            assert_eq!(Journal::decode(forged.as_bytes()), None, "{path}");
        }
    }
}
