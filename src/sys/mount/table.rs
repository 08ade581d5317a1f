//! The table of mounts, as `/proc` shows it of each process.
//!
//! What must stay true: a line is read whatever stands in its optional fields, and one that is not
//! understood is passed over; only `/proc` is asked, no file system behind a mount.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A mount among those that exist right now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MountId {
    /// The id that `mountinfo` shows. Unique in time too, as long as the mount stands.
    pub id: u64,
    /// The device of its file system, the same for every copy that propagation makes of it.
    pub device: Device,
}

/// A device number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its class; 0 where no block device stands behind a file system.
    pub major: u32,
    /// Which one of its class.
    pub minor: u32,
}

/// One line of `mountinfo` (proc_pid_mountinfo(5)), as far as it is of use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MountEntry {
    /// Which mount.
    pub mount: MountId,
    /// The id of the mount that it is attached to.
    pub parent: u64,
    /// The directory of the file system that stands at `point`.
    pub root: PathBuf,
    /// Where it is attached, seen from the root of the thread that asks.
    pub point: PathBuf,
    /// Type of the file system, with its subtype: `fuse.confseal`.
    pub kind: String,
    /// What it says it was made of; for a mount of ours the store.
    pub source: OsString,
    /// The options of the file system.
    pub options: String,
    /// Its peer group: what is mounted or unmounted on one of them is repeated on the others.
    pub shared: Option<u64>,
    /// The peer group in which mounts and unmounts are repeated on it, and not the other way round.
    pub master: Option<u64>,
}

impl MountEntry {
    /// Whether mounts and unmounts elsewhere, on its double there, are repeated on it.
    pub(super) fn follows(&self) -> bool {
        self.master.is_some()
    }
}

/// All mounts in the namespace of the calling thread, below its root, oldest of one place first.
pub fn mounts() -> io::Result<Vec<MountEntry>> {
    // thread-self, not self: threads of one process may live in different namespaces.
    mounts_in(Path::new("/proc/thread-self"))
}

/// The same in the namespace, and below the root, of the process whose directory below `/proc` is
/// `process`.
pub fn mounts_in(process: &Path) -> io::Result<Vec<MountEntry>> {
    let table = fs::read(process.join("mountinfo"))?;
    Ok(table.split(|byte| *byte == b'\n').filter_map(parse_entry).collect())
}

pub(in crate::sys) fn parse_entry(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let mut device = fields.next()?.split(|byte| *byte == b':');
    let device = Device {
        major: number(device.next()?)?.try_into().ok()?,
        minor: number(device.next()?)?.try_into().ok()?,
    };
    let path = |field: &[u8]| PathBuf::from(OsString::from_vec(unescape(field)));
    let (root, point) = (path(fields.next()?), path(fields.next()?));
    let (mut shared, mut master) = (None, None);
    // Any number of optional fields, closed by a hyphen.
    for field in fields.by_ref().skip(1).take_while(|field| *field != b"-") {
        let group = |name: &[u8]| field.strip_prefix(name).and_then(number);
        shared = shared.or_else(|| group(b"shared:"));
        master = master.or_else(|| group(b"master:"));
    }
    let kind = String::from_utf8_lossy(&unescape(fields.next()?)).into_owned();
    let source = OsString::from_vec(unescape(fields.next()?));
    let options = String::from_utf8_lossy(&unescape(fields.next()?)).into_owned();
    let mount = MountId { id, device };
    Some(MountEntry { mount, parent, root, point, kind, source, options, shared, master })
}

fn number(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.parse().ok()
}

/// Resolves the octal escapes (`\040` for a blank) that the kernel writes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'\\')
            .then(|| str::from_utf8(tail.get(..3)?).ok())
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = b"96 27 0:52 / /etc/with\\040blank\\134 rw,nosuid shared:7 master:1 - \
        fuse.confseal /etc/with\\040blank\\134 rw,user_id=0";

    #[test]
    fn an_entry_is_read_past_its_optional_fields() {
        let entry = parse_entry(LINE).unwrap();
        let device = Device { major: 0, minor: 52 };
        assert_eq!(entry.mount, MountId { id: 96, device });
        assert_eq!(entry.point, Path::new("/etc/with blank\\"));
        assert_eq!((&*entry.kind, &*entry.source), ("fuse.confseal", "/etc/with blank\\".as_ref()));
        assert_eq!(entry.options, "rw,user_id=0");
        assert_eq!((entry.parent, &*entry.root), (27, Path::new("/")));
        assert_eq!((entry.shared, entry.master), (Some(7), Some(1)));
    }

    #[test]
    fn an_entry_without_optional_fields_follows_nothing() {
        let entry = parse_entry(b"27 1 8:1 / / rw - ext4 /dev/sda1 rw").unwrap();
        assert_eq!((entry.kind.as_str(), entry.follows()), ("ext4", false));
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stands_for_itself() {
        assert_eq!(unescape(b"a\\9b\\04\\"), b"a\\9b\\04\\");
        assert_eq!(unescape(b"\\012\\\\"), b"\n\\\\");
    }

    #[test]
    fn every_line_of_the_live_table_is_understood() {
        let lines = fs::read("/proc/thread-self/mountinfo").unwrap();
        let lines = lines.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(mounts().unwrap().len(), lines);
    }
}
