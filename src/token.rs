//! The sealed forms, and the only cipher call. docs/format.md has the grammar and a worked
//! example, byte by byte.
//!
//! ```text
//! token = "ENC:v1:" key-id ":" base64url( flags(1) | nonce(12) | ciphertext | tag(16) )
//! whole = "ENC:file:v1:" key-id ":" LF *( base64url of the same, in lines of 64 )
//! key   = HKDF-SHA256(master key, salt none, info "confseal v1 " purpose)      RFC 5869
//! AAD   = purpose(1) | version(1) | fingerprint(32) | flags(1) | len(4) file | field path
//! plain = kind(1) | codec(1) | context(1) | column(2) | source bytes | 0x80 | 0x00 …
//! ```

use crate::keyring::{KeyId, Keyring};
use crate::secret::SecretBytes;

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

/// Where a token stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// The file's path in the store; authenticated under [`Binding::File`].
    pub file: &'a [u8],
    /// `FieldPath::to_aad`; authenticated under [`Binding::Field`] and [`Binding::File`]; empty for whole files.
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
// Token { key_id, flags, nonce, sealed }, Token::parse(&str|&[u8]) strict one spelling, Display; Whole text: Token::parse_whole(&[u8]), Token::to_whole_text()
// Token::key_id(), Token::binding()
// pub const PREFIX: &str = "ENC:"; FIELD_PREFIX = "ENC:v1:"; FILE_PREFIX = "ENC:file:v1:"
// Sealer::{new(Keyring), keyring(), seal(&Place, &Inner, Binding, bucket) -> Token, open(&Place, &Token, demanded: Binding) -> Result<Opened, OpenError>}
// Opened: derefs to Inner; only Sealer::open can make it
