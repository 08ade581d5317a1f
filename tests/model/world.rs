//! One of the two directories that a case is played in, with the descriptors that stay open there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Gid, Mode, OFlags, RenameFlags, SeekFrom, Timespec,
    Timestamps, UTIME_NOW, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno;

use crate::helper::Helper;
use crate::step::{At, Case, Content, EPOCH, How, SLOTS, Step, When};

/// What a program learns from a step.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Done,
    Number(u64),
    Bytes(Vec<u8>),
    Names(BTreeSet<OsString>),
}

pub(crate) type Outcome = Result<Answer, Errno>;

pub(crate) struct World {
    pub root: PathBuf,
    pub slots: Vec<Option<OwnedFd>>,
    /// Under which name each was opened.
    opened: Vec<At>,
    helper: Helper,
}

impl World {
    pub(crate) fn new(root: PathBuf) -> Self {
        let slots = (0..SLOTS).map(|_| None).collect();
        Self { root, slots, opened: vec![At(0); SLOTS.into()], helper: Helper::new() }
    }

    /// Takes `step` of `case` here.
    pub(crate) fn take(&mut self, case: &Case, step: &Step) -> Outcome {
        match step {
            Step::Open { .. } | Step::Close { .. } | Step::Dup { .. } => {
                self.descriptor(case, step)
            }
            Step::Read { .. }
            | Step::ReadAt { .. }
            | Step::Write { .. }
            | Step::WriteAt { .. }
            | Step::Seek { .. }
            | Step::SetLen { .. }
            | Step::Allocate { .. }
            | Step::Sync { .. }
            | Step::ModeOfOpen { .. }
            | Step::TimesOfOpen { .. }
            | Step::CopyRange { .. } => self.open_file(case, step),
            Step::Save { .. }
            | Step::Append { .. }
            | Step::SaveByRename { .. }
            | Step::ReadAll { .. }
            | Step::MapWrite { .. }
            | Step::Truncate { .. } => self.whole_file(case, step),
            Step::Rename { .. }
            | Step::Link { .. }
            | Step::Symlink { .. }
            | Step::ReadLink { .. }
            | Step::Unlink { .. }
            | Step::MakeDir { .. }
            | Step::RemoveDir { .. }
            | Step::MakeFifo { .. } => self.name(case, step),
            Step::Mode { .. }
            | Step::Owner { .. }
            | Step::Times { .. }
            | Step::SetAttribute { .. }
            | Step::GetAttribute { .. }
            | Step::ListAttributes { .. }
            | Step::RemoveAttribute { .. }
            | Step::List { .. } => self.attribute(case, step),
            // What these compare is looked at by the player.
            Step::Look | Step::LookInto => Ok(Answer::Done),
        }
    }

    fn path(&self, case: &Case, at: At) -> PathBuf {
        self.root.join(case.path(at))
    }

    fn slot(&self, slot: u8) -> Result<&OwnedFd, Errno> {
        self.slots[usize::from(slot)].as_ref().ok_or(Errno::BADF)
    }

    fn content(&self, case: &Case, slot: u8, content: &Content) -> Vec<u8> {
        case.bytes(content, self.opened[usize::from(slot)])
    }

    fn descriptor(&mut self, case: &Case, step: &Step) -> Outcome {
        match *step {
            Step::Open { slot, at, flags, mode } => {
                // A pipe would wait for its other end.
                let flags =
                    OFlags::from_bits_retain(flags as u32) | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let fd = rustix::fs::open(self.path(case, at), flags, Mode::from_raw_mode(mode))?;
                self.slots[usize::from(slot)] = Some(fd);
                self.opened[usize::from(slot)] = at;
            }
            Step::Close { slot } => self.slots[usize::from(slot)] = None,
            Step::Dup { slot, to } => {
                let fd = rustix::io::fcntl_dupfd_cloexec(self.slot(slot)?, 0)?;
                self.opened[usize::from(to)] = self.opened[usize::from(slot)];
                self.slots[usize::from(to)] = Some(fd);
            }
            _ => unreachable!("no descriptor: {step:?}"),
        }
        Ok(Answer::Done)
    }

