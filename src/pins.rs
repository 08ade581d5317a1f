//! What this machine remembers of a store, out of reach of whoever writes the store: the policy
//! and the ledger that were accepted for it, and the master keys it was sealed under.
//!
//! What must stay true: the directory belongs to us or to root and nobody else may write it, or
//! it is refused; each pin is replaced whole and durably. What a pin means is the caller's business:
//! here it is text.

mod place;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};
use rustix::io::Errno;

pub use place::STATE_VARIABLE;

/// No pin is anywhere near; what is larger was not written here.
const LARGEST: u64 = 64 << 20;

/// The pins of one store on this machine.
#[derive(Debug)]
pub struct Pins {
    path: PathBuf,
    dir: OwnedFd,
}

/// What is pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// The accepted policy, verbatim; empty when the store had none.
    Policy,
    /// The accepted ledger, and what confseal has entered since.
    Ledger,
    /// The fingerprints of the store's master keys, a line each, the current one last.
    Fingerprints,
    /// Lengths and times of views, so that a walk need not open every file. Says nothing that the
    /// files do not; may be removed at any time.
    Views,
    /// The store's path, for whoever looks into the directory.
    Store,
}

impl Pin {
    fn name(self) -> &'static str {
        match self {
            Pin::Policy => "policy.toml",
            Pin::Ledger => "sealed",
            Pin::Fingerprints => "fingerprints",
            Pin::Views => "views",
            Pin::Store => "store",
        }
    }
}

/// Why pins cannot be had, or not be made.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// Nothing says where this user keeps state.
    #[error("there is no home directory to keep state in")]
    Nowhere,
    /// A directory could not be made.
    #[error("{path}: cannot be made: {error}")]
    Unmade {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is there, and somebody else could have written it.
    #[error("{path}: {what}")]
    Untrusted {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It is there and cannot be read, or cannot be written.
    #[error("{path}: {error}")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl PinsError {
    /// Whether there are no pins and none can be made here, as on a read-only or homeless system:
    /// nothing is known, and nothing is contradicted.
    pub fn is_absence(&self) -> bool {
        matches!(self, PinsError::Nowhere | PinsError::Unmade { .. })
    }
}

type Result<T, E = PinsError> = std::result::Result<T, E>;

impl Pins {
    /// The pins of the store called `name`; `None` when it has none here.
    pub fn find(name: &str) -> Result<Option<Self>> {
        match place::directory(name) {
            Some(path) => Self::open(path),
            None => Ok(None),
        }
    }

    /// The same; the directory is made if it is missing.
    pub fn find_or_create(name: &str) -> Result<Self> {
        Self::open_or_create(place::directory(name).ok_or(PinsError::Nowhere)?)
    }

    /// Where they lie.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where one of them lies.
    pub fn path_of(&self, pin: Pin) -> PathBuf {
        self.path.join(pin.name())
    }

    /// What is pinned; `None` if nothing is yet.
    pub fn read(&self, pin: Pin) -> Result<Option<String>> {
        let text = self.read_bytes(pin)?.map(String::from_utf8).transpose();
        text.map_err(|_| PinsError::Untrusted { path: self.path_of(pin), what: "it is no text" })
    }

    /// The same for one that is no text.
    pub fn read_bytes(&self, pin: Pin) -> Result<Option<Vec<u8>>> {
        let path = self.path_of(pin);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.dir, pin.name(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(PinsError::Io { path, error: error.into() }),
        };
        trusted(&file, &path)?;
        let mut bytes = Vec::new();
        match file.take(LARGEST).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) => Err(PinsError::Io { path, error }),
        }
    }

    /// Pins `text` in place of what was pinned; on disk when this returns.
    pub fn write(&self, pin: Pin, text: &str) -> Result<()> {
        self.write_bytes(pin, text.as_bytes())
    }

    /// The same for one that is no text.
    pub fn write_bytes(&self, pin: Pin, bytes: &[u8]) -> Result<()> {
        self.replace(pin.name(), bytes)
            .map_err(|error| PinsError::Io { path: self.path_of(pin), error })
    }

    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        // One name for all: what a crash left goes when the next comes.
        let draft = format!("{name}.new");
        match rustix::fs::unlinkat(&self.dir, &*draft, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(&self.dir, &*draft, flags | OFlags::CLOEXEC, mode)?;
        let mut file = File::from(file);
        file.write_all(content)?;
        file.sync_all()?;
        rustix::fs::renameat(&self.dir, &*draft, &self.dir, name)?;
        Ok(rustix::fs::fsync(&self.dir)?)
    }

    fn open(path: PathBuf) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // A unit with `DynamicUser=` has a link here, which is root's like the directory around it.
        let dir = match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
            Ok(dir) => dir,
            // `/dev/null` and the like is the home of many a daemon.
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(PinsError::Io { path, error: error.into() }),
        };
        trusted(&dir, &path)?;
        if let Some(around) = path.parent() {
            not_swapped(around)?;
        }
        Ok(Some(Self { path, dir }))
    }

    fn open_or_create(path: PathBuf) -> Result<Self> {
        if let Some(pins) = Self::open(path.clone())? {
            return Ok(pins);
        }
        make(&path).map_err(|error| PinsError::Unmade { path: path.clone(), error })?;
        let gone = || PinsError::Unmade { path: path.clone(), error: Errno::NOENT.into() };
        Self::open(path.clone())?.ok_or_else(gone)
    }
}

