//! Tokens of other systems: opened where they stand, never written. `rewrap` turns them into ours.
//!
//! ```text
//! liberty           "ENC:" base64( salt(64) | iv(16) | tag(16) | ciphertext )
//! fiestaboard       "enc::v1::" fernet
//! fernet            fernet = base64url( 0x80 | time(8) | iv(16) | ciphertext | HMAC(32) )
//! django-sysconfig  fernet
//! airis             fernet
//! aes-256-gcm       [prefix] base64 or hex of ( nonce(12) | ciphertext | tag(16) )
//! ```
//!
//! What must stay true: nothing comes out that was not authenticated first; there is no way to
//! seal in here; a text that begins like a token of our own is never taken for a foreign one; no
//! error and no `Debug` holds a key, or what a token holds.

pub(in crate::token) mod fernet;
mod gcm;
mod key;
mod text;

#[cfg(test)]
mod vectors;

use std::fmt;
use std::str::FromStr;

pub use key::{ForeignKey, ForeignKeyError};

use super::PREFIX;
use crate::secret::SecretBytes;

/// Another system's way of sealing a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Scheme {
    /// Liberty (`fblettner/liberty-next`, `liberty/crypto.py`), both of its versions.
    Liberty,
    /// FiestaBoard: a Fernet token behind a prefix of its own.
    Fiestaboard,
    /// A bare Fernet token (github.com/fernet/spec), as Python's `cryptography` makes it.
    Fernet,
    /// django-sysconfig: Fernet under a key made from Django's `SECRET_KEY`.
    DjangoSysconfig,
    /// AIRIS MCP gateway: Fernet under a key made from `ENCRYPTION_MASTER_KEY`.
    Airis,
    /// AES-256-GCM with a 12-byte nonce in front and the tag behind, as most home-made ones are.
    AesGcm,
}

impl Scheme {
    /// Every scheme there is.
    pub const ALL: [Scheme; 6] = [
        Scheme::Liberty,
        Scheme::Fiestaboard,
        Scheme::Fernet,
        Scheme::DjangoSysconfig,
        Scheme::Airis,
        Scheme::AesGcm,
    ];

    /// The name in configuration and messages.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Liberty => "liberty",
            Scheme::Fiestaboard => "fiestaboard",
            Scheme::Fernet => "fernet",
            Scheme::DjangoSysconfig => "django-sysconfig",
            Scheme::Airis => "airis",
            Scheme::AesGcm => "aes-256-gcm",
        }
    }

    /// What its tokens begin with, if that is part of the scheme.
    pub fn own_prefix(self) -> Option<&'static str> {
        match self {
            Scheme::Liberty => Some(PREFIX),
            Scheme::Fiestaboard => Some(FIESTABOARD_PREFIX),
            Scheme::Fernet | Scheme::DjangoSysconfig | Scheme::Airis | Scheme::AesGcm => None,
        }
    }
}

/// What a FiestaBoard token begins with.
const FIESTABOARD_PREFIX: &str = "enc::v1::";

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("liberty, fiestaboard, fernet, django-sysconfig, airis or aes-256-gcm is expected")]
pub struct NoScheme;

impl FromStr for Scheme {
    type Err = NoScheme;

    fn from_str(text: &str) -> Result<Self, NoScheme> {
        Scheme::ALL.into_iter().find(|scheme| scheme.name() == text).ok_or(NoScheme)
    }
}

/// How the bytes of an `aes-256-gcm` token are written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Encoding {
    /// Base64, either alphabet, padded or not.
    #[default]
    Base64,
    /// Hex digits, either case.
    Hex,
}

/// A text that names no encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("base64 or hex is expected")]
pub struct NoEncoding;

impl FromStr for Encoding {
    type Err = NoEncoding;

    fn from_str(text: &str) -> Result<Self, NoEncoding> {
        match text {
            "base64" => Ok(Encoding::Base64),
            "hex" => Ok(Encoding::Hex),
            _ => Err(NoEncoding),
        }
    }
}

