//! What is found before anything is done: what is secret and why, who would go on seeing the store,
//! where plaintext remains, and what stands against an adoption at all.
//!
//! What must stay true: a look changes nothing, and holds no value.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::import::LookArguments;
use super::super::init::policy_text;
use super::super::offline::{Place, places};
use super::super::open::rules;
use super::super::survey::{Kind, Survey};
use super::super::{Result, error::Failure};
use super::key::Keeping;
use super::leftovers::{self, Leftover};
use super::refused;
use super::service::Service;
use super::subject::Subject;
use super::tracked::{self, Recorded, WorkingCopy};
use crate::policy::Policy;
use crate::store::CONTROL_DIR;
use crate::store::holders::Holder;
use crate::sys::namespaces::{Blind, blind_to};

/// See the head of this file.
pub(super) struct Preflight {
    pub subject: Subject,
    pub keeping: Keeping,
    pub escrow: Option<PathBuf>,
    pub service: Service,
    /// Why it cannot be adopted.
    pub refusals: Vec<String>,
    /// What is secret, by the policy that holds, or that is written.
    pub survey: Survey,
    /// The policy to be written; `None` when the store has one.
    pub policy: Option<String>,
    /// Who has files or directories of the store open.
    pub holders: Vec<Holder>,
    /// Mount namespaces that would go on showing the store.
    pub blind: Vec<Blind>,
    pub leftovers: Vec<Leftover>,
    pub copies: Vec<WorkingCopy>,
    pub recorded: Vec<Recorded>,
    /// Files with secrets that every user may read.
    pub too_open: Vec<(PathBuf, u32)>,
    /// Whether an adoption was begun here before.
    pub repeated: bool,
}

impl Preflight {
    /// Looks at everything, and changes nothing.
    pub(super) fn look(
        subject: Subject,
        keeping: Keeping,
        escrow: Option<PathBuf>,
        no_systemd: bool,
    ) -> Result<Self> {
        let mut refusals: Vec<String> = refused::reason(&subject.dir).into_iter().collect();
        if !subject.is_over_itself() {
            let (store, dir) = (subject.store(), subject.dir.display().to_string());
            refusals.push(format!("adopted and finished already: {dir} is {}", store.display()));
        }
        refusals.extend(refused::mounted_inside(&subject.dir).into_iter().map(|point| {
            format!("{point}: something is mounted there, which a mount over the whole would hide")
        }));
        let service = match Service::choose(&subject, no_systemd) {
            Ok(service) => service,
            Err(why) => {
                refusals.push(why);
                Service::Direct
            }
        };
        refusals.extend(keeping.refused_by(&service));
        let root = subject.reachable_store()?;
        refusals.extend(escrow.as_deref().and_then(|file| inside(file, &subject.dir)));
        let mut found = Vec::new();
        // Whatever it is: its files are not for us to read.
        if refusals.is_empty() {
            found = places(std::slice::from_ref(&root))?;
        }
        let looked = match found.pop() {
            Some(place) if !place.is_whole_store() => {
                let store = place.store.path().display().to_string();
                refusals.push(format!("it lies in the store {store}: adopt that"));
                None
            }
            other => other,
        };
        let mut preflight = Self {
            repeated: subject.instance.is_some(),
            service,
            refusals,
            survey: Survey::default(),
            policy: None,
            holders: Vec::new(),
            blind: Vec::new(),
            leftovers: Vec::new(),
            copies: Vec::new(),
            recorded: Vec::new(),
            too_open: Vec::new(),
            keeping,
            escrow,
            subject,
        };
        if let Some(place) = looked {
            preflight.look_into(&place, &root)?;
        }
        Ok(preflight)
    }

