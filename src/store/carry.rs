//! Dressing a new file as the one it is to replace: owner, mode, extended attributes, ACL, label.
//!
//! Invariant: after [`carry`] says `true` nothing but content, times and inode tells the two
//! apart. It may be called again at any time, and then does only what is still missing.

use std::fs::File;
use std::io;

use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use super::metadata::Metadata;
use super::xattr::read_sized;

/// Attributes that the kernel keeps about the content; a copy would vouch for the wrong bytes.
const ABOUT_CONTENT: [&[u8]; 2] = [b"security.ima", b"security.evm"];

/// Makes `to` look like `from`. `false` when this process is not allowed to, or the filesystem
/// not able: then the target has to be rewritten in place. Errors are those of a failing disk
/// (EIO, ENOSPC, EDQUOT, ...).
pub fn carry(from: &File, to: &File) -> io::Result<bool> {
    match try_carry(from, to) {
        Ok(()) => Ok(true),
        Err(Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::INVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn try_carry(from: &File, to: &File) -> rustix::io::Result<()> {
    let (pattern, made) = (metadata(from)?, metadata(to)?);
    // The owner first: a change of owner clears set-user-ID and capabilities.
    if (made.uid, made.gid) != (pattern.uid, pattern.gid) {
        let (uid, gid) = (Uid::from_raw(pattern.uid), Gid::from_raw(pattern.gid));
        rustix::fs::fchown(to, Some(uid), Some(gid))?;
    }
    let (wanted, inherited) = (attributes(from)?, attributes(to)?);
    // A default ACL of the directory dresses every new file; its target may have been born before.
    for attr in inherited.iter().filter(|attr| !wanted.contains(attr)) {
        rustix::fs::fremovexattr(to, &**attr)?;
    }
    set_mode(to, pattern.mode)?;
    for attr in &wanted {
        let value = value(from, attr)?;
        if value.is_some() && value != self::value(to, attr)? {
            rustix::fs::fsetxattr(to, &**attr, &value.unwrap_or_default(), XattrFlags::empty())?;
        }
    }
    // Setting an ACL sets the mode's group bits too, and may take set-group-ID away.
    set_mode(to, pattern.mode)
}

fn set_mode(file: &File, mode: u32) -> rustix::io::Result<()> {
    if metadata(file)?.mode != mode {
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

fn metadata(file: &File) -> rustix::io::Result<Metadata> {
    Ok(Metadata::from_stat(&rustix::fs::fstat(file)?))
}

/// The names of the attributes that are to be the same on both.
fn attributes(file: &File) -> rustix::io::Result<Vec<Vec<u8>>> {
    let list = match errno(read_sized(|buffer| rustix::fs::flistxattr(file, buffer))) {
        Err(Errno::NOTSUP | Errno::NOSYS) => Vec::new(),
        other => other?,
    };
    let names = list.split(|byte| *byte == 0);
    let counts = |name: &&[u8]| !name.is_empty() && !ABOUT_CONTENT.contains(name);
    Ok(names.filter(counts).map(<[u8]>::to_vec).collect())
}

/// `None` when there is none (any more).
fn value(file: &File, attr: &[u8]) -> rustix::io::Result<Option<Vec<u8>>> {
    match errno(read_sized(|buffer| rustix::fs::fgetxattr(file, attr, buffer))) {
        Err(Errno::NODATA) => Ok(None),
        other => other.map(Some),
    }
}

fn errno<T>(result: io::Result<T>) -> rustix::io::Result<T> {
    result.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn what_the_pattern_lacks_is_taken_off() {
        let fresh = Fresh::new();
        fresh.put("from", "");
        fresh.put("to", "");
        let root = fresh.store.root();
        let none = XattrFlags::empty();
        root.place(os("from")).unwrap().set_xattr(os("user.a"), b"1", none).unwrap();
        root.place(os("to")).unwrap().set_xattr(os("user.a"), b"2", none).unwrap();
        root.place(os("to")).unwrap().set_xattr(os("user.b"), b"3", none).unwrap();
        root.set_mode(os("from"), 0o2750).unwrap();
        let open = |name| root.open_file(os(name), super::super::Access::ReadWrite).unwrap();
        let (from, to) = (open("from"), open("to"));
        assert!(carry(&from, &to).unwrap());
        assert_eq!(root.place(os("to")).unwrap().list_xattr().unwrap(), b"user.a\0");
        assert_eq!(root.place(os("to")).unwrap().get_xattr(os("user.a")).unwrap(), b"1");
        assert_eq!(root.stat(os("to")).unwrap().mode, 0o2750);
        // Nothing is left to do, so nothing is touched.
        let before = root.stat(os("to")).unwrap();
        assert!(carry(&from, &to).unwrap());
        assert_eq!(root.stat(os("to")).unwrap(), before);
    }
}
