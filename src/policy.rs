//! Which files and fields are secret, and why. Pure: text in, verdicts out.
//!
//! A file's class comes from its name: the last `[[file]]` rule that matches, then the built-in
//! names and formats, for a derived name (`app.toml~`) those of its origin. A value's verdict
//! comes, first to last, from: the marker of a sealed value in it; its being a credential by its
//! form; the last `[[file]]` pattern that covers its path; the ledger; the names in its path
//! less the exceptions. When two of them name more and less of a value, more is sealed.
//!
//! Must stay true: a verdict depends on nothing but the policy, the ledger, the names and the
//! value; no reason quotes a value.

mod defaults;
mod derived;
mod judge;
mod ledger;
mod names;
mod parse;
mod pattern;
mod reason;
mod rules;
mod value;
mod words;

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

pub use derived::derived_from;
pub use judge::{FieldRules, Secret, Verdict};
pub use ledger::{Ledger, LedgerError};
pub use names::Named;
pub use parse::{PolicyError, closest};
pub use reason::Reason;
pub use value::{Credential, Harmless};

use self::parse::Parsed;
use self::rules::Rule;
use crate::format::Format;
use crate::path::RelPath;

/// The directory at the store's root that is confseal's own.
const CONTROL_DIR: &[u8] = b".confseal";

/// The padding bucket when a policy names none, in bytes.
const DEFAULT_BUCKET: usize = 16;

/// A policy: immutable, cheap to clone.
#[derive(Debug, Clone)]
pub struct Policy(Arc<Parsed>);

/// What a file is, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// What is sealed in it.
    pub class: Class,
    /// By what.
    pub reason: ClassReason,
    /// Whose name decided: the file itself, or the one it is derived from.
    pub base: RelPath,
}

/// How a file is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Its secret fields are, as this format finds them.
    Fields(Format),
    /// As a whole.
    Whole,
    /// Not at all, by a rule's `seal = "none"`, or because it is confseal's own.
    Plain,
    /// No rule, no built-in name and no format knows it.
    Unknown,
}

/// By what a file has its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClassReason {
    /// A `[[file]]` rule.
    Rule {
        /// The line of its `path`, 1-based.
        line: usize,
        /// Its `path`.
        pattern: String,
    },
    /// Its name or extension is known.
    Name,
    /// Its content is that of one of the formats that its extension may stand for.
    Content,
    /// Nothing.
    Unruled,
}

impl Classified {
    /// Whether a text that cannot be read as its format is one of which nothing is known: no rule
    /// speaks of the file, and its name tells too little to be held against its content.
    pub fn is_by_content(&self) -> bool {
        let by_content = matches!(&self.class, Class::Fields(format) if format.is_by_content());
        by_content && self.reason == ClassReason::Name
    }
}

impl fmt::Display for ClassReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClassReason::Rule { line, pattern } => {
                write!(f, "the rule for `{pattern}` (policy line {line})")
            }
            ClassReason::Name => f.write_str("its name"),
            ClassReason::Content => f.write_str("its name and content"),
            ClassReason::Unruled => f.write_str("no rule"),
        }
    }
}

impl Policy {
    /// The policy without rules: the built-in lists, edition 1.
    pub fn builtin() -> Self {
        Self(Arc::default())
    }

