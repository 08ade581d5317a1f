//! The daemon is killed before each system call by which a save changes the store, one after the
//! other until the save gets through: after each of them, that is. Every file is wholly old or
//! wholly new, nothing stands in the clear, and the next mount puts right what was left.

use std::fs;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::points::{Points, Program, kept, leftovers};
use crate::saves::{BYSTANDER, CANARY, Save, world};
use crate::support::{Fixture, collect, holds, sh};

/// No save makes as many changes.
const MOST: usize = 300;

/// What the kills of one save have shown.
struct Shown {
    /// The changes after each of which the daemon was killed, and before the first.
    calls: Vec<String>,
    /// How often something was left for the next mount.
    leftovers: usize,
    /// Which of the save's states a crash left.
    states: Vec<bool>,
    /// Versions that were kept aside.
    kept: Vec<String>,
}

/// Kills at every point of `save` in a fixture.
fn kill_at_each_point(fixture: &mut Fixture, save: &Save) -> Shown {
    let mut points = Points::of(fixture);
    let mut program = Program::start();
    let mnt = fixture.mnt();
    let states = vec![false; save.states.len()];
    let mut shown = Shown { calls: Vec::new(), leftovers: 0, states, kept: Vec::new() };
    points.mount(fixture);
    for n in 1..=MOST {
        save.prepare(&mnt);
        let bystander = fixture.stored(BYSTANDER);
        points.kill_at(n);
        let outcome = program.run(&mnt, &save.calls);
        if let Some(counted) = points.end() {
            assert_eq!(outcome, Ok(()), "the save gets through after {:?}", counted.calls);
            // After the last change, too.
            fixture.kill();
            assert_sealed(fixture);
            points.mount(fixture);
            assert_eq!(world(&mnt), *save.states.last().unwrap());
            fixture.umount();
            assert_sealed(fixture);
            shown.states[save.states.len() - 1] = true;
            shown.calls = counted.calls;
            shown.kept = kept(fixture);
            return shown;
        }
        fixture.wait_end().expect("the daemon's end");
        fixture.clear_mounts();
        // What it has open stands in a mount that is gone: the error is not of interest.
        let _ = program.run(Path::new("/"), &[serde_json::json!(["close"])]);

        assert_sealed(fixture);
        shown.leftovers += usize::from(!leftovers(fixture).is_empty());
        points.mount(fixture);
        let seen = world(&mnt);
        let is_clean = || leftovers(fixture).is_empty();
        crate::eventually("what was left is put right", is_clean);
        assert_eq!(world(&mnt), seen, "and that shows nowhere, at point {n}");
        let state = save.states.iter().position(|state| *state == seen);
        let state = state.unwrap_or_else(|| panic!("at point {n}: {seen:#?}\n{}", fixture.log()));
        shown.states[state] = true;
        assert!(save.is_of_all || fixture.stored(BYSTANDER) == bystander, "untouched, at {n}");
    }
    panic!("{MOST} points and no end");
}

/// The daemon is killed while it puts right what was left, too, at one change more each time.
#[test]
fn of_what_puts_a_torn_file_right() {
    let mut disk = Disk::in_memory();
    let fixture = &mut disk.fixture;
    let save = Save::of_two_names();
    let mut points = Points::of(fixture);
    let mut program = Program::start();
    let mnt = fixture.mnt();
    let mut kills = 0;
    // In between, the file is torn: see `JOURNAL`.
    for n in 5..=13 {
        points.mount(fixture);
        save.prepare(&mnt);
        points.kill_at(n);
        let _ = program.run(&mnt, &save.calls);
        fixture.wait_end().expect("the daemon's end");
        fixture.clear_mounts();
        let _ = program.run(Path::new("/"), &[serde_json::json!(["close"])]);
        for m in 1..=MOST {
            points.start_mount_killed_at(fixture, m);
            let stands = || mnt.join(".confseal/control").exists();
            crate::eventually("the mount, or its end", || {
                fixture.has_ended() || (stands() && leftovers(fixture).is_empty())
            });
            assert_sealed(fixture);
            if points.end().is_some() {
                break;
            }
            kills += 1;
            fixture.wait_end().expect("the daemon's end");
            fixture.clear_mounts();
        }
        let seen = world(&mnt);
        assert!(save.states.contains(&seen), "at point {n}: {seen:#?}\n{}", fixture.log());
        assert_eq!(leftovers(fixture), Vec::<PathBuf>::new());
        fixture.umount();
    }
    assert!(kills > 20, "only {kills} kills");
}

