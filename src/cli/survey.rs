//! What looks secret in some files, and why: gathered for `scan`, which shows it, and for `init`,
//! which writes a policy from it. Needs no key; holds no value.

use std::collections::HashSet;
use std::path::PathBuf;

use super::Result;
use super::check::whole_reason;
use super::offline::{Found, Place, is_unread_configuration};
use super::trouble::{Trouble, Troubles};
use crate::document::{
    CodecId, FieldPath, Finding, Form, Guess, Imports, Inspection, Standing, guess, inspect_with,
};
use crate::path::RelPath;
use crate::policy::{Class, ClassReason, Ledger, Policy, Reason, Secret};

/// What was seen of some files.
#[derive(Default)]
pub(super) struct Survey {
    /// Those of which there is something to say.
    pub files: Vec<Surveyed>,
    /// How many were looked at.
    pub looked_at: usize,
    /// Those that could not be.
    pub troubles: Troubles,
}

/// What was seen of one file.
pub(super) struct Surveyed {
    /// As the user would write it.
    pub shown: PathBuf,
    /// Its path in the store.
    pub file: RelPath,
    /// How it is read.
    pub read: Read,
    /// Why it would be sealed as a whole, if it would be and is not.
    pub whole: Option<String>,
    /// Its fields of which there is something to say, in order.
    pub rows: Vec<Row>,
}

/// How a file is read.
pub(super) enum Read {
    /// Field by field, in this format, by this.
    Fields(String, ClassReason),
    /// No rule and no name tells; it reads as this.
    Guessed(CodecId),
    /// Not at all: it stands sealed as a whole.
    Sealed,
    /// Not at all: to be sealed as a whole, or not.
    Not(Class, ClassReason),
}

/// One field.
pub(super) struct Row {
    pub line: usize,
    pub field: FieldPath,
    pub commented: bool,
    pub kind: Kind,
    /// Why, in words.
    pub reason: String,
}

/// What a field looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A secret in the clear.
    Secret,
    /// A secret in the clear that is a part of its value.
    Part,
    /// It looks random, and nothing says that it is a secret.
    Suspect,
    /// It stands sealed.
    Sealed,
    /// It begins like a sealed value and is none.
    Malformed,
    /// Close to a secret, and left alone.
    LeftAlone,
}

impl Kind {
    /// Whether it is a secret in the clear.
    pub(super) fn is_exposed(self) -> bool {
        matches!(self, Kind::Secret | Kind::Part | Kind::Malformed)
    }
}

/// What a suspect is suspected for.
const RANDOM: &str = "it looks random (entropy), and nothing says what it is";

impl Survey {
    /// Looks at every file of `place`.
    pub(super) fn add(
        &mut self,
        place: &Place,
        policy: &Policy,
        ledger: &Ledger,
        imports: &Imports,
    ) -> Result<()> {
        place.each_file(&mut |found| {
            self.looked_at += 1;
            match found.read() {
                Ok(text) => self.files.extend(look(policy, ledger, imports, found, &text)),
                Err(Trouble::TooLarge) if found.may_be_large(policy) => {}
                Err(trouble) => self.troubles.note(&found.shown, &trouble),
            }
            Ok(())
        })
    }

    /// How many fields are of a kind for which `is` holds.
    pub(super) fn count(&self, is: impl Fn(&Row) -> bool) -> usize {
        self.files.iter().flat_map(|file| &file.rows).filter(|row| is(row)).count()
    }

    /// How many stand sealed: fields, and whole files.
    pub(super) fn sealed(&self) -> usize {
        let whole = self.files.iter().filter(|file| matches!(file.read, Read::Sealed)).count();
        whole + self.count(|row| row.kind == Kind::Sealed)
    }

    /// How many secrets stand in the clear, files that should be sealed as a whole among them.
    pub(super) fn exposed(&self) -> usize {
        let whole = self.files.iter().filter(|file| file.counts_as_one()).count();
        whole + self.count(|row| row.kind.is_exposed())
    }
}

impl Surveyed {
    /// Whether it is the file as a whole that is a secret in the clear, rather than fields of it
    /// that are listed.
    pub(super) fn counts_as_one(&self) -> bool {
        self.whole.is_some() && !self.rows.iter().any(|row| row.kind.is_exposed())
    }
}

fn look(
    policy: &Policy,
    ledger: &Ledger,
    imports: &Imports,
    found: &Found<'_>,
    text: &[u8],
) -> Option<Surveyed> {
    let seen = inspect_with(policy, ledger, imports, found.file, text);
    let whole = whole_reason(policy, &seen, text);
    let unread = is_unread_configuration(policy, found.file, text);
    let (read, fields) = match seen.class.class.clone() {
        Class::Fields(format) if seen.unreadable.is_none() && seen.form != Form::Whole => {
            (Read::Fields(format.to_string(), seen.class.reason.clone()), &seen.fields)
        }
        Class::Unknown if seen.form == Form::Plain => {
            match guess(policy, ledger, found.file, text) {
                Some(Guess { id, fields }) => {
                    return Some(surveyed(found, Read::Guessed(id), whole, &fields));
                }
                None => (not_read(&seen), &seen.fields),
            }
        }
        _ if seen.form == Form::Whole => (Read::Sealed, &seen.fields),
        _ => (not_read(&seen), &seen.fields),
    };
    let surveyed = surveyed(found, read, whole, fields);
    let sealed = matches!(surveyed.read, Read::Sealed);
    let something = sealed || !surveyed.rows.is_empty() || surveyed.whole.is_some() || unread;
    something.then_some(surveyed)
}

fn not_read(seen: &Inspection) -> Read {
    Read::Not(seen.class.class.clone(), seen.class.reason.clone())
}

fn surveyed(found: &Found<'_>, read: Read, whole: Option<String>, fields: &[Finding]) -> Surveyed {
    // A rule names paths: what stands under the same one shares its lot.
    let suspects: HashSet<String> =
        fields.iter().filter(|field| field.suspect).map(|field| field.path.to_string()).collect();
    let rows = fields.iter().filter_map(|field| row(field, &suspects)).collect();
    Surveyed { shown: found.shown.clone(), file: found.file.clone(), read, whole, rows }
}

/// What there is to say of a field, if anything.
fn row(field: &Finding, suspects: &HashSet<String>) -> Option<Row> {
    let reason = &field.verdict.reason;
    let (kind, reason) = match (&field.standing, &field.verdict.secret) {
        (Standing::Unimported(scheme), _) => {
            (Kind::Malformed, format!("perhaps a token of `{scheme}`, which no import names"))
        }
        (Standing::Foreign(scheme), _) => (Kind::Sealed, format!("a token of `{scheme}`")),
        (Standing::Malformed, _) => {
            (Kind::Malformed, "it begins like a sealed value and is none".to_owned())
        }
        (Standing::Clear, Secret::All) => (Kind::Secret, reason.to_string()),
        (Standing::Clear, Secret::Parts(_)) => (Kind::Part, reason.to_string()),
        (Standing::Clear, Secret::No) => match reason {
            Reason::Unruled if field.suspect => (Kind::Suspect, RANDOM.to_owned()),
            Reason::Unruled if suspects.contains(&field.path.to_string()) => {
                (Kind::Suspect, "it stands beside values that look random".to_owned())
            }
            Reason::Unruled => return None,
            _ => (Kind::LeftAlone, reason.to_string()),
        },
        (Standing::Sealed(_) | Standing::PartsSealed(_), _) => (Kind::Sealed, reason.to_string()),
    };
    let Finding { path, line, commented, .. } = field;
    Some(Row { line: *line, field: path.clone(), commented: *commented, kind, reason })
}
