//! Making, naming and re-attributing entries of one directory; never a file's content.
//!
//! Invariant: an owner is only ever set on the thing that was just made. Whoever may write the
//! directory could otherwise slip another entry under the name and have that given away.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::dir::{Dir, component, own_descriptor};
use super::metadata::{FileKind, Metadata, Owner, SetTime};
use crate::sys::closing;

/// What a rename does about an entry that has the new name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenameFlags {
    /// Replace it.
    Plain,
    /// Refuse with EEXIST.
    NoReplace,
    /// Swap the two; ENOENT when there is none.
    Exchange,
}

/// The mode as system calls take it.
fn mode_bits(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}

/// The owner to set: a set-group-ID directory has given its group already, and that stays.
struct Adoption {
    mode: u32,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Dir {
    /// Makes the empty regular file `name`, open for reading and writing; EEXIST when the name is
    /// taken, also by a symlink. `mode` holds whatever the process's umask is; a default ACL of
    /// the directory restricts it as usual.
    pub fn create_file(
        &self,
        name: &OsStr,
        mode: u32,
        owner: Option<Owner>,
    ) -> io::Result<(File, Metadata)> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file = File::from(self.open_mode(component(name)?, flags, mode_bits(mode))?);
        let settled = self.adoption(mode, owner).and_then(|a| self.settle(file.as_fd(), &a));
        match settled {
            Ok(metadata) => Ok((file, metadata)),
            Err(error) => {
                // The error to report is the first one; a leftover is empty.
                let _ = self.unlink(name);
                Err(error)
            }
        }
    }

    /// Makes the directory `name`.
    pub fn mkdir(&self, name: &OsStr, mode: u32, owner: Option<Owner>) -> io::Result<Metadata> {
        rustix::fs::mkdirat(self.fd(), component(name)?, mode_bits(mode))?;
        self.adopt(name, FileKind::Dir, mode, owner).inspect_err(|_| drop(self.rmdir(name)))
    }

    /// Makes the node `name` of a `kind` other than directory and symlink (those give EINVAL);
    /// `device` counts for devices only.
    pub fn mknod(
        &self,
        name: &OsStr,
        kind: FileKind,
        mode: u32,
        device: u64,
        owner: Option<Owner>,
    ) -> io::Result<Metadata> {
        let kind_bits = match kind {
            FileKind::File => return Ok(self.create_file(name, mode, owner)?.1),
            FileKind::Dir | FileKind::Symlink => return Err(Errno::INVAL.into()),
            FileKind::Fifo => FileType::Fifo,
            FileKind::Socket => FileType::Socket,
            FileKind::CharDevice => FileType::CharacterDevice,
            FileKind::BlockDevice => FileType::BlockDevice,
        };
        rustix::fs::mknodat(self.fd(), component(name)?, kind_bits, mode_bits(mode), device)?;
        self.adopt(name, kind, mode, owner).inspect_err(|_| drop(self.unlink(name)))
    }

    /// Makes the symlink `name` that points to `target`, any bytes.
    pub fn symlink(
        &self,
        name: &OsStr,
        target: &[u8],
        owner: Option<Owner>,
    ) -> io::Result<Metadata> {
        rustix::fs::symlinkat(OsStr::from_bytes(target), self.fd(), component(name)?)?;
        self.adopt(name, FileKind::Symlink, 0, owner).inspect_err(|_| drop(self.unlink(name)))
    }

