//! `with_store`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct WithStore;

impl WithStore {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
