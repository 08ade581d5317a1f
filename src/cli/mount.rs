//! `mount`: the daemon.
//!
//! `Plan::mount_and_serve` is its life, a phase a file. The order of the phases, and of what they do,
//! matters:
//! - `prepare`: signals are blocked and the own namespace is entered before any thread exists;
//! - `keys`: dumps are forbidden before a key is read, the survivor is left behind while there is one
//!   thread and no key, and variables that held keys are wiped before a thread or child could inherit
//!   them;
//! - `store`: the store is opened, locked and mended before the mount covers it, and an earlier
//!   daemon's mount is only taken over with the lock in hand;
//! - `attach`: the store is watched before anybody sees the mount; whoever waits for an earlier daemon
//!   is attended to when the new mount stands;
//! - `serving`: systemd and a waiting parent hear that it stands when all threads run; at the end
//!   everything is committed before the lock is given up.

mod attach;
mod ending;
mod exposed;
mod held;
mod keys;
mod prepare;
mod serving;
mod settings;
mod store;
mod succession;
mod supervised;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use self::keys::FirstKeys;
use self::prepare::Process;
use self::serving::Serving;
use self::store::Opened;
use super::error::Failure;
use super::open::KeyArguments;
use super::{Outcome, Result, audited, mount_point, pinned};
use crate::fs::{Filesystem, Options};
use crate::fuse::mount::Predecessor;
use crate::instance;
use crate::pins::Pins;
use crate::sys::mount::{canonical, shows};
use crate::sys::process::{self, NotStarted, Ready, daemonize};
use crate::systemd;

pub(super) use settings::Settings;

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
        if shows(&mountpoint, "autofs").map_err(Failure::io(&mountpoint))? {
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
        let to_parent = |failure| to_parent(&failure, code(&failure));
        match daemonize(|ready| self.serve(ready).map_err(to_parent)).map_err(self.here())? {
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

    /// The daemon's life, phase by phase; the head of this file says what rests on their order.
    fn mount_and_serve(&self, ready: &mut Ready) -> Result<()> {
        let Process { signals, kept, is_root, host } = self.prepare_process()?;
        let taken = self.take_over(&host, &kept)?;
        let FirstKeys { survivor, keys, binding, known } = self.read_keys()?;
        let Opened { store, lock, sealing, pins, first_use } =
            self.open_store(taken, keys, binding)?;

        let exposed = self.expose(&host, is_root);
        let options = self.options(is_root, exposed.place(), pins)?;
        let fs = Filesystem::new(store, sealing, options, self.reload(known));
        let fs = Arc::new(fs.map_err(self.here())?);
        fs.watch_store();
        let standing = self.attach(&fs, (&host, is_root), &survivor, kept)?;

        let serving = Serving::begin(self, fs, standing, exposed, signals)?;
        ready.ready().map_err(self.here())?;
        systemd::ready();
        self.say_it_stands(first_use.as_deref());
        serving.until_gone((lock, survivor))
    }

    fn options(
        &self,
        is_root: bool,
        store_at: Option<&Path>,
        pins: Option<Arc<Pins>>,
    ) -> Result<Options> {
        Ok(Options {
            ttl: Duration::from_secs(self.options.ttl),
            watch: self.options.watch,
            max_view: self.options.max_view << 20,
            cache: self.options.cache << 20,
            give_away: is_root,
            store_at: store_at.map(Path::to_owned),
            pins,
            name: self.name.clone(),
            trail: audited::trail_of_mount(&self.name, self.audit)?.map(Arc::new),
            ..Options::default()
        })
    }

    fn say_it_stands(&self, first_use: Option<&Path>) {
        log::info!(
            event = "mounted", store:% = self.store.display(),
            mountpoint:% = self.mountpoint.display();
            "{} is mounted at {}", self.store.display(), self.mountpoint.display()
        );
        if let Some(place) = first_use {
            log::info!("first use here: its policy is accepted as it is ({})", place.display());
        }
    }

    fn is_over_itself(&self) -> bool {
        self.mountpoint == self.store
    }

    /// A failure of the system, with the store as its path.
    fn here(&self) -> impl FnOnce(std::io::Error) -> Failure + use<> {
        Failure::io(self.store.clone())
    }
}

/// The failure as the parent prints it.
fn to_parent(failure: &Failure, code: u8) -> process::Failure {
    let hint = failure.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    process::Failure { code, message: format!("confseal: {failure}{hint}") }
}
