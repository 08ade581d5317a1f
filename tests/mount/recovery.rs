//! What a crash left beside its files is dealt with behind the mount, and cannot be seen in it.

use std::fs;

use crate::support::Fixture;

/// An empty leftover says nothing: it goes.
const LEFTOVER: &str = ".confseal-tmp.0123456789abcdef.fedcba9876543210";

#[test]
fn leftovers_go_while_the_mount_serves() {
    let mut fixture = Fixture::new();
    let leftovers = ["", "a/", "a/b/c/"].map(|dir| format!("{dir}{LEFTOVER}"));
    for leftover in &leftovers {
        fixture.put(leftover, "");
    }
    fixture.put("a/other", "no file of ours").put(&format!("a/{LEFTOVER}.1"), "of unknown origin");
    fixture.mount();
    let listed = fs::read_dir(fixture.mnt().join("a")).expect("a listing");
    let listed: Vec<_> = listed.map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(listed.iter().all(|name| !name.to_string_lossy().contains("confseal-tmp")));
    let status = fixture.mnt().join(".confseal/status");
    let is_done = || fs::read_to_string(&status).is_ok_and(|s| s.contains("\"recovered\": true"));
    fixture.wait_for("the end of the recovery", is_done);
    for leftover in leftovers.iter().chain([&format!("a/{LEFTOVER}.1")]) {
        assert!(!fixture.store().join(leftover).exists(), "{leftover}");
    }
    let kept = fs::read_dir(fixture.store().join(".confseal/kept")).expect("the kept versions");
    assert_eq!(kept.count(), 1);
    fixture.assert_sealed(&["of unknown origin"]);
}

#[test]
fn a_directory_that_holds_only_a_leftover_is_empty() {
    let mut fixture = Fixture::new();
    fs::create_dir(fixture.store().join("from")).expect("a directory");
    // Enough before them to find the recovery at work, if it is to be found.
    for n in 0..200 {
        fixture.put(&format!("d{n:03}/x"), "");
    }
    for directory in ["removed", "replaced"] {
        fixture.put(&format!("{directory}/{LEFTOVER}"), "");
    }
    fixture.mount();
    fs::remove_dir(fixture.mnt().join("removed")).expect("an empty directory");
    fs::rename(fixture.mnt().join("from"), fixture.mnt().join("replaced")).expect("a rename");
    assert!(!fixture.store().join("removed").exists());
    fs::remove_dir(fixture.mnt().join("d000")).expect_err("it holds a file");
}
