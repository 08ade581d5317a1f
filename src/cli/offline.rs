//! Working on a store without a mount: which files there are, reading them, and putting new
//! content in their place. One walk and one loop for every verb.
//!
//! What must stay true: a mount is never taken for a store; nothing is written but under the
//! store's lock; a file that cannot be done is named, and the others go on.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Result;
use super::error::Failure;
use super::open::{self, KeyArguments, is_mount, locate, open_store};
use super::pinned;
use super::trouble::Trouble;
use crate::document::{Sealing, is_whole};
use crate::path::RelPath;
use crate::policy::{Class, Policy};
use crate::store::{
    CONTROL_DIR, Commit, CommitError, Dir, FileKind, MtimeRule, OnConflict, Store, StoreLock, Walk,
    is_version_control,
};
use crate::sys;

/// The largest file that is looked at, in bytes: what a mount allows when nothing else is said.
pub(super) const LARGEST: u64 = 64 << 20;

/// How often a file is tried that other programs write meanwhile.
const ATTEMPTS: usize = 8;

/// One store, and what of it is to be worked on.
pub(super) struct Place {
    pub store: Store,
    parts: Vec<Part>,
}

/// A file or directory that was given as an argument.
struct Part {
    given: PathBuf,
    below: RelPath,
}

/// A regular file of the store, met on the walk.
pub(super) struct Found<'a> {
    pub dir: &'a Dir,
    /// Its path in the store.
    pub file: &'a RelPath,
    /// Its path as the user would write it.
    pub shown: PathBuf,
}

/// The stores that hold `paths`. Refuses a mount.
pub(super) fn places(paths: &[PathBuf]) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    for given in paths {
        let (root, below) = locate(given)?;
        if is_mount(&root) {
            return Err(Failure::Mounted { path: given.clone() });
        }
        let is_ours = |part: &[u8]| {
            part == CONTROL_DIR.as_bytes() || is_version_control(OsStr::from_bytes(part))
        };
        if below.components().any(is_ours) {
            let why = "version control's and confseal's own files are left alone";
            return Err(Failure::Usage(format!("{}: {why}", given.display())));
        }
        let part = Part { given: given.clone(), below };
        match places.iter_mut().find(|place| place.store.path() == root) {
            Some(place) => place.add(part),
            None => places.push(Place { store: open_store(&root)?, parts: vec![part] }),
        }
    }
    Ok(places)
}

impl Place {
    /// What is given twice, or inside something else that is given, is visited once.
    fn add(&mut self, part: Part) {
        if self.parts.iter().any(|other| part.below.is_within(&other.below)) {
            return;
        }
        self.parts.retain(|other| !other.below.is_within(&part.below));
        self.parts.push(part);
    }

    /// Whether the store as a whole is to be worked on.
    pub(super) fn is_whole_store(&self) -> bool {
        self.parts.iter().any(|part| part.below.is_root())
    }

    /// The path in the store of the one thing that was given.
    pub(super) fn only_part(&self) -> &RelPath {
        &self.parts[0].below
    }

    /// Where a kept version is, for messages.
    pub(super) fn kept_path(&self, name: &str) -> PathBuf {
        self.store.path().join(CONTROL_DIR).join("kept").join(name)
    }

