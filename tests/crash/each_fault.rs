//! Each system call by which a save changes the store fails, one after the other: with a full disk,
//! a broken one, a used-up quota, a filesystem that turned read-only; once, or from then on. The
//! program hears of it at the call that POSIX says, or the save takes place all the same; the old
//! version stays in the store, what was written stays readable, and once the fault has passed, it
//! can be saved. Nothing leaks on the way.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::disk::Disk;
use crate::each_kill::assert_sealed;
use crate::points::{Counted, Failed, Points, Program, kept, leftovers};
use crate::saves::{BYSTANDER, Save, world};
use crate::support::{Fixture, collect};

/// What a store answers when it cannot take more.
const ERRNOS: [i32; 4] = [libc::ENOSPC, libc::EIO, libc::EDQUOT, libc::EROFS];

/// No save makes as many calls.
const MOST: usize = 500;

/// How a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// One change fails.
    Once(i32),
    /// It fails, and all that follow it until the program has heard of it.
    From(i32),
    /// One call fails, and may be one that reads.
    OfAny(i32),
}

impl Fault {
    fn errno(self) -> i32 {
        match self {
            Fault::Once(errno) | Fault::From(errno) | Fault::OfAny(errno) => errno,
        }
    }

    fn all() -> Vec<Self> {
        let changes = ERRNOS.into_iter().flat_map(|errno| [Fault::Once(errno), Fault::From(errno)]);
        changes.chain([Fault::OfAny(libc::EIO)]).collect()
    }

    /// Each way once.
    const SOME: [Self; 3] =
        [Self::Once(libc::ENOSPC), Self::From(libc::EROFS), Self::OfAny(libc::EIO)];
}

/// What the store holds, but for confseal's own files: each file's name and bytes.
fn stored(fixture: &Fixture) -> BTreeMap<String, Vec<u8>> {
    let mut files = Vec::new();
    collect(&fixture.store(), &mut files);
    let relative = |file: &PathBuf| {
        file.strip_prefix(fixture.store()).expect("below it").to_string_lossy().into_owned()
    };
    let all = files.iter().map(|file| (relative(file), fs::read(file).expect("a file")));
    all.filter(|(name, _)| !name.contains(".confseal")).collect()
}

/// A save under fault, in a mount that goes on through all of it.
struct Scene<'a> {
    fixture: &'a mut Fixture,
    points: Points,
    program: Program,
    save: &'a Save,
    /// How many faults the program heard of.
    heard: usize,
}

impl<'a> Scene<'a> {
    fn new(fixture: &'a mut Fixture, save: &'a Save) -> Self {
        let mut points = Points::of(fixture);
        points.mount(fixture);
        Self { fixture, points, program: Program::start(), save, heard: 0 }
    }

    /// One fault after the other until the save is through before it comes.
    fn fail_at_each_point(&mut self, fault: Fault) {
        for n in 1..=MOST {
            if !self.fail_at(n, fault) {
                return;
            }
        }
        panic!("{MOST} points and no end");
    }

    /// Saves while the `n`th call fails; says whether it came to that.
    fn fail_at(&mut self, n: usize, fault: Fault) -> bool {
        let mnt = self.fixture.mnt();
        self.save.prepare(&mnt);
        let before = stored(self.fixture);
        match fault {
            Fault::Once(errno) => self.points.fail_at(n, errno, false),
            Fault::From(errno) => self.points.fail_at(n, errno, true),
            Fault::OfAny(errno) => self.points.fail_read_at(n, errno),
        }
        let outcome = self.program.run(&mnt, &self.save.calls);
        let after = stored(self.fixture);
        let counted = self.points.end().expect("the daemon lives");
        let context = Context { n, fault, counted: &counted };
        assert_sealed(self.fixture);
        let came = counted.calls.len() >= n;
        let seen = world(&mnt);
        match outcome {
            Ok(()) => assert_eq!(seen, *self.save.states.last().unwrap(), "{context}"),
            Err(failed) => {
                assert!(came, "{context}: {failed:?}");
                self.heard += 1;
                self.check_failure(&failed, &before, &after, &context);
                self.save_again(&failed, &context);
            }
        }
        let left = leftovers(self.fixture);
        if context.forbids_removal() {
            // For the next mount: see `end`. The next point is to find the store as this one did.
            left.iter().for_each(|file| fs::remove_file(file).unwrap());
        } else {
            assert_eq!(left, Vec::<PathBuf>::new(), "{context}");
        }
        came
    }

    fn check_failure(
        &self,
        failed: &Failed,
        before: &BTreeMap<String, Vec<u8>>,
        after: &BTreeMap<String, Vec<u8>>,
        context: &Context<'_>,
    ) {
        if self.save.is_of_all {
            // A rewrap goes on with the other files, and tells in words what failed.
            return assert_eq!(world(&self.fixture.mnt()), self.save.states[0], "{context}");
        }
        assert_eq!(failed.errno, context.fault.errno(), "{context}: {failed:?}");
        let last = self.save.calls.iter().rposition(|call| call[0] == *failed.call);
        assert!(last.is_some(), "{context}: {failed:?}");
        let seen = world(&self.fixture.mnt());
        assert!(self.save.states.contains(&seen), "{context}: {failed:?}: {seen:#?}");
        if matches!(&*failed.call, "close" | "fsync") {
            let written = self.save.states.iter().rev();
            let written = written.take(2).any(|state| *state == seen);
            assert!(written, "{context}: what was written can be read: {seen:#?}");
        }
        if context.keeps_old(failed) {
            for (name, bytes) in before {
                assert!(after.get(name) == Some(bytes), "{context}: {failed:?}: {name} stays");
            }
            assert_eq!(after.len(), before.len() + self.made(failed), "{context}: {failed:?}");
        }
    }

