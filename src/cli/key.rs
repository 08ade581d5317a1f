//! `key new`, `key fingerprint`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::error::Failure;
use super::offline::keep_secrets_in_memory;
use super::open::KeyArguments;
use super::output::{say, show};
use super::{Outcome, Result};
use crate::keyring::{Key as MasterKey, KeySource};

/// Make a key, or name one
#[derive(Args)]
pub(super) struct Key {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    New(New),
    Fingerprint(Fingerprint),
}

/// Make a new master key
///
/// Standard error says its id and fingerprint.
#[derive(Args)]
pub(super) struct New {
    /// The key file to make, mode 0600; one that exists is never replaced. Without it the key goes
    /// to standard output.
    file: Option<PathBuf>,
}

/// Print the fingerprint of a key; its first eight digits are the key id in every token
///
/// Without arguments: of the key that the current directory's store would get.
#[derive(Args)]
pub(super) struct Fingerprint {
    /// The key file.
    #[arg(conflicts_with = "key")]
    file: Option<PathBuf>,
    /// The key: credential:NAME, file:PATH or env:NAME.
    #[arg(long, value_name = "SOURCE")]
    key: Option<KeySource>,
}

impl Key {
    pub(super) fn run(self) -> Result {
        match self.what {
            What::New(verb) => verb.run(),
            What::Fingerprint(verb) => verb.run(),
        }
    }
}

impl New {
    pub(super) fn run(self) -> Result {
        keep_secrets_in_memory();
        let key = MasterKey::generate().map_err(Failure::io("the kernel's random numbers"))?;
        let mut line = key.to_line();
        line.extend(b"\n");
        match &self.file {
            Some(file) => write_new(file, &line).map_err(Failure::io(file))?,
            None => show(&line)?,
        }
        eprintln!("key id {}\nfingerprint {}", key.id(), key.fingerprint());
        Ok(Outcome::Done)
    }
}

/// Makes `file`, durably: a store may be sealed under this key a moment later.
pub(super) fn write_new(file: &Path, line: &[u8]) -> io::Result<()> {
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let written = made.write_all(line).and_then(|()| made.sync_all());
    if written.is_err() {
        // It is ours, it is of no use, and nobody may take it for a key.
        std::fs::remove_file(file)?;
    }
    written?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

impl Fingerprint {
    pub(super) fn run(self) -> Result {
        keep_secrets_in_memory();
        let key = self.file.map(KeySource::File).or(self.key);
        let keys = KeyArguments { key, ..Default::default() };
        let keyring = keys.sources(Path::new("."))?.read()?;
        say(format_args!("{}", keyring.master().fingerprint()))?;
        Ok(Outcome::Done)
    }
}