/// Why a prefix is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// The scheme has one of its own.
    #[error("the tokens of `{0}` begin with a prefix of their own: leave `prefix` out")]
    Own(Scheme),
    /// Nothing, or too little to tell a token from a word.
    #[error("a prefix has at least 3 characters")]
    TooShort,
    /// Our own tokens begin like that.
    #[error("confseal's own tokens begin like that")]
    Ours,
}

/// How the tokens of one import are told: by their scheme, their prefix, their encoding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    scheme: Scheme,
    prefix: Box<str>,
    encoding: Encoding,
}

/// Why a foreign token was not opened. Holds nothing of what stands inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    /// It begins like a token of the scheme and is none.
    #[error("malformed token of another system ({0})")]
    Malformed(Scheme),
    /// Authentication failed: changed, cut, or sealed under another key.
    #[error("token of another system ({0}) that its key does not open: another key, or tampered")]
    Rejected(Scheme),
    /// It is configured, and its key was not there when keys were read.
    #[error("token of another system ({0}) whose key is not there")]
    NoKey(Scheme),
}

impl Shape {
    /// The shape of a scheme's tokens; `prefix` where the scheme has none of its own.
    pub fn new(
        scheme: Scheme,
        prefix: Option<&str>,
        encoding: Encoding,
    ) -> Result<Self, PrefixError> {
        let prefix = match (scheme.own_prefix(), prefix) {
            (Some(_), Some(_)) => return Err(PrefixError::Own(scheme)),
            (Some(own), None) => own,
            (None, None) => "",
            (None, Some(given)) if given.len() < 3 => return Err(PrefixError::TooShort),
            (None, Some(given)) if given.starts_with("ENC:v") || given.starts_with("ENC:f") => {
                return Err(PrefixError::Ours);
            }
            (None, Some(given)) => given,
        };
        Ok(Self { scheme, prefix: prefix.into(), encoding })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What its tokens begin with; empty for none.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether `value` would be taken for a token: it has the prefix, or without one the looks. It
    /// need not be well formed: what is cut off is an error, and no plaintext.
    pub fn claims(&self, value: &[u8]) -> bool {
        let Some(body) = value.strip_prefix(self.prefix.as_bytes()) else { return false };
        match self.scheme {
            _ if is_ours(value) => false,
            // Of what begins with `ENC:` and is neither ours nor this, nobody knows what it is.
            Scheme::Liberty => self.bytes(body).is_some(),
            _ if !self.prefix.is_empty() => true,
            Scheme::Fernet | Scheme::DjangoSysconfig | Scheme::Airis => fernet::looks_like(body),
            Scheme::Fiestaboard | Scheme::AesGcm => self.bytes(body).is_some(),
        }
    }

    /// Whether `value` is a token by all that can be told without a key.
    pub fn is_well_formed(&self, value: &[u8]) -> bool {
        self.claims(value) && self.bytes(&value[self.prefix.len()..]).is_some()
    }

    /// What `value`, which this shape claims, holds under `key`.
    pub fn open(&self, key: &ForeignKey, value: &[u8]) -> Result<SecretBytes, ForeignError> {
        let body = value.strip_prefix(self.prefix.as_bytes());
        let bytes = body.and_then(|body| self.bytes(body));
        let bytes = bytes.ok_or(ForeignError::Malformed(self.scheme))?;
        key.open(&bytes).ok_or(ForeignError::Rejected(self.scheme))
    }

    /// The bytes that `body` spells, if they can be a token's.
    fn bytes(&self, body: &[u8]) -> Option<Vec<u8>> {
        match self.scheme {
            Scheme::Liberty => {
                text::base64(&text::without_blanks(body)).filter(|b| b.len() >= gcm::LIBERTY_LEAST)
            }
            Scheme::Fiestaboard | Scheme::Fernet | Scheme::DjangoSysconfig | Scheme::Airis => {
                text::base64url(body).filter(|bytes| fernet::is_well_formed(bytes))
            }
            Scheme::AesGcm => match self.encoding {
                Encoding::Base64 => text::base64(body).or_else(|| text::base64url(body)),
                Encoding::Hex => text::hex(body),
            }
            .filter(|bytes| bytes.len() >= gcm::LEAST),
        }
    }
}

/// Whether `value` begins like a token of ours, of whatever version.
fn is_ours(value: &[u8]) -> bool {
    let Some(rest) = value.strip_prefix(PREFIX.as_bytes()) else { return false };
    // No base64 has a colon.
    let word = rest.split(|b| *b == b':').next().unwrap_or_default();
    word.len() < rest.len()
        && (word == b"file"
            || word.strip_prefix(b"v").is_some_and(|n| n.iter().all(u8::is_ascii_digit)))
}

/// Whether `value` begins as tokens of a scheme with a prefix of its own do. Such a plaintext is
/// always sealed, whether or not the scheme is configured: were it to be one day, what an app
/// wrote would be opened for it.
pub fn has_foreign_prefix(value: &[u8]) -> bool {
    value.starts_with(FIESTABOARD_PREFIX.as_bytes())
}

/// The scheme whose token `value` is by its prefix and form, configured or not; for hints.
pub fn recognize(value: &[u8]) -> Option<Scheme> {
    let shape = |scheme| Shape::new(scheme, None, Encoding::default()).ok();
    [Scheme::Liberty, Scheme::Fiestaboard]
        .into_iter()
        .find(|scheme| shape(*scheme).is_some_and(|shape| shape.is_well_formed(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(scheme: Scheme, prefix: Option<&str>) -> Shape {
        Shape::new(scheme, prefix, Encoding::default()).unwrap()
    }

    #[test]
    fn schemes_are_found_by_the_names_they_print() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.to_string().parse(), Ok(scheme));
        }
        assert_eq!("Fernet".parse::<Scheme>(), Err(NoScheme));
    }

    #[test]
    fn our_own_tokens_are_claimed_by_no_scheme() {
        let enc = shape(Scheme::AesGcm, Some("ENC:"));
        for ours in ["ENC:v1:0011aabb:AAAA", "ENC:v2:", "ENC:file:v1:00112233:\n", "ENC:v17:x"] {
            assert!(!enc.claims(ours.as_bytes()), "{ours}");
            assert!(!shape(Scheme::Liberty, None).claims(ours.as_bytes()), "{ours}");
        }
        assert!(enc.claims(b"ENC:v1xyz"), "no version without its colon");
        for prefix in ["ENC:v", "ENC:v1:", "ENC:file:"] {
            let refused = Shape::new(Scheme::AesGcm, Some(prefix), Encoding::Hex);
            assert_eq!(refused, Err(PrefixError::Ours), "{prefix}");
        }
    }

    #[test]
    fn a_prefix_is_given_where_there_is_none_and_says_something() {
        for scheme in [Scheme::Liberty, Scheme::Fiestaboard] {
            let refused = Shape::new(scheme, Some("abc:"), Encoding::Base64);
            assert_eq!(refused, Err(PrefixError::Own(scheme)));
        }
        for prefix in ["", "e", "e:"] {
            let refused = Shape::new(Scheme::Fernet, Some(prefix), Encoding::Base64);
            assert_eq!(refused, Err(PrefixError::TooShort));
        }
    }

    #[test]
    fn what_is_cut_off_is_still_claimed_by_its_prefix() {
        for (shape, cut) in [
            (shape(Scheme::Fiestaboard, None), &b"enc::v1::gAAAAAAdwJ6w"[..]),
            (shape(Scheme::AesGcm, Some("{aes}")), b"{aes}AAAA"),
            (shape(Scheme::Fernet, None), b"gAAAAAAdwJ6w"),
        ] {
            assert!(shape.claims(cut) && !shape.is_well_formed(cut), "{shape:?}");
        }
        let bare = shape(Scheme::AesGcm, None);
        assert!(!bare.claims(b"AAAA"), "without a prefix the looks must do");
        assert!(bare.claims(&[b'A'; 40]));
    }
}
