//! Memory that holds secrets: kept out of swap and out of core dumps.
//!
//! Nothing here is undone while the process lives: `munlock` works on whole pages, and the page of
//! one dropped secret may hold another.

#![allow(unsafe_code)]

use std::io;

use rustix::mm::MlockAllFlags;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::CapabilitySet;

/// Locks all memory of the process, present and future, as its pages are first touched (a page
/// never touched holds no secret, and an untouched thread stack costs nothing).
///
/// Fails with EPERM, and locks nothing, when neither CAP_IPC_LOCK nor an unlimited
/// RLIMIT_MEMLOCK is to be had: under a limit, `MCL_FUTURE` turns some later allocation into an
/// abort.
pub fn lock_all() -> io::Result<()> {
    if !may_lock_without_limit() {
        return Err(rustix::io::Errno::PERM.into());
    }
    Ok(rustix::mm::mlockall(
        MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT,
    )?)
}

fn may_lock_without_limit() -> bool {
    let unlimited = Rlimit { current: None, maximum: None };
    rustix::process::getrlimit(Resource::Memlock).current.is_none()
        || rustix::process::setrlimit(Resource::Memlock, unlimited).is_ok()
        || rustix::thread::capabilities(None)
            .is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}

/// Locks the pages that `bytes` stands on. Fails where RLIMIT_MEMLOCK is used up.
pub fn lock(bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    // SAFETY: the range is a live allocation for the length of the call, and locking changes
    // neither its contents nor its mapping.
    Ok(unsafe { rustix::mm::mlock(bytes.as_ptr().cast_mut().cast(), bytes.len()) }?)
}

/// No core dump, and no `ptrace` by other processes of the same user. Makes `/proc/self` files
/// root's; an `execve` undoes the first half, the limit stays.
pub fn forbid_dumps() -> io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kilobytes after `name:` in `/proc/self/status`.
    fn status(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn a_locked_buffer_counts_as_locked_memory() {
        let buffer = vec![1u8; 64 * 1024];
        match lock(&buffer) {
            Ok(()) => assert!(status("VmLck:") >= 64, "{} kB", status("VmLck:")),
            Err(error) => assert!(
                matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EPERM | libc::EAGAIN)),
                "{error}"
            ),
        }
        lock(&[]).unwrap();
    }

    /// In a forked child, so that the test process keeps its own limits.
    #[test]
    fn after_forbid_dumps_and_lock_all_nothing_leaves_by_core_or_swap() {
        // SAFETY: the child makes system calls and allocates (glibc keeps its allocator usable
        // across fork), then leaves by `_exit`.
        match unsafe { libc::fork() } {
            -1 => panic!("{}", io::Error::last_os_error()),
            0 => {
                let locked = lock_all();
                let fine = forbid_dumps().is_ok()
                    && rustix::process::dumpable_behavior() == Ok(DumpableBehavior::NotDumpable)
                    && rustix::process::getrlimit(Resource::Core).maximum == Some(0)
                    && match locked {
                        Ok(()) => {
                            let later = vec![7u8; 1 << 20];
                            std::hint::black_box(&later);
                            status("VmLck:") >= 1024
                        }
                        Err(error) => error.raw_os_error() == Some(libc::EPERM),
                    };
                // SAFETY: ends the child at once; nothing of the test harness runs twice.
                unsafe { libc::_exit(i32::from(!fine)) }
            }
            child => {
                let mut status = 0;
                // SAFETY: `child` is our child, `status` a live integer.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0, "the child's checks failed");
            }
        }
    }
}
