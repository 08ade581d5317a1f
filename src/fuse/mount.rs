//! Mounting a file system, and taking the mount away again.
//!
//! What must stay true:
//! - where the kernel lets us, nobody sees a mount that is not ready: INIT is answered before the
//!   mount is attached;
//! - no descriptor of the mount is kept, so a plain `umount` works;
//! - inside the daemon the mount point shows what lies beneath, so no path can lead it into waiting
//!   for itself;
//! - only our own mount is ever taken away, whatever else lies at the path by then;
//! - where a mount of ours stood before, what lies beneath is seen at no instant.

mod direct;
mod fusermount;
mod host;
mod predecessor;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use fuser::{Filesystem, Notifier};
use rustix::fs::{Mode, OFlags};

use self::host::Pending;
use self::predecessor::Succession;
use super::session::Session;
use crate::sys::mount::MountId;

pub use self::host::Host;
pub use self::predecessor::Predecessor;

/// The subtype.
pub const SUBTYPE: &str = "confseal";

/// The type, as `/proc/mounts` shows it.
pub const KIND: &str = "fuse.confseal";

/// How to mount.
#[derive(Clone, Debug)]
pub struct MountOptions {
    /// What `/proc/mounts` shows as the source: the store.
    pub source: String,
    /// Other users may enter; the kernel checks modes and owners. Without it only the user of the
    /// daemon may, not even root.
    pub allow_other: bool,
    /// The kernel refuses every write with EROFS, to the control room too, which takes commands
    /// through a copy of the mount only: see [`writable_copy`](crate::sys::mount::writable_copy).
    pub read_only: bool,
    /// The kernel starts no program out of the mount.
    pub no_exec: bool,
    /// SELinux label of every file, the mount option `context=`.
    pub context: Option<String>,
    /// Threads that answer requests, at least one.
    pub threads: usize,
}

/// Why mounting failed. Nothing is mounted then.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The mount point is no directory that can be reached, or not given as an absolute path.
    #[error("cannot use {path} as a mount point: {source}")]
    MountPoint {
        /// The mount point as given.
        path: PathBuf,
        /// What reaching it brought.
        source: io::Error,
    },
    /// `/dev/fuse` cannot be opened.
    #[error("cannot open {}: {source}", direct::DEVICE)]
    Device {
        /// What opening it brought.
        source: io::Error,
    },
    /// The kernel refused to create the file system.
    #[error("the kernel refused the mount, at {step}: {source}{}", .log.as_deref().map(|log| format!(" ({log})")).unwrap_or_default())]
    Refused {
        /// The system call or mount option that failed.
        step: &'static str,
        /// Its error.
        source: io::Error,
        /// What the kernel said in words.
        log: Option<String>,
    },
    /// The session could not begin: the file system refused, or the kernel is too old.
    #[error("cannot begin to serve: {source}")]
    Handshake {
        /// What the session brought.
        source: io::Error,
    },
    /// The finished mount could not be attached.
    #[error("cannot mount on {path}: {source}")]
    Attach {
        /// The mount point.
        path: PathBuf,
        /// What move_mount(2) brought.
        source: io::Error,
    },
    /// An ordinary user needs the program `fusermount3`, which is not installed.
    #[error("mounting as an ordinary user needs the program fusermount3, which is not installed")]
    FusermountMissing,
    /// `fusermount3` refused.
    #[error("{message}")]
    Fusermount {
        /// Its own words.
        message: String,
    },
    /// An ordinary user asked for `allow_other`, which this host does not permit.
    #[error("the option allow_other is not permitted to ordinary users on this host")]
    AllowOtherForbidden,
    /// The namespace that the daemon was started in, or the child left there, cannot be reached.
    #[error("cannot reach the mount namespace of the host: {source}")]
    Host {
        /// What reaching it brought.
        source: io::Error,
    },
}

impl MountError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::MountPoint { source, .. } | Self::Attach { source, .. } => match source.kind() {
                io::ErrorKind::NotConnected => {
                    Some("a dead mount lies there: take it away with `umount -l`")
                }
                io::ErrorKind::NotFound => Some("create the directory first"),
                _ => None,
            },
            Self::Device { source } => match source.kind() {
                io::ErrorKind::NotFound => Some(
                    "load the module (`modprobe fuse`); in a container, pass --device /dev/fuse",
                ),
                io::ErrorKind::PermissionDenied => Some(
                    "/dev/fuse is closed to this user; distributions ship it with mode 0666 \
                     (`chmod 666 /dev/fuse`)",
                ),
                _ => None,
            },
            Self::Refused { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("mounting needs CAP_SYS_ADMIN; in a container, pass --cap-add SYS_ADMIN")
            }
            Self::FusermountMissing => Some("install package fuse3"),
            Self::Fusermount { message } if message.contains(direct::DEVICE) => Some(
                "/dev/fuse must exist and be open to this user; distributions ship it with mode \
                 0666 (`modprobe fuse`, `chmod 666 /dev/fuse`)",
            ),
            Self::AllowOtherForbidden => {
                Some("put the line `user_allow_other` into /etc/fuse.conf, or mount as root")
            }
            Self::Refused { .. }
            | Self::Handshake { .. }
            | Self::Fusermount { .. }
            | Self::Host { .. } => None,
        }
    }
}

/// A mounted file system. Dropping it neither unmounts nor ends the session.
#[derive(Debug)]
pub struct Mounted {
    session: Session,
    attachment: Attachment,
}

