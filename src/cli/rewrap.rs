//! `rewrap`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct Rewrap;

impl Rewrap {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
