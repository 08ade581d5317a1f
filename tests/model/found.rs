//! Cases that once ended differently in the mount, each by itself.

use crate::play::{Tally, play};
use crate::step::{At, Case, Content, How, Step, When};

/// Plays `steps` with a file of each of the first seven formats.
fn plays(steps: Vec<Step>) {
    let case = Case { names: (0..7).collect(), steps };
    if let Err(different) = play(&case, &Tally::default()) {
        panic!("{different}\n{case:?}");
    }
}

fn open(slot: u8, at: At, flags: i32) -> Step {
    Step::Open { slot, at, flags, mode: 0o644 }
}

#[test]
fn a_file_opened_for_reading_can_be_emptied_by_it() {
    plays(vec![open(0, At(5), libc::O_RDONLY | libc::O_TRUNC), open(1, At(0), libc::O_RDONLY)]);
}

#[test]
fn a_write_moves_ctime_before_it_is_committed() {
    let flags = libc::O_WRONLY | libc::O_TRUNC;
    plays(vec![open(0, At(5), flags), Step::Look]);
    let write = Step::Write { slot: 0, content: Content::Own(5) };
    plays(vec![open(0, At(0), libc::O_RDWR), Step::Look, write, Step::Look]);
}

#[test]
fn a_change_of_owner_to_nobody_moves_ctime() {
    let owner = Step::Owner { at: At(8), uid: None, gid: None };
    plays(vec![Step::Look, owner, Step::Look]);
}

#[test]
fn a_name_less_moves_ctime() {
    let file = || open(0, At(9), libc::O_RDONLY | libc::O_CREAT);
    plays(vec![file(), Step::Look, Step::Unlink { at: At(9) }, Step::Look]);
    let over = Step::Rename { from: At(5), to: At(9), how: How::Plain };
    plays(vec![file(), Step::Look, over, Step::Look]);
    let link = Step::Symlink { to: At(1), at: At(12) };
    let over = Step::Rename { from: At(12), to: At(9), how: How::Plain };
    plays(vec![file(), link, Step::Look, over, Step::Look]);
}

#[test]
fn a_pipe_that_is_open_keeps_its_attributes_without_a_name() {
    let pipe = || Step::MakeFifo { at: At(12), mode: 0o644 };
    let file = || open(0, At(12), libc::O_RDWR);
    plays(vec![
        pipe(),
        file(),
        Step::Unlink { at: At(12) },
        Step::Look,
        Step::ModeOfOpen { slot: 0, mode: 0o600 },
        Step::TimesOfOpen { slot: 0, accessed: When::Omit, modified: When::At(3) },
        Step::Look,
    ]);
    let over = Step::Rename { from: At(0), to: At(12), how: How::Plain };
    plays(vec![pipe(), file(), over, Step::Look]);
}

#[test]
fn a_file_without_a_name_shows_the_time_of_its_last_write() {
    plays(vec![
        open(0, At(3), libc::O_RDONLY | libc::O_CREAT),
        Step::Save { at: At(3), content: Content::Own(5) },
        Step::Look,
        Step::Unlink { at: At(3) },
        Step::Look,
    ]);
}
