//! One directory of the store, by its descriptor: look, open, read.
//!
//! Invariant: a name is one component, and a symlink is never followed. `..` is refused here,
//! because from a covered root it would lead into our own mount and wait for ourselves.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use super::metadata::{FileKind, Metadata};
use super::{Shared, is_reserved};
use crate::path::RelPath;

/// How every open beneath the root is resolved.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// How often an entry is opened that seems to lead out of the store.
const ATTEMPTS: u32 = 16;

/// How often a snapshot is tried while another program writes the file: some 30 ms in all.
const SNAPSHOT_ATTEMPTS: u32 = 16;

/// A directory of the store. A clone is the same open directory; renaming it changes nothing.
#[derive(Clone)]
pub struct Dir {
    fd: Arc<OwnedFd>,
    shared: Arc<Shared>,
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// Inode number, as the directory has it.
    pub ino: u64,
    /// What it is.
    pub kind: FileKind,
}

/// A file's content at one instant.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The content.
    pub bytes: Vec<u8>,
    /// The metadata that belongs to it.
    pub metadata: Metadata,
}

/// Refuses what is not one component: EINVAL. `.` is the directory itself.
pub(super) fn component(name: &OsStr) -> io::Result<&OsStr> {
    match name.as_bytes() {
        b"" | b".." => Err(Errno::INVAL.into()),
        bytes if bytes.contains(&b'/') => Err(Errno::INVAL.into()),
        _ => Ok(name),
    }
}

impl Dir {
    pub(super) fn new(fd: Arc<OwnedFd>, shared: Arc<Shared>) -> Self {
        Self { fd, shared }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The root of the store that this directory belongs to.
    pub(super) fn root(&self) -> Self {
        Self::new(self.shared.root.clone(), self.shared.clone())
    }

    /// Metadata of the entry `name`; of a symlink itself. One system call, no allocation.
    pub fn stat(&self, name: &OsStr) -> io::Result<Metadata> {
        Metadata::under(self.fd(), component(name)?, self.shared.births)
    }

    /// Metadata of the directory itself.
    pub fn metadata(&self) -> io::Result<Metadata> {
        Metadata::of(self.fd())
    }

    /// The entries, in the filesystem's order, without `.`, `..` and temporaries.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = self.all_entries()?;
        entries.retain(|entry| !is_reserved(&entry.name));
        Ok(entries)
    }

    /// The entries with temporaries.
    pub(super) fn all_entries(&self) -> io::Result<Vec<Entry>> {
        // A descriptor of its own: the position in a directory belongs to the open file, which
        // clones of this `Dir` share.
        let listing = self.open_at(OsStr::new("."), OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut raw = RawDir::new(listing, &mut buffer);
        let mut entries = Vec::new();
        while let Some(entry) = raw.next() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match FileKind::from_rustix(entry.file_type()) {
                Some(kind) => kind,
                // The filesystem does not tell; a name that is gone by now is left out.
                None => match self.stat(name) {
                    Ok(metadata) => metadata.kind,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                },
            };
            entries.push(Entry { name: name.to_owned(), ino: entry.ino(), kind });
        }
        Ok(entries)
    }

    /// The directory `name` in this one. ELOOP for a symlink, EXDEV for another mount.
    pub fn open_dir(&self, name: &OsStr) -> io::Result<Self> {
        self.reach(component(name)?)
    }

