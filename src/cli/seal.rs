//! `seal`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct Seal;

impl Seal {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
