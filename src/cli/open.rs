//! From arguments to an open store with its keys and rules.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::error::Failure;
use super::import::{self, ForeignKeysRead, ImportSource};
use super::{Result, mounts, pinned};
use crate::document::{Binding, Imports, Sealing, sealer};
use crate::instance::{self, Instance};
use crate::keyring::{Fingerprint, Key, KeySource, Keyring, SourceError, first_present};
use crate::path::RelPath;
use crate::policy::{Ledger, Policy};
use crate::store::{CONTROL_DIR, Store, StoreLock};
use crate::sys::mount::canonical;

/// No policy that a person wrote is longer, in bytes.
const LARGEST_POLICY: usize = 1 << 20;

/// Where the keys come from.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct KeyArguments {
    /// The master key: credential:NAME, file:PATH or env:NAME. Without it and without an instance:
    /// credential:confseal.master, file:/etc/confseal/master.key, env:CONFSEAL_MASTER_KEY.
    #[arg(long, value_name = "SOURCE")]
    pub key: Option<KeySource>,
    /// A key that only opens; may be repeated.
    #[arg(long, value_name = "SOURCE")]
    pub legacy: Vec<KeySource>,
    /// Open the tokens of another system where they stand, to be turned into ours by `rewrap`:
    /// scheme=SCHEME,key=SOURCE, where needed with path=GLOB,field=PATTERN; may be repeated.
    #[arg(long, value_name = "IMPORT")]
    pub import: Vec<ImportSource>,
    /// Take store, keys and options from this instance: a name in /etc/confseal, or a file.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["key", "legacy", "import"])]
    pub instance: Option<String>,
}

/// Sources of keys, as they were chosen.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    master: Vec<KeySource>,
    legacy: Vec<KeySource>,
    imports: Vec<ImportSource>,
    pub binding: Binding,
}

impl KeyArguments {
    /// The instance that was named, or the one whose store or mount point holds `path`.
    pub(super) fn instance_for(&self, path: &Path) -> Result<Option<Instance>> {
        if let Some(name) = &self.instance {
            return Ok(Some(Instance::read(&Instance::file_of(name))?));
        }
        if self.key.is_some() {
            return Ok(None);
        }
        let path = canonical(path).unwrap_or_else(|_| path.to_owned());
        let holds = |instance: &Instance| {
            let points = [Some(&instance.store), instance.mountpoint.as_ref()];
            points.into_iter().flatten().any(|point| path.starts_with(point))
        };
        Ok(Instance::all().into_iter().map(|(_, instance)| instance).find(holds))
    }

    /// Makes the paths among the sources absolute.
    pub(super) fn make_absolute(&mut self) {
        let imports = self.import.iter_mut().filter_map(ImportSource::key_mut);
        for source in self.key.iter_mut().chain(&mut self.legacy).chain(imports) {
            if let KeySource::File(path) = source
                && let Ok(whole) = std::path::absolute(&*path)
            {
                *path = whole;
            }
        }
        if let Some(name) = self.instance.as_mut().filter(|name| name.contains('/'))
            && let Ok(whole) = std::path::absolute(&*name)
        {
            *name = whole.to_string_lossy().into_owned();
        }
    }

    /// Where to read the keys for what lies at `path`.
    pub(super) fn sources(&self, path: &Path) -> Result<Sources> {
        let parse = |text: &String| text.parse::<KeySource>().map_err(Failure::from);
        let mut imports = self.import.clone();
        let (master, legacy, binding) = match (self.instance_for(path)?, &self.key) {
            (Some(instance), _) => {
                imports.extend(ImportSource::all_of(&instance)?);
                let legacy: Result<Vec<_>> = instance.keys.legacy.iter().map(parse).collect();
                let binding = match instance.keys.binding {
                    instance::Binding::None => Binding::None,
                    instance::Binding::Field => Binding::Field,
                    instance::Binding::File => Binding::File,
                };
                (vec![parse(&instance.keys.master)?], legacy?, binding)
            }
            (None, Some(key)) => (vec![key.clone()], self.legacy.clone(), Binding::Field),
            (None, None) => (KeySource::defaults().to_vec(), self.legacy.clone(), Binding::Field),
        };
        Ok(Sources { master, legacy, imports, binding })
    }
}

/// Keys that were read, each with its source: what came from a variable is not there a second time.
#[derive(Default)]
pub(super) struct KeysRead {
    own: Vec<(KeySource, Arc<Key>)>,
    foreign: ForeignKeysRead,
}

