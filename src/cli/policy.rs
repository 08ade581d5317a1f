//! `policy accept`: the operator agrees to what changed in a store's policy or ledger.
//!
//! Must stay true: what is pinned is what was shown, whatever the store holds by then.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::audited::Audited;
use super::error::Failure;
use super::open::{self, is_mount, locate, open_store, written_rules};
use super::output::{count, say};
use super::waiting::Waiting;
use super::{Outcome, Result, control, pinned};
use crate::audit::{self, Action};
use crate::path::RelPath;
use crate::policy::{Ledger, Policy};
use crate::store::Store;

/// Agree to a change of a store's policy
///
/// A policy travels with its store, so a changed one is not trusted to weaken: it holds together with
/// the one that was accepted on this machine, and of the two the stronger decides.
#[derive(Args)]
pub(super) struct PolicyVerb {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Accept(Accept),
}

/// Show what a changed policy or ledger loosens, and accept it
///
/// Needs no key. On a mount its daemon does it.
#[derive(Args)]
struct Accept {
    /// A store or a mount.
    dir: PathBuf,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Show what waits, and accept nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

impl PolicyVerb {
    pub(super) fn run(self) -> Result {
        match self.verb {
            Verb::Accept(verb) => verb.run(),
        }
    }
}

impl Accept {
    fn run(self) -> Result {
        let (root, _) = locate(&self.dir)?;
        match is_mount(&root) {
            true => self.in_mount(&root),
            false => self.in_store(&root),
        }
    }

    fn in_store(&self, root: &Path) -> Result {
        let store = open_store(root)?;
        let _lock = if self.dry_run { None } else { Some(open::lock(&store)?) };
        let written = written_rules(&store)?;
        let accepted = match pinned::find(&store)? {
            Some(pins) => pinned::accepted(&pins)?,
            None => Default::default(),
        };
        let (Some(policy), ledger) = &accepted else {
            say(format_args!(
                "no policy was accepted here yet: the first use accepts it as it is"
            ))?;
            return self.agree(|| accept(&store, &written));
        };
        let waiting = Waiting::of(&store, (policy, ledger), (&written.0, &written.1))?;
        let Some(waiting) = waiting else {
            say(format_args!("nothing waits: policy and ledger are the accepted ones"))?;
            return Ok(Outcome::Done);
        };
        say(format_args!("{}", waiting.to_string().trim_end()))?;
        self.agree(|| accept(&store, &written))
    }

    /// The mount's daemon knows the store also where it is covered.
    fn in_mount(&self, root: &Path) -> Result {
        let (answer, _) = control::ask(root, "reload", &[])?;
        say(format_args!("{answer}"))?;
        let Some(stamp) = stamp_in(&answer) else { return Ok(Outcome::Done) };
        self.agree(|| {
            let (answer, _) = control::ask(root, "reload", &[b"--accept", stamp.as_bytes()])?;
            say(format_args!("{answer}"))
        })
    }

    fn agree(&self, accept: impl FnOnce() -> Result<()>) -> Result {
        if self.dry_run {
            return Ok(Outcome::Done);
        }
        if !self.yes && !confirmed("accept?")? {
            eprintln!("not accepted");
            return Ok(Outcome::NotClean);
        }
        accept()?;
        say(format_args!("accepted"))?;
        Ok(Outcome::Done)
    }
}

/// Accepts the rules of a store, once that is recorded.
fn accept(store: &Store, written: &(Policy, Ledger)) -> Result<()> {
    let audited = Audited::of(store.path(), Action::PolicyAccept, &RelPath::root(), None);
    // Where nothing can be recorded nothing can be pinned either, and that is what this is about.
    let audited = audited.map_err(|failure| match failure {
        Failure::NoTrail(error) => Failure::Pins(error),
        other => other,
    })?;
    audited.before(audit::Outcome::Begun)?;
    audited.ended(audit::Outcome::Done, pinned::accept(store, written))
}

/// Asks on the terminal; only `y` and `yes` are one.
pub(super) fn confirmed(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        let what =
            "there is no terminal to ask at: --yes accepts what is shown, --dry-run shows it";
        return Err(Failure::Usage(what.into()));
    }
    let mut out = io::stdout().lock();
    let asked = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
    asked.map_err(Failure::io("standard output"))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(Failure::io("standard input"))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// What stands before the stamp in a mount's answer to `reload`.
const ACCEPTS_THIS: &str = "to accept exactly this: reload --accept ";

/// What a mount answers to `reload` when something waits.
pub(super) fn waiting_text(waiting: &Waiting) -> String {
    let loosenings = count(waiting.loosenings(), "loosening");
    let verb = if waiting.loosenings() == 1 { "waits" } else { "wait" };
    format!("{loosenings} {verb} for `policy accept`\n{waiting}{ACCEPTS_THIS}{}", waiting.stamp)
}

fn stamp_in(answer: &str) -> Option<&str> {
    answer.lines().find_map(|line| line.strip_prefix(ACCEPTS_THIS))
}
