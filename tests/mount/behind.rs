//! The store changed behind the mount: a `git pull`, an operator's edit.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

use crate::calls::names;
use crate::support::Fixture;

/// How soon a change has to be seen; it takes some milliseconds.
const SOON: Duration = Duration::from_secs(2);

const OLD: &str = "name = \"old\"\npassword = \"hunter2-hunter2\"\n";
const NEW: &str = "name = \"much newer\"\npassword = \"hunter3-hunter3\"\nport = 5432\n";

/// A mount in which `app.toml` and `conf.d/app.toml` have been read.
fn read_once() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", OLD).put("conf.d/app.toml", OLD).mount();
    for name in ["app.toml", "conf.d/app.toml"] {
        assert_eq!(fixture.seen(name), OLD);
    }
    fixture
}

/// Waits until `seen`, which may look only at what the kernel may have cached.
fn soon(what: &str, seen: impl Fn() -> bool) {
    let start = Instant::now();
    while !seen() {
        assert!(start.elapsed() < SOON, "{what} is not seen in time");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_open_never_shows_what_the_store_no_longer_holds() {
    let fixture = read_once();
    for n in 0..200 {
        // Longer and shorter in turn: the kernel must not go by the size it knows.
        let text = format!("{}n = {n}\n", if n % 2 == 0 { NEW } else { OLD });
        for name in ["app.toml", "conf.d/app.toml"] {
            fs::write(fixture.store().join(name), &text).unwrap();
            assert_eq!(fixture.seen(name), text);
        }
    }
}

#[test]
fn an_open_after_a_replacement_shows_the_new_file() {
    let fixture = read_once();
    for n in 0..200 {
        let text = format!("{}n = {n}\n", if n % 2 == 0 { NEW } else { OLD });
        fs::write(fixture.store().join("new"), &text).unwrap();
        fs::rename(fixture.store().join("new"), fixture.store().join("app.toml")).unwrap();
        assert_eq!(fixture.seen("app.toml"), text);
    }
}

#[test]
fn an_open_descriptor_follows_a_change_in_place() {
    let fixture = read_once();
    for name in ["app.toml", "conf.d/app.toml"] {
        let file = File::open(fixture.mnt().join(name)).unwrap();
        let mut start = [0; 10];
        file.read_exact_at(&mut start, 0).unwrap();
        fs::write(fixture.store().join(name), NEW).unwrap();
        let mut text = vec![0; NEW.len()];
        soon(name, || {
            file.read_at(&mut text.clone(), 0).unwrap() == NEW.len()
                && file.metadata().unwrap().size() == NEW.len() as u64
        });
        file.read_exact_at(&mut text, 0).unwrap();
        assert_eq!(text, NEW.as_bytes());
    }
}

#[test]
fn an_open_descriptor_keeps_a_file_that_was_replaced_or_removed() {
    let fixture = read_once();
    for (name, remove) in [("app.toml", false), ("conf.d/app.toml", true)] {
        let file = File::open(fixture.mnt().join(name)).unwrap();
        let (stored, seen) = (fixture.store().join(name), fixture.mnt().join(name));
        if remove {
            fs::remove_file(&stored).unwrap();
            soon("the removal", || fs::symlink_metadata(&seen).is_err());
        } else {
            fs::write(fixture.store().join("new"), NEW).unwrap();
            fs::rename(fixture.store().join("new"), &stored).unwrap();
            soon("the new file", || fs::metadata(&seen).unwrap().size() == NEW.len() as u64);
        }
        let mut text = vec![0; OLD.len()];
        file.read_exact_at(&mut text, 0).unwrap();
        assert_eq!(text, OLD.as_bytes());
    }
}

#[test]
fn a_secret_that_appears_in_the_store_in_the_clear_is_reported() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", OLD).seal().mount();
    let status = || -> serde_json::Value {
        serde_json::from_str(&fixture.seen(".confseal/status")).unwrap()
    };
    assert_eq!(status()["in_the_clear"], serde_json::json!([]));
    for (name, text) in [("app.toml", NEW), ("conf.toml", OLD)] {
        fs::write(fixture.store().join(name), text).unwrap();
    }
    let clear = |file| serde_json::json!({ "file": file, "field": "password" });
    let expected = serde_json::json!([clear("app.toml"), clear("conf.toml")]);
    assert_eq!(status()["in_the_clear"], expected);
    assert_eq!(fixture.metric("in_the_clear", ""), 2);
    fs::OpenOptions::new()
        .append(true)
        .open(fixture.mnt().join("app.toml"))
        .unwrap()
        .write_all(b"# saved\n")
        .unwrap();
    assert_eq!(status()["in_the_clear"], serde_json::json!([clear("conf.toml")]));
}

#[test]
fn names_come_and_go() {
    let fixture = read_once();
    let (store, mnt) = (fixture.store(), fixture.mnt());
    assert!(!mnt.join("later.toml").exists() && !mnt.join("dir").exists());
    fs::write(store.join("later.toml"), OLD).unwrap();
    soon("a new file", || mnt.join("later.toml").exists());
    assert_eq!(fixture.seen("later.toml"), OLD);
    fs::create_dir(store.join("dir")).unwrap();
    fs::write(store.join("dir/x.toml"), NEW).unwrap();
    soon("a new directory", || mnt.join("dir/x.toml").exists());
    assert_eq!(names(&mnt), ["app.toml", "conf.d", "dir", "later.toml"]);
    fs::rename(store.join("later.toml"), store.join("dir/moved.toml")).unwrap();
    soon("a rename", || !mnt.join("later.toml").exists() && mnt.join("dir/moved.toml").exists());
    assert_eq!(fixture.seen("dir/moved.toml"), OLD);
    fs::rename(store.join("dir"), store.join("other")).unwrap();
    soon("a directory's rename", || !mnt.join("dir").exists() && mnt.join("other").exists());
    assert_eq!(fixture.seen("other/x.toml"), NEW);
    fs::remove_dir_all(store.join("other")).unwrap();
    soon("a removal", || !mnt.join("other").exists());
    assert_eq!(names(&mnt), ["app.toml", "conf.d"]);
    fs::create_dir(store.join("other")).unwrap();
    fs::write(store.join("other/x.toml"), OLD).unwrap();
    soon("the directory made anew", || mnt.join("other/x.toml").exists());
    fs::write(store.join("other/x.toml"), NEW).unwrap();
    assert_eq!(fixture.seen("other/x.toml"), NEW);
}

#[test]
fn modes_follow_the_store() {
    let fixture = read_once();
    for name in ["app.toml", "conf.d/app.toml", "conf.d"] {
        let mode = |mode| fs::Permissions::from_mode(mode);
        fs::set_permissions(fixture.store().join(name), mode(0o711)).unwrap();
        let seen = || fs::metadata(fixture.mnt().join(name)).unwrap().mode() & 0o7777;
        soon(name, || seen() == 0o711);
        // An open in between must not keep the kernel from hearing of it.
        if name.ends_with("toml") {
            fs::set_permissions(fixture.store().join(name), mode(0o604)).unwrap();
            File::open(fixture.mnt().join(name)).unwrap();
            soon(name, || seen() == 0o604);
        }
    }
}

#[test]
fn a_version_written_meanwhile_is_kept_aside_not_lost() {
    use std::io::Write;
    let fixture = read_once();
    let mut file =
        fs::OpenOptions::new().append(true).open(fixture.mnt().join("app.toml")).unwrap();
    file.write_all(b"mine = 1\n").unwrap();
    fs::write(fixture.store().join("app.toml"), NEW).unwrap();
    drop(file);
    assert_eq!(fixture.seen("app.toml"), format!("{OLD}mine = 1\n"));
    let kept = names(&fixture.store().join(".confseal/kept"));
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(fixture.seen(".confseal/status").contains(&kept[0]));
    let stored = fixture.stored(&format!(".confseal/kept/{}", kept[0]));
    assert!(stored.starts_with("ENC:") && !stored.contains("hunter3"));
}

#[test]
fn a_tree_that_is_pulled_in_is_seen_at_once() {
    let fixture = read_once();
    for n in 0..60 {
        let dir = fixture.store().join(format!("d{n}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("a.toml"), format!("n = {n}\n")).unwrap();
    }
    for n in 0..60 {
        assert_eq!(fixture.seen(&format!("d{n}/a.toml")), format!("n = {n}\n"));
        fs::write(fixture.store().join(format!("d{n}/a.toml")), format!("later = {n}\n")).unwrap();
        assert_eq!(fixture.seen(&format!("d{n}/a.toml")), format!("later = {n}\n"));
    }
}

#[test]
fn what_was_written_to_a_file_that_is_replaced_behind_is_kept_sealed() {
    let mut fixture = read_once();
    let path = fixture.mnt().join("app.toml");
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    file.write_all(b"password = \"CANARY-written-in-vain\"\n").unwrap();
    let new = fixture.store().join("conf.d/new");
    fs::write(&new, NEW).unwrap();
    fs::rename(new, fixture.store().join("app.toml")).unwrap();
    // A close that comes before the replacement is noticed is a conflict: another test's story.
    soon("the new file", || fixture.seen("app.toml") == NEW);
    drop(file);
    assert_eq!(fixture.seen("app.toml"), NEW);
    let status = fs::read_to_string(fixture.mnt().join(".confseal/status")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert!(status["kept"][0].as_str().unwrap().starts_with("app.toml."), "{status}");
    fixture.assert_sealed(&["CANARY-written-in-vain"]);
    fixture.umount();
}

#[test]
fn a_file_of_several_names_loses_any_of_them() {
    let fixture = read_once();
    let at = |name: &str| fixture.mnt().join(name);
    for name in ["second.toml", "third.toml", "conf.d/fourth.toml"] {
        fs::hard_link(at("app.toml"), at(name)).unwrap();
        assert_eq!(fixture.seen(name), OLD);
    }
    fs::write(fixture.store().join("new"), NEW).unwrap();
    fs::rename(fixture.store().join("new"), fixture.store().join("second.toml")).unwrap();
    soon("the other file", || fixture.seen("second.toml") == NEW);
    for gone in ["third.toml", "conf.d/fourth.toml"] {
        fs::remove_file(fixture.store().join(gone)).unwrap();
        soon("the removal", || !at(gone).exists());
        fs::write(at(gone), "port = 1\n").unwrap();
        assert_eq!(fixture.stored(gone), "port = 1\n");
    }
    assert_eq!(fixture.seen("app.toml"), OLD);
    assert_eq!(fs::metadata(at("app.toml")).unwrap().nlink(), 1);
}

#[test]
fn an_open_by_any_of_several_names_never_reaches_a_file_that_lost_it() {
    let fixture = read_once();
    let at = |name: &str| fixture.mnt().join(name);
    for n in 0..50 {
        let (other, text) = (format!("other-{n}.toml"), format!("n = {n}\n"));
        fs::hard_link(at("app.toml"), at(&other)).unwrap();
        assert_eq!(fixture.seen(&other), OLD);
        fs::remove_file(fixture.store().join(&other)).unwrap();
        if n % 2 == 0 {
            fs::write(fixture.store().join(&other), &text).unwrap();
            assert_eq!(fixture.seen(&other), text);
        } else {
            fs::write(at(&other), &text).unwrap();
            assert_eq!(fixture.stored(&other), text);
        }
        assert_eq!(fixture.seen("app.toml"), OLD);
    }
}
