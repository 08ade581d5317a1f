//! `mount`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct Mount;

impl Mount {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
