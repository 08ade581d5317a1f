//! `make-public`: a sealed field of one file is to stand in the clear, on somebody's word.
//!
//! Must stay true: this one field is laid open and no other; the policy says so before the file does;
//! and what is a credential by its form stays sealed, whatever anybody says.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;

use super::audited::Audited;
use super::error::Failure;
use super::one::One;
use super::open::KeyArguments;
use super::output::say;
use super::pinned::{self, write_ledger};
use super::trouble::Trouble;
use super::view::parse_field;
use super::{Outcome, Result};
use crate::audit::{self, Action};
use crate::document::{Existing, FieldPath, Finding, Form, Sealed, Sealing, Standing, inspect};
use crate::policy::{Policy, Reason, Secret};
use crate::store::CONTROL_DIR;

/// Lay one field of a file open, and write into the policy that it is public
///
/// Says what it will do, and asks. A value that is a credential by its form (a token of a known
/// kind, a URL with a password) cannot be made public.
#[derive(Args)]
pub(super) struct MakePublic {
    /// A file in a store, which must not be mounted.
    file: PathBuf,
    /// A field path, as `explain` shows it: database.host
    field: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    keys: KeyArguments,
}

/// What is to be done.
struct Plan {
    /// The policy of the store, and the accepted one, amended; `None` when they call the field public
    /// already.
    policies: Option<[Policy; 2]>,
    /// With the new rules, and the ledger without the field.
    sealing: Sealing,
    /// The lines on which the field will stand in the clear, and by what it was secret.
    places: Vec<(usize, Reason)>,
}

impl MakePublic {
    pub(super) fn run(self) -> Result {
        let field = parse_field(&self.field)?;
        let one = One::of(&self.file)?;
        let shown = self.file.display();
        let Some(plan) = Plan::make(&one, &one.sealing(&self.keys)?, &one.read()?, &field)? else {
            say(format_args!("{shown}: {field}: stands in the clear already"))?;
            return Ok(Outcome::Done);
        };
        for (line, reason) in &plan.places {
            say(format_args!("{shown}:{line}: {field}: will stand in the clear (now: {reason})"))?;
        }
        if plan.policies.is_some() {
            say(format_args!("{CONTROL_DIR}/policy.toml: a rule will call it public"))?;
        }
        if !self.yes && !confirmed()? {
            say(format_args!("nothing was changed"))?;
            return Ok(Outcome::NotClean);
        }
        // Once more, with the store for ourselves: it was not, while the user thought.
        let (sealing, _lock) = one.begin(&self.keys)?;
        let stored = one.read()?;
        if let Some(plan) = Plan::make(&one, &sealing, &stored, &field)? {
            let root = one.store().path();
            let audited = Audited::of(root, Action::MakePublic, &one.file, Some(&field))?;
            audited.before(audit::Outcome::Begun)?;
            let done = plan.carry_out(&one, &sealing, &stored);
            audited.ended(audit::Outcome::Done, done)?;
        }
        say(format_args!("{shown}: {field}: public"))?;
        Ok(Outcome::Done)
    }
}

