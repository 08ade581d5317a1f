//! `mount`: the daemon.
//!
//! The order of what it does at start matters: signals are blocked and the own namespace is
//! entered before any thread exists; dumps are forbidden before a key is read; variables that held
//! keys are wiped before a thread or child could inherit them; the store is opened before the
//! mount covers it.

mod ending;
mod held;
mod settings;
mod succession;
mod supervised;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use parking_lot::Mutex;

use self::ending::Ending;
use self::supervised::{StatusLine, must_be_seen, tell_of_life};
use super::error::Failure;
use super::open::{self, KeyArguments, KeysRead, Sources};
use super::policy::waiting_text;
use super::{Outcome, Result, audited, mount_point, pinned};
use crate::fs::{Filesystem, Options, Reloaded};
use crate::fuse::mount::{Host, MountOptions, Predecessor, succeed};
use crate::fuse::{Announcer, KernelNotifier, Survivor, Wire};
use crate::instance;
use crate::keyring::wipe_environment;
use crate::pins::Pins;
use crate::store::{Store, StoreLock};
use crate::sys::mount::canonical;
use crate::sys::process::{self, NotStarted, Ready, Signals, daemonize};
use crate::sys::{self, memory};
use crate::systemd::{self, Kept};

pub(super) use settings::Settings;

/// How often it is written down what a walk would have to open every file for.
const SAVE: Duration = Duration::from_secs(300);

/// Threads for what has to wait for the store.
const WORKERS: usize = 4;

/// Mount a store: programs read and write plaintext at MOUNTPOINT, the store holds it sealed.
/// Without MOUNTPOINT, over the store itself. Returns once the mount stands.
#[derive(Args)]
pub(super) struct Mount {
    /// The directory with sealed content.
    #[arg(required_unless_present = "instance")]
    pub store: Option<PathBuf>,
    /// Where plaintext is seen.
    pub mountpoint: Option<PathBuf>,
    #[command(flatten)]
    pub keys: KeyArguments,
    /// Stay in the foreground.
    #[arg(short, long)]
    pub foreground: bool,
    /// Mount although programs hold files of the store open for writing.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub settings: Settings,
}

/// What is to be mounted, with every path absolute: a daemon leaves its directory.
pub(super) struct Plan {
    store: PathBuf,
    mountpoint: PathBuf,
    keys: KeyArguments,
    force: bool,
    foreground: bool,
    options: instance::Mount,
    audit: instance::Audit,
    name: String,
    /// What an earlier daemon of the store left at the mount point, or one that lives.
    old: Option<Predecessor>,
}

impl Mount {
    pub(super) fn run(self) -> Result {
        let result = self.plan().and_then(|plan| plan.start(Failure::exit_code));
        if let Err(failure) = &result {
            // In the status of a service: why it is not there.
            let text = failure.to_string();
            systemd::status(text.lines().next().unwrap_or_default());
        }
        result
    }

    /// What is to be done, as far as it can be told before anything is done.
    pub(super) fn plan(self) -> Result<Plan> {
        let lookup = self.store.clone().unwrap_or_default();
        let instance = self.keys.instance_for(&lookup)?;
        let named = self.store.or_else(|| Some(instance.as_ref()?.store.clone()));
        let store = named.ok_or_else(|| Failure::Usage("which store?".into()))?;
        let store = canonical(&store).map_err(Failure::io(store))?;
        let own_point = instance.as_ref().and_then(|instance| instance.mountpoint.clone());
        let mountpoint = self.mountpoint.or(own_point).unwrap_or_else(|| store.clone());
        let mountpoint = canonical(&mountpoint).map_err(Failure::io(mountpoint))?;
        if mountpoint != store && mountpoint.starts_with(&store) {
            let what = "the mount point must not lie inside the store";
            return Err(Failure::Usage(format!("{}: {what}", mountpoint.display())));
        }
        mount_point::admit(&mountpoint)?;
        // Whoever looks at the place waits for us, and we would wait for ourselves.
        if sys::mount::shows(&mountpoint, "autofs").map_err(Failure::io(&mountpoint))? {
            let what = "an automount stands there, which this file system cannot be mounted by";
            return Err(Failure::Usage(format!("{}: {what}", mountpoint.display())));
        }
        let old = succession::predecessor(&store, &mountpoint)?;
        if mountpoint != store {
            succession::must_be_alive(&store)?;
        }
        let name = pinned::name_of(&store);
        let mut keys = self.keys;
        keys.make_absolute();
        let audit = instance.as_ref().map(|instance| instance.audit).unwrap_or_default();
        let options = instance.map(|instance| instance.mount).unwrap_or_default();
        Ok(Plan {
            store,
            mountpoint,
            keys,
            force: self.force,
            foreground: self.foreground,
            options: self.settings.over(options),
            audit,
            name,
            old,
        })
    }
}

