//! Asking a mount that may not answer. Whoever waits for a hanging mount cannot be ended before it
//! answers, not even by SIGKILL; so another process waits, which may be left behind.
//!
//! Must stay true: this process touches nothing on a mount itself; the one that does holds none of
//! its descriptors but the pipe, so that nobody waits for it.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::output::say;
use super::{Outcome, Result};
use crate::store::CONTROL_DIR;

/// How long a mount may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Look at a path on behalf of a process that must not wait for it.
#[derive(Args)]
pub(super) struct Probe {
    what: What,
    path: PathBuf,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// The status of the mount at the path.
    Status,
    /// What the path leads to, and whether it can be read.
    Reach,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// None came in time: the mount hangs.
    TimedOut,
    /// The process that asks could not be had.
    Failed,
}

/// An answer: a JSON object. Errors of the system stand in it as `errno`.
pub(super) fn ask(what: What, path: &Path, patience: Duration) -> Result<Value, Silence> {
    let word = match what {
        What::Status => "status",
        What::Reach => "reach",
    };
    // By the kernel's link: the file may have been replaced by a newer one.
    let mut command = Command::new("/proc/self/exe");
    command.args(["probe", word, "--"]).arg(path);
    // Not in the caller's directory either: that may be on the mount.
    command.current_dir("/").stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|_| Silence::Failed)?;
    let mut pipe = child.stdout.take().ok_or(Silence::Failed)?;
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = pipe.read_to_end(&mut text);
        // Nobody listens any more when it comes too late.
        let _ = tell.send(read.map(|_| text));
    });
    match told.recv_timeout(patience) {
        Ok(text) => {
            let _ = child.wait();
            let text = text.map_err(|_| Silence::Failed)?;
            serde_json::from_slice(&text).map_err(|_| Silence::Failed)
        }
        Err(_) => {
            // It may not die of it; then it ends when the mount does. Not waited for.
            let _ = child.kill();
            Err(Silence::TimedOut)
        }
    }
}

impl Probe {
    pub(super) fn run(self) -> Result {
        let answer = match self.what {
            What::Status => status(&self.path),
            What::Reach => reach(&self.path),
        };
        say(format_args!("{answer}"))?;
        Ok(Outcome::Done)
    }
}

fn errno(error: &std::io::Error) -> Value {
    json!({ "errno": error.raw_os_error().unwrap_or(libc::EIO), "error": error.to_string() })
}

/// The kernel may go on answering for a dead mount's root out of its cache, but not for what is in
/// the control room.
fn status(mountpoint: &Path) -> Value {
    match std::fs::read_to_string(mountpoint.join(CONTROL_DIR).join("status")) {
        Ok(text) => serde_json::from_str(&text)
            .unwrap_or_else(|_| json!({ "errno": libc::EIO, "error": "its status is not JSON" })),
        Err(error) => errno(&error),
    }
}

fn reach(path: &Path) -> Value {
    // The nearest that is there tells where the path would lie.
    let there = path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some((above.canonicalize().ok()?, rest))
    });
    let canonical = there.map(|(above, rest)| match rest.as_os_str().is_empty() {
        true => above,
        false => above.join(rest),
    });
    let canonical = canonical.unwrap_or_else(|| path.to_owned());
    let mut answer = match std::fs::metadata(path) {
        Err(error) => errno(&error),
        Ok(metadata) if metadata.is_file() => match first_byte(path) {
            Err(error) => errno(&error),
            Ok(()) => json!({}),
        },
        Ok(metadata) => json!({ "directory": metadata.is_dir() }),
    };
    if let Ok(metadata) = std::fs::metadata(path) {
        let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
        answer["mode"] = (mode & 0o7777).into();
        (answer["uid"], answer["gid"]) = (uid.into(), gid.into());
    }
    answer["path"] = canonical.to_string_lossy().into();
    answer
}

/// Opens the file as a program would: a sealed one is opened whole by that.
fn first_byte(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(path)?.read(&mut [0]).map(|_| ())
}
