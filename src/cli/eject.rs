//! `eject`: a directory is given back, in plaintext and in its place, and all traces go.
//!
//! What must stay true:
//! - nothing is touched before everything is known to open;
//! - programs see the same plaintext throughout: the daemon lays file by file open below its own
//!   mount, and the mount goes only when no token is left beneath;
//! - the key and the instance go last, so that what was cut off can be repeated.

mod remove;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{Pid, Signal};

use super::adopt::{
    Keeping, Service, Subject, announce, beside, detach, is_mount_point_of_ours, keyring_of,
    mount_if_missing, swap_in, tokens_left,
};
use super::error::Failure;
use super::key::write_new;
use super::open::{Keys, is_mount, open_store, sealing_with};
use super::output::{count, say};
use super::policy::confirmed;
use super::{Outcome, Result, audited, control};
use crate::audit::Action;
use crate::document::Binding;
use crate::instance::Instance;
use crate::store::{CONTROL_DIR, LockError};

/// How often what programs seal again at the last moment is laid open.
const ROUNDS: u32 = 5;

/// Give an adopted directory back: plaintext in its place, nothing of confseal left
///
/// Shows first what it will do. Refuses, before anything is touched, when something cannot be opened.
/// One that was cut off is repeated by the same command.
#[derive(Args)]
pub(super) struct Eject {
    /// The directory, as its programs know it.
    dir: PathBuf,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Leave the key where it is: for old backups of the store.
    #[arg(long)]
    keep_key: bool,
    /// Put the versions that confseal kept aside into this new directory, in plaintext.
    #[arg(long, value_name = "DIR")]
    kept: Option<PathBuf>,
}

/// How long programs may finish with what they have open in the mount, before the daemon is told to
/// end; and as long again.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is looked again.
const PACE: Duration = Duration::from_millis(50);

/// Where the content is, and what has to become of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// The mount lies over the store: the store is in its place already.
    OverItself,
    /// The store lies beside, where `adopt --finish` put it.
    Beside,
    /// It lies beside no longer: an eject that was cut off has put it in its place, and what was there
    /// may be left.
    SwappedIn,
    /// It lies somewhere else, and stays there.
    Elsewhere,
}

impl Eject {
    pub(super) fn run(self) -> Result {
        let (subject, instance) = self.subject()?;
        if !subject.is_mounted() && beside(&subject.dir, ".mountpoint").exists() {
            let dir = subject.dir.display();
            let what = "is moved beside by halves: repeat `confseal adopt --finish` first";
            return Err(Failure::Refused(format!("{dir}: {what}")));
        }
        let form = form(&subject, &instance);
        let service = Service::of(&subject);
        let is_mounted = subject.is_mounted();
        if is_mounted {
            self.refuse_what_does_not_open(&subject)?;
        }
        let kept = self.kept_versions(&subject, form)?;
        let keeping = Keeping::of(instance.keys.master.parse()?, None);
        self.show(&subject, form, service, &kept, &keeping)?;
        if self.dry_run {
            eprintln!("dry run: nothing was changed");
            return Ok(Outcome::Done);
        }
        let question = format!("give {} back?", subject.dir.display());
        if !self.yes && !confirmed(&question)? {
            eprintln!("nothing was changed");
            return Ok(Outcome::NotClean);
        }
        audited::recorded(&subject.name, Action::Eject, || {
            self.carry_out(&subject, &instance, form, service, &kept, &keeping)
        })
    }

    fn carry_out(
        &self,
        subject: &Subject,
        instance: &Instance,
        form: Form,
        service: Service,
        kept: &[String],
        keeping: &Keeping,
    ) -> Result {
        say(format_args!(""))?;
        self.put_kept_versions(subject, instance, kept)?;
        self.lay_open(subject, form, service)?;
        if service == Service::Unit {
            service.disable(subject)?;
            announce(&format!("disabled {}", subject.unit()))?;
        }
        self.come_to_rest(subject, form)?;
        service.wait_until_ended(subject);
        remove::traces(subject, instance, form == Form::Elsewhere)?;
        if !self.keep_key && self.may_remove_key(keeping)? {
            remove::key(keeping)?;
        }
        remove::instance(subject)?;
        let place = if form == Form::Elsewhere { subject.store() } else { subject.dir.clone() };
        say(format_args!(
            "\n{} holds plaintext, and is an ordinary directory again",
            place.display()
        ))?;
        Ok(Outcome::Done)
    }

