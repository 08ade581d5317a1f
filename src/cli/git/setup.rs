//! `git-setup`: tells git, in one clone, how to show, merge and commit the files of a store.
//!
//! Must stay true: what is committed (attributes, ignored names) names no program, so a repository
//! cannot make anybody run something; what runs a program stands in this clone's own configuration
//! and hooks. A second run changes nothing, and nothing of the user's is overwritten.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::error::Failure;
use super::super::open::{KeyArguments, is_mount};
use super::super::output::say;
use super::super::{Outcome, Result};
use super::step::{Act, Step, configure, tell};
use super::{DRIVER, Repository, STORE_KEY, block, hook, program, quoted};
use crate::instance::Instance;
use crate::path::RelPath;
use crate::store::{CONTROL_DIR, is_version_control};

/// Set up a git clone: readable diffs, merges by content, no secret committed in the clear
///
/// To be run once in every clone. A second run changes nothing.
#[derive(Args)]
pub(in crate::cli) struct GitSetup {
    /// The store, or a directory with stores below it; in the work tree of a git repository.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Take back what was done to this clone.
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    keys: KeyArguments,
}

/// For every file of a store, with what the user writes further down winning.
const ATTRIBUTES: &str = "* diff=confseal merge=confseal\n\
    /.confseal/** !diff !merge\n\
    /.confseal/sealed merge=union\n";

/// What belongs to one host.
const IGNORED: &str = "/.confseal/lock\n/.confseal/kept/\n.confseal-tmp.*\n";

impl GitSetup {
    pub(in crate::cli) fn run(mut self) -> Result {
        let dir = self.dir.canonicalize().map_err(Failure::io(&self.dir))?;
        let repository = Repository::of(&dir)?;
        self.keys.make_absolute();
        let stores = stores_at(&repository, &dir)?;
        let steps = match self.undo {
            true => undo(&repository, &stores)?,
            false => self.set_up(&repository, &stores)?,
        };
        if steps.is_empty() {
            say(format_args!("nothing to do: {}", repository.top.display()))?;
        }
        for step in steps {
            say(format_args!("{}", step.what))?;
            if !self.dry_run {
                step.act.perform(&repository)?;
            }
        }
        if self.dry_run {
            eprintln!("dry run: nothing was changed");
        }
        Ok(Outcome::Done)
    }

    fn set_up(&self, repository: &Repository, stores: &[RelPath]) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for store in stores {
            let dir = repository.store_path(store);
            for (name, lines) in [(".gitattributes", ATTRIBUTES), (".gitignore", IGNORED)] {
                let path = dir.join(name);
                let before = block::read(&path)?;
                let content = block::with(&before, lines);
                if content != before {
                    let what = format!("{}: our lines, to be committed", path.display());
                    steps.push(Step { what, act: Act::Write { path, content, mode: 0o666 } });
                }
            }
        }
        let known = repository.stores()?;
        for store in stores.iter().filter(|store| !known.contains(store)) {
            let arguments = ["--add".into(), STORE_KEY.into(), store.as_os_str().to_owned()];
            steps.push(configure(format!("{STORE_KEY} = {store}"), arguments));
        }
        for (key, value) in self.settings(repository, stores)? {
            if repository.config(&key)?.last().map(Vec::as_slice) != Some(value.as_bytes()) {
                let what = format!("{key} = {}", value.to_string_lossy());
                steps.push(configure(what, ["--replace-all".into(), key.into(), value]));
            }
        }
        steps.extend(hook::install(repository)?);
        Ok(steps)
    }

    /// What git is told about us: this very program, by its path, since a search path may lead to
    /// another one.
    fn settings(
        &self,
        repository: &Repository,
        stores: &[RelPath],
    ) -> Result<Vec<(String, OsString)>> {
        let keys = self.key_options(repository, stores)?;
        let program = program()?;
        let textconv = [&program[..], b" git-textconv", &keys].concat();
        let driver = [&program[..], b" git-merge", &keys].concat();
        let mut driver = with_percents_doubled(&driver);
        driver.extend_from_slice(b" -- %O %A %B %L %P %S %X %Y");
        let setting = |key: &str, value: Vec<u8>| (key.to_owned(), OsString::from_vec(value));
        Ok(vec![
            setting(&format!("diff.{DRIVER}.textconv"), textconv),
            // Else git would keep opened texts among its objects.
            setting(&format!("diff.{DRIVER}.cachetextconv"), b"false".to_vec()),
            setting(&format!("merge.{DRIVER}.name"), b"sealed values, by what is in them".to_vec()),
            setting(&format!("merge.{DRIVER}.driver"), driver),
            // Where git merges the bases of a merge, nobody is there to resolve a conflict.
            setting(&format!("merge.{DRIVER}.recursive"), b"binary".to_vec()),
        ])
    }

    /// The options that name the keys, for the shell.
    fn key_options(&self, repository: &Repository, stores: &[RelPath]) -> Result<Vec<u8>> {
        if !self.keys.import.is_empty() {
            let what = "--import cannot be written down: name the import in the instance";
            return Err(Failure::Usage(what.into()));
        }
        let mut options: Vec<(&str, OsString)> = Vec::new();
        options.extend(self.keys.key.iter().map(|key| ("--key", key.to_string().into())));
        options.extend(self.keys.legacy.iter().map(|key| ("--legacy", key.to_string().into())));
        options.extend(self.keys.instance.iter().map(|name| ("--instance", name.into())));
        let mut all = repository.stores()?;
        all.extend_from_slice(stores);
        all.dedup();
        if let ([store], true) = (&all[..], options.is_empty()) {
            // It may be reached by another path later: below /run, while a mount covers it.
            let held = |instance: &Instance| repository.store_path(store) == instance.store;
            let found = Instance::all().into_iter().find(|(_, instance)| held(instance));
            options.extend(found.map(|(name, _)| ("--instance", name.into())));
        }
        let mut text = Vec::new();
        for (option, value) in options {
            text.extend_from_slice(format!(" {option} ").as_bytes());
            text.extend(quoted(&value));
        }
        Ok(text)
    }
}

