//! The trail: who read or changed secrets otherwise than through files, when, and how it ended.
//!
//! A record is a line of JSON in the file `audit` of the store's state directory, and an event in
//! the log. Must stay true: a record names files, fields and people, never a value; when
//! [`Trail::write`] returns, the record is on the disk; lines are only ever added, and the file is
//! moved aside, not cut, when it is full.

mod clock;
mod who;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

pub use clock::{TimeError, moment, parse_since};
pub use who::Who;

/// The module's name, by which its events are told apart from other log lines.
pub const MODULE: &str = module_path!();

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Had the plaintext of a file or field printed.
    View,
    /// Opened the plaintext of a file in an editor.
    Edit,
    /// Gave a field another value.
    Set,
    /// Laid a field open.
    MakePublic,
    /// Had a single token opened.
    DecryptValue,
    /// Accepted a changed policy.
    PolicyAccept,
    /// Had everything sealed under the master key.
    Rewrap,
    /// Had keys and policy read anew.
    Reload,
    /// Took a directory into service.
    Adopt,
    /// Moved the store of an adopted directory beside it.
    AdoptFinish,
    /// Gave a directory back in plaintext.
    Eject,
}

impl Action {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Action::View => "view",
            Action::Edit => "edit",
            Action::Set => "set",
            Action::MakePublic => "make-public",
            Action::DecryptValue => "decrypt-value",
            Action::PolicyAccept => "policy-accept",
            Action::Rewrap => "rewrap",
            Action::Reload => "reload",
            Action::Adopt => "adopt",
            Action::AdoptFinish => "adopt-finish",
            Action::Eject => "eject",
        }
    }
}

/// How it stands with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is about to be done; another record says how it ended. Where none follows, a crash or a
    /// kill came between.
    Begun,
    /// Plaintext was shown to the user.
    Shown,
    /// It is done.
    Done,
    /// It changed nothing.
    Unchanged,
    /// It was refused or failed; the reason says why.
    Failed,
}

impl Outcome {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Begun => "begun",
            Outcome::Shown => "shown",
            Outcome::Done => "done",
            Outcome::Unchanged => "unchanged",
            Outcome::Failed => "failed",
        }
    }
}

/// What is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// What was done.
    pub action: Action,
    /// To which file, by its path in the store; empty for the store as a whole.
    pub file: &'a str,
    /// To which field; empty for the file as a whole.
    pub field: &'a str,
    /// How it stands with it.
    pub outcome: Outcome,
    /// Why it failed, in words without any value; or what more there is to say.
    pub reason: &'a str,
}

/// One record, as it stands in the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in UTC: `2026-01-02T03:04:05.678Z`. Such times sort as texts.
    pub time: String,
    /// What was done.
    pub action: Action,
    /// To which file; empty for the store as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// To which field; empty for the file as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// How it stands with it.
    pub outcome: Outcome,
    /// Why it failed, or what more there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// By whom.
    #[serde(flatten)]
    pub who: Who,
}

/// How large a trail may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At how many bytes the file is moved aside.
    pub size: u64,
    /// How many files that were moved aside are kept.
    pub files: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: 8 << 20, files: 4 }
    }
}

/// Why a record could not be written, or the trail not be read.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// The system refuses.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody else could have written it.
    #[error("{path}: it belongs to another user, or others may write it")]
    Untrusted {
        /// The file.
        path: PathBuf,
    },
}

/// The trail of one store on this machine.
#[derive(Debug)]
pub struct Trail {
    dir: PathBuf,
    limits: Limits,
}

impl Trail {
    /// The trail in the state directory `dir`, which nobody else may write. Touches nothing yet.
    pub fn at(dir: impl Into<PathBuf>, limits: Limits) -> Self {
        Self { dir: dir.into(), limits }
    }

