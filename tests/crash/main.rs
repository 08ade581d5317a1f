//! What must hold when things end badly, or in the middle of something: no plaintext on the disk,
//! no torn file, no mount left behind. Real mounts, real programs, real signals. Needs root.

#[path = "../support/mod.rs"]
mod support;

mod canary;
mod demo;
mod disk;
mod each_fault;
mod each_kill;
mod holders;
mod hygiene;
mod kill;
mod memory;
mod points;
mod power;
mod refusals;
mod rotation;
mod saves;
mod signals;
mod start;
mod user;
mod with_store;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Whether the whole product of points and faults is to be tried, for `CONFSEAL_TEST_ALL=1`: that
/// takes a minute. Else each point, with a choice of what happens there that is the same each time.
fn tries_all() -> bool {
    std::env::var_os("CONFSEAL_TEST_ALL").is_some()
}

/// Every mount, of whatever kind, that has to do with a fixture: on it, or of a directory in it.
fn mounts_of(fixture: &support::Fixture) -> Vec<String> {
    let name = fixture.dir().file_name().expect("a name").to_string_lossy().into_owned();
    let table = std::fs::read_to_string("/proc/thread-self/mountinfo").expect("the mounts");
    table.lines().filter(|line| line.contains(&name)).map(str::to_owned).collect()
}

/// Waits until something is so.
#[track_caller]
fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(20), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A program that holds a file open and writes what it is told. A process of its own, which opens
/// the file itself: of a descriptor of ours, every program that another test is about to start has
/// a copy for a moment, and the close of that is a reason to save.
struct Writer(Child);

impl Writer {
    /// Opens `path` for appending; makes it if need be.
    fn of(path: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec cat >>\"$0\""]).arg(path).stdin(Stdio::piped());
        Self(shell.spawn().expect("a shell"))
    }

    /// Writes `text`, which is there when `seen` says so.
    fn write(&mut self, text: &str, seen: impl FnMut() -> bool) {
        self.0.stdin.as_mut().expect("its input").write_all(text.as_bytes()).expect("it reads");
        eventually("the write", seen);
    }

    /// Closes the file; it is closed when this returns.
    fn close(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().expect("its end").success(), "cat failed");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
