//! What verbs print. A closed pipe is an error like any other, not a panic.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use super::Result;
use super::error::Failure;

/// Prints a line to standard output.
pub(super) fn say(line: fmt::Arguments<'_>) -> Result<()> {
    writeln!(io::stdout().lock(), "{line}").map_err(Failure::io("standard output"))
}

/// Warns: in the log of a daemon, on standard error of a verb.
pub(super) fn warn(text: fmt::Arguments<'_>) {
    match log::log_enabled!(log::Level::Warn) {
        true => log::warn!("{text}"),
        false => eprintln!("confseal: {text}"),
    }
}

/// Prints `value` as JSON.
pub(super) fn say_json(value: &serde_json::Value) -> Result<()> {
    say(format_args!("{value:#}"))
}

/// Writes bytes to standard output as they are; on a terminal with a line end behind, so that the
/// prompt does not run into them.
pub(super) fn show(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    let line_end = out.is_terminal() && bytes.last().is_some_and(|b| *b != b'\n');
    out.write_all(bytes)
        .and_then(|()| out.write_all(if line_end { b"\n" } else { b"" }))
        .and_then(|()| out.flush())
        .map_err(Failure::io("standard output"))
}

/// `1 field`, `2 fields`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `text` without what would end or restyle the line it stands on.
pub(super) fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
