//! Keys: one master key that seals, any number of legacy keys that only open, found by key id and
//! never by trial.

mod source;

use std::fmt;
use std::sync::Arc;

pub use source::{KeySource, SourceError};

/// SHA-256 of a key's 32 bytes; shown as 64 hex digits. Public: it names a key, it opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// The first eight hex digits of a [`Fingerprint`]; stands in every token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 4]);

/// A master or legacy key with its names. The bytes are wiped when the last clone goes.
pub struct Key {
    // 32 bytes in their own allocation, wiped on drop, locked into memory where the system lets us
}

impl Key {
    /// A key of 32 random bytes from the kernel.
    pub fn generate() -> std::io::Result<Self> {
        todo!()
    }
    /// Reads one of the spellings: key file line (`confseal_key_v1_…`, checksum verified), 64 hex
    /// digits, base64 of 32 bytes; white space around is ignored.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        todo!()
    }
    /// The key file line, with the prefix that scanners find and its checksum.
    pub fn to_line(&self) -> crate::secret::SecretBytes {
        todo!()
    }
    /// The key's name in full.
    pub fn fingerprint(&self) -> Fingerprint {
        todo!()
    }
    /// The key's short name.
    pub fn id(&self) -> KeyId {
        todo!()
    }
    /// The key's bytes, for derivation in `token` alone.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        todo!()
    }
}

/// Why a text is no key, or keys do not go together. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {}

/// One master, any number of legacy keys; no two share an id. Cheap to clone.
#[derive(Clone)]
pub struct Keyring {}

impl Keyring {
    /// Refuses two different keys of one id; the same key given twice counts once (as master).
    pub fn new(master: Key, legacy: Vec<Key>) -> Result<Self, KeyError> {
        todo!()
    }
    /// The key that seals.
    pub fn master(&self) -> &Arc<Key> {
        todo!()
    }
    /// The legacy keys, in the order given.
    pub fn legacy(&self) -> &[Arc<Key>] {
        todo!()
    }
    /// The key of that id, master or legacy.
    pub fn get(&self, id: KeyId) -> Option<&Arc<Key>> {
        todo!()
    }
    /// The key of that fingerprint, master or legacy.
    pub fn by_fingerprint(&self, fingerprint: &Fingerprint) -> Option<&Arc<Key>> {
        todo!()
    }
}
