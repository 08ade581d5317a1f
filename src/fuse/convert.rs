//! Between fuser's types and ours.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, OpenAccMode, OpenFlags, Request, TimeOrNow};

use crate::fs::{Attr, Caller, FileKind, NewTime, OpenMode, RenameFlags, Time};

pub(super) fn caller(request: &Request) -> Caller {
    Caller { uid: request.uid(), gid: request.gid(), pid: request.pid() }
}

/// The permission bits of a mode.
pub(super) fn mode_of(mode: u32) -> u32 {
    mode & 0o7777
}

/// The type bits of a mode; `None` for none that `mknod` makes.
pub(super) fn node_type(mode: u32) -> Option<FileKind> {
    match mode & libc::S_IFMT {
        0 | libc::S_IFREG => Some(FileKind::File),
        libc::S_IFIFO => Some(FileKind::Fifo),
        libc::S_IFSOCK => Some(FileKind::Socket),
        libc::S_IFCHR => Some(FileKind::CharDevice),
        libc::S_IFBLK => Some(FileKind::BlockDevice),
        _ => None,
    }
}

pub(super) fn open_mode(flags: OpenFlags) -> OpenMode {
    let write = flags.acc_mode() != OpenAccMode::O_RDONLY;
    let has = |flag| flags.0 & flag != 0;
    OpenMode { write, truncate: has(libc::O_TRUNC), exclusive: has(libc::O_EXCL) }
}

/// `None` for flags that are not offered (WHITEOUT).
pub(super) fn rename_flags(flags: fuser::RenameFlags) -> Option<RenameFlags> {
    match flags {
        fuser::RenameFlags::RENAME_NOREPLACE => Some(RenameFlags::NoReplace),
        fuser::RenameFlags::RENAME_EXCHANGE => Some(RenameFlags::Exchange),
        flags if flags.is_empty() => Some(RenameFlags::Plain),
        _ => None,
    }
}

pub(super) fn new_time(time: TimeOrNow) -> NewTime {
    match time {
        TimeOrNow::Now => NewTime::Now,
        TimeOrNow::SpecificTime(time) => NewTime::At(sent_time(time)),
    }
}

/// The time that the kernel sent. fuser 0.18 has the fraction of a second before 1970 count
/// backwards as well, which is undone here.
fn sent_time(time: SystemTime) -> Time {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Time { sec: since.as_secs() as i64, nsec: since.subsec_nanos() },
        Err(before) => {
            let before = before.duration();
            // The lowest second of all is its own negative.
            let sec = (before.as_secs() as i64).wrapping_neg();
            Time { sec, nsec: before.subsec_nanos() }
        }
    }
}

fn system_time(time: Time) -> SystemTime {
    let whole = Duration::from_secs(time.sec.unsigned_abs());
    let seconds = if time.sec < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
    seconds + Duration::from_nanos(time.nsec.into())
}

pub(super) fn file_type(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::RegularFile,
        FileKind::Dir => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Fifo => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
        FileKind::CharDevice => FileType::CharDevice,
        FileKind::BlockDevice => FileType::BlockDevice,
    }
}

pub(super) fn file_attr(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino.0),
        size: attr.size,
        blocks: attr.blocks,
        atime: system_time(attr.atime),
        mtime: system_time(attr.mtime),
        ctime: system_time(attr.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(attr.kind),
        perm: attr.mode as u16,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: attr.rdev as u32,
        blksize: attr.blksize,
        flags: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_fraction() {
        let sent = |sec: i64, nsec| match sec < 0 {
            // As fuser makes it of the kernel's two numbers.
            true => UNIX_EPOCH - Duration::new(sec.unsigned_abs(), nsec),
            false => UNIX_EPOCH + Duration::new(sec as u64, nsec),
        };
        for (sec, nsec) in [(0, 1), (-1, 999_999_999), (-5, 0), (1_700_000_000, 5), (i64::MIN, 0)] {
            let time = sent_time(sent(sec, nsec));
            assert_eq!(time, Time { sec, nsec });
            let half = UNIX_EPOCH - Duration::from_millis(500);
            assert_eq!(system_time(Time { sec: -1, nsec: 500_000_000 }), half);
        }
    }
}
