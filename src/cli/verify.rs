//! `verify`: can every file be opened? Reads everything, writes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::error::Failure;
use super::offline::{Place, places};
use super::open::{KeyArguments, is_mount, locate};
use super::output::{count, say, say_json};
use super::trouble::{Trouble, Troubles};
use super::{Outcome, Result, audited, control, pinned, status};
use crate::document::{OpenError, Scheme, Sealing, token_keys};
use crate::keyring::KeyId;
use crate::systemd;

/// Open every sealed file and kept version, and name those that fail
///
/// On a mount, its daemon does it, with its own keys.
#[derive(Args)]
pub(super) struct Verify {
    /// A store or a mount, or a file or directory in it; with --instance, where that is mounted.
    #[arg(required_unless_present = "instance")]
    path: Option<PathBuf>,
    /// Only through the mount: fail where there is none.
    #[arg(long)]
    mounted: bool,
    /// For scripts: what was found as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: KeyArguments,
}

#[derive(Default)]
struct Found {
    files: usize,
    kept: usize,
    /// Tokens per key.
    tokens: BTreeMap<KeyId, usize>,
    /// Tokens of other systems per scheme.
    foreign: BTreeMap<Scheme, usize>,
    failed: Vec<Failed>,
    troubles: Troubles,
}

/// A file that cannot be opened.
struct Failed {
    path: PathBuf,
    trouble: Trouble,
}

impl Verify {
    pub(super) fn run(self) -> Result {
        let path = match &self.path {
            Some(path) => path.clone(),
            None => {
                let instance = self.keys.instance_for(Path::new(""))?;
                let point = instance.map(|it| it.mountpoint.unwrap_or(it.store));
                point.ok_or_else(|| Failure::Usage("which store?".into()))?
            }
        };
        let done = self.verify(&path);
        // A unit's failure is looked for by what was wrong, not by who said it.
        if systemd::is_in_a_unit() && done.as_ref().is_ok_and(|done| *done != Outcome::Done) {
            tell(&path, "some files cannot be opened");
        } else if let (true, Err(failure)) = (systemd::is_in_a_unit(), &done) {
            tell(&path, &failure.to_string());
        }
        done
    }

    fn verify(&self, path: &Path) -> Result {
        let (root, below) = locate(path)?;
        if !is_mount(&root) && self.mounted {
            let what = "no confseal mount stands there";
            return Err(Failure::Usage(format!("{}: {what}", path.display())));
        }
        if is_mount(&root) {
            if self.json {
                let why = "a mount answers in words; its .confseal/status is JSON";
                return Err(Failure::Usage(why.to_owned()));
            }
            let path = Some(below.as_bytes()).filter(|_| !below.is_root());
            return control::command(&root, "verify", &path.into_iter().collect::<Vec<_>>());
        }
        let mut found = Found::default();
        for place in places(&[path.to_owned()])? {
            found.look_at(&place, &place.sealing(&self.keys)?)?;
        }
        if self.json {
            say_json(&found.to_json())?;
        } else {
            found.say()?;
        }
        Ok(if found.failed.is_empty() { found.troubles.outcome() } else { Outcome::NotClean })
    }
}

/// Says in the journal what is wrong at `path`: each file in trouble by itself, as far as its mount
/// tells.
fn tell(path: &Path, why: &str) {
    let store = audited::store_of(path);
    systemd::send_records_of(module_path!(), &pinned::name_of(&store));
    let status = status::read(path).unwrap_or_default();
    let damaged = |trouble: &&Value| trouble["kind"] == "no-key" || trouble["kind"] == "damaged";
    let troubles: Vec<&Value> =
        status["trouble"].as_array().into_iter().flatten().filter(damaged).collect();
    for trouble in &troubles {
        let text = |name: &str| trouble[name].as_str().unwrap_or_default();
        let (file, reason) = (text("file"), text("reason"));
        log::error!(
            event = "verify-failed", file = file, field = text("field"), key_id = text("key_id");
            "{file}: {reason}"
        );
    }
    if troubles.is_empty() {
        log::error!(event = "verify-failed"; "{}: not verified: {why}", path.display());
    }
}

