//! Fernet: github.com/fernet/spec, version 0x80.
//!
//! ```text
//! 0x80 | time(8, big-endian seconds) | iv(16) | AES-128-CBC, PKCS #7 | HMAC-SHA256(32)
//! ```
//!
//! The time is not looked at: a token in a configuration file does not grow too old to be read.

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::SecretBytes;

pub(in crate::token) type Cbc = cbc::Decryptor<Aes128>;

const VERSION: u8 = 0x80;
/// Version and time.
const HEAD: usize = 9;
const IV: usize = 16;
const BLOCK: usize = 16;
const MAC: usize = 32;

/// What the version and a time before the year 2106 begin with, in base64.
const BEGINNING: &[u8] = b"gAAAA";

/// Whether `text` is meant for a Fernet token; it may be cut off.
pub(super) fn looks_like(text: &[u8]) -> bool {
    text.starts_with(BEGINNING)
        && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='))
}

/// Whether `token` has the version, and a length that a token can have.
pub(super) fn is_well_formed(token: &[u8]) -> bool {
    token.first() == Some(&VERSION)
        && token.len() >= HEAD + IV + BLOCK + MAC
        && (token.len() - HEAD - IV - MAC).is_multiple_of(BLOCK)
}

/// `HMAC-SHA256(key[..16], token less its last 32 bytes)` must be those 32; then
/// `AES-128-CBC(key[16..], iv)`: the spec's section "Verifying". The MAC is compared first, in
/// constant time: padding is looked at only in what the key's owner made.
pub(super) fn open(key: &[u8; 32], token: &[u8]) -> Option<SecretBytes> {
    let (sign, encrypt) = key.split_at(16);
    let (signed, mac) = token.split_last_chunk::<MAC>().filter(|_| is_well_formed(token))?;
    Hmac::<Sha256>::new_from_slice(sign).ok()?.chain_update(signed).verify(mac.into()).ok()?;
    let (iv, ciphertext) = signed[HEAD..].split_at(IV);
    let cipher = Cbc::new_from_slices(encrypt, iv).ok()?;
    let mut plain = SecretBytes::from(ciphertext);
    let length = cipher.decrypt_padded::<Pkcs7>(plain.as_mut_slice()).ok()?.len();
    plain.resize(length);
    Some(plain)
}
