//! What a program may do to a directory, drawn at random: one operation, its place and arguments.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::select;

use crate::documents::{FORMATS, document};

/// Names besides those of [`FORMATS`], and the format whose documents usually stand there.
const MORE_NAMES: [(&str, Option<usize>); 9] = [
    ("app.toml.bak", Some(0)),
    ("app.json~", Some(1)),
    (".app.toml.swp", Some(0)),
    ("other.yaml", Some(2)),
    ("x.conf", Some(4)),
    ("x.service", Some(9)),
    ("notes.txt", None),
    ("data.bin", None),
    ("server.key", None),
];

/// How many files one case plays with.
const FILES: usize = 7;

/// How many descriptors may be open at a time.
pub(crate) const SLOTS: u8 = 4;

/// The directory of every case, and one in it.
pub(crate) const DIR: &str = "d";
const DEEP: &str = "d/e";

/// Ours in every store: no program may make such a name.
pub(crate) const RESERVED: &str = ".confseal-tmp.x";

/// A sequence, and the names it is about.
#[derive(Clone)]
pub(crate) struct Case {
    /// Which names, as numbers into both lists.
    pub names: Vec<usize>,
    /// What is done.
    pub steps: Vec<Step>,
}

/// A name in the tree: a number that [`Case::path`] makes a path of.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct At(pub u8);

/// What a write brings.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A document as its name promises, with marks from this seed.
    Own(u32),
    /// A document of another format.
    Of(u8, u32),
    /// The front of such a document: a save that has come half way.
    Part(u32, u16),
    /// Prose.
    Text(u16),
    /// Bytes of no encoding.
    Binary(u16),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Plain,
    NoReplace,
    Exchange,
}

/// A time to set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Omit,
    Now,
    /// So many seconds after one that no clock here shows.
    At(u8),
}

/// The first second of [`When::At`].
pub(crate) const EPOCH: i64 = 1_000_000_000;

/// One operation.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// `open`; `flags` are those of `fcntl.h`.
    Open {
        slot: u8,
        at: At,
        flags: i32,
        mode: u32,
    },
    Close {
        slot: u8,
    },
    Dup {
        slot: u8,
        to: u8,
    },
    Read {
        slot: u8,
        len: u16,
    },
    ReadAt {
        slot: u8,
        offset: u16,
        len: u16,
    },
    Write {
        slot: u8,
        content: Content,
    },
    WriteAt {
        slot: u8,
        offset: u16,
        content: Content,
    },
    Seek {
        slot: u8,
        whence: u8,
        offset: u16,
    },
    SetLen {
        slot: u8,
        len: u16,
    },
    Allocate {
        slot: u8,
        mode: u8,
        offset: u16,
        len: u16,
    },
    Sync {
        slot: u8,
        data_only: bool,
    },
    ModeOfOpen {
        slot: u8,
        mode: u32,
    },
    TimesOfOpen {
        slot: u8,
        accessed: When,
        modified: When,
    },
    CopyRange {
        from: u8,
        to: u8,
        len: u16,
    },
    /// Create or empty, write, close: as a shell's redirect.
    Save {
        at: At,
        content: Content,
    },
    /// Append and close.
    Append {
        at: At,
        content: Content,
    },
    /// Write beside, fsync, rename over.
    SaveByRename {
        at: At,
        suffix: &'static str,
        content: Content,
    },
    ReadAll {
        at: At,
    },
    MapWrite {
        at: At,
        offset: u16,
        len: u8,
        flush: bool,
    },
    Truncate {
        at: At,
        len: u16,
    },
    Rename {
        from: At,
        to: At,
        how: How,
    },
    Link {
        from: At,
        to: At,
    },
    Symlink {
        to: At,
        at: At,
    },
    ReadLink {
        at: At,
    },
    Unlink {
        at: At,
    },
    MakeDir {
        at: At,
        mode: u32,
    },
    RemoveDir {
        at: At,
    },
    MakeFifo {
        at: At,
        mode: u32,
    },
    Mode {
        at: At,
        mode: u32,
    },
    Owner {
        at: At,
        uid: Option<u8>,
        gid: Option<u8>,
    },
    Times {
        at: At,
        follow: bool,
        accessed: When,
        modified: When,
    },
    SetAttribute {
        at: At,
        name: u8,
        value: u8,
        flags: u8,
    },
    GetAttribute {
        at: At,
        name: u8,
    },
    ListAttributes {
        at: At,
    },
    RemoveAttribute {
        at: At,
        name: u8,
    },
    List {
        at: At,
    },
    /// Everything is compared: names, attributes, times, identities.
    Look,
    /// And the content of every file.
    LookInto,
}

/// As Rust: what fails can be kept as a test.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "names: vec!{:?},", self.names)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "    Step::{step:?}, // {number}")?;
        }
        let paths = (0..15).map(At).map(|at| format!("{} {}", at.0, self.path(at)));
        write!(f, "where: {}", paths.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "At({})", self.0)
    }
}

impl Case {
    /// The path of a place: files in the tree's root, in a directory, deeper; those two
    /// directories; a name that is never taken at first; a reserved one.
    pub(crate) fn path(&self, At(at): At) -> String {
        let name = |n: usize| self.name(n).0;
        match at as usize {
            n @ 0..=4 => name(n).to_owned(),
            n @ 5..=7 => format!("{DIR}/{}", name(n - 4)),
            8 => format!("{DEEP}/{}", name(0)),
            9 => format!("{DEEP}/{}", name(6)),
            10 => DIR.to_owned(),
            11 => DEEP.to_owned(),
            12 => "free".to_owned(),
            13 => format!("{DIR}/free"),
            _ => format!("{DIR}/{RESERVED}"),
        }
    }

    /// The bytes of `content` for the file at a place.
    pub(crate) fn bytes(&self, content: &Content, at: At) -> Vec<u8> {
        match *content {
            Content::Own(seed) => document(self.format_at(at), seed).into_bytes(),
            Content::Of(format, seed) => document(format.into(), seed).into_bytes(),
            Content::Part(seed, len) => {
                let mut bytes = document(self.format_at(at), seed).into_bytes();
                bytes.truncate(usize::from(len) % bytes.len());
                bytes
            }
            Content::Text(len) => {
                b"All work and no play.\n".iter().copied().cycle().take(len.into()).collect()
            }
            Content::Binary(len) => (0..len).map(|n| (n.wrapping_mul(167) >> 3) as u8).collect(),
        }
    }

    fn format_at(&self, At(at): At) -> usize {
        let n = match at as usize {
            n @ 0..=4 => n,
            n @ 5..=7 => n - 4,
            9 => 6,
            _ => 0,
        };
        self.name(n).1.unwrap_or(0)
    }

    fn name(&self, n: usize) -> (&'static str, Option<usize>) {
        let number = self.names[n];
        match number.checked_sub(FORMATS.len()) {
            None => (FORMATS[number].0, Some(number)),
            Some(more) => MORE_NAMES[more],
        }
    }
}

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
    any::<u32>().no_shrink()
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