    fn look_into(&mut self, place: &Place, root: &Path) -> Result<()> {
        (self.survey, self.policy) = survey(place)?;
        let dir = self.subject.dir.clone();
        for file in &mut self.survey.files {
            file.shown = dir.join(file.file.as_os_str());
        }
        if !self.subject.is_mounted() {
            self.holders = place.store.holders();
            self.blind = blind_to(&dir);
        }
        let mut files: Vec<_> = self.was_in_the_clear().into_iter().map(|(file, _)| file).collect();
        files.dedup();
        self.leftovers = leftovers::backups(root, &dir);
        self.leftovers.extend(leftovers::copies(&self.survey, root, &dir));
        self.copies = tracked::around(&dir);
        self.recorded = tracked::recorded(&self.copies, &files);
        self.too_open = files
            .iter()
            .filter_map(|shown| {
                let rest = shown.strip_prefix(&dir).ok()?;
                let mode = world_readable(root, rest)?;
                Some((shown.clone(), mode))
            })
            .filter(|_| is_reachable(&dir))
            .collect();
        Ok(())
    }

    /// The files in which a secret stands in the clear.
    pub(super) fn exposed_files(&self) -> impl Iterator<Item = &PathBuf> {
        let exposed = self.survey.files.iter().filter(|file| {
            file.whole.is_some() || file.rows.iter().any(|row| row.kind.is_exposed())
        });
        exposed.map(|file| &file.shown)
    }

    /// What has been in the clear: what is still, and, where an adoption goes on, what it sealed
    /// before. Files with their fields; none stands for the whole file.
    pub(super) fn was_in_the_clear(&self) -> Vec<(PathBuf, Option<String>)> {
        use super::super::survey::Read;
        let mut list = Vec::new();
        for file in &self.survey.files {
            let sealed_whole = self.repeated && matches!(file.read, Read::Sealed);
            if file.counts_as_one() || sealed_whole {
                list.push((file.shown.clone(), None));
            }
            let counts = |kind: Kind| kind.is_exposed() || self.repeated && kind == Kind::Sealed;
            for row in file.rows.iter().filter(|row| counts(row.kind)) {
                let entry = (file.shown.clone(), Some(row.field.to_string()));
                if list.last() != Some(&entry) {
                    list.push(entry);
                }
            }
        }
        list
    }
}

/// What is secret in a store, by its policy; or by the one that `init` would write, with its text.
fn survey(place: &Place) -> Result<(Survey, Option<String>)> {
    let (policy, ledger) = rules(&place.store)?;
    let imports = LookArguments::default().imports(place.store.path())?;
    let mut survey = Survey::default();
    survey.add(place, &policy, &ledger, &imports)?;
    let path = place.store.path().join(CONTROL_DIR).join("policy.toml");
    if place.store.read_state("policy.toml").map_err(Failure::io(&path))?.is_some() {
        return Ok((survey, None));
    }
    let text = policy_text(&survey);
    let policy = Policy::parse(&text).map_err(|error| Failure::Policy { path, error })?;
    let mut under_it = Survey::default();
    under_it.add(place, &policy, &ledger, &imports)?;
    Ok((under_it, Some(text)))
}

/// Why the copy of the key cannot lie there.
fn inside(escrow: &Path, dir: &Path) -> Option<String> {
    let path = std::path::absolute(escrow).ok()?;
    let parent = path.parent()?.canonicalize().ok()?;
    let what = "the copy of the key would lie in what it opens";
    parent.starts_with(dir).then(|| format!("{}: {what}", escrow.display()))
}

/// The mode of the file `rest` of the store at `root`, if by it and the directories on the way every
/// user may read it.
fn world_readable(root: &Path, rest: &Path) -> Option<u32> {
    let mode = |path: &Path| Some(std::fs::symlink_metadata(path).ok()?.mode() & 0o7777);
    let file = mode(&root.join(rest)).filter(|mode| mode & 0o004 != 0)?;
    let between = rest.ancestors().skip(1);
    let open =
        between.map(|dir| mode(&root.join(dir))).all(|mode| mode.is_some_and(|m| m & 1 != 0));
    open.then_some(file)
}

/// Whether every user may go through the directories above `dir`.
fn is_reachable(dir: &Path) -> bool {
    let passable = |dir: &Path| std::fs::metadata(dir).is_ok_and(|m| m.mode() & 1 != 0);
    dir.ancestors().skip(1).all(passable)
}
