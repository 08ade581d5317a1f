//! Sealing under the master key, opening under any key of the ring.

use std::ops::Deref;
use std::sync::Arc;

use super::cipher::{Cipher, NONCE};
use super::{Binding, Inner, Place, Purpose, Token, TokenError};
use crate::keyring::{Fingerprint, Key, KeyId, Keyring};
use crate::secret::SecretBytes;

/// Stands in the authenticated data.
const VERSION: u8 = 1;

/// How often a nonce is drawn for a text that is acceptable where it is to stand.
const DRAWS: usize = 64;

/// A keyring with its ciphers, one per key and purpose. Cheap to clone; holds no lock.
#[derive(Clone)]
pub struct Sealer {
    keyring: Keyring,
    /// In the keyring's order: the master's first.
    keys: Arc<[DerivedKey]>,
}

struct DerivedKey {
    fingerprint: Fingerprint,
    /// In the order of [`Purpose::ALL`].
    ciphers: [Cipher; 4],
}

impl DerivedKey {
    fn cipher(&self, purpose: Purpose) -> &Cipher {
        &self.ciphers[purpose as usize - 1]
    }
}

/// Authentic plaintext: only [`Sealer::open`] makes it.
#[derive(Debug)]
pub struct Opened(Inner);

impl Opened {
    /// The plaintext alone; that it was authentic is from here on for the caller to know.
    pub fn into_inner(self) -> Inner {
        self.0
    }
}

impl Deref for Opened {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Sealer {
    /// Derives the keys of every purpose for every key of `keyring`.
    pub fn new(keyring: Keyring) -> Self {
        let derive = |key: &Arc<Key>| DerivedKey {
            fingerprint: key.fingerprint(),
            ciphers: Purpose::ALL.map(|purpose| Cipher::derive(key, purpose)),
        };
        let keys = keyring.keys().map(derive).collect();
        Self { keyring, keys }
    }

    /// The keys.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Whether `token` says it is sealed under the master key; if not, `rewrap` has work to do.
    pub fn is_current(&self, token: &Token) -> bool {
        token.key_id() == self.keyring.master().id()
    }

    /// Seals `inner` for `place` under the master key, padded to a multiple of `bucket` bytes (16
    /// or a multiple of it; another number is taken up to one).
    ///
    /// # Panics
    /// When the kernel gives no random bytes: there is no way to seal without.
    pub fn seal(&self, place: &Place<'_>, inner: &Inner, binding: Binding, bucket: usize) -> Token {
        self.seal_with_nonce(place, inner, binding, bucket, random_nonce())
    }

    /// As [`Sealer::seal`], with the nonce drawn again, at most 64 times in all, until `accept`
    /// takes the printed token; `None` when it never does.
    ///
    /// # Panics
    /// As [`Sealer::seal`].
    pub fn seal_avoiding(
        &self,
        place: &Place<'_>,
        inner: &Inner,
        binding: Binding,
        bucket: usize,
        accept: impl Fn(&str) -> bool,
    ) -> Option<Token> {
        (0..DRAWS)
            .map(|_| self.seal(place, inner, binding, bucket))
            .find(|token| accept(&token.to_text()))
    }

    /// Sealing with everything given: what the frozen vectors pin down. A nonce must never be used
    /// twice, so nobody outside `token` can choose one.
    pub(super) fn seal_with_nonce(
        &self,
        place: &Place<'_>,
        inner: &Inner,
        binding: Binding,
        bucket: usize,
        nonce: [u8; NONCE],
    ) -> Token {
        self.seal_padded(place, inner.to_padded(bucket), binding, nonce)
    }

    pub(super) fn seal_padded(
        &self,
        place: &Place<'_>,
        plain: SecretBytes,
        binding: Binding,
        nonce: [u8; NONCE],
    ) -> Token {
        let master = &self.keys[0];
        let aad = aad(place, &master.fingerprint, binding);
        let sealed = master.cipher(place.purpose).seal(&nonce, &aad, plain);
        Token { key_id: master.fingerprint.id(), binding, nonce, sealed }
    }

