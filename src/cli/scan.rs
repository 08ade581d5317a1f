//! `scan`: what looks secret, and why. Needs no key and no store that was set up.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::import::LookArguments;
use super::offline::places;
use super::open::rules;
use super::output::{count, on_one_line, say, say_json};
use super::survey::{Kind, Read, Row, Survey, Surveyed};
use super::{Outcome, Result};

/// Show what looks secret in files and directories, and why
///
/// Needs no key, writes nothing and never prints a value. Exit code 1 if a secret stands in the
/// clear.
#[derive(Args)]
pub(super) struct Scan {
    /// Files, and directories with all that is in them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Also what is close to a secret and left alone, and what stands sealed.
    #[arg(long)]
    all: bool,
    /// For scripts: everything, as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: LookArguments,
}

impl Scan {
    pub(super) fn run(self) -> Result {
        let mut survey = Survey::default();
        for place in places(&self.paths)? {
            let (policy, ledger) = rules(&place.store)?;
            let imports = self.look.imports(place.store.path())?;
            survey.add(&place, &policy, &ledger, &imports)?;
        }
        match self.json {
            true => say_json(&survey.to_json())?,
            false => survey.say(self.all)?,
        }
        let clean = survey.exposed() == 0;
        Ok(if clean { survey.troubles.outcome() } else { Outcome::NotClean })
    }
}

impl Survey {
    /// Shows it grouped by file, in columns.
    pub(super) fn say(&self, all: bool) -> Result<()> {
        for file in self.files.iter().filter(|file| all || file.has_something()) {
            file.say(all)?;
        }
        say(format_args!("{}", self.summary()))?;
        let suspects = self.count(|row| row.kind == Kind::Suspect);
        if suspects > 0 {
            eprintln!(
                "  hint: what only looks random is not sealed unless a rule says so; `confseal init` \
                 writes such rules"
            );
        }
        Ok(())
    }

    /// Everything in one line.
    pub(super) fn summary(&self) -> String {
        let number = |kind| self.count(|row| row.kind == kind);
        let commented = self.count(|row| row.kind.is_exposed() && row.commented);
        let mut notes = Vec::new();
        for (number, what) in [(number(Kind::Part), "in part"), (commented, "in comments")] {
            if number > 0 {
                notes.push(format!("{number} {what}"));
            }
        }
        let notes = match notes.is_empty() {
            true => String::new(),
            false => format!(" ({})", notes.join(", ")),
        };
        format!(
            "{} looked at: {} in the clear{notes}, {} to look at, {} sealed, {} left alone",
            count(self.looked_at, "file"),
            count(self.exposed(), "secret"),
            number(Kind::Suspect),
            self.sealed(),
            number(Kind::LeftAlone),
        )
    }

    pub(super) fn to_json(&self) -> Value {
        let number = |kind| self.count(|row| row.kind == kind);
        json!({
            "files": self.files.iter().map(Surveyed::to_json).collect::<Vec<_>>(),
            "summary": {
                "files": self.looked_at,
                "unreadable": self.troubles.count,
                "exposed": self.exposed(),
                "suspects": number(Kind::Suspect),
                "sealed": self.sealed(),
                "left_alone": number(Kind::LeftAlone),
            },
        })
    }
}

impl Surveyed {
    fn has_something(&self) -> bool {
        let quiet = |row: &Row| matches!(row.kind, Kind::Sealed | Kind::LeftAlone);
        let unread = self.rows.is_empty() && !matches!(self.read, Read::Sealed);
        self.whole.is_some() || unread || !self.rows.iter().all(quiet)
    }

    fn say(&self, all: bool) -> Result<()> {
        say(format_args!("{}: {}", on_one_line(&self.shown.to_string_lossy()), self.read))?;
        if let Some(reason) = &self.whole {
            say(format_args!("  {reason}; `confseal seal` seals the file whole"))?;
        }
        let shown = |row: &&Row| all || !matches!(row.kind, Kind::Sealed | Kind::LeftAlone);
        let rows: Vec<&Row> = self.rows.iter().filter(shown).collect();
        let line = rows.iter().map(|row| row.line.to_string().len()).max().unwrap_or(0);
        let field = rows.iter().map(|row| row.field.to_string().chars().count()).max().unwrap_or(0);
        // One long path does not push every reason out of sight.
        let field = field.min(48);
        for row in rows {
            let path = row.field.to_string();
            say(format_args!(
                "  {:>line$}  {path:field$}  {}{}",
                row.line,
                row.marks(),
                row.reason
            ))?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        json!({
            "file": self.shown.to_string_lossy(),
            "read": self.read.to_string(),
            "whole": self.whole,
            "fields": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Row {
    /// What the reason does not say.
    pub(super) fn marks(&self) -> String {
        let kind = match self.kind {
            Kind::Secret | Kind::Malformed => "",
            Kind::Part => "a part: ",
            Kind::Suspect => "to look at: ",
            Kind::Sealed => "sealed: ",
            Kind::LeftAlone => "left alone: ",
        };
        format!("{}{kind}", if self.commented { "in a comment, " } else { "" })
    }

    fn to_json(&self) -> Value {
        let kind = match self.kind {
            Kind::Secret => "secret",
            Kind::Part => "part",
            Kind::Suspect => "suspect",
            Kind::Sealed => "sealed",
            Kind::Malformed => "malformed",
            Kind::LeftAlone => "left_alone",
        };
        json!({
            "line": self.line,
            "field": self.field.to_string(),
            "kind": kind,
            "commented": self.commented,
            "reason": self.reason,
        })
    }
}

impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use crate::policy::{Class, ClassReason};
        match self {
            Read::Fields(format, by) => write!(f, "{format}, by {by}"),
            Read::Guessed(id) => {
                write!(
                    f,
                    "no rule and no known name; reads as {id}, which a rule would have to say"
                )
            }
            Read::Sealed => f.write_str("sealed as a whole"),
            Read::Not(Class::Whole, by) => write!(f, "a whole, by {by}"),
            Read::Not(Class::Fields(format), by) => write!(f, "{format}, by {by}"),
            Read::Not(_, ClassReason::Unruled) => f.write_str(
                "no rule and no known format; it stays as it is unless that shows a secret",
            ),
            Read::Not(_, by) => write!(f, "not sealed, by {by}"),
        }
    }
}