    fn subject(&self) -> Result<(Subject, Instance)> {
        let dir = self.dir.canonicalize().map_err(Failure::io(&self.dir))?;
        let none = || {
            let what = "no instance in /etc/confseal has it: there is nothing to give back";
            Failure::Usage(format!("{}: {what}", dir.display()))
        };
        let subject = Subject::known(&dir).ok_or_else(none)?;
        let instance = subject.instance.clone().ok_or_else(none)?;
        Ok((subject, instance))
    }

    /// Every file has to open, and to stand for itself when it is plain.
    fn refuse_what_does_not_open(&self, subject: &Subject) -> Result<()> {
        let (answer, outcome) = control::ask(&subject.dir, "give-back", &[b"--dry-run"])?;
        if outcome == Outcome::Done {
            return Ok(());
        }
        let dir = subject.dir.display();
        Err(Failure::Refused(format!("{dir}: not everything can be given back:\n{answer}")))
    }

    /// The versions that were kept aside, which would go with the key.
    fn kept_versions(&self, subject: &Subject, form: Form) -> Result<Vec<String>> {
        let store = match form {
            Form::SwappedIn => open_store(&subject.dir)?,
            Form::OverItself | Form::Beside | Form::Elsewhere => subject.open_store()?,
        };
        let kept = store.kept().map_err(Failure::io(store.path()))?;
        let is_new = |dir: &PathBuf| !dir.starts_with(&subject.dir);
        match &self.kept {
            None if !kept.is_empty() => Err(Failure::Refused(format!(
                "{}: {} would be lost with the key; `--kept DIR` puts them there, in plaintext:\n  {}",
                subject.dir.display(),
                count(kept.len(), "kept version"),
                kept.join("\n  ")
            ))),
            Some(dir) if !std::path::absolute(dir).is_ok_and(|dir| is_new(&dir)) => {
                let what = "kept versions go somewhere else";
                Err(Failure::Usage(format!("{}: {what}", dir.display())))
            }
            _ => Ok(kept),
        }
    }

    fn show(
        &self,
        subject: &Subject,
        form: Form,
        service: Service,
        kept: &[String],
        keeping: &Keeping,
    ) -> Result<()> {
        let (dir, store) = (subject.dir.display(), subject.store());
        let store = store.display();
        say(format_args!("what would be done:"))?;
        if !kept.is_empty()
            && let Some(place) = &self.kept
        {
            let kept = count(kept.len(), "kept version");
            say(format_args!("  open {kept} into {}", place.display()))?;
        }
        if !subject.is_mounted() && form != Form::SwappedIn {
            say(format_args!("  mount {dir} first, if anything is sealed in it"))?;
        }
        match form {
            Form::OverItself | Form::SwappedIn => {
                say(format_args!("  lay open what is sealed in {dir}"))?
            }
            Form::Beside | Form::Elsewhere => {
                say(format_args!("  lay open what is sealed in {store}"))?
            }
        }
        let unit = match service {
            Service::Unit => format!("unmount, and disable {}", subject.unit()),
            Service::Direct => "unmount".to_owned(),
        };
        match form {
            Form::Beside => say(format_args!("  put {store} in the place of {dir}, and {unit}"))?,
            Form::OverItself | Form::SwappedIn | Form::Elsewhere => say(format_args!("  {unit}"))?,
        }
        let dependents = service.dependents(subject);
        if !dependents.is_empty() {
            let list = dependents.join(", ");
            say(format_args!("  (not done: what {list} say of {}; take it out)", subject.unit()))?;
        }
        let mut traces = vec![subject.file().display().to_string(), "policy and state".to_owned()];
        if !self.keep_key {
            traces.extend(keeping.file().map(|file| format!("the key {}", file.display())));
        }
        say(format_args!("  remove {}; the audit trail stays", traces.join(", ")))
    }

    fn put_kept_versions(
        &self,
        subject: &Subject,
        instance: &Instance,
        kept: &[String],
    ) -> Result<()> {
        let Some(place) = self.kept.as_ref().filter(|_| !kept.is_empty()) else { return Ok(()) };
        let store = subject.open_store()?;
        let keys = Keys { keyring: keyring_of(instance)?, imports: Default::default() };
        let sealing = sealing_with(&store, keys, Binding::None)?;
        std::fs::create_dir_all(place).map_err(Failure::io(place))?;
        for name in kept {
            let path = place.join(name);
            let sealed = store.read_kept(name).map_err(Failure::io(store.path()))?;
            let opened = sealing
                .open_kept(&sealed)
                .map_err(|error| Failure::Refused(format!("{name}: kept, and lost: {error}")))?;
            match write_new(&path, &opened) {
                // Put there by one that was cut off.
                Err(error)
                    if error.kind() == std::io::ErrorKind::AlreadyExists
                        && std::fs::read(&path).is_ok_and(|there| *there == *opened) => {}
                other => other.map_err(Failure::io(&path))?,
            }
        }
        for name in kept {
            store.remove_kept(name).map_err(Failure::io(store.path()))?;
        }
        announce(&format!("opened {} into {}", count(kept.len(), "kept version"), place.display()))
    }

