//! Coming after another daemon: finding the mount it left, getting at the store beneath, and going on
//! with its connections, which the service manager kept.
//!
//! Must stay true: a mount is only taken over with the lock of its store in hand, which a living
//! daemon does not give up; and no question is put to it before somebody answers.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Timespec};
use rustix::io::Errno;
use rustix::time::ClockId;

use super::super::Result;
use super::super::error::Failure;
use super::super::open;
use crate::fuse::attend::attend;
use crate::fuse::mount::{Host, MountError, Mounted, Predecessor};
use crate::store::{Store, StoreLock};
use crate::systemd::{self, Kept};

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
        Err(error @ Errno::NOTCONN) => {
            let path = path.to_owned();
            Err(MountError::MountPoint { path, source: error.into() }.into())
        }
        _ => Ok(()),
    }
}

fn stands_already(mountpoint: &Path) -> Failure {
    let what = "a confseal mount stands there already";
    Failure::Usage(format!("{}: {what}", mountpoint.display()))
}

/// Opens the store that `old` shows and may cover, and takes its lock: its daemon is gone.
pub(super) fn take_over(
    host: &Host,
    old: &Predecessor,
    store: &Path,
    mountpoint: &Path,
) -> Result<(Store, StoreLock)> {
    if !host.is_apart() {
        must_be_alive(mountpoint)?;
        return Err(stands_already(mountpoint));
    }
    host.uncover(old).map_err(Failure::io(mountpoint))?;
    let store = open::open_store(store)?;
    match open::lock(&store) {
        Ok(lock) => {
            log::info!("{}: the mount of an earlier daemon is taken over", mountpoint.display());
            Ok((store, lock))
        }
        Err(Failure::Locked { .. }) => Err(stands_already(mountpoint)),
        Err(other) => Err(other),
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
