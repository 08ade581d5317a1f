//! `umount`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct Umount;

impl Umount {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