impl Plan {
    /// Tries it all in memory. `None`: there is nothing to be done.
    fn make(
        one: &One,
        sealing: &Sealing,
        stored: &[u8],
        field: &FieldPath,
    ) -> Result<Option<Self>> {
        let refuse =
            |why: &str| Failure::Value(format!("{}: field `{field}`: {why}", one.shown.display()));
        let opened = one.open(sealing, stored)?;
        let before = inspect(&sealing.policy, &sealing.ledger, &one.file, &opened.view);
        let meant = |seen: &&Finding| seen.path.to_string() == field.to_string();
        let places: Vec<&Finding> = before.fields.iter().filter(meant).collect();
        if places.is_empty() {
            return Err(refuse("there is none, or the file is not read field by field"));
        }
        let mut reasons = places.iter().map(|seen| &seen.verdict.reason);
        if let Some(reason) = reasons.find(|reason| reason.is_by_form()) {
            return Err(refuse(&format!("cannot be made public: {reason}")));
        }
        let stood = inspect(&sealing.policy, &sealing.ledger, &one.file, stored);
        let is_open = |seen: &Finding| seen.standing == Standing::Clear;
        let secret = places.iter().any(|seen| seen.verdict.secret != Secret::No);
        if !secret && stood.fields.iter().filter(meant).all(is_open) {
            return Ok(None);
        }
        let (policies, sealing) = amended(one, sealing, field, &places)?;
        let sealed = seal(one, &sealing, stored)?;
        if sealed.form == Form::Whole {
            return Err(refuse("the file would be sealed whole then: it holds another secret too"));
        }
        let after = inspect(&sealing.policy, &sealing.ledger, &one.file, &sealed.stored);
        if !after.fields.iter().filter(meant).all(is_open) {
            return Err(refuse("cannot be made public: another field's secret stands in it"));
        }
        // Both texts have the shape of the view.
        let others = stood
            .fields
            .iter()
            .zip(&after.fields)
            .find(|(stood, after)| !is_open(stood) && is_open(after) && !meant(after));
        if let Some((other, _)) = others {
            return Err(refuse(&format!("`{}` would be laid open with it", other.path)));
        }
        let places = places.iter().map(|seen| (seen.line, seen.verdict.reason.clone())).collect();
        Ok(Some(Self { policies, sealing, places }))
    }

    /// The policy first: without it the next save would seal the field again.
    fn carry_out(&self, one: &One, before: &Sealing, stored: &[u8]) -> Result<()> {
        if let Some([policy, accepted]) = &self.policies {
            // Whoever has the key and may write the store agrees to what he asks for, and to nothing
            // else that waits to be accepted.
            pinned::accept_policy(one.store(), accepted)?;
            let path = one.store().path().join(CONTROL_DIR).join("policy.toml");
            let written = one.store().write_state("policy.toml", policy.text().as_bytes());
            written.map_err(Failure::io(path))?;
        }
        if self.sealing.ledger != before.ledger {
            write_ledger(one.store(), &self.sealing.ledger)?;
        }
        one.replace(&self.sealing, |now| {
            if now != stored {
                return Err(Trouble::Busy);
            }
            let sealed = seal(one, &self.sealing, now).map_err(|_| Trouble::Busy)?;
            Ok((Some(sealed.stored).filter(|new| new != now), ()))
        })
    }
}

/// The policies, if they need an amendment, and everything under them.
fn amended(
    one: &One,
    sealing: &Sealing,
    field: &FieldPath,
    places: &[&Finding],
) -> Result<(Option<[Policy; 2]>, Sealing)> {
    let mut ledger = (*sealing.ledger).clone();
    ledger.remove(&one.file, field);
    let sealing = Sealing { ledger: ledger.into(), ..sealing.clone() };
    if places.iter().all(|seen| seen.verdict.reason.is_public_rule()) {
        return Ok((None, sealing));
    }
    let amend = |policy: &Policy| -> Result<Policy> {
        let rules = policy.fields(&one.file, &sealing.ledger);
        if rules.judge(field, b"any value").reason.is_public_rule() {
            return Ok(policy.clone());
        }
        let text = policy.with_public(&one.file, field);
        let text =
            text.map_err(|error| Failure::Usage(format!("{}: {error}", one.shown.display())))?;
        let path = one.store().path().join(CONTROL_DIR).join("policy.toml");
        Policy::parse(&text).map_err(|error| Failure::Policy { path, error })
    };
    let (own, accepted) = (sealing.policy.alone(), sealing.policy.accepted());
    let own = amend(&own)?;
    let accepted = accepted.map_or_else(|| Ok(own.clone()), |accepted| amend(&accepted))?;
    let policy = own.together_with(&accepted);
    Ok((Some([own, accepted]), Sealing { policy, ..sealing }))
}

/// The content under new rules. What was sealed stays so unless a rule says otherwise.
fn seal(one: &One, sealing: &Sealing, stored: &[u8]) -> Result<Sealed> {
    let opened = one.open(sealing, stored)?;
    let existing = Existing::of(Some(opened.form));
    Ok(sealing.seal(&one.file, &opened.view, &[&opened.stock], existing))
}

/// Whether the user says yes.
fn confirmed() -> Result<bool> {
    eprint!("go on? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(Failure::io("standard input"))?;
    if !io::stdin().is_terminal() {
        eprintln!();
    }
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