/// Mounts `fs` on the directory `mountpoint`, an absolute path as the host sees it. The mount
/// stands, and is served, when this returns.
///
/// With CAP_SYS_ADMIN through the kernel's mount API, else through `fusermount3`, which attaches
/// first: early visitors wait for INIT then.
pub fn mount<F: Filesystem>(
    fs: F,
    mountpoint: &Path,
    options: &MountOptions,
    host: &Host,
) -> Result<Mounted, MountError> {
    succeed(fs, mountpoint, options, host, None)
}

/// The same in the place of `old`, a mount whose daemon is gone, if there is one. It is seen until
/// the new one is, and then taken away; its connection has to be attended from then on
/// ([`super::attend`]), or dropped.
pub fn succeed<F: Filesystem>(
    fs: F,
    mountpoint: &Path,
    options: &MountOptions,
    host: &Host,
    old: Option<&Predecessor>,
) -> Result<Mounted, MountError> {
    if !mountpoint.is_absolute() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "not an absolute path");
        return Err(MountError::MountPoint { path: mountpoint.to_owned(), source });
    }
    let Pending { device, place } = host.prepare(mountpoint, options, old)?;
    let session = match Session::start(fs, device, options.threads) {
        Ok(session) => session,
        Err(source) => {
            host.give_up(place);
            return Err(MountError::Handshake { source });
        }
    };
    let Succession { mount, buried } = host.attach(place, old)?;
    host.hide_from_us(mount);
    host.let_go_of_others();
    Ok(Mounted { session, attachment: Attachment { host: host.clone(), mount, buried } })
}

impl Mounted {
    /// For telling the kernel what it must forget. Whoever keeps one keeps the connection open: it
    /// is to be dropped when the session ends.
    pub fn notifier(&self) -> Notifier {
        self.session.notifier()
    }

    /// A duplicate of the device descriptor, for handing the connection over to another process.
    /// While one is open, requests that nobody answers wait instead of failing.
    pub fn fuse_fd(&self) -> io::Result<OwnedFd> {
        self.session.as_fd().try_clone_to_owned()
    }

    /// The handle by which another thread unmounts while this one is in [`wait`](Self::wait).
    pub fn attachment(&self) -> Attachment {
        self.attachment.clone()
    }

    /// See [`Attachment::unmount`].
    pub fn unmount(&self, lazy: bool) -> io::Result<()> {
        self.attachment.unmount(lazy)
    }

    /// Blocks until the kernel ends the session: the mount is gone, and nobody uses what was in it.
    /// An error means that the mount may still stand, with nobody to serve it.
    pub fn wait(self) -> io::Result<()> {
        self.session.wait()
    }
}

/// Where a file system is attached.
#[derive(Clone, Debug)]
pub struct Attachment {
    host: Host,
    mount: MountId,
    /// The mount before it, dead by now, where the kernel could not take it away from beneath.
    buried: Option<MountId>,
}

impl Attachment {
    /// Runs `act` on a thread of its own with a place to start from inside the mount, and returns
    /// what it brought. The mount can be taken away meanwhile; the session then ends when `act` is
    /// through.
    ///
    /// ENOENT when the mount is gone or covered. EOPNOTSUPP where an ordinary user mounted.
    pub fn look_in<T: Send>(&self, act: impl FnOnce(BorrowedFd<'_>) -> T + Send) -> io::Result<T> {
        self.host.look_in(self.mount, act)
    }

    /// Asks the file system something that its dispatch threads answer, by the way of every request,
    /// and that needs nothing of what lies below. Blocks until they do, however long that takes.
    ///
    /// Errors as those of [`look_in`](Self::look_in), or what was answered.
    pub fn ask(&self) -> io::Result<()> {
        self.look_in(|mount| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(mount, ".", flags, Mode::empty()).map(drop)
        })?
        .map_err(io::Error::from)
    }

    /// Takes the mount away, in the namespace where it lives and wherever it was moved there; one
    /// that is gone already is a success. The session ends when the last user is gone too.
    ///
    /// EBUSY while something in it is in use: `lazy` then takes it out of sight at once and lets
    /// the users finish. EBUSY as well when another mount lies on top.
    pub fn unmount(&self, lazy: bool) -> io::Result<()> {
        self.host.unmount(self.mount, lazy)?;
        self.clear_beneath()
    }

    /// Takes the dead mount away that lay beneath this one, if there was one and this one is gone. To
    /// be called when the session has ended: whoever unmounted knew nothing of it.
    pub fn clear_beneath(&self) -> io::Result<()> {
        match self.buried {
            Some(buried) if !self.host.stands(self.mount)? => self.host.unmount(buried, true),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_fusermount_names_the_package() {
        assert_eq!(MountError::FusermountMissing.hint(), Some("install package fuse3"));
    }

    #[test]
    fn a_closed_device_is_told_apart_from_a_missing_one() {
        let device = |errno| MountError::Device { source: io::Error::from_raw_os_error(errno) };
        assert!(device(libc::EACCES).hint().unwrap().contains("0666"));
        assert!(device(libc::ENOENT).hint().unwrap().contains("modprobe"));
    }

    #[test]
    fn a_refusal_carries_what_the_kernel_said() {
        let source = io::Error::from_raw_os_error(libc::EINVAL);
        let log = Some("fuse: Bad value for 'fd'".to_owned());
        let text = MountError::Refused { step: "fd", source, log }.to_string();
        assert!(text.contains("at fd: Invalid argument"), "{text}");
        assert!(text.ends_with("(fuse: Bad value for 'fd')"), "{text}");
    }
}
