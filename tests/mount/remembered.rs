//! Lengths and times of views are remembered over remounts, and never believed of a changed file.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use inotify::{Inotify, WatchMask};

use crate::support::Fixture;

const SHORT: &str = "password = \"hunter2-hunter2\"\n";
const LONG: &str = "password = \"hunter2-hunter22\"\n";

/// Three sealed files whose lengths a first mount has learned: the first two are as long as each
/// other in the store, and not in the mount.
fn learned() -> Fixture {
    let mut fixture = Fixture::new();
    fs::create_dir(fixture.store().join("conf.d")).expect("a directory");
    fixture.put("conf.d/a.toml", SHORT).put("conf.d/b.toml", LONG).put("conf.d/c.toml", SHORT);
    fixture.seal();
    let size = |name: &str| fixture.stored(name).len();
    assert_eq!(size("conf.d/a.toml"), size("conf.d/b.toml"));
    // A stamp younger than two seconds proves nothing, so it is not remembered. Sealing moves the
    // modification time into the future.
    std::thread::sleep(Duration::from_millis(3300));
    fixture.mount();
    assert_eq!(sizes(&fixture), [SHORT.len(), LONG.len(), SHORT.len()]);
    fixture.umount();
    assert!(views(&fixture).exists());
    fixture
}

fn sizes(fixture: &Fixture) -> [usize; 3] {
    ["a", "b", "c"].map(|name| {
        let path = fixture.mnt().join(format!("conf.d/{name}.toml"));
        fs::metadata(path).expect("attributes").size() as usize
    })
}

/// Where this machine remembers them.
fn views(fixture: &Fixture) -> PathBuf {
    let mut stores = fs::read_dir(fixture.state()).expect("the state directory");
    stores.next().expect("a store").expect("its entry").path().join("views")
}

/// Which files in the directory are opened while `act` runs.
fn opened(directory: &Path, act: impl FnOnce()) -> Vec<OsString> {
    let mut inotify = Inotify::init().expect("inotify");
    inotify.watches().add(directory, WatchMask::OPEN).expect("a watch");
    act();
    let mut buffer = [0; 4096];
    match inotify.read_events(&mut buffer) {
        Ok(events) => events.filter_map(|event| Some(event.name?.to_owned())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_walk_after_a_remount_opens_no_file() {
    let mut fixture = learned();
    let before = fixture.stored("conf.d/a.toml");
    fixture.mount();
    let opened = opened(&fixture.store().join("conf.d"), || {
        assert_eq!(sizes(&fixture), [SHORT.len(), LONG.len(), SHORT.len()]);
    });
    assert_eq!(opened, [] as [&str; 0]);
    assert_eq!(fixture.seen("conf.d/b.toml"), LONG);
    assert_eq!(fixture.stored("conf.d/a.toml"), before);
}

#[test]
fn a_file_that_changed_while_nothing_was_mounted_shows_its_new_length() {
    let mut fixture = learned();
    // The same length in the store, and the same modification time.
    let path = |name: &str| fixture.store().join(format!("conf.d/{name}.toml"));
    let before = fs::metadata(path("a")).expect("attributes").modified().expect("a time");
    let other = fs::read(path("b")).expect("sealed");
    fs::write(path("a"), other).expect("a write");
    let file = fs::File::options().write(true).open(path("a")).expect("a file");
    file.set_modified(before).expect("its time");
    drop(file);
    // Another file takes a name.
    fs::rename(path("b"), path("c")).expect("a rename");
    fs::write(path("b"), "password = \"x\"\n").expect("a write");
    fixture.mount();
    assert_eq!(sizes(&fixture), [LONG.len(), 15, LONG.len()]);
    assert_eq!(fixture.seen("conf.d/a.toml"), LONG);
    assert_eq!(fixture.seen("conf.d/c.toml"), LONG);
}

#[test]
fn a_damaged_or_missing_memory_is_done_without() {
    let mut fixture = learned();
    for damage in [
        |path: &Path| fs::write(path, b"confseal views 1, or so").expect("a write"),
        |path: &Path| fs::remove_file(path).expect("a removal"),
    ] {
        damage(&views(&fixture));
        fixture.mount();
        assert_eq!(sizes(&fixture), [SHORT.len(), LONG.len(), SHORT.len()]);
        fixture.umount();
        assert!(views(&fixture).exists());
    }
}

#[test]
fn under_another_policy_every_length_is_found_out_anew() {
    let mut fixture = learned();
    fixture.put(".confseal/policy.toml", "version = 1\n[[file]]\npath = 'x'\nseal = 'whole'\n");
    fixture.mount();
    let opened = opened(&fixture.store().join("conf.d"), || {
        assert_eq!(sizes(&fixture), [SHORT.len(), LONG.len(), SHORT.len()]);
    });
    assert!(!opened.is_empty());
}
