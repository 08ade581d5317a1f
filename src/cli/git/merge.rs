//! `git-merge`: the merge driver that git calls for a file of the store.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::error::Failure;
use super::super::offline::keep_secrets_in_memory;
use super::super::open::KeyArguments;
use super::super::{Outcome, Result};
use super::{Repository, within};
use crate::document::{Markers, Merged, Versions, merge_sealed};
use crate::path::RelPath;

/// Merge three versions of a file by what is in them; the result replaces OURS, sealed
#[derive(Args)]
pub(in crate::cli) struct Merge {
    /// The version that both come from (`%O`).
    base: PathBuf,
    /// The version that is merged into (`%A`).
    ours: PathBuf,
    /// The version that is merged (`%B`).
    theirs: PathBuf,
    /// The length of conflict markers (`%L`).
    size: usize,
    /// Where the file stands, below the top of the work tree (`%P`).
    path: OsString,
    /// What to call the three in conflicts (`%S %X %Y`, from git 2.44 on).
    labels: Vec<OsString>,
    #[command(flatten)]
    keys: KeyArguments,
}

impl Merge {
    pub(in crate::cli) fn run(self) -> Result {
        keep_secrets_in_memory();
        let read = |path: &Path| fs::read(path).map_err(Failure::io(path));
        let [base, ours, theirs] = [read(&self.base)?, read(&self.ours)?, read(&self.theirs)?];
        let versions = Versions { base: &base, ours: &ours, theirs: &theirs };
        let repository = Repository::of(Path::new("."))?;
        let style = repository.config("merge.conflictStyle")?;
        let label = |n: usize, default: &str| match self.labels.get(n) {
            // Left as it is by a git that does not know it.
            Some(label) if !label.is_empty() && !label.as_bytes().starts_with(b"%") => {
                label.to_string_lossy().into_owned()
            }
            _ => default.to_owned(),
        };
        let [base, ours, theirs] = [label(0, "base"), label(1, "ours"), label(2, "theirs")];
        let markers = Markers {
            size: self.size,
            labels: [&ours, &base, &theirs],
            with_base: style.last().is_some_and(|style| style.ends_with(b"diff3")),
        };
        let merged = self.merge(&repository, &versions, &markers)?;
        // A temporary file of git's.
        fs::write(&self.ours, &merged.stored).map_err(Failure::io(&self.ours))?;
        Ok(if merged.conflict { Outcome::NotClean } else { Outcome::Done })
    }

    fn merge(
        &self,
        repository: &Repository,
        versions: &Versions<'_>,
        markers: &Markers<'_>,
    ) -> Result<Merged> {
        let path = RelPath::new(self.path.as_encoded_bytes())
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let stores = repository.stores()?;
        let Some((store, file)) = within(&stores, &path) else {
            return Ok(merge_sealed(versions, markers));
        };
        let sealing = repository.sealing(store, &self.keys).map_err(|failure| failure.to_string());
        let merged = sealing.and_then(|sealing| {
            sealing.merge(&file, versions, markers).map_err(|error| error.to_string())
        });
        merged.or_else(|why| {
            let merged = merge_sealed(versions, markers);
            let sealed = [versions.base, versions.ours, versions.theirs].into_iter();
            if sealed.into_iter().any(|text| memchr::memmem::find(text, b"ENC:").is_some()) {
                eprintln!("confseal: {path}: {why}");
                eprintln!("  merged as it stands, sealed: equal values may conflict");
            }
            Ok(merged)
        })
    }
}
