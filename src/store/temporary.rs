//! Temporaries: files that hold a version on its way into, or out of, its place.
//!
//! Invariants:
//! - The name says what the content must hash to, so a leftover explains itself after a crash:
//!   `.confseal-tmp.<new>.<old>`, the first 16 hex digits of the SHA-256 of the new and of the
//!   expected old content; then `.<n>` when that name was taken, `.inplace` for a journal.
//! - A name is claimed before it exists, until it is gone: two commits never share one, and a
//!   recovery that runs beside them never touches it.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::change::RenameFlags;
use super::dir::{Dir, own_descriptor};
use super::metadata::Metadata;
use super::{TEMPORARY_PREFIX, is_reserved};

/// What is tried on the filesystem before its fallback. Only tests try less than all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    /// Files without a name (`O_TMPFILE`); not on NFS, FUSE, old overlayfs.
    pub(super) unnamed: bool,
    /// `RENAME_EXCHANGE`; not on NFS.
    pub(super) exchange: bool,
}

impl Means {
    pub(super) const ALL: Self = Self { unnamed: true, exchange: true };
}

/// Whether the filesystem says that it does not know the call at all.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    let codes = [Errno::NOTSUP, Errno::NOSYS, Errno::INVAL, Errno::ISDIR];
    codes.iter().any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

/// The first 16 hex digits of the SHA-256 of `content`: enough to recognise, too short to trust.
pub(super) fn short_hash(content: &[u8]) -> String {
    Sha256::digest(content)[..8].iter().fold(String::with_capacity(16), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
        hex
    })
}

/// The name of a temporary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TempName {
    /// Hash of the new content.
    pub(super) new: String,
    /// Hash of the content it replaces.
    pub(super) old: String,
    /// Counts up while the name is taken.
    pub(super) copy: u32,
    /// Whether it is a journal for a rewrite in place.
    pub(super) in_place: bool,
}

impl TempName {
    pub(super) fn of(new: &[u8], old: &[u8]) -> Self {
        Self { new: short_hash(new), old: short_hash(old), copy: 0, in_place: false }
    }

    /// `None` for a name that has the prefix but was not made here.
    pub(super) fn parse(name: &OsStr) -> Option<Self> {
        let mut parts = name.to_str()?.strip_prefix(TEMPORARY_PREFIX)?.split('.').peekable();
        let mut hash = || {
            let part = parts.next()?;
            (part.len() == 16 && part.bytes().all(|b| b.is_ascii_hexdigit())).then_some(part)
        };
        let (new, old) = (hash()?.to_owned(), hash()?.to_owned());
        let copy = match parts.peek() {
            Some(&part) if part != "inplace" => {
                parts.next();
                part.parse().ok()?
            }
            _ => 0,
        };
        let in_place = parts.next_if_eq(&"inplace").is_some();
        parts.next().is_none().then_some(Self { new, old, copy, in_place })
    }

    /// Whether `content` is one of the two versions that the name speaks of.
    pub(super) fn explains(&self, content: &[u8]) -> bool {
        let hash = short_hash(content);
        hash == self.new || hash == self.old
    }
}

impl fmt::Display for TempName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{TEMPORARY_PREFIX}{}.{}", self.new, self.old)?;
        if self.copy > 0 {
            write!(f, ".{}", self.copy)?;
        }
        f.write_str(if self.in_place { ".inplace" } else { "" })
    }
}

/// The names of temporaries that a commit or a recovery of this process is at work on, in
/// whatever directory. Nothing else is done under the lock.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashSet<OsString>>);

/// The right to one name; given up when dropped.
pub(super) struct Claim {
    dir: Dir,
    pub(super) name: OsString,
}

