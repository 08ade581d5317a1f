//! Commits to a target that somebody else changes between the draft and the exchange.

use super::*;

/// `event` happens to the target right before the exchange.
fn meanwhile(fresh: &Fresh, event: impl FnOnce()) -> Result<Option<Committed>, CommitError> {
    commit_meanwhile(fresh, &commit(b"new", b"old"), event)
}

fn commit_meanwhile(
    fresh: &Fresh,
    commit: &Commit<'_>,
    event: impl FnOnce(),
) -> Result<Option<Committed>, CommitError> {
    let dir = fresh.store.root();
    let replace = Replace { dir, name: os("app.toml"), commit };
    let target = dir.open_file(os("app.toml"), Access::Read).unwrap();
    let before = Metadata::of(&target).unwrap();
    let mut draft = Draft::begin(dir, TempName::of(b"new", b"old")).unwrap();
    event();
    let done = replace.with_draft(&mut draft, &target, &before);
    if !matches!(done, Ok(Some(_))) {
        draft.discard();
    }
    assert!(fresh.temporaries(".").is_empty());
    done
}

#[test]
fn a_target_that_vanishes_meanwhile_is_put_in_place_again() {
    everywhere(|fresh| {
        fresh.put("app.toml", "old");
        fresh.store.root().set_mode(os("app.toml"), 0o611).unwrap();
        let gone = || std::fs::remove_file(fresh.path("app.toml")).unwrap();
        let done = meanwhile(fresh, gone).unwrap().unwrap();
        assert_eq!((done.metadata.mode, done.conflict), (0o611, None));
        assert_eq!(fresh.content("app.toml"), b"new");
    });
}

#[test]
fn attributes_that_change_meanwhile_are_carried_again() {
    everywhere(|fresh| {
        fresh.put("app.toml", "old");
        let future = Time::now().plus_seconds(1000);
        let done = meanwhile(fresh, || {
            let root = fresh.store.root();
            root.set_mode(os("app.toml"), 0o640).unwrap();
            root.set_times(os("app.toml"), None, Some(SetTime::At(future))).unwrap();
        });
        let done = done.unwrap().unwrap();
        assert_eq!(done.metadata.mode, 0o640);
        assert_eq!(done.metadata.mtime, future.plus_seconds(1));
        assert_eq!(done.conflict, None);
    });
}

#[test]
fn a_version_that_comes_meanwhile_is_kept() {
    everywhere(|fresh| {
        fresh.put("app.toml", "old");
        fresh.put("other", "by rename");
        let done = meanwhile(fresh, || {
            std::fs::rename(fresh.path("other"), fresh.path("app.toml")).unwrap()
        });
        assert!(done.unwrap().unwrap().conflict.is_some());
        assert_eq!(kept(fresh), [b"sealed:by rename"]);
        assert_eq!(fresh.content("app.toml"), b"new");
    });
}

/// Who writes to a file of an overlay's lower layer gives it another body with the same inode number.
#[test]
fn a_version_that_comes_meanwhile_is_kept_on_an_overlay() {
    // A thread of its own, whose mounts go with it.
    let story = || {
        crate::sys::mount::enter_own_mount_namespace().expect("root, for a mount");
        let layers = tempfile::tempdir_in("/dev/shm").unwrap();
        let layer = |name: &str| layers.path().join(name);
        let merged = tempfile::tempdir_in(layers.path()).unwrap();
        for name in ["lower", "upper", "work"] {
            std::fs::create_dir(layer(name)).unwrap();
        }
        std::fs::write(layer("lower").join("app.toml"), "old").unwrap();
        let options = ["lower", "upper", "work"]
            .map(|name| format!("{name}dir={}", layer(name).display()))
            .join(",");
        let options = std::ffi::CString::new(options).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        let point = merged.path().to_owned();
        rustix::mount::mount("overlay", &point, "overlay", flags, options.as_c_str()).unwrap();
        let fresh = Fresh::at(merged, Means::ALL);
        let done = meanwhile(&fresh, || fresh.put("app.toml", "in place"));
        let seen = (done.unwrap().unwrap().conflict, kept(&fresh), fresh.content("app.toml"));
        rustix::mount::unmount(&point, rustix::mount::UnmountFlags::DETACH).unwrap();
        seen
    };
    let (conflict, kept, content) = std::thread::spawn(story).join().unwrap();
    assert!(conflict.is_some());
    assert_eq!(kept, [b"sealed:in place"]);
    assert_eq!(content, b"new");
}

#[test]
fn a_second_name_that_comes_meanwhile_undoes_the_exchange() {
    everywhere(|fresh| {
        fresh.put("app.toml", "old");
        let linked = || std::fs::hard_link(fresh.path("app.toml"), fresh.path("b")).unwrap();
        assert!(meanwhile(fresh, linked).unwrap().is_none());
        assert_eq!(fresh.content("app.toml"), b"old");
        assert_eq!(fresh.store.root().stat(os("b")).unwrap().nlink, 2);
    });
}

#[test]
fn a_directory_that_comes_meanwhile_stays() {
    everywhere(|fresh| {
        fresh.put("app.toml", "old");
        let failed = meanwhile(fresh, || {
            std::fs::remove_file(fresh.path("app.toml")).unwrap();
            std::fs::create_dir(fresh.path("app.toml")).unwrap();
        });
        assert_eq!(failed.unwrap_err().source.raw_os_error(), Some(libc::EISDIR));
        assert!(fresh.path("app.toml").is_dir());
    });
}

#[test]
fn a_commit_that_gives_way_does_not_bring_back_what_was_removed() {
    everywhere(|fresh| {
        fresh.put("app.toml", "old");
        let commit = Commit { on_conflict: OnConflict::GiveWay, ..commit(b"new", b"old") };
        let gone = || std::fs::remove_file(fresh.path("app.toml")).unwrap();
        let refused = commit_meanwhile(fresh, &commit, gone).unwrap_err();
        assert_eq!(refused.source.raw_os_error(), Some(libc::ESTALE));
        assert!(fresh.names(".").is_empty(), "{:?}", fresh.names("."));
    });
}
