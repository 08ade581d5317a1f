//! Every kind of leftover.

use std::os::unix::fs::MetadataExt;

use super::super::testing::*;
use super::*;

const NEW: &[u8] = b"new content";
const OLD: &[u8] = b"old content";

fn recover(fresh: &Fresh) -> Recovery {
    fresh.reopened().recover(&|_, bytes| seal(bytes)).unwrap()
}

/// What a recovery did, in numbers: removed, kept, redone, failed.
fn counts(done: &Recovery) -> (usize, usize, usize, usize) {
    (done.removed, done.kept.len(), done.redone, done.failed.len())
}

fn temporary(dir: &str) -> String {
    format!("{dir}{}", TempName::of(NEW, OLD))
}

/// Leaves the journal of a rewrite of `conf.d/app.toml`, which holds `now`.
fn leave_journal(fresh: &Fresh, now: &[u8], body: &[u8]) -> String {
    fresh.put("conf.d/app.toml", now);
    let ino = std::fs::metadata(fresh.path("conf.d/app.toml")).unwrap().ino();
    let name = format!("conf.d/{}", TempName { in_place: true, ..TempName::of(NEW, OLD) });
    let header = format!("confseal journal 1\n{ino} 8\napp.toml\n");
    fresh.put(&name, [header.as_bytes(), body].concat());
    name
}

#[test]
fn nothing_left_nothing_done() {
    let fresh = Fresh::new();
    fresh.put("a/b/app.toml", OLD);
    assert_eq!(counts(&recover(&fresh)), (0, 0, 0, 0));
    assert_eq!(fresh.names("."), ["a"]);
}

#[test]
fn a_temporary_with_the_new_or_the_old_content_is_deleted() {
    for content in [NEW, OLD, b""] {
        let fresh = Fresh::new();
        fresh.put("conf.d/app.toml", OLD);
        fresh.put(&temporary("conf.d/"), content);
        assert_eq!(counts(&recover(&fresh)), (1, 0, 0, 0));
        assert_eq!(fresh.names("conf.d"), ["app.toml"]);
        assert_eq!(fresh.content("conf.d/app.toml"), OLD);
    }
}

#[test]
fn a_displaced_version_is_kept_under_its_files_name() {
    let fresh = Fresh::new();
    fresh.put("conf.d/app.toml", NEW);
    fresh.put(&temporary("conf.d/"), "somebody else's");
    let done = fresh
        .reopened()
        .recover(&|path, bytes| {
            assert_eq!(path.as_bytes(), b"conf.d/app.toml");
            seal(bytes)
        })
        .unwrap();
    assert_eq!(counts(&done), (0, 1, 0, 0));
    assert!(done.kept[0].starts_with("conf.d%2Fapp.toml."));
    assert_eq!(fresh.store.read_kept(&done.kept[0]).unwrap(), b"sealed:somebody else's");
    assert_eq!(fresh.names("conf.d"), ["app.toml"]);
}

#[test]
fn what_cannot_be_sealed_stays_and_the_rest_is_dealt_with() {
    let fresh = Fresh::new();
    fresh.put(&temporary("a/"), "unknown");
    fresh.put(&temporary("b/"), NEW);
    let done = fresh.reopened().recover(&|_, _| Err(Errno::NOKEY.into())).unwrap();
    assert_eq!(counts(&done), (1, 0, 0, 1));
    assert_eq!(done.failed[0].0.as_bytes(), temporary("a/").as_bytes());
    assert_eq!(fresh.content(&temporary("a/")), b"unknown");
    assert!(fresh.names("b").is_empty());
}

#[test]
fn a_name_not_of_our_making_is_kept_as_it_is_called() {
    let fresh = Fresh::new();
    fresh.put(".confseal-tmp.note", "by hand");
    std::fs::create_dir(fresh.path(".confseal-tmp.dir")).unwrap();
    let done = recover(&fresh);
    assert_eq!(counts(&done), (0, 1, 0, 1));
    assert_eq!(done.failed[0].1.raw_os_error(), Some(libc::EISDIR));
    assert!(done.kept[0].starts_with("%2Econfseal-tmp.note."));
    assert_eq!(fresh.store.kept().unwrap(), done.kept);
}

#[test]
fn a_torn_file_is_kept_and_made_whole_from_its_journal() {
    let fresh = Fresh::new();
    let name = leave_journal(&fresh, b"new contold content", NEW);
    std::fs::hard_link(fresh.path("conf.d/app.toml"), fresh.path("link")).unwrap();
    let done = recover(&fresh);
    assert_eq!(counts(&done), (0, 1, 1, 0));
    assert_eq!((fresh.content("conf.d/app.toml"), fresh.content("link")), (NEW.into(), NEW.into()));
    assert_eq!(fresh.store.read_kept(&done.kept[0]).unwrap(), b"sealed:new contold content");
    assert!(!fresh.path(&name).exists());
}

