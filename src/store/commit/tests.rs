//! Commits, on the disk and on tmpfs, with and without what a filesystem may lack.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;

use rustix::fs::XattrFlags;
use rustix::process::geteuid;

use super::super::step::crash;
use super::super::temporary::Means;
use super::super::testing::*;
use super::super::{FileKind, SetTime};
use super::*;

mod crashes;
mod meanwhile;
mod races;
mod refused;

fn commit<'a>(content: &'a [u8], expected: &'a [u8]) -> Commit<'a> {
    let mtime = MtimeRule::NotBefore(Time::now());
    let (expected, on_conflict) = (Some(expected), OnConflict::Keep);
    Commit {
        content,
        expected,
        moved_from: None,
        on_conflict,
        durable: false,
        mtime,
        seal_kept: &seal,
    }
}

fn put(fresh: &Fresh, content: &[u8], expected: &[u8]) -> Result<Committed, CommitError> {
    fresh.store.root().commit(os("app.toml"), &commit(content, expected))
}

/// Runs `story` wherever commits may have to work.
fn everywhere(story: impl Fn(&Fresh)) {
    for (unnamed, exchange) in [(true, true), (false, true), (true, false), (false, false)] {
        on_each_filesystem(Means { unnamed, exchange }, &story);
    }
}

fn kept(fresh: &Fresh) -> Vec<Vec<u8>> {
    let names = fresh.store.kept().unwrap();
    names.iter().map(|name| fresh.store.read_kept(name).unwrap()).collect()
}

#[test]
fn a_commit_replaces_content_and_leaves_nothing_beside_it() {
    everywhere(|fresh| {
        fresh.put("app.toml", "old");
        for durable in [false, true] {
            let old = fresh.content("app.toml");
            let commit = Commit { durable, ..commit(b"new, and longer", &old) };
            let done = fresh.store.root().commit(os("app.toml"), &commit).unwrap();
            assert_eq!(fresh.content("app.toml"), b"new, and longer");
            let now = fresh.store.root().stat(os("app.toml")).unwrap();
            assert_eq!(done.metadata.stamp(), now.stamp());
            assert_eq!(done.conflict, None);
            assert_eq!(fresh.names("."), ["app.toml"]);
        }
        put(fresh, b"", b"new, and longer").unwrap();
        assert_eq!(fresh.content("app.toml"), b"");
    });
}

