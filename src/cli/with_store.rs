//! `with-store`: a command that works in the store itself, `git pull` say.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use super::error::Failure;
use super::open::{KeyArguments, is_mount};
use super::{Outcome, Result, status};

/// Run a command in the store, where files stand sealed, also while a mount covers it.
#[derive(Args)]
pub(super) struct WithStore {
    /// The store, or where it is mounted.
    dir: PathBuf,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl WithStore {
    pub(super) fn run(self) -> Result {
        let store = if is_mount(&self.dir) { covered(&self.dir)? } else { self.dir };
        let (program, arguments) =
            self.command.split_first().ok_or_else(|| Failure::Usage("which command?".into()))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&store).env("PWD", &store);
        // It works on sealed files: no key is its business.
        for name in KeyArguments::default().sources(&store)?.variables() {
            command.env_remove(name);
        }
        let status = command.status().map_err(Failure::io(program))?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        Ok(Outcome::Code(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
    }
}

/// Where the store of a mount can be reached.
fn covered(mountpoint: &std::path::Path) -> Result<PathBuf> {
    let status = status::read(mountpoint)?;
    let path = |name: &str| status[name].as_str().map(PathBuf::from);
    let store = path("store").unwrap_or_default();
    if let Some(at) = path("store_at") {
        return Ok(at);
    }
    if is_mount(&store) {
        let what = "the mount covers its store, which only root can reach: unmount first, or mount \
                    the store at another place";
        return Err(Failure::Refused(format!("{}: {what}", store.display())));
    }
    Ok(store)
}
