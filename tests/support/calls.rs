//! What comes of the calls that a program makes.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::io;
use std::path::Path;

use crate::support::Fixture;

/// A mounted, empty store.
pub fn mounted() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.mount();
    fixture
}

/// What came of a call: success, or the errno.
pub fn errno<T>(result: io::Result<T>) -> Result<(), i32> {
    result.map(drop).map_err(|error| error.raw_os_error().unwrap_or(-1))
}

/// The names in `dir`, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs `line` in `dir` with bash: its exit code and what it said.
pub fn shell(dir: &Path, line: &str) -> (Option<i32>, String) {
    let done = std::process::Command::new("bash")
        .args(["-c", line])
        .current_dir(dir)
        .env("LC_ALL", "C")
        .output()
        .expect("bash");
    let said = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8_lossy(&said).into_owned())
}