impl Plan {
    /// Mounts, and returns once the mount stands; in the foreground, when it is gone. `code` gives a
    /// failure of the daemon its exit code.
    pub(super) fn start(self, code: fn(&Failure) -> u8) -> Result {
        if self.foreground {
            return self.serve(&mut Ready::foreground()).map(|()| Outcome::Done);
        }
        let here = Failure::io(&self.store);
        let to_parent = |failure| to_parent(&failure, code(&failure));
        match daemonize(|ready| self.serve(ready).map_err(to_parent)).map_err(here)? {
            Ok(()) => Ok(Outcome::Done),
            Err(NotStarted::Failed(failure)) => {
                eprintln!("{}", failure.message);
                Ok(Outcome::Code(failure.code))
            }
            Err(NotStarted::Died(status)) => {
                Err(Failure::Refused(format!("the daemon died before the mount stood: {status:?}")))
            }
        }
    }

    /// `STORE at MOUNTPOINT`, for eyes.
    pub(super) fn summary(&self) -> String {
        let how = if self.options.read_only { ", read-only" } else { "" };
        format!("{} at {}{how}", self.store.display(), self.mountpoint.display())
    }

    /// Mounts and serves until the mount is gone.
    fn serve(&self, ready: &mut Ready) -> Result<()> {
        let served = self.mount_and_serve(ready);
        // In the foreground of a terminal `main` says it.
        if let Err(failure) = &served
            && (!self.foreground || systemd::is_in_a_unit())
        {
            failure.log();
        }
        served
    }