    /// Reads a `policy.toml`. Refused whole on any error.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse::parse(text).map(|parsed| Self(Arc::new(parsed)))
    }

    /// What `file` is, by its name alone.
    ///
    /// A rule that matches a derived name and not its origin was made for that name, and wins;
    /// one that matches both (`**`) says nothing of the derived name in particular.
    pub fn classify(&self, file: &RelPath) -> Classified {
        if file.components().next() == Some(CONTROL_DIR) {
            return Classified {
                class: Class::Plain,
                reason: ClassReason::Name,
                base: file.clone(),
            };
        }
        let origin = self.origin(file);
        let format = format_of(file).or_else(|| format_of(origin.as_ref()?));
        let own = self.deciding_rule(file, format.as_ref());
        match origin {
            Some(origin) if own.as_ref().is_none_or(|(rule, _)| rule.glob.matches(&origin)) => {
                let rule = self.deciding_rule(&origin, format_of(&origin).as_ref());
                classified(rule, origin)
            }
            _ => classified(own, file.clone()),
        }
    }

    /// The rules for the fields of `file`: of the patterns in the policy those whose rule matches
    /// the file or a name that it is derived from, and of the ledger the entries of either.
    pub fn fields<'a>(&'a self, file: &RelPath, ledger: &'a Ledger) -> FieldRules<'a> {
        let mut kin = vec![file.clone()];
        kin.extend(origins(file));
        let rules = self.0.rules.iter();
        let rules = rules.filter(|rule| kin.iter().any(|name| rule.glob.matches(name)));
        FieldRules::new(
            &self.0.names,
            rules.flat_map(|rule| &rule.fields).collect(),
            kin.iter().filter_map(|name| ledger.entries(name)).collect(),
        )
    }

    /// The same for a file that was not there before. If no rule names it, the secret patterns of
    /// every rule hold for it: it may be some program's temporary file for any of them, and until
    /// it is renamed nothing else tells.
    pub fn fields_of_newcomer<'a>(&'a self, file: &RelPath, ledger: &'a Ledger) -> FieldRules<'a> {
        let own = self.fields(file, ledger);
        match self.classify(file).reason {
            ClassReason::Rule { .. } => own,
            ClassReason::Name | ClassReason::Content | ClassReason::Unruled => {
                let all = self.0.rules.iter().flat_map(|rule| &rule.fields);
                own.with(all.filter(|field| field.secret))
            }
        }
    }

    /// Whether the raw text of a file that no codec reads holds a credential.
    pub fn credential_in_text(&self, text: &[u8]) -> Option<Reason> {
        value::credential_in_text(text).map(Reason::Value)
    }

    /// The size, in bytes, to a multiple of which sealed values are padded.
    pub fn bucket(&self) -> usize {
        self.0.padding.unwrap_or(DEFAULT_BUCKET)
    }

    /// The name that `file` is derived from, if a known one is among the candidates. A rule knows
    /// better than a list; and where names are guessed, `seal = "none"` for one of them does not
    /// lay open what may be another.
    fn origin(&self, file: &RelPath) -> Option<RelPath> {
        let rank = |name: &RelPath| match self.deciding_rule(name, format_of(name).as_ref()) {
            Some((_, Class::Plain)) => Some(2),
            Some(_) => Some(0),
            None => builtin_class(name).map(|_| 1),
        };
        let ranked = origins(file).into_iter().filter_map(|name| Some((rank(&name)?, name)));
        // The first of several of the best rank.
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, name)| name)
    }

    /// The last rule that matches `file` and says what it is.
    fn deciding_rule(&self, file: &RelPath, format: Option<&Format>) -> Option<(&Rule, Class)> {
        let rules = self.0.rules.iter().rev().filter(|rule| rule.glob.matches(file));
        rules.filter_map(|rule| Some((rule, rule.class(format)?))).next()
    }
}

fn classified(rule: Option<(&Rule, Class)>, base: RelPath) -> Classified {
    let (class, reason) = match rule {
        Some((rule, class)) => {
            (class, ClassReason::Rule { line: rule.line, pattern: rule.glob.text().into() })
        }
        None => match builtin_class(&base) {
            Some(class) => (class, ClassReason::Name),
            None => (Class::Unknown, ClassReason::Unruled),
        },
    };
    Classified { class, reason, base }
}

fn format_of(file: &RelPath) -> Option<Format> {
    Format::by_file_name(file.name().as_bytes())
}

fn builtin_class(file: &RelPath) -> Option<Class> {
    if names::is_whole_file(file.name().as_bytes()) {
        return Some(Class::Whole);
    }
    format_of(file).map(Class::Fields)
}

/// The paths that `file` may be derived from, best first.
fn origins(file: &RelPath) -> Vec<RelPath> {
    let names = derived_from(file.name().as_bytes());
    let directory = file.parent();
    names.iter().map(|name| directory.join(OsStr::from_bytes(name))).collect()
}

#[cfg(test)]
mod tests;
