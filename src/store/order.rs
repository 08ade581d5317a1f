//! What a filesystem lets be known of the order in which names and contents reach its disk.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, StatxFlags};

/// Whether one `fsync` of a file brings out the names that were given before it as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It does, and no name comes out before data that was written out before it was given: all
    /// that is done to names and inodes goes through one journal, in the order in which it is done.
    Journal,
    /// Not known: a file is synced before its name is given away, and then the directory.
    Unknown,
}

impl Order {
    /// Of the filesystem that `fd` is on.
    ///
    /// ext4 with a journal inside. Each rename there, an exchange as well, changes the inodes of the
    /// files whose names change, so the file's own `fsync` commits it; and whoever has a journal
    /// has it until it is unmounted. The same type is said of ext2, ext3 and of an ext4 without one,
    /// so the kernel's list of journals is asked. A journal on another device has a name of another
    /// form there: its commits do not flush the disk that has the data. Not xfs: an exchange changes
    /// nothing in its inodes.
    pub(super) fn on(fd: impl AsFd) -> Self {
        const EXT4: u32 = 0xEF53;
        /// The inode that ext4 keeps its journal in.
        const JOURNAL: u32 = 8;
        let kind = rustix::fs::fstatfs(&fd).map(|about| about.f_type as u32);
        if kind != Ok(EXT4) {
            return Self::Unknown;
        }
        let Ok(about) = rustix::fs::statx(&fd, "", AtFlags::EMPTY_PATH, StatxFlags::empty()) else {
            return Self::Unknown;
        };
        let device = format!("/sys/dev/block/{}:{}", about.stx_dev_major, about.stx_dev_minor);
        let has_journal = |device: &Path| {
            let name = device.read_link().ok()?.file_name()?.to_str()?.to_owned();
            Path::new(&format!("/proc/fs/jbd2/{name}-{JOURNAL}")).exists().then_some(())
        };
        match has_journal(Path::new(&device)) {
            Some(()) => Self::Journal,
            None => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags};

    /// What is found on ext4, with a journal and without, the tests of crashes show.
    #[test]
    fn nothing_is_known_of_another_filesystem() {
        for path in ["/proc", "/sys", "/dev/shm"] {
            let root = rustix::fs::open(path, OFlags::PATH, Mode::empty()).unwrap();
            assert_eq!(Order::on(&root), Order::Unknown, "{path}");
        }
    }
}