    fn mount_and_serve(&self, ready: &mut Ready) -> Result<()> {
        let system = |error| Failure::Io { path: self.store.clone(), error };
        let signals = Signals::block().map_err(system)?;
        // A program's umask comes with its request; that of whoever started us is nobody's business.
        rustix::process::umask(rustix::fs::Mode::empty());
        let kept = succession::kept_connections();
        // A second logger would only mean that somebody else set one up: keep theirs.
        let _ = systemd::init_logging(self.foreground, &self.name);
        if let Err(error) = sys::file::allow_many_open() {
            log::warn!("the limit of open files stays as it is ({error})");
        }
        let root = sys::mount::may_mount();
        if root && self.foreground && systemd::is_service() {
            must_be_seen(&self.mountpoint)?;
        }
        let host = self.host(root).map_err(system)?;
        let taken = self.take_over(&host, &kept)?;
        memory::forbid_dumps().map_err(system)?;
        if let Err(error) = memory::lock_all() {
            log::warn!("only keys are locked into memory, views are not ({error})");
        }
        let sources = self.keys.sources(&self.store)?;
        let survivor = Survivor::leave_behind(|| {
            // It has one thread.
            let _ = wipe_environment(&sources.all());
        });
        let survivor = survivor.map_err(system)?;
        let mut known = KeysRead::default();
        let keys = sources.read_again(&mut known)?;
        wipe_environment(&sources.all())
            .map_err(|error| Failure::Refused(format!("variables that hold keys: {error}")))?;

        let (store, lock) = match taken {
            Some(taken) => taken,
            None => {
                let store = open::open_store(&self.store)?;
                if self.mountpoint == self.store {
                    let is_patient = self.foreground && systemd::is_service();
                    held::look_for_holders(&store, self.force, is_patient)?;
                }
                let lock = open::lock(&store)?;
                (store, lock)
            }
        };
        let sealing = open::sealing_with(&store, keys, sources.binding)?;
        pinned::tell(&store, &sealing.policy);
        let is_new = !pinned::is_known(&store)?;
        let pins = pinned::keep(&store, &sealing)?;
        let first_use = pins.as_ref().filter(|_| is_new).map(|pins| pins.path().to_owned());
        open::remember_key(&store, &sealing)?;
        mend(&store, &sealing);

        let covered = root && self.mountpoint == self.store;
        let store_at = self.expose(&host, covered);
        let trail = audited::trail_of_mount(&self.name, self.audit)?.map(Arc::new);
        let options = Options { trail, ..self.options(root, store_at.clone(), pins) };
        let reload = self.reload(known);
        let fs = Filesystem::new(store, sealing, options, reload).map_err(system)?;
        let fs = Arc::new(fs);
        fs.watch_store();
        let readers = self.options.threads.max(1);
        let wire = Wire::new(fs.clone(), readers, WORKERS).map_err(system)?;
        let (own_opens, stop) = (wire.own_opens(), wire.stop());
        let (options, old) = (self.mount_options(root), self.old.as_ref());
        let mounted = succeed(wire, &self.mountpoint, &options, &host, old)?;
        mounted.fuse_fd().and_then(|device| survivor.watch(device)).map_err(system)?;
        let is_kept = root && succession::keep_connection(&mounted);
        succession::attend_all(kept);
        let announcer = Announcer::start(mounted.attachment(), own_opens).map_err(system)?;
        let notifier = KernelNotifier::start(mounted.notifier(), announcer).map_err(system)?;
        fs.set_invalidate(Box::new(notifier));

        let ended = Arc::new(AtomicBool::new(false));
        start(&ended, "watch", {
            let fs = fs.clone();
            move |ended| fs.follow_store(|| ended.load(Ordering::Relaxed))
        })
        .map_err(system)?;
        start(&ended, "commit", {
            let fs = fs.clone();
            let mut status = StatusLine::new(&self.store, &self.mountpoint);
            status.tell(&fs);
            move |ended| commit_in_time(&fs, &mut status, ended)
        })
        .map_err(system)?;
        start(&ended, "watchdog", {
            let (attachment, beat) = (mounted.attachment(), systemd::watchdog());
            move |ended| tell_of_life(&attachment, beat, &|| ended.load(Ordering::Relaxed))
        })
        .map_err(system)?;
        start(&ended, "recover", {
            let fs = fs.clone();
            move |ended| fs.recover(|| ended.load(Ordering::Relaxed))
        })
        .map_err(system)?;
        let withdraw = move || {
            if let Some(place) = &store_at
                && let Err(error) = host.withdraw(place)
            {
                log::warn!("{}: {error}", place.display());
            }
        };
        let (at_signal, attachment) = (fs.clone(), mounted.attachment());
        let leave = withdraw.clone();
        let is_told = Arc::new(AtomicBool::new(false));
        let told = is_told.clone();
        start(&ended, "signals", move |_| {
            let (fs, attachment) = (&at_signal, &attachment);
            let ending =
                Ending { fs, attachment, told: &told, stop: &stop, is_kept, leave: &leave };
            ending.answer(&signals);
        })
        .map_err(system)?;
        ready.ready().map_err(system)?;
        systemd::ready();
        log::info!(
            event = "mounted", store:% = self.store.display(),
            mountpoint:% = self.mountpoint.display();
            "{} is mounted at {}", self.store.display(), self.mountpoint.display()
        );
        if let Some(place) = first_use {
            log::info!("first use here: its policy is accepted as it is ({})", place.display());
        }

        let attachment = mounted.attachment();
        let served = mounted.wait();
        if let Err(error) = attachment.clear_beneath() {
            log::warn!("an older mount, dead, is left at {}: {error}", self.mountpoint.display());
        }
        ended.store(true, Ordering::Relaxed);
        fs.stop_jobs();
        fs.commit_old(true);
        fs.save_remembered();
        withdraw();
        drop((lock, survivor));
        log::info!(
            event = "unmounted", store:% = self.store.display(),
            mountpoint:% = self.mountpoint.display();
            "{} is unmounted", self.mountpoint.display()
        );
        served.map_err(system)?;
        // What a service manager holds, others do not take away.
        let is_told = is_told.load(Ordering::Relaxed) || fs.gives_back();
        let is_taken = self.foreground && systemd::is_service() && !is_told;
        match is_taken {
            true => Err(Failure::TakenAway { mountpoint: self.mountpoint.clone() }),
            false => Ok(()),
        }
    }

    /// What an earlier daemon left is opened before anything else is done: whether it lives is told by
    /// the lock alone.
    fn take_over(&self, host: &Host, kept: &[Kept]) -> Result<Option<(Store, StoreLock)>> {
        let over = |old| succession::take_over((host, old), kept, &self.store, &self.mountpoint);
        self.old.as_ref().map(over).transpose()
    }