    /// Whether the file `name` of a state directory is a part of its trail.
    pub fn has(name: &str) -> bool {
        name.strip_prefix("audit").is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix('.').is_some_and(|n| n.parse::<u32>().is_ok())
        })
    }

    /// The file that records are added to.
    pub fn path(&self) -> PathBuf {
        self.dir.join("audit")
    }

    /// Adds a record and tells it to the log. On disk when this returns.
    pub fn write(&self, who: &Who, deed: &Deed<'_>) -> Result<(), TrailError> {
        let record = Record {
            time: moment(SystemTime::now()),
            action: deed.action,
            file: deed.file.to_owned(),
            field: deed.field.to_owned(),
            outcome: deed.outcome,
            reason: deed.reason.to_owned(),
            who: who.clone(),
        };
        let path = self.path();
        let written = serde_json::to_vec(&record).map_err(io::Error::other).and_then(|mut line| {
            line.push(b'\n');
            self.append(&line)
        });
        written.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
                TrailError::Untrusted { path }
            }
            _ => TrailError::Io { path, error },
        })?;
        record.tell();
        Ok(())
    }

    /// Calls `visit` for every record, oldest first; `broken` for every line that is none, with its
    /// file and number.
    pub fn read(
        &self,
        visit: &mut dyn FnMut(Record),
        broken: &mut dyn FnMut(&Path, usize),
    ) -> Result<(), TrailError> {
        let older = (1..=self.limits.files).rev().map(|n| self.aside(n));
        for path in older.chain([self.path()]) {
            let fail = |error| TrailError::Io { path: path.clone(), error };
            let text = match std::fs::read(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(fail(error)),
            };
            let lines = text.split(|byte| *byte == b'\n').enumerate();
            for (n, line) in lines.filter(|(_, line)| !line.is_empty()) {
                match serde_json::from_slice(line) {
                    Ok(record) => visit(record),
                    Err(_) => broken(&path, n + 1),
                }
            }
        }
        Ok(())
    }

    fn aside(&self, n: u32) -> PathBuf {
        self.dir.join(format!("audit.{n}"))
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut file = self.open()?;
        // What a crash cut off is a line of its own, not the beginning of ours.
        let len = file.metadata()?.len();
        if len > 0 {
            let mut last = [0];
            file.seek(SeekFrom::Start(len - 1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        file.write_all(line)?;
        file.sync_data()?;
        if len + line.len() as u64 > self.limits.size {
            self.rotate()?;
        }
        Ok(())
    }

    /// The file, locked against others of us until it is closed.
    fn open(&self) -> io::Result<File> {
        let path = self.path();
        loop {
            let file = File::options()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(&path)?;
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            let metadata = file.metadata()?;
            let own = metadata.uid() == rustix::process::geteuid().as_raw();
            if !own || metadata.mode() & 0o022 != 0 || !metadata.is_file() {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            // Another of us may have moved it aside while we waited.
            match std::fs::symlink_metadata(&path) {
                Ok(now) if (now.dev(), now.ino()) == (metadata.dev(), metadata.ino()) => {
                    if metadata.len() == 0 {
                        File::open(&self.dir)?.sync_all()?;
                    }
                    return Ok(file);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves the file aside, and those before it one further. Called with the lock held.
    fn rotate(&self) -> io::Result<()> {
        for n in (1..self.limits.files).rev() {
            match std::fs::rename(self.aside(n), self.aside(n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(self.path(), self.aside(1))?;
        File::open(&self.dir)?.sync_all()
    }
}

impl Record {
    /// Says it in the log.
    fn tell(&self) {
        let Record { action, file, field, outcome, reason, who, .. } = self;
        let (action, outcome) = (action.name(), outcome.name());
        let subject = [file.as_str(), field.as_str()].into_iter().filter(|text| !text.is_empty());
        let subject: String = subject.map(|text| format!(" {text}")).collect();
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        log::info!(
            event = "audit", action = action, outcome = outcome, file = file.as_str(),
            field = field.as_str(), uid = who.uid, pid = who.pid, comm = who.comm.as_str(),
            login_uid = who.login_uid.map(|uid| uid.to_string()).unwrap_or_default().as_str();
            "{action}{subject} {outcome}, by {who}{why}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(file: &str) -> Deed<'_> {
        Deed { action: Action::View, file, field: "a.b", outcome: Outcome::Shown, reason: "" }
    }

    fn all(trail: &Trail) -> (Vec<Record>, Vec<usize>) {
        let (mut records, mut broken) = (Vec::new(), Vec::new());
        trail.read(&mut |record| records.push(record), &mut |_, n| broken.push(n)).unwrap();
        (records, broken)
    }

    #[test]
    fn the_files_of_a_trail_are_told_from_what_else_is_remembered() {
        for name in ["audit", "audit.1", "audit.12"] {
            assert!(Trail::has(name), "{name}");
        }
        for name in ["audit.", "audit.x", "audit.1.new", "audits", "sealed", "policy.toml", ""] {
            assert!(!Trail::has(name), "{name}");
        }
    }

    #[test]
    fn a_record_is_a_line_that_only_its_owner_may_read() {
        let dir = tempfile::tempdir().unwrap();
        let trail = Trail::at(dir.path(), Limits::default());
        trail.write(&Who::me(), &deed("app.toml")).unwrap();
        trail
            .write(&Who::me(), &Deed { outcome: Outcome::Failed, reason: "no key", ..deed("") })
            .unwrap();
        let (records, broken) = all(&trail);
        assert_eq!((records.len(), broken.len()), (2, 0));
        assert_eq!((&*records[0].file, records[0].outcome), ("app.toml", Outcome::Shown));
        assert_eq!((&*records[1].reason, records[1].who.pid), ("no key", std::process::id()));
        assert_eq!(trail.path().metadata().unwrap().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(trail.path()).unwrap();
        assert!(
            text.contains("\"action\":\"view\",\"file\":\"app.toml\",\"field\":\"a.b\""),
            "{text}"
        );
    }

    #[test]
    fn a_full_file_is_moved_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let trail = Trail::at(dir.path(), Limits { size: 1, files: 2 });
        for n in 0..5 {
            trail.write(&Who::me(), &deed(&n.to_string())).unwrap();
        }
        let files: Vec<String> = all(&trail).0.into_iter().map(|record| record.file).collect();
        assert_eq!(files, ["3", "4"]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn several_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits { size: 2000, files: 100 };
        std::thread::scope(|threads| {
            for n in 0..4 {
                let dir = dir.path();
                threads.spawn(move || {
                    for m in 0..25 {
                        let trail = Trail::at(dir, limits);
                        trail.write(&Who::me(), &deed(&format!("{n}.{m}"))).unwrap();
                    }
                });
            }
        });
        let (records, broken) = all(&Trail::at(dir.path(), limits));
        assert_eq!((records.len(), broken), (100, vec![]));
    }

    #[test]
    fn a_line_that_a_crash_cut_off_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let trail = Trail::at(dir.path(), Limits::default());
        trail.write(&Who::me(), &deed("a")).unwrap();
        let whole = std::fs::read(trail.path()).unwrap();
        std::fs::write(trail.path(), &whole[..whole.len() / 2]).unwrap();
        trail.write(&Who::me(), &deed("b")).unwrap();
        let (records, broken) = all(&trail);
        assert_eq!((records.len(), broken), (1, vec![1]));
        assert_eq!(records[0].file, "b");
    }

    #[test]
    fn a_trail_that_others_may_write_or_that_is_a_link_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let trail = Trail::at(dir.path(), Limits::default());
        std::fs::write(trail.path(), "").unwrap();
        std::fs::set_permissions(trail.path(), PermissionsExt::from_mode(0o666)).unwrap();
        let refused = trail.write(&Who::me(), &deed("a"));
        assert!(matches!(refused, Err(TrailError::Untrusted { .. })), "{refused:?}");
        std::fs::remove_file(trail.path()).unwrap();
        std::os::unix::fs::symlink("elsewhere", trail.path()).unwrap();
        let refused = trail.write(&Who::me(), &deed("a"));
        assert!(matches!(refused, Err(TrailError::Io { .. })), "{refused:?}");
        assert!(!dir.path().join("elsewhere").exists());
    }
}
