//! `reload`: has a running mount read its keys and policy anew, and waits for the outcome.

use std::path::PathBuf;

use clap::Args;

use super::error::Failure;
use super::{Result, control};
use crate::instance::Instance;

/// Have a mount read its keys and policy anew
///
/// Fails if something is wrong with them: the mount then goes on with those it has.
#[derive(Args)]
pub(super) struct Reload {
    /// Where it is mounted.
    #[arg(required_unless_present = "instance", conflicts_with = "instance")]
    mountpoint: Option<PathBuf>,
    /// The mount of this instance: a name in /etc/confseal, or a file.
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
}

impl Reload {
    pub(super) fn run(self) -> Result {
        let mountpoint = match (self.mountpoint, self.instance) {
            (Some(mountpoint), _) => mountpoint,
            (None, Some(name)) => {
                let instance = Instance::read(&Instance::file_of(&name))?;
                instance.mountpoint.unwrap_or(instance.store)
            }
            (None, None) => return Err(Failure::Usage("which mount?".to_owned())),
        };
        control::command(&mountpoint, "reload", &[])
    }
}
