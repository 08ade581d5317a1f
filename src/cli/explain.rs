//! `explain`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct Explain;

impl Explain {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
