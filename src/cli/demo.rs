//! `demo`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct Demo;

impl Demo {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