    /// See [`each_file`]; of what was given.
    pub(super) fn each_file(&self, visit: &mut dyn FnMut(&Found<'_>) -> Result<()>) -> Result<()> {
        for part in &self.parts {
            each_file(&self.store, &part.below, &part.given, visit)?;
        }
        Ok(())
    }

    /// The keys and rules of the store; and, unless it is a `dry_run`, the store for ourselves,
    /// mended of what a crash left.
    pub(super) fn begin(
        &self,
        keys: &KeyArguments,
        dry_run: bool,
    ) -> Result<(Sealing, Option<StoreLock>)> {
        let mut sealing = self.sealing(keys)?;
        pinned::tell(&self.store, &sealing.policy);
        if dry_run {
            return Ok((sealing, None));
        }
        let lock = open::lock(&self.store)?;
        // Once more: they may have been changed until the lock was ours.
        let (policy, ledger) = open::rules(&self.store)?;
        sealing.policy = policy;
        sealing.ledger = ledger.into();
        pinned::keep(&self.store, &sealing)?;
        let seal_kept = |_: &RelPath, displaced: &[u8]| Ok(sealing.seal_kept(displaced));
        let recovery = self.store.recover(&seal_kept).map_err(Failure::io(self.store.path()))?;
        for kept in recovery.kept {
            eprintln!("confseal: left by a crash: {}", self.kept_path(&kept).display());
        }
        for (file, error) in recovery.failed {
            let path = self.store.path().join(file.as_os_str());
            eprintln!("confseal: {}: left by a crash: {error}", path.display());
        }
        Ok((sealing, Some(lock)))
    }

    /// The keys and rules of the store.
    pub(super) fn sealing(&self, keys: &KeyArguments) -> Result<Sealing> {
        keep_secrets_in_memory();
        open::sealing(&self.store, &keys.sources(self.store.path())?)
    }
}

/// What this process learns goes neither into a core dump nor, where that may be had, into swap.
pub(super) fn keep_secrets_in_memory() {
    let done = sys::memory::forbid_dumps().and_then(|()| sys::memory::lock_all());
    if let Err(error) = done {
        log::debug!("memory is not protected: {error}");
    }
}

/// Whether `text`, the content of `file`, is configuration by its name, of a format that is not
/// known, and no rule speaks of it: whatever secrets it holds stay in it.
pub(super) fn is_unread_configuration(policy: &Policy, file: &RelPath, text: &[u8]) -> bool {
    let classified = policy.classify(file);
    match &classified.class {
        Class::Fields(format) if classified.is_by_content() => {
            !text.is_empty() && !is_whole(text) && format.scan(text).is_err()
        }
        _ => false,
    }
}

/// Calls `visit` for every regular file of `store` in `below`, which the user calls `given`, in the
/// order of their names. Left out are version-control directories, control directories, temporaries
/// and symlinks. An error of `visit` ends the walk.
pub(super) fn each_file(
    store: &Store,
    below: &RelPath,
    given: &Path,
    visit: &mut dyn FnMut(&Found<'_>) -> Result<()>,
) -> Result<()> {
    let mut failure = None;
    let mut step = |dir: &Dir, file: &RelPath, entry: &crate::store::Entry| {
        let own = is_version_control(&entry.name) || entry.name == CONTROL_DIR;
        match entry.kind {
            FileKind::Dir if own => return Ok(Walk::Skip),
            FileKind::File => {}
            _ => return Ok(Walk::Continue),
        }
        let found = Found { dir, file, shown: shown(given, below, file) };
        match visit(&found) {
            Ok(()) => Ok(Walk::Continue),
            Err(error) => {
                failure = Some(error);
                Ok(Walk::Stop)
            }
        }
    };
    store.walk(below, &mut step).map_err(Failure::io(given))?;
    failure.map_or(Ok(()), Err)
}

/// `file`, which lies in `below`, as somebody would write it who calls that `given`.
fn shown(given: &Path, below: &RelPath, file: &RelPath) -> PathBuf {
    let rest = &file.as_bytes()[below.as_bytes().len()..];
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    match rest.is_empty() {
        true => given.to_owned(),
        false => given.join(OsStr::from_bytes(rest)),
    }
}

/// New content for a file, if it needs any, and what there is to say of it.
pub(super) type Change<T> = (Option<Vec<u8>>, T);

/// The content of `file` in the store.
pub(super) fn read(store: &Store, file: &RelPath) -> Result<Vec<u8>, Trouble> {
    read_in(&store.dir(&file.parent())?, file.name())
}

fn read_in(dir: &Dir, name: &OsStr) -> Result<Vec<u8>, Trouble> {
    match dir.read(name, LARGEST) {
        Err(error) if error.raw_os_error() == Some(libc::EFBIG) => Err(Trouble::TooLarge),
        other => Ok(other?.bytes),
    }
}

impl Found<'_> {
    /// The content in the store.
    pub(super) fn read(&self) -> Result<Vec<u8>, Trouble> {
        read_in(self.dir, self.file.name())
    }

    /// Whether no rule asks for the file to be sealed; then it may be too large for us.
    pub(super) fn may_be_large(&self, policy: &Policy) -> bool {
        matches!(policy.classify(self.file).class, Class::Unknown | Class::Plain)
    }

    /// Replaces the content by what `make` makes of it, durably; made again when another program
    /// changes the file meanwhile. A `dry_run` makes it and writes nothing.
    ///
    /// What programs see is to stay the same: the modification time becomes just another one.
    pub(super) fn replace<T>(
        &self,
        sealing: &Sealing,
        dry_run: bool,
        make: impl Fn(&[u8]) -> Result<Change<T>, Trouble>,
    ) -> Result<T, Trouble> {
        self.replace_at(MtimeRule::JustLater, sealing, dry_run, make)
    }

    /// The same with a word on the modification time.
    pub(super) fn replace_at<T>(
        &self,
        mtime: MtimeRule,
        sealing: &Sealing,
        dry_run: bool,
        make: impl Fn(&[u8]) -> Result<Change<T>, Trouble>,
    ) -> Result<T, Trouble> {
        for _ in 0..ATTEMPTS {
            let stored = self.read()?;
            let (new, said) = make(&stored)?;
            let Some(new) = new.filter(|_| !dry_run) else { return Ok(said) };
            let commit = Commit {
                content: &new,
                expected: Some(&stored),
                moved_from: None,
                on_conflict: OnConflict::GiveWay,
                durable: true,
                mtime,
                seal_kept: &|displaced| Ok(sealing.seal_kept(displaced)),
            };
            match self.dir.commit(self.file.name(), &commit) {
                Ok(_) => return Ok(said),
                Err(CommitError { source, .. }) if source.raw_os_error() == Some(libc::ESTALE) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Err(Trouble::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_inside_another_argument_is_visited_once() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        for name in ["a.toml", "sub/b.toml"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(dir.path().join(CONTROL_DIR)).unwrap();
        let given = ["sub/b.toml", "sub", "a.toml", "."].map(|name| dir.path().join(name));
        let places = places(&given).unwrap();
        assert_eq!(places.len(), 1);
        let mut seen = Vec::new();
        let mut visit = |found: &Found<'_>| {
            seen.push(found.file.to_string());
            Ok(())
        };
        places[0].each_file(&mut visit).unwrap();
        assert_eq!(seen, ["a.toml", "sub/b.toml"]);
    }

    #[test]
    fn paths_are_shown_as_they_were_given() {
        let path = |text: &str| RelPath::new(text).unwrap();
        let in_sub = shown(Path::new("conf/sub"), &path("sub"), &path("sub/x/app.toml"));
        assert_eq!(in_sub, Path::new("conf/sub/x/app.toml"));
        let itself = shown(Path::new("conf/a.toml"), &path("a.toml"), &path("a.toml"));
        assert_eq!(itself, Path::new("conf/a.toml"));
    }
}
