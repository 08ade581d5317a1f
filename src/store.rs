//! The directory on disk: bytes in, bytes out; no keys, no formats.
//!
//! What must stay true:
//! - Everything is reached from the descriptor of the root that [`Store::open`] took, one
//!   component or one `openat2` (beneath, no symlinks, no other mount) at a time. So the store can
//!   be covered by its own mount, and no name leads out of it.
//! - A file's content changes only through [`Dir::commit`]: at every instant, also after a crash,
//!   the file is wholly old or wholly new, and a version nobody expected is kept, not lost.
//! - Errors are the kernel's, errno intact, because they are handed on to applications.
//!
//! | module | what it knows |
//! |---|---|
//! | `dir`, `change`, `xattr`, `metadata` | one directory: look, make, change attributes |
//! | `walk` | a tree of them |
//! | `control` | `.confseal/`: lock, state files, kept versions |
//! | `temporary`, `carry`, `order`, `step`, `commit`, `in_place` | how a file's content is replaced |
//! | `recover` | what a crash left |
//! | [`watch`], [`holders`] | who else changes or holds the store |

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::path::RelPath;

mod carry;
mod change;
mod commit;
mod control;
mod dir;
pub mod holders;
mod in_place;
mod metadata;
mod order;
mod recover;
mod step;
mod temporary;
mod walk;
pub mod watch;
mod xattr;

pub use carry::carry;
pub use change::RenameFlags;
pub use commit::{Commit, Committed, MtimeRule, OnConflict};
pub use control::{LockError, StoreLock};
pub use dir::{Access, Dir, Entry, Snapshot};
pub use metadata::{FileKind, Metadata, Owner, SetTime, Stamp, Time};
pub use recover::Recovery;
pub use rustix::fs::{StatVfs, XattrFlags};
pub use step::{CommitError, Step};
pub use walk::{Walk, is_version_control};
pub use watch::{Event, Kind as EventKind, Watcher};
pub use xattr::Place;

/// The directory at the store's root that holds confseal's own files.
pub const CONTROL_DIR: &str = ".confseal";

/// How the names of temporaries begin; hidden from listings, walks and watches.
const TEMPORARY_PREFIX: &str = ".confseal-tmp.";

/// Whether `name` belongs to a temporary of ours; applications may not use such a name.
pub fn is_reserved(name: &OsStr) -> bool {
    name.as_bytes().starts_with(TEMPORARY_PREFIX.as_bytes())
}

/// A store, open. Cheap to share between threads; nothing in it is changed by a call but the
/// claims on temporaries.
pub struct Store {
    root: Dir,
}

/// What all directories of one store have in common.
struct Shared {
    root: Arc<OwnedFd>,
    path: PathBuf,
    claims: temporary::Claims,
    /// Held while a file is rewritten in place or mended, across the I/O: both write over what
    /// stands, so they have to be one after the other. Rare and slow anyway; nothing else waits.
    in_place: parking_lot::Mutex<()>,
    means: temporary::Means,
    births: metadata::Births,
    order: order::Order,
}

impl Store {
    /// Opens the store at `path`. The path may be reached through symlinks; what is remembered is
    /// the canonical one, and from here on only the descriptor counts.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, temporary::Means::ALL)
    }

    fn open_with(path: &Path, means: temporary::Means) -> io::Result<Self> {
        Self::open_as(path, means, |root| order::Order::on(root))
    }

    fn open_as(
        path: &Path,
        means: temporary::Means,
        order: impl FnOnce(&OwnedFd) -> order::Order,
    ) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Arc::new(rustix::fs::open(&path, flags, Mode::empty())?);
        let shared = Shared {
            root: root.clone(),
            path,
            claims: Default::default(),
            in_place: Default::default(),
            means,
            births: metadata::Births::on(&root),
            order: order(&root),
        };
        Ok(Self { root: Dir::new(root, Arc::new(shared)) })
    }

    /// The root directory.
    pub fn root(&self) -> &Dir {
        &self.root
    }

    /// The canonical path, for messages; it may be covered by a mount.
    pub fn path(&self) -> &Path {
        &self.root.shared().path
    }

    /// The directory at `path`.
    pub fn dir(&self, path: &RelPath) -> io::Result<Dir> {
        if path.is_root() { Ok(self.root.clone()) } else { self.root.reach(path.as_os_str()) }
    }

    /// Whether whoever watches the store hears of every change: not where other machines make them,
    /// or another process makes them out of sight of the kernel.
    pub fn tells_changes(&self) -> bool {
        const NFS: u32 = 0x6969;
        const SMB2: u32 = 0xFE53_4D42;
        const CIFS: u32 = 0xFF53_4D42;
        const NINE_P: u32 = 0x0102_1997;
        const CEPH: u32 = 0x00C3_6400;
        const AFS: u32 = 0x5346_414F;
        const FUSE: u32 = 0x6573_5546;
        let kind = rustix::fs::fstatfs(self.root.fd()).map(|about| about.f_type as u32);
        !matches!(kind, Ok(NFS | SMB2 | CIFS | NINE_P | CEPH | AFS | FUSE))
    }

    /// Whether one fsync behind the exchange of names makes a commit durable, for want of a reason to
    /// sync both the file and its directory.
    pub fn syncs_once(&self) -> bool {
        self.root().shared().order == order::Order::Journal
    }

    /// Sizes and limits of the filesystem that the store stands on.
    pub fn statfs(&self) -> io::Result<StatVfs> {
        Ok(rustix::fs::fstatvfs(self.root.fd())?)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.path()).finish()
    }
}