    /// Has the daemon lay everything open, until no token is left beneath its mount.
    fn lay_open(&self, subject: &Subject, form: Form, service: Service) -> Result<()> {
        if form == Form::SwappedIn {
            return Ok(());
        }
        if !subject.is_mounted() {
            if tokens_left(&subject.store())?.is_empty() {
                return Ok(());
            }
            mount_if_missing(subject, service)?;
            self.refuse_what_does_not_open(subject)?;
        }
        for _ in 0..ROUNDS {
            let (answer, outcome) = control::ask(&subject.dir, "give-back", &[])?;
            if outcome != Outcome::Done {
                let dir = subject.dir.display();
                return Err(Failure::Refused(format!(
                    "{dir}: not everything was laid open:\n{answer}"
                )));
            }
            announce(&answer)?;
            if tokens_left(&subject.reachable_store()?)?.is_empty() {
                return Ok(());
            }
        }
        let dir = subject.dir.display();
        Err(Failure::Refused(format!("{dir}: programs keep bringing sealed files into it; repeat")))
    }

    /// The mount goes, and what is beneath it, or comes in its place, is plaintext. The daemon is not
    /// stopped, which would stop the programs that need it: it ends by itself, without its mount.
    fn come_to_rest(&self, subject: &Subject, form: Form) -> Result<()> {
        let dir = subject.dir.display();
        match form {
            Form::Beside | Form::SwappedIn => {
                let store = subject.store();
                swap_in(&store, &subject.dir).map_err(Failure::io(&subject.dir))?;
                announce(&format!("put {} in the place of {dir}", store.display()))?;
            }
            Form::OverItself | Form::Elsewhere if subject.is_mounted() => {
                detach(&subject.dir).map_err(Failure::io(&subject.dir))?;
                announce(&format!("unmounted {dir}"))?;
            }
            Form::OverItself | Form::Elsewhere => {}
        }
        let place = if form == Form::Elsewhere { subject.store() } else { subject.dir.clone() };
        wait_for_daemon(&place)?;
        let left = tokens_left(&place)?;
        match left.first() {
            None => Ok(()),
            Some(first) => Err(Failure::Refused(format!(
                "{}: sealed again at the last moment: {first}; repeat",
                place.display()
            ))),
        }
    }

    fn may_remove_key(&self, keeping: &Keeping) -> Result<bool> {
        let Some(file) = keeping.file().filter(|file| file.exists()) else { return Ok(false) };
        let question =
            format!("remove the key {}? old backups of the store need it", file.display());
        if self.yes { Ok(true) } else { confirmed(&question) }
    }
}

/// Waits until the daemon of the store at `root` has ended: it serves on what programs have open. One
/// that takes too long is told to end.
fn wait_for_daemon(root: &Path) -> Result<()> {
    let store = open_store(root)?;
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        let error = match store.lock() {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let LockError::Held { pid } = error else {
            return Err(Failure::Locked { store: root.to_owned(), error });
        };
        if begun.elapsed() > 2 * PATIENCE {
            return Err(Failure::Locked { store: root.to_owned(), error: LockError::Held { pid } });
        }
        let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if begun.elapsed() > PATIENCE && !is_told {
            is_told = true;
            if let Some(pid) = pid {
                // It may be gone at this very moment.
                let _ = rustix::process::kill_process(pid, Signal::TERM);
            }
        }
        std::thread::sleep(PACE);
    }
}

/// What has to be done with the directories.
fn form(subject: &Subject, instance: &Instance) -> Form {
    if subject.is_over_itself() {
        return Form::OverItself;
    }
    let store = &instance.store;
    let is_beside = *store == beside(&subject.dir, ".sealed");
    let has_control = subject.dir.join(CONTROL_DIR).is_dir() && !subject.is_mounted();
    let is_left = is_mount(store) || is_mount_point_of_ours(store);
    // Without its control directory when that has been removed already.
    let is_swapped = (has_control && is_left) || (!store.exists() && (has_control || is_beside));
    if is_swapped {
        return Form::SwappedIn;
    }
    let is_empty = subject.is_mounted() || is_mount_point_of_ours(&subject.dir);
    match is_beside && is_empty {
        true => Form::Beside,
        false => Form::Elsewhere,
    }
}
