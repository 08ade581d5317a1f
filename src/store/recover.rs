//! What a crash left in the store, put right at the next start.
//!
//! In two parts. Torn files have to be whole before anyone looks: their journals lie in
//! `.confseal/`, and are found without listing the store ([`Store::mend`]). All else is a hidden
//! temporary beside a file that is whole: it can wait for a look at every directory
//! ([`Store::recover`]).
//!
//! Invariant: nothing is deleted but what the target holds, or held and was to lose anyway.
//! Everything else goes to `kept/`, sealed, first. May run beside commits: it leaves alone what
//! they have claimed, and mends no file while one is rewritten in place.

use std::ffi::{OsStr, OsString};
use std::io;

use rustix::io::Errno;

use super::dir::{Access, Dir, Entry, Snapshot};
use super::in_place::{Journal, overwrite};
use super::metadata::{FileKind, Metadata};
use super::temporary::{Claim, TempName, short_hash};
use super::walk::{Walk, is_version_control};
use super::{CONTROL_DIR, Store, is_reserved, read_all};
use crate::path::RelPath;

/// How a kept version is sealed: its file's path (that of the leftover where the file cannot be
/// told) and its content.
type SealKept<'a> = dyn Fn(&RelPath, &[u8]) -> io::Result<Vec<u8>> + 'a;

/// What a recovery did.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Leftovers deleted, because nothing was in them that is not, or was not, in the target.
    pub removed: usize,
    /// Names in `kept/` of versions that were in a leftover or torn.
    pub kept: Vec<String>,
    /// Torn files made whole from their journal.
    pub redone: usize,
    /// Leftovers, or directories, that could not be dealt with, and stay for the next start.
    pub failed: Vec<(RelPath, io::Error)>,
}

impl Recovery {
    /// Says in the log what is of interest to an operator.
    pub fn log(&self) {
        for name in &self.kept {
            log::warn!(
                event = "kept", kept = name.as_str();
                "a version that a crash left is kept as {name}"
            );
        }
        for (file, error) in &self.failed {
            log::error!(
                event = "file-in-trouble", file:% = file;
                "{file}: what a crash left cannot be put right: {error}"
            );
        }
    }
}

impl Store {
    /// Makes torn files whole. Takes as long as there are journals, however large the store is.
    pub fn mend(&self, seal_kept: &SealKept<'_>) -> io::Result<Recovery> {
        let mut task = Task::new(self, seal_kept);
        task.clear_control()?;
        Ok(task.done)
    }

    /// Deals with all that an earlier process left. One leftover that fails does not keep the
    /// others from being dealt with: see [`Recovery::failed`].
    pub fn recover(&self, seal_kept: &SealKept<'_>) -> io::Result<Recovery> {
        self.recover_unless(seal_kept, &|| false)
    }

    /// The same, given up as soon as `stop` says so, which is asked at each entry.
    pub fn recover_unless(
        &self,
        seal_kept: &SealKept<'_>,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<Recovery> {
        let mut task = Task::new(self, seal_kept);
        task.clear_control()?;
        let mut unlistable = Vec::new();
        let mut visit = |dir: &Dir, path: &RelPath, entry: &Entry| {
            if stop() {
                return Ok(Walk::Stop);
            }
            if is_reserved(&entry.name) {
                task.deal_with(dir, path, entry);
            }
            // The mount commits nothing in version-control directories.
            Ok(if is_version_control(&entry.name) { Walk::Skip } else { Walk::Continue })
        };
        self.walk_all(&RelPath::root(), &mut visit, &mut |path, error| {
            unlistable.push((path.clone(), error));
            Ok(())
        })?;
        task.done.failed.extend(unlistable);
        Ok(task.done)
    }

    /// The same for one directory, without what is below it.
    pub fn recover_in(&self, path: &RelPath, seal_kept: &SealKept<'_>) -> io::Result<Recovery> {
        let mut task = Task::new(self, seal_kept);
        let dir = self.dir(path)?;
        for entry in dir.all_entries()?.iter().filter(|entry| is_reserved(&entry.name)) {
            task.deal_with(&dir, &path.join(&entry.name), entry);
        }
        Ok(task.done)
    }
}

struct Task<'a> {
    store: &'a Store,
    seal_kept: &'a SealKept<'a>,
    done: Recovery,
}

impl<'a> Task<'a> {
    fn new(store: &'a Store, seal_kept: &'a SealKept<'a>) -> Self {
        Self { store, seal_kept, done: Recovery::default() }
    }

    fn deal_with(&mut self, dir: &Dir, path: &RelPath, entry: &Entry) {
        match self.examine(dir, path, entry) {
            // Gone by now: it was a commit's, done between listing and claim.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.done.failed.push((path.clone(), error)),
            Ok(()) => {}
        }
    }

