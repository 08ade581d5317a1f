//! From results to fuser's replies.

use fuser::{
    Errno, FileHandle, FopenFlags, Generation, INodeNo, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
};

use super::convert::{file_attr, file_type};
use crate::fs::{Entry, Error, Listing, OpenReply, ReadData, Result};

/// A reply that takes a `T` or an error.
pub(super) trait Answer<T>: Send + 'static {
    fn give(self, result: Result<T>);
}

fn errno(error: &Error) -> Errno {
    log::debug!("answered with errno {}: {error}", error.errno());
    Errno::from_i32(error.errno())
}

/// The generation never matters: the mount is not exported over NFS.
const GENERATION: Generation = Generation(0);

fn flags(open: &OpenReply) -> FopenFlags {
    let flag = |on: bool, flag: FopenFlags| if on { flag } else { FopenFlags::empty() };
    flag(open.keep_cache, FopenFlags::FOPEN_KEEP_CACHE)
        | flag(open.no_flush, FopenFlags::FOPEN_NOFLUSH)
        // STREAM: without it a read would go on where the write ended, past the answer's start.
        | flag(open.direct, FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_STREAM)
}

impl Answer<Entry> for ReplyEntry {
    fn give(self, result: Result<Entry>) {
        match result {
            Ok(entry) => self.entry(&entry.ttl, &file_attr(&entry.attr), GENERATION),
            Err(error) => self.error(errno(&error)),
        }
    }
}

impl Answer<Entry> for ReplyAttr {
    fn give(self, result: Result<Entry>) {
        match result {
            Ok(entry) => self.attr(&entry.ttl, &file_attr(&entry.attr)),
            Err(error) => self.error(errno(&error)),
        }
    }
}

impl Answer<OpenReply> for ReplyOpen {
    fn give(self, result: Result<OpenReply>) {
        match result {
            Ok(open) => self.opened(FileHandle(open.handle), flags(&open)),
            Err(error) => self.error(errno(&error)),
        }
    }
}

/// An open directory.
impl Answer<u64> for ReplyOpen {
    fn give(self, result: Result<u64>) {
        match result {
            Ok(handle) => self.opened(FileHandle(handle), FopenFlags::empty()),
            Err(error) => self.error(errno(&error)),
        }
    }
}

impl Answer<(Entry, OpenReply)> for ReplyCreate {
    fn give(self, result: Result<(Entry, OpenReply)>) {
        match result {
            Ok((entry, open)) => self.created(
                &entry.ttl,
                &file_attr(&entry.attr),
                GENERATION,
                FileHandle(open.handle),
                flags(&open),
            ),
            Err(error) => self.error(errno(&error)),
        }
    }
}

impl Answer<ReadData> for ReplyData {
    fn give(self, result: Result<ReadData>) {
        match result {
            Ok(data) => self.data(&data),
            Err(error) => self.error(errno(&error)),
        }
    }
}

impl Answer<Vec<u8>> for ReplyData {
    fn give(self, result: Result<Vec<u8>>) {
        match result {
            Ok(data) => self.data(&data),
            Err(error) => self.error(errno(&error)),
        }
    }
}

impl Answer<u32> for ReplyWrite {
    fn give(self, result: Result<u32>) {
        match result {
            Ok(written) => self.written(written),
            Err(error) => self.error(errno(&error)),
        }
    }
}

impl Answer<()> for ReplyEmpty {
    fn give(self, result: Result<()>) {
        match result {
            Ok(()) => self.ok(),
            Err(error) => self.error(errno(&error)),
        }
    }
}

impl Answer<rustix::fs::StatVfs> for ReplyStatfs {
    fn give(self, result: Result<rustix::fs::StatVfs>) {
        match result {
            Ok(fs) => self.statfs(
                fs.f_blocks,
                fs.f_bfree,
                fs.f_bavail,
                fs.f_files,
                fs.f_ffree,
                fs.f_bsize as u32,
                fs.f_namemax as u32,
                fs.f_frsize as u32,
            ),
            Err(error) => self.error(errno(&error)),
        }
    }
}

/// A reply of the xattr calls: with no room, the size is asked for.
pub(super) struct Xattr {
    pub reply: ReplyXattr,
    pub room: u32,
}

impl Answer<Vec<u8>> for Xattr {
    fn give(self, result: Result<Vec<u8>>) {
        match result {
            Ok(value) if self.room == 0 => {
                self.reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX));
            }
            Ok(value) if value.len() > self.room as usize => self.reply.error(Errno::ERANGE),
            Ok(value) => self.reply.data(&value),
            Err(error) => self.reply.error(errno(&error)),
        }
    }
}

/// A reply that takes a listing from a position on.
pub(super) struct DirectoryFrom {
    pub reply: ReplyDirectory,
    pub offset: u64,
}

impl Answer<Listing> for DirectoryFrom {
    fn give(mut self, result: Result<Listing>) {
        let listing = match result {
            Ok(listing) => listing,
            Err(error) => return self.reply.error(errno(&error)),
        };
        let from = usize::try_from(self.offset).unwrap_or(usize::MAX);
        for (entry, next) in listing.iter().zip(1u64..).skip(from) {
            if self.reply.add(INodeNo(entry.ino.0), next, file_type(entry.kind), &entry.name) {
                break;
            }
        }
        self.reply.ok();
    }
}