#[test]
fn a_journal_not_begun_or_done_is_deleted() {
    for now in [NEW, OLD] {
        let fresh = Fresh::new();
        leave_journal(&fresh, now, NEW);
        assert_eq!(counts(&recover(&fresh)), (1, 0, 0, 0));
        assert_eq!(fresh.content("conf.d/app.toml"), now);
        assert_eq!(fresh.names("conf.d"), ["app.toml"]);
    }
}

#[test]
fn a_journal_that_is_not_whole_mends_nothing() {
    let fresh = Fresh::new();
    leave_journal(&fresh, b"whatever", &NEW[..4]);
    assert_eq!(counts(&recover(&fresh)), (0, 1, 0, 0));
    assert_eq!(fresh.content("conf.d/app.toml"), b"whatever");
    assert_eq!(fresh.names("conf.d"), ["app.toml"]);
}

#[test]
fn a_journal_of_another_users_making_mends_nothing() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can set the scene
    }
    let fresh = Fresh::new();
    let name = leave_journal(&fresh, b"whatever", NEW);
    std::os::unix::fs::chown(fresh.path(&name), Some(1234), None).unwrap();
    assert_eq!(counts(&recover(&fresh)), (0, 1, 0, 0));
    assert_eq!(fresh.content("conf.d/app.toml"), b"whatever");
}

#[test]
fn a_target_replaced_or_removed_since_is_left_alone() {
    for replaced in [true, false] {
        let fresh = Fresh::new();
        leave_journal(&fresh, b"torn", NEW);
        if replaced {
            fresh.put("by hand", "mended");
            std::fs::rename(fresh.path("by hand"), fresh.path("conf.d/app.toml")).unwrap();
        } else {
            std::fs::remove_file(fresh.path("conf.d/app.toml")).unwrap();
        }
        let done = recover(&fresh);
        assert_eq!(counts(&done), (0, 1, 0, 0));
        assert_eq!(fresh.store.read_kept(&done.kept[0]).unwrap(), b"sealed:new content");
        let left: &[&str] = if replaced { &["app.toml"] } else { &[] };
        assert_eq!(fresh.names("conf.d"), left);
        if replaced {
            assert_eq!(fresh.content("conf.d/app.toml"), b"mended");
        }
    }
}

#[test]
fn a_journal_in_the_control_directory_names_its_target_from_the_root() {
    let fresh = Fresh::new();
    let name = leave_journal(&fresh, b"torn", NEW);
    let bytes = fresh.content(&name);
    let bytes = bytes.strip_prefix(b"confseal journal 1\n").unwrap();
    let ino = bytes.split(|b| *b == b' ').next().unwrap();
    std::fs::remove_file(fresh.path(&name)).unwrap();
    let name = name.replace("conf.d", CONTROL_DIR);
    let header = [b"confseal journal 1\n", ino, b" 15\nconf.d/app.toml\n"].concat();
    fresh.put(&name, [&header, NEW].concat());
    assert_eq!(counts(&recover(&fresh)), (0, 1, 1, 0));
    assert_eq!(fresh.content("conf.d/app.toml"), NEW);
    assert!(!fresh.path(&name).exists());
}

#[test]
fn unplaced_state_in_the_control_directory_is_deleted() {
    let fresh = Fresh::new();
    fresh.store.write_state("sealed", b"x").unwrap();
    fresh.store.keep(&RelPath::new("a").unwrap(), b"x").unwrap();
    for dir in [".confseal/", ".confseal/kept/"] {
        fresh.put(&temporary(dir), "half of it");
    }
    assert_eq!(counts(&recover(&fresh)), (2, 0, 0, 0));
    assert_eq!(fresh.names(CONTROL_DIR), ["kept", "sealed"]);
    assert_eq!(fresh.store.kept().unwrap().len(), 1);
}

#[test]
fn a_new_save_before_the_recovery_wins_over_the_journal() {
    let fresh = Fresh::new();
    leave_journal(&fresh, b"torn", NEW);
    std::fs::hard_link(fresh.path("conf.d/app.toml"), fresh.path("link")).unwrap();
    let store = fresh.reopened();
    let commit = super::super::Commit {
        content: b"the app's next save",
        expected: Some(b"torn"),
        moved_from: None,
        on_conflict: crate::store::OnConflict::Keep,
        durable: false,
        mtime: super::super::MtimeRule::NotBefore(crate::store::Time::now()),
        seal_kept: &seal,
    };
    store.root().open_dir(os("conf.d")).unwrap().commit(os("app.toml"), &commit).unwrap();
    assert_eq!(counts(&store.recover(&|_, bytes| seal(bytes)).unwrap()), (0, 0, 0, 0));
    assert_eq!(fresh.content("link"), b"the app's next save");
}
