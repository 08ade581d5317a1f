//! One file under 20,000 random operations, as `fsx` does it: a document at first, anything in
//! between, and a document again at the end. Its model is a vector of bytes.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use rustix::fs::FallocateFlags;

use crate::documents::{FORMATS, POLICY, document, marks};
use crate::helper::Helper;
use crate::support::Fixture;

/// As far as the file may grow.
const LARGEST: usize = 20_000;

/// How many operations lie between two unmounts, about.
const BETWEEN_MOUNTS: u32 = 2000;

/// A file in a mount, and what has to be in it.
struct Play {
    fixture: Fixture,
    helper: Helper,
    rng: TestRng,
    path: PathBuf,
    file: Option<File>,
    model: Vec<u8>,
    /// What was done last, for the message.
    done: Vec<String>,
}

/// Does `operations` to a file of the format at `at`.
pub(crate) fn play(at: usize, seed: u64, operations: usize) {
    let name = FORMATS[at].0;
    let mut fixture = Fixture::new();
    fixture.put(".confseal/policy.toml", POLICY).put(name, document(at, 1)).seal().mount_quietly();
    let path = fixture.mnt().join(name);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = at as u8;
    let mut play = Play {
        fixture,
        helper: Helper::new(),
        rng: TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
        path,
        file: None,
        model: document(at, 1).into_bytes(),
        done: Vec::new(),
    };
    for number in 0..operations {
        let problem = play.operation(at);
        if let Err(problem) = problem {
            let done = play.done.iter().rev().take(12).rev();
            let done = done.map(|step| format!("  {step}\n")).collect::<String>();
            panic!("{name}, seed {seed}, operation {number}: {problem}\n{done}");
        }
    }
    play.end(at);
}

impl Play {
    fn below(&mut self, end: usize) -> usize {
        (self.rng.next_u64() % end.max(1) as u64) as usize
    }

    fn file(&mut self) -> &File {
        let path = &self.path;
        self.file.get_or_insert_with(|| {
            OpenOptions::new().read(true).write(true).open(path).expect("the file opens")
        })
    }

    /// A place in the file or a little behind it, and a length.
    fn range(&mut self) -> (usize, usize) {
        let offset = match self.below(8) {
            0 => self.below(LARGEST),
            _ => self.below(self.model.len() + 40),
        };
        let len = match self.below(4) {
            0 => self.below(6000),
            _ => self.below(80),
        };
        (offset, len.min(LARGEST.saturating_sub(offset)))
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let first = self.rng.next_u64() as u8;
        // Half of it reads as text, with what means something to the formats.
        let letters = b"abc =:\"'\n#[]{}<>;%\\";
        match self.below(2) {
            0 => (0..len).map(|n| letters[(usize::from(first) + n * 7) % letters.len()]).collect(),
            _ => (0..len).map(|n| first.wrapping_add(((n * 31) >> 2) as u8)).collect(),
        }
    }

    fn operation(&mut self, at: usize) -> Result<(), String> {
        let (offset, len) = self.range();
        let end = offset + len;
        let kind = self.below(100);
        self.done.push(format!("{kind}: {offset} {len}, the file has {}", self.model.len()));
        match kind {
            0..22 => self.read(offset, len)?,
            22..44 => {
                let bytes = self.bytes(len);
                self.file().write_all_at(&bytes, offset as u64).map_err(text)?;
                self.put(offset, &bytes);
            }
            44..52 => {
                self.file().set_len(offset as u64).map_err(text)?;
                self.model.resize(offset, 0);
            }
            52..60 if self.model.len() > 1 => {
                let (from, len) = self.inside();
                let seen = self.helper.map_read(&self.path, from, len).map_err(errno)?;
                self.same(from, &seen)?;
            }
            60..68 if self.model.len() > 1 => {
                let (from, len) = self.inside();
                let (bytes, flush) = (self.bytes(len), self.below(2) == 0);
                self.helper.map_write(&self.path, from, &bytes, flush).map_err(errno)?;
                self.put(from, &bytes);
            }
            68..72 => self.allocate(FallocateFlags::empty(), offset, len)?,
            72..77 => self.allocate(FallocateFlags::PUNCH_HOLE, offset, len)?,
            77..80 => self.allocate(FallocateFlags::ZERO_RANGE, offset, len)?,
            80..84 => self.copy(offset, len)?,
            84..90 => self.file = None,
            90..93 => self.file().sync_all().map_err(text)?,
            93..95 => {
                self.helper.truncate(&self.path, end).map_err(errno)?;
                self.model.resize(end, 0);
            }
            95..98 => self.save(at)?,
            _ if self.below(BETWEEN_MOUNTS as usize / 50) == 0 => self.mount_anew(),
            _ => self.read(0, LARGEST)?,
        }
        let size = self.file().metadata().map_err(text)?.len();
        match size == self.model.len() as u64 {
            true => Ok(()),
            false => Err(format!("its size is {size} instead of {}", self.model.len())),
        }
    }