    /// The directory at `path` beneath this one.
    pub(super) fn reach(&self, path: &OsStr) -> io::Result<Self> {
        let fd = self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Self::new(Arc::new(fd), self.shared.clone()))
    }

    /// Opens the regular file `name`: EISDIR for a directory, ELOOP for a symlink, EINVAL for
    /// anything else, which is not opened at all.
    pub fn open_file(&self, name: &OsStr, access: Access) -> io::Result<File> {
        // Looked at first, because opening a device has effects of its own; and opened without
        // blocking, because a pipe may take the name in between.
        self.stat(name)?.kind.require_file()?;
        let careful = OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match access {
            Access::ReadWrite => self.open_at(name, OFlags::RDWR | careful)?,
            // That we look at a file is no access by a program. Only its owner may keep it quiet.
            Access::Read => match self.open_at(name, OFlags::RDONLY | OFlags::NOATIME | careful) {
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                    self.open_at(name, OFlags::RDONLY | careful)?
                }
                other => other?,
            },
        };
        Metadata::of(&file)?.kind.require_file()?;
        Ok(file.into())
    }

    /// The entry `name` as a mere place (`O_PATH`), whatever its kind; a symlink itself.
    pub(super) fn locate(&self, name: &OsStr) -> io::Result<OwnedFd> {
        // O_NOFOLLOW with O_PATH gives the symlink itself; RESOLVE_NO_SYMLINKS allows that.
        self.open_at(component(name)?, OFlags::PATH | OFlags::NOFOLLOW)
    }

    pub(super) fn open_at(&self, path: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
        self.open_mode(path, flags, Mode::empty())
    }

    pub(super) fn open_mode(&self, path: &OsStr, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match rustix::fs::openat2(self.fd(), path, flags, mode, RESOLVE) {
                // What was found left the store while it was opened: look at what stands there now.
                // Another mount that begins there is still there the next time.
                Err(Errno::XDEV) if attempts < ATTEMPTS => continue,
                // A rename elsewhere disturbed the walk: openat2(2) says to try again.
                Err(Errno::AGAIN) if !flags.contains(OFlags::NONBLOCK) => continue,
                Err(Errno::INTR) => continue,
                other => return Ok(other?),
            }
        }
    }

    /// The content of the regular file `name` at one instant: metadata before and after the
    /// reading agree. EFBIG when it has more than `limit` bytes; EBUSY when it does not hold
    /// still.
    pub fn read(&self, name: &OsStr, limit: u64) -> io::Result<Snapshot> {
        snapshot(&self.open_file(name, Access::Read)?, limit)
    }

    /// What the symlink `name` points to, uninterpreted.
    pub fn read_link(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(self.fd(), component(name)?, Vec::new())?.into_bytes())
    }

    /// Makes the names in this directory durable. A filesystem without such a call has nothing
    /// to make durable.
    pub fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(self.fd()) {
            Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            other => Ok(other?),
        }
    }

    /// A path by which this very directory can be named to calls that take no descriptor.
    pub fn watch_path(&self) -> PathBuf {
        own_descriptor(self.fd())
    }

    /// Where `name` in this directory stands in the store, as far as the kernel can still tell;
    /// else just `name`. For messages and names of kept versions, never to reach anything that
    /// is then written without a further check.
    pub(super) fn place_of(&self, name: &OsStr) -> RelPath {
        self.relative_path().unwrap_or_default().join(name)
    }

    /// This directory's path in the store; `None` when it was removed or moved out.
    pub(super) fn relative_path(&self) -> Option<RelPath> {
        let link = |fd: BorrowedFd<'_>| std::fs::read_link(own_descriptor(fd)).ok();
        let here = link(self.fd())?.into_os_string().into_vec();
        let root = link(self.shared.root.as_fd())?.into_os_string().into_vec();
        let below = here.strip_prefix(&root[..])?;
        match below.first() {
            None => Some(RelPath::root()),
            Some(b'/') => RelPath::new(&below[1..]).ok(),
            Some(_) if root == b"/" => RelPath::new(below).ok(),
            Some(_) => None,
        }
    }
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dir").field(&self.relative_path()).finish()
    }
}

/// The `/proc` name of a descriptor of ours.
pub(super) fn own_descriptor(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// The content of `file` at one instant; see [`Dir::read`].
pub(super) fn snapshot(file: &File, limit: u64) -> io::Result<Snapshot> {
    let mut bytes = Vec::new();
    for attempt in 0..SNAPSHOT_ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(attempt.min(2).into()));
        }
        let before = Metadata::of(file)?;
        if before.size > limit {
            return Err(Errno::FBIG.into());
        }
        bytes.clear();
        bytes.reserve_exact(before.size as usize + 1); // one more, to see the end in one call
        read_from_start(file, &mut bytes, limit)?;
        let metadata = Metadata::of(file)?;
        if metadata.stamp() == before.stamp() && metadata.size == bytes.len() as u64 {
            return Ok(Snapshot { bytes, metadata });
        }
    }
    Err(Errno::BUSY.into())
}

