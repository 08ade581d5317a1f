//! Instances: `/etc/confseal/NAME.toml`, one store with its mount, keys and options.
//!
//! The file names keys and decides who may read: it must be root's (or the user's own) and nobody
//! else may be able to write it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where instances are looked up by name.
pub const DIRECTORY: &str = "/etc/confseal";

/// One instance, as its file says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The directory with sealed content; absolute.
    pub store: PathBuf,
    /// Where plaintext is seen; the store itself when left out.
    pub mountpoint: Option<PathBuf>,
    /// Its keys.
    pub keys: Keys,
    /// How it is mounted.
    #[serde(default)]
    pub mount: Mount,
}

/// Key sources, as text: `credential:NAME`, `file:PATH`, `env:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The key that seals.
    pub master: String,
    /// Keys that only open.
    #[serde(default)]
    pub legacy: Vec<String>,
    /// Tokens of other systems that are opened where they stand.
    #[serde(default)]
    pub import: Vec<Import>,
    /// What tokens must be bound to: `field` or `file`.
    #[serde(default)]
    pub binding: Binding,
}

/// One `[[keys.import]]`, as text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Which system's tokens.
    pub scheme: String,
    /// Where that system's key comes from.
    pub key: String,
    /// What the tokens begin with, where the scheme leaves that open.
    pub prefix: Option<String>,
    /// How their bytes are written, where the scheme leaves that open.
    pub encoding: Option<String>,
    /// In which files they stand.
    #[serde(default)]
    pub path: Patterns,
    /// In which fields.
    #[serde(default)]
    pub field: Patterns,
}

/// One pattern, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Patterns {
    /// One.
    One(String),
    /// Any number.
    Many(Vec<String>),
}

impl Default for Patterns {
    fn default() -> Self {
        Patterns::Many(Vec::new())
    }
}

impl Patterns {
    /// All of them.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Patterns::One(one) => std::slice::from_ref(one),
            Patterns::Many(many) => many,
        }
    }
}

/// What tokens must be bound to at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    /// Nothing.
    None,
    /// The field path.
    #[default]
    Field,
    /// The field path and the file's path.
    File,
}

/// Mount options.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mount {
    /// Whether programs are refused what they write.
    pub read_only: bool,
    /// Whether no program may be started out of the mount.
    pub no_exec: bool,
    /// Whether others than the mounting user may use the mount; root's default is yes.
    pub allow_other: Option<bool>,
    /// Threads that read requests.
    pub threads: usize,
    /// How long the kernel may believe what it was told, in seconds, where changes are watched.
    pub ttl: u64,
    /// Whether the store is watched for changes. Off where none are told: then the kernel believes
    /// what it was told for a second at most.
    pub watch: bool,
    /// The largest sealed file, in MiB.
    pub max_view: u64,
    /// Memory for views of files that nobody has open, in MiB.
    pub cache: usize,
    /// SELinux context of all files.
    pub context: Option<String>,
}

impl Default for Mount {
    fn default() -> Self {
        Self {
            read_only: false,
            no_exec: false,
            allow_other: None,
            threads: 2,
            ttl: 3600,
            watch: true,
            max_view: 64,
            cache: 64,
            context: None,
        }
    }
}

/// Why an instance file is refused.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others could change it.
    #[error("{0}: others may write it (it must belong to root or to you, mode 0644 or stricter)")]
    Writable(PathBuf),
    /// It does not say what an instance is.
    #[error("{path}: {message}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A path in it is not absolute.
    #[error("{path}: `{what}` must be an absolute path")]
    NotAbsolute {
        /// The file.
        path: PathBuf,
        /// Which entry.
        what: &'static str,
    },
}

impl Instance {
    /// The file of the instance `name`: below [`DIRECTORY`], or `name` itself if it is a path.
    pub fn file_of(name: &str) -> PathBuf {
        if name.contains('/') {
            PathBuf::from(name)
        } else {
            Path::new(DIRECTORY).join(format!("{name}.toml"))
        }
    }

