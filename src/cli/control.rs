//! Talking to a running mount: one command through its `.confseal/control`.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;

use super::error::Failure;
use super::offline::say;
use super::{Outcome, Result};
use crate::store::CONTROL_DIR;

/// How often a command that goes on is asked how far it is.
const PACE: Duration = Duration::from_millis(500);

/// More than any answer has.
const LONGEST_ANSWER: usize = 256 << 10;

/// Has the mount at `root` run `verb` with `arguments`, waits for its end, and prints the answer.
pub(super) fn command(root: &Path, verb: &str, arguments: &[&[u8]]) -> Result {
    let path = root.join(CONTROL_DIR).join("control");
    let mut control =
        OpenOptions::new().read(true).write(true).open(&path).map_err(Failure::io(&path))?;
    let mut line = verb.as_bytes().to_vec();
    for argument in arguments {
        // A command line is cut at white space and has no quotes.
        if argument.iter().any(u8::is_ascii_whitespace) {
            let shown = String::from_utf8_lossy(argument);
            let why = "a mount takes no path with white space; give the directory above it";
            return Err(Failure::Usage(format!("{shown}: {why}")));
        }
        line.push(b' ');
        line.extend_from_slice(argument);
    }
    line.push(b'\n');
    let written = control.write_all(&line);
    let answer = wait(&mut control, verb).map_err(Failure::io(&path))?;
    let answer = answer.trim_end();
    match written.as_ref().map_err(io::Error::raw_os_error) {
        // EBADMSG: it was done, and some files failed, as the answer says.
        Ok(()) | Err(Some(libc::EBADMSG)) => {}
        Err(_) if answer.is_empty() => return Err(written.map_err(Failure::io(path)).unwrap_err()),
        Err(_) => return Err(Failure::Refused(answer.to_owned())),
    }
    say(format_args!("{answer}"))?;
    let is_failure = |line: &str| line.starts_with("failed: ") || line.starts_with("ended early: ");
    let clean = written.is_ok() && !answer.lines().any(is_failure);
    Ok(if clean { Outcome::Done } else { Outcome::NotClean })
}

/// The answer, once the command has come to its end.
fn wait(control: &mut File, verb: &str) -> io::Result<String> {
    let still_going = format!("{verb} goes on");
    loop {
        // The descriptor is a stream: each read begins at the answer's start.
        let mut answer = vec![0; LONGEST_ANSWER];
        let len = control.read(&mut answer)?;
        answer.truncate(len);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if !answer.starts_with(&still_going) {
            return Ok(answer);
        }
        if io::stderr().is_terminal() {
            eprintln!("{}", answer.trim_end());
        }
        std::thread::sleep(PACE);
    }
}