/// All bytes of `file` from its start, wherever its offset stands.
fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    dir::read_from_start(file, &mut bytes, u64::MAX)?;
    Ok(bytes)
}

#[cfg(test)]
mod testing {
    //! Fresh stores for the tests of this layer, on the disk and on tmpfs.

    use super::*;

    pub(super) struct Fresh {
        pub(super) store: Store,
        pub(super) place: tempfile::TempDir,
    }

    impl Fresh {
        pub(super) fn new() -> Self {
            Self::with(temporary::Means::ALL)
        }

        pub(super) fn with(means: temporary::Means) -> Self {
            Self::at(tempfile::tempdir().unwrap(), means)
        }

        /// On a filesystem that is taken for one of this order.
        pub(super) fn ordered(order: order::Order) -> Self {
            let mut fresh = Self::new();
            let path = fresh.place.path().to_owned();
            fresh.store = Store::open_as(&path, temporary::Means::ALL, |_| order).unwrap();
            fresh
        }

        pub(super) fn at(place: tempfile::TempDir, means: temporary::Means) -> Self {
            Self { store: Store::open_with(place.path(), means).unwrap(), place }
        }

        pub(super) fn path(&self, name: &str) -> PathBuf {
            self.place.path().join(name)
        }

        pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }

        pub(super) fn content(&self, name: &str) -> Vec<u8> {
            std::fs::read(self.path(name)).unwrap()
        }

        /// What stands in the directory `name`, temporaries too.
        pub(super) fn names(&self, name: &str) -> Vec<String> {
            let entry = |entry: io::Result<std::fs::DirEntry>| {
                entry.unwrap().file_name().into_string().unwrap()
            };
            let mut names: Vec<_> =
                std::fs::read_dir(self.path(name)).unwrap().map(entry).collect();
            names.sort();
            names
        }

        /// The temporaries in the directory `name`.
        pub(super) fn temporaries(&self, name: &str) -> Vec<String> {
            self.names(name).into_iter().filter(|name| is_reserved(name.as_ref())).collect()
        }

        /// The same directory, opened as by the next process.
        pub(super) fn reopened(&self) -> Store {
            Store::open(self.place.path()).unwrap()
        }
    }

    /// Runs `story` on the disk and on tmpfs.
    pub(super) fn on_each_filesystem(means: temporary::Means, story: impl Fn(&Fresh)) {
        story(&Fresh::with(means));
        let in_memory = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
        story(&Fresh::at(in_memory, means));
    }

    pub(super) fn os(name: &str) -> &OsStr {
        OsStr::new(name)
    }

    pub(super) fn errno<T>(result: io::Result<T>) -> Option<i32> {
        result.err().expect("an error").raw_os_error()
    }

    /// Stands for the cipher: what it touched can be told from what it did not.
    pub(super) fn seal(bytes: &[u8]) -> io::Result<Vec<u8>> {
        Ok([b"sealed:", bytes].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    #[test]
    fn a_store_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        shared(&Fresh::new().store);
    }

    #[test]
    fn the_path_is_canonical_and_the_descriptor_outlives_the_name() {
        let fresh = Fresh::new();
        fresh.put("real/app.toml", "a");
        std::os::unix::fs::symlink("real", fresh.path("link")).unwrap();
        let store = Store::open(&fresh.path("link")).unwrap();
        assert_eq!(store.path(), fresh.path("real").canonicalize().unwrap());
        std::fs::rename(fresh.path("real"), fresh.path("moved")).unwrap();
        assert_eq!(store.root().read(os("app.toml"), 10).unwrap().bytes, b"a");
        assert!(store.statfs().unwrap().f_blocks > 0);
    }

    #[test]
    fn no_path_leads_through_a_symlink() {
        let fresh = Fresh::new();
        std::os::unix::fs::symlink("/etc", fresh.path("a")).unwrap();
        fresh.put("b/c/app.toml", "x");
        let path = |path: &str| RelPath::new(path).unwrap();
        assert_eq!(errno(fresh.store.dir(&path("a"))), Some(libc::ELOOP));
        assert!(fresh.store.dir(&path("b/c")).is_ok());
        // The directory is swapped for a symlink between two looks.
        std::fs::rename(fresh.path("b"), fresh.path("real")).unwrap();
        std::os::unix::fs::symlink("/", fresh.path("b")).unwrap();
        assert_eq!(errno(fresh.store.dir(&path("b/etc"))), Some(libc::ELOOP));
        assert_eq!(errno(fresh.store.root().open_dir(os("b"))), Some(libc::ELOOP));
    }
}
