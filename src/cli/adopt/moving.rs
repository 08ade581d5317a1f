//! Directories that change places: a store and the mount point in front of it.
//!
//! What must stay true: each move is one rename, so that at every instant a name stands for the one
//! or the other; an immutable mount point is made writable only to be replaced.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{CWD, IFlags, RenameFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

use super::super::open::is_mount;
use crate::fuse::mount::KIND;
use crate::store::carry;
use crate::sys::mount;

/// `dir` with `ending` at its name.
pub(in crate::cli) fn beside(dir: &Path, ending: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    dir.with_file_name(name)
}

/// Makes the empty directory `new`, or takes the one that is there, and gives it owner, mode and
/// attributes of `pattern`.
pub(super) fn make_like(pattern: &Path, new: &Path) -> io::Result<()> {
    match fs::create_dir(new) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_empty(new)? => {}
        other => other?,
    }
    match carry(&File::open(pattern)?, &File::open(new)?)? {
        true => sync_parent(new),
        false => Err(Errno::PERM.into()),
    }
}

/// Renames a directory within its parent, durably.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_parent(to)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(dir)?.next().is_none())
}

/// Whether `dir` is an empty directory: what is left in front of a store that lies beside.
pub(in crate::cli) fn is_mount_point_of_ours(dir: &Path) -> bool {
    is_empty(dir).unwrap_or(false)
}

/// Takes the right to change anything in `dir` from everybody, root included, or gives it back.
/// `false` where the filesystem, or the rights of this process, know nothing of the kind.
pub(super) fn set_immutable(dir: &Path, immutable: bool) -> io::Result<bool> {
    let file = File::open(dir)?;
    let set = || {
        let flags = ioctl_getflags(&file)?;
        let mut wanted = flags;
        wanted.set(IFlags::IMMUTABLE, immutable);
        if wanted == flags { Ok(()) } else { ioctl_setflags(&file, wanted) }
    };
    match set() {
        Ok(()) => Ok(true),
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::PERM | Errno::INVAL | Errno::NOSYS) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes our mounts at `dir` out of sight, whoever uses them: what is open in them is served until it
/// is closed.
pub(in crate::cli) fn detach(dir: &Path) -> io::Result<()> {
    while let Some(top) = mount::topmost(dir, KIND)? {
        mount::unmount(top.mount, true)?;
    }
    Ok(())
}

/// Puts the directory `store` in the place of the empty directory `dir`, over which our mount may lie,
/// and removes the latter: at one instant programs see the one instead of the other. Does what is left
/// to do of one that was cut off.
///
/// Done from a mount namespace of its own, without the mount: there the kernel lets the two change
/// places, and everywhere else the mount goes along with the directory that it lies on. (To replace
/// the empty directory would take the mount away an instant earlier.) What is open in the mount stays
/// usable.
pub(in crate::cli) fn swap_in(store: &Path, dir: &Path) -> io::Result<()> {
    let swap = || {
        // A thread of its own: it never comes back from there.
        mount::enter_own_mount_namespace()?;
        detach(dir)?;
        set_immutable(dir, false)?;
        match rustix::fs::renameat_with(CWD, store, CWD, dir, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rename(store, dir),
            other => Ok(other?),
        }
    };
    if store.exists() && (is_mount(dir) || is_empty(dir)?) {
        thread::scope(|scope| {
            let swapped = thread::Builder::new().name("swap".into()).spawn_scoped(scope, swap)?;
            swapped.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
    }
    if store.exists() {
        detach(store)?;
        fs::remove_dir(store)?;
    }
    sync_parent(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_mount_point_looks_like_the_directory_that_it_stands_for() {
        let place = tempfile::tempdir().unwrap();
        let (dir, new) = (place.path().join("shop"), beside(&place.path().join("shop"), ".new"));
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, PermissionsExt::from_mode(0o2750)).unwrap();
        for _ in 0..2 {
            make_like(&dir, &new).unwrap();
            assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o7777, 0o2750);
        }
        fs::write(new.join("x"), "").unwrap();
        assert!(make_like(&dir, &new).is_err());
        assert!(!is_mount_point_of_ours(&new) && is_mount_point_of_ours(&dir));
    }
}
