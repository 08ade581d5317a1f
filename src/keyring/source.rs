//! Where keys come from: systemd credentials, files, environment variables.
//!
//! Errors name the source and never what it gave. A text that is no source is not repeated
//! either: it may be a key, given where its source belongs.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Key, KeyError};
use crate::secret::SecretBytes;
use crate::sys::environ::{self, NotAlone};

/// A key file holds one line and a few comments.
const MAX_FILE: u64 = 4096;

/// Access by group or others, of whatever kind.
const OTHERS: u32 = 0o077;

/// One `--key` or `--legacy` argument, or an entry of an instance's `[keys]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// `credential:NAME`, below `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `file:PATH`; refused when group or others may read it, or it is no regular file.
    File(PathBuf),
    /// `env:NAME`.
    Env(String),
}

/// Names the source and what is wrong; never holds what the source gave.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A text without one of the known prefixes.
    #[error(
        "not a key source: credential:NAME, file:PATH or env:NAME is expected \
         (a key itself is never given as an argument)"
    )]
    Unknown,
    /// A prefix that is reserved for a later version.
    #[error("key sources of the kind `{0}` are not supported in this version")]
    Unsupported(&'static str),
    /// The prefix is known, what follows is no name or path of its kind.
    #[error("not a key source: `{0}` is followed by {1}")]
    Name(&'static str, &'static str),
    /// There is nothing of that name: no credential, no file, no variable.
    #[error("{0}: {1}")]
    Absent(KeySource, &'static str),
    /// It is there, and the system refuses.
    #[error("{0}: {1}")]
    Io(KeySource, #[source] io::Error),
    /// A directory, a pipe, a device.
    #[error("{0}: not a regular file")]
    NotAFile(KeySource),
    /// A key file that group or others may read or write.
    #[error("{from}: others may read it (mode {mode:04o}): run `chmod 600 {}`", path.display())]
    Exposed {
        /// The source.
        from: KeySource,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Larger than any key file.
    #[error("{0}: larger than {MAX_FILE} bytes, so no key file")]
    TooLarge(KeySource),
    /// It was read, and is no key.
    #[error("{0}: {1}")]
    Key(KeySource, #[source] KeyError),
    /// None of several sources is there; why, for each.
    #[error("no key found: {}", list(.0))]
    NonePresent(Vec<SourceError>),
}

impl SourceError {
    /// Whether there is no key there for this user, rather than a wrong one.
    pub fn is_absence(&self) -> bool {
        match self {
            Self::Absent(..) => true,
            Self::Io(_, error) => error.kind() == io::ErrorKind::PermissionDenied,
            Self::Unknown
            | Self::Unsupported(_)
            | Self::Name(..)
            | Self::NotAFile(_)
            | Self::Exposed { .. }
            | Self::TooLarge(_)
            | Self::Key(..)
            | Self::NonePresent(_) => false,
        }
    }
}

fn list(errors: &[SourceError]) -> String {
    errors.iter().map(SourceError::to_string).collect::<Vec<_>>().join("; ")
}

impl FromStr for KeySource {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (kind, rest) = text.split_once(':').ok_or(SourceError::Unknown)?;
        match kind {
            "credential" if !is_file_name(rest) => {
                Err(SourceError::Name("credential:", "no plain file name"))
            }
            "credential" => Ok(Self::Credential(rest.to_owned())),
            "file" if rest.is_empty() || rest.contains('\0') => {
                Err(SourceError::Name("file:", "no path"))
            }
            "file" => Ok(Self::File(rest.into())),
            "env" if rest.is_empty() || rest.contains(['=', '\0']) => {
                Err(SourceError::Name("env:", "no name of an environment variable"))
            }
            "env" => Ok(Self::Env(rest.to_owned())),
            "keyring" => Err(SourceError::Unsupported("keyring:")),
            "command" => Err(SourceError::Unsupported("command:")),
            _ => Err(SourceError::Unknown),
        }
    }
}

fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}

impl KeySource {
    /// Where a master key is looked for when nothing else is said, in this order.
    pub fn defaults() -> [KeySource; 3] {
        [
            Self::Credential("confseal.master".into()),
            Self::File("/etc/confseal/master.key".into()),
            Self::Env("CONFSEAL_MASTER_KEY".into()),
        ]
    }

    /// Reads the key.
    pub fn read(&self) -> Result<Key, SourceError> {
        Key::parse(&self.read_text()?).map_err(|error| SourceError::Key(self.clone(), error))
    }

    /// Reads what the source gives, to the byte: the keys of other systems may be any text.
    pub fn read_text(&self) -> Result<SecretBytes, SourceError> {
        match self {
            Self::Credential(name) => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY");
                self.read_credential(directory.as_deref(), name)
            }
            Self::File(path) => self.read_file(path, Self::refuse_exposed),
            Self::Env(name) => {
                let value = std::env::var_os(name).map(OsString::into_vec);
                value.map(SecretBytes::from).ok_or_else(|| self.absent("the variable is not set"))
            }
        }
    }

    fn absent(&self, why: &'static str) -> SourceError {
        SourceError::Absent(self.clone(), why)
    }

    /// systemd puts credentials where only the service can reach them, with modes of its own
    /// choice (0440 with an ACL, say): the mode tells nothing there.
    fn read_credential(
        &self,
        directory: Option<&OsStr>,
        name: &str,
    ) -> Result<SecretBytes, SourceError> {
        let directory = directory.ok_or_else(|| {
            self.absent("$CREDENTIALS_DIRECTORY is not set (LoadCredential= in the unit sets it)")
        })?;
        if !is_file_name(name) {
            return Err(SourceError::Name("credential:", "no plain file name"));
        }
        self.read_file(&Path::new(directory).join(name), |_, _, _| Ok(()))
    }

    /// Symlinks are followed, as operators use them; every check is made on the file that was
    /// opened, so that nothing can be exchanged in between.
    fn read_file(
        &self,
        path: &Path,
        check_mode: fn(&Self, &Path, u32) -> Result<(), SourceError>,
    ) -> Result<SecretBytes, SourceError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => self.absent("there is no such file"),
            _ => SourceError::Io(self.clone(), error),
        };
        // Without O_NONBLOCK the open of a pipe would wait for a writer.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(SourceError::NotAFile(self.clone()));
        }
        check_mode(self, path, found.mode())?;
        let mut text = SecretBytes::from(vec![0; MAX_FILE as usize + 1]);
        let mut length = 0;
        loop {
            match (&file).read(&mut text.as_mut_slice()[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        if length as u64 > MAX_FILE {
            return Err(SourceError::TooLarge(self.clone()));
        }
        text.resize(length);
        Ok(text)
    }

    fn refuse_exposed(&self, path: &Path, mode: u32) -> Result<(), SourceError> {
        match mode & OTHERS {
            0 => Ok(()),
            _ => Err(SourceError::Exposed {
                from: self.clone(),
                path: path.to_owned(),
                mode: mode & 0o7777,
            }),
        }
    }
}

/// What `read` gets from the first of `sources` that is there. One that is not there, or that this
/// user may not reach (root's key file, say), is passed over; one that is there and wrong is an
/// error, since going on to the next would quietly use another key.
pub fn first_present<T>(
    sources: &[KeySource],
    mut read: impl FnMut(&KeySource) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let mut missing = Vec::new();
    for from in sources {
        match read(from) {
            Err(error) if error.is_absence() => missing.push(error),
            other => return other,
        }
    }
    Err(SourceError::NonePresent(missing))
}

/// Overwrites and removes the environment variables that `sources` name. To be called once the keys
/// are read and before any thread is started; refused with several threads.
pub fn wipe_environment(sources: &[KeySource]) -> Result<(), NotAlone> {
    let mut names = sources
        .iter()
        .filter_map(|source| match source {
            KeySource::Env(name) => Some(OsStr::new(name)),
            KeySource::Credential(_) | KeySource::File(_) => None,
        })
        .peekable();
    match names.peek() {
        None => Ok(()),
        Some(_) => environ::wipe(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const HEX: &str = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf";

    /// A key file of mode `mode` in a fresh directory.
    fn key_file(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        std::fs::write(&path, format!("# a comment\n{HEX}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn sources_read_as_they_are_written() {
        for text in ["credential:confseal.master", "file:/etc/a:b", "file:x", "env:MY_KEY"] {
            assert_eq!(text.parse::<KeySource>().unwrap().to_string(), text);
        }
        for source in KeySource::defaults() {
            assert_eq!(source.to_string().parse::<KeySource>().unwrap(), source);
        }
    }

    #[test]
    fn what_is_no_source_is_refused_and_not_repeated() {
        for text in [HEX, "vault:hunter2", "", "hunter2", "File:/x"] {
            let error = text.parse::<KeySource>().unwrap_err().to_string();
            assert!(error.contains("credential:NAME, file:PATH or env:NAME"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        for text in ["credential:", "credential:a/b", "credential:..", "file:", "env:", "env:A=b"] {
            let error = text.parse::<KeySource>().unwrap_err();
            assert!(matches!(error, SourceError::Name(..)), "{text}: {error}");
        }
        for text in ["keyring:confseal", "command:pass show x"] {
            let error = text.parse::<KeySource>().unwrap_err().to_string();
            assert!(error.contains("not supported in this version"), "{error}");
        }
    }

    #[test]
    fn a_private_key_file_is_read_also_through_a_symlink() {
        let (directory, path) = key_file(0o600);
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        for path in [path, link] {
            assert_eq!(KeySource::File(path).read().unwrap().bytes()[0], 0xc0);
        }
    }

    #[test]
    fn a_key_file_that_others_may_reach_is_refused_with_the_remedy() {
        for mode in [0o640, 0o604, 0o620, 0o601] {
            let (_directory, path) = key_file(mode);
            let error = KeySource::File(path.clone()).read().unwrap_err().to_string();
            assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
            assert!(error.contains(&format!("{mode:04o}")), "{error}");
        }
    }

    #[test]
    fn only_a_small_regular_file_is_a_key_file() {
        let (directory, path) = key_file(0o600);
        let read = |path: &Path| KeySource::File(path.to_owned()).read().unwrap_err();
        assert!(matches!(read(directory.path()), SourceError::NotAFile(_)));
        assert!(matches!(read(Path::new("/dev/zero")), SourceError::NotAFile(_)));
        let pipe = directory.path().join("pipe");
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(matches!(read(&pipe), SourceError::NotAFile(_)));
        std::fs::write(&path, vec![b'#'; MAX_FILE as usize]).unwrap();
        assert!(matches!(read(&path), SourceError::Key(_, KeyError::Empty)));
        std::fs::write(&path, vec![b'#'; MAX_FILE as usize + 1]).unwrap();
        assert!(matches!(read(&path), SourceError::TooLarge(_)));
        assert!(matches!(read(&directory.path().join("none")), SourceError::Absent(..)));
    }

    #[test]
    fn a_credential_needs_its_directory_and_no_mode() {
        let (directory, _path) = key_file(0o440);
        let source = KeySource::Credential("master.key".into());
        let read = |directory| source.read_credential(directory, "master.key");
        let text = read(Some(directory.path().as_os_str())).unwrap();
        assert_eq!(Key::parse(&text).unwrap().bytes()[0], 0xc0);
        let error = read(None).unwrap_err().to_string();
        assert!(error.contains("$CREDENTIALS_DIRECTORY"), "{error}");
        let outside = KeySource::Credential("../master.key".into());
        let error = outside.read_credential(Some(directory.path().as_os_str()), "../master.key");
        assert!(matches!(error, Err(SourceError::Name(..))));
    }

    #[test]
    fn an_error_holds_nothing_of_what_the_source_gave() {
        let (_directory, path) = key_file(0o600);
        std::fs::write(&path, "hunter2hunter2").unwrap();
        let error = KeySource::File(path).read().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn the_first_source_that_is_there_is_taken() {
        let (directory, path) = key_file(0o600);
        let absent = KeySource::File(directory.path().join("none"));
        let unset = KeySource::Env("CONFSEAL_TEST_NEVER_SET".into());
        let there = KeySource::File(path.clone());
        let read = |from: &KeySource| Ok((from.clone(), from.read()?));
        let (from, key) =
            first_present(&[absent.clone(), unset.clone(), there.clone()], read).unwrap();
        assert_eq!((from, key.bytes()[0]), (there.clone(), 0xc0));

        let error = first_present(&[absent.clone(), unset.clone()], read).unwrap_err().to_string();
        assert!(error.contains(&absent.to_string()) && error.contains("SET"), "{error}");

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let error = first_present(&[there, unset], read).unwrap_err();
        assert!(matches!(error, SourceError::Exposed { .. }), "{error}");
    }

    #[test]
    fn nothing_to_wipe_is_done_with_any_number_of_threads() {
        assert_eq!(wipe_environment(&[KeySource::File("x".into())]), Ok(()));
        let sources = [KeySource::Env("CONFSEAL_TEST_NEVER_SET".into())];
        let refused = std::thread::spawn(move || wipe_environment(&sources)).join().unwrap();
        assert_eq!(refused, Err(NotAlone));
    }
}