    /// Removes the name of anything but a directory.
    pub fn unlink(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self.fd(), component(name)?, AtFlags::empty())?)
    }

    /// Removes the empty directory `name`.
    pub fn rmdir(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self.fd(), component(name)?, AtFlags::REMOVEDIR)?)
    }

    /// Gives the entry `name`, a symlink itself, the further name `new_name` in `to`.
    pub fn link(&self, name: &OsStr, to: &Dir, new_name: &OsStr) -> io::Result<()> {
        let (old, new) = (component(name)?, component(new_name)?);
        Ok(rustix::fs::linkat(self.fd(), old, to.fd(), new, AtFlags::empty())?)
    }

    /// Renames the entry `name` to `new_name` in `to`.
    pub fn rename(
        &self,
        name: &OsStr,
        to: &Dir,
        new_name: &OsStr,
        flags: RenameFlags,
    ) -> io::Result<()> {
        let (old, new) = (component(name)?, component(new_name)?);
        // What is replaced must not end within the call, which would take as long as freeing it does.
        let replaced = (flags == RenameFlags::Plain && closing::is_later())
            .then(|| to.locate(new_name).ok())
            .flatten();
        let flags = match flags {
            RenameFlags::Plain => rustix::fs::RenameFlags::empty(),
            RenameFlags::NoReplace => rustix::fs::RenameFlags::NOREPLACE,
            RenameFlags::Exchange => rustix::fs::RenameFlags::EXCHANGE,
        };
        rustix::fs::renameat_with(self.fd(), old, to.fd(), new, flags)?;
        replaced.into_iter().for_each(|file| closing::close_later(file.into()));
        Ok(())
    }

    /// Sets the permission bits. EOPNOTSUPP for a symlink, which has none.
    pub fn set_mode(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        // fchmodat follows symlinks, and its variant that does not came with Linux 6.6.
        set_mode_of(self.locate(name)?.as_fd(), mode)
    }

    /// Sets owner and group, where given; of a symlink itself.
    pub fn set_owner(&self, name: &OsStr, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::chownat(self.fd(), component(name)?, uid, gid, flags)?)
    }

    /// Sets access and modification time, where given; of a symlink itself.
    pub fn set_times(
        &self,
        name: &OsStr,
        atime: Option<SetTime>,
        mtime: Option<SetTime>,
    ) -> io::Result<()> {
        let spec = |time| match time {
            None => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
            Some(SetTime::Now) => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW },
            Some(SetTime::At(time)) => time.timespec(),
        };
        let times = Timestamps { last_access: spec(atime), last_modification: spec(mtime) };
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::utimensat(self.fd(), component(name)?, &times, flags)?)
    }

    /// Brings the entry `name`, just made, to owner and mode.
    fn adopt(
        &self,
        name: &OsStr,
        kind: FileKind,
        mode: u32,
        owner: Option<Owner>,
    ) -> io::Result<Metadata> {
        let adoption = self.adoption(mode, owner)?;
        let made = self.stat(name)?;
        if made.kind == kind && adoption.is_settled(&made) {
            return Ok(made);
        }
        // mkdir and mknod give no descriptor, so the name may be another's by now. A swap that
        // gains nothing is let pass: the kind is the same, and a directory is empty.
        let place = self.locate(name)?;
        if Metadata::of(&place)?.kind != kind {
            return Err(Errno::STALE.into());
        }
        if kind == FileKind::Dir {
            let dir = self.open_dir(name)?;
            if !dir.all_entries()?.is_empty() {
                return Err(Errno::STALE.into());
            }
            return self.settle(dir.fd(), &adoption);
        }
        self.settle(place.as_fd(), &adoption)
    }

    fn adoption(&self, mode: u32, owner: Option<Owner>) -> io::Result<Adoption> {
        let Some(owner) = owner else { return Ok(Adoption { mode, uid: None, gid: None }) };
        let gives_group = self.metadata()?.mode & libc::S_ISGID != 0;
        let gid = if gives_group { None } else { Some(owner.gid) };
        Ok(Adoption { mode, uid: Some(owner.uid), gid })
    }

    /// Gives what is open as `fd` its owner, then what is missing of its mode.
    fn settle(&self, fd: BorrowedFd<'_>, adoption: &Adoption) -> io::Result<Metadata> {
        let made = Metadata::of(fd)?;
        let mut now = made;
        if !adoption.is_owned(&now) {
            let (uid, gid) = (adoption.uid.map(Uid::from_raw), adoption.gid.map(Gid::from_raw));
            rustix::fs::chownat(fd, "", uid, gid, AtFlags::EMPTY_PATH)?;
            now = Metadata::of(fd)?;
        }
        // What the process's umask took away comes back, unless it was a default ACL that did.
        let mut mode = made.mode;
        if adoption.lacks(&made) && !self.has_default_acl()? {
            mode |= adoption.mode & 0o777;
        }
        // Set-user-ID goes with a change of owner, so the mode comes second.
        if now.mode != mode && now.kind != FileKind::Symlink {
            set_mode_of(fd, mode)?;
            now = Metadata::of(fd)?;
        }
        Ok(now)
    }
}

