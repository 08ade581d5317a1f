//! `.confseal/` in the store: the lock, the small state files, the kept versions.
//!
//! Invariant: every file in it is whole at any time; it is written beside its place, made
//! durable, and only then named. It belongs to whoever owns the store, so that a repository's
//! owner can commit the policy.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::change::RenameFlags;
use super::dir::{Dir, component};
use super::metadata::{Metadata, Owner, Time};
use super::temporary::{Draft, TempName, place_new};
use super::{CONTROL_DIR, Store, is_reserved};
use crate::path::RelPath;
use crate::sys::calendar::civil_from_days;
use crate::sys::file::write_out;

const KEPT_DIR: &str = "kept";
const LOCK_FILE: &str = "lock";

/// No state file is anywhere near; a bound on what somebody may have put there.
const LARGEST_STATE: u64 = 64 << 20;

/// How much of a flattened path stands in a kept version's name; the rest of the 255 bytes is
/// for time and number.
const LONGEST_FLAT: usize = 200;

/// The right to write to the store, against other mounts and offline verbs on this machine.
/// Given up when dropped, and by the kernel when the process ends.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

/// Why a store could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("the store is in use")]
    Held {
        /// The process, as it wrote itself down.
        pid: Option<u32>,
    },
    /// The lock file could not be made or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Store {
    /// Takes the lock, without waiting for it.
    pub fn lock(&self) -> Result<StoreLock, LockError> {
        let control = self.root().control_or_create()?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = File::from(control.open_mode(OsStr::new(LOCK_FILE), flags, mode)?);
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LockError::Held { pid: written_pid(&file) }),
            Err(error) => return Err(io::Error::from(error).into()),
        }
        file.set_len(0)?;
        file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)?;
        Ok(StoreLock { _file: file })
    }

    /// The content of the state file `.confseal/NAME`; `None` when there is none.
    pub fn read_state(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let read = self.root().control().and_then(|dir| dir.read(OsStr::new(name), LARGEST_STATE));
        Ok(if_there(read)?.map(|snapshot| snapshot.bytes))
    }

    /// Replaces the state file `.confseal/NAME`, durably. Its mode and owner stay; a new one is
    /// mode 0644 (the directory is 0700 unless its owner opened it).
    pub fn write_state(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let name = component(OsStr::new(name))?;
        let control = self.root().control_or_create()?;
        let (mode, owner) = match if_there(control.stat(name))? {
            Some(old) => (old.mode, Owner { uid: old.uid, gid: old.gid }),
            None => (0o644, owner_of(&control)?),
        };
        whole_draft(&control, content, mode, owner, |temporary| {
            control.rename(temporary, &control, name, RenameFlags::Plain)
        })
    }

    /// Keeps `sealed`, a version that `file` held: a new file in `.confseal/kept/`, on disk when
    /// this returns. Returns its name: path, time in UTC, number.
    pub fn keep(&self, file: &RelPath, sealed: &[u8]) -> io::Result<String> {
        self.root().keep(file, sealed)
    }

    /// The names of all kept versions, sorted.
    pub fn kept(&self) -> io::Result<Vec<String>> {
        let entries = self.root().kept_dir().and_then(|dir| dir.entries());
        let names = if_there(entries)?.unwrap_or_default().into_iter();
        // Ours are all UTF-8; whatever else lies there is no kept version.
        let mut names: Vec<_> = names.filter_map(|entry| entry.name.into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// The content of the kept version `name`.
    pub fn read_kept(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.root().kept_dir()?.read(OsStr::new(name), u64::MAX)?.bytes)
    }

    /// The file of which `kept`, a path in the store, holds a version; `None` for the path of
    /// anything else. Of an overlong path the end.
    pub fn kept_of(kept: &RelPath) -> Option<RelPath> {
        let (control, inside) = (RelPath::root().join(CONTROL_DIR.as_ref()), kept.parent());
        if inside != control.join(KEPT_DIR.as_ref()) {
            return None;
        }
        // Path, time, number.
        let mut parts = kept.name().as_bytes().rsplitn(3, |byte| *byte == b'.');
        let (_number, _time, flat) = (parts.next()?, parts.next()?, parts.next()?);
        RelPath::new(unflatten(flat)).ok()
    }

    /// Replaces the content of the kept version `name`, durably: the same under another key.
    pub fn write_kept(&self, name: &str, sealed: &[u8]) -> io::Result<()> {
        let (kept, name) = (self.root().kept_dir()?, component(OsStr::new(name))?);
        let old = kept.stat(name)?;
        let owner = Owner { uid: old.uid, gid: old.gid };
        whole_draft(&kept, sealed, old.mode, owner, |temporary| {
            kept.rename(temporary, &kept, name, RenameFlags::Plain)
        })
    }

    /// Removes the kept version `name`.
    pub fn remove_kept(&self, name: &str) -> io::Result<()> {
        let kept = self.root().kept_dir()?;
        kept.unlink(OsStr::new(name))?;
        kept.sync()
    }
}