/// Appends the content of `file` to `bytes`, wherever the file's offset stands; stops after the
/// first byte beyond `limit`.
pub(super) fn read_from_start(file: &File, bytes: &mut Vec<u8>, limit: u64) -> io::Result<()> {
    struct From<'a>(&'a File, u64);
    impl io::Read for From<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read_at(buffer, self.1)?;
            self.1 += read as u64;
            Ok(read)
        }
    }
    io::Read::read_to_end(&mut io::Read::take(From(file, 0), limit.saturating_add(1)), bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn names_are_single_components() {
        let fresh = Fresh::new();
        fresh.put("sub/app.toml", "a");
        let root = fresh.store.root();
        let sub = root.open_dir(os("sub")).unwrap();
        for name in ["", "..", "sub/app.toml", "/etc", "../sub"] {
            assert_eq!(errno(sub.stat(os(name))), Some(libc::EINVAL), "{name:?}");
            assert_eq!(errno(sub.open_dir(os(name))), Some(libc::EINVAL), "{name:?}");
            assert_eq!(errno(sub.read(os(name), 9)), Some(libc::EINVAL), "{name:?}");
        }
        assert_eq!(sub.stat(os(".")).unwrap().stamp(), sub.metadata().unwrap().stamp());
        assert_eq!(root.stat(os("sub")).unwrap().ino, sub.metadata().unwrap().ino);
        assert_eq!(errno(root.stat(os("absent"))), Some(libc::ENOENT));
    }

    #[test]
    fn a_listing_hides_temporaries_and_tells_kinds() {
        let fresh = Fresh::new();
        fresh.put("app.toml", "a");
        fresh.put(".confseal-tmp.0.1", "a");
        fresh.put("sub/x", "a");
        std::os::unix::fs::symlink("app.toml", fresh.path("link")).unwrap();
        let root = fresh.store.root();
        for _ in 0..2 {
            let mut entries = root.clone().entries().unwrap();
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            let seen: Vec<_> = entries.iter().map(|e| (e.name.to_str().unwrap(), e.kind)).collect();
            assert_eq!(
                seen,
                [("app.toml", FileKind::File), ("link", FileKind::Symlink), ("sub", FileKind::Dir)]
            );
            assert_eq!(entries[0].ino, root.stat(os("app.toml")).unwrap().ino);
        }
    }

    #[test]
    fn only_regular_files_open_and_none_blocks() {
        let fresh = Fresh::new();
        let root = fresh.store.root();
        fresh.put("app.toml", "a");
        std::os::unix::fs::symlink("app.toml", fresh.path("link")).unwrap();
        std::fs::create_dir(fresh.path("sub")).unwrap();
        root.mknod(os("pipe"), FileKind::Fifo, 0o600, 0, None).unwrap();
        for access in [Access::Read, Access::ReadWrite] {
            assert!(root.open_file(os("app.toml"), access).is_ok());
            for (name, expected) in
                [("link", libc::ELOOP), ("sub", libc::EISDIR), ("pipe", libc::EINVAL)]
            {
                assert_eq!(errno(root.open_file(os(name), access)), Some(expected), "{name}");
            }
        }
        assert_eq!(root.read_link(os("link")).unwrap(), b"app.toml");
    }

    #[test]
    fn a_snapshot_has_its_limit() {
        let fresh = Fresh::new();
        fresh.put("app.toml", "12345");
        let root = fresh.store.root();
        let snapshot = root.read(os("app.toml"), 5).unwrap();
        assert_eq!(snapshot.bytes, b"12345");
        assert_eq!(snapshot.metadata.stamp(), root.stat(os("app.toml")).unwrap().stamp());
        assert_eq!(errno(root.read(os("app.toml"), 4)), Some(libc::EFBIG));
    }

    #[test]
    fn a_snapshot_is_never_a_mixture() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let fresh = Fresh::new();
        let versions = [vec![b'a'; 300_000], vec![b'b'; 200_000]];
        fresh.put("app.toml", &versions[0]);
        let stop = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let file = fresh.store.root().open_file(os("app.toml"), Access::ReadWrite).unwrap();
                for version in versions.iter().cycle() {
                    file.set_len(0).unwrap();
                    file.write_all_at(version, 0).unwrap();
                    std::thread::sleep(Duration::from_millis(6)); // longer than a clock tick
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            for _ in 0..200 {
                match fresh.store.root().read(os("app.toml"), 1 << 20) {
                    // A pause of the writer in the middle is not ours to see; a mixture is.
                    Ok(read) => assert!(versions.iter().any(|v| v.starts_with(&read.bytes))),
                    Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EBUSY)),
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_directory_knows_its_place_until_it_is_gone() {
        let fresh = Fresh::new();
        fresh.put("a/b/app.toml", "a");
        let dir = fresh.store.dir(&RelPath::new("a/b").unwrap()).unwrap();
        assert_eq!(dir.place_of(os("x")).as_bytes(), b"a/b/x");
        std::fs::rename(fresh.path("a"), fresh.path("z")).unwrap();
        assert_eq!(dir.place_of(os("x")).as_bytes(), b"z/b/x");
        assert_eq!(fresh.store.root().place_of(os("x")).as_bytes(), b"x");
        dir.sync().unwrap();
        assert!(dir.watch_path().join("app.toml").exists());
    }
}
