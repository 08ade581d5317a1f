//! A small disk of its own, an ext4 image behind a loop device, whose raw blocks can be searched.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use aho_corasick::AhoCorasick;
use tempfile::TempDir;

use crate::support::{Fixture, text};

/// Small enough to be read whole, large enough that freed blocks are not soon used again.
const IMAGE: u64 = 64 << 20;

/// Where it is copied over and over.
const SMALL_IMAGE: u64 = 16 << 20;

/// How much of the image is looked at in one piece.
const WINDOW: usize = 1 << 20;

/// A fixture whose store lies on that disk.
pub struct Disk {
    /// The fixture.
    pub fixture: Fixture,
    image: PathBuf,
    size: u64,
    has_journal: bool,
    /// Where the image is, if not in the fixture.
    _memory: Option<TempDir>,
}

impl Disk {
    /// In a mount namespace of its own, with an empty store.
    pub fn new() -> Self {
        let fixture = Fixture::new();
        let image = fixture.dir().join("disk.img");
        Self::with(fixture, image, IMAGE, None, true)
    }

    /// The same with the image in memory: what it holds is what was written to it, but faster.
    pub fn in_memory() -> Self {
        Self::held_in_memory(true)
    }

    /// The same where the filesystem has no journal: names and contents reach the image in any
    /// order, and only a check of all of it makes it fit for use after the power was gone.
    pub fn without_journal() -> Self {
        Self::held_in_memory(false)
    }

    fn held_in_memory(has_journal: bool) -> Self {
        let memory = TempDir::new_in("/dev/shm").expect("a directory in memory");
        let image = memory.path().join("disk.img");
        Self::with(Fixture::new(), image, SMALL_IMAGE, Some(memory), has_journal)
    }

    fn with(
        fixture: Fixture,
        image: PathBuf,
        size: u64,
        memory: Option<TempDir>,
        has_journal: bool,
    ) -> Self {
        crate::support::apart();
        let mut disk = Self { fixture, image, size, has_journal, _memory: memory };
        let image = File::create(&disk.image).expect("an image");
        image.set_len(size).expect("its size");
        let journal = if has_journal { "has_journal" } else { "^has_journal" };
        let options = [OsStr::new("-qFO"), OsStr::new(journal), disk.image.as_os_str()];
        run("mkfs.ext4", options);
        fs::create_dir(disk.point()).expect("its mount point");
        disk.attach();
        let store = disk.point().join("store");
        fs::create_dir(&store).expect("the store");
        disk.fixture.use_store(store);
        disk
    }

    /// Puts the disk to its mount point; the loop device goes with the mount.
    pub fn attach(&self) {
        let point = self.point();
        run("mount", [OsStr::new("-oloop"), self.image.as_os_str(), point.as_os_str()]);
    }

    fn point(&self) -> PathBuf {
        self.fixture.dir().join("disk")
    }

    /// Everything out to the image.
    pub fn sync(&self) {
        run("sync", [OsStr::new("-f"), self.point().as_os_str()]);
    }

    /// Has the filesystem write down all that was done to names and attributes, and of contents
    /// only what it cannot do without: as it does by itself every few seconds.
    pub fn sync_names(&self) {
        let file = File::create(self.point().join("sync")).expect("a file");
        file.sync_all().expect("its fsync");
    }

    /// Makes `other`, which is detached, hold what this disk would hold if the power went now:
    /// what was written out, without what only memory has.
    pub fn cut_power_into(&self, other: &Self) {
        loop {
            let before = self.writes();
            let copied = fs::copy(&self.image, &other.image).expect("a copy");
            assert_eq!(copied, self.size);
            // A copy of two moments is none.
            if before.1 == 0 && self.writes() == before {
                break;
            }
        }
        if !self.has_journal {
            // As the machine does when it starts again.
            let check = Command::new("e2fsck").arg("-fy").arg(&other.image).output();
            let check = check.expect("e2fsck");
            // Beyond 1, something is wrong that it could not put right.
            assert!(matches!(check.status.code(), Some(0 | 1)), "{}", text(&check));
        }
    }

    /// How many writes have reached the image, and how many are on their way.
    fn writes(&self) -> (u64, u64) {
        let mounts = fs::read_to_string("/proc/thread-self/mounts").expect("the mounts");
        let point = self.point().display().to_string();
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(&point));
        let device = line.and_then(|line| line.split(' ').next()).expect("it is attached");
        let name = device.trim_start_matches("/dev/");
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).expect("its counters");
        let fields: Vec<u64> =
            stat.split_whitespace().map(|field| field.parse().expect("a number")).collect();
        (fields[4], fields[8])
    }

    /// The same for good: the disk is taken off.
    pub fn detach(&self) {
        self.sync();
        run("umount", [self.point().as_os_str()]);
    }

    /// Which of `canaries` stand anywhere in the image.
    pub fn scan(&self, canaries: &[&str]) -> Vec<String> {
        let wanted = AhoCorasick::new(canaries).expect("an automaton");
        let overlap = canaries.iter().map(|canary| canary.len()).max().unwrap_or(1) - 1;
        let mut image = File::open(&self.image).expect("the image");
        let mut window = Vec::new();
        let mut found = Vec::new();
        let mut seen = 0;
        loop {
            let read = Read::by_ref(&mut image).take(WINDOW as u64).read_to_end(&mut window);
            let read = read.expect("a piece of the image");
            if read == 0 {
                break;
            }
            seen += read as u64;
            found.extend(wanted.find_iter(&window).map(|hit| canaries[hit.pattern()].to_owned()));
            window.drain(..window.len().saturating_sub(overlap));
        }
        assert_eq!(seen, self.size, "all of the image was looked at");
        found.sort();
        found.dedup();
        found
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.fixture.stop();
        let _ = Command::new("umount").arg("-lq").arg(self.point()).output();
    }
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) {
    let done = Command::new(program).args(arguments).output().expect(program);
    assert!(done.status.success(), "{program}: {}", text(&done));
}
