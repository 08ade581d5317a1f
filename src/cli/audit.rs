//! `audit`: prints the trail of a store.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;

use super::audited;
use super::error::Failure;
use super::mounts;
use super::open::locate;
use super::output::{on_one_line, say};
use super::{Outcome, Result};
use crate::audit::{Record, parse_since};
use crate::path::RelPath;

/// Show who read or changed secrets by confseal's verbs and its control file
///
/// Reads of programs through a mount are not in it. Root sees what root's verbs and the daemon
/// recorded, any other user what he recorded himself.
#[derive(Args)]
pub(super) struct Audit {
    /// Of this file, or of what lies in this directory; without it, of the current directory.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// What is no older: 2026-01-31, 2026-01-31T12:00:00Z (times are UTC), 90s, 15m, 2h, 7d.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// For scripts: one JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(super) fn run(self) -> Result {
        let since = self.since.as_deref().map(|text| parse_since(text, SystemTime::now()));
        let since = since.transpose().map_err(|error| Failure::Usage(error.to_string()))?;
        let (store, below) = self.place()?;
        let Some(trail) = audited::find(&store)? else {
            eprintln!("nothing is recorded of {} here", store.display());
            return Ok(Outcome::Done);
        };
        let mut records = Vec::new();
        let mut broken = 0;
        let is_wanted = |record: &Record| {
            let is_late = since.as_ref().is_none_or(|since| record.time >= *since);
            let file = RelPath::new(record.file.as_str());
            is_late && (below.is_root() || file.is_ok_and(|file| file.is_within(&below)))
        };
        trail
            .read(
                &mut |record| {
                    if is_wanted(&record) {
                        records.push(record);
                    }
                },
                &mut |file, line| {
                    broken += 1;
                    eprintln!("confseal: {}:{line}: no record, cut off by a crash", file.display());
                },
            )
            .map_err(Failure::Unrecorded)?;
        for record in &records {
            match self.json {
                true => {
                    let text = serde_json::to_string(record).map_err(std::io::Error::other);
                    say(format_args!("{}", text.map_err(Failure::io(trail.path()))?))?;
                }
                false => say(format_args!("{}", on_one_line(&line(record))))?,
            }
        }
        Ok(if broken == 0 { Outcome::Done } else { Outcome::NotClean })
    }

    /// The store, and what is asked for in it; also where the mount is dead, or the file is gone.
    fn place(&self) -> Result<(PathBuf, RelPath)> {
        let path = std::path::absolute(&self.path).map_err(Failure::io(&self.path))?;
        if let Some((mount, below)) = mounts::holding(&path) {
            return Ok((mount.source.into(), below));
        }
        match path.exists() {
            true => locate(&path),
            false => {
                let parent = path.parent().unwrap_or(&path);
                let (store, directory) = locate(parent)?;
                Ok((store, directory.join(path.file_name().unwrap_or_default())))
            }
        }
    }
}

fn line(record: &Record) -> String {
    let Record { time, action, file, field, outcome, reason, who } = record;
    let subject = [file, field].into_iter().filter(|text| !text.is_empty());
    let subject: String = subject.map(|text| format!("  {text}")).collect();
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("{time}  {} {}{subject}  by {who}{why}", action.name(), outcome.name())
}