    /// Opens `token` if it was sealed for `place` under a key of the ring and is bound at least as
    /// strongly as `demanded`. The key is chosen by its id, never by trial.
    pub fn open(
        &self,
        place: &Place<'_>,
        token: &Token,
        demanded: Binding,
    ) -> Result<Opened, TokenError> {
        let key = self.key(token.key_id).ok_or(TokenError::NoKey(token.key_id))?;
        if token.binding < demanded {
            return Err(TokenError::WeakBinding);
        }
        let aad = aad(place, &key.fingerprint, token.binding);
        let plain = key
            .cipher(place.purpose)
            .open(&token.nonce, &aad, &token.sealed)
            .ok_or(TokenError::Tampered(token.key_id))?;
        Ok(Opened(Inner::from_padded(&plain)?))
    }

    fn key(&self, id: KeyId) -> Option<&DerivedKey> {
        self.keys.iter().find(|key| key.fingerprint.id() == id)
    }
}

/// `purpose(1) | version(1) | fingerprint(32) | flags(1) | len(4) file | path`
///
/// The flags say whether file and path are there, the file says how long it is, the path has the
/// rest: no two places share it unless the binding leaves out what tells them apart. The id in the
/// token is short; the full fingerprint makes sure of the key.
fn aad(place: &Place<'_>, fingerprint: &Fingerprint, binding: Binding) -> Vec<u8> {
    let (file, path): (&[u8], &[u8]) = match binding {
        Binding::None => (&[], &[]),
        Binding::Field => (&[], place.path),
        Binding::File => (place.file, place.path),
    };
    let length = u32::try_from(file.len()).expect("PATH_MAX is far below 4 GiB").to_be_bytes();
    let head = [place.purpose as u8, VERSION];
    [&head[..], &fingerprint.0, &[binding as u8], &length, file, path].concat()
}

fn random_nonce() -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).expect("the kernel gives random bytes");
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Kind;
    use proptest::prelude::*;

    fn key(last: u8) -> Key {
        Key::parse(format!("{:062x}{last:02x}", 1).as_bytes()).unwrap()
    }

    fn sealer(master: u8, legacy: &[u8]) -> Sealer {
        let legacy = legacy.iter().map(|last| key(*last)).collect();
        Sealer::new(Keyring::new(key(master), legacy).unwrap())
    }

    fn inner(bytes: &[u8]) -> Inner {
        Inner { kind: Kind::Source, codec: 1, context: 0, column: 0, bytes: bytes.into() }
    }

    fn field<'a>(file: &'a [u8], path: &'a [u8]) -> Place<'a> {
        Place { purpose: Purpose::Field, file, path }
    }

    #[test]
    fn a_token_opens_where_it_was_sealed_and_nowhere_else() {
        let sealer = sealer(1, &[]);
        let path: &[u8] = b"\x01\0\0\0\x01a\x01\0\0\0\x01b";
        let other: &[u8] = b"\x01\0\0\0\x03a.b";
        let here = field(b"x.toml", path);
        let opens = |token: &Token, place: &Place<'_>| {
            sealer.open(place, token, Binding::None).map(|opened| opened.bytes.to_vec())
        };
        for (binding, other_path, other_file) in [
            (Binding::None, true, true),
            (Binding::Field, false, true),
            (Binding::File, false, false),
        ] {
            let token = sealer.seal(&here, &inner(b"v"), binding, 16);
            let tampered = Err(TokenError::Tampered(token.key_id()));
            assert_eq!(opens(&token, &here), Ok(b"v".to_vec()));
            assert_eq!(opens(&token, &field(b"x.toml", other)).is_ok(), other_path);
            assert_eq!(opens(&token, &field(b"y.toml", path)).is_ok(), other_file);
            for purpose in [Purpose::Part, Purpose::Whole, Purpose::Kept] {
                assert_eq!(opens(&token, &Place { purpose, ..here }), tampered);
            }
        }
    }

    #[test]
    fn the_binding_cannot_be_rewritten() {
        let sealer = sealer(1, &[]);
        let here = field(b"x", b"");
        let bindings = [Binding::None, Binding::Field, Binding::File];
        for (sealed, claimed) in bindings.into_iter().flat_map(|s| bindings.map(|c| (s, c))) {
            let mut token = sealer.seal(&here, &inner(b"v"), sealed, 16);
            token.binding = claimed;
            let opened = sealer.open(&here, &token, Binding::None);
            assert_eq!(opened.is_ok(), sealed == claimed, "{sealed:?} as {claimed:?}");
        }
    }

    #[test]
    fn a_token_bound_more_weakly_than_demanded_is_refused() {
        let sealer = sealer(1, &[]);
        let here = field(b"x", b"");
        let bindings = [Binding::None, Binding::Field, Binding::File];
        for (sealed, demanded) in bindings.into_iter().flat_map(|s| bindings.map(|d| (s, d))) {
            let token = sealer.seal(&here, &inner(b"v"), sealed, 16);
            match sealer.open(&here, &token, demanded) {
                Ok(_) => assert!(sealed >= demanded),
                Err(error) => {
                    assert_eq!(error, TokenError::WeakBinding);
                    assert!(sealed < demanded);
                }
            }
        }
    }

    #[test]
    fn legacy_keys_open_and_the_master_seals() {
        let here = field(b"", b"");
        let old = sealer(1, &[]);
        let token = old.seal(&here, &inner(b"v"), Binding::Field, 16);
        let new = sealer(2, &[1]);
        assert!(!new.is_current(&token) && old.is_current(&token));
        let opened = new.open(&here, &token, Binding::Field).unwrap();
        let again = new.seal(&here, &opened, token.binding(), 16);
        assert!(new.is_current(&again));
        assert_eq!(new.open(&here, &again, Binding::Field).unwrap().bytes, opened.bytes);
        let without = sealer(2, &[3]).open(&here, &token, Binding::Field);
        assert_eq!(without.unwrap_err(), TokenError::NoKey(key(1).id()));
    }

    #[test]
    fn another_key_of_the_same_id_is_told_apart() {
        // As in the keyring's tests: two numbers whose fingerprints agree in the first 4 bytes.
        let [one, other] = [50323u64, 54260]
            .map(|n| Key::parse(format!("{n:064x}").as_bytes()).unwrap())
            .map(|key| Sealer::new(Keyring::new(key, vec![]).unwrap()));
        let token = one.seal(&field(b"", b""), &inner(b"v"), Binding::Field, 16);
        let opened = other.open(&field(b"", b""), &token, Binding::Field);
        assert_eq!(opened.unwrap_err(), TokenError::Tampered(token.key_id()));
    }

    #[test]
    fn equal_values_are_sealed_differently() {
        let sealer = sealer(1, &[]);
        let seal = || sealer.seal(&field(b"", b""), &inner(b"v"), Binding::Field, 16);
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_nonce_is_drawn_again_until_the_text_fits_or_given_up() {
        let sealer = sealer(1, &[]);
        let long = inner(&[b'x'; 600]);
        let seal = |accept: fn(&str) -> bool| {
            sealer.seal_avoiding(&field(b"", b""), &long, Binding::Field, 16, accept)
        };
        let for_xml = |text: &str| !text.contains("--") && !text.ends_with('-');
        let token = seal(for_xml).unwrap();
        assert!(for_xml(&token.to_string()));
        assert_eq!(sealer.open(&field(b"", b""), &token, Binding::Field).unwrap().0, long);

        let drawn = std::cell::Cell::new(0);
        let never = |_: &str| {
            drawn.set(drawn.get() + 1);
            false
        };
        assert!(sealer.seal_avoiding(&field(b"", b""), &long, Binding::Field, 16, never).is_none());
        assert_eq!(drawn.get(), 64);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_sealed_opens_after_a_trip_through_text(
            purpose in prop::sample::select(&Purpose::ALL[..]),
            file in prop::collection::vec(any::<u8>(), 0..20),
            path in prop::collection::vec(any::<u8>(), 0..20),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            bucket in 0..100usize,
            whole: bool,
        ) {
            let sealer = sealer(1, &[]);
            let place = Place { purpose, file: &file, path: &path };
            let token = sealer.seal(&place, &inner(&bytes), Binding::File, bucket);
            let read = match whole {
                true => Token::parse_whole(&token.to_whole_text()),
                false => Token::parse(token.to_string().as_bytes()),
            };
            let opened = sealer.open(&place, &read.unwrap(), Binding::File).unwrap();
            prop_assert_eq!(&opened.0, &inner(&bytes));
        }

        #[test]
        fn a_single_flipped_bit_is_noticed(bit in 0usize..(12 + 32 + 16) * 8) {
            let sealer = sealer(1, &[]);
            let mut token = sealer.seal(&field(b"", b""), &inner(b"eleven byte"), Binding::Field, 16);
            match bit / 8 {
                byte @ 0..NONCE => token.nonce[byte] ^= 1 << (bit % 8),
                byte => token.sealed[byte - NONCE] ^= 1 << (bit % 8),
            }
            let opened = sealer.open(&field(b"", b""), &token, Binding::Field);
            prop_assert_eq!(opened.unwrap_err(), TokenError::Tampered(token.key_id()));
        }
    }
}
