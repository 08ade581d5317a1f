//! What the store says about an entry: the fields of `stat(2)` in our own plain types, and the
//! [`Stamp`] by which a change is noticed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, Timespec, makedev};
use rustix::io::Errno;

/// The kind of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file: the only kind that is ever sealed.
    File,
    /// A directory.
    Dir,
    /// A symbolic link; handed to the kernel, never followed.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket's name.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl FileKind {
    /// The kind in the `S_IFMT` bits of a mode; `None` for bits that name no kind. Zero means a
    /// regular file, as in `mknod(2)`.
    pub fn from_mode(mode: u32) -> Option<Self> {
        if mode & libc::S_IFMT == 0 {
            return Some(Self::File);
        }
        Self::from_rustix(FileType::from_raw_mode(mode))
    }

    pub(super) fn from_rustix(kind: FileType) -> Option<Self> {
        Some(match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Dir,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Unknown => return None,
        })
    }

    /// `Ok` for a regular file, else the errno that tells what stands there instead: EISDIR,
    /// ELOOP for a symlink, EINVAL for what is neither file nor directory.
    pub(super) fn require_file(self) -> io::Result<()> {
        Err(match self {
            Self::File => return Ok(()),
            Self::Dir => Errno::ISDIR,
            Self::Symlink => Errno::LOOP,
            Self::Fifo | Self::Socket | Self::CharDevice | Self::BlockDevice => Errno::INVAL,
        }
        .into())
    }
}

/// A point in time, as the filesystem stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Seconds since 1970 UTC; negative before.
    pub sec: i64,
    /// Nanoseconds within the second, 0 to 999 999 999.
    pub nsec: u32,
}

impl Time {
    /// Bytes of [`Time::to_bytes`].
    pub const BYTES: usize = 12;

    /// For writing down; read by [`Time::from_bytes`].
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.sec.to_le_bytes());
        bytes[8..].copy_from_slice(&self.nsec.to_le_bytes());
        bytes
    }

    /// What was written down.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, nsec @ ..] = *bytes;
        Self { sec: i64::from_le_bytes([a, b, c, d, e, f, g, h]), nsec: u32::from_le_bytes(nsec) }
    }

    /// The time of day, by the clock from which the kernel takes the times of files: by a finer one
    /// a write would seem later than the commit that follows it.
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        Self { sec: now.tv_sec, nsec: now.tv_nsec as u32 }
    }

    /// This time, `seconds` later.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self { sec: self.sec.saturating_add(seconds), ..self }
    }

    pub(super) fn timespec(self) -> Timespec {
        Timespec { tv_sec: self.sec, tv_nsec: self.nsec.into() }
    }
}

/// A time to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// The kernel's time of the call (`UTIME_NOW`; allowed to whoever may write).
    Now,
    /// That time (allowed to the owner).
    At(Time),
}

/// User and group of an entry to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id; in a set-group-ID directory the directory's group wins, as with `open(2)`.
    pub gid: u32,
}

/// An entry's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Inode number.
    pub ino: u64,
    /// Device of the filesystem.
    pub dev: u64,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with set-user-ID, set-group-ID and sticky; without the kind.
    pub mode: u32,
    /// Number of names.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The device that a device node stands for.
    pub rdev: u64,
    /// Bytes of content: of the sealed form, not of the view.
    pub size: u64,
    /// Blocks of 512 bytes in use.
    pub blocks: u64,
    /// Preferred size of an I/O, bytes.
    pub blksize: u32,
    /// Last access.
    pub atime: Time,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of content or metadata, by the kernel's clock: nobody can set it.
    pub ctime: Time,
    /// When the inode was made, where that was asked for and tells inodes apart that had one number
    /// after the other.
    pub born: Option<Time>,
}

/// Whether a filesystem says when an inode was made, and never says anything else of the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Births {
    /// It does. It also gives the number of a removed inode to the next, so it is worth asking.
    Told,
    /// It does not, or is not known to.
    Untold,
}

impl Births {
    /// Of the filesystem that `fd` is on.
    pub(super) fn on(fd: impl AsFd) -> Self {
        // A list of those that are known to: an overlay, for one, says another time after a copy up.
        const EXT4: u32 = 0xEF53;
        const XFS: u32 = 0x5846_5342;
        const F2FS: u32 = 0xF2F5_2010;
        let kind = rustix::fs::fstatfs(&fd).map(|about| about.f_type as u32);
        let told = || {
            let asked = rustix::fs::statx(&fd, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME)?;
            Ok::<_, Errno>(asked.stx_mask & StatxFlags::BTIME.bits() != 0)
        };
        match kind {
            Ok(EXT4 | XFS | F2FS) if told() == Ok(true) => Self::Told,
            Ok(_) | Err(_) => Self::Untold,
        }
    }
}

impl Metadata {
    /// The part by which a change is noticed.
    pub fn stamp(&self) -> Stamp {
        Stamp { ino: self.ino, size: self.size, mtime: self.mtime, ctime: self.ctime }
    }

    /// Of an open file or directory.
    pub fn of(fd: impl AsFd) -> io::Result<Self> {
        Ok(Self::from_stat(&rustix::fs::fstat(fd)?))
    }