impl Claim {
    /// `None` while somebody else is at work on a temporary of that name.
    pub(super) fn take(dir: &Dir, name: &OsStr) -> Option<Self> {
        debug_assert!(is_reserved(name));
        let fresh = dir.shared().claims.0.lock().insert(name.to_owned());
        fresh.then(|| Self { dir: dir.clone(), name: name.to_owned() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.dir.shared().claims.0.lock().remove(&self.name);
    }
}

/// A temporary being written, readable by its owner only until it is dressed as its target.
///
/// Dropping it removes nothing: a name outlives a crash just so, and [`Draft::discard`] is the
/// orderly way out.
pub(super) struct Draft {
    dir: Dir,
    pub(super) file: File,
    name: TempName,
    claim: Option<Claim>,
}

impl Draft {
    /// An empty temporary in `dir`, without a name where the filesystem can do that.
    pub(super) fn begin(dir: &Dir, name: TempName) -> io::Result<Self> {
        let mode = Mode::RUSR | Mode::WUSR;
        if dir.shared().means.unnamed {
            match dir.open_mode(OsStr::new("."), OFlags::TMPFILE | OFlags::RDWR, mode) {
                Ok(file) => {
                    return Ok(Self { dir: dir.clone(), file: file.into(), name, claim: None });
                }
                Err(error) if is_unsupported(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let (file, name, claim) =
            first_free(dir, name, |name| dir.open_mode(name, flags, mode).map(File::from))?;
        Ok(Self { dir: dir.clone(), file, name, claim: Some(claim) })
    }

    /// Gives it its name, if it has none yet. From here on a crash leaves it behind.
    pub(super) fn give_name(&mut self) -> io::Result<()> {
        if self.claim.is_none() {
            let link = |name: &OsStr| self.link(name);
            let ((), name, claim) = first_free(&self.dir, self.name.clone(), link)?;
            (self.name, self.claim) = (name, Some(claim));
        }
        Ok(())
    }

    /// The directory it stands in.
    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The name it has in its directory.
    pub(super) fn name(&self) -> Option<&OsStr> {
        self.claim.as_ref().map(|claim| &*claim.name)
    }

    /// Gives up the name, which stands for what is not ours to remove.
    pub(super) fn leave(&mut self) {
        self.claim = None;
    }

    /// Removes its name, unless that stands for another file by now; whether it has none left.
    pub(super) fn discard(self) -> bool {
        let Some(name) = self.name() else { return true };
        let is_ours = || Some(self.dir.stat(name).ok()?.ino == Metadata::of(&self.file).ok()?.ino);
        if is_ours() == Some(true)
            && let Err(error) = self.dir.unlink(name)
        {
            log::warn!("cannot remove {}: {error}", self.dir.place_of(name));
            return false;
        }
        true
    }

    fn link(&self, name: &OsStr) -> io::Result<()> {
        // By descriptor first; without CAP_DAC_READ_SEARCH that is ENOENT before Linux 6.10.
        match rustix::fs::linkat(&self.file, "", self.dir.fd(), name, AtFlags::EMPTY_PATH) {
            Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => {}
            other => return Ok(other?),
        }
        let path = own_descriptor(self.file.as_fd());
        Ok(rustix::fs::linkat(CWD, path, self.dir.fd(), name, AtFlags::SYMLINK_FOLLOW)?)
    }
}

/// Does `make` under the first variant of `name` that is neither claimed nor there.
fn first_free<T>(
    dir: &Dir,
    mut name: TempName,
    make: impl Fn(&OsStr) -> io::Result<T>,
) -> io::Result<(T, TempName, Claim)> {
    loop {
        if let Some(claim) = Claim::take(dir, OsStr::new(&name.to_string())) {
            match make(&claim.name) {
                Ok(made) => return Ok((made, name, claim)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        name.copy = name.copy.checked_add(1).ok_or(Errno::EXIST)?;
    }
}

/// Moves the temporary `temporary` of `dir` to `name`; EEXIST when that is taken.
pub(super) fn place_new(dir: &Dir, temporary: &OsStr, name: &OsStr) -> io::Result<()> {
    match dir.rename(temporary, dir, name, RenameFlags::NoReplace) {
        Err(error) if is_unsupported(&error) => {
            dir.link(temporary, dir, name)?;
            dir.unlink(temporary)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn names_read_back() {
        let plain = TempName::of(b"new", b"old");
        assert_eq!(plain.to_string(), ".confseal-tmp.11507a0e2f5e69d5.cba06b5736faf67e");
        for name in [
            TempName { copy: 3, ..plain.clone() },
            TempName { in_place: true, ..plain.clone() },
            TempName { copy: 12, in_place: true, ..plain.clone() },
            plain,
        ] {
            assert_eq!(TempName::parse(os(&name.to_string())), Some(name));
        }
        for other in ["", "x.y", "11507a0e2f5e69d5", "11507a0e2f5e69d5.cba06b5736faf67e.inplace.1"]
        {
            assert_eq!(TempName::parse(os(&format!(".confseal-tmp.{other}"))), None, "{other}");
        }
    }

    #[test]
    fn a_draft_has_no_name_until_it_is_given_one() {
        let fresh = Fresh::new();
        let root = fresh.store.root();
        let mut draft = Draft::begin(root, TempName::of(b"a", b"b")).unwrap();
        assert!(fresh.names(".").is_empty());
        draft.give_name().unwrap();
        let name = TempName::of(b"a", b"b").to_string();
        assert_eq!(fresh.names("."), [&*name]);
        assert!(Claim::take(root, os(&name)).is_none());
        draft.discard();
        assert!(fresh.names(".").is_empty());
        assert!(Claim::take(root, os(&name)).is_some());
    }

    #[test]
    fn a_taken_name_is_passed_over() {
        for unnamed in [true, false] {
            let fresh = Fresh::with(Means { unnamed, ..Means::ALL });
            let name = TempName::of(b"a", b"b");
            fresh.put(&name.to_string(), "left by a crash");
            let mut drafts: Vec<_> =
                (0..2).map(|_| Draft::begin(fresh.store.root(), name.clone()).unwrap()).collect();
            for (draft, copy) in drafts.iter_mut().zip(1..) {
                draft.give_name().unwrap();
                assert_eq!(draft.name.copy, copy);
            }
            drafts.into_iter().for_each(|draft| assert!(draft.discard()));
            assert_eq!(fresh.content(&name.to_string()), b"left by a crash");
        }
    }

    #[test]
    fn a_discarded_draft_spares_what_took_its_name() {
        let fresh = Fresh::new();
        let mut draft = Draft::begin(fresh.store.root(), TempName::of(b"a", b"b")).unwrap();
        draft.give_name().unwrap();
        let name = draft.name().unwrap().to_str().unwrap().to_owned();
        fresh.put("other", "precious");
        std::fs::rename(fresh.path("other"), fresh.path(&name)).unwrap();
        draft.discard();
        assert_eq!(fresh.content(&name), b"precious");
    }
}