#[test]
fn mode_owner_attributes_and_acl_are_carried_over() {
    everywhere(|fresh| {
        fresh.put("app.toml", "old");
        let root = fresh.store.root();
        let name = os("app.toml");
        if geteuid().is_root() {
            root.set_owner(name, Some(1234), Some(4321)).unwrap();
        }
        root.place(name).unwrap().set_xattr(os("user.note"), b"kept", XattrFlags::empty()).unwrap();
        // user::rw- user:7:r-- group::r-- mask::r-- other::---
        let entry = |tag: u16, perm: u16, id: u32| {
            [&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let none = u32::MAX;
        let entries = [
            entry(1, 6, none),
            entry(2, 4, 7),
            entry(4, 4, none),
            entry(16, 4, none),
            entry(32, 0, none),
        ];
        let acl = [2u32.to_le_bytes().to_vec(), entries.concat()].concat();
        root.place(name)
            .unwrap()
            .set_xattr(os("system.posix_acl_access"), &acl, XattrFlags::empty())
            .unwrap();
        let before = root.stat(name).unwrap();
        // New files are born with an ACL of their own here, which the target has not.
        root.place(os("."))
            .unwrap()
            .set_xattr(os("system.posix_acl_default"), &acl, XattrFlags::empty())
            .unwrap();

        put(fresh, b"new", b"old").unwrap();
        let after = root.stat(name).unwrap();
        let dress = |m: &Metadata| (m.uid, m.gid, m.mode, m.kind, m.nlink);
        assert_eq!(dress(&after), dress(&before));
        assert_eq!(root.place(name).unwrap().get_xattr(os("user.note")).unwrap(), b"kept");
        assert_eq!(
            root.place(name).unwrap().get_xattr(os("system.posix_acl_access")).unwrap(),
            acl
        );

        root.place(name).unwrap().remove_xattr(os("system.posix_acl_access")).unwrap();
        root.set_mode(name, 0o604).unwrap();
        put(fresh, b"newer", b"new").unwrap();
        assert_eq!(root.place(name).unwrap().list_xattr().unwrap(), b"user.note\0");
        assert_eq!(root.stat(name).unwrap().mode, 0o604);
    });
}

#[test]
fn every_commit_is_at_least_a_second_later() {
    everywhere(|fresh| {
        fresh.put("app.toml", "0");
        let root = fresh.store.root();
        let mut last = root.stat(os("app.toml")).unwrap().mtime;
        for n in 1..5u8 {
            let now = put(fresh, &[n], &fresh.content("app.toml")).unwrap().metadata.mtime;
            assert!(now >= last.plus_seconds(1), "{now:?} after {last:?}");
            last = now;
        }
        let old = Time { sec: 1_000_000_000, nsec: 5 };
        root.set_times(os("app.toml"), None, Some(SetTime::At(old))).unwrap();
        let rewrap = Commit { mtime: MtimeRule::JustLater, ..commit(b"r", &[4]) };
        let done = root.commit(os("app.toml"), &rewrap).unwrap();
        assert_eq!(done.metadata.mtime, old.plus_seconds(1));
        let before = Time::now();
        assert!(put(fresh, b"s", b"r").unwrap().metadata.mtime >= before);
    });
}

#[test]
fn an_unexpected_version_is_kept_sealed_and_reported() {
    everywhere(|fresh| {
        fresh.put("app.toml", "somebody else's");
        let done = put(fresh, b"new", b"as last read").unwrap();
        assert_eq!(fresh.content("app.toml"), b"new");
        let name = done.conflict.unwrap();
        assert!(name.starts_with("app.toml."), "{name}");
        assert_eq!(fresh.store.read_kept(&name).unwrap(), b"sealed:somebody else's");
        assert_eq!(fresh.store.kept().unwrap(), [name]);
        assert!(fresh.temporaries(".").is_empty());
    });
}

#[test]
fn a_version_that_cannot_be_kept_stays_where_it_is() {
    everywhere(|fresh| {
        for links in [1, 2] {
            fresh.put("app.toml", "somebody else's");
            if links == 2 {
                fresh.store.root().link(os("app.toml"), fresh.store.root(), os("b")).unwrap();
            }
            let no_key = |_: &[u8]| Err(Errno::IO.into());
            let commit = Commit { seal_kept: &no_key, ..commit(b"new", b"as last read") };
            let failed = fresh.store.root().commit(os("app.toml"), &commit).unwrap_err();
            assert_eq!((failed.step, failed.took_place()), (Step::Keep, false));
            assert_eq!(io::Error::from(failed).raw_os_error(), Some(libc::EIO));
            assert_eq!(fresh.content("app.toml"), b"somebody else's");
            assert!(fresh.temporaries(".").is_empty());
        }
    });
}

#[test]
fn a_file_with_two_names_is_rewritten_in_place() {
    everywhere(|fresh| {
        for (new, expected) in [("new, and longer", "old"), ("n", "old")] {
            fresh.put("app.toml", "old");
            let root = fresh.store.root();
            root.link(os("app.toml"), root, os("b")).unwrap();
            let before = root.stat(os("app.toml")).unwrap();
            let done = put(fresh, new.as_bytes(), expected.as_bytes()).unwrap();
            assert_eq!((done.metadata.ino, done.metadata.nlink), (before.ino, 2));
            assert!(done.metadata.mtime >= before.mtime.plus_seconds(1));
            assert_eq!(done.metadata.stamp(), root.stat(os("b")).unwrap().stamp());
            assert_eq!(fresh.content("app.toml"), new.as_bytes());
            assert_eq!(fresh.content("b"), new.as_bytes());
            assert_eq!(done.conflict, None);
            assert_eq!(fresh.names("."), [".confseal", "app.toml", "b"]);
            assert!(fresh.names(".confseal").is_empty(), "the journal is gone");
            root.unlink(os("b")).unwrap();
        }
    });
}

#[test]
fn a_conflict_in_place_is_kept_too() {
    let fresh = Fresh::new();
    fresh.put("app.toml", "somebody else's");
    std::fs::hard_link(fresh.path("app.toml"), fresh.path("b")).unwrap();
    assert!(put(&fresh, b"new", b"as last read").unwrap().conflict.is_some());
    assert_eq!(kept(&fresh), [b"sealed:somebody else's"]);
    assert_eq!(fresh.content("b"), b"new");
}

#[test]
fn a_writer_that_is_still_at_work_makes_the_commit_fail_or_is_kept() {
    let fresh = Fresh::new();
    fresh.put("app.toml", "old");
    let mut writer = OpenOptions::new().append(true).open(fresh.path("app.toml")).unwrap();
    writer.write_all(b" and more").unwrap();
    let done = put(&fresh, b"new", b"old").unwrap();
    assert!(done.conflict.is_some());
    assert_eq!(kept(&fresh), [b"sealed:old and more"]);
}

#[test]
fn a_recovery_beside_commits_touches_nothing_of_theirs() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let fresh = Fresh::new();
    fresh.put("app.toml", "0");
    fresh.put("linked", "0");
    std::fs::hard_link(fresh.path("linked"), fresh.path("link")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let recovering = threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let done = fresh.store.recover(&|_, bytes| seal(bytes)).unwrap();
                let touched = (done.removed, done.redone, done.kept.len(), done.failed.len());
                assert_eq!(touched, (0, 0, 0, 0), "{done:?}");
            }
        });
        for name in ["app.toml", "linked"] {
            for n in 1..100 {
                let (new, old) = (n.to_string(), (n - 1).to_string());
                let commit = commit(new.as_bytes(), old.as_bytes());
                let done = fresh.store.root().commit(os(name), &commit).unwrap();
                assert_eq!(done.conflict, None);
            }
        }
        stop.store(true, Ordering::Relaxed);
        recovering.join().unwrap();
    });
    assert_eq!((fresh.content("app.toml"), fresh.content("link")), (b"99".into(), b"99".into()));
}