    /// How many files the program had made before the call that failed.
    fn made(&self, failed: &Failed) -> usize {
        let before = self.save.calls.iter().take_while(|call| call[0] != *failed.call);
        before.filter(|call| call[0] == "open" && call[2] == "new").count()
    }

    /// The fault is gone: what failed, and what comes after it, gets through.
    fn save_again(&mut self, failed: &Failed, context: &Context<'_>) {
        let calls = &self.save.calls;
        let at = calls.iter().position(|call| call[0] == *failed.call).expect("one of them");
        let mut again: Vec<Value> = calls[at..].to_vec();
        if failed.call == "close" {
            let reopened =
                [json!(["open", self.save.target, "update"]), json!(["fsync"]), json!(["close"])];
            again.splice(0..1, reopened);
        }
        let mnt = self.fixture.mnt();
        let outcome = self.program.run(&mnt, &again);
        assert_eq!(outcome, Ok(()), "{context}\n{}", self.fixture.log());
        assert_eq!(world(&mnt), *self.save.states.last().unwrap(), "{context}: saved");
        assert_sealed(self.fixture);
    }

    /// Ends the mount; another one shows the same, and puts right what was left.
    fn end(mut self) -> usize {
        let mnt = self.fixture.mnt();
        self.save.prepare(&mnt);
        let bystander = self.fixture.stored(BYSTANDER);
        self.fixture.umount();
        assert_sealed(self.fixture);
        self.points.mount(self.fixture);
        assert_eq!(world(&mnt), self.save.states[0]);
        crate::eventually("what was left is put right", || leftovers(self.fixture).is_empty());
        assert_eq!(self.fixture.stored(BYSTANDER), bystander);
        self.fixture.umount();
        self.heard
    }
}

/// For messages: which fault it was.
struct Context<'a> {
    n: usize,
    fault: Fault,
    counted: &'a Counted,
}

impl Context<'_> {
    /// The call that failed.
    fn call(&self) -> Option<&str> {
        Some(self.counted.calls.get(self.n - 1)?.as_str())
    }

    /// Whether the store has to hold what it held. Not when what was to undo a change failed as
    /// well, nor when a rename is there and only its durability is not: a program's own `fsync` that
    /// fails has changed nothing. And a close that failed is followed by the release, which tries
    /// once more.
    fn keeps_old(&self, failed: &Failed) -> bool {
        let before = &self.counted.calls[..self.n - 1];
        let has_changed = || before.iter().any(|call| call == "renameat2" || call == "fallocate");
        match self.fault {
            Fault::From(_) => !has_changed(),
            Fault::Once(_) | Fault::OfAny(_) => {
                let is_rename = failed.call != "fsync";
                failed.call != "close"
                    && !(is_rename && self.call() == Some("fsync") && has_changed())
            }
        }
    }

    fn forbids_removal(&self) -> bool {
        matches!(self.fault, Fault::From(_)) || self.call() == Some("unlinkat")
    }
}

impl std::fmt::Display for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {} of {:?}", self.fault, self.n, self.counted.calls)
    }
}

/// On a disk of its own.
fn fails_well(save: &Save) {
    let mut disk = Disk::in_memory();
    let mut scene = Scene::new(&mut disk.fixture, save);
    let some = if save.is_of_all { &Fault::SOME[..2] } else { &Fault::SOME };
    for fault in if crate::tries_all() { Fault::all() } else { some.to_vec() } {
        scene.fail_at_each_point(fault);
    }
    assert!(scene.end() > 0, "no fault reached the program");
    let kept = kept(&disk.fixture);
    // A rewrite in place that cannot be undone leaves what is neither old nor new.
    let torn = |name: &String| !save.links.is_empty() && name.starts_with("app.toml");
    assert!(kept.iter().all(torn), "nothing was unexpected: {kept:?}");
}

#[test]
fn of_a_save_by_truncating_and_writing() {
    fails_well(&Save::truncated_and_written());
}

#[test]
fn of_a_save_with_fsync() {
    fails_well(&Save::written_and_synced());
}

#[test]
fn of_a_save_by_patching() {
    fails_well(&Save::patched());
}

#[test]
fn of_a_save_by_appending() {
    fails_well(&Save::appended());
}

#[test]
fn of_a_whole_sealed_file() {
    fails_well(&Save::sealed_whole());
}

#[test]
fn of_a_new_file() {
    fails_well(&Save::made());
}

#[test]
fn of_a_save_by_rename() {
    fails_well(&Save::renamed_into_place());
}

#[test]
fn of_a_rename_over_a_file() {
    fails_well(&Save::renamed_over());
}

#[test]
fn of_an_exchange() {
    fails_well(&Save::exchanged());
}

#[test]
fn of_a_removal() {
    fails_well(&Save::removed());
}

#[test]
fn of_a_rename_that_seals_anew() {
    fails_well(&Save::resealed());
}

#[test]
fn of_a_rename_that_seals_anew_over_a_file() {
    fails_well(&Save::resealed_over());
}

#[test]
fn of_a_file_with_two_names() {
    fails_well(&Save::of_two_names());
}

/// What could not be done is counted and told; the rest is done, and the next rewrap does it all.
#[test]
fn of_a_rewrap() {
    fails_well(&Save::rewrapped());
}