impl Found {
    fn look_at(&mut self, place: &Place, sealing: &Sealing) -> Result<()> {
        place.each_file(&mut |file| {
            let text = match file.read() {
                Ok(text) => text,
                Err(Trouble::TooLarge) if file.may_be_large(&sealing.policy) => return Ok(()),
                Err(trouble) => {
                    self.troubles.note(&file.shown, &trouble);
                    return Ok(());
                }
            };
            self.files += 1;
            match sealing.open(file.file, &text) {
                Ok(opened) => {
                    self.count(opened.stock.tokens().map(|token| token.key_id()));
                    for scheme in opened.stock.foreign() {
                        *self.foreign.entry(scheme).or_default() += 1;
                    }
                }
                Err(error) => {
                    self.count(token_keys(&text));
                    let path = file.shown.clone();
                    self.failed.push(Failed { path, trouble: error.into() });
                }
            }
            Ok(())
        })?;
        if place.is_whole_store() {
            self.look_at_kept(place, sealing)?;
        }
        Ok(())
    }

    fn look_at_kept(&mut self, place: &Place, sealing: &Sealing) -> Result<()> {
        for name in place.store.kept().map_err(Failure::io(place.kept_path("")))? {
            let path = place.kept_path(&name);
            let text = place.store.read_kept(&name).map_err(Failure::io(&path))?;
            self.kept += 1;
            self.count(token_keys(&text));
            if let Err(error) = sealing.open_kept(&text) {
                self.failed.push(Failed { path, trouble: error.into() });
            }
        }
        Ok(())
    }

    fn count(&mut self, keys: impl Iterator<Item = KeyId>) {
        for key in keys {
            *self.tokens.entry(key).or_default() += 1;
        }
    }

    fn say(&self) -> Result<()> {
        for failed in &self.failed {
            say(format_args!("failed: {}: {}", Path::display(&failed.path), failed.trouble))?;
        }
        let kept = match self.kept {
            0 => String::new(),
            kept => format!(", {}", count(kept, "kept version")),
        };
        let tokens: usize = self.tokens.values().sum();
        say(format_args!(
            "{}{kept}, {}, {} in trouble",
            count(self.files, "file"),
            count(tokens, "encrypted field"),
            count(self.failed.len(), "file")
        ))?;
        for (key, tokens) in &self.tokens {
            say(format_args!("key {key}: {}", count(*tokens, "encrypted field")))?;
        }
        for (scheme, tokens) in &self.foreign {
            say(format_args!("foreign, scheme {scheme}: {}", count(*tokens, "encrypted field")))?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let tokens: BTreeMap<String, usize> =
            self.tokens.iter().map(|(key, count)| (key.to_string(), *count)).collect();
        let foreign: BTreeMap<&str, usize> =
            self.foreign.iter().map(|(scheme, count)| (scheme.name(), *count)).collect();
        json!({
            "files": self.files,
            "kept": self.kept,
            "tokens": tokens,
            "foreign": foreign,
            "unreadable": self.troubles.count,
            "failed": self.failed.iter().map(Failed::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Failed {
    fn to_json(&self) -> Value {
        let error: Option<&OpenError> = match &self.trouble {
            Trouble::Sealed(error) => Some(error),
            _ => None,
        };
        json!({
            "file": self.path.to_string_lossy(),
            "field": error.and_then(|error| error.field.as_ref()).map(ToString::to_string),
            "line": error.and_then(|error| error.line),
            "key": error.and_then(OpenError::key_id).map(|key| key.to_string()),
            "fields": error.map_or(1, |error| error.failing),
            "reason": self.trouble.to_string(),
        })
    }
}