#[test]
fn an_old_descriptor_keeps_what_it_had() {
    let fresh = Fresh::new();
    fresh.put("app.toml", "old");
    let file = fresh.store.root().open_file(os("app.toml"), Access::Read).unwrap();
    put(&fresh, b"new", b"old").unwrap();
    let mut bytes = [0; 3];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"old");
}

#[test]
fn a_commit_that_gives_way_leaves_an_unexpected_version_where_it_is() {
    everywhere(|fresh| {
        fresh.put("app.toml", "theirs");
        let commit = Commit { on_conflict: OnConflict::GiveWay, ..commit(b"ours", b"old") };
        let error = fresh.store.root().commit(os("app.toml"), &commit).unwrap_err();
        assert_eq!(error.source.raw_os_error(), Some(libc::ESTALE));
        assert_eq!(fresh.content("app.toml"), b"theirs");
        assert!(kept(fresh).is_empty());
        assert_eq!(fresh.names("."), ["app.toml"]);
    });
}

#[test]
fn a_rename_takes_the_moved_from_its_source_and_the_time_that_is_given() {
    everywhere(|fresh| {
        fresh.put("app.toml", "old");
        let root = fresh.store.root();
        root.set_mode(os("app.toml"), 0o604).unwrap();
        let time = Time { sec: 1_000_000_000, nsec: 5 };
        for (name, expected) in [("app.toml", Some(&b"old"[..])), ("other.toml", None)] {
            fresh.put("new", "unsealed");
            root.set_mode(os("new"), 0o640).unwrap();
            let commit = Commit {
                expected,
                moved_from: Some((root, os("new"))),
                mtime: MtimeRule::Exactly(time),
                ..commit(b"sealed", b"")
            };
            let done = root.commit(os(name), &commit).unwrap();
            assert_eq!(done.conflict, None);
            assert_eq!((done.metadata.mode, done.metadata.mtime), (0o640, time));
            assert_eq!(fresh.content(name), b"sealed");
        }
        assert_eq!(fresh.names("."), ["app.toml", "other.toml"]);
    });
}

#[test]
fn what_must_not_exist_is_not_replaced_unless_that_is_asked_for() {
    everywhere(|fresh| {
        fresh.put("new", "unsealed");
        std::os::unix::fs::symlink("new", fresh.path("app.toml")).unwrap();
        let root = fresh.store.root();
        let commit = |on_conflict| Commit {
            expected: None,
            moved_from: Some((root, os("new"))),
            on_conflict,
            ..commit(b"sealed", b"")
        };
        let error = root.commit(os("app.toml"), &commit(OnConflict::Keep)).unwrap_err();
        assert_eq!(error.source.raw_os_error(), Some(libc::EEXIST));
        assert_eq!(root.stat(os("app.toml")).unwrap().kind, FileKind::Symlink);
        root.commit(os("app.toml"), &commit(OnConflict::Replace)).unwrap();
        assert_eq!(root.stat(os("app.toml")).unwrap().kind, FileKind::File);
        assert_eq!(fresh.content("app.toml"), b"sealed");
        assert_eq!(fresh.names("."), ["app.toml"]);
    });
}
