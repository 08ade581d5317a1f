//! AES-256-GCM as other systems lay it out; NIST SP 800-38D, no associated data.

use std::sync::Arc;

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::array::ArraySize;
use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, KeyInit};
use zeroize::Zeroizing;

use crate::secret::SecretBytes;

const TAG: usize = 16;
const NONCE: usize = 12;
const SALT: usize = 64;
const IV: usize = 16;

/// Bytes of a token that holds nothing.
pub(super) const LEAST: usize = NONCE + TAG;

/// The same for Liberty's.
pub(super) const LIBERTY_LEAST: usize = SALT + IV + TAG;

/// `nonce(12) | ciphertext | tag(16)`: what most libraries give. Section 7.2 of the standard.
pub(super) fn open(key: &[u8; 32], token: &[u8]) -> Option<SecretBytes> {
    let (nonce, rest) = token.split_first_chunk::<NONCE>()?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG>()?;
    decrypt::<U12>(key, nonce, ciphertext, tag)
}

/// `salt(64) | iv(16) | tag(16) | ciphertext`, under the key that `derive` gives for the salt:
/// `decrypt` of liberty-next's `liberty/crypto.py`. An iv of 16 bytes is hashed into the first
/// counter block (section 7.1, step 2), so the nonce size is part of the cipher's type.
pub(super) fn open_liberty(
    derive: impl FnOnce(&[u8; SALT]) -> Arc<Zeroizing<[u8; 32]>>,
    token: &[u8],
) -> Option<SecretBytes> {
    let (salt, rest) = token.split_first_chunk::<SALT>()?;
    let (iv, rest) = rest.split_first_chunk::<IV>()?;
    let (tag, ciphertext) = rest.split_first_chunk::<TAG>()?;
    decrypt::<U16>(&derive(salt), iv, ciphertext, tag)
}

/// The tag is compared in constant time, and nothing is decrypted unless it fits.
fn decrypt<N: ArraySize>(
    key: &[u8; 32],
    nonce: &[u8],
    ciphertext: &[u8],
    tag: &[u8; TAG],
) -> Option<SecretBytes> {
    let cipher = AesGcm::<Aes256, N>::new(key.into());
    let mut plain = SecretBytes::from(ciphertext);
    let nonce = nonce.try_into().ok()?;
    cipher.decrypt_inout_detached(nonce, &[], plain.as_mut_slice().into(), tag.into()).ok()?;
    Some(plain)
}