impl Dir {
    /// The control directory of this directory's store.
    pub(super) fn control(&self) -> io::Result<Self> {
        self.root().open_dir(OsStr::new(CONTROL_DIR))
    }

    /// The same, made when it is missing.
    pub(super) fn control_or_create(&self) -> io::Result<Self> {
        let root = self.root();
        open_or_create(&root, OsStr::new(CONTROL_DIR), owner_of(&root)?)
    }

    pub(super) fn kept_dir(&self) -> io::Result<Self> {
        self.control()?.open_dir(OsStr::new(KEPT_DIR))
    }

    /// See [`Store::keep`].
    pub(super) fn keep(&self, file: &RelPath, sealed: &[u8]) -> io::Result<String> {
        let control = self.control_or_create()?;
        let owner = owner_of(&control)?;
        let kept = open_or_create(&control, OsStr::new(KEPT_DIR), owner)?;
        let stem = format!("{}.{}", flatten(file), compact_utc(Time::now()));
        let mut number = 0u32;
        whole_draft(&kept, sealed, 0o600, owner, |temporary| {
            loop {
                number = number.checked_add(1).ok_or(Errno::EXIST)?;
                match place_new(&kept, temporary, OsStr::new(&format!("{stem}.{number}"))) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    other => return other,
                }
            }
        })?;
        Ok(format!("{stem}.{number}"))
    }
}

/// `None` for what does not exist.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// The owner of what is made in `dir`: the directory's, where we may give things away.
fn owner_of(dir: &Dir) -> io::Result<Owner> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    if !uid.is_root() {
        return Ok(Owner { uid: uid.as_raw(), gid: gid.as_raw() });
    }
    let Metadata { uid, gid, .. } = dir.metadata()?;
    Ok(Owner { uid, gid })
}

fn open_or_create(parent: &Dir, name: &OsStr, owner: Owner) -> io::Result<Dir> {
    if let Some(dir) = if_there(parent.open_dir(name))? {
        return Ok(dir);
    }
    match parent.mkdir(name, 0o700, Some(owner)) {
        // Another thread or process was as quick.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => drop(other?),
    }
    parent.sync()?;
    parent.open_dir(name)
}

/// Writes `content` to a temporary of `dir`, durably, and has `place` move it to its name.
fn whole_draft(
    dir: &Dir,
    content: &[u8],
    mode: u32,
    owner: Owner,
    place: impl FnOnce(&OsStr) -> io::Result<()>,
) -> io::Result<()> {
    let mut draft = Draft::begin(dir, TempName::of(content, b""))?;
    let placed = dress(&draft.file, mode, owner)
        .and_then(|()| draft.file.write_all_at(content, 0))
        .and_then(|()| write_out(&draft.file))
        .and_then(|()| draft.give_name())
        // Only now: see `Replace::bring_out`.
        .and_then(|()| draft.file.sync_all())
        .and_then(|()| place(draft.name().unwrap_or_default()))
        .and_then(|()| dir.sync());
    if placed.is_err() {
        draft.discard();
    }
    placed
}

fn dress(file: &File, mode: u32, owner: Owner) -> io::Result<()> {
    let made = Metadata::of(file)?;
    if (made.uid, made.gid) != (owner.uid, owner.gid) {
        let (uid, gid) =
            (rustix::fs::Uid::from_raw(owner.uid), rustix::fs::Gid::from_raw(owner.gid));
        rustix::fs::fchown(file, Some(uid), Some(gid))?;
    }
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?)
}

fn written_pid(lock: &File) -> Option<u32> {
    let mut bytes = [0; 16];
    let len = lock.read_at(&mut bytes, 0).ok()?;
    std::str::from_utf8(&bytes[..len]).ok()?.trim().parse().ok()
}

/// A path as one name: `/`, `%`, control characters and what is not UTF-8 percent-encoded; of
/// an overlong one the end.
fn flatten(path: &RelPath) -> String {
    let mut flat = String::new();
    for chunk in path.as_bytes().utf8_chunks() {
        for char in chunk.valid().chars() {
            if char == '/' || char == '%' || char.is_control() {
                let mut utf8 = [0; 4];
                char.encode_utf8(&mut utf8).bytes().for_each(|b| flat += &format!("%{b:02X}"));
            } else {
                flat.push(char);
            }
        }
        chunk.invalid().iter().for_each(|b| flat += &format!("%{b:02X}"));
    }
    let cut = flat.len().saturating_sub(LONGEST_FLAT);
    let cut = (cut..=flat.len()).find(|at| flat.is_char_boundary(*at)).unwrap_or(flat.len());
    let flat = flat.split_off(cut);
    // A file may be named like a temporary in the store; its kept version would be hidden.
    if is_reserved(OsStr::new(&flat)) { format!("%2E{}", &flat[1..]) } else { flat }
}

/// The path of which [`flatten`] made one name.
fn unflatten(flat: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(flat.len());
    let mut rest = flat;
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        path.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    path
}

