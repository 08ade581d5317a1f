//! `check`: does a secret stand in the clear? Needs no key, so that a commit hook can ask.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::import::LookArguments;
use super::offline::{is_unread_configuration, places};
use super::open::rules;
use super::output::{count, say, say_json};
use super::trouble::{Trouble, Troubles};
use super::{Outcome, Result};
use crate::document::{Form, Inspection, Standing, inspect_with};
use crate::policy::{Class, Policy};

/// Tell whether a secret stands in the clear: exit code 1, and a list, if one does
///
/// Needs no key and writes nothing.
#[derive(Args)]
pub(super) struct Check {
    /// Files, and directories with all that is in them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// For scripts: what was found as JSON.
    #[arg(long)]
    json: bool,
    /// Print nothing about secrets: the exit code tells.
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    #[command(flatten)]
    look: LookArguments,
}

/// A secret in the clear.
pub(super) struct Exposed {
    path: PathBuf,
    /// Line and field; `None` for the file as a whole.
    field: Option<(usize, String)>,
    reason: String,
}

impl Check {
    pub(super) fn run(self) -> Result {
        let mut exposed = Vec::new();
        let mut troubles = Troubles::default();
        let mut unread = Vec::new();
        let mut foreign: BTreeMap<&str, usize> = BTreeMap::new();
        let mut files = 0;
        for place in places(&self.paths)? {
            let (policy, ledger) = rules(&place.store)?;
            let imports = self.look.imports(place.store.path())?;
            place.each_file(&mut |found| {
                files += 1;
                match found.read() {
                    Ok(text) => {
                        let seen = inspect_with(&policy, &ledger, &imports, found.file, &text);
                        exposed.extend(exposed_in(&policy, &seen, &found.shown, &text));
                        for scheme in seen.foreign() {
                            *foreign.entry(scheme.name()).or_default() += 1;
                        }
                        if is_unread_configuration(&policy, found.file, &text) {
                            unread.push(found.shown.to_string_lossy().into_owned());
                        }
                    }
                    // A codec would have to read it; a file that none reads may be large.
                    Err(Trouble::TooLarge) if found.may_be_large(&policy) => {}
                    Err(trouble) => troubles.note(&found.shown, &trouble),
                }
                Ok(())
            })?;
        }
        if self.json {
            say_json(&json!({
                "files": files,
                "unreadable": troubles.count,
                "not_looked_into": unread,
                "foreign": foreign,
                "exposed": exposed.iter().map(Exposed::to_json).collect::<Vec<_>>(),
            }))?;
        } else if !self.quiet {
            exposed.iter().try_for_each(Exposed::say)?;
            for path in &unread {
                eprintln!(
                    "not looked into: {path}: no rule names it, and its content is of no known format"
                );
            }
            for (scheme, tokens) in &foreign {
                let tokens = count(*tokens, "field");
                eprintln!("foreign, scheme {scheme}: {tokens}; `confseal rewrap` makes them ours");
            }
            if !exposed.is_empty() {
                eprintln!(
                    "{} in the clear; `confseal seal` seals them",
                    count(exposed.len(), "secret")
                );
            }
        }
        Ok(if exposed.is_empty() { troubles.outcome() } else { Outcome::NotClean })
    }
}

/// The secrets in the clear in `text`, which was `seen` so, and which the user knows as `shown`.
pub(super) fn exposed_in(
    policy: &Policy,
    seen: &Inspection,
    shown: &Path,
    text: &[u8],
) -> Vec<Exposed> {
    let mut exposed = Vec::new();
    if let Some(reason) = whole_reason(policy, seen, text) {
        exposed.push(Exposed { path: shown.to_owned(), field: None, reason });
    }
    for field in &seen.fields {
        let reason = match field.standing {
            Standing::Malformed => "begins like a sealed value and is none".to_owned(),
            Standing::Unimported(scheme) => format!(
                "no token of confseal, but perhaps one of `{scheme}`, which no import names"
            ),
            _ if field.is_exposed() => field.verdict.reason.to_string(),
            _ => continue,
        };
        let place = Some((field.line, field.path.to_string()));
        exposed.push(Exposed { path: shown.to_owned(), field: place, reason });
    }
    exposed
}

/// Why the file should be sealed whole, if it should be and is not.
pub(super) fn whole_reason(policy: &Policy, seen: &Inspection, text: &[u8]) -> Option<String> {
    if seen.form == Form::Whole {
        return seen.whole_key.is_none().then(|| "begins like a sealed file and is none".into());
    }
    // An empty file holds nothing, whether or not its format allows it.
    if let Some(error) = seen.unreadable.as_ref().filter(|_| !text.is_empty()) {
        return Some(format!("cannot be read field by field: {error}"));
    }
    if let Some(outside) = &seen.outside {
        return Some(outside.to_string());
    }
    if !seen.exposed_whole {
        return None;
    }
    match seen.class.class {
        Class::Whole => Some(format!("sealed whole by {}, and in the clear", seen.class.reason)),
        Class::Fields(_) | Class::Plain | Class::Unknown => {
            let credential = policy.credential_in_text(text).map(|reason| reason.to_string());
            let named = || "it reads as configuration in which a secret is named".to_owned();
            Some(credential.unwrap_or_else(named))
        }
    }
}

impl Exposed {
    pub(super) fn say(&self) -> Result<()> {
        let path = Path::display(&self.path);
        match &self.field {
            Some((line, field)) => say(format_args!("{path}:{line}: {field}: {}", self.reason)),
            None => say(format_args!("{path}: whole: {}", self.reason)),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        let (line, field) = match &self.field {
            Some((line, field)) => (Some(line), Some(field)),
            None => (None, None),
        };
        let path = self.path.to_string_lossy();
        json!({"file": path, "line": line, "field": field, "reason": self.reason})
    }
}
