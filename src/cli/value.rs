//! `encrypt-value` and `decrypt-value`.

use clap::Args;

use super::{Outcome, Result};

/// Placeholder.
#[derive(Args)]
pub(super) struct EncryptValue;
/// Placeholder.
#[derive(Args)]
pub(super) struct DecryptValue;

impl EncryptValue {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
impl DecryptValue {
    pub(super) fn run(self) -> Result {
        Ok(Outcome::Done)
    }
}
