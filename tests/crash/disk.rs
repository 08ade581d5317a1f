//! A small disk of its own, an ext4 image behind a loop device, whose raw blocks can be searched.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use aho_corasick::AhoCorasick;

use crate::support::{Fixture, text};

/// Small enough to be read whole, large enough that freed blocks are not soon used again.
const IMAGE: u64 = 64 << 20;

/// How much of the image is looked at in one piece.
const WINDOW: usize = 1 << 20;

/// A fixture whose store lies on that disk.
pub struct Disk {
    /// The fixture.
    pub fixture: Fixture,
}

impl Disk {
    /// In a mount namespace of its own, with an empty store.
    pub fn new() -> Self {
        crate::apart();
        let mut disk = Self { fixture: Fixture::new() };
        let image = File::create(disk.image()).expect("an image");
        image.set_len(IMAGE).expect("its size");
        run("mkfs.ext4", [OsStr::new("-qF"), disk.image().as_os_str()]);
        fs::create_dir(disk.point()).expect("its mount point");
        // The loop device goes with the mount.
        let (image, point) = (disk.image(), disk.point());
        run("mount", [OsStr::new("-oloop"), image.as_os_str(), point.as_os_str()]);
        let store = point.join("store");
        fs::create_dir(&store).expect("the store");
        disk.fixture.use_store(store);
        disk
    }

    fn image(&self) -> PathBuf {
        self.fixture.dir().join("disk.img")
    }

    fn point(&self) -> PathBuf {
        self.fixture.dir().join("disk")
    }

    /// Everything out to the image.
    pub fn sync(&self) {
        run("sync", [OsStr::new("-f"), self.point().as_os_str()]);
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
        let mut image = File::open(self.image()).expect("the image");
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
        assert_eq!(seen, IMAGE, "all of the image was looked at");
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
