//! Extended attributes, and ACLs, which are attributes too.
//!
//! The calls take a path or a descriptor that is open for I/O; neither reaches a symlink, a pipe
//! or an unreadable file. The `/proc` name of an `O_PATH` descriptor of ours reaches them all and
//! leads to exactly the thing that was located.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::dir::{Dir, own_descriptor};

/// The kernel's limit on one value, and on the list of names (`XATTR_SIZE_MAX`).
const LARGEST: usize = 65536;

/// A thing in the store, whether it still has a name or not: where its attributes are.
#[derive(Debug)]
pub struct Place(OwnedFd);

impl Place {
    /// The value of attribute `attr`. ENODATA when there is none of that name.
    pub fn get_xattr(&self, attr: &OsStr) -> io::Result<Vec<u8>> {
        read_sized(|buffer| rustix::fs::getxattr(self.path(), attr, buffer))
    }

    /// Sets an attribute; `flags` may demand that it is new or that it is not.
    pub fn set_xattr(&self, attr: &OsStr, value: &[u8], flags: XattrFlags) -> io::Result<()> {
        Ok(rustix::fs::setxattr(self.path(), attr, value, flags)?)
    }

    /// The names of all attributes, each followed by a NUL.
    pub fn list_xattr(&self) -> io::Result<Vec<u8>> {
        read_sized(|buffer| rustix::fs::listxattr(self.path(), buffer))
    }

    /// Removes an attribute.
    pub fn remove_xattr(&self, attr: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::removexattr(self.path(), attr)?)
    }

    fn path(&self) -> PathBuf {
        own_descriptor(self.0.as_fd())
    }
}

impl Dir {
    /// The thing under `name`: `.` is the directory itself, a symlink the link itself.
    pub fn place(&self, name: &OsStr) -> io::Result<Place> {
        Ok(Place(self.locate(name)?))
    }

    /// Whether new entries inherit an ACL here; then the umask does not count for them.
    pub fn has_default_acl(&self) -> io::Result<bool> {
        match rustix::fs::fgetxattr_query(self.fd(), "system.posix_acl_default") {
            Ok(_) => Ok(true),
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Calls `read` with a small buffer, and with the largest when that is too small. The size is
/// not asked for first: it may change in between.
pub(super) fn read_sized(
    read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    let len = match read(&mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(LARGEST, 0);
            read(&mut buffer)?
        }
        other => other?,
    };
    buffer.truncate(len);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn attributes_come_and_go() {
        let fresh = Fresh::new();
        fresh.put("app.toml", "a");
        let root = fresh.store.root();
        let long = vec![b'v'; 2000];
        for name in ["app.toml", "."] {
            let place = root.place(os(name)).unwrap();
            let attr = os("user.note");
            assert_eq!(errno(place.get_xattr(attr)), Some(libc::ENODATA));
            place.set_xattr(attr, &long, XattrFlags::CREATE).unwrap();
            assert_eq!(place.get_xattr(attr).unwrap(), long);
            assert_eq!(place.list_xattr().unwrap(), b"user.note\0");
            let again = place.set_xattr(attr, b"", XattrFlags::CREATE);
            assert_eq!(errno(again), Some(libc::EEXIST));
            place.set_xattr(attr, b"", XattrFlags::REPLACE).unwrap();
            assert_eq!(place.get_xattr(attr).unwrap(), b"");
            place.remove_xattr(attr).unwrap();
            assert_eq!(place.list_xattr().unwrap(), b"");
        }
    }

    #[test]
    fn a_symlinks_attributes_are_its_own() {
        let fresh = Fresh::new();
        fresh.put("app.toml", "a");
        let root = fresh.store.root();
        let file = root.place(os("app.toml")).unwrap();
        file.set_xattr(os("user.note"), b"x", XattrFlags::empty()).unwrap();
        root.symlink(os("link"), b"app.toml", None).unwrap();
        let link = root.place(os("link")).unwrap();
        assert_eq!(link.list_xattr().unwrap(), b"");
        // Links carry no user attributes: refused, not set on what the link points to.
        let set = link.set_xattr(os("user.other"), b"x", XattrFlags::empty());
        assert_eq!(errno(set), Some(libc::EPERM));
        assert_eq!(file.list_xattr().unwrap(), b"user.note\0");
    }

    #[test]
    fn attributes_outlive_the_name() {
        let fresh = Fresh::new();
        fresh.put("app.toml", "a");
        let root = fresh.store.root();
        let place = root.place(os("app.toml")).unwrap();
        root.unlink(os("app.toml")).unwrap();
        place.set_xattr(os("user.note"), b"x", XattrFlags::empty()).unwrap();
        assert_eq!(place.get_xattr(os("user.note")).unwrap(), b"x");
    }
}
