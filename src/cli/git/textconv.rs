//! `git-textconv`: what git calls to show a file of the store; the view, where it can be opened.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use sha2::{Digest, Sha256};

use super::super::error::Failure;
use super::super::offline::keep_secrets_in_memory;
use super::super::open::KeyArguments;
use super::super::{Outcome, Result};
use super::{Repository, output, records, within};
use crate::document::is_binary;
use crate::path::RelPath;
use crate::secret::SecretBytes;

/// Print a version of a file as `git diff` shows it: opened, if the keys are there
#[derive(Args)]
pub(in crate::cli) struct Textconv {
    /// The version, in a temporary file of git's, or the file of the work tree.
    file: PathBuf,
    #[command(flatten)]
    keys: KeyArguments,
}

impl Textconv {
    pub(in crate::cli) fn run(self) -> Result {
        keep_secrets_in_memory();
        let stored = fs::read(&self.file).map_err(Failure::io(&self.file))?;
        let sealed = memchr::memmem::find(&stored, b"ENC:").is_some();
        let view = if sealed { self.open(&stored) } else { None };
        let view = view.as_deref().unwrap_or(&stored);
        let mut out = io::stdout().lock();
        let written = match is_binary(view) {
            // Git would show it as if it were text.
            true => writeln!(out, "{}", in_short(view)),
            false => out.write_all(view),
        };
        written.map_err(Failure::io("standard output"))?;
        Ok(Outcome::Done)
    }

    /// The view, if some key and some name open it. Whatever stands in the way is no failure: git
    /// would show nothing at all.
    fn open(&self, stored: &[u8]) -> Option<SecretBytes> {
        let repository = Repository::of(Path::new(".")).ok()?;
        let stores = repository.stores().ok()?;
        let candidates = candidates(&repository, &self.file)?;
        for store in &stores {
            let sealing = match repository.sealing(store, &self.keys) {
                Ok(sealing) => sealing,
                Err(failure) => {
                    log::debug!("{store}: {failure}");
                    continue;
                }
            };
            let inside = candidates.iter().filter_map(|path| match within(&stores, path)? {
                (holder, file) if holder == store => Some(file),
                _ => None,
            });
            // Where it stood may be history by now.
            let gone = RelPath::new(self.file.file_name()?.as_encoded_bytes()).ok();
            for file in inside.chain(gone) {
                match sealing.open(&file, stored) {
                    Ok(opened) => return Some(opened.view),
                    Err(error) => log::debug!("{file}: {error}"),
                }
            }
        }
        None
    }
}

/// Enough to see whether it changed.
fn in_short(view: &[u8]) -> String {
    let digest = Sha256::digest(view);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("binary, {} bytes, SHA-256 {digest}", view.len())
}

/// The paths below the top of the work tree that `file` may be a version of. Git says no more than
/// the last part of the name, unless it shows the work tree's own file.
fn candidates(repository: &Repository, file: &Path) -> Option<Vec<RelPath>> {
    if file.is_relative() {
        return Some(vec![RelPath::new(file.as_os_str().as_encoded_bytes()).ok()?]);
    }
    let name = file.file_name()?;
    let tracked = output(repository.git(["ls-files", "-z", "--full-name"])).ok()?;
    let paths = records(&tracked).filter_map(|path| RelPath::new(path).ok());
    Some(paths.filter(|path| path.name() == name).collect())
}
