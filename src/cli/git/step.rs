//! What `git-setup` does, one thing after the other: said first, then done.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::Result;
use super::super::error::Failure;
use super::{Repository, output};

/// Something to be done, in words and in deed.
pub(super) struct Step {
    pub what: String,
    pub act: Act,
}

/// The deed.
pub(super) enum Act {
    Write {
        path: PathBuf,
        content: Vec<u8>,
        mode: u32,
    },
    Remove(PathBuf),
    /// `git config` with these arguments.
    Configure(Vec<OsString>),
    /// Only to be said.
    Tell,
}

/// A step that changes this clone's configuration.
pub(super) fn configure<const N: usize>(what: String, arguments: [OsString; N]) -> Step {
    Step { what: format!("git config: {what}"), act: Act::Configure(arguments.into()) }
}

/// A step that is said only.
pub(super) fn tell(what: String) -> Step {
    Step { what, act: Act::Tell }
}

impl Act {
    /// Does it.
    pub(super) fn perform(self, repository: &Repository) -> Result<()> {
        match self {
            Act::Write { path, content, mode } => write(&path, &content, mode),
            Act::Remove(path) => fs::remove_file(&path).map_err(Failure::io(path)),
            Act::Configure(arguments) => {
                let all = [OsStr::new("config"), OsStr::new("--local")].map(OsStr::to_owned);
                output(repository.git(all.into_iter().chain(arguments))).map(drop)
            }
            Act::Tell => Ok(()),
        }
    }
}

/// In one step: git may read the file at any time.
fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).map_err(Failure::io(directory))?;
    let draft = directory.join(format!(".confseal-tmp.git-setup.{}", std::process::id()));
    let written =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).and_then(
            |mut file| {
                file.write_all(content)?;
                // A file that stands keeps its mode.
                if let Ok(metadata) = path.metadata() {
                    file.set_permissions(metadata.permissions())?;
                }
                file.sync_all()?;
                fs::rename(&draft, path)
            },
        );
    written.map_err(|error| {
        let _ = fs::remove_file(&draft);
        Failure::io(path)(error)
    })
}
