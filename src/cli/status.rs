//! `status`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct Status;

impl Status {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
