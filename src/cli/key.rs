//! `key new`, `key fingerprint`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct Key;
/// Placeholder.
#[derive(Args)]
pub(super) struct New;
/// Placeholder.
#[derive(Args)]
pub(super) struct Fingerprint;

impl Key {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
impl New {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
impl Fingerprint {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
