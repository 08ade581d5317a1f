//! `set`: one field of one file gets the value that stands on standard input, sealed.

use std::path::PathBuf;

use clap::Args;

use super::error::Failure;
use super::offline::keep_secrets_in_memory;
use super::one::One;
use super::open::{KeyArguments, remember_key};
use super::output::say;
use super::trouble::Trouble;
use super::value::{standard_input, without_line_end};
use super::view::parse_field;
use super::{Outcome, Result};
use crate::document::{
    Existing, FieldError, FieldPath, Finding, Form, Sealing, Standing, WholeBecause, inspect,
};
use crate::policy::Secret;
use crate::secret::SecretBytes;

/// Give a field of a file another value: from standard input, sealed
///
/// One line end at the end of the input is not part of the value. The field must be there already.
/// It is sealed whatever its name, unless a rule calls it public.
#[derive(Args)]
pub(super) struct Set {
    /// A file in a store; one in a mount is simply written.
    file: PathBuf,
    /// A field path, as `explain` shows it: database.password, users[].token, "odd key".x
    field: String,
    /// Every field of this path, the elements of a list say.
    #[arg(long)]
    all: bool,
    /// The line end at the end of the input is part of the value.
    #[arg(long)]
    keep_newline: bool,
    #[command(flatten)]
    keys: KeyArguments,
}

/// What became of it.
struct Done {
    changed: bool,
    form: Form,
    whole: Option<WholeBecause>,
    /// In how many places the field stands in the clear, by which rule.
    clear: usize,
}

impl Set {
    pub(super) fn run(self) -> Result {
        let field = parse_field(&self.field)?;
        let one = One::of(&self.file)?;
        // Before the store is ours: somebody may be typing.
        keep_secrets_in_memory();
        let input = standard_input()?;
        let (mut sealing, _lock) = one.begin(&self.keys)?;
        let value = if self.keep_newline { &input[..] } else { without_line_end(&input) };
        let view = one.open(&sealing, &one.read()?)?.view;
        let view = self.with_value(&one, &sealing, &view, &field, value)?;

        let seen = inspect(&sealing.policy, &sealing.ledger, &one.file, &view);
        let mut places = seen.fields.iter().filter(|seen| is_meant(seen, &field));
        let mut reasons = places.clone().map(|seen| &seen.verdict.reason);
        let public = reasons.find(|reason| reason.is_public_rule()).cloned();
        if public.is_none() && places.any(|seen| seen.verdict.secret != Secret::All) {
            one.enter(&mut sealing, std::slice::from_ref(&field))?;
        }
        remember_key(one.store(), &sealing)?;
        let done = one.replace(&sealing, |stored| {
            let opened = sealing.open(&one.file, stored)?;
            let all = self.all;
            // Somebody may have changed the file since it was looked at.
            let view = sealing
                .with_value(&one.file, &opened.view, &field, value, all)
                .map_err(|_| Trouble::Busy)?;
            let existing = Existing::of(Some(opened.form));
            let sealed = sealing.seal(&one.file, &view, &[&opened.stock], existing);
            sealing.lays_nothing_open(&one.file, stored, &opened, &sealed)?;
            let done = Done {
                changed: sealed.stored != stored,
                form: sealed.form,
                clear: in_the_clear(&sealing, &one, &sealed.stored, &field),
                whole: sealed.whole,
            };
            Ok((done.changed.then_some(sealed.stored), done))
        })?;
        let shown = self.file.display();
        match (&done, public) {
            (Done { changed: false, .. }, _) => say(format_args!("{shown}: {field}: no change"))?,
            (Done { form: Form::Whole, whole: Some(because), .. }, _) => {
                say(format_args!("{shown}: {field}: set; the file is sealed whole: {because}"))?;
            }
            (Done { clear: 1.., .. }, Some(rule)) => {
                say(format_args!("{shown}: {field}: set, in the clear: {rule}"))?;
            }
            _ => say(format_args!("{shown}: {field}: set and sealed"))?,
        }
        Ok(Outcome::Done)
    }

    /// Tries it, for an error in words.
    fn with_value(
        &self,
        one: &One,
        sealing: &Sealing,
        view: &[u8],
        field: &FieldPath,
        value: &[u8],
    ) -> Result<SecretBytes> {
        match sealing.with_value(&one.file, view, field, value, self.all) {
            Ok(view) => Ok(view),
            Err(error) => {
                let hint = match error {
                    FieldError::Several { .. } => "; --all sets them all",
                    FieldError::Missing { .. } => "; a new one is made by `confseal edit`",
                    FieldError::NoFields
                    | FieldError::Unreadable(_)
                    | FieldError::NoSpelling(_) => "",
                };
                Err(Failure::Value(format!("{}: {error}{hint}", one.shown.display())))
            }
        }
    }
}

/// How often `field` stands in the clear.
fn in_the_clear(sealing: &Sealing, one: &One, stored: &[u8], field: &FieldPath) -> usize {
    let seen = inspect(&sealing.policy, &sealing.ledger, &one.file, stored);
    let clear = |seen: &&Finding| is_meant(seen, field) && seen.standing == Standing::Clear;
    seen.fields.iter().filter(clear).count()
}

/// Whether it is one of the places that are set.
fn is_meant(seen: &Finding, field: &FieldPath) -> bool {
    !seen.commented && seen.path.to_string() == field.to_string()
}
