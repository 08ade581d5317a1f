//! Which mounts of confseal there are, out of the kernel's table: nothing here asks a mount
//! anything, so a dead or hanging one is told of like any other.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::path::RelPath;
use crate::sys::mount::{MountEntry, mount_of, mounts};

/// The type under which ours stand in the table.
const KIND: &str = "fuse.confseal";

/// Whether it is a mount of confseal.
pub(super) fn is_ours(mount: &MountEntry) -> bool {
    mount.kind == KIND
}

/// The user who mounted it, if nobody else but he is let in.
pub(super) fn only_for(mount: &MountEntry) -> Option<u32> {
    let mut options = mount.options.split(',');
    if options.clone().any(|option| option == "allow_other") {
        return None;
    }
    options.find_map(|option| option.strip_prefix("user_id=")?.parse().ok())
}

/// The mount that `path`, an absolute one, is on. What comes later in the table lies above.
pub(super) fn covering<'a>(table: &'a [MountEntry], path: &Path) -> Option<&'a MountEntry> {
    let over = table.iter().filter(|mount| path.starts_with(&mount.point));
    over.max_by_key(|mount| mount.point.components().count())
}

/// The mount of ours that holds `path`, and the path in it.
pub(super) fn holding(path: &Path) -> Option<(MountEntry, RelPath)> {
    let table = mounts().ok()?;
    let mount = covering(&table, path).filter(|mount| is_ours(mount))?;
    let below = path.strip_prefix(&mount.point).ok()?;
    Some((mount.clone(), RelPath::new(below.as_os_str().as_bytes()).ok()?))
}

/// Whether what one sees at `place` is on a mount of ours.
pub(super) fn is_on_ours(place: &Path) -> io::Result<bool> {
    let place = rustix::fs::openat(CWD, place, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let mount = mount_of(place)?;
    Ok(mounts()?.iter().any(|entry| entry.mount == mount && is_ours(entry)))
}

/// The store of the mount at `point`.
pub(super) fn source_of(point: &Path) -> Option<PathBuf> {
    holding(point).filter(|(mount, _)| mount.point == point).map(|(mount, _)| mount.source.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mount::mounts_in;

    const TABLE: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 22 0:51 / /etc/my\\040shop rw shared:9 - fuse.confseal /srv/shop rw,user_id=0,allow_other
41 22 0:52 / /home/u/conf rw,nosuid - fuse.confseal /home/u/conf rw,user_id=1000,group_id=1000
42 40 0:53 / /etc/my\\040shop/sub rw - tmpfs tmpfs rw
";

    fn table() -> (tempfile::TempDir, Vec<MountEntry>) {
        let process = tempfile::tempdir().unwrap();
        std::fs::write(process.path().join("mountinfo"), TABLE).unwrap();
        let table = mounts_in(process.path()).unwrap();
        (process, table)
    }

    #[test]
    fn a_mount_is_told_by_its_place_its_store_and_who_is_let_in() {
        let (_process, table) = table();
        let shop = covering(&table, Path::new("/etc/my shop/app.toml")).unwrap();
        assert_eq!((is_ours(shop), &*shop.source), (true, "/srv/shop".as_ref()));
        assert_eq!(only_for(shop), None);
        let own = covering(&table, Path::new("/home/u/conf")).unwrap();
        assert_eq!(only_for(own), Some(1000));
    }

    #[test]
    fn what_is_mounted_within_or_beside_a_mount_is_not_it() {
        let (_process, table) = table();
        let over = |path: &str| covering(&table, Path::new(path)).unwrap().kind.clone();
        assert_eq!(over("/etc/my shop/sub/x"), "tmpfs");
        assert_eq!(over("/etc/my shopping"), "ext4");
        assert_eq!(over("/etc/my shop/other"), KIND);
    }
}
