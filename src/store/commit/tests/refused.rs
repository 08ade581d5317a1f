//! Commits that the system refuses, in part or wholly: what is no file, files and directories of
//! others, immutable ones, a full disk.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::store::CONTROL_DIR;

#[test]
fn what_is_no_regular_file_is_refused() {
    let fresh = Fresh::new();
    let root = fresh.store.root();
    fresh.put("elsewhere", "untouched");
    root.symlink(os("link"), b"elsewhere", None).unwrap();
    root.mkdir(os("dir"), 0o755, None).unwrap();
    root.mknod(os("pipe"), FileKind::Fifo, 0o600, 0, None).unwrap();
    for (name, code) in [
        ("link", libc::ELOOP),
        ("dir", libc::EISDIR),
        ("pipe", libc::EINVAL),
        ("absent", libc::ENOENT),
        ("../app.toml", libc::EINVAL),
    ] {
        let failed = root.commit(os(name), &commit(b"new", b"")).unwrap_err();
        assert_eq!((failed.step, failed.source.raw_os_error()), (Step::Open, Some(code)), "{name}");
    }
    assert_eq!(fresh.content("elsewhere"), b"untouched");
    assert_eq!(fresh.names("."), ["dir", "elsewhere", "link", "pipe"]);
}

/// Runs `story` on a thread that is nobody, as a daemon without privileges would be.
fn as_nobody(story: impl FnOnce() + Send) {
    std::thread::scope(|threads| {
        let nobody = threads.spawn(|| {
            use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
            let (uid, gid) = (rustix::fs::Uid::from_raw(65534), rustix::fs::Gid::from_raw(65534));
            set_thread_groups(&[]).unwrap();
            set_thread_res_gid(gid, gid, gid).unwrap();
            set_thread_res_uid(uid, uid, uid).unwrap();
            story();
        });
        if let Err(cause) = nobody.join() {
            std::panic::resume_unwind(cause);
        }
    });
}

#[test]
fn an_owner_that_cannot_be_given_is_kept_by_writing_in_place() {
    assert!(geteuid().is_root(), "only root can set the scene: a file of another user");
    everywhere(|fresh| {
        fresh.put("app.toml", "old");
        let root = fresh.store.root();
        root.set_owner(os("app.toml"), Some(1234), Some(1234)).unwrap();
        root.set_mode(os("app.toml"), 0o666).unwrap();
        root.set_mode(os("."), 0o777).unwrap();
        let before = root.stat(os("app.toml")).unwrap();
        as_nobody(|| assert_eq!(put(fresh, b"new", b"old").unwrap().metadata.ino, before.ino));
        let after = root.stat(os("app.toml")).unwrap();
        assert_eq!((after.uid, after.mode), (1234, 0o666));
        assert_eq!(fresh.content("app.toml"), b"new");
        assert_eq!(fresh.names("."), [".confseal", "app.toml"]);
        assert!(fresh.names(".confseal").is_empty(), "the journal is gone");
    });
}

#[test]
fn where_the_directory_takes_no_file_the_journal_is_in_the_control_directory() {
    assert!(geteuid().is_root(), "only root can set the scene: a directory of another user");
    let fresh = Fresh::new();
    fresh.put("conf.d/app.toml", "old");
    let root = fresh.store.root();
    let dir = root.open_dir(os("conf.d")).unwrap();
    dir.set_mode(os("app.toml"), 0o666).unwrap();
    root.set_mode(os("."), 0o755).unwrap();
    as_nobody(|| {
        let failed = dir.commit(os("app.toml"), &commit(b"new", b"old")).unwrap_err();
        assert_eq!(
            (failed.step, failed.source.raw_os_error()),
            (Step::Journal, Some(libc::EACCES))
        );
    });
    assert_eq!(fresh.content("conf.d/app.toml"), b"old");
    root.mkdir(os(CONTROL_DIR), 0o777, None).unwrap();
    as_nobody(|| {
        // Dies with the new content in the journal alone.
        let life = || drop(dir.commit(os("app.toml"), &commit(b"new", b"old")));
        assert!(crash::after(Step::Journal, life));
    });
    assert_eq!(fresh.temporaries(CONTROL_DIR).len(), 1);
    assert!(fresh.temporaries("conf.d").is_empty());
    as_nobody(|| {
        dir.commit(os("app.toml"), &commit(b"newer", b"old")).unwrap();
    });
    assert_eq!(fresh.content("conf.d/app.toml"), b"newer");
    assert!(fresh.temporaries(CONTROL_DIR).is_empty());
}

#[test]
fn an_immutable_or_append_only_target_gives_its_errno() {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    let fresh = Fresh::new();
    fresh.put("app.toml", "old");
    let file = File::open(fresh.path("app.toml")).unwrap();
    let plain = ioctl_getflags(&file).expect("a file system with such flags");
    for flag in [IFlags::IMMUTABLE, IFlags::APPEND] {
        ioctl_setflags(&file, plain | flag).expect("root may set them");
        let failed = put(&fresh, b"new", b"old");
        ioctl_setflags(&file, plain).unwrap();
        assert_eq!(failed.unwrap_err().source.raw_os_error(), Some(libc::EPERM));
        assert_eq!(fresh.content("app.toml"), b"old");
        assert_eq!(fresh.names("."), ["app.toml"]);
    }
}

/// A tmpfs of a few pages, unmounted when dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", place.path(), "tmpfs", flags, c"size=64k")
            .expect("root may mount");
        Self(place)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let detach = rustix::mount::UnmountFlags::DETACH;
        let _ = rustix::mount::unmount(self.0.path(), detach);
    }
}

#[test]
fn a_full_store_refuses_and_nothing_changes() {
    for links in [1, 2] {
        let small = Small::new();
        let store = crate::store::Store::open(small.0.path()).unwrap();
        let path = small.0.path().join("app.toml");
        std::fs::write(&path, [b'o'; 5000]).unwrap();
        if links == 2 {
            std::fs::hard_link(&path, small.0.path().join("b")).unwrap();
        }
        // Room for a journal, not for a journal and a longer target.
        let content = [b'n'; 36_000];
        let _fill =
            (links == 1).then(|| std::fs::write(small.0.path().join("fill"), [0; 45_000]).unwrap());
        let before = std::fs::metadata(&path).unwrap();
        let failed = store.root().commit(os("app.toml"), &commit(&content, &[b'o'; 5000]));
        assert_eq!(failed.unwrap_err().source.raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(std::fs::read(&path).unwrap(), [b'o'; 5000]);
        assert_eq!(std::fs::metadata(&path).unwrap().mtime_nsec(), before.mtime_nsec());
        let names = store.root().all_entries().unwrap();
        assert!(names.iter().all(|e| !crate::store::is_reserved(&e.name)), "{names:?}");
    }
}