    /// Of what `name` stands for in `dir`, not following it.
    pub(super) fn under(dir: impl AsFd, name: &OsStr, births: Births) -> io::Result<Self> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        if births == Births::Untold {
            return Ok(Self::from_stat(&rustix::fs::statat(dir, name, flags)?));
        }
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        Ok(Self::from_statx(&rustix::fs::statx(dir, name, flags, wanted)?))
    }

    fn from_statx(stat: &Statx) -> Self {
        let time = |time: StatxTimestamp| Time { sec: time.tv_sec, nsec: time.tv_nsec };
        let mode = u32::from(stat.stx_mode);
        Self {
            ino: stat.stx_ino,
            dev: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            kind: FileKind::from_mode(mode).unwrap_or(FileKind::CharDevice),
            mode: mode & 0o7777,
            nlink: stat.stx_nlink.into(),
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            rdev: makedev(stat.stx_rdev_major, stat.stx_rdev_minor),
            size: stat.stx_size,
            blocks: stat.stx_blocks,
            blksize: stat.stx_blksize,
            atime: time(stat.stx_atime),
            mtime: time(stat.stx_mtime),
            ctime: time(stat.stx_ctime),
            born: Some(time(stat.stx_btime)),
        }
    }

    /// The integer types of `Stat` differ between architectures, hence the casts.
    #[allow(clippy::unnecessary_cast)]
    pub(super) fn from_stat(stat: &rustix::fs::Stat) -> Self {
        let time = |sec: i64, nsec: u64| Time { sec, nsec: nsec as u32 };
        Self {
            ino: stat.st_ino as u64,
            dev: stat.st_dev as u64,
            // The kernel reports no other kind of a thing that can be named.
            kind: FileKind::from_mode(stat.st_mode as u32).unwrap_or(FileKind::CharDevice),
            mode: stat.st_mode as u32 & 0o7777,
            nlink: stat.st_nlink as u64,
            uid: stat.st_uid,
            gid: stat.st_gid,
            rdev: stat.st_rdev as u64,
            size: stat.st_size as u64,
            blocks: stat.st_blocks as u64,
            blksize: stat.st_blksize as u32,
            atime: time(stat.st_atime as i64, stat.st_atime_nsec as u64),
            mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            ctime: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
            born: None,
        }
    }
}

/// Identity and version of a file's content: two equal stamps, neither young, mean equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    ino: u64,
    size: u64,
    mtime: Time,
    ctime: Time,
}

impl Stamp {
    /// Bytes of [`Stamp::to_bytes`].
    pub const BYTES: usize = 16 + 2 * Time::BYTES;

    /// The inode's number.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// For writing down; read by [`Stamp::from_bytes`].
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.ino.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.size.to_le_bytes());
        bytes[16..28].copy_from_slice(&self.mtime.to_bytes());
        bytes[28..].copy_from_slice(&self.ctime.to_bytes());
        bytes
    }

    /// What was written down.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let number = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(number)
        };
        let time = |at: usize| {
            let mut time = [0; Time::BYTES];
            time.copy_from_slice(&bytes[at..at + Time::BYTES]);
            Time::from_bytes(&time)
        };
        Self { ino: number(0), size: number(8), mtime: time(16), ctime: time(28) }
    }

    /// Whether the file changed less than 2 s before `now`. The kernel's clock for file times is
    /// coarse (a tick; whole seconds on some filesystems), so a second change may leave the same
    /// stamp: a young one proves nothing. A time in the future counts as young.
    pub fn is_young(&self, now: Time) -> bool {
        let young = |time: Time| time.plus_seconds(2) > now;
        young(self.mtime) || young(self.ctime)
    }
}

/// Sets the modification time of an open file; its access time stays.
pub(super) fn set_mtime(file: &File, mtime: Time) -> io::Result<()> {
    set_times(file, None, mtime)
}

/// Sets the times of an open file; the access time only where it is given.
pub(super) fn set_times(file: &File, atime: Option<Time>, mtime: Time) -> io::Result<()> {
    let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let times = rustix::fs::Timestamps {
        last_access: atime.map_or(omit, Time::timespec),
        last_modification: mtime.timespec(),
    };
    Ok(rustix::fs::futimens(file, &times)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_young_for_two_seconds_of_either_time() {
        let at = |mtime, ctime| Stamp {
            ino: 1,
            size: 1,
            mtime: Time { sec: mtime, nsec: 5 },
            ctime: Time { sec: ctime, nsec: 5 },
        };
        let now = Time { sec: 100, nsec: 5 };
        assert!(!at(98, 98).is_young(now));
        assert!(at(99, 90).is_young(now));
        assert!(at(90, 99).is_young(now));
        assert!(at(200, 90).is_young(now));
        assert!(at(98, 90).is_young(Time { sec: 100, nsec: 4 }));
    }

    #[test]
    fn a_stamp_reads_back() {
        let time = |sec, nsec| Time { sec, nsec };
        let stamp = Stamp { ino: u64::MAX, size: 7, mtime: time(-1, 5), ctime: time(1 << 40, 9) };
        assert_eq!(Stamp::from_bytes(&stamp.to_bytes()), stamp);
    }

    #[test]
    fn both_ways_of_asking_say_the_same() {
        let place = tempfile::tempdir().unwrap();
        let dir = File::open(place.path()).unwrap();
        for (name, births) in [("a", Births::Told), ("b", Births::Untold)] {
            std::fs::write(place.path().join("file"), name).unwrap();
            let asked = |births| Metadata::under(&dir, OsStr::new("file"), births).unwrap();
            let found = asked(births);
            assert_eq!(found.born.is_some(), births == Births::Told);
            assert_eq!(Metadata { born: None, ..asked(Births::Told) }, asked(Births::Untold));
        }
        let null = File::open("/dev").unwrap();
        let null = |births| Metadata::under(&null, OsStr::new("null"), births).unwrap();
        assert_eq!(Metadata { born: None, ..null(Births::Told) }, null(Births::Untold));
    }

    #[test]
    fn a_mode_names_its_kind() {
        assert_eq!(FileKind::from_mode(0o644), Some(FileKind::File));
        assert_eq!(FileKind::from_mode(libc::S_IFIFO | 0o600), Some(FileKind::Fifo));
        assert_eq!(FileKind::from_mode(libc::S_IFMT), None);
    }
}
