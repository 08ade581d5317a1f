//! The keys of foreign tokens, made from what the other system calls its key.
//!
//! Some take 32 bytes in one of their spellings, some the text itself as a password: 64 hex digits
//! are then 64 characters, not 32 bytes.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use super::{Scheme, fernet, gcm};
use crate::keyring::{Key, KeyError};
use crate::secret::SecretBytes;

/// Rounds of Liberty's PBKDF2 (`_ITERATIONS` in `liberty/crypto.py`).
const LIBERTY_ROUNDS: u32 = 2145;
/// The master key that Liberty 1 comes with (documented at the head of liberty-next's
/// `liberty/crypto.py`): whoever has that page can open what it sealed.
const LIBERTY_STOCK_KEY: &[u8] = b"3zTvzr3p67VC61jmV54rIYu1545x4TlY";

/// Rounds and salt of AIRIS's PBKDF2, the same in every installation.
const AIRIS_ROUNDS: u32 = 100_000;
const AIRIS_SALT: &[u8] = b"airis-mcp-gateway-salt";

/// How many derived keys are remembered: half a megabyte. A store with more salts than that pays
/// for deriving.
const MOST_DERIVED: usize = 4096;

/// A key of another system. Opens, and cannot seal. Wiped when dropped, never printed.
pub struct ForeignKey {
    scheme: Scheme,
    secret: Secret,
}

enum Secret {
    Fernet(Derived),
    Gcm(Key),
    Liberty(Liberty),
}

/// A derived key, written straight to its final place and wiped there.
type Derived = Arc<Zeroizing<[u8; 32]>>;

fn derive(write: impl FnOnce(&mut [u8; 32])) -> Derived {
    let mut key = Arc::new(Zeroizing::new([0; 32]));
    write(Arc::get_mut(&mut key).expect("nobody else has it yet"));
    key
}

/// Why a text is no key of a scheme. Never holds key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignKeyError {
    /// No spelling of 32 bytes.
    #[error("no key of `{0}`: {1}")]
    Spelling(Scheme, #[source] KeyError),
    /// Nothing in it.
    #[error("no key of `{0}`: it is empty")]
    Empty(Scheme),
    /// All characters alike, or a key that the other system comes with.
    #[error(
        "a key of `{0}` that everybody knows, so what it sealed is not secret: give that system \
         a key of its own and new secrets first"
    )]
    Public(Scheme),
}

impl ForeignKey {
    /// Reads the key as the other system would: for `liberty`, `airis` and `django-sysconfig` the
    /// text itself less one line end, for the others a spelling of 32 bytes.
    pub fn parse(scheme: Scheme, text: &[u8]) -> Result<Self, ForeignKeyError> {
        let bytes = || {
            Key::parse(text).map_err(|error| match error {
                KeyError::Public => ForeignKeyError::Public(scheme),
                other => ForeignKeyError::Spelling(scheme, other),
            })
        };
        let secret = match scheme {
            Scheme::Fernet | Scheme::Fiestaboard => {
                let key = bytes()?;
                Secret::Fernet(derive(|bytes| bytes.copy_from_slice(key.bytes())))
            }
            Scheme::AesGcm => Secret::Gcm(bytes()?),
            Scheme::DjangoSysconfig => Secret::Fernet(from_django(password(scheme, text)?)),
            Scheme::Airis => Secret::Fernet(from_airis(password(scheme, text)?)),
            Scheme::Liberty => Secret::Liberty(Liberty::new(password(scheme, text)?)),
        };
        Ok(Self { scheme, secret })
    }

    /// What the bytes of a token hold; `None` when anything at all differs.
    pub(super) fn open(&self, token: &[u8]) -> Option<SecretBytes> {
        match &self.secret {
            Secret::Fernet(key) => fernet::open(key, token),
            Secret::Gcm(key) => gcm::open(key.bytes(), token),
            Secret::Liberty(liberty) => gcm::open_liberty(|salt| liberty.derive(salt), token),
        }
    }
}

impl fmt::Debug for ForeignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignKey({})", self.scheme)
    }
}

/// A key that is a text, without the line end that its file has.
fn password(scheme: Scheme, text: &[u8]) -> Result<&[u8], ForeignKeyError> {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.first() {
        None => Err(ForeignKeyError::Empty(scheme)),
        Some(first) if line.iter().all(|byte| byte == first) => {
            Err(ForeignKeyError::Public(scheme))
        }
        _ if scheme == Scheme::Liberty && line == LIBERTY_STOCK_KEY => {
            Err(ForeignKeyError::Public(scheme))
        }
        _ => Ok(line),
    }
}

