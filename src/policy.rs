//! Which files and fields are secret, and why. Pure: text in, verdicts out.
//!
//! A file's class comes from its name: the last `[[file]]` rule that matches, then the built-in
//! names and formats, for a derived name (`app.toml~`) those of its origin. A value's verdict
//! comes, first to last, from: the marker of a sealed value in it; its being a credential by its
//! form; the last `[[file]]` pattern that covers its path; the ledger; the names in its path
//! less the exceptions. When two of them name more and less of a value, more is sealed.
//!
//! A policy that was changed and not accepted yet holds together with the accepted one, see
//! [`Policy::together_with`].
//!
//! Must stay true: a verdict depends on nothing but the policy, the ledger, the names and the
//! value; no reason quotes a value.

mod amend;
mod defaults;
mod derived;
mod judge;
mod ledger;
mod names;
mod parse;
mod pattern;
mod places;
mod reason;
mod rules;
mod single;
mod statement;
mod together;
mod value;
mod words;

use std::fmt;
use std::sync::Arc;

pub use amend::Unnameable;
pub use derived::derived_from;
pub use judge::{Secret, Verdict};
pub use ledger::{Ledger, LedgerError};
pub use names::Named;
pub use parse::{Excerpt, PolicyError, closest};
pub use places::{Places, PlacesError};
pub use reason::Reason;
pub use statement::{Difference, Statement};
pub use together::FieldRules;
pub use value::{Credential, Harmless, looks_random};

use self::judge::RulesOfOne;
use self::parse::Parsed;
use crate::format::Format;
use crate::path::RelPath;
use crate::span::Span;

/// The directory at the store's root that is confseal's own.
const CONTROL_DIR: &[u8] = b".confseal";

/// A policy: immutable, cheap to clone.
#[derive(Debug, Clone)]
pub struct Policy {
    own: Arc<Parsed>,
    /// What was accepted, while `own` is another text: both hold.
    accepted: Option<Arc<Parsed>>,
}

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
    /// The accepted policy, which is stronger here than the changed one in the store.
    Accepted {
        /// By what the accepted one decides.
        accepted: Box<ClassReason>,
        /// What the changed one goes by.
        changed: Box<ClassReason>,
    },
    /// Both policies: they read the file in ways that do not go together.
    Apart {
        /// What the accepted one goes by.
        accepted: Box<ClassReason>,
        /// What the changed one goes by.
        changed: Box<ClassReason>,
    },
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
            ClassReason::Accepted { accepted, changed } => {
                write!(f, "the accepted policy: {accepted}; the changed one: {changed}")
            }
            ClassReason::Apart { accepted, changed } => write!(
                f,
                "the accepted policy ({accepted}) and the changed one ({changed}), which read it \
                 in different ways"
            ),
        }
    }
}

impl Policy {
    /// The policy without rules: the built-in lists, edition 1.
    pub fn builtin() -> Self {
        Self { own: Arc::default(), accepted: None }
    }

    /// Reads a `policy.toml`. Refused whole on any error.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse::parse(text).map(|parsed| Self { own: Arc::new(parsed), accepted: None })
    }

    /// The text it was read from; empty for the built-in one.
    pub fn text(&self) -> &str {
        &self.own.text
    }

    /// This policy together with the last `accepted` one: of what they say of a file or a value,
    /// the stronger holds, so that nothing the one protects is laid open by the other.
    pub fn together_with(&self, accepted: &Policy) -> Self {
        let differs = self.own.text != accepted.own.text;
        Self { own: self.own.clone(), accepted: differs.then(|| accepted.own.clone()) }
    }

    /// This policy by itself, without an accepted one beside it.
    pub fn alone(&self) -> Self {
        Self { own: self.own.clone(), accepted: None }
    }

    /// The accepted policy by itself, if it holds beside this one.
    pub fn accepted(&self) -> Option<Self> {
        Some(Self { own: self.accepted.clone()?, accepted: None })
    }

    /// What `file` is, by its name alone.
    pub fn classify(&self, file: &RelPath) -> Classified {
        let own = self.own.classify(file);
        match &self.accepted {
            None => own,
            Some(accepted) => together::class(accepted.classify(file), own),
        }
    }

    /// The rules for the fields of `file`: of the patterns in the policy those whose rule matches
    /// the file or a name that it is derived from, and of the ledger the entries of either.
    pub fn fields<'a>(&'a self, file: &RelPath, ledger: &'a Ledger) -> FieldRules<'a> {
        self.fields_by(file, |policy| policy.fields(file, ledger))
    }

    /// The same for a file that was not there before. If no rule names it, the secret patterns of
    /// every rule hold for it: it may be some program's temporary file for any of them, and until
    /// it is renamed nothing else tells.
    pub fn fields_of_newcomer<'a>(&'a self, file: &RelPath, ledger: &'a Ledger) -> FieldRules<'a> {
        self.fields_by(file, |policy| policy.fields_of_newcomer(file, ledger))
    }

    /// A policy that leaves a file plain has nothing to say of its fields.
    fn fields_by<'a>(
        &'a self,
        file: &RelPath,
        rules: impl Fn(&'a Parsed) -> RulesOfOne<'a>,
    ) -> FieldRules<'a> {
        let own = rules(&self.own);
        let Some(accepted) = &self.accepted else { return FieldRules { own, accepted: None } };
        let is_plain = |policy: &Parsed| policy.classify(file).class == Class::Plain;
        match (is_plain(accepted), is_plain(&self.own)) {
            (false, true) => FieldRules { own: rules(accepted), accepted: None },
            (true, false) => FieldRules { own, accepted: None },
            (true, true) | (false, false) => FieldRules { own, accepted: Some(rules(accepted)) },
        }
    }

    /// Whether the raw text of a file that no codec reads holds a credential.
    pub fn credential_in_text(&self, text: &[u8]) -> Option<Reason> {
        value::credential_in_text(text).map(Reason::Value)
    }

    /// The first credential in `gaps`, what the values of `text` leave of it, and at which offset
    /// of `text` it begins. In a comment, what only shows how a URL is written is none.
    pub fn credential_outside(
        &self,
        text: &[u8],
        gaps: impl Iterator<Item = Span>,
    ) -> Option<(Credential, usize)> {
        value::credential_outside(text, gaps)
    }

    /// The size, in bytes, to a multiple of which sealed values are padded.
    pub fn bucket(&self) -> usize {
        let accepted = self.accepted.as_ref().map_or(0, |accepted| accepted.bucket());
        self.own.bucket().max(accepted)
    }
}

#[cfg(test)]
mod tests;
