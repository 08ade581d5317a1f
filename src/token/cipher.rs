//! The primitives: one key derivation, one AEAD. Nothing else in the crate calls either.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Purpose;
use crate::keyring::Key;
use crate::secret::SecretBytes;

pub(super) type Kdf = Hkdf<Sha256>;
pub(super) type Aead = Aes256Gcm;

/// Bytes of a nonce.
pub(super) const NONCE: usize = 12;
/// Bytes of a tag.
pub(super) const TAG: usize = 16;

/// The cipher of one key and purpose. Boxed, so that moving it leaves no round keys behind; wiped
/// when dropped (`aes-gcm` with its `zeroize` feature).
pub(super) struct Cipher(Box<Aead>);

impl Cipher {
    /// `HKDF-SHA256(master key, salt none, info "confseal v1 " purpose)`, 32 bytes: RFC 5869.
    /// No salt, since the master key is uniformly random (section 3.1 there); the info keeps the
    /// purposes, and a later version, apart.
    pub(super) fn derive(key: &Key, purpose: Purpose) -> Self {
        let mut okm = Zeroizing::new([0; 32]);
        Kdf::new(None, key.bytes())
            .expand_multi_info(&[b"confseal v1 ", purpose.name().as_bytes()], &mut *okm)
            .expect("HKDF-SHA256 gives up to 8160 bytes");
        Self(Box::new(Aead::new((&*okm).into())))
    }

    /// `AES-256-GCM(key, nonce, aad, plain)` = ciphertext | tag: NIST SP 800-38D. The nonce must
    /// never come twice under one key; a random one may stand for 2^32 values (section 8.3 there).
    pub(super) fn seal(&self, nonce: &[u8; NONCE], aad: &[u8], mut plain: SecretBytes) -> Vec<u8> {
        let tag = self
            .0
            .encrypt_inout_detached(nonce.into(), aad, plain.as_mut_slice().into())
            .expect("a view is far below the 64 GiB that one nonce serves");
        [&plain[..], &tag[..]].concat()
    }

    /// The reverse of [`Cipher::seal`]; `None` when anything at all differs. The tag is compared in
    /// constant time, and nothing is decrypted unless it fits.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        sealed: &[u8],
    ) -> Option<SecretBytes> {
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG>()?;
        let mut plain = SecretBytes::from(ciphertext);
        self.0
            .decrypt_inout_detached(nonce.into(), aad, plain.as_mut_slice().into(), tag.into())
            .ok()?;
        Some(plain)
    }
}
