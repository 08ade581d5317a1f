//! Extended attributes, and ACLs, which are attributes too.
//!
//! The calls take a path or a descriptor that is open for I/O; neither reaches a symlink, a pipe
//! or an unreadable file. The `/proc` name of an `O_PATH` descriptor of ours reaches them all and
//! leads to exactly the thing that was located.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::dir::{Dir, own_descriptor};

/// The kernel's limit on one value, and on the list of names (`XATTR_SIZE_MAX`).
const LARGEST: usize = 65536;

impl Dir {
    /// The value of attribute `attr` of the entry `name`; `.` is the directory itself, a symlink
    /// the link itself. ENODATA when it has none of that name.
    pub fn get_xattr(&self, name: &OsStr, attr: &OsStr) -> io::Result<Vec<u8>> {
        let place = self.locate(name)?;
        let path = own_descriptor(place.as_fd());
        read_sized(|buffer| rustix::fs::getxattr(&path, attr, buffer))
    }

    /// Sets an attribute; `flags` may demand that it is new or that it is not.
    pub fn set_xattr(
        &self,
        name: &OsStr,
        attr: &OsStr,
        value: &[u8],
        flags: XattrFlags,
    ) -> io::Result<()> {
        let place = self.locate(name)?;
        Ok(rustix::fs::setxattr(own_descriptor(place.as_fd()), attr, value, flags)?)
    }

    /// The names of all attributes, each followed by a NUL.
    pub fn list_xattr(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        let place = self.locate(name)?;
        let path = own_descriptor(place.as_fd());
        read_sized(|buffer| rustix::fs::listxattr(&path, buffer))
    }

    /// Removes an attribute.
    pub fn remove_xattr(&self, name: &OsStr, attr: &OsStr) -> io::Result<()> {
        let place = self.locate(name)?;
        Ok(rustix::fs::removexattr(own_descriptor(place.as_fd()), attr)?)
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
            let name = os(name);
            let attr = os("user.note");
            assert_eq!(errno(root.get_xattr(name, attr)), Some(libc::ENODATA));
            root.set_xattr(name, attr, &long, XattrFlags::CREATE).unwrap();
            assert_eq!(root.get_xattr(name, attr).unwrap(), long);
            assert_eq!(root.list_xattr(name).unwrap(), b"user.note\0");
            let again = root.set_xattr(name, attr, b"", XattrFlags::CREATE);
            assert_eq!(errno(again), Some(libc::EEXIST));
            root.set_xattr(name, attr, b"", XattrFlags::REPLACE).unwrap();
            assert_eq!(root.get_xattr(name, attr).unwrap(), b"");
            root.remove_xattr(name, attr).unwrap();
            assert_eq!(root.list_xattr(name).unwrap(), b"");
        }
    }

    #[test]
    fn a_symlinks_attributes_are_its_own() {
        let fresh = Fresh::new();
        fresh.put("app.toml", "a");
        let root = fresh.store.root();
        root.set_xattr(os("app.toml"), os("user.note"), b"x", XattrFlags::empty()).unwrap();
        root.symlink(os("link"), b"app.toml", None).unwrap();
        assert_eq!(root.list_xattr(os("link")).unwrap(), b"");
        // Links carry no user attributes: refused, not set on what the link points to.
        let set = root.set_xattr(os("link"), os("user.other"), b"x", XattrFlags::empty());
        assert_eq!(errno(set), Some(libc::EPERM));
        assert_eq!(root.list_xattr(os("app.toml")).unwrap(), b"user.note\0");
    }
}
