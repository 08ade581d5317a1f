//! `umount`.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use super::error::Failure;
use super::{Outcome, Result};

/// Unmount: what is written is committed first.
#[derive(Args)]
pub(super) struct Umount {
    /// Where it is mounted.
    mountpoint: PathBuf,
    /// Out of sight at once; who has files open goes on until they are closed.
    #[arg(short, long)]
    lazy: bool,
}

impl Umount {
    pub(super) fn run(self) -> Result {
        // The system's own programs: they know who may, and nothing of ours has to be asked.
        let root = rustix::process::geteuid().is_root();
        let mut command = Command::new(if root { "umount" } else { "fusermount3" });
        if !root {
            command.arg("-u");
        }
        if self.lazy {
            command.arg(if root { "-l" } else { "-z" });
        }
        let status = command.arg("--").arg(&self.mountpoint).status();
        let status = status.map_err(Failure::io(command.get_program()))?;
        if status.success() {
            return Ok(Outcome::Done);
        }
        // It has said why.
        Ok(Outcome::NotClean)
    }
}