    /// Reads an instance file.
    pub fn read(path: &Path) -> Result<Self, InstanceError> {
        let fail = |error| InstanceError::Io { path: path.to_owned(), error };
        // One open file for the check and for the content: nobody can swap it in between.
        let mut file = File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        let owner = metadata.uid();
        let own = owner == 0 || owner == rustix::process::geteuid().as_raw();
        if !own || metadata.mode() & 0o022 != 0 {
            return Err(InstanceError::Writable(path.to_owned()));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(fail)?;
        let instance: Instance = toml::from_str(&text).map_err(|error| InstanceError::Content {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        for (what, value) in
            [("store", Some(&instance.store)), ("mountpoint", instance.mountpoint.as_ref())]
        {
            if value.is_some_and(|value| !value.is_absolute()) {
                return Err(InstanceError::NotAbsolute { path: path.to_owned(), what });
            }
        }
        Ok(instance)
    }

    /// Every readable instance with its name; those that are refused are passed over.
    pub fn all() -> Vec<(String, Instance)> {
        let Ok(entries) = std::fs::read_dir(DIRECTORY) else { return Vec::new() };
        let mut found: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let path = entry.path();
                let name = path.file_stem()?.to_str()?.to_owned();
                let is_toml = path.extension().is_some_and(|extension| extension == "toml");
                Some((name, Instance::read(&path).ok()?)).filter(|_| is_toml)
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn an_instance_says_store_mount_and_keys() {
        let text = "store = '/srv/shop'\nmountpoint = '/etc/shop'\n\
                    [keys]\nmaster = 'credential:shop'\nlegacy = ['file:/old']\n\
                    [mount]\nttl = 60\n";
        let (_dir, path) = written(text, 0o644);
        let instance = Instance::read(&path).unwrap();
        assert_eq!(instance.mountpoint.as_deref(), Some(Path::new("/etc/shop")));
        assert_eq!(instance.keys.legacy, ["file:/old"]);
        assert_eq!((instance.mount.ttl, instance.mount.threads), (60, 2));
    }

    #[test]
    fn tokens_of_other_systems_are_listed_one_by_one() {
        let text = "store = '/srv'\n[keys]\nmaster = 'env:K'\n\
                    [[keys.import]]\nscheme = 'liberty'\nkey = 'env:L'\n\
                    [[keys.import]]\nscheme = 'fernet'\nkey = 'file:/f'\n\
                    path = 'app.toml'\nfield = ['api.key', 'db.*.key']\n";
        let (_dir, path) = written(text, 0o600);
        let imports = Instance::read(&path).unwrap().keys.import;
        assert_eq!(imports.iter().map(|i| &*i.scheme).collect::<Vec<_>>(), ["liberty", "fernet"]);
        assert_eq!(imports[0].path.as_slice(), [] as [String; 0]);
        assert_eq!(imports[1].path.as_slice(), ["app.toml"]);
        assert_eq!(imports[1].field.as_slice(), ["api.key", "db.*.key"]);
        let (_dir, path) = written(&text.replace("scheme", "schema"), 0o600);
        assert!(Instance::read(&path).unwrap_err().to_string().contains("schema"));
    }

    #[test]
    fn one_that_others_may_write_is_refused() {
        let (_dir, path) = written("store = '/srv'\n[keys]\nmaster = 'env:K'\n", 0o664);
        assert!(matches!(Instance::read(&path), Err(InstanceError::Writable(_))));
    }

    #[test]
    fn a_misspelled_entry_is_named() {
        let (_dir, path) = written("store = '/srv'\n[keys]\nmastre = 'env:K'\n", 0o600);
        let message = Instance::read(&path).unwrap_err().to_string();
        assert!(message.contains("mastre"), "{message}");
    }

    #[test]
    fn relative_paths_are_refused() {
        let (_dir, path) = written("store = 'srv'\n[keys]\nmaster = 'env:K'\n", 0o600);
        assert!(matches!(Instance::read(&path), Err(InstanceError::NotAbsolute { .. })));
    }
}
