//! Sequences of steps, drawn at random.

use proptest::prelude::*;
use proptest::sample::select;

use crate::documents::FORMATS;
use crate::step::{At, Case, Content, FILES, How, MORE_NAMES, SLOTS, Step, When};

/// Cases of up to `longest` steps.
pub(crate) fn cases(longest: usize) -> impl Strategy<Value = Case> {
    let all: Vec<usize> = (0..FORMATS.len() + MORE_NAMES.len()).collect();
    let names = Just(all).prop_shuffle().prop_map(|mut names| {
        names.truncate(FILES);
        names
    });
    let steps = prop::collection::vec(step(), 1..=longest);
    (names, steps).prop_map(|(names, steps)| {
        // Most steps are about descriptors: so that these do something from the first.
        let open = |(slot, at)| Step::Open { slot, at: At(at), flags: libc::O_RDWR, mode: 0 };
        let steps = [(0, 0), (1, 5), (2, 1)].map(open).into_iter().chain(steps).collect();
        Case { names, steps }
    })
}

fn place() -> impl Strategy<Value = At> {
    prop_oneof![6 => 0..5u8, 5 => 5..8u8, 2 => 8..10u8, 2 => 10..12u8, 2 => 12..14u8].prop_map(At)
}

/// Where something is to come to stand.
fn target() -> impl Strategy<Value = At> {
    prop_oneof![20 => place(), 1 => Just(At(14))]
}

fn slot() -> impl Strategy<Value = u8> {
    0..SLOTS
}

/// Not shrunk: its marks tell one document from the other.
fn seed() -> impl Strategy<Value = u32> {
    // Some of a few: files that hold the same secrets are sealed with each other's tokens.
    prop_oneof![3 => any::<u32>(), 1 => 0..3u32].no_shrink()
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        6 => seed().prop_map(Content::Own),
        1 => (0..FORMATS.len() as u8, seed()).prop_map(|(format, seed)| Content::Of(format, seed)),
        2 => (seed(), 0..600u16).prop_map(|(seed, len)| Content::Part(seed, len)),
        1 => (0..300u16).prop_map(Content::Text),
        1 => prop_oneof![0..300u16, Just(9000)].prop_map(Content::Binary),
    ]
}

/// Positions about the size of the documents, some far behind them.
fn offset() -> impl Strategy<Value = u16> {
    prop_oneof![2 => Just(0), 8 => 0..400u16, 1 => 4000..9000u16]
}

fn flags() -> impl Strategy<Value = i32> {
    let access = select(vec![libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR, libc::O_RDWR]);
    let creation =
        select(vec![0, libc::O_CREAT, libc::O_CREAT, libc::O_CREAT, libc::O_CREAT | libc::O_EXCL]);
    let more = select(vec![
        0,
        0,
        0,
        0,
        0,
        libc::O_TRUNC,
        libc::O_APPEND,
        libc::O_APPEND | libc::O_TRUNC,
        libc::O_SYNC,
        libc::O_NOFOLLOW,
        libc::O_DIRECTORY,
        libc::O_NOFOLLOW | libc::O_DIRECTORY,
    ]);
    (access, creation, more).prop_map(|(access, creation, more)| access | creation | more)
}

fn mode() -> impl Strategy<Value = u32> {
    select(vec![0o644, 0o600, 0o640, 0o755, 0o400, 0o000, 0o666, 0o4755, 0o2755, 0o6711, 0o1777])
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![1 => Just(When::Omit), 1 => Just(When::Now), 2 => any::<u8>().prop_map(When::At)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        9 => on_open_files(),
        3 => whole_files(),
        6 => names(),
        3 => attributes(),
        2 => Just(Step::Look),
        1 => Just(Step::LookInto),
    ]
}

