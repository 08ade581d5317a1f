//! `check`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct Check;

impl Check {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
