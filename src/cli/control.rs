//! Talking to a running mount through its control room: one command, or the rules in force.
//!
//! Its files are streams, which cannot be read at an offset: each is read in one piece.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::error::Failure;
use super::output::say;
use super::{Outcome, Result, pinned, status};
use crate::policy::{Ledger, Policy};
use crate::store::CONTROL_DIR;
use crate::sys::mount;

/// How often a command that goes on is asked how far it is.
const PACE: Duration = Duration::from_millis(500);

/// More than any answer or policy has.
const LONGEST_TEXT: usize = 1 << 20;

/// Has the mount at `root` run `verb` with `arguments`, waits for its end, and prints the answer.
pub(super) fn command(root: &Path, verb: &str, arguments: &[&[u8]]) -> Result {
    let (answer, outcome) = ask(root, verb, arguments)?;
    say(format_args!("{answer}"))?;
    Ok(outcome)
}

/// The same, and hands the answer over.
pub(super) fn ask(root: &Path, verb: &str, arguments: &[&[u8]]) -> Result<(String, Outcome)> {
    let path = root.join(CONTROL_DIR).join("control");
    let mut control = open(root, &path).map_err(Failure::io(&path))?;
    let mut line = verb.as_bytes().to_vec();
    for argument in arguments {
        // The path is the rest of the line: blanks within it are its own.
        if argument.trim_ascii() != *argument || argument.contains(&b'\n') {
            let shown = String::from_utf8_lossy(argument);
            let why = "a mount takes no such path on a line; give the directory above it";
            return Err(Failure::Usage(format!("{shown}: {why}")));
        }
        line.push(b' ');
        line.extend_from_slice(argument);
    }
    line.push(b'\n');
    let written = control.write_all(&line);
    let answer = wait(control, &path, verb).map_err(Failure::io(&path))?;
    let answer = answer.trim_end();
    match written.as_ref().map_err(io::Error::raw_os_error) {
        // EBADMSG: it was done, and some files failed, as the answer says.
        Ok(()) | Err(Some(libc::EBADMSG)) => {}
        Err(_) if answer.is_empty() => return Err(written.map_err(Failure::io(path)).unwrap_err()),
        Err(_) => return Err(Failure::Refused(answer.to_owned())),
    }
    let is_failure = |line: &str| line.starts_with("failed: ") || line.starts_with("ended early: ");
    let clean = written.is_ok() && !answer.lines().any(is_failure);
    Ok((answer.to_owned(), if clean { Outcome::Done } else { Outcome::NotClean }))
}

/// The file that takes commands. Where programs may not write, root may still command: through a
/// copy of the mount.
fn open(root: &Path, path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem && mount::may_mount() => {
            let copy = mount::writable_copy(root)?;
            let inside = Path::new(CONTROL_DIR).join("control");
            let flags = OFlags::RDWR | OFlags::CLOEXEC;
            Ok(rustix::fs::openat(copy, &inside, flags, Mode::empty())?.into())
        }
        other => other,
    }
}

/// The rules in force in the mount at `root`, as far as they are to be seen from here: of the ledger
/// what this user's machine remembers.
pub(super) fn rules(root: &Path) -> Result<(Policy, Ledger)> {
    let path = root.join(CONTROL_DIR).join("policy.toml");
    let text = File::open(&path).and_then(|mut file| read_once(&mut file));
    let text = text.map_err(Failure::io(&path))?;
    let policy = match text.is_empty() {
        true => Policy::builtin(),
        false => Policy::parse(&text).map_err(|error| Failure::Policy { path, error })?,
    };
    // Whoever may not ask the mount for its store has not mounted it, and accepted nothing of it.
    match status::read(root).ok().and_then(|status| status["store"].as_str().map(PathBuf::from)) {
        Some(store) => pinned::together(&store, policy, Ledger::new()),
        None => Ok((policy, Ledger::new())),
    }
}

/// The answer, once the command has come to its end.
fn wait(mut control: File, path: &Path, verb: &str) -> io::Result<String> {
    let still_going = format!("{verb} goes on");
    loop {
        let answer = read_once(&mut control)?;
        if !answer.starts_with(&still_going) {
            return Ok(answer);
        }
        if io::stderr().is_terminal() {
            eprintln!("{}", answer.trim_end());
        }
        std::thread::sleep(PACE);
        // A new descriptor gives the caller's last answer, from its start.
        control = File::open(path)?;
    }
}

fn read_once(file: &mut File) -> io::Result<String> {
    let mut text = vec![0; LONGEST_TEXT];
    let len = file.read(&mut text)?;
    if len == text.len() {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    text.truncate(len);
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}