/// Makes a directory of ours, and those that are missing above it, durably.
fn make(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        make(parent)?;
    }
    match rustix::fs::mkdir(path, Mode::RWXU) {
        // Another of us was as quick.
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let Some(parent) = path.parent() else { return Ok(()) };
    File::open(parent)?.sync_all()
}

/// Refuses what somebody else may have written.
fn trusted(file: impl AsFd, path: &Path) -> Result<()> {
    let stat: Stat = rustix::fs::fstat(file)
        .map_err(|error| PinsError::Io { path: path.into(), error: error.into() })?;
    let own = stat.st_uid == 0 || stat.st_uid == rustix::process::geteuid().as_raw();
    let untrusted = |what| Err(PinsError::Untrusted { path: path.into(), what });
    match (own, stat.st_mode & 0o022) {
        (false, _) => untrusted("it belongs to another user"),
        (true, 0) => Ok(()),
        (true, _) => untrusted("others may write it"),
    }
}

/// Refuses a directory in which others may put something else in the place of ours.
fn not_swapped(around: &Path) -> Result<()> {
    let fail = |error: Errno| PinsError::Io { path: around.into(), error: error.into() };
    let stat = rustix::fs::statat(CWD, around, AtFlags::empty()).map_err(fail)?;
    const STICKY: u32 = 0o1000;
    match stat.st_mode & 0o022 != 0 && stat.st_mode & STICKY == 0 {
        true => Err(PinsError::Untrusted { path: around.into(), what: "others may write it" }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn fresh() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/confseal/shop");
        (dir, path)
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_pin_is_replaced_whole_and_read_back_as_it_was() {
        let (_dir, path) = fresh();
        assert!(Pins::open(path.clone()).unwrap().is_none());
        let pins = Pins::open_or_create(path.clone()).unwrap();
        assert_eq!(pins.read(Pin::Policy).unwrap(), None);
        for text in ["version = 1\n# ä\n", ""] {
            pins.write(Pin::Policy, text).unwrap();
            fs::write(path.join("policy.toml.new"), "left by a crash").unwrap();
            let again = Pins::open(path.clone()).unwrap().unwrap();
            assert_eq!(again.read(Pin::Policy).unwrap().as_deref(), Some(text));
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let file = fs::metadata(path.join("policy.toml")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_others_may_write_is_refused() {
        let (_dir, path) = fresh();
        let pins = Pins::open_or_create(path.clone()).unwrap();
        pins.write(Pin::Ledger, "").unwrap();
        let refused = |result: Result<()>| {
            let error = result.unwrap_err();
            assert!(matches!(&error, PinsError::Untrusted { .. }), "{error}");
            assert!(!error.is_absence());
        };
        mode(&path.join("sealed"), 0o620);
        refused(pins.read(Pin::Ledger).map(drop));
        for (directory, wide) in [(path.as_path(), 0o777), (path.parent().unwrap(), 0o770)] {
            mode(directory, wide);
            refused(Pins::open(path.clone()).map(drop));
            mode(directory, 0o700);
        }
        assert!(Pins::open(path).unwrap().is_some());
    }

    #[test]
    fn a_link_in_the_place_of_a_pin_is_not_followed() {
        let (dir, path) = fresh();
        let pins = Pins::open_or_create(path.clone()).unwrap();
        fs::write(dir.path().join("other"), "version = 1\n").unwrap();
        std::os::unix::fs::symlink(dir.path().join("other"), path.join("policy.toml")).unwrap();
        assert!(matches!(pins.read(Pin::Policy), Err(PinsError::Io { .. })));
        pins.write(Pin::Policy, "new").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("other")).unwrap(), "version = 1\n");
        assert_eq!(pins.read(Pin::Policy).unwrap().as_deref(), Some("new"));
    }

    #[test]
    fn where_no_directory_can_be_made_there_are_no_pins() {
        let (dir, _) = fresh();
        fs::write(dir.path().join("file"), "").unwrap();
        let below_a_file = dir.path().join("file/confseal/shop");
        let made = make(&below_a_file).unwrap_err();
        let error = PinsError::Unmade { path: below_a_file, error: made };
        assert!(error.is_absence());
        assert!(PinsError::Nowhere.is_absence());
    }
}
