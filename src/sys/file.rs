//! Files: calls that `rustix` does not wrap, and how many may be open.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of descriptors that this process may have open as far as it is allowed to:
/// the usual soft limit of 1024 is there for programs that call `select`.
pub fn allow_many_open() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// How many descriptors this process may have open; no more than it can have use for.
pub fn most_open() -> usize {
    const PLENTY: u64 = 1 << 16;
    getrlimit(Resource::Nofile).current.map_or(PLENTY, |most| most.min(PLENTY)) as usize
}

/// Writes all dirty pages of `file` to disk and waits for them (`sync_file_range(2)` with all of
/// its flags); unlike fsync it neither commits a journal nor flushes the disk's own cache.
///
/// What is done to names after it cannot reach the disk before the data: not even on a filesystem
/// that chooses blocks late, or that marks them as unwritten until the data is there (ext4, xfs).
/// To start the writing is not enough for those: a journal that is committed meanwhile has the
/// file's size, and zeros for its data. A filesystem that has no such call (ENOSYS, EOPNOTSUPP,
/// EINVAL, ESPIPE) counts as done; EIO, ENOSPC and EDQUOT are reported.
pub fn write_out(file: &File) -> io::Result<()> {
    const ALL: libc::c_uint = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: the call takes numbers only; the descriptor is open as long as `file` is borrowed.
    let answer = unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, ALL) };
    if answer == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::EINVAL | libc::ESPIPE) => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_out_and_that_is_no_error_where_there_is_no_disk() {
        write_out(&tempfile::tempfile().unwrap()).unwrap();
        write_out(&File::open("/dev/null").unwrap()).unwrap();
    }

    #[test]
    fn a_real_failure_is_reported() {
        // An O_PATH descriptor has no data to write: EBADF, not one of the harmless answers.
        let path =
            rustix::fs::open("/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let error = write_out(&File::from(path)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}