/// What the sources gave.
pub(super) struct Keys {
    /// The store's keys.
    pub keyring: Keyring,
    /// The tokens of other systems, with their keys.
    pub imports: Imports,
}

impl Sources {
    /// Reads the keys of the store alone.
    pub(super) fn read(&self) -> Result<Keyring> {
        self.read_keyring(&mut Vec::new())
    }

    /// Reads the keys; those that come from the environment are taken from `known`. A legacy key
    /// that is not there is reported and done without: what needs it says so.
    pub(super) fn read_again(&self, known: &mut KeysRead) -> Result<Keys> {
        let keyring = self.read_keyring(&mut known.own)?;
        Ok(Keys { keyring, imports: import::read(&self.imports, &mut known.foreign)? })
    }

    fn read_keyring(&self, known: &mut Vec<(KeySource, Arc<Key>)>) -> Result<Keyring> {
        let before = std::mem::take(known);
        let mut get = |source: &KeySource| -> Result<Arc<Key>, SourceError> {
            let wiped = matches!(source, KeySource::Env(_));
            let key = match before.iter().find(|(other, _)| wiped && other == source) {
                Some((_, key)) => key.clone(),
                None => Arc::new(source.read()?),
            };
            known.push((source.clone(), key.clone()));
            Ok(key)
        };
        let master = first_present(&self.master, &mut get)?;
        let mut legacy = Vec::new();
        for source in &self.legacy {
            match get(source) {
                Ok(key) => legacy.push(key),
                Err(error) if error.is_absence() => {
                    log::warn!(event = "key-missing"; "legacy key: {error}");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Keyring::of(master, legacy)?)
    }

    /// Where the master key is looked for, in this order.
    pub(super) fn master(&self) -> &[KeySource] {
        &self.master
    }

    /// Where the legacy keys are.
    pub(super) fn legacy(&self) -> &[KeySource] {
        &self.legacy
    }

    /// Where the keys of other systems are.
    pub(super) fn imports(&self) -> &[ImportSource] {
        &self.imports
    }

    /// The variables among them.
    pub(super) fn variables(&self) -> Vec<String> {
        self.all()
            .into_iter()
            .filter_map(|source| match source {
                KeySource::Env(name) => Some(name),
                KeySource::Credential(_) | KeySource::File(_) => None,
            })
            .collect()
    }

    /// All of them, for wiping the variables among them.
    pub(super) fn all(&self) -> Vec<KeySource> {
        let imports = self.imports.iter().filter_map(ImportSource::key);
        self.master.iter().chain(&self.legacy).chain(imports).cloned().collect()
    }
}

/// The root of the store that holds `path`: the nearest directory with a control directory, else
/// `path` itself if it is a directory, else the directory that holds it; and the rest of the path.
pub(super) fn locate(path: &Path) -> Result<(PathBuf, RelPath)> {
    let path = path.canonicalize().map_err(Failure::io(path))?;
    let has_control = |dir: &&Path| dir.join(CONTROL_DIR).is_dir();
    let itself = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
    let root = path.ancestors().find(has_control).or(itself).unwrap_or(Path::new("/")).to_owned();
    let rest = path.strip_prefix(&root).unwrap_or(Path::new(""));
    let file = RelPath::new(rest.as_os_str().as_encoded_bytes())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    Ok((root, file))
}

/// Whether `root` is the root of a mount of ours, rather than a store. A store may come with a file of
/// the control room's name, which would take a command and do nothing, or hold an answer that somebody
/// made up: so a daemon has to stand behind it.
pub(super) fn is_mount(root: &Path) -> bool {
    root.join(CONTROL_DIR).join("control").exists() && is_served(root)
}

/// Whether `root` lies on a file system that a daemon of ours answers for.
fn is_served(root: &Path) -> bool {
    const FUSE: u32 = 0x6573_5546;
    let is_fuse = rustix::fs::statfs(root).is_ok_and(|about| about.f_type as u32 == FUSE);
    // A store may lie on the FUSE mount of something else. Where the table is not to be seen, the
    // kernel's word for the type has to do.
    is_fuse && mounts::is_on_ours(root).unwrap_or(true)
}

/// Opens a store.
pub(super) fn open_store(root: &Path) -> Result<Store> {
    Store::open(root).map_err(Failure::io(root))
}

/// Takes the store for ourselves.
pub(super) fn lock(store: &Store) -> Result<StoreLock> {
    store.lock().map_err(|error| Failure::Locked { store: store.path().to_owned(), error })
}

/// The rules of a store: those that travel with it, together with those that were accepted here.
pub(super) fn rules(store: &Store) -> Result<(Policy, Ledger)> {
    let (policy, ledger) = written_rules(store)?;
    pinned::together(store.path(), policy, ledger)
}

/// The rules that travel with a store; the built-in lists where it has none.
pub(super) fn written_rules(store: &Store) -> Result<(Policy, Ledger)> {
    let path = |name: &str| store.path().join(CONTROL_DIR).join(name);
    let read = |name: &str| -> Result<Option<String>> {
        let bytes = store.read_state(name).map_err(Failure::io(path(name)))?;
        let text = bytes.map(String::from_utf8).transpose();
        text.map_err(|_| invalid(path(name), "not UTF-8"))
    };
    let policy = match read("policy.toml")? {
        Some(text) if text.len() > LARGEST_POLICY => {
            return Err(invalid(path("policy.toml"), "larger than 1 MiB"));
        }
        Some(text) => Policy::parse(&text)
            .map_err(|error| Failure::Policy { path: path("policy.toml"), error })?,
        None => Policy::builtin(),
    };
    let ledger = match read("sealed")? {
        Some(text) => {
            Ledger::parse(&text).map_err(|error| Failure::Ledger { path: path("sealed"), error })?
        }
        None => Ledger::new(),
    };
    Ok((policy, ledger))
}

fn invalid(path: PathBuf, what: &str) -> Failure {
    Failure::Io { path, error: std::io::Error::new(std::io::ErrorKind::InvalidData, what) }
}

/// Keys and rules together, with the store's word that these are its keys.
pub(super) fn sealing(store: &Store, sources: &Sources) -> Result<Sealing> {
    sealing_with(store, sources.read_again(&mut KeysRead::default())?, sources.binding)
}

/// The same with keys that have been read.
pub(super) fn sealing_with(store: &Store, keys: Keys, binding: Binding) -> Result<Sealing> {
    let Keys { keyring, imports } = keys;
    admit(store, &keyring)?;
    let (policy, ledger) = rules(store)?;
    Ok(Sealing {
        sealer: sealer(keyring),
        policy,
        ledger: Arc::new(ledger),
        imports,
        binding,
        keep_legacy_tokens: true,
    })
}

/// Checks the master key against the fingerprint that the store remembers, and the one that this
/// machine does. A store that remembers none is new; one that remembers a legacy key has got a new
/// master.
pub(super) fn admit(store: &Store, keyring: &Keyring) -> Result<()> {
    let given = keyring.master().fingerprint();
    let path = store.path().join(CONTROL_DIR).join("fingerprint");
    if let Some(known) = store.read_state("fingerprint").map_err(Failure::io(&path))? {
        let sealed: Fingerprint = std::str::from_utf8(&known)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| invalid(path, "not a fingerprint"))?;
        if keyring.by_fingerprint(&sealed).is_none() {
            let is_pinned = pinned::key(store)?.is_some_and(|(pinned, _)| pinned == given);
            let store = store.path().to_owned();
            return Err(Failure::WrongKey { store, sealed, given, is_pinned });
        }
    }
    match pinned::key(store)? {
        Some((pinned, pins)) if keyring.by_fingerprint(&pinned).is_none() => {
            Err(Failure::PinnedKey { store: store.path().to_owned(), pinned, given, pins })
        }
        _ => Ok(()),
    }
}

/// Writes down under which key the store is sealed from now on.
pub(super) fn remember_key(store: &Store, sealing: &Sealing) -> Result<()> {
    pinned::keep_key(store, sealing.sealer.keyring())?;
    let path = store.path().join(CONTROL_DIR).join("fingerprint");
    let text = format!("{}\n", sealing.sealer.keyring().master().fingerprint());
    let known = store.read_state("fingerprint").map_err(Failure::io(&path))?;
    if known.as_deref() == Some(text.as_bytes()) {
        return Ok(());
    }
    store.write_state("fingerprint", text.as_bytes()).map_err(Failure::io(path))
}

/// How many entries are looked at before a store counts as one with files of others.
const MOST_LOOKED_AT: usize = 10_000;

/// Whether every file of a store belongs to this user and his own group.
pub(super) fn is_all_ours(store: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let mut left = MOST_LOOKED_AT;
    let mut directories = vec![store.to_owned()];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { return false };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { return false };
            if metadata.uid() != user.as_raw() || metadata.gid() != group.as_raw() || left == 0 {
                return false;
            }
            left -= 1;
            if metadata.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    true
}