/// `SHA-256(SECRET_KEY)`: django-sysconfig. No salt and no rounds, as that system has it.
fn from_django(secret_key: &[u8]) -> Derived {
    derive(|key| Sha256::new_with_prefix(secret_key).finalize_into(key.into()))
}

/// `PBKDF2-HMAC-SHA256(ENCRYPTION_MASTER_KEY, salt, 100000 rounds, 32 bytes)`, RFC 8018: AIRIS
/// MCP gateway.
fn from_airis(master_key: &[u8]) -> Derived {
    derive(|key| pbkdf2::pbkdf2_hmac::<Sha256>(master_key, AIRIS_SALT, AIRIS_ROUNDS, key))
}

/// Liberty's master key, and what was derived from it: every token has a salt of its own, and each
/// would cost a millisecond each time its file is opened.
struct Liberty {
    master_key: SecretBytes,
    /// The keys of the salts last asked for, the latest at the end. Held for the look and for the
    /// entry, not while a key is derived.
    derived: Mutex<Vec<([u8; 64], Derived)>>,
}

impl Liberty {
    fn new(master_key: &[u8]) -> Self {
        Self { master_key: master_key.into(), derived: Mutex::default() }
    }

    /// [`from_liberty`] of the salt, remembered.
    fn derive(&self, salt: &[u8; 64]) -> Derived {
        let of_salt = |derived: &[([u8; 64], Derived)]| {
            derived.iter().rev().find(|(known, _)| known == salt).map(|(_, key)| key.clone())
        };
        if let Some(key) = of_salt(&self.derived.lock()) {
            return key;
        }
        let key = from_liberty(&self.master_key, salt);
        let mut derived = self.derived.lock();
        if derived.len() == MOST_DERIVED {
            derived.remove(0);
        }
        derived.push((*salt, key.clone()));
        key
    }
}

/// `PBKDF2-HMAC-SHA512(master key text, salt, 2145 rounds, 32 bytes)`, RFC 8018: `_key` of
/// liberty-next's `liberty/crypto.py`.
fn from_liberty(master_key: &[u8], salt: &[u8; 64]) -> Derived {
    derive(|key| pbkdf2::pbkdf2_hmac::<Sha512>(master_key, salt, LIBERTY_ROUNDS, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(scheme: Scheme, text: &[u8]) -> Result<ForeignKey, ForeignKeyError> {
        ForeignKey::parse(scheme, text)
    }

    #[test]
    fn keys_that_everybody_knows_are_refused() {
        for scheme in [Scheme::Liberty, Scheme::Airis, Scheme::DjangoSysconfig] {
            for known in [&b"xxxxxxxxxxxxxxxx"[..], b"0", b"00000000\n"] {
                assert_eq!(parse(scheme, known).unwrap_err(), ForeignKeyError::Public(scheme));
            }
            assert_eq!(parse(scheme, b"\r\n").unwrap_err(), ForeignKeyError::Empty(scheme));
        }
        for scheme in [Scheme::Fernet, Scheme::Fiestaboard, Scheme::AesGcm] {
            let known = [b'0'; 64];
            assert_eq!(parse(scheme, &known).unwrap_err(), ForeignKeyError::Public(scheme));
        }
        let stock = [LIBERTY_STOCK_KEY, b"\n"].concat();
        let refused = ForeignKeyError::Public(Scheme::Liberty);
        assert_eq!(parse(Scheme::Liberty, &stock).unwrap_err(), refused);
        assert!(parse(Scheme::Airis, &stock).is_ok(), "it is Liberty's");
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let key = parse(Scheme::Liberty, b"hunter2hunter2").unwrap();
        assert_eq!(format!("{key:?}"), "ForeignKey(liberty)");
        let error = parse(Scheme::Fernet, b"hunter2hunter2").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn derived_keys_are_remembered_up_to_a_bound() {
        let liberty = Liberty::new(b"a master key");
        let salt = |n: u16| {
            let mut salt = [0; 64];
            salt[..2].copy_from_slice(&n.to_be_bytes());
            salt
        };
        let first = liberty.derive(&salt(0));
        assert_eq!(first, liberty.derive(&salt(0)));
        assert_eq!(liberty.derived.lock().len(), 1);
        let others = (1..MOST_DERIVED as u16).map(|n| (salt(n), first.clone()));
        liberty.derived.lock().extend(others);
        liberty.derive(&salt(MOST_DERIVED as u16));
        let derived = liberty.derived.lock();
        assert_eq!(derived.len(), MOST_DERIVED);
        assert!(derived.iter().all(|(known, _)| *known != salt(0)), "the oldest went");
    }
}
