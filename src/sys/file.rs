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

/// Starts writing all dirty pages of `file` to disk and does not wait for them
/// (`sync_file_range(2)`, `SYNC_FILE_RANGE_WRITE`).
///
/// It makes a filesystem with delayed allocation choose the blocks now, so that a rename that
/// follows cannot reach the disk before the data it names. A filesystem that has no such call
/// (ENOSYS, EOPNOTSUPP, EINVAL, ESPIPE) counts as done; EIO, ENOSPC and EDQUOT are reported.
pub fn start_writeout(file: &File) -> io::Result<()> {
    // SAFETY: the call takes numbers only; the descriptor is open as long as `file` is borrowed.
    let answer =
        unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
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
    fn writeout_starts_on_a_file_and_is_no_error_where_there_is_none() {
        start_writeout(&tempfile::tempfile().unwrap()).unwrap();
        start_writeout(&File::open("/dev/null").unwrap()).unwrap();
    }

    #[test]
    fn a_real_failure_is_reported() {
        // An O_PATH descriptor has no data to write: EBADF, not one of the harmless answers.
        let path =
            rustix::fs::open("/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let error = start_writeout(&File::from(path)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}