/// Neither the store nor what the machine remembers of it holds a secret.
pub fn assert_sealed(fixture: &Fixture) {
    fixture.assert_sealed(&[CANARY]);
    let mut files = Vec::new();
    collect(&fixture.state(), &mut files);
    assert!(!files.is_empty(), "the machine remembers the store");
    for file in files {
        assert!(!holds(&fs::read(&file).unwrap(), CANARY), "{}", file.display());
    }
}

/// Kills at each point on a disk of its own. `calls`: system calls that are among the points,
/// in this order; else this looks at something other than the save.
fn survives(save: &Save, calls: &[&str]) -> Shown {
    let mut disk = Disk::in_memory();
    let shown = kill_at_each_point(&mut disk.fixture, save);
    println!("{} leftovers, {:?}, {:?}", shown.leftovers, shown.states, shown.calls);
    let mut all = shown.calls.iter();
    for call in calls {
        assert!(all.any(|one| one == call), "no {call} in {:?}", shown.calls);
    }
    assert!(shown.states.iter().all(|seen| *seen), "a state that is never left is none");
    shown
}

/// The same; no version is kept aside, for none is torn or unexpected.
fn survives_whole(save: &Save, calls: &[&str]) {
    assert_eq!(survives(save, calls).kept, Vec::<PathBuf>::new());
}

/// How content comes to its place, in brief.
const COMMIT: [&str; 5] = ["openat2", "pwrite64", "linkat", "renameat2", "unlinkat"];

#[test]
fn of_a_save_by_truncating_and_writing() {
    survives_whole(&Save::truncated_and_written(), &COMMIT);
}

#[test]
fn of_a_save_with_fsync() {
    let durably =
        ["openat2", "pwrite64", "sync_file_range", "linkat", "renameat2", "fsync", "unlinkat"];
    survives_whole(&Save::written_and_synced(), &durably);
}

#[test]
fn of_a_save_by_patching() {
    survives_whole(&Save::patched(), &COMMIT);
}

#[test]
fn of_a_save_by_appending() {
    survives_whole(&Save::appended(), &COMMIT);
}

#[test]
fn of_a_whole_sealed_file() {
    survives_whole(&Save::sealed_whole(), &COMMIT);
}

#[test]
fn of_a_new_file() {
    survives_whole(&Save::made(), &COMMIT);
}

#[test]
fn of_a_save_by_rename() {
    survives_whole(
        &Save::renamed_into_place(),
        &["pwrite64", "linkat", "renameat2", "fsync", "renameat2"],
    );
}

#[test]
fn of_a_rename_over_a_file() {
    survives_whole(&Save::renamed_over(), &["renameat2"]);
}

#[test]
fn of_an_exchange() {
    survives_whole(&Save::exchanged(), &["renameat2"]);
}

#[test]
fn of_a_removal() {
    survives_whole(&Save::removed(), &["unlinkat"]);
}

#[test]
fn of_a_rename_that_seals_anew() {
    survives_whole(&Save::resealed(), &["pwrite64", "linkat", "renameat2", "unlinkat"]);
}

#[test]
fn of_a_rename_that_seals_anew_over_a_file() {
    survives_whole(&Save::resealed_over(), &COMMIT);
}

/// In place, behind a journal.
const JOURNAL: [&str; 7] =
    ["pwrite64", "sync_file_range", "linkat", "fsync", "pwrite64", "ftruncate", "unlinkat"];

#[test]
fn of_a_file_with_two_names() {
    let shown = survives(&Save::of_two_names(), &JOURNAL);
    assert!(shown.kept.iter().all(|name| name.starts_with("app.toml")), "{:?}", shown.kept);
}

#[test]
fn of_a_rewrap() {
    survives(&Save::rewrapped(), &JOURNAL);
}

#[test]
fn of_a_file_in_a_directory_that_takes_no_new_one() {
    let mut disk = Disk::in_memory();
    let fixed = disk.fixture.store().join("fixed");
    fs::create_dir(&fixed).unwrap();
    let save = Save::in_a_fixed_directory();
    for (name, text) in &save.before {
        fs::write(disk.fixture.store().join(name), text).unwrap();
    }
    disk.fixture.seal();
    sh(disk.fixture.dir(), &format!("chattr +i '{}'", fixed.display()));
    let shown = kill_at_each_point(&mut disk.fixture, &save);
    println!("{} leftovers, {:?}, {:?}", shown.leftovers, shown.states, shown.calls);
    assert!(shown.kept.iter().all(|name| name.contains("app.toml")), "{:?}", shown.kept);
}
