//! Which mounts of confseal there are, out of the kernel's table: nothing here asks a mount
//! anything, so a dead or hanging one is told of like any other.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::path::RelPath;

/// The type under which ours stand in the table.
const KIND: &str = "fuse.confseal";

/// A line of a process's mount table (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mounted {
    /// Where it is attached.
    pub point: PathBuf,
    /// The type of its file system.
    pub kind: String,
    /// What is mounted: of one of ours, the store.
    pub source: PathBuf,
    /// Its device, `0:51`: the same in every namespace.
    pub device: String,
    /// The options of the file system.
    pub options: String,
}

impl Mounted {
    /// Whether it is a mount of confseal.
    pub(super) fn is_ours(&self) -> bool {
        self.kind == KIND
    }

    /// The number of its connection below `/sys/fs/fuse/connections`.
    pub(super) fn connection(&self) -> &str {
        self.device.rsplit(':').next().unwrap_or_default()
    }

    /// The user who mounted it, if nobody else but he is let in.
    pub(super) fn only_for(&self) -> Option<u32> {
        let mut options = self.options.split(',');
        if options.clone().any(|option| option == "allow_other") {
            return None;
        }
        options.find_map(|option| option.strip_prefix("user_id=")?.parse().ok())
    }
}

/// The table of the process `pid`, or `self`, lowest first.
pub(super) fn table(pid: &str) -> std::io::Result<Vec<Mounted>> {
    let text = std::fs::read(format!("/proc/{pid}/mountinfo"))?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// The mount that `path`, an absolute one, is on. What comes later in the table lies above.
pub(super) fn covering<'a>(table: &'a [Mounted], path: &Path) -> Option<&'a Mounted> {
    let over = table.iter().filter(|mount| path.starts_with(&mount.point));
    over.max_by_key(|mount| mount.point.components().count())
}

/// The mount of ours that holds `path`, and the path in it.
pub(super) fn holding(path: &Path) -> Option<(Mounted, RelPath)> {
    let table = table("self").ok()?;
    let mount = covering(&table, path).filter(|mount| mount.is_ours())?;
    let below = path.strip_prefix(&mount.point).ok()?;
    Some((mount.clone(), RelPath::new(below.as_os_str().as_bytes()).ok()?))
}

/// The store of the mount at `point`.
pub(super) fn source_of(point: &Path) -> Option<PathBuf> {
    holding(point).filter(|(mount, _)| mount.point == point).map(|(mount, _)| mount.source)
}

fn parse(line: &[u8]) -> Option<Mounted> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    // Any number of optional fields, closed by a hyphen.
    let hyphen = fields.iter().position(|field| *field == b"-")?;
    let text = |n: usize| Some(String::from_utf8_lossy(&unescaped(fields.get(n)?)).into_owned());
    let path = |n: usize| Some(PathBuf::from(OsString::from_vec(unescaped(fields.get(n)?))));
    Some(Mounted {
        point: path(4)?,
        kind: text(hyphen + 1)?,
        source: path(hyphen + 2)?,
        device: text(2)?,
        options: text(hyphen + 3)?,
    })
}

/// Resolves the octal escapes (`\040` for a blank) that the kernel writes.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).filter(|_| *first == b'\\');
        let code = digits.and_then(|digits| str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &tail[3..];
            }
            None => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 22 0:51 / /etc/my\\040shop rw,nosuid,nodev shared:9 - fuse.confseal /srv/my\\040shop rw,user_id=0,group_id=0,default_permissions,allow_other
41 22 0:52 / /home/u/conf rw,nosuid,nodev - fuse.confseal /home/u/conf rw,user_id=1000,group_id=1000
42 40 0:53 / /etc/my\\040shop/sub rw - tmpfs tmpfs rw
";

    fn table() -> Vec<Mounted> {
        TABLE.as_bytes().split(|byte| *byte == b'\n').filter_map(parse).collect()
    }

    #[test]
    fn a_mount_is_told_by_its_place_its_store_and_its_options() {
        let table = table();
        assert_eq!(table.len(), 4);
        let shop = covering(&table, Path::new("/etc/my shop/app.toml")).unwrap();
        assert!(shop.is_ours());
        assert_eq!((&*shop.source, shop.connection()), (Path::new("/srv/my shop"), "51"));
        assert_eq!(shop.only_for(), None);
        let own = covering(&table, Path::new("/home/u/conf")).unwrap();
        assert_eq!(own.only_for(), Some(1000));
    }

    #[test]
    fn what_is_mounted_within_or_beside_a_mount_is_not_it() {
        let table = table();
        let over = |path: &str| covering(&table, Path::new(path)).unwrap().kind.clone();
        assert_eq!(over("/etc/my shop/sub/x"), "tmpfs");
        assert_eq!(over("/etc/my shopping"), "ext4");
        assert_eq!(over("/etc/my shop/other"), KIND);
    }
}
