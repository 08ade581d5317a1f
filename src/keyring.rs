//! Keys: one master key that seals, any number of legacy keys that only open, found by key id and
//! never by trial.

mod key;
mod source;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use key::Key;
pub use source::{KeySource, SourceError, first_present, wipe_environment};

/// SHA-256 of a key's 32 bytes; shown as 64 hex digits. Public: it names a key, it opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

/// The first eight hex digits of a [`Fingerprint`]; stands in every token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 4]);

/// A text that is no fingerprint or key id: the wrong length, or other than lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{digits} lower-case hex digits are expected")]
pub struct NotHex {
    /// How many there should be.
    pub digits: usize,
}

impl Fingerprint {
    /// The short name that stands in tokens.
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, ..] = self.0;
        KeyId([a, b, c, d])
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Lower-case only: a name has one spelling.
fn parse_hex<const N: usize>(text: &[u8]) -> Result<[u8; N], NotHex> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(NotHex { digits: 2 * N }),
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return Err(NotHex { digits: 2 * N });
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        parse_hex(text.as_bytes()).map(Self)
    }
}

impl KeyId {
    /// Reads eight lower-case hex digits.
    pub fn parse(text: &[u8]) -> Result<Self, NotHex> {
        parse_hex(text).map(Self)
    }

    /// Its eight lower-case hex digits.
    pub fn to_text(self) -> String {
        hex(&self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        Self::parse(text.as_bytes())
    }
}

/// Why a text is no key, or keys do not go together. Never holds key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing but white space and comments.
    #[error("no key in it: it is empty")]
    Empty,
    /// More than one line that is no comment.
    #[error("more than one line: exactly one key is expected")]
    SeveralLines,
    /// A key file line of a version that this program does not know.
    #[error("a key file line of an unknown version: this program reads confseal_key_v1_…")]
    Version,
    /// A key file line that is cut off or has other characters than it may.
    #[error(
        "a damaged key file line: confseal_key_v1_, 43 characters, _ and 8 hex digits expected"
    )]
    Line,
    /// A key file line whose checksum does not fit.
    #[error("the key file line's checksum does not fit: a character is wrong or missing")]
    Checksum,
    /// No spelling of 32 bytes.
    #[error(
        "neither a key file line (confseal_key_v1_…), nor 64 hex digits, nor base64 of 32 bytes"
    )]
    Spelling,
    /// All bytes alike: a placeholder that everybody knows.
    #[error("not a secret: all its bytes are alike; make a key with `confseal key new`")]
    Public,
    /// Two different keys whose ids are the same, so that a token would not tell which it needs.
    #[error("two different keys have the id {0}: one of them has to be replaced")]
    SameId(KeyId),
}

/// One master, any number of legacy keys; no two share an id. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keyring {
    master: Arc<Key>,
    legacy: Arc<[Arc<Key>]>,
}

impl Keyring {
    /// Refuses two different keys of one id; the same key given twice counts once (as master).
    pub fn new(master: Key, legacy: Vec<Key>) -> Result<Self, KeyError> {
        Self::of(Arc::new(master), legacy.into_iter().map(Arc::new).collect())
    }

    /// The same out of keys that are in use already.
    pub fn of(master: Arc<Key>, legacy: Vec<Arc<Key>>) -> Result<Self, KeyError> {
        let mut keys = vec![master];
        for key in legacy {
            match keys.iter().find(|other| other.id() == key.id()) {
                None => keys.push(key),
                Some(same) if same.fingerprint() == key.fingerprint() => {}
                Some(_) => return Err(KeyError::SameId(key.id())),
            }
        }
        let master = keys.remove(0);
        Ok(Self { master, legacy: keys.into() })
    }

    /// The key that seals.
    pub fn master(&self) -> &Arc<Key> {
        &self.master
    }

    /// The legacy keys, in the order given.
    pub fn legacy(&self) -> &[Arc<Key>] {
        &self.legacy
    }

    /// The master, then the legacy keys.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        std::iter::once(&self.master).chain(self.legacy.iter())
    }

    /// The key of that id, master or legacy.
    pub fn get(&self, id: KeyId) -> Option<&Arc<Key>> {
        self.keys().find(|key| key.id() == id)
    }

    /// The key of that fingerprint, master or legacy.
    pub fn by_fingerprint(&self, fingerprint: &Fingerprint) -> Option<&Arc<Key>> {
        self.keys().find(|key| key.fingerprint() == *fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8) -> Key {
        Key::parse(format!("{:062x}{last:02x}", 1).as_bytes()).unwrap()
    }

    #[test]
    fn names_have_one_spelling() {
        let fingerprint = key(1).fingerprint();
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!(fingerprint.to_string()[..8], fingerprint.id().to_string());
        assert_eq!(fingerprint.id().to_string().parse(), Ok(fingerprint.id()));
        for wrong in ["", "0", "0123456", "012345678", "0123456G", "0123456A", "+1234567"] {
            assert_eq!(wrong.parse::<KeyId>(), Err(NotHex { digits: 8 }), "{wrong}");
        }
    }

    #[test]
    fn keys_are_found_by_either_name() {
        let ring = Keyring::new(key(1), vec![key(2), key(3)]).unwrap();
        for last in 1..=3 {
            let key = key(last);
            assert_eq!(ring.get(key.id()).unwrap().bytes(), key.bytes());
            assert_eq!(ring.by_fingerprint(&key.fingerprint()).unwrap().bytes(), key.bytes());
        }
        assert!(ring.get(key(4).id()).is_none());
        assert!(ring.by_fingerprint(&key(4).fingerprint()).is_none());
    }

    #[test]
    fn the_same_key_twice_counts_once_as_master() {
        let ring = Keyring::new(key(1), vec![key(2), key(1), key(2)]).unwrap();
        assert_eq!(ring.master().id(), key(1).id());
        assert_eq!(ring.legacy().iter().map(|key| key.id()).collect::<Vec<_>>(), [key(2).id()]);
    }

    #[test]
    fn two_keys_of_one_id_are_refused() {
        // Found by trying: 32-byte big-endian numbers whose SHA-256 agree in the first 4 bytes.
        let [one, other] =
            [50323u64, 54260].map(|n| Key::parse(format!("{n:064x}").as_bytes()).unwrap());
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_eq!(one.id(), other.id());
        let id = one.id();
        assert_eq!(Keyring::new(one, vec![other]).unwrap_err(), KeyError::SameId(id));
    }
}
