//! `completions`.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::error::Failure;
use super::{Arguments, Outcome, Result};

/// Print what a shell needs to complete the words of confseal
///
/// The package installs it for bash, zsh and fish.
#[derive(Args)]
pub(super) struct Completions {
    /// For which shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result {
        // Into memory first: a closed pipe is an error here, and would be a panic there.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "confseal", &mut script);
        let written = std::io::stdout().lock().write_all(&script);
        written.map_err(Failure::io("standard output"))?;
        Ok(Outcome::Done)
    }
}