fn on_open_files() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (slot(), target(), flags(), mode())
            .prop_map(|(slot, at, flags, mode)| Step::Open { slot, at, flags, mode }),
        1 => slot().prop_map(|slot| Step::Close { slot }),
        1 => (slot(), slot()).prop_map(|(slot, to)| Step::Dup { slot, to }),
        2 => (slot(), 0..900u16).prop_map(|(slot, len)| Step::Read { slot, len }),
        2 => (slot(), offset(), 0..900u16)
            .prop_map(|(slot, offset, len)| Step::ReadAt { slot, offset, len }),
        4 => (slot(), content()).prop_map(|(slot, content)| Step::Write { slot, content }),
        3 => (slot(), offset(), content())
            .prop_map(|(slot, offset, content)| Step::WriteAt { slot, offset, content }),
        1 => (slot(), 0..5u8, offset())
            .prop_map(|(slot, whence, offset)| Step::Seek { slot, whence, offset }),
        2 => (slot(), offset()).prop_map(|(slot, len)| Step::SetLen { slot, len }),
        2 => (slot(), 0..4u8, offset(), 0..500u16)
            .prop_map(|(slot, mode, offset, len)| Step::Allocate { slot, mode, offset, len }),
        2 => (slot(), any::<bool>()).prop_map(|(slot, data_only)| Step::Sync { slot, data_only }),
        1 => (slot(), mode()).prop_map(|(slot, mode)| Step::ModeOfOpen { slot, mode }),
        1 => (slot(), when(), when()).prop_map(|(slot, accessed, modified)| Step::TimesOfOpen {
            slot,
            accessed,
            modified
        }),
        1 => (slot(), slot(), 0..600u16)
            .prop_map(|(from, to, len)| Step::CopyRange { from, to, len }),
    ]
}

fn whole_files() -> impl Strategy<Value = Step> {
    let suffix = select(vec!["~", ".tmp", ".new", ";5f3a09bc", "XXq7Zk"]);
    prop_oneof![
        3 => (target(), content()).prop_map(|(at, content)| Step::Save { at, content }),
        1 => (place(), content()).prop_map(|(at, content)| Step::Append { at, content }),
        2 => (place(), suffix, content())
            .prop_map(|(at, suffix, content)| Step::SaveByRename { at, suffix, content }),
        1 => place().prop_map(|at| Step::ReadAll { at }),
        1 => (place(), 0..400u16, any::<u8>(), any::<bool>())
            .prop_map(|(at, offset, len, flush)| Step::MapWrite { at, offset, len, flush }),
        1 => (place(), offset()).prop_map(|(at, len)| Step::Truncate { at, len }),
    ]
}

fn names() -> impl Strategy<Value = Step> {
    let how = select(vec![How::Plain, How::Plain, How::Plain, How::NoReplace, How::Exchange]);
    prop_oneof![
        6 => (place(), target(), how).prop_map(|(from, to, how)| Step::Rename { from, to, how }),
        3 => (place(), target()).prop_map(|(from, to)| Step::Link { from, to }),
        2 => (place(), target()).prop_map(|(to, at)| Step::Symlink { to, at }),
        1 => place().prop_map(|at| Step::ReadLink { at }),
        3 => target().prop_map(|at| Step::Unlink { at }),
        2 => (target(), mode()).prop_map(|(at, mode)| Step::MakeDir { at, mode }),
        1 => target().prop_map(|at| Step::RemoveDir { at }),
        1 => (target(), mode()).prop_map(|(at, mode)| Step::MakeFifo { at, mode }),
    ]
}

fn attributes() -> impl Strategy<Value = Step> {
    let owner = || prop_oneof![Just(None), (0..3u8).prop_map(Some)];
    prop_oneof![
        2 => (place(), mode()).prop_map(|(at, mode)| Step::Mode { at, mode }),
        1 => (place(), owner(), owner()).prop_map(|(at, uid, gid)| Step::Owner { at, uid, gid }),
        2 => (place(), any::<bool>(), when(), when()).prop_map(
            |(at, follow, accessed, modified)| Step::Times { at, follow, accessed, modified }
        ),
        2 => (place(), 0..2u8, any::<u8>(), select(vec![0, 0, 1, 2]))
            .prop_map(|(at, name, value, flags)| Step::SetAttribute { at, name, value, flags }),
        1 => (place(), 0..2u8).prop_map(|(at, name)| Step::GetAttribute { at, name }),
        1 => place().prop_map(|at| Step::ListAttributes { at }),
        1 => (place(), 0..2u8).prop_map(|(at, name)| Step::RemoveAttribute { at, name }),
        1 => place().prop_map(|at| Step::List { at }),
    ]
}
