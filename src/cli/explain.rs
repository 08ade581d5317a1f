//! `explain`: what is secret, by which rule and line, and how it stands now. Needs no key.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::check::whole_reason;
use super::error::Failure;
use super::import::LookArguments;
use super::offline::{places, read};
use super::open::{is_mount, locate, open_store, rules};
use super::output::{say, say_json};
use super::trouble::{Trouble, Troubles};
use super::view::parse_field;
use super::{Outcome, Result, control};
use crate::document::{
    FieldPath, Finding, Form, Guess, Imports, Inspection, Standing, guess, inspect_with,
};
use crate::path::RelPath;
use crate::policy::{self, Class, ClassReason, Classified, Secret};

/// Say which values are secret and why: of a file each field, of a directory each file
///
/// Needs no key. A sealed value is judged by its name alone.
#[derive(Args)]
pub(super) struct Explain {
    /// A file or a directory.
    path: PathBuf,
    /// Of a file this field alone, and what stands below it.
    field: Option<String>,
    /// For scripts: the same as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: LookArguments,
}

impl Explain {
    pub(super) fn run(self) -> Result {
        let metadata = std::fs::metadata(&self.path).map_err(Failure::io(&self.path))?;
        match &self.field {
            Some(_) if metadata.is_dir() => {
                let path = self.path.display();
                Err(Failure::Usage(format!("{path}: a directory has no fields; name a file")))
            }
            None if metadata.is_dir() => self.explain_directory(),
            _ => self.explain_file(),
        }
    }

    fn explain_directory(&self) -> Result {
        let mut rows = Vec::new();
        let mut files = Vec::new();
        let mut troubles = Troubles::default();
        for place in places(std::slice::from_ref(&self.path))? {
            let (policy, ledger) = rules(&place.store)?;
            let imports = self.look.imports(place.store.path())?;
            place.each_file(&mut |found| {
                let (class, form) = match found.read() {
                    Ok(text) => {
                        let seen = inspect_with(&policy, &ledger, &imports, found.file, &text);
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
        let field = self.field.as_deref().map(parse_field).transpose()?;
        let (root, file) = locate(&self.path)?;
        let store = open_store(&root)?;
        let (policy, ledger) = if is_mount(&root) {
            eprintln!(
                "seen through a mount: all stands in the clear here, and what only the ledger of \
                 the store names counts as public"
            );
            control::rules(&root)?
        } else {
            rules(&store)?
        };
        let text = read(&store, &file).map_err(|trouble| trouble.into_failure(&self.path))?;
        // Through a mount nothing of theirs is to be seen.
        let imports = match is_mount(&root) {
            true => Imports::default(),
            false => self.look.imports(store.path())?,
        };
        let mut seen = inspect_with(&policy, &ledger, &imports, &file, &text);
        if let Some(field) = &field {
            seen.fields = self.only(field, std::mem::take(&mut seen.fields))?;
        }
        let shown = self.path.to_string_lossy();
        if self.json {
            let mut said = file_json(&shown, &seen.class, &form(&seen));
            said["fields"] = seen.fields.iter().map(field_json).collect();
            say_json(&said)?;
            return Ok(Outcome::Done);
        }
        let (class, by) = (class_name(&seen.class.class), class_reason(&file, &seen.class));
        say(format_args!("{shown}: {class}, by {by}; stands {}", form(&seen)))?;
        if let Some(why) = whole_reason(&policy, &seen, &text) {
            say(format_args!("{why}; `seal` seals the file whole"))?;
        }
        if seen.class.class == Class::Unknown
            && let Some(Guess { id, .. }) = guess(&policy, &ledger, &file, &text)
        {
            say(format_args!(
                "it reads as {id}: a rule with `format = \"{id}\"` seals its fields"
            ))?;
        }
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

    /// Those of `fields` that are `wanted`, or stand below it.
    fn only(&self, wanted: &FieldPath, fields: Vec<Finding>) -> Result<Vec<Finding>> {
        let front = wanted.segments();
        let is_wanted = |field: &Finding| field.path.segments().starts_with(&front);
        if fields.iter().any(is_wanted) {
            return Ok(fields.into_iter().filter(is_wanted).collect());
        }
        let mut message = format!("{}: there is no field `{wanted}`", self.path.display());
        for (n, close) in closest(wanted, &fields).into_iter().enumerate() {
            message += if n == 0 { "; the nearest are " } else { ", " };
            message += &format!("`{close}`");
        }
        Err(Failure::Value(message))
    }
}

/// The paths that a user may have meant, best first.
fn closest(wanted: &FieldPath, fields: &[Finding]) -> Vec<String> {
    const MOST: usize = 3;
    let wanted = wanted.to_string();
    let mut paths: Vec<String> = fields.iter().map(|field| field.path.to_string()).collect();
    paths.sort();
    paths.dedup();
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    // The same key in another table, then one letter wrong or left out.
    let (same, mut rest): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| last(path) == last(&wanted));
    let mut close = same;
    while close.len() < MOST {
        let known: Vec<&str> = rest.iter().map(String::as_str).collect();
        let Some(found) = policy::closest(&wanted, &known).map(str::to_owned) else { break };
        rest.retain(|path| *path != found);
        close.push(found);
    }
    close.truncate(MOST);
    close
}

pub(super) fn class_name(class: &Class) -> String {
    match class {
        Class::Fields(format) => format!("fields of {format}"),
        Class::Whole => "whole".into(),
        Class::Plain => "plain".into(),
        Class::Unknown => "unknown".into(),
    }
}

pub(super) fn class_reason(file: &RelPath, class: &Classified) -> String {
    match &class.base {
        base if base == file || class.reason == ClassReason::Unruled => class.reason.to_string(),
        origin => format!("{}, as a version of {origin}", class.reason),
    }
}

pub(super) fn form(seen: &Inspection) -> String {
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
        Standing::Foreign(scheme) => format!("foreign, scheme {scheme}"),
        Standing::Unimported(scheme) => format!("not imported, perhaps {scheme}"),
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
        ClassReason::Name
        | ClassReason::Content
        | ClassReason::Unruled
        | ClassReason::Accepted { .. }
        | ClassReason::Apart { .. } => None,
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
