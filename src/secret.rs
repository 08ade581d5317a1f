//! Bytes that must not outlive their use: wiped when dropped, wiped when moved by growth, never
//! printed.

use std::fmt;
use std::ops::Deref;

use zeroize::Zeroize;

/// A growable buffer of plaintext. Unlike a `Vec`, it wipes the old place when it has to move.
#[derive(Default, PartialEq, Eq, Hash)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// An empty buffer with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Appends `more`.
    pub fn extend(&mut self, more: &[u8]) {
        self.reserve(more.len());
        self.0.extend_from_slice(more);
    }

    /// Writes `bytes` at `offset`; a hole in front is filled with zeros, as in a file.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if end > self.0.len() {
            self.resize(end);
        }
        self.0[offset..end].copy_from_slice(bytes);
    }

    /// Cuts or zero-extends to `len` bytes; what is cut off is wiped.
    pub fn resize(&mut self, len: usize) {
        if len < self.0.len() {
            self.0[len..].zeroize();
            self.0.truncate(len);
        } else {
            self.reserve(len - self.0.len());
            self.0.resize(len, 0);
        }
    }

    /// The bytes, to be edited in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn reserve(&mut self, more: usize) {
        if self.0.capacity() - self.0.len() >= more {
            return;
        }
        let wanted = (self.0.len() + more).max(self.0.capacity() * 2);
        let mut moved = Vec::with_capacity(wanted);
        moved.extend_from_slice(&self.0);
        std::mem::swap(&mut self.0, &mut moved);
        moved.zeroize();
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Deref for SecretBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for SecretBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Clone for SecretBytes {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} secret bytes]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_beyond_the_end_leaves_a_hole_of_zeros() {
        let mut bytes = SecretBytes::from(&b"ab"[..]);
        bytes.write_at(4, b"cd");
        assert_eq!(&bytes[..], b"ab\0\0cd");
        bytes.resize(1);
        bytes.resize(2);
        assert_eq!(&bytes[..], b"a\0");
    }

    #[test]
    fn nothing_is_printed() {
        let bytes = SecretBytes::from(&b"hunter2"[..]);
        assert_eq!(format!("{bytes:?}"), "[7 secret bytes]");
    }
}
