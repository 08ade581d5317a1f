//! Mounts and mount namespaces: what `/proc` says is mounted, taking a mount away, and moving
//! between the namespace a daemon was started in and one of its own.
//!
//! What must stay true: a mount is known by its id, never by its path alone, so nothing that
//! somebody else mounted is ever taken away; and nothing here touches the file system behind a
//! mount, so a dead or stalled one cannot block us.

mod table;

use std::ffi::{CStr, c_int};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use rustix::thread::{CapabilitySet, LinkNameSpaceType, UnshareFlags};

#[cfg(test)]
pub(in crate::sys) use table::parse_entry;
pub use table::{Device, MountEntry, MountId, mounts, mounts_in};

/// Identifies the mount that `fd` is on, without asking its file system anything.
pub fn mount_of(fd: impl AsFd) -> io::Result<MountId> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(fd, "", flags, StatxFlags::MNT_ID)?;
    let device = Device { major: stat.stx_dev_major, minor: stat.stx_dev_minor };
    Ok(MountId { id: stat.stx_mnt_id, device })
}

/// Takes the mount away from the namespace of the calling thread, wherever it has been moved to
/// meanwhile. A mount that is gone already is a success.
///
/// EBUSY when something in it is in use (`lazy` detaches it all the same, and it lives on for those
/// who use it) or when another mount covers it.
pub fn unmount(mount: MountId, lazy: bool) -> io::Result<()> {
    match mounts()?.into_iter().find(|entry| entry.mount == mount) {
        Some(entry) => unmount_entry(&entry, lazy),
        None => Ok(()),
    }
}

/// Takes every copy of the file system `device` away from the namespace of the calling thread.
/// Returns how many there were.
pub fn detach_copies(device: Device) -> io::Result<usize> {
    let mut copies = mounts()?;
    copies.retain(|entry| entry.mount.device == device);
    // The newest of one place lies on top.
    for copy in copies.iter().rev() {
        unmount_entry(copy, true)?;
    }
    Ok(copies.len())
}

/// Takes every mount of the type `kind` away from the namespace of the calling thread that would
/// stay there when it is unmounted elsewhere, and so keep its file system in use. What is reached
/// through a descriptor stays reachable.
///
/// To be called in a namespace of its own. EINVAL in that of an ordinary user, to whom the kernel
/// lends what others mounted in one piece only.
pub fn detach_stranded(kind: &str) -> io::Result<()> {
    let all = mounts()?;
    let follows = |parent| all.iter().any(|entry| entry.mount.id == parent && entry.follows());
    let mut failed = Ok(());
    for entry in all.iter().rev().filter(|entry| entry.kind == kind) {
        // Unmounting is an event of the mount beneath.
        if follows(entry.parent) {
            continue;
        }
        // Whoever removes a mount point elsewhere takes the copy here away, too.
        if let Err(error) = unmount_entry(entry, true)
            && mounts()?.iter().any(|left| left.mount == entry.mount)
        {
            failed = Err(error);
        }
    }
    failed
}

/// Makes the directory `source`, as [`copy_of`] has got hold of it in whatever namespace, appear at
/// `place`, which is made with mode 0700 (its parents as usual). What was mounted at `place` is taken
/// away first.
pub fn show(source: OwnedFd, place: &Path) -> io::Result<()> {
    match unbind(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(place)?;
    attach(&source, &reach(place)?, Attach::OnTop)?;
    drop(source);
    // What is mounted over the source afterwards must not show up here.
    Ok(rustix::mount::mount_change(place, MountPropagationFlags::PRIVATE)?)
}

/// A copy of what the calling thread sees at `directory`, without what is mounted below it, attached
/// nowhere. Needs CAP_SYS_ADMIN.
pub fn copy_of(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    Ok(rustix::mount::open_tree(CWD, directory, flags)?)
}

/// Where a mount goes, seen from what is at its place already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attach {
    /// Over it.
    OnTop,
    /// Under the mount that is there, which is seen until it is taken away. Linux 6.5, EINVAL on
    /// older ones.
    Beneath,
}

/// Attaches `tree`, a mount that is attached nowhere, at `place`, in the namespace of the calling
/// thread.
pub fn attach(tree: impl AsFd, place: impl AsFd, how: Attach) -> io::Result<()> {
    /// MOVE_MOUNT_BENEATH of linux/mount.h.
    const BENEATH: MoveMountFlags = MoveMountFlags::from_bits_retain(0x200);
    let by_descriptors =
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    let flags = match how {
        Attach::OnTop => by_descriptors,
        Attach::Beneath => by_descriptors | BENEATH,
    };
    Ok(rustix::mount::move_mount(tree, "", place, "", flags)?)
}