/// Git takes a single one for the beginning of a mark of its own.
fn with_percents_doubled(text: &[u8]) -> Vec<u8> {
    let mut doubled = Vec::with_capacity(text.len());
    for byte in text {
        doubled.push(*byte);
        if *byte == b'%' {
            doubled.push(b'%');
        }
    }
    doubled
}

/// The stores meant by `dir`: the one that holds it; else those below it; else itself.
fn stores_at(repository: &Repository, dir: &Path) -> Result<Vec<RelPath>> {
    let is_store = |dir: &Path| dir.join(CONTROL_DIR).is_dir();
    let above = dir.ancestors().take_while(|dir| dir.starts_with(&repository.top));
    let found = match above.into_iter().find(|dir| is_store(dir)) {
        Some(store) => vec![store.to_owned()],
        None => {
            let mut below = Vec::new();
            stores_below(dir, &mut below)?;
            if below.is_empty() { vec![dir.to_owned()] } else { below }
        }
    };
    let mut stores = Vec::new();
    for store in found {
        if is_mount(&store) {
            return Err(Failure::Mounted { path: store });
        }
        let rest = store.strip_prefix(&repository.top).unwrap_or(Path::new(""));
        let rest = RelPath::new(rest.as_os_str().as_bytes());
        stores.push(rest.map_err(|error| Failure::Usage(error.to_string()))?);
    }
    Ok(stores)
}

fn stores_below(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(Failure::io(dir))? {
        let entry = entry.map_err(Failure::io(dir))?;
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && !is_version_control(&entry.file_name()) {
            entries.push(entry.path());
        }
    }
    entries.sort();
    for path in entries {
        match path.join(CONTROL_DIR).is_dir() {
            true => found.push(path),
            false => stores_below(&path, found)?,
        }
    }
    Ok(())
}

/// What takes this clone back to where it was. The committed files serve other clones.
fn undo(repository: &Repository, stores: &[RelPath]) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let known = repository.stores()?;
    for store in stores.iter().filter(|store| known.contains(store)) {
        let value = store.as_os_str().to_owned();
        let arguments = ["--fixed-value".into(), "--unset-all".into(), STORE_KEY.into(), value];
        steps.push(configure(format!("no {STORE_KEY} = {store}"), arguments));
    }
    if known.iter().all(|store| stores.contains(store)) {
        for section in ["diff", "merge"].map(|kind| format!("{kind}.{DRIVER}")) {
            let pattern = format!("^{section}\\.");
            let keys = repository.git(["config", "--local", "--get-regexp", &pattern]).output();
            if !keys.map_err(Failure::io("git"))?.stdout.is_empty() {
                let what = format!("no {section}");
                steps.push(configure(what, ["--remove-section".into(), section.into()]));
            }
        }
        steps.extend(hook::remove(repository)?);
    }
    if !steps.is_empty() {
        steps.push(tell(
            ".gitattributes, .gitignore: our lines stay; they name no program, and other clones go \
             by them"
                .to_owned(),
        ));
    }
    Ok(steps)
}
