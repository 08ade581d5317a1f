//! Why a verb failed, with its exit code and a hint: each chosen in one match.

use std::io;
use std::path::PathBuf;

use super::import::{EntryError, ImportKeyError};
use super::mount_point;
use crate::document::OpenError;
use crate::fuse::mount::MountError;
use crate::instance::InstanceError;
use crate::keyring::{Fingerprint, KeyError, SourceError};
use crate::path::RelPath;
use crate::pins::PinsError;
use crate::policy::{LedgerError, PolicyError};
use crate::store::LockError;

/// Why a verb failed. Says what failed on which path; the hint says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The arguments do not go together.
    #[error("{0}")]
    Usage(String),
    /// A key could not be had from its source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Keys do not go together.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store is sealed under another key.
    #[error(
        "{store}: sealed under the key {}, but the master key given is {}",
        .sealed.id(), .given.id()
    )]
    WrongKey {
        /// The store.
        store: PathBuf,
        /// The key it is sealed under.
        sealed: Fingerprint,
        /// The key that was given.
        given: Fingerprint,
        /// Whether this machine knows the store under the key that was given.
        is_pinned: bool,
    },
    /// This machine knows the store under another key.
    #[error(
        "{store}: known on this machine under the key {}, but the master key given is {}",
        .pinned.id(), .given.id()
    )]
    PinnedKey {
        /// The store.
        store: PathBuf,
        /// The key it was last sealed under from here.
        pinned: Fingerprint,
        /// The key that was given.
        given: Fingerprint,
        /// The file that says so.
        pins: PathBuf,
    },
    /// What this machine remembers of a store.
    #[error("what was accepted of this store cannot be relied on: {0}")]
    Pins(#[from] PinsError),
    /// An instance file.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// An entry that names tokens of another system.
    #[error("{entry}: {error}")]
    Import {
        /// Which entry.
        entry: String,
        /// What is wrong with it.
        error: EntryError,
    },
    /// The key of another system could not be had.
    #[error("{entry}: {error}")]
    ImportKey {
        /// Which entry.
        entry: String,
        /// Why.
        error: ImportKeyError,
    },
    /// The policy of a store.
    #[error("{path}: {error}\n  {}", .error.excerpt.to_string().replace('\n', "\n  "))]
    Policy {
        /// The policy file.
        path: PathBuf,
        /// What is wrong in it.
        error: PolicyError,
    },
    /// A policy stands where a first one was to be written.
    #[error("{path}: there is a policy already")]
    PolicyExists {
        /// The policy file.
        path: PathBuf,
    },
    /// The ledger of a store.
    #[error("{path}: {error}")]
    Ledger {
        /// The ledger file.
        path: PathBuf,
        /// What is wrong in it.
        error: LedgerError,
    },
    /// Input or output.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another confseal works on the store.
    #[error("{store}: {error}")]
    Locked {
        /// The store.
        store: PathBuf,
        /// Who holds it.
        error: LockError,
    },
    /// A mount was given where a store is needed.
    #[error("{path}: this is a mount, not a store")]
    Mounted {
        /// What was given.
        path: PathBuf,
    },
    /// A sealed file that cannot be opened.
    #[error("{file}: {error}")]
    Sealed {
        /// The file.
        file: RelPath,
        /// What is wrong with it.
        error: OpenError,
    },
    /// A single token that cannot be opened.
    #[error("{0}")]
    Value(String),
    /// Mounting.
    #[error("{0}")]
    Mount(#[from] MountError),
    /// Nothing may be mounted there.
    #[error(transparent)]
    MountPoint(#[from] mount_point::Refused),
    /// The store is in use by programs that would go on writing to it directly.
    #[error("{store}: programs hold it open for writing:\n{list}")]
    Held {
        /// The store.
        store: PathBuf,
        /// Who, one line each.
        list: String,
    },
    /// The mount of a service is gone, and nobody told the service to end.
    #[error("{mountpoint}: somebody else took the mount away")]
    TakenAway {
        /// Where it was.
        mountpoint: PathBuf,
    },
    /// The running mount refused a command.
    #[error("{0}")]
    Refused(String),
    /// There is no private place in memory for the editor.
    #[error("no private directory in memory can be made: {0}")]
    Room(io::Error),
    /// The editor saved nothing.
    #[error("{0}")]
    Editor(String),
}

impl Failure {
    /// An I/O error on `path`.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Failure::Io { path, error }
    }

    /// The exit code; docs/cli.md has the table. A number is never reused. 1 is the answer "no",
    /// 2 is given by the parser of the arguments.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Source(_) | Failure::Key(_) | Failure::ImportKey { .. } => 3,
            Failure::WrongKey { .. } | Failure::PinnedKey { .. } => 4,
            Failure::Instance(_) | Failure::Import { .. } => 5,
            Failure::Policy { .. } | Failure::PolicyExists { .. } | Failure::Ledger { .. } => 6,
            Failure::Io { .. } => 7,
            Failure::Locked { .. } | Failure::Mounted { .. } => 8,
            Failure::Sealed { .. } | Failure::Value(_) => 9,
            Failure::Mount(_) | Failure::MountPoint(_) => 10,
            Failure::Held { .. } => 11,
            Failure::Refused(_) => 12,
            Failure::Pins(_) => 13,
            Failure::Room(_) => 15,
            Failure::Editor(_) => 16,
            Failure::TakenAway { .. } => 18,
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        let text = match self {
            Failure::Source(_) => {
                "give the key with --key SOURCE (credential:NAME, file:PATH or env:NAME); \
                 `confseal key new FILE` makes one"
            }
            Failure::WrongKey { sealed, given, is_pinned: true, .. } => {
                return Some(format!(
                    "it is the key that this machine knows the store under, so the store was \
                     rotated elsewhere, or somebody changed its .confseal/fingerprint: if it was \
                     rotated, give the key {} as --key and {} as --legacy; if not, write {given} \
                     back into that file",
                    sealed.id(),
                    given.id()
                ));
            }
            Failure::WrongKey { sealed, given, is_pinned: false, .. } => {
                return Some(format!(
                    "give the key {0} as --key; or, to rotate to {1}, give {1} as --key and {0} as \
                     --legacy, then rewrap",
                    sealed.id(),
                    given.id()
                ));
            }
            Failure::PinnedKey { pinned, given, pins, .. } => {
                return Some(format!(
                    "to go over to {1}, give it as --key and {0} as --legacy once; if {0} is gone, \
                     because the store was rotated elsewhere, remove {2}: the next use accepts the \
                     key that is given then",
                    pinned.id(),
                    given.id(),
                    pins.display()
                ));
            }
            Failure::Pins(_) => {
                "the directory must be yours or root's, and nobody else's to write; \
                 CONFSEAL_STATE_DIRECTORY names another place for all of them"
            }
            Failure::Locked { .. } => {
                "while it is mounted, work through the mount: `confseal with-store`, or the file \
                 .confseal/control"
            }
            Failure::Mounted { .. } => {
                "what is saved through a mount is sealed at once; to work on its store, unmount it, \
                 or, for a verb that only looks, give the path of the store"
            }
            Failure::PolicyExists { .. } => {
                "edit that one; `confseal scan` shows what its rules find, and what they leave alone"
            }
            Failure::Mount(error) => return error.hint().map(str::to_owned),
            Failure::MountPoint(refused) => refused.hint(),
            Failure::TakenAway { .. } => {
                "a mount that a service holds is ended by stopping the service: `systemctl stop`"
            }
            Failure::Held { .. } => "stop them first, or mount with --force",
            Failure::Sealed { .. } => "`confseal verify` lists every such field of a store",
            Failure::Room(_) => {
                "an ordinary user needs user namespaces, which this host may forbid; edit the file \
                 through a mount, or as root"
            }
            Failure::Editor(_)
            | Failure::Usage(_)
            | Failure::Key(_)
            | Failure::Instance(_)
            | Failure::Import { .. }
            | Failure::ImportKey { .. }
            | Failure::Policy { .. }
            | Failure::Ledger { .. }
            | Failure::Io { .. }
            | Failure::Value(_)
            | Failure::Refused(_) => return None,
        };
        Some(text.to_owned())
    }
}