/// Undoes [`show`]: takes `place` away, and the directory above it if nothing else is in it.
pub fn unbind_and_remove(place: &Path) -> io::Result<()> {
    unbind(place)?;
    fs::remove_dir(place)?;
    match place.parent().map(fs::remove_dir) {
        Some(Err(error)) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        _ => Ok(()),
    }
}

/// Takes away whatever is mounted at `place`.
pub fn unbind(place: &Path) -> io::Result<()> {
    for entry in mounts()?.iter().rev().filter(|entry| entry.point == *place) {
        unmount_entry(entry, true)?;
    }
    Ok(())
}

fn unmount_entry(entry: &MountEntry, lazy: bool) -> io::Result<()> {
    // umount takes whatever is topmost at the path.
    if mount_of(reach(&entry.point)?)? != entry.mount {
        return Err(Errno::BUSY.into());
    }
    let detach = if lazy { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    Ok(rustix::mount::unmount(&entry.point, UnmountFlags::NOFOLLOW | detach)?)
}

/// A copy of the mount that is attached nowhere, as a place to start from. Whoever uses it does not
/// keep the mount busy; but while it is open, the file system lives on when the mount is gone.
///
/// ENOENT when the mount is not in the namespace of the calling thread, or covered by another. Needs
/// CAP_SYS_ADMIN.
pub fn loose_copy(mount: MountId) -> io::Result<OwnedFd> {
    let entry = mounts()?.into_iter().find(|entry| entry.mount == mount).ok_or(Errno::NOENT)?;
    let copy = copy_of(&entry.point)?;
    // What is topmost at the path was copied.
    if mount_of(&copy)?.device != mount.device {
        return Err(Errno::NOENT.into());
    }
    make_writable(&copy)?;
    Ok(copy)
}

/// A copy of what is mounted at the directory `point`, attached nowhere, that can be written to
/// although the mount is read-only. Needs CAP_SYS_ADMIN.
pub fn writable_copy(point: &Path) -> io::Result<OwnedFd> {
    let copy = copy_of(point)?;
    make_writable(&copy)?;
    Ok(copy)
}

/// Takes the mark "read-only" off one mount, which says nothing of its file system.
fn make_writable(mount: &OwnedFd) -> io::Result<()> {
    let attributes = Attributes { clear: READ_ONLY, ..Attributes::default() };
    set_attributes(mount.as_raw_fd(), c"", libc::AT_EMPTY_PATH, &attributes)
}

/// Makes the mount at the directory `point` read-only or writable, and programs startable in it or
/// not; `None` leaves that as it is. What else is mounted of the same file system stays as it is.
pub fn change(point: &Path, read_only: Option<bool>, no_exec: Option<bool>) -> io::Result<()> {
    let mut attributes = Attributes::default();
    for (bit, wanted) in [(READ_ONLY, read_only), (NO_EXEC, no_exec)] {
        match wanted {
            Some(true) => attributes.set |= bit,
            Some(false) => attributes.clear |= bit,
            None => {}
        }
    }
    set_attributes(reach(point)?.as_raw_fd(), c"", libc::AT_EMPTY_PATH, &attributes)
}

/// `path` without links, as `fs::canonicalize` gives it; but of what is mounted at its end nothing
/// is asked: a mount that nobody serves just now would keep us waiting.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    let place = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    fs::read_link(format!("/proc/thread-self/fd/{}", place.as_raw_fd()))
}

/// The mount of type `kind` that is topmost at `point`, a path without links.
pub fn topmost(point: &Path, kind: &str) -> io::Result<Option<MountEntry>> {
    let mount = mount_of(reach(point)?)?;
    let is_it = |entry: &MountEntry| entry.mount == mount && entry.point == point;
    Ok(mounts()?.into_iter().find(is_it).filter(|entry| entry.kind == kind))
}

/// The mount on whose root `upper` is attached, if it is of the same type and source.
pub fn same_beneath(upper: &MountEntry) -> io::Result<Option<MountEntry>> {
    let is_same = |entry: &MountEntry| {
        entry.mount.id == upper.parent
            && (&entry.point, &entry.kind, &entry.source)
                == (&upper.point, &upper.kind, &upper.source)
    };
    Ok(mounts()?.into_iter().find(is_same))
}

/// Opens a directory, or what is mounted there, as a place only: the file system is not asked.
pub fn reach(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, directory, flags, Mode::empty())?)
}