/// `20260102T030405Z`.
fn compact_utc(time: Time) -> String {
    let (days, second) = (time.sec.div_euclid(86400), time.sec.rem_euclid(86400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{:02}Z", second % 60)
}

#[cfg(test)]
mod tests {
    use super::super::temporary::Means;
    use super::super::testing::*;
    use super::*;

    #[test]
    fn one_lock_at_a_time_and_the_holder_is_named() {
        let fresh = Fresh::new();
        let lock = fresh.store.lock().unwrap();
        match fresh.reopened().lock() {
            Err(LockError::Held { pid }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(lock);
        fresh.reopened().lock().unwrap();
        let root = fresh.store.root();
        assert_eq!(root.stat(os(CONTROL_DIR)).unwrap().mode, 0o700);
        assert_eq!(root.control().unwrap().stat(os("lock")).unwrap().mode, 0o600);
    }

    #[test]
    fn state_is_replaced_whole_and_keeps_its_mode() {
        for unnamed in [true, false] {
            on_each_filesystem(Means { unnamed, ..Means::ALL }, |fresh| {
                let store = &fresh.store;
                assert_eq!(store.read_state("sealed").unwrap(), None);
                store.write_state("sealed", b"one").unwrap();
                store.root().control().unwrap().set_mode(os("sealed"), 0o640).unwrap();
                store.write_state("sealed", b"two").unwrap();
                assert_eq!(store.read_state("sealed").unwrap().unwrap(), b"two");
                let state = store.root().control().unwrap().stat(os("sealed")).unwrap();
                assert_eq!(state.mode, 0o640);
                assert_eq!(fresh.names(CONTROL_DIR), ["sealed"]);
                assert_eq!(errno(store.write_state("../x", b"")), Some(libc::EINVAL));
            });
        }
    }

    #[test]
    fn a_control_directory_that_is_a_symlink_is_refused() {
        let fresh = Fresh::new();
        std::os::unix::fs::symlink("/tmp", fresh.path(CONTROL_DIR)).unwrap();
        assert_eq!(errno(fresh.store.write_state("sealed", b"x")), Some(libc::ELOOP));
        assert_eq!(errno(fresh.store.read_state("sealed")), Some(libc::ELOOP));
    }

    #[test]
    fn the_name_of_a_kept_version_says_of_which_file() {
        let fresh = Fresh::new();
        for path in ["app.toml", "conf.d/app.toml", "a%2Fb/100%", "new\nline", ".confseal-tmp.x"] {
            let path = RelPath::new(path).unwrap();
            let name = fresh.store.keep(&path, b"x").unwrap();
            let kept = RelPath::new(format!(".confseal/kept/{name}")).unwrap();
            assert_eq!(Store::kept_of(&kept), Some(path));
        }
        let no = |path: &str| Store::kept_of(&RelPath::new(path).unwrap());
        assert_eq!(no("app.toml.20260102T030405Z.1"), None);
        assert_eq!(no(".confseal/kept/plain"), None);
        assert_eq!(no(".confseal/policy.toml"), None);
    }

    #[test]
    fn kept_versions_pile_up_under_names_that_tell() {
        let fresh = Fresh::new();
        assert!(fresh.store.kept().unwrap().is_empty());
        let path = RelPath::new("conf.d/app.toml").unwrap();
        let names = [1, 2].map(|n| fresh.store.keep(&path, &[n]).unwrap());
        let mut sorted = names.to_vec();
        sorted.sort();
        assert_eq!(fresh.store.kept().unwrap(), sorted);
        assert!(names[0].starts_with("conf.d%2Fapp.toml.2") && names[0].ends_with("Z.1"));
        assert_eq!(fresh.store.read_kept(&names[1]).unwrap(), [2]);
        fresh.store.write_kept(&names[1], b"rewrapped").unwrap();
        assert_eq!(fresh.store.read_kept(&names[1]).unwrap(), b"rewrapped");
        fresh.store.remove_kept(&names[0]).unwrap();
        assert_eq!(fresh.store.kept().unwrap(), names[1..]);
        let kept = fresh.store.root().kept_dir().unwrap();
        assert_eq!(kept.stat(os(&names[1])).unwrap().mode, 0o600);
    }

    #[test]
    fn any_path_makes_a_name() {
        let flat = |path: &[u8]| flatten(&RelPath::new(path).unwrap());
        assert_eq!(flat(b"a/b%c\n\xff\xc3\xa4"), "a%2Fb%25c%0A%FFä");
        assert_eq!(flat(b".confseal-tmp.x"), "%2Econfseal-tmp.x");
        let long = flat(&[&b"d/"[..], &"ä".repeat(127).into_bytes()].concat());
        assert_eq!(long, "ä".repeat(100));
        let fresh = Fresh::new();
        fresh.store.keep(&RelPath::new("x".repeat(250)).unwrap(), b"").unwrap();
    }

    #[test]
    fn time_is_written_as_the_calendar_has_it() {
        for (sec, text) in [
            (0, "19700101T000000Z"),
            (951_827_696, "20000229T123456Z"),
            (1_772_323_199, "20260228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(compact_utc(Time { sec, nsec: 0 }), text);
        }
    }
}
