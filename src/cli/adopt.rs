//! `adopt`: a live directory becomes a store with a mount over it, while its programs run.
//!
//! What must stay true:
//! - everything is shown before anything is done, and a look changes nothing;
//! - no program is ever handed a token: the mount stands over plain content first, and only then is
//!   sealed, by the daemon itself;
//! - a key is kept, and proved to open again, before anything is sealed under it;
//! - each step knows when it has been done, so an adoption that was cut off is simply repeated.

mod carry_out;
mod finish;
mod key;
mod leftovers;
mod moving;
mod preflight;
mod refused;
mod service;
mod show;
mod subject;
mod tracked;

use std::path::PathBuf;

use clap::Args;

use super::error::Failure;
use super::output::say_json;
use super::policy::confirmed;
use super::{Outcome, Result, audited};
use crate::audit::Action;
use crate::keyring::KeySource;

pub(super) use carry_out::{announce, mount_if_missing};
pub(super) use key::{Keeping, keyring_of};
pub(super) use moving::{beside, detach, is_mount_point_of_ours, swap_in};
pub(super) use service::Service;
pub(super) use subject::{Subject, tokens_left};

use preflight::Preflight;

/// Take a live directory into service: its secrets are sealed while its programs run
///
/// Shows first what it finds and will do: which values are secret and why, who has files open, where
/// old plaintext remains. Then it writes an instance, a policy and a key, mounts over the directory,
/// and seals file by file. An adoption that was cut off is repeated by the same command.
#[derive(Args)]
pub(super) struct Adopt {
    /// The directory.
    dir: PathBuf,
    /// The name of the instance; the directory's own if it is not given.
    #[arg(long, value_parser = subject::parse_name)]
    name: Option<String>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// For scripts: what `--dry-run` shows, as JSON.
    #[arg(long, requires = "dry_run", conflicts_with = "finish")]
    json: bool,
    /// Where the key is kept: file:PATH. Else it is a credential that systemd encrypts for this
    /// machine; where systemd cannot, /etc/confseal/NAME.key.
    #[arg(long, value_name = "SOURCE", conflicts_with = "finish")]
    key: Option<KeySource>,
    /// With what systemd encrypts it: auto, host, tpm2, host+tpm2; see systemd-creds(1).
    #[arg(long, value_name = "KEY", conflicts_with_all = ["key", "finish"])]
    with_key: Option<String>,
    /// Write a copy of the key to this new file, to be put away; `-` is standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "finish")]
    escrow: Option<PathBuf>,
    /// Mount without a service: where there is no systemd. Nothing mounts it at boot then.
    #[arg(long)]
    no_systemd: bool,
    /// Move the store beside, as DIR.sealed, behind an empty mount point that cannot be written.
    /// Its programs have to be stopped.
    #[arg(long)]
    finish: bool,
}

impl Adopt {
    pub(super) fn run(self) -> Result {
        let subject = Subject::find(&self.dir, self.name.as_deref())?;
        if self.finish {
            return finish::Finish { subject, dry_run: self.dry_run, yes: self.yes }.run();
        }
        let keeping =
            Keeping::choose(&subject, self.key.as_ref(), self.with_key.clone(), self.no_systemd)?;
        let preflight = Preflight::look(subject, keeping, self.escrow.clone(), self.no_systemd)?;
        match self.json {
            true => say_json(&preflight.to_json())?,
            false => preflight.say()?,
        }
        if !preflight.refusals.is_empty() {
            let list = preflight.refusals.join("\n  ");
            let dir = preflight.subject.dir.display();
            return Err(Failure::Refused(format!("{dir}: cannot be adopted:\n  {list}")));
        }
        if self.dry_run {
            eprintln!("dry run: nothing was changed");
            return Ok(preflight.survey.troubles.outcome());
        }
        let question = format!("adopt {}?", preflight.subject.dir.display());
        if !self.yes && !confirmed(&question)? {
            eprintln!("nothing was changed");
            return Ok(Outcome::NotClean);
        }
        let name = &preflight.subject.name;
        audited::recorded(name, Action::Adopt, || carry_out::carry_out(&preflight))
    }
}
