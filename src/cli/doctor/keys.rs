//! Can the keys be had, and are they the store's?

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::super::open::{KeyArguments, Sources};
use super::place::Place;
use super::report::Report;
use super::unit::bounded_bytes;
use crate::document::Binding;
use crate::keyring::{Fingerprint, Key, KeySource, Keyring, SourceError};
use crate::pins::{Pin, Pins};
use crate::secret::SecretBytes;
use crate::store::CONTROL_DIR;

const ABOUT: &str = "key";

/// What is known of the keys.
pub(super) struct Known {
    /// Those that could be read here.
    pub keyring: Option<Keyring>,
    /// What tokens must be bound to.
    pub binding: Binding,
    /// Where the keys and imports come from.
    pub sources: Option<Sources>,
    /// The ids of those that the mount's daemon has.
    pub daemon: Vec<String>,
}

impl Known {
    /// Whether a key of that id is there, for the daemon or for us.
    pub(super) fn has(&self, id: &str) -> bool {
        let ours = self.keyring.as_ref();
        self.daemon.iter().any(|known| known == id)
            || ours.is_some_and(|keyring| keyring.keys().any(|key| key.id().to_string() == id))
    }
}

/// Looks at the keys.
pub(super) fn look(
    place: &Place,
    arguments: &KeyArguments,
    status: Option<&Value>,
    report: &mut Report,
) -> Known {
    let mut known =
        Known { keyring: None, binding: Binding::Field, sources: None, daemon: Vec::new() };
    if let Some(status) = status {
        let master = status["master_key"].as_str().unwrap_or("-");
        let legacy = status["legacy_keys"].as_array().into_iter().flatten();
        let legacy: Vec<&str> = legacy.filter_map(Value::as_str).collect();
        known.daemon = [&[master], &legacy[..]].concat().into_iter().map(str::to_owned).collect();
        let more = if legacy.is_empty() {
            String::new()
        } else {
            format!(", legacy {}", legacy.join(", "))
        };
        report
            .fine(ABOUT, format!("the daemon has the master key {master}{more}"))
            .fact("key_id", master);
    }
    let Some(store) = &place.store else { return known };
    let mut arguments = arguments.clone();
    if let (None, None, Some(file)) = (&arguments.instance, &arguments.key, &place.instance_file) {
        // By its file: looking for it by the path would touch the mount.
        arguments.instance = Some(file.to_string_lossy().into_owned());
    }
    let is_silent = place.mount.is_some() && status.is_none() && arguments.instance.is_none();
    if is_silent && arguments.key.is_none() {
        report.note(ABOUT, "no instance says where the keys come from");
        return known;
    }
    let sources = match arguments.sources(store) {
        Ok(sources) => sources,
        Err(failure) => {
            report.wrong_with(ABOUT, failure.to_string());
            return known;
        }
    };
    known.binding = sources.binding;
    let unit = place.installed().map(|name| format!("confseal@{name}.service"));
    let is_chosen = sources.master().len() == 1;
    let mut master = None;
    let mut absent = Vec::new();
    for source in sources.master() {
        match read(source, unit.as_deref()) {
            Ok((key, from)) => {
                let id = key.id();
                report
                    .fine(ABOUT, format!("{source}: can be read{from}, key id {id}"))
                    .fact("source", source.to_string())
                    .fact("key_id", id.to_string());
                master = Some(Arc::new(key));
                break;
            }
            Err(trouble) if is_chosen => trouble.tell(source, status.is_some(), report),
            Err(trouble) => absent.push(format!("{source}: {}", trouble.text)),
        }
    }
    if master.is_none() && !is_chosen && status.is_none() {
        report
            .wrong_with(ABOUT, format!("no key was found: {}", absent.join("; ")))
            .todo("give it with --key SOURCE, or in an instance's [keys]");
    }
    let mut legacy = Vec::new();
    for source in sources.legacy() {
        match read(source, unit.as_deref()) {
            Ok((key, from)) => {
                let id = key.id();
                report
                    .fine(ABOUT, format!("{source}: can be read{from}, legacy key id {id}"))
                    .fact("source", source.to_string())
                    .fact("key_id", id.to_string());
                legacy.push(Arc::new(key));
            }
            Err(trouble) => trouble.tell(source, false, report),
        }
    }
    if let Some(master) = master {
        match Keyring::of(master, legacy) {
            Ok(keyring) => known.keyring = Some(keyring),
            Err(error) => {
                report.wrong_with(ABOUT, error.to_string());
            }
        }
    }
    known.sources = Some(sources);
    fingerprints(place, status, &known, report);
    known
}

/// Why a key cannot be had here.
struct Unread {
    text: String,
    todo: String,
    /// Whether the daemon may have it all the same: it was started where the key was.
    is_elsewhere: bool,
}

impl Unread {
    fn tell(&self, source: &KeySource, is_served: bool, report: &mut Report) {
        let text = match self.text.starts_with(&source.to_string()) {
            true => self.text.clone(),
            false => format!("{source}: {}", self.text),
        };
        let finding = match self.is_elsewhere && is_served {
            true => report.note(ABOUT, text),
            false => report.wrong_with(ABOUT, text),
        };
        finding.fact("source", source.to_string()).todo(self.todo.clone());
    }
}

