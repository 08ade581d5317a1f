//! What a program may do to a directory: one operation, its place and arguments.

use std::fmt;

use crate::documents::{FORMATS, document};

/// Names besides those of [`FORMATS`], and the format whose documents usually stand there.
pub(crate) const MORE_NAMES: [(&str, Option<usize>); 9] = [
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
pub(crate) const FILES: usize = 7;

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
