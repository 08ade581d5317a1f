//! The key of an instance: made, kept where the service finds it, and copied to be put away.
//!
//! What must stay true: a key that is there is never replaced; one that was made counts only when it
//! has been read back from where it is kept, on disk; it passes through pipes and memory, and is
//! written nowhere in the clear but to a key file or a copy that was asked for.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::super::Result;
use super::super::error::Failure;
use super::super::key::write_new;
use super::super::output::show;
use super::service::Service;
use super::subject::Subject;
use crate::instance::{DIRECTORY, Instance};
use crate::keyring::{Key, KeySource, Keyring};
use crate::secret::SecretBytes;

/// Where systemd looks for credentials that are encrypted, and for those that are not.
const ENCRYPTED: &str = "/etc/credstore.encrypted";
const PLAIN: &str = "/etc/credstore";

/// Where a key is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Keeping {
    /// As a credential of this name, encrypted with this if anything was chosen.
    Credential { name: String, with_key: Option<String> },
    /// In a key file.
    File(PathBuf),
    /// Elsewhere: the operator's own affair.
    Other(KeySource),
}

impl Keeping {
    /// Where the key of `subject` is kept, or is to be.
    pub(super) fn choose(
        subject: &Subject,
        key: Option<&KeySource>,
        with_key: Option<String>,
        no_systemd: bool,
    ) -> Result<Self> {
        if let Some(instance) = &subject.instance {
            let there: KeySource = instance.keys.master.parse()?;
            return match key.is_none_or(|key| *key == there) {
                true => Ok(Self::of(there, with_key)),
                false => {
                    let what = format!("says that the key is {there}; --key says another");
                    Err(Failure::Usage(format!("{}: {what}", subject.file().display())))
                }
            };
        }
        let own = format!("confseal.{}.master", subject.name);
        match key {
            Some(KeySource::File(path)) => {
                let path = std::path::absolute(path).map_err(Failure::io(path))?;
                let parent = path.parent().unwrap_or(Path::new("/"));
                if parent.canonicalize().is_ok_and(|parent| parent.starts_with(&subject.dir)) {
                    let what = "the key would lie in what it opens";
                    return Err(Failure::Usage(format!("{}: {what}", path.display())));
                }
                Ok(Self::File(path))
            }
            Some(KeySource::Credential(name)) if *name != own => Err(Failure::Usage(format!(
                "--key credential:{name}: the unit of this instance gets `{own}`"
            ))),
            Some(KeySource::Env(_)) => Err(Failure::Usage(
                "--key env:...: a variable of a service can be read by whoever asks systemd for it"
                    .into(),
            )),
            Some(KeySource::Credential(_)) => Ok(Self::Credential { name: own, with_key }),
            None if !no_systemd && systemd_creds(&["--version"], b"").is_ok() => {
                Ok(Self::Credential { name: own, with_key })
            }
            None => Ok(Self::File(Path::new(DIRECTORY).join(format!("{}.key", subject.name)))),
        }
    }

    /// What an instance says.
    pub(in crate::cli) fn of(source: KeySource, with_key: Option<String>) -> Self {
        match source {
            KeySource::Credential(name) => Self::Credential { name, with_key },
            KeySource::File(path) => Self::File(path),
            other @ KeySource::Env(_) => Self::Other(other),
        }
    }

    /// As an instance says it.
    pub(super) fn source(&self) -> KeySource {
        match self {
            Self::Credential { name, .. } => KeySource::Credential(name.clone()),
            Self::File(path) => KeySource::File(path.clone()),
            Self::Other(source) => source.clone(),
        }
    }

    /// Why the daemon that `service` starts would not find the key there.
    pub(super) fn refused_by(&self, service: &Service) -> Option<String> {
        match (self, service) {
            (Self::Credential { .. }, Service::Direct) => {
                Some("a credential reaches a service of systemd only: give --key file:PATH".into())
            }
            _ => None,
        }
    }

