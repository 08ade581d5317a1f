//! Mounting through the kernel's mount API, with CAP_SYS_ADMIN.
//!
//! The order is the point: the file system is created, and INIT under way, while its mount is still
//! attached nowhere.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::{MountError, MountOptions, SUBTYPE};
use crate::sys::mount::{Attach, MountId, attach, canonical, mount_of, reach};

/// The device by which the kernel talks to its file systems.
pub(super) const DEVICE: &str = "/dev/fuse";

/// A directory to mount on, held open as a place.
#[derive(Debug)]
pub(super) struct MountPoint {
    path: PathBuf,
    directory: OwnedFd,
}

impl MountPoint {
    /// Finds it in the namespace of the calling thread.
    pub(super) fn find(path: &Path) -> Result<Self, MountError> {
        canonical(path)
            .and_then(|path| Ok(Self { directory: reach(&path)?, path }))
            .map_err(|source| MountError::MountPoint { path: path.to_owned(), source })
    }
}

/// A finished mount that is attached nowhere yet. Dropping it destroys it.
#[derive(Debug)]
pub(super) struct Unattached {
    tree: OwnedFd,
    point: MountPoint,
}

impl Unattached {
    /// Creates the file system; the kernel sends INIT on the device descriptor that is returned.
    pub(super) fn create(
        point: MountPoint,
        options: &MountOptions,
    ) -> Result<(OwnedFd, Self), MountError> {
        let device = File::options()
            .read(true)
            .write(true)
            .open(DEVICE)
            .map_err(|source| MountError::Device { source })?;
        let device = OwnedFd::from(device);
        let tree = create(&device, &point, options)?;
        Ok((device, Self { tree, point }))
    }

    /// Makes it visible, in the namespace of the calling thread, which is that of the mount point.
    pub(super) fn attach(self, how: Attach) -> Result<MountId, (Self, io::Error)> {
        let attached = mount_of(&self.tree).and_then(|mount| {
            attach(&self.tree, &self.point.directory, how)?;
            Ok(mount)
        });
        attached.map_err(|error| (self, error))
    }

    /// The mount point.
    pub(super) fn point(&self) -> &Path {
        &self.point.path
    }
}

fn create(
    device: &OwnedFd,
    point: &MountPoint,
    options: &MountOptions,
) -> Result<OwnedFd, MountError> {
    let context = rustix::mount::fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|errno| MountError::Refused { step: "fsopen", source: errno.into(), log: None })?;
    let refused = |step| {
        let context = context.as_fd();
        move |errno: rustix::io::Errno| MountError::Refused {
            step,
            source: errno.into(),
            log: last_words(context),
        }
    };
    let set = |key: &'static str, value: &str| {
        rustix::mount::fsconfig_set_string(&context, key, value).map_err(refused(key))
    };
    let flag =
        |key: &'static str| rustix::mount::fsconfig_set_flag(&context, key).map_err(refused(key));
    // What the kernel knows is enough: a mount that is succeeded answers no question.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(&point.directory, "", flags, StatxFlags::MODE);
    let mode = stat.map_err(refused("statx"))?.stx_mode;
    set("source", &options.source)?;
    set("subtype", SUBTYPE)?;
    // As text, which every kernel takes: older ones know it as a number, not as a descriptor.
    set("fd", &device.as_raw_fd().to_string())?;
    set("rootmode", &format!("{mode:o}"))?;
    set("user_id", &rustix::process::geteuid().to_string())?;
    set("group_id", &rustix::process::getegid().to_string())?;
    flag("default_permissions")?;
    if options.allow_other {
        flag("allow_other")?;
    }
    if let Some(label) = &options.context {
        set("context", label)?;
    }
    rustix::mount::fsconfig_create(&context).map_err(refused("create"))?;
    // Of the mount, not of the file system: a copy of the mount may differ.
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, options.read_only);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, options.no_exec);
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(refused("fsmount"))
}

/// What the kernel wrote about the last failure: one message for each read, led by its severity.
fn last_words(context: BorrowedFd<'_>) -> Option<String> {
    let mut words = None;
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = rustix::io::read(context, &mut buffer) {
        let line = String::from_utf8_lossy(&buffer[..length]);
        let line = line.trim_end();
        words = Some(line.split_once(' ').map_or(line, |(_, text)| text).to_owned());
    }
    words
}