    fn open_file(&mut self, case: &Case, step: &Step) -> Outcome {
        match step {
            Step::Read { slot, len } => {
                let mut bytes = vec![0; usize::from(*len)];
                let read = rustix::io::read(self.slot(*slot)?, &mut bytes[..])?;
                bytes.truncate(read);
                return Ok(Answer::Bytes(bytes));
            }
            Step::ReadAt { slot, offset, len } => {
                let mut bytes = vec![0; usize::from(*len)];
                let read = rustix::io::pread(self.slot(*slot)?, &mut bytes[..], (*offset).into())?;
                bytes.truncate(read);
                return Ok(Answer::Bytes(bytes));
            }
            Step::Write { slot, content } => {
                let bytes = self.content(case, *slot, content);
                return number(rustix::io::write(self.slot(*slot)?, &bytes)?);
            }
            Step::WriteAt { slot, offset, content } => {
                let bytes = self.content(case, *slot, content);
                return number(rustix::io::pwrite(self.slot(*slot)?, &bytes, (*offset).into())?);
            }
            Step::Seek { slot, whence, offset } => {
                return self.seek(*slot, *whence, (*offset).into());
            }
            Step::SetLen { slot, len } => rustix::fs::ftruncate(self.slot(*slot)?, (*len).into())?,
            Step::Allocate { slot, mode, offset, len } => {
                let keep = FallocateFlags::KEEP_SIZE;
                let mode = match mode {
                    0 => FallocateFlags::empty(),
                    1 => keep,
                    2 => FallocateFlags::PUNCH_HOLE | keep,
                    _ => FallocateFlags::ZERO_RANGE,
                };
                let (offset, len) = ((*offset).into(), (*len).into());
                rustix::fs::fallocate(self.slot(*slot)?, mode, offset, len)?;
            }
            Step::Sync { slot, data_only: true } => rustix::fs::fdatasync(self.slot(*slot)?)?,
            Step::Sync { slot, data_only: false } => rustix::fs::fsync(self.slot(*slot)?)?,
            Step::ModeOfOpen { slot, mode } => {
                rustix::fs::fchmod(self.slot(*slot)?, Mode::from_raw_mode(*mode))?;
            }
            Step::TimesOfOpen { slot, accessed, modified } => {
                rustix::fs::futimens(self.slot(*slot)?, &times(*accessed, *modified))?;
            }
            Step::CopyRange { from, to, len } => {
                let (from, to) = (self.slot(*from)?, self.slot(*to)?);
                return number(rustix::fs::copy_file_range(from, None, to, None, (*len).into())?);
            }
            _ => unreachable!("no open file: {step:?}"),
        }
        Ok(Answer::Done)
    }