/// Whether a file system of the type `kind` is what one sees at the directory `point`, a canonical
/// path. It is not asked itself.
pub fn shows(point: &Path, kind: &str) -> io::Result<bool> {
    let top = mounts()?.into_iter().rfind(|entry| entry.point == point);
    Ok(top.is_some_and(|entry| entry.kind == kind))
}

/// A mount namespace that can be visited after it has been left.
///
/// While this lives, so do the mounts in it, even when its last process has gone.
#[derive(Debug)]
pub struct SavedNamespace {
    namespace: OwnedFd,
    /// setns(2) puts a thread at the namespace's own root, which is not ours under chroot(2).
    root: OwnedFd,
}

impl SavedNamespace {
    /// The namespace of the calling thread.
    pub fn current() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let namespace = rustix::fs::openat(CWD, "/proc/thread-self/ns/mnt", flags, Mode::empty())?;
        Ok(Self { namespace, root: reach(Path::new("/"))? })
    }

    /// Runs `act` inside, on a thread of its own that ends with it, in the directory `/`.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> io::Result<T> {
        thread::scope(|scope| {
            let visit = thread::Builder::new()
                .name("host-namespace".to_owned())
                .spawn_scoped(scope, || self.enter().map(|()| act()))?;
            visit.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread inside for good. Needs CAP_SYS_ADMIN and CAP_SYS_CHROOT.
    pub fn enter(&self) -> io::Result<()> {
        // setns refuses a thread that shares its root and working directory with others.
        unshare(UnshareFlags::FS)?;
        let kind = Some(LinkNameSpaceType::Mount);
        rustix::thread::move_into_link_name_space(self.namespace.as_fd(), kind)?;
        rustix::process::fchdir(&self.root)?;
        Ok(rustix::process::chroot(".")?)
    }
}

/// Moves the calling thread, and those that it starts later, into a mount namespace of its own.
/// Mounts and unmounts outside are seen inside, not the other way.
///
/// Slave, not private, propagation: a private copy would keep in use whatever others unmount
/// outside. Needs CAP_SYS_ADMIN.
pub fn enter_own_mount_namespace() -> io::Result<()> {
    unshare(UnshareFlags::NEWNS)?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    Ok(rustix::mount::mount_change("/", slave)?)
}

/// Like [`enter_own_mount_namespace`], for an ordinary user: inside a user namespace in which only
/// this user and group exist. The process must have a single thread, and must be dumpable.
pub fn enter_own_user_and_mount_namespace() -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    Ok(rustix::mount::mount_change("/", slave)?)
}

/// Makes every mount that the calling thread sees read-only. To be called in a namespace of its
/// own. Devices can still be written to.
pub fn make_all_read_only() -> io::Result<()> {
    let attributes = Attributes { set: READ_ONLY, ..Attributes::default() };
    set_attributes(libc::AT_FDCWD, c"/", libc::AT_RECURSIVE, &attributes)
}

/// What mount_setattr(2) (Linux 5.12) takes.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const READ_ONLY: u64 = 1;
const NO_EXEC: u64 = 8;

fn set_attributes(
    directory: RawFd,
    path: &CStr,
    flags: c_int,
    attributes: &Attributes,
) -> io::Result<()> {
    // SAFETY: the path ends in NUL, the structure is the one that the kernel knows by its size, and
    // both are alive during the call, which only reads them.
    #[allow(unsafe_code)]
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory,
            path.as_ptr(),
            flags,
            &raw const *attributes,
            size_of::<Attributes>(),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the calling thread may mount: CAP_SYS_ADMIN is in force.
pub fn may_mount() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

fn unshare(what: UnshareFlags) -> io::Result<()> {
    debug_assert!(!what.contains(UnshareFlags::FILES));
    // SAFETY: only unsharing the table of descriptors is unsound, and no caller asks for that.
    #[allow(unsafe_code)]
    Ok(unsafe { rustix::thread::unshare_unsafe(what) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_and_the_table_name_the_same_mount() {
        let proc = mount_of(reach(Path::new("/proc")).unwrap()).unwrap();
        let listed = mounts().unwrap();
        let listed = listed.iter().rfind(|entry| entry.point == Path::new("/proc")).unwrap();
        assert_eq!(listed.mount, proc);
    }

    #[test]
    fn unmounting_what_is_not_there_succeeds() {
        let device = Device { major: u32::MAX, minor: 0 };
        unmount(MountId { id: u64::MAX, device }, false).unwrap();
        assert_eq!(detach_copies(device).unwrap(), 0);
    }
}
