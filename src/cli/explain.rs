//! `explain`: what is secret, by which rule and line, and how it stands now. Needs no key.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::error::Failure;
use super::offline::{places, read};
use super::open::{is_mount, locate, open_store, rules};
use super::output::{say, say_json};
use super::trouble::{Trouble, Troubles};
use super::{Outcome, Result, control};
use crate::document::{Finding, Form, Inspection, Standing, inspect};
use crate::path::RelPath;
use crate::policy::{Class, ClassReason, Classified, Ledger, Policy, Secret};

/// Say which values are secret and why: of a file each field, of a directory each file
///
/// Needs no key. A sealed value is judged by its name alone.
#[derive(Args)]
pub(super) struct Explain {
    /// A file or a directory.
    path: PathBuf,
    /// For scripts: the same as JSON.
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(self) -> Result {
        let metadata = std::fs::metadata(&self.path).map_err(Failure::io(&self.path))?;
        if metadata.is_dir() { self.explain_directory() } else { self.explain_file() }
    }

    fn explain_directory(&self) -> Result {
        let mut rows = Vec::new();
        let mut files = Vec::new();
        let mut troubles = Troubles::default();
        for place in places(std::slice::from_ref(&self.path))? {
            let (policy, ledger) = rules(&place.store)?;
            place.each_file(&mut |found| {
                let (class, form) = match found.read() {
                    Ok(text) => {
                        let seen = inspect(&policy, &ledger, found.file, &text);
                        let form = form(&seen);
                        (seen.class, form)
                    }
                    Err(Trouble::TooLarge) => {
                        (policy.classify(found.file), "too large to look at".to_owned())
                    }
                    Err(trouble) => {
                        troubles.note(&found.shown, &trouble);
                        return Ok(());
                    }
                };
                let shown = found.shown.to_string_lossy().into_owned();
                files.push(file_json(&shown, &class, &form));
                let by = class_reason(found.file, &class);
                rows.push([shown, class_name(&class.class), form, by]);
                Ok(())
            })?;
        }
        match self.json {
            true => say_json(&Value::from(files))?,
            false => table(["FILE", "CLASS", "STANDS", "BY"], &rows)?,
        }
        Ok(troubles.outcome())
    }

    fn explain_file(&self) -> Result {
        let (root, file) = locate(&self.path)?;
        let store = open_store(&root)?;
        let (policy, ledger) = if is_mount(&root) {
            eprintln!(
                "seen through a mount: all stands in the clear here, and what only the ledger \
                 names counts as public"
            );
            (control::rules(&root)?, Ledger::new())
        } else {
            rules(&store)?
        };
        let text = read(&store, &file).map_err(|trouble| trouble.into_failure(&self.path))?;
        let seen = inspect(&policy, &ledger, &file, &text);
        let shown = self.path.to_string_lossy();
        if self.json {
            let mut said = file_json(&shown, &seen.class, &form(&seen));
            said["fields"] = seen.fields.iter().map(field_json).collect();
            say_json(&said)?;
            return Ok(Outcome::Done);
        }
        let (class, by) = (class_name(&seen.class.class), class_reason(&file, &seen.class));
        say(format_args!("{shown}: {class}, by {by}; stands {}", form(&seen)))?;
        say_why(&policy, &seen, &text)?;
        if seen.fields.is_empty() {
            return Ok(Outcome::Done);
        }
        let row = |field: &Finding| {
            let secret = if is_secret(field) { "secret" } else { "public" };
            let path = field.path.to_string();
            [field.line.to_string(), path, secret.to_owned(), standing(field), reason(field)]
        };
        let rows: Vec<_> = seen.fields.iter().map(row).collect();
        table(["LINE", "FIELD", "SECRET", "STANDS", "BY"], &rows)?;
        Ok(Outcome::Done)
    }
}

/// What else there is to know of a file that is not taken apart.
fn say_why(policy: &Policy, seen: &Inspection, text: &[u8]) -> Result<()> {
    if let Some(error) = &seen.unreadable {
        say(format_args!("cannot be read field by field: {error}; `seal` seals it whole"))?;
    }
    match policy.credential_in_text(text) {
        Some(reason) if seen.class.class == Class::Unknown => {
            say(format_args!("{reason}; `seal` seals the file whole"))
        }
        _ => Ok(()),
    }
}

fn class_name(class: &Class) -> String {
    match class {
        Class::Fields(format) => format!("fields of {format}"),
        Class::Whole => "whole".into(),
        Class::Plain => "plain".into(),
        Class::Unknown => "unknown".into(),
    }
}

fn class_reason(file: &RelPath, class: &Classified) -> String {
    match &class.base {
        base if base == file || class.reason == ClassReason::Unruled => class.reason.to_string(),
        origin => format!("{}, as a version of {origin}", class.reason),
    }
}

fn form(seen: &Inspection) -> String {
    match (seen.form, seen.whole_key) {
        (Form::Plain, _) => "plain".into(),
        (Form::Fields(_), _) => "sealed by fields".into(),
        (Form::Whole, Some(key)) => format!("sealed whole (key {key})"),
        (Form::Whole, None) => "sealed whole, damaged".into(),
    }
}

/// What is sealed stays so, but for an operator's rule.
fn is_secret(field: &Finding) -> bool {
    let sealed = field.standing != Standing::Clear && !field.verdict.reason.is_rule();
    sealed || field.verdict.secret != Secret::No
}

fn standing(field: &Finding) -> String {
    let form = match field.standing {
        Standing::Clear => "clear".into(),
        Standing::Sealed(key) => format!("sealed (key {key})"),
        Standing::PartsSealed(key) => format!("part sealed (key {key})"),
        Standing::Malformed => "damaged token".into(),
    };
    if field.commented { form + ", in a comment" } else { form }
}

fn reason(field: &Finding) -> String {
    let by_path = &field.verdict.reason;
    match field.standing {
        Standing::Clear => by_path.to_string(),
        _ if by_path.is_rule() || field.verdict.secret != Secret::No => by_path.to_string(),
        // What it holds is not known without a key.
        _ => "it stands sealed: by its value, or by hand".into(),
    }
}

fn file_json(file: &str, class: &Classified, form: &str) -> Value {
    let line = match &class.reason {
        ClassReason::Rule { line, .. } => Some(line),
        ClassReason::Name | ClassReason::Content | ClassReason::Unruled => None,
    };
    json!({
        "file": file,
        "class": class_name(&class.class),
        "stands": form,
        "reason": class.reason.to_string(),
        "policy_line": line,
    })
}

fn field_json(field: &Finding) -> Value {
    json!({
        "line": field.line,
        "field": field.path.to_string(),
        "secret": is_secret(field),
        "stands": standing(field),
        "reason": reason(field),
    })
}

/// Prints `rows` below `head`, in columns; the last is as long as it likes.
fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Result<()> {
    let widths: [usize; N] = std::array::from_fn(|n| {
        let cells = rows.iter().map(|row| row[n].chars().count());
        cells.chain([head[n].len()]).max().unwrap_or(0)
    });
    let head = head.map(str::to_owned);
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += &format!("{cell:width$}  ");
        }
        say(format_args!("{}", line.trim_end()))?;
    }
    Ok(())
}