    /// The file that holds it, or is to.
    pub(in crate::cli) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Credential { name, .. } => Some(match Path::new(PLAIN).join(name) {
                plain if plain.exists() => plain,
                _ => Path::new(ENCRYPTED).join(name),
            }),
            Self::File(path) => Some(path.clone()),
            Self::Other(_) => None,
        }
    }

    /// What is to be done for it; nothing where the key is there.
    pub(super) fn step(&self) -> Option<String> {
        let file = self.file().filter(|file| !file.exists())?.display().to_string();
        Some(match self {
            Self::Credential { with_key: Some(with_key), .. } => {
                format!("make a key and keep it, encrypted by systemd with {with_key}, in {file}")
            }
            Self::Credential { with_key: None, .. } => {
                format!("make a key and keep it, encrypted by systemd for this machine, in {file}")
            }
            Self::File(_) | Self::Other(_) => {
                format!("make a key and keep it in {file}, mode 0600")
            }
        })
    }

    /// Reads the key; `None` when there is none yet.
    pub(in crate::cli) fn read(&self) -> Result<Option<Key>> {
        match self {
            Self::Credential { name, .. } => read_credential(name),
            Self::File(path) if !path.exists() => Ok(None),
            Self::File(_) | Self::Other(_) => Ok(Some(self.source().read()?)),
        }
    }

    /// Makes the key and keeps it, unless there is one; and reads it back. Also: whether it is new.
    pub(super) fn ensure(&self) -> Result<(Key, bool)> {
        if let Some(key) = self.read()? {
            return Ok((key, false));
        }
        let key = Key::generate().map_err(Failure::io("the kernel's random numbers"))?;
        let mut line = key.to_line();
        line.extend(b"\n");
        match self {
            Self::Credential { name, with_key } => encrypt(name, with_key.as_deref(), &line)?,
            Self::File(path) => {
                make_directory(path.parent().unwrap_or(Path::new("/")), 0o755)?;
                write_new(path, &line).map_err(Failure::io(path))?;
            }
            Self::Other(_) => {}
        }
        match self.read()? {
            Some(kept) if kept.fingerprint() == key.fingerprint() => Ok((kept, true)),
            _ => {
                let source = self.source();
                Err(Failure::Refused(format!(
                    "{source}: it does not give back the key that was kept"
                )))
            }
        }
    }
}

/// Writes a copy of the key to a new file, or to standard output. One that is there and the same is
/// a copy already.
pub(super) fn put_copy(key: &Key, file: &Path) -> Result<()> {
    let mut line = key.to_line();
    line.extend(b"\n");
    if file.as_os_str() == "-" {
        return show(&line);
    }
    match write_new(file, &line) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = KeySource::File(file.to_owned()).read()?;
            match there.fingerprint() == key.fingerprint() {
                true => Ok(()),
                false => {
                    let what = format!("holds another key ({}), and is not replaced", there.id());
                    Err(Failure::Usage(format!("{}: {what}", file.display())))
                }
            }
        }
        other => other.map_err(Failure::io(file)),
    }
}

/// All keys of an instance, credentials among them: what its service is given.
pub(in crate::cli) fn keyring_of(instance: &Instance) -> Result<Keyring> {
    let read = |text: &String| -> Result<Arc<Key>> {
        let source: KeySource = text.parse()?;
        let missing = || Failure::Refused(format!("{source}: there is no such key"));
        Keeping::of(source.clone(), None).read()?.map(Arc::new).ok_or_else(missing)
    };
    let legacy: Result<Vec<_>> = instance.keys.legacy.iter().map(read).collect();
    Ok(Keyring::of(read(&instance.keys.master)?, legacy?)?)
}

fn read_credential(name: &str) -> Result<Option<Key>> {
    let plain = Path::new(PLAIN).join(name);
    if plain.exists() {
        return Ok(Some(KeySource::File(plain).read()?));
    }
    let file = Path::new(ENCRYPTED).join(name);
    if !file.exists() {
        return Ok(None);
    }
    let shown = file.display().to_string();
    let arguments = ["decrypt", &format!("--name={name}"), &shown, "-"];
    let text = systemd_creds(&arguments, b"")
        .map_err(|why| Failure::Refused(format!("{shown}: cannot be decrypted: {why}")))?;
    let key = Key::parse(&text);
    Ok(Some(key.map_err(|error| Failure::Refused(format!("{shown}: {error}")))?))
}

/// Has systemd encrypt a key, beside its place first: what stands in its place is always whole.
fn encrypt(name: &str, with_key: Option<&str>, line: &[u8]) -> Result<()> {
    let dir = Path::new(ENCRYPTED);
    make_directory(dir, 0o700)?;
    let named = format!("--name={name}");
    let with_key = with_key.map(|with_key| format!("--with-key={with_key}"));
    let mut arguments = vec!["encrypt", &named];
    arguments.extend(with_key.as_deref());
    arguments.extend(["-", "-"]);
    let sealed = systemd_creds(&arguments, line).map_err(|why| {
        Failure::Refused(format!(
            "systemd-creds cannot encrypt the key: {why}; --key file:PATH keeps it in a file"
        ))
    })?;
    let (draft, file) = (dir.join(format!(".{name}.new")), dir.join(name));
    let write = || -> io::Result<()> {
        // A leftover of one that was cut off.
        if draft.exists() {
            fs::remove_file(&draft)?;
        }
        write_new(&draft, &sealed)?;
        fs::rename(&draft, &file)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(Failure::io(&file))
}

/// Makes a directory that is missing, and what is missing above it.
pub(super) fn make_directory(dir: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(dir).map_err(Failure::io(dir))
}

/// Runs systemd-creds(1) with `input`, and gives what it writes; or its own words.
fn systemd_creds(arguments: &[&str], input: &[u8]) -> Result<SecretBytes, String> {
    let mut child = Command::new("systemd-creds")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("systemd-creds: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // What it does not read it does not need: its exit status tells.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(|error| format!("systemd-creds: {error}"))?;
    let out = SecretBytes::from(output.stdout);
    match output.status.success() {
        true => Ok(out),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(said.lines().last().unwrap_or("it failed without a word").to_owned())
        }
    }
}
