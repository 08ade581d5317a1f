//! The least that a save can cost which is wholly old or wholly new at every instant, loses no
//! other's version and never leaves zeros after a power cut: the system calls of one commit in
//! their order, made here on the plain directory by a program that does nothing else.

use std::ffi::OsStr;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, Timestamps, fchmod, fstat, futimens, linkat, openat,
    renameat_with, unlinkat,
};

use confseal::store::Store;
use confseal::sys::file::write_out;

const TEMPORARY: &str = ".confseal-tmp.floor";

/// How a commit is made durable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Not at all.
    No,
    /// By one fsync behind the exchange.
    Once,
    /// By one of the file before it, and one of the directory behind it.
    Twice,
}

impl Sync {
    /// What it takes in the directory `dir`.
    pub fn of(dir: &Path, durable: bool) -> Self {
        match Store::open(dir).expect("the directory").syncs_once() {
            _ if !durable => Self::No,
            true => Self::Once,
            false => Self::Twice,
        }
    }
}

/// Replaces what `path`, an existing file, holds.
pub fn commit(path: &Path, content: &str, sync: Sync) {
    let dir = File::open(path.parent().expect("a parent")).expect("the directory");
    let name = path.file_name().expect("a name");
    let read = |name: &OsStr| {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        File::from(openat(&dir, name, flags, Mode::empty()).expect("open"))
    };
    let target = read(name);
    let old = fstat(&target).expect("fstat");

    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let draft = openat(&dir, ".", flags, Mode::RUSR | Mode::WUSR).expect("an unnamed file");
    let draft = File::from(draft);
    draft.write_all_at(content.as_bytes(), 0).expect("write");
    fchmod(&draft, Mode::from_raw_mode(old.st_mode)).expect("fchmod");
    let time = |seconds, nanoseconds: u64| rustix::fs::Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds as i64,
    };
    let times = Timestamps {
        last_access: time(old.st_atime, old.st_atime_nsec),
        last_modification: time(old.st_mtime, old.st_mtime_nsec),
    };
    futimens(&draft, &times).expect("futimens");
    write_out(&draft).expect("sync_file_range");
    linkat(&draft, "", &dir, TEMPORARY, AtFlags::EMPTY_PATH).expect("link");
    if sync == Sync::Twice {
        draft.sync_all().expect("fsync");
    }
    renameat_with(&dir, TEMPORARY, &dir, name, RenameFlags::EXCHANGE).expect("exchange");
    let displaced = read(OsStr::new(TEMPORARY));
    let mut bytes = vec![0; fstat(&displaced).expect("fstat").st_size as usize];
    displaced.read_exact_at(&mut bytes, 0).expect("read");
    black_box(bytes);
    if sync == Sync::Once {
        draft.sync_all().expect("fsync");
    }
    unlinkat(&dir, TEMPORARY, AtFlags::empty()).expect("unlink");
    if sync == Sync::Twice {
        dir.sync_all().expect("fsync of the directory");
    }
}
