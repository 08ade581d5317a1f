//! Coming after another daemon: finding the mount it left, getting at the store beneath, and going on
//! with its connections, which the service manager kept.
//!
//! Must stay true: a mount is only taken over with the lock of its store in hand, which a living
//! daemon does not give up; and no question is put to it before somebody answers.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Timespec};
use rustix::io::Errno;
use rustix::time::ClockId;

use super::super::Result;
use super::super::error::Failure;
use super::super::open;
use crate::fuse::attend::{attend, release};
use crate::fuse::mount::{Host, MountError, Mounted, Predecessor};
use crate::store::{LockError, Store, StoreLock};
use crate::systemd::{self, Kept};

/// How long the end of a daemon may take that systemd takes for ended.
const ITS_END: Duration = Duration::from_secs(5);

/// How often is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// What the kept connections are named by.
const NAME: &str = "connection-";

/// The mount that a daemon of `store` left at `mountpoint`, if one stands there; whether the daemon
/// lives is not known yet. Both paths are without links. Fails when something else is in the way.
pub(super) fn predecessor(store: &Path, mountpoint: &Path) -> Result<Option<Predecessor>> {
    if crate::sys::mount::may_mount() {
        let found = Predecessor::find(mountpoint).map_err(Failure::io(mountpoint))?;
        if let Some(old) = found.filter(|old| old.source() == OsStr::new(&source_of(store))) {
            return Ok(Some(old));
        }
    }
    must_be_alive(mountpoint)?;
    match open::is_mount(mountpoint) {
        true => Err(stands_already(mountpoint)),
        false => Ok(None),
    }
}

/// What a mount of `store` says it was made of.
pub(super) fn source_of(store: &Path) -> String {
    store.display().to_string()
}

/// A dead mount is told apart: the kernel may go on answering for its root out of its cache, but not
/// this question.
pub(super) fn must_be_alive(path: &Path) -> Result<()> {
    match rustix::fs::statfs(path) {
        // The second when the daemon dies just now.
        Err(Errno::NOTCONN | Errno::CONNABORTED) => {
            let (path, source) = (path.to_owned(), Errno::NOTCONN.into());
            Err(MountError::MountPoint { path, source }.into())
        }
        _ => Ok(()),
    }
}

fn stands_already(mountpoint: &Path) -> Failure {
    let what = "a confseal mount stands there already";
    Failure::Usage(format!("{}: {what}", mountpoint.display()))
}

/// Opens the store that `old` shows and may cover, and takes its lock: its daemon is gone. If its
/// connection was kept, it is known to have been told to go, and waited for.
pub(super) fn take_over(
    (host, old): (&Host, &Predecessor),
    kept: &[Kept],
    store: &Path,
    mountpoint: &Path,
) -> Result<(Store, StoreLock)> {
    if !host.is_apart() {
        must_be_alive(mountpoint)?;
        return Err(stands_already(mountpoint));
    }
    host.uncover(old).map_err(Failure::io(mountpoint))?;
    let store = open::open_store(store)?;
    match lock(&store, kept) {
        Ok(lock) => {
            log::info!("{}: the mount of an earlier daemon is taken over", mountpoint.display());
            Ok((store, lock))
        }
        Err(Failure::Locked { .. }) => Err(stands_already(mountpoint)),
        Err(other) => Err(other),
    }
}

/// Takes the lock. An earlier daemon that has been killed holds it until its last thread has ended,
/// which may wait for an answer that it owes itself.
fn lock(store: &Store, kept: &[Kept]) -> Result<StoreLock> {
    let start = Instant::now();
    loop {
        match open::lock(store) {
            Err(Failure::Locked { error: LockError::Held { pid }, .. })
                if !kept.is_empty() && start.elapsed() < ITS_END =>
            {
                for Kept { name, fd } in kept {
                    if let Err(error) = release(fd, pid.unwrap_or(0)) {
                        log::debug!("{name}: {error}");
                    }
                }
                std::thread::sleep(LOOK);
            }
            other => return other,
        }
    }
}

/// The connections of earlier daemons of this service.
pub(super) fn kept_connections() -> Vec<Kept> {
    let mut kept = systemd::kept();
    kept.retain(|kept| kept.name.starts_with(NAME) && is_fuse_device(&kept.fd));
    kept
}

fn is_fuse_device(fd: &OwnedFd) -> bool {
    /// Of /dev/fuse, on every Linux.
    const FUSE: (u32, u32) = (10, 229);
    rustix::fs::fstat(fd).is_ok_and(|stat| {
        let number = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && number == FUSE
    })
}

/// Sees to the programs that wait for an earlier daemon. Its mount is out of sight.
pub(super) fn attend_all(kept: Vec<Kept>) {
    for Kept { name, fd } in kept {
        log::debug!("{name} of an earlier daemon is attended");
        let ended = {
            let name = name.clone();
            move || systemd::forget(&name)
        };
        if let Err(error) = attend(fd, ended) {
            log::error!("programs that wait for an earlier daemon get an error: {error}");
            systemd::forget(&name);
        }
    }
}

/// Has the service manager keep the connection, so that programs wait for the next daemon should this
/// one end. Returns whether there is a service manager.
pub(super) fn keep_connection(mounted: &Mounted) -> bool {
    // No other connection was ever named so, not even one that is still kept.
    let Timespec { tv_sec, tv_nsec } = rustix::time::clock_gettime(ClockId::Boottime);
    let name = format!("{NAME}{tv_sec}.{tv_nsec:09}");
    let kept = mounted.fuse_fd().and_then(|device| systemd::keep(device, &name));
    kept.unwrap_or_else(|error| {
        log::warn!("should this daemon end, programs get an error instead of waiting: {error}");
        false
    })
}
