//! `rewrap`: every token under the master key. A mount does it itself; on a store we do.

use std::path::PathBuf;

use clap::Args;

use super::Result;
use super::control;
use super::error::Failure;
use super::offline::{Place, places};
use super::open::{KeyArguments, is_mount, locate, remember_key};
use super::output::say;
use super::trouble::{Trouble, Troubles};
use crate::document::{Rewrapped, Sealing, token_keys};

/// Seal everything that is not under the master key under it
///
/// Give the old key as --legacy. Nothing else changes; when there is nothing to do, no byte does.
/// On a mount, its daemon does it, with its own keys.
#[derive(Args)]
pub(super) struct Rewrap {
    /// A store or a mount, or a file or directory in it.
    dir: PathBuf,
    /// Seal everything anew, also what is under the master key.
    #[arg(long)]
    all: bool,
    /// Count, and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    keys: KeyArguments,
}

#[derive(Default)]
struct Totals {
    rewrapped: usize,
    /// Tokens of other systems turned into ours.
    imported: usize,
    /// Whether there were any to look for.
    imports: bool,
    /// Tokens that stayed under another key.
    legacy: usize,
    troubles: Troubles,
}

impl Rewrap {
    pub(super) fn run(self) -> Result {
        let (root, below) = locate(&self.dir)?;
        if is_mount(&root) {
            let flags = [(self.all, &b"--all"[..]), (self.dry_run, b"--dry-run")];
            let flags = flags.into_iter().filter_map(|(on, flag)| on.then_some(flag));
            let path = Some(below.as_bytes()).filter(|_| !below.is_root());
            return control::command(&root, "rewrap", &flags.chain(path).collect::<Vec<_>>());
        }
        let mut totals = Totals::default();
        for place in places(std::slice::from_ref(&self.dir))? {
            self.rewrap_store(&place, &mut totals)?;
        }
        let Totals { rewrapped, imported, .. } = totals;
        // Nobody who imports nothing need read of it.
        let of_others = totals.imports || imported > 0;
        if self.dry_run {
            say(format_args!(
                "{rewrapped} encrypted fields would be re-wrapped with the current master key"
            ))?;
            if of_others {
                say(format_args!("{imported} would be imported from other systems"))?;
            }
        } else {
            say(format_args!(
                "{rewrapped} encrypted fields re-wrapped with the current master key"
            ))?;
            if of_others {
                say(format_args!("{imported} imported from other systems"))?;
            }
            say(format_args!("{} still using legacy keys", totals.legacy))?;
        }
        Ok(totals.troubles.outcome())
    }

    fn rewrap_store(&self, place: &Place, totals: &mut Totals) -> Result<()> {
        let (sealing, _lock) = place.begin(&self.keys, self.dry_run)?;
        let sealing = Sealing { keep_legacy_tokens: false, ..sealing };
        totals.imports |= !sealing.imports.is_empty();
        if !self.dry_run {
            // First: from here on there are files under this key.
            remember_key(&place.store, &sealing)?;
        }
        place.each_file(&mut |found| {
            let make = |stored: &[u8]| {
                let Rewrapped { stored: new, tokens, imported } =
                    sealing.rewrap(found.file, stored, self.all)?;
                Ok((new, (tokens, imported)))
            };
            match found.replace(&sealing, self.dry_run, make) {
                Ok((tokens, imported)) => {
                    totals.rewrapped += tokens;
                    totals.imported += imported;
                }
                // It was never sealed: nothing so large is.
                Err(Trouble::TooLarge) if found.may_be_large(&sealing.policy) => {}
                Err(trouble) => {
                    totals.legacy += found.read().map_or(0, |text| legacy_tokens(&sealing, &text));
                    totals.troubles.note(&found.shown, &trouble);
                }
            }
            Ok(())
        })?;
        if place.is_whole_store() {
            self.rewrap_kept(place, &sealing, totals)?;
        }
        Ok(())
    }

    fn rewrap_kept(&self, place: &Place, sealing: &Sealing, totals: &mut Totals) -> Result<()> {
        for name in place.store.kept().map_err(Failure::io(place.kept_path("")))? {
            let path = place.kept_path(&name);
            let stored = place.store.read_kept(&name).map_err(Failure::io(&path))?;
            match sealing.rewrap_kept(&stored, self.all) {
                Ok(Rewrapped { stored: Some(new), tokens, .. }) => {
                    totals.rewrapped += tokens;
                    if !self.dry_run {
                        place.store.write_kept(&name, &new).map_err(Failure::io(&path))?;
                    }
                }
                Ok(Rewrapped { stored: None, .. }) => {}
                Err(error) => {
                    totals.legacy += legacy_tokens(sealing, &stored);
                    totals.troubles.note(&path, &Trouble::from(error));
                }
            }
        }
        Ok(())
    }
}

fn legacy_tokens(sealing: &Sealing, text: &[u8]) -> usize {
    let master = sealing.sealer.keyring().master().id();
    token_keys(text).filter(|key| *key != master).count()
}
