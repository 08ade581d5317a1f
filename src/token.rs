//! The sealed forms, and the only cipher call. docs/format.md has the grammar and a worked
//! example, byte by byte.
//!
//! ```text
//! token = "ENC:v1:" key-id ":" base64url( flags(1) | nonce(12) | ciphertext | tag(16) )
//! whole = "ENC:file:v1:" key-id ":" LF *( base64url of the same, in lines of 64, each with LF )
//! key   = HKDF-SHA256(master key, salt none, info "confseal v1 " purpose)      RFC 5869
//! AAD   = purpose(1) | version(1) | fingerprint(32) | flags(1) | len(4) file | field path
//! plain = kind(1) | codec(1) | context(1) | column(2) | source bytes | 0x80 | 0x00 …
//! ```
//!
//! What must stay true: a token has one spelling; whatever stands in it is authenticated together
//! with its place before a byte of it is looked at; [`Opened`] comes out of [`Sealer::open`] alone;
//! and no code opens what it was given under any key, purpose or binding but the one it names.

mod cipher;
pub mod foreign;
mod inner;
mod sealer;
mod text;

#[cfg(test)]
mod frozen;
#[cfg(test)]
mod wycheproof;

use std::fmt;

pub use sealer::{Opened, Sealer};
pub use text::Token;

use crate::keyring::KeyId;
use crate::secret::SecretBytes;

/// What every sealed form begins with, in whatever version. A plaintext that begins with it is
/// always sealed.
pub const PREFIX: &str = "ENC:";

/// What a token begins with.
pub const FIELD_PREFIX: &str = "ENC:v1:";

/// What a file in whole-file form begins with.
pub const FILE_PREFIX: &str = "ENC:file:v1:";

/// What a sealed value is for; each purpose has a key of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Purpose {
    /// A scalar.
    Field = 1,
    /// A part of a scalar.
    Part = 2,
    /// A whole file.
    Whole = 3,
    /// A version kept aside.
    Kept = 4,
}

impl Purpose {
    /// Every purpose there is, in the order of their numbers.
    pub const ALL: [Purpose; 4] = [Purpose::Field, Purpose::Part, Purpose::Whole, Purpose::Kept];

    /// The word in the key derivation's info.
    fn name(self) -> &'static str {
        match self {
            Purpose::Field => "field",
            Purpose::Part => "part",
            Purpose::Whole => "whole",
            Purpose::Kept => "kept",
        }
    }
}

/// What a token is bound to besides purpose and key; stands in its flags. Ordered from weak to
/// strong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Binding {
    /// Nothing: it may be pasted anywhere.
    None = 0,
    /// The field path.
    Field = 1,
    /// The field path and the file's path in the store.
    File = 2,
}

impl Binding {
    /// The flags byte: two bits of binding; the others are reserved and have to be zero.
    fn from_flags(flags: u8) -> Option<Self> {
        [Binding::None, Binding::Field, Binding::File].into_iter().find(|b| *b as u8 == flags)
    }
}

/// Where a token stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// The file's path in the store; authenticated under [`Binding::File`].
    pub file: &'a [u8],
    /// `FieldPath::to_aad`; authenticated under [`Binding::Field`] and [`Binding::File`]; empty
    /// for whole files.
    pub path: &'a [u8],
}

/// What kind of bytes stand inside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The verbatim source bytes of a value.
    Source = 1,
    /// A decoded string, to be spelled for the place.
    Value = 2,
    /// A whole file.
    File = 3,
}

/// What is sealed: the header that says how to read the bytes, and the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inner {
    /// What kind of bytes these are.
    pub kind: Kind,
    /// The number of the codec they were read by; 0 for none.
    pub codec: u8,
    /// The codec's number of the syntactic surroundings.
    pub context: u8,
    /// The indent column.
    pub column: u16,
    /// The bytes.
    pub bytes: SecretBytes,
}

/// Why a token was not opened. Holds nothing of what stands inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text is no sealed form, or not in its one spelling.
    #[error("malformed token: {0}")]
    Malformed(&'static str),
    /// The keyring has no key of that id.
    #[error("no key {0} in the keyring")]
    NoKey(KeyId),
    /// It is bound to less than is demanded here, so it may have been moved here.
    #[error("token bound more weakly than demanded here")]
    WeakBinding,
    /// Authentication failed: changed, cut, sealed for another place or purpose, or by a different
    /// key of the same id. Which of these cannot be told.
    #[error("token does not belong here or was tampered with (key {0})")]
    Tampered(KeyId),
    /// Authentic, and not to be read by this version.
    #[error("authentic token, but {0}: sealed by a newer version?")]
    Unreadable(&'static str),
}

impl TokenError {
    /// The key that is missing or did not fit, where the error is about one.
    pub fn key_id(&self) -> Option<KeyId> {
        match self {
            TokenError::NoKey(id) | TokenError::Tampered(id) => Some(*id),
            TokenError::Malformed(_) | TokenError::WeakBinding | TokenError::Unreadable(_) => None,
        }
    }
}

/// Tokens are shown whole: they are made to be seen.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
