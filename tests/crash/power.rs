//! The power goes while a save is held up at each of its changes, one after the other: what only
//! memory has is lost. What the disk holds then is mounted, its journal is replayed, and confseal
//! mounted over it: each file is wholly old or wholly new, and what `fsync` answered for is there.

use std::fs;

use serde_json::json;

use crate::disk::Disk;
use crate::each_kill::assert_sealed;
use crate::points::{Points, Program, leftovers};
use crate::saves::{Save, World, world};

/// No save makes as many changes.
const MOST: usize = 100;

/// How much the filesystem has written out by itself when the power goes.
#[derive(Clone, Copy, Debug)]
enum WrittenOut {
    /// What it was made to.
    Nothing,
    /// Its journal too: names and attributes, ahead of contents that are not asked for.
    Names,
}

/// The disk at work, and the one that is looked at.
struct Scene {
    disk: Disk,
    after: Disk,
}

impl Scene {
    fn new() -> Self {
        Self::of(Disk::in_memory)
    }

    fn of(disk: fn() -> Disk) -> Self {
        let (disk, after) = (disk(), disk());
        after.detach();
        Self { disk, after }
    }

    /// What a mount shows if the power goes now.
    fn after_a_cut(&mut self) -> World {
        let Self { disk, after } = self;
        disk.cut_power_into(after);
        after.attach();
        after.fixture.mount();
        let seen = world(&after.fixture.mnt());
        crate::eventually("what was left is put right", || leftovers(&after.fixture).is_empty());
        assert_eq!(world(&after.fixture.mnt()), seen, "and that shows nowhere");
        after.fixture.umount();
        assert_sealed(&after.fixture);
        after.detach();
        seen
    }

    /// Cuts the power at each change of `save`, and after its end; says what was left then.
    fn cut_at_each_point(&mut self, save: &Save, written_out: WrittenOut) -> World {
        let mut points = Points::of(&mut self.disk.fixture);
        let mut program = Program::start();
        points.mount(&mut self.disk.fixture);
        let mnt = self.disk.fixture.mnt();
        for n in 1..=MOST {
            save.prepare(&mnt);
            self.disk.sync();
            points.hold_at(n);
            program.begin(&mnt, &save.calls);
            // Over before it came to that: there are no more points.
            let is_held = points.wait_for_hold(|| program.is_done());
            if let WrittenOut::Names = written_out {
                self.disk.sync_names();
            }
            let seen = self.after_a_cut();
            let counted = points.end().expect("the daemon lives");
            let context = format!("{written_out:?} at {n} of {:?}", counted.calls);
            assert!(save.states.contains(&seen), "{context}: {seen:#?}");
            assert_eq!(program.outcome(), Ok(()), "{context}");
            if !is_held {
                assert!(n > 1, "no change at all");
                self.disk.fixture.umount();
                return seen;
            }
        }
        panic!("{MOST} points and no end");
    }
}

/// In one way, or both; the end of it is one of `at_the_end`.
fn survives(save: &Save, one: WrittenOut, at_the_end: &[&World]) {
    let both = vec![WrittenOut::Nothing, WrittenOut::Names];
    for written_out in if crate::tries_all() { both } else { vec![one] } {
        let mut scene = Scene::new();
        let seen = scene.cut_at_each_point(save, written_out);
        assert!(at_the_end.contains(&&seen), "{written_out:?}: {seen:#?}");
    }
}

#[test]
fn of_a_save_with_fsync() {
    let save = Save::written_and_synced();
    survives(&save, WrittenOut::Nothing, &[&save.states[1]]);
}

/// Such a filesystem promises nothing but what is asked for: it lost a file that was synced before
/// it had a name.
#[test]
fn of_a_save_with_fsync_where_no_journal_is() {
    let save = Save::written_and_synced();
    let mut scene = Scene::of(Disk::without_journal);
    let seen = scene.cut_at_each_point(&save, WrittenOut::Nothing);
    assert_eq!(seen, save.states[1]);
}

#[test]
fn of_a_save_without() {
    let save = Save::truncated_and_written();
    // It was not asked to last.
    survives(&save, WrittenOut::Names, &[&save.states[0], &save.states[1]]);
}

#[test]
fn of_a_save_by_rename() {
    let save = Save::renamed_into_place();
    // The rename itself was not asked to last.
    survives(&save, WrittenOut::Nothing, &[&save.states[2], &save.states[3]]);
}

#[test]
fn of_a_file_with_two_names() {
    let mut save = Save::of_two_names();
    save.calls.insert(save.calls.len() - 1, json!(["fsync"]));
    survives(&save, WrittenOut::Names, &[&save.states[1]]);
}

#[test]
fn of_a_rename_that_seals_anew() {
    let save = Save::resealed();
    survives(&save, WrittenOut::Names, &save.states.iter().collect::<Vec<_>>());
}

/// The control: what was written and not asked for is lost, and its name is there.
#[test]
fn a_file_that_is_made_in_the_store_is_empty() {
    let mut scene = Scene::new();
    fs::write(scene.disk.fixture.store().join("notes"), "public: 1\n").unwrap();
    scene.disk.sync_names();
    assert_eq!(scene.after_a_cut()["notes"], Ok(String::new()));
}