    fn examine(&mut self, dir: &Dir, path: &RelPath, entry: &Entry) -> io::Result<()> {
        entry.kind.require_file()?;
        let Some(_claim) = Claim::take(dir, &entry.name) else { return Ok(()) };
        let found = dir.read(&entry.name, u64::MAX)?;
        match TempName::parse(&entry.name) {
            _ if found.bytes.is_empty() => self.remove(dir, &entry.name),
            Some(name) if name.in_place => self.settle_journal(dir, path, &name, &found),
            Some(name) if name.explains(&found.bytes) => self.remove(dir, &entry.name),
            name => {
                let file = name.and_then(|name| holder_of(dir, &name.new));
                let file = file.map_or_else(|| path.clone(), |file| path.parent().join(&file));
                self.keep(&file, &found.bytes)?;
                dir.unlink(&entry.name)
            }
        }
    }

    /// Brings a rewrite in place to its end, if it had begun.
    fn settle_journal(
        &mut self,
        dir: &Dir,
        path: &RelPath,
        name: &TempName,
        found: &Snapshot,
    ) -> io::Result<()> {
        let _alone = dir.shared().in_place.lock();
        // Believed only from our own hand: it makes us write.
        let own = found.metadata.uid == rustix::process::geteuid().as_raw();
        let journal = Journal::decode(&found.bytes)
            .filter(|journal| own && short_hash(journal.content) == name.new);
        let Some(journal) = journal else {
            // Not whole, so nothing was written over yet.
            self.keep(path, &found.bytes)?;
            return dir.unlink(path.name());
        };
        let file = match in_control(path) {
            true => journal.target.clone(),
            false => path.parent().join(journal.target.name()),
        };
        let home = match in_control(path) {
            true => self.store.dir(&file.parent()),
            false => Ok(dir.clone()),
        };
        let target = match home.and_then(|home| home.open_file(file.name(), Access::ReadWrite)) {
            Err(error) if is_another_thing(&error) => None,
            other => Some(other?),
        };
        if let Some(target) = target {
            let content = read_all(&target)?;
            if name.explains(&content) {
                return self.remove(dir, path.name());
            }
            if Metadata::of(&target)?.ino == journal.ino {
                self.keep(&file, &content)?;
                overwrite(&target, journal.content)?;
                target.sync_all()?;
                dir.unlink(path.name())?;
                self.done.redone += 1;
                return dir.sync();
            }
        }
        // The target was removed or replaced since: the journal has no claim on what is there.
        self.keep(&file, journal.content)?;
        dir.unlink(path.name())
    }

    /// In the control directory, where nothing is named before it is whole and durable, only
    /// journals have anything to tell.
    fn clear_control(&mut self) -> io::Result<()> {
        let root = self.store.root();
        let control = match root.control() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let path = RelPath::root().join(OsStr::new(CONTROL_DIR));
        for entry in control.all_entries()? {
            let is_journal = TempName::parse(&entry.name).is_some_and(|name| name.in_place);
            if is_reserved(&entry.name) && is_journal {
                self.deal_with(&control, &path.join(&entry.name), &entry);
            } else if is_reserved(&entry.name) {
                self.drop_unplaced(&control, &path, &entry);
            }
        }
        let Ok(kept) = root.kept_dir() else { return Ok(()) };
        let path = path.join(OsStr::new("kept"));
        for entry in kept.all_entries()?.iter().filter(|entry| is_reserved(&entry.name)) {
            self.drop_unplaced(&kept, &path, entry);
        }
        Ok(())
    }

    fn drop_unplaced(&mut self, dir: &Dir, parent: &RelPath, entry: &Entry) {
        let Some(_claim) = Claim::take(dir, &entry.name) else { return };
        match self.remove(dir, &entry.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.done.failed.push((parent.join(&entry.name), error)),
            Ok(()) => {}
        }
    }

    fn remove(&mut self, dir: &Dir, name: &OsStr) -> io::Result<()> {
        dir.unlink(name)?;
        self.done.removed += 1;
        Ok(())
    }

    /// Seals `content` and keeps it as a version of `file`.
    fn keep(&mut self, file: &RelPath, content: &[u8]) -> io::Result<()> {
        let sealed = (self.seal_kept)(file, content)?;
        self.done.kept.push(self.store.keep(file, &sealed)?);
        Ok(())
    }
}

fn in_control(path: &RelPath) -> bool {
    path.parent().as_bytes() == CONTROL_DIR.as_bytes()
}

/// The file in `dir` whose content has this hash: the target of a leftover, by what it got.
fn holder_of(dir: &Dir, hash: &str) -> Option<OsString> {
    let holds = |entry: &Entry| {
        let content = dir.read(&entry.name, u64::MAX).ok()?.bytes;
        Some(short_hash(&content) == hash)
    };
    let mut entries = dir.entries().ok()?;
    entries.retain(|entry| entry.kind == FileKind::File);
    entries.into_iter().find(|entry| holds(entry) == Some(true)).map(|entry| entry.name)
}

/// Whether the target's name is gone, or stands for no file of this store any more.
fn is_another_thing(error: &io::Error) -> bool {
    let codes = [Errno::NOENT, Errno::NOTDIR, Errno::ISDIR, Errno::LOOP, Errno::INVAL, Errno::XDEV];
    codes.iter().any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

#[cfg(test)]
mod tests;