/// Reads a key, a credential also from where systemd takes it; and says from where, if that is not
/// the source itself.
fn read(source: &KeySource, unit: Option<&str>) -> Result<(Key, String), Unread> {
    let error = match source.read() {
        Ok(key) => return Ok((key, String::new())),
        Err(error) => error,
    };
    match source {
        KeySource::Credential(name) => credential(name, unit),
        KeySource::Env(name) => Err(Unread {
            text: error.to_string(),
            todo: format!(
                "set {name} where the daemon is started; better, use a credential or a file"
            ),
            is_elsewhere: true,
        }),
        KeySource::File(path) => Err(Unread {
            todo: match &error {
                SourceError::Absent(..) => {
                    format!("put the key into {} (mode 0600), from the escrow copy", path.display())
                }
                SourceError::Exposed { .. } => format!("chmod 600 {}", path.display()),
                _ => "see that the file is the key file, and root's".to_owned(),
            },
            text: error.to_string(),
            is_elsewhere: false,
        }),
    }
}

/// Where systemd looks for credentials (systemd.exec(5), `LoadCredential=`, `ImportCredential=`).
const STORES: [&str; 4] = ["/etc", "/run", "/usr/local/lib", "/usr/lib"];

fn credential(name: &str, unit: Option<&str>) -> Result<(Key, String), Unread> {
    let source = format!("credential:{name}");
    let broken = |path: &Path, why: String| Unread {
        text: format!("{source}: {}: {why}", path.display()),
        todo: format!(
            "make it anew from the escrow copy: systemd-creds encrypt --name={name} KEYFILE {}",
            path.display()
        ),
        is_elsewhere: false,
    };
    if let Some(unit) = unit {
        let given = PathBuf::from(format!("/run/credentials/{unit}/{name}"));
        if let Ok(text) = std::fs::read(&given).map(SecretBytes::from)
            && let Ok(key) = Key::parse(&text)
        {
            return Ok((key, " (the running unit has it)".to_owned()));
        }
    }
    for place in STORES {
        let path = Path::new(place).join("credstore.encrypted").join(name);
        if path.exists() {
            let shown = path.to_string_lossy();
            let argument = format!("--name={name}");
            let text = bounded_bytes("systemd-creds", &["decrypt", &argument, &shown, "-"])
                .map(SecretBytes::from)
                .map_err(|why| broken(&path, format!("cannot be decrypted: {why}")))?;
            let key = Key::parse(&text).map_err(|error| broken(&path, error.to_string()))?;
            return Ok((key, format!(" (from {shown})")));
        }
        let path = Path::new(place).join("credstore").join(name);
        match std::fs::read(&path).map(SecretBytes::from) {
            Ok(text) => {
                let key = Key::parse(&text).map_err(|error| broken(&path, error.to_string()))?;
                return Ok((key, format!(" (from {})", path.display())));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(broken(&path, error.to_string())),
        }
    }
    Err(Unread {
        text: format!(
            "{source}: no such credential in /etc/credstore.encrypted, /etc/credstore, or \
             below /run and /usr/lib"
        ),
        todo: format!(
            "put it there: systemd-creds encrypt --name={name} KEYFILE \
             /etc/credstore.encrypted/{name} \
             (or the unit's own LoadCredential=)"
        ),
        is_elsewhere: true,
    })
}

/// Is the master key the store's?
fn fingerprints(place: &Place, status: Option<&Value>, known: &Known, report: &mut Report) {
    let parse = |text: &str| text.trim().parse::<Fingerprint>().ok();
    let at = place.readable_store(status);
    let path = at.map(|at| at.join(CONTROL_DIR).join("fingerprint"));
    let stored = path.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
    let given = known.keyring.as_ref().map(|keyring| keyring.master().fingerprint());
    let daemon = status.and_then(|status| parse(status["fingerprint"].as_str()?));
    let Some(stored) = stored else {
        report.note("store", "under which key it is sealed is not known here");
        return;
    };
    let Some(stored) = parse(&stored) else {
        let path = path.map(|path| path.display().to_string()).unwrap_or_default();
        report.wrong_with("store", format!("{path}: no fingerprint")).todo("restore that file");
        return;
    };
    let id = stored.id();
    let is_known = |given: &Fingerprint| {
        let ring = known.keyring.as_ref();
        *given == stored || ring.is_some_and(|ring| ring.by_fingerprint(&stored).is_some())
    };
    match daemon.or(given) {
        Some(given) if !is_known(&given) => {
            report
                .wrong_with(
                    "store",
                    format!(
                        "sealed under the key {id}, but the master key given is {}",
                        given.id()
                    ),
                )
                .fact("key_id", id.to_string())
                .todo(format!(
                    "give the key {id} as master; or, to rotate, {} as master and {id} as legacy",
                    given.id()
                ));
        }
        _ => {
            report
                .fine("store", format!("sealed under the key {id}, fingerprint {stored}"))
                .fact("key_id", id.to_string())
                .fact("fingerprint", stored.to_string());
        }
    }
    let pins = place.name().and_then(|name| Pins::find(&name).ok().flatten());
    let pinned = pins.and_then(|pins| pins.read(Pin::Fingerprints).ok().flatten());
    let pinned = pinned.and_then(|text| parse(text.lines().last()?));
    if let Some(pinned) = pinned.filter(|pinned| *pinned != stored) {
        report
            .note("store", format!("this machine knows it under the key {}", pinned.id()))
            .todo("if it was rotated elsewhere, that key has to be given as legacy once");
    }
}