    /// A namespace of our own. An ordinary user's makes everybody else look like nobody: where the
    /// store holds files of others or of other groups, the host's is the better one.
    fn host(&self, root: bool) -> std::io::Result<Host> {
        if root || open::is_all_ours(&self.store) {
            Host::enter_own_namespace()
        } else {
            Host::stay()
        }
    }

    fn expose(&self, host: &Host, covered: bool) -> Option<PathBuf> {
        if !covered {
            return None;
        }
        let place = pinned::covered_at(&self.name);
        match host.expose(&self.store, &place) {
            Ok(true) => Some(place),
            Ok(false) => None,
            Err(error) => {
                log::warn!("{}: {error}: the covered store cannot be reached", place.display());
                None
            }
        }
    }

    fn options(&self, root: bool, store_at: Option<PathBuf>, pins: Option<Arc<Pins>>) -> Options {
        Options {
            ttl: Duration::from_secs(self.options.ttl),
            watch: self.options.watch,
            max_view: self.options.max_view << 20,
            cache: self.options.cache << 20,
            give_away: root,
            store_at,
            pins,
            name: self.name.clone(),
            ..Options::default()
        }
    }

    fn mount_options(&self, root: bool) -> MountOptions {
        MountOptions {
            source: succession::source_of(&self.store),
            allow_other: self.options.allow_other.unwrap_or(root),
            read_only: self.options.read_only,
            no_exec: self.options.no_exec,
            context: self.options.context.clone(),
            threads: self.options.threads.max(1),
        }
    }

    /// Reads keys and rules anew, for the control room.
    fn reload(&self, known: KeysRead) -> Box<crate::fs::Reload> {
        let (arguments, path) = (self.keys.clone(), self.store.clone());
        let known = Mutex::new(known);
        Box::new(move |store, acceptance| {
            let read = || -> Result<Reloaded> {
                let sources: Sources = arguments.sources(&path)?;
                let keys = sources.read_again(&mut known.lock())?;
                open::admit(store, &keys.keyring)?;
                let waiting = pinned::waiting(store, acceptance)?;
                let sealing = open::sealing_with(store, keys, sources.binding)?;
                pinned::keep(store, &sealing)?;
                pinned::keep_key(store, sealing.sealer.keyring())?;
                let keyring = sealing.sealer.keyring();
                let legacy: Vec<_> =
                    keyring.legacy().iter().map(|key| key.id().to_string()).collect();
                let legacy = if legacy.is_empty() { "none".into() } else { legacy.join(", ") };
                let imports: Vec<_> =
                    sealing.imports.schemes().map(|scheme| scheme.name()).collect();
                let imports = match imports.is_empty() {
                    true => String::new(),
                    false => format!(", opened of other systems: {}", imports.join(", ")),
                };
                let master = keyring.master().id();
                let mut summary = format!("master key {master}, legacy keys: {legacy}{imports}");
                if let Some(waiting) = waiting {
                    summary += &format!("\n{}", waiting_text(&waiting));
                }
                Ok(Reloaded { sealing, summary })
            };
            read().map_err(|failure| match failure.hint() {
                Some(hint) => format!("{failure}\nhint: {hint}"),
                None => failure.to_string(),
            })
        })
    }
}

/// Makes whole what a daemon that was killed left torn; its other leftovers can wait until the
/// mount stands.
fn mend(store: &Store, sealing: &crate::document::Sealing) {
    let seal_kept = |_: &crate::path::RelPath, bytes: &[u8]| Ok(sealing.seal_kept(bytes));
    match store.mend(&seal_kept) {
        Ok(found) => found.log(),
        Err(error) => log::error!("what a crash left cannot be looked for: {error}"),
    }
}

fn start(
    ended: &Arc<AtomicBool>,
    name: &str,
    run: impl FnOnce(&AtomicBool) + Send + 'static,
) -> std::io::Result<()> {
    let ended = ended.clone();
    std::thread::Builder::new().name(name.into()).spawn(move || run(&ended))?;
    Ok(())
}

/// Commits what waits too long, and keeps the status line true.
fn commit_in_time(fs: &Filesystem, status: &mut StatusLine, ended: &AtomicBool) {
    let mut last_save = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(500));
        fs.commit_old(false);
        if last_save.elapsed() >= SAVE {
            fs.save_remembered();
            last_save = Instant::now();
        }
        status.tell(fs);
    }
}

/// The failure as the parent prints it.
fn to_parent(failure: &Failure, code: u8) -> process::Failure {
    let hint = failure.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    process::Failure { code, message: format!("confseal: {failure}{hint}") }
}