    /// Where holes are is a file system's own affair. What counts: it is not behind the end, and a
    /// hole is not found where there is data.
    fn seek(&self, slot: u8, whence: u8, offset: u64) -> Outcome {
        let fd = self.slot(slot)?;
        let stat = rustix::fs::fstat(fd)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            // Its positions are cookies.
            return Ok(Answer::Done);
        }
        let size = stat.st_size as u64;
        let (pos, loose) = match whence {
            0 => (SeekFrom::Start(offset), false),
            1 => (SeekFrom::Current(offset as i64 - 200), false),
            2 => (SeekFrom::End(offset as i64 - 200), false),
            3 => (SeekFrom::Data(offset), true),
            _ => (SeekFrom::Hole(offset), true),
        };
        match rustix::fs::seek(fd, pos) {
            // All of what is behind may be a hole.
            Err(Errno::NXIO) if loose && offset < size => {}
            Ok(found) if loose => assert!((offset..=size).contains(&found), "{found} of {size}"),
            other => return other.map(Answer::Number),
        }
        // The position is the same on both sides again.
        rustix::fs::seek(fd, SeekFrom::Start(offset)).map(Answer::Number)
    }

    fn whole_file(&mut self, case: &Case, step: &Step) -> Outcome {
        let write = |path: &Path, flags: OFlags, bytes: &[u8], sync: bool| {
            let flags = flags | OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))?;
            rustix::io::write(&file, bytes)?;
            if sync { rustix::fs::fsync(&file) } else { Ok(()) }
        };
        match step {
            Step::Save { at, content } => {
                let flags = OFlags::CREATE | OFlags::TRUNC;
                write(&self.path(case, *at), flags, &case.bytes(content, *at), false)?;
            }
            Step::Append { at, content } => {
                write(&self.path(case, *at), OFlags::APPEND, &case.bytes(content, *at), false)?;
            }
            Step::SaveByRename { at, suffix, content } => {
                let path = self.path(case, *at);
                let beside = path.with_file_name(beside(&path, suffix));
                let flags = OFlags::CREATE | OFlags::EXCL;
                write(&beside, flags, &case.bytes(content, *at), true)?;
                if let Err(error) = rustix::fs::rename(&beside, &path) {
                    rustix::fs::unlink(&beside)?;
                    return Err(error);
                }
            }
            Step::ReadAll { at } => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = rustix::fs::open(self.path(case, *at), flags, Mode::empty())?;
                return read_all(&file).map(Answer::Bytes);
            }
            Step::MapWrite { at, offset, len, flush } => {
                let (path, bytes) = (self.path(case, *at), vec![b'm'; usize::from(*len)]);
                errno(self.helper.map_write(&path, usize::from(*offset), &bytes, *flush))?;
            }
            Step::Truncate { at, len } => {
                let path = self.path(case, *at);
                errno(self.helper.truncate(&path, usize::from(*len)))?;
            }
            _ => unreachable!("no whole file: {step:?}"),
        }
        Ok(Answer::Done)
    }

    fn name(&mut self, case: &Case, step: &Step) -> Outcome {
        match *step {
            Step::Rename { from, to, how } => {
                let flags = match how {
                    How::Plain => RenameFlags::empty(),
                    How::NoReplace => RenameFlags::NOREPLACE,
                    How::Exchange => RenameFlags::EXCHANGE,
                };
                let (from, to) = (self.path(case, from), self.path(case, to));
                rustix::fs::renameat_with(CWD, from, CWD, to, flags)?;
            }
            Step::Link { from, to } => {
                let (from, to) = (self.path(case, from), self.path(case, to));
                rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?;
            }
            Step::Symlink { to, at } => {
                rustix::fs::symlinkat(case.path(to), CWD, self.path(case, at))?;
            }
            Step::ReadLink { at } => {
                let target = rustix::fs::readlinkat(CWD, self.path(case, at), Vec::new())?;
                return Ok(Answer::Bytes(target.into_bytes()));
            }
            Step::Unlink { at } => rustix::fs::unlink(self.path(case, at))?,
            Step::MakeDir { at, mode } => {
                rustix::fs::mkdir(self.path(case, at), Mode::from_raw_mode(mode))?;
            }
            Step::RemoveDir { at } => rustix::fs::rmdir(self.path(case, at))?,
            Step::MakeFifo { at, mode } => {
                let mode = Mode::from_raw_mode(mode);
                rustix::fs::mknodat(CWD, self.path(case, at), FileType::Fifo, mode, 0)?;
            }
            _ => unreachable!("no name: {step:?}"),
        }
        Ok(Answer::Done)
    }

    fn attribute(&mut self, case: &Case, step: &Step) -> Outcome {
        let name = |name: u8| ["user.a", "user.shop.b"][usize::from(name)];
        match *step {
            Step::Mode { at, mode } => {
                let mode = Mode::from_raw_mode(mode);
                rustix::fs::chmodat(CWD, self.path(case, at), mode, AtFlags::empty())?;
            }
            Step::Owner { at, uid, gid } => {
                let uid = uid.map(|uid| Uid::from_raw(uid.into()));
                let gid = gid.map(|gid| Gid::from_raw(gid.into()));
                let path = self.path(case, at);
                rustix::fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            Step::Times { at, follow, accessed, modified } => {
                let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
                let times = times(accessed, modified);
                rustix::fs::utimensat(CWD, self.path(case, at), &times, flags)?;
            }
            Step::SetAttribute { at, name: attribute, value, flags } => {
                let flags = XattrFlags::from_bits_retain(flags.into());
                let value = vec![value; usize::from(value)];
                rustix::fs::lsetxattr(self.path(case, at), name(attribute), &value, flags)?;
            }
            Step::GetAttribute { at, name: attribute } => {
                let mut value = vec![0; 300];
                let path = self.path(case, at);
                let len = rustix::fs::lgetxattr(path, name(attribute), &mut value[..])?;
                value.truncate(len);
                return Ok(Answer::Bytes(value));
            }
            Step::ListAttributes { at } => {
                return attributes(&self.path(case, at)).map(Answer::Names);
            }
            Step::RemoveAttribute { at, name: attribute } => {
                rustix::fs::lremovexattr(self.path(case, at), name(attribute))?;
            }
            Step::List { at } => {
                let entries = fs::read_dir(self.path(case, at)).map_err(raw)?;
                let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
                return Ok(Answer::Names(names.collect::<Result<_, _>>().map_err(raw)?));
            }
            _ => unreachable!("no attribute: {step:?}"),
        }
        Ok(Answer::Done)
    }
}

/// The names of a file's extended attributes.
pub(crate) fn attributes(path: &Path) -> Result<BTreeSet<OsString>, Errno> {
    let mut names = vec![0; 1024];
    let len = rustix::fs::llistxattr(path, &mut names[..])?;
    let names = names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| std::ffi::OsStr::from_bytes(name).to_owned()).collect())
}

/// Everything from the beginning, without moving the position.
pub(crate) fn read_all(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 5000];
    loop {
        match rustix::io::pread(file, &mut buffer, bytes.len() as u64)? {
            0 => return Ok(bytes),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// The name that a program which saves by renaming gives its new file.
fn beside(path: &Path, suffix: &str) -> OsString {
    let mut name = path.file_name().expect("a name").to_owned();
    name.push(suffix);
    name
}

fn times(accessed: When, modified: When) -> Timestamps {
    let time = |when| match when {
        When::Omit => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        When::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        When::At(seconds) => Timespec { tv_sec: EPOCH + i64::from(seconds), tv_nsec: 123_456_789 },
    };
    Timestamps { last_access: time(accessed), last_modification: time(modified) }
}

fn number(number: usize) -> Outcome {
    Ok(Answer::Number(number as u64))
}

fn errno<T>(result: Result<T, i32>) -> Result<T, Errno> {
    result.map_err(Errno::from_raw_os_error)
}

fn raw(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).expect("an errno of the system")
}
