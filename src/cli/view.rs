//! `view`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct View;

impl View {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
