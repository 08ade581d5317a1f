//! `verify`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct Verify;

impl Verify {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
