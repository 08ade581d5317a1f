//! What can go wrong in the filesystem, and the one place where errnos are chosen.

use std::io;

use libc::c_int;

use crate::document::{Cause, ForeignError, OpenError, TokenError};
use crate::path::RelPath;
use crate::store::CommitError;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store's own answer, passed on.
    #[error("{0}")]
    Store(#[from] io::Error),
    /// A stored file that cannot be opened.
    #[error("{file}: {error}")]
    Document {
        /// The file.
        file: RelPath,
        /// What is wrong with it.
        error: OpenError,
    },
    /// The node is gone or was replaced behind the mount; the kernel looks the path up again.
    #[error("the file was replaced")]
    Stale,
    /// There is no such name.
    #[error("no such file or directory")]
    NotFound,
    /// The name is taken.
    #[error("the name is taken")]
    Exists,
    /// A directory is needed.
    #[error("not a directory")]
    NotADirectory,
    /// A file is needed.
    #[error("is a directory")]
    IsADirectory,
    /// The name belongs to confseal.
    #[error("the name is reserved for confseal")]
    Reserved,
    /// A version-control directory, which would see the wrong side of the store.
    #[error("version control works in the store, not in the mount: use `confseal with-store`")]
    VersionControl,
    /// The new name would change how the content is sealed; a copy can.
    #[error("the content would have to be sealed differently under the new name")]
    WouldReseal,
    /// The file would be larger than `max_view`.
    #[error("larger than a sealed file may be")]
    TooLarge,
    /// The arguments make no sense together.
    #[error("invalid argument")]
    Invalid,
    /// Not offered here.
    #[error("not supported")]
    Unsupported,
    /// The control room is read-only but for `control`.
    #[error("read-only")]
    ReadOnly,
    /// There is no such extended attribute.
    #[error("no such attribute")]
    NoAttribute,
    /// A command that `control` refuses; the sentence to read is its answer.
    #[error("{0}")]
    Command(String),
    /// [`super::Pace::Quick`] was asked for and is not possible.
    #[error("not at once")]
    WouldBlock,
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        Error::Store(error.into())
    }
}

impl Error {
    /// The errno that the program gets.
    pub fn errno(&self) -> c_int {
        match self {
            Error::Store(error) => error.raw_os_error().unwrap_or(libc::EIO),
            Error::Document { error, .. } => document(&error.cause),
            Error::Stale => libc::ESTALE,
            Error::NotFound => libc::ENOENT,
            Error::Exists => libc::EEXIST,
            Error::NotADirectory => libc::ENOTDIR,
            Error::IsADirectory => libc::EISDIR,
            Error::Reserved => libc::EPERM,
            Error::VersionControl => libc::EACCES,
            // What `mv` and `cp -l` take as the word to copy instead.
            Error::WouldReseal => libc::EXDEV,
            Error::TooLarge => libc::EFBIG,
            Error::Invalid | Error::Command(_) => libc::EINVAL,
            Error::Unsupported => libc::EOPNOTSUPP,
            Error::NoAttribute => libc::ENODATA,
            Error::ReadOnly => libc::EACCES,
            Error::WouldBlock => libc::EAGAIN,
        }
    }
}

/// DESIGN section 9: the key is missing, refused, or the content is not what was sealed.
pub(super) fn document(cause: &Cause) -> c_int {
    match cause {
        Cause::Token(error) => match error {
            TokenError::NoKey(_) => libc::ENOKEY,
            TokenError::WeakBinding => libc::EKEYREJECTED,
            TokenError::Tampered(_) | TokenError::Malformed(_) | TokenError::Unreadable(_) => {
                libc::EBADMSG
            }
        },
        Cause::Foreign(error) => match error {
            ForeignError::NoKey(_) => libc::ENOKEY,
            ForeignError::Rejected(_) => libc::EKEYREJECTED,
            ForeignError::Malformed(_) => libc::EBADMSG,
        },
        Cause::Unimported(_)
        | Cause::Unreadable(_)
        | Cause::NoFormat
        | Cause::Misplaced
        | Cause::Layout => libc::EBADMSG,
    }
}