impl Adoption {
    fn is_owned(&self, now: &Metadata) -> bool {
        self.uid.is_none_or(|uid| uid == now.uid) && self.gid.is_none_or(|gid| gid == now.gid)
    }

    fn lacks(&self, now: &Metadata) -> bool {
        now.kind != FileKind::Symlink && self.mode & 0o777 & !now.mode != 0
    }

    fn is_settled(&self, now: &Metadata) -> bool {
        self.is_owned(now) && !self.lacks(now)
    }
}

/// `chmod` by a descriptor of any sort, `O_PATH` too.
fn set_mode_of(fd: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmod(own_descriptor(fd), mode_bits(mode))?)
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Time;
    use super::super::testing::*;
    use super::*;

    const NOBODY: Option<Owner> = Some(Owner { uid: 65534, gid: 65533 });

    /// Owners can be given away by root alone; the rest of each story holds for everyone.
    fn owner() -> Option<Owner> {
        if rustix::process::geteuid().is_root() { NOBODY } else { None }
    }

    fn is_owned(metadata: &Metadata) -> bool {
        owner().is_none_or(|o| (o.uid, o.gid) == (metadata.uid, metadata.gid))
    }

    #[test]
    fn new_entries_have_kind_mode_and_owner() {
        on_each_filesystem(super::super::temporary::Means::ALL, |fresh| {
            let root = fresh.store.root();
            let (_, file) = root.create_file(os("file"), 0o4777, owner()).unwrap();
            let dir = root.mkdir(os("dir"), 0o777, owner()).unwrap();
            let pipe = root.mknod(os("pipe"), FileKind::Fifo, 0o622, 0, owner()).unwrap();
            let link = root.symlink(os("link"), b"any\xff/where", owner()).unwrap();
            let node = root.mknod(os("node"), FileKind::File, 0o640, 0, owner()).unwrap();
            let expected = [
                ("file", file, FileKind::File, 0o4777),
                ("dir", dir, FileKind::Dir, 0o777),
                ("pipe", pipe, FileKind::Fifo, 0o622),
                ("link", link, FileKind::Symlink, 0o777),
                ("node", node, FileKind::File, 0o640),
            ];
            for (name, metadata, kind, mode) in expected {
                assert_eq!(root.stat(os(name)).unwrap().stamp(), metadata.stamp());
                assert_eq!((metadata.kind, metadata.mode), (kind, mode), "{name}");
                assert!(is_owned(&metadata), "{name}");
            }
            assert_eq!(root.read_link(os("link")).unwrap(), b"any\xff/where");
        });
    }

    #[test]
    fn a_taken_name_is_left_alone() {
        let fresh = Fresh::new();
        fresh.put("taken", "a");
        std::os::unix::fs::symlink("absent", fresh.path("link")).unwrap();
        let root = fresh.store.root();
        for name in ["taken", "link"] {
            let name = os(name);
            assert_eq!(errno(root.create_file(name, 0o600, None)), Some(libc::EEXIST));
            assert_eq!(errno(root.mkdir(name, 0o700, None)), Some(libc::EEXIST));
            assert_eq!(errno(root.symlink(name, b"x", None)), Some(libc::EEXIST));
            let made = root.mknod(name, FileKind::Fifo, 0o600, 0, None);
            assert_eq!(errno(made), Some(libc::EEXIST));
        }
        assert_eq!(fresh.names("."), ["link", "taken"]);
        assert_eq!(errno(root.mknod(os("d"), FileKind::Dir, 0, 0, None)), Some(libc::EINVAL));
    }

    #[test]
    fn a_set_group_id_directory_gives_its_group() {
        let fresh = Fresh::new();
        let root = fresh.store.root();
        root.mkdir(os("shared"), 0o700, None).unwrap();
        root.set_mode(os("shared"), 0o2770).unwrap();
        let shared = root.open_dir(os("shared")).unwrap();
        let gid = shared.metadata().unwrap().gid;
        let (_, file) = shared.create_file(os("file"), 0o660, owner()).unwrap();
        let dir = shared.mkdir(os("dir"), 0o770, owner()).unwrap();
        assert_eq!((file.gid, dir.gid), (gid, gid));
        assert_eq!((file.mode, dir.mode), (0o660, 0o2770));
    }

    #[test]
    fn a_default_acl_restricts_what_is_made() {
        let fresh = Fresh::new();
        let root = fresh.store.root();
        assert!(!root.has_default_acl().unwrap());
        // user::rwx group::r-x other::---, as the kernel takes it (linux/posix_acl_xattr.h).
        let entry = |tag: u16, perm: u16| {
            [&tag.to_le_bytes()[..], &perm.to_le_bytes(), &u32::MAX.to_le_bytes()].concat()
        };
        let acl = [2u32.to_le_bytes().to_vec(), entry(1, 7), entry(4, 5), entry(0x20, 0)].concat();
        let flags = rustix::fs::XattrFlags::empty();
        root.place(os("."))
            .unwrap()
            .set_xattr(os("system.posix_acl_default"), &acl, flags)
            .unwrap();
        assert!(root.has_default_acl().unwrap());
        let (_, file) = root.create_file(os("file"), 0o666, None).unwrap();
        assert_eq!(file.mode, 0o640);
    }

    #[test]
    fn names_move_and_swap() {
        let fresh = Fresh::new();
        let root = fresh.store.root();
        fresh.put("a", "a");
        fresh.put("sub/b", "b");
        let sub = root.open_dir(os("sub")).unwrap();
        let refused = root.rename(os("a"), &sub, os("b"), RenameFlags::NoReplace);
        assert_eq!(errno(refused), Some(libc::EEXIST));
        root.rename(os("a"), &sub, os("b"), RenameFlags::Exchange).unwrap();
        assert_eq!((fresh.content("a"), fresh.content("sub/b")), (b"b".to_vec(), b"a".to_vec()));
        root.link(os("a"), &sub, os("c")).unwrap();
        assert_eq!(root.stat(os("a")).unwrap().nlink, 2);
        root.rename(os("a"), &sub, os("b"), RenameFlags::Plain).unwrap();
        assert_eq!(fresh.content("sub/b"), b"b");
        assert_eq!(errno(root.rmdir(os("sub"))), Some(libc::ENOTEMPTY));
        sub.unlink(os("b")).unwrap();
        sub.unlink(os("c")).unwrap();
        root.rmdir(os("sub")).unwrap();
        assert!(fresh.names(".").is_empty());
    }

    #[test]
    fn attributes_are_set_on_the_entry_itself() {
        let fresh = Fresh::new();
        let root = fresh.store.root();
        fresh.put("file", "a");
        root.symlink(os("link"), b"file", None).unwrap();
        let before = root.stat(os("file")).unwrap();
        let time = Time { sec: 1_000_000_007, nsec: 123_456_789 };
        root.set_times(os("link"), None, Some(SetTime::At(time))).unwrap();
        assert_eq!(root.stat(os("link")).unwrap().mtime, time);
        assert_eq!(root.stat(os("file")).unwrap(), before);
        root.set_times(os("file"), Some(SetTime::At(time)), None).unwrap();
        let after = root.stat(os("file")).unwrap();
        assert_eq!((after.atime, after.mtime), (time, before.mtime));
        root.set_times(os("link"), None, Some(SetTime::Now)).unwrap();
        assert!(root.stat(os("link")).unwrap().mtime > time);

        assert_eq!(errno(root.set_mode(os("link"), 0o600)), Some(libc::EOPNOTSUPP));
        root.set_mode(os("file"), 0o4711).unwrap();
        assert_eq!(root.stat(os("file")).unwrap().mode, 0o4711);
        if let Some(owner) = owner() {
            root.set_owner(os("link"), Some(owner.uid), None).unwrap();
            assert_eq!(root.stat(os("link")).unwrap().uid, owner.uid);
            assert_eq!(root.stat(os("file")).unwrap().uid, before.uid);
        }
    }
}
