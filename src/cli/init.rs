//! `init`: writes a first policy from what a scan finds, on consent. It pins what the built-in
//! lists do not decide by themselves, and says in comments what they do.
//!
//! What must stay true: no value stands in the policy; it parses, and under it a scan finds what
//! it says; an existing policy is never touched.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::error::Failure;
use super::import::LookArguments;
use super::offline::{Place, places};
use super::open::{lock, rules};
use super::output::{count, on_one_line, say};
use super::policy::confirmed;
use super::survey::{Kind, Read, Survey, Surveyed};
use super::{Outcome, Result, pinned};
use crate::policy::{Class, Policy};
use crate::store::CONTROL_DIR;

/// Write a first policy for a directory, from what `scan` finds in it
///
/// Needs no key. Shows what it would write and asks. Never writes a value into it, and never
/// replaces a policy.
#[derive(Args)]
pub(super) struct Init {
    /// The directory that is or becomes the store.
    dir: PathBuf,
    /// Do not ask.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    look: LookArguments,
}

impl Init {
    pub(super) fn run(self) -> Result {
        let mut places = places(std::slice::from_ref(&self.dir))?;
        let place = places.pop().expect("one argument is in one store");
        self.refuse_what_is_none(&place)?;
        let (builtin, ledger) = rules(&place.store)?;
        let mut survey = Survey::default();
        let imports = self.look.imports(place.store.path())?;
        survey.add(&place, &builtin, &ledger, &imports)?;
        let text = policy_text(&survey);
        // It is refused here rather than by every verb afterwards.
        Policy::parse(&text)
            .map_err(|error| Failure::Policy { path: self.policy_path(&place), error })?;
        if self.dry_run || !self.yes {
            print(&text)?;
        }
        if self.dry_run {
            eprintln!("dry run: nothing was written");
            return Ok(survey.troubles.outcome());
        }
        let question = format!("write this to {}?", self.policy_path(&place).display());
        if !self.yes && !confirmed(&question)? {
            eprintln!("nothing was written");
            return Ok(Outcome::NotClean);
        }
        let path = self.policy_path(&place);
        let _lock = lock(&place.store)?;
        // Somebody may have written one while we asked.
        self.refuse_what_is_none(&place)?;
        place.store.write_state("policy.toml", text.as_bytes()).map_err(Failure::io(&path))?;
        say(format_args!("wrote {}: {}", path.display(), count(rule_count(&survey), "rule")))?;
        let (policy, ledger) = rules(&place.store)?;
        let mut again = Survey::default();
        again.add(&place, &policy, &ledger, &imports)?;
        say(format_args!("{}", again.summary()))?;
        pinned::tell(&place.store, &policy);
        Ok(survey.troubles.outcome())
    }

    /// A directory of its own, without a policy.
    fn refuse_what_is_none(&self, place: &Place) -> Result<()> {
        if !place.is_whole_store() {
            let (given, store) = (self.dir.display(), place.store.path().display());
            return Err(Failure::Usage(format!(
                "{given}: it lies in the store {store}, whose policy is for it too"
            )));
        }
        let path = self.policy_path(place);
        let there = place.store.read_state("policy.toml").map_err(Failure::io(&path))?;
        if there.is_some() { Err(Failure::PolicyExists { path }) } else { Ok(()) }
    }

    fn policy_path(&self, place: &Place) -> PathBuf {
        place.store.path().join(CONTROL_DIR).join("policy.toml")
    }
}

fn print(text: &str) -> Result<()> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::io("standard output"))
}

pub(super) fn rule_count(survey: &Survey) -> usize {
    survey.files.iter().filter(|file| file.needs_a_rule()).count()
}

/// The policy, with what was found as comments.
pub(super) fn policy_text(survey: &Survey) -> String {
    let mut text = String::from(
        "# Which values of this store are secret. Written by `confseal init`; change it as you like.\n\
         #\n\
         # The built-in lists know names (password, api_key, ...) and values (tokens, private keys,\n\
         # passwords in URLs); the comments below say what they found, by line. Rules are for what\n\
         # they cannot know. `confseal explain FILE` says for each field what decides.\n\
         version = 1\n\
         defaults = 1            # the edition of the built-in lists\n\n\
         # [secrets]             # added to the built-in lists, for every file\n\
         # names = [\"door_pin\"]\n\
         # except = [\"*_hint\"]\n",
    );
    for file in &survey.files {
        text += &file.policy_lines();
    }
    text
}

impl Surveyed {
    fn suspects(&self) -> impl Iterator<Item = &super::survey::Row> {
        self.rows.iter().filter(|row| row.kind == Kind::Suspect)
    }

    /// Whether the built-in lists leave something to say of it.
    fn needs_a_rule(&self) -> bool {
        let is_text = std::str::from_utf8(self.file.as_bytes()).is_ok();
        let guessed = matches!(self.read, Read::Guessed(_));
        let whole = self.whole.is_some() && matches!(self.read, Read::Not(Class::Unknown, _));
        is_text && (guessed || whole || self.suspects().next().is_some())
    }

    /// Its comments and its rule; nothing where there is nothing worth saying.
    fn policy_lines(&self) -> String {
        let exposed: Vec<_> = self.rows.iter().filter(|row| row.kind.is_exposed()).collect();
        if exposed.is_empty() && self.whole.is_none() && !self.needs_a_rule() {
            return String::new();
        }
        let mut text = format!("\n# {}: {}\n", on_one_line(&self.file.to_string()), self.read);
        if let Some(reason) = &self.whole {
            text += &format!("#   {}\n", on_one_line(reason));
        }
        for row in &exposed {
            let path = on_one_line(&row.field.to_string());
            text += &format!(
                "#   {:>4}  {path}  {}{}\n",
                row.line,
                row.marks(),
                on_one_line(&row.reason)
            );
        }
        if self.needs_a_rule() {
            text += &self.rule();
        }
        text
    }

    fn rule(&self) -> String {
        let path = String::from_utf8_lossy(self.file.as_bytes());
        let mut text = format!("[[file]]\npath = {}\n", toml_string(&glob(&path)));
        match &self.read {
            Read::Guessed(id) => {
                text += &format!("format = \"{id}\"            # its name does not tell\n");
            }
            Read::Not(..) => text += "seal = \"whole\"           # nobody knows how to read it\n",
            Read::Fields(..) | Read::Sealed => {}
        }
        // A path that several values share is named once.
        let mut named: Vec<String> = Vec::new();
        let mut fields = String::new();
        for row in self.suspects() {
            let path = row.field.to_string();
            if !named.contains(&path) {
                fields += &format!(
                    "    {},    # line {}: {}\n",
                    toml_string(&path),
                    row.line,
                    row.reason
                );
                named.push(path);
            }
        }
        if !fields.is_empty() {
            text += &format!("secret = [               # drop what is none\n{fields}]\n");
        }
        text
    }
}

/// The glob that matches this path and no other.
fn glob(path: &str) -> String {
    let mut glob = String::from("/");
    for c in path.chars() {
        if "*?[]{}\\!".contains(c) {
            glob.push('\\');
        }
        glob.push(c);
    }
    glob
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