    /// A range that is not empty and all within the file.
    fn inside(&mut self) -> (usize, usize) {
        let from = self.below(self.model.len() - 1);
        (from, 1 + self.below((self.model.len() - from - 1).min(5000)))
    }

    fn read(&mut self, offset: usize, len: usize) -> Result<(), String> {
        let mut seen = vec![0; len];
        let mut read = 0;
        while read < len {
            match self.file().read_at(&mut seen[read..], (offset + read) as u64).map_err(text)? {
                0 => break,
                more => read += more,
            }
        }
        let expected = self.model.len().saturating_sub(offset).min(len);
        if read != expected {
            return Err(format!("{read} bytes instead of {expected} were read"));
        }
        self.same(offset, &seen[..read])
    }

    fn same(&self, offset: usize, seen: &[u8]) -> Result<(), String> {
        let expected = &self.model[offset.min(self.model.len())..][..seen.len()];
        let Some(at) = expected.iter().zip(seen).position(|(a, b)| a != b) else { return Ok(()) };
        Err(format!("at {}: {:#x} instead of {:#x}", offset + at, seen[at], expected[at]))
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        self.model.resize(self.model.len().max(end), 0);
        self.model[offset..end].copy_from_slice(bytes);
    }

    fn allocate(&mut self, mode: FallocateFlags, offset: usize, len: usize) -> Result<(), String> {
        if len == 0 {
            return Ok(());
        }
        let keep = self.below(2) == 0 || mode == FallocateFlags::PUNCH_HOLE;
        let flags = if keep { mode | FallocateFlags::KEEP_SIZE } else { mode };
        let done = rustix::fs::fallocate(self.file(), flags, offset as u64, len as u64);
        done.map_err(|error| format!("{flags:?}: {error}"))?;
        if !mode.is_empty() {
            let end = (offset + len).min(self.model.len());
            self.model[offset.min(end)..end].fill(0);
        }
        if !keep {
            self.model.resize(self.model.len().max(offset + len), 0);
        }
        Ok(())
    }

    /// From one place of the file to another.
    fn copy(&mut self, offset: usize, len: usize) -> Result<(), String> {
        let (from, len) = (self.below(self.model.len()), len.min(self.model.len()));
        let len = len.min(self.model.len() - from);
        if from < offset + len && offset < from + len {
            return Ok(()); // EINVAL for ranges that overlap
        }
        let file = self.file();
        let (mut read, mut write) = (from as u64, offset as u64);
        let copied =
            rustix::fs::copy_file_range(file, Some(&mut read), file, Some(&mut write), len);
        let copied = copied.map_err(|error| error.to_string())?;
        let bytes = self.model[from..from + copied].to_vec();
        self.put(offset, &bytes);
        match copied == len {
            true => Ok(()),
            false => Err(format!("{copied} bytes instead of {len} were copied")),
        }
    }

    /// A document again, as an editor saves it; with a descriptor open on what it replaces.
    fn save(&mut self, at: usize) -> Result<(), String> {
        let text_of_it = document(at, self.rng.next_u64() as u32);
        if self.below(2) == 0 {
            fs::write(&self.path, &text_of_it).map_err(text)?;
        } else {
            let beside = self.path.with_extension("tmp");
            fs::write(&beside, &text_of_it).map_err(text)?;
            fs::rename(&beside, &self.path).map_err(text)?;
            self.file = None;
        }
        self.model = text_of_it.into_bytes();
        Ok(())
    }

    fn mount_anew(&mut self) {
        self.file = None;
        self.fixture.umount();
        self.fixture.mount_quietly();
    }

    /// Saved once more as a document, it is sealed field by field, and nothing is left of any other.
    fn end(&mut self, at: usize) {
        let last = document(at, 2);
        self.file = None;
        fs::write(&self.path, &last).expect("the last save");
        self.mount_anew();
        assert_eq!(fs::read_to_string(&self.path).expect("the file"), last);
        self.fixture.umount();
        let mut files = Vec::new();
        crate::support::collect(self.fixture.dir(), &mut files);
        for file in files {
            let stored = fs::read(&file).expect("a file of the store");
            assert!(marks(&stored).is_empty(), "{}: {}", file.display(), stored.escape_ascii());
        }
        let stored = self.fixture.stored(FORMATS[at].0);
        assert!(stored.contains("ENC:v1:") && !stored.starts_with("ENC:"), "{stored}");
    }
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}

fn errno(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}
