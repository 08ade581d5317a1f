//! One key: 32 bytes and the spellings in which they are given.
//!
//! The bytes stay in one allocation that is locked into memory where the system lets us, and that
//! is wiped when the key goes; everything decoded on the way is wiped too. Nothing prints them
//! but [`Key::to_line`].

use std::fmt;
use std::io;

use base64ct::{Base64, Base64Unpadded, Base64Url, Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Fingerprint, KeyError, KeyId};
use crate::secret::SecretBytes;
use crate::sys;

/// What a scanner for leaked secrets looks for; the version is part of it.
const LINE_PREFIX: &[u8] = b"confseal_key_v1_";
const ANY_LINE_PREFIX: &[u8] = b"confseal_key_";
/// Base64url characters of 32 bytes.
const LINE_KEY: usize = 43;
/// Hex digits of the checksum.
const LINE_CHECK: usize = 8;

/// A master or legacy key with its names. The bytes are wiped when it is dropped.
pub struct Key {
    /// Boxed, so that moving the key leaves no copy behind.
    bytes: Box<Zeroizing<[u8; 32]>>,
    fingerprint: Fingerprint,
}

impl Key {
    /// A key of 32 random bytes from the kernel.
    pub fn generate() -> io::Result<Self> {
        Self::fill(|bytes| Ok(getrandom::fill(bytes)?))
    }

    /// Reads one of the spellings: key file line (`confseal_key_v1_…`, checksum verified), 64 hex
    /// digits, base64 (standard or url, padded or not) of 32 bytes. White space around it and
    /// lines that begin with `#` are ignored. Refuses a key that is no secret, all bytes alike.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let mut lines = text
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty() && line[0] != b'#');
        let line = lines.next().ok_or(KeyError::Empty)?;
        if lines.next().is_some() {
            return Err(KeyError::SeveralLines);
        }
        let key = Self::fill(|bytes| match line.len() {
            _ if line.starts_with(ANY_LINE_PREFIX) => decode_line(line, bytes),
            64 => decode_hex(line, bytes),
            _ => decode_base64(line, bytes),
        })?;
        let first = key.bytes[0];
        match key.bytes.iter().all(|byte| *byte == first) {
            true => Err(KeyError::Public),
            false => Ok(key),
        }
    }

    /// A key whose bytes are written straight to their final place.
    fn fill<E>(write: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = Box::new(Zeroizing::new([0; 32]));
        if let Err(error) = sys::memory::lock(&bytes[..]) {
            // An ordinary user's limit may be used up; the daemon says at start what it could lock.
            log::debug!("key memory cannot be locked: {error}");
        }
        write(&mut bytes)?;
        let fingerprint = Fingerprint(Sha256::digest(&bytes[..]).into());
        Ok(Self { bytes, fingerprint })
    }

    /// The key file line, with the prefix that scanners find and its checksum; no line end.
    pub fn to_line(&self) -> SecretBytes {
        let mut line = SecretBytes::with_capacity(LINE_PREFIX.len() + LINE_KEY + 1 + LINE_CHECK);
        line.extend(LINE_PREFIX);
        line.resize(LINE_PREFIX.len() + LINE_KEY);
        Base64UrlUnpadded::encode(&self.bytes[..], &mut line.as_mut_slice()[LINE_PREFIX.len()..])
            .expect("43 characters hold 32 bytes");
        let check = checksum(&line);
        line.extend(b"_");
        line.extend(check.as_bytes());
        line
    }

    /// The key's name in full.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The key's short name.
    pub fn id(&self) -> KeyId {
        self.fingerprint.id()
    }

    /// The key's bytes, for derivation in `token` alone.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

/// The first eight hex digits of SHA-256 over the line up to its last underscore.
fn checksum(front: &[u8]) -> String {
    Fingerprint(Sha256::digest(front).into()).id().to_string()
}

fn decode_line(line: &[u8], bytes: &mut [u8; 32]) -> Result<(), KeyError> {
    let rest = line.strip_prefix(LINE_PREFIX).ok_or(KeyError::Version)?;
    if rest.len() != LINE_KEY + 1 + LINE_CHECK || rest[LINE_KEY] != b'_' {
        return Err(KeyError::Line);
    }
    let (front, check) = line.split_at(LINE_PREFIX.len() + LINE_KEY);
    if checksum(front).as_bytes() != &check[1..] {
        return Err(KeyError::Checksum);
    }
    Base64UrlUnpadded::decode(&rest[..LINE_KEY], bytes).map_err(|_| KeyError::Line)?;
    Ok(())
}

fn decode_hex(text: &[u8], bytes: &mut [u8; 32]) -> Result<(), KeyError> {
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |at: usize| (pair[at] as char).to_digit(16).ok_or(KeyError::Spelling);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Ok(())
}

fn decode_base64(text: &[u8], bytes: &mut [u8; 32]) -> Result<(), KeyError> {
    let url = text.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let decoded = match (text.len(), url) {
        (43, false) => Base64Unpadded::decode(text, bytes),
        (43, true) => Base64UrlUnpadded::decode(text, bytes),
        (44, false) => Base64::decode(text, bytes),
        (44, true) => Base64Url::decode(text, bytes),
        _ => return Err(KeyError::Spelling),
    };
    match decoded {
        Ok(decoded) if decoded.len() == 32 => Ok(()),
        _ => Err(KeyError::Spelling),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes 0xc0 … 0xdf.
    const HEX: &str = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf";
    const BASE64: &str = "wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t8";

    fn line() -> String {
        let key = Key::parse(HEX.as_bytes()).unwrap();
        String::from_utf8(key.to_line().to_vec()).unwrap()
    }

    #[test]
    fn every_spelling_gives_the_same_key() {
        let bytes: [u8; 32] = std::array::from_fn(|n| 0xc0 + n as u8);
        let upper = HEX.to_uppercase();
        let padded = format!("{BASE64}=");
        let file = format!("# made for the shop\n\n  # in May\n\t{}\r\n", line());
        for text in [HEX, &upper, BASE64, &padded, &line(), &file, &format!(" {HEX} \n\n")] {
            assert_eq!(Key::parse(text.as_bytes()).unwrap().bytes(), &bytes, "{text}");
        }
    }

    #[test]
    fn both_alphabets_of_base64_are_read() {
        let odd = [0xfb, 0xef, 0xff].into_iter().cycle().take(32).collect::<Vec<u8>>();
        for text in [
            Base64::encode_string(&odd),
            Base64Unpadded::encode_string(&odd),
            Base64Url::encode_string(&odd),
            Base64UrlUnpadded::encode_string(&odd),
        ] {
            assert_eq!(Key::parse(text.as_bytes()).unwrap().bytes()[..], odd[..], "{text}");
        }
    }

    #[test]
    fn a_key_file_line_has_the_documented_form() {
        let line = line();
        let front = format!("confseal_key_v1_{BASE64}");
        let sum = Fingerprint(Sha256::digest(&front).into()).to_string();
        assert_eq!(line, format!("{front}_{}", &sum[..8]));
    }

    #[test]
    fn any_slip_in_a_key_file_line_is_noticed() {
        let line = line();
        for at in "confseal_key_v1_".len()..line.len() {
            let mut slipped = line.clone().into_bytes();
            slipped[at] = if slipped[at] == b'0' { b'1' } else { b'0' };
            let error = Key::parse(&slipped).unwrap_err();
            assert!(matches!(error, KeyError::Checksum | KeyError::Line), "{at}: {error}");
            let error = Key::parse(&line.as_bytes()[..at]).unwrap_err();
            assert_eq!(error, KeyError::Line, "cut at {at}");
        }
        let v2 = line.replace("_v1_", "_v2_");
        assert_eq!(Key::parse(v2.as_bytes()).unwrap_err(), KeyError::Version);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = format!("{HEX}00");
        let not_hex = HEX.replace('c', "g");
        // Its last character has bits that no byte takes.
        let loose = format!("{}9", &BASE64[..42]);
        let two = format!("{HEX}\n{HEX}\n");
        for (text, wanted) in [
            ("", KeyError::Empty),
            (" \n# only words\n", KeyError::Empty),
            (&two, KeyError::SeveralLines),
            ("hunter2", KeyError::Spelling),
            (&HEX[1..], KeyError::Spelling),
            (&long, KeyError::Spelling),
            (&not_hex, KeyError::Spelling),
            (&BASE64[1..], KeyError::Spelling),
            (&loose, KeyError::Spelling),
        ] {
            assert_eq!(Key::parse(text.as_bytes()).unwrap_err(), wanted, "{text:?}");
        }
    }

    #[test]
    fn keys_that_everybody_knows_are_refused() {
        for byte in ["00", "ff", "41"] {
            let error = Key::parse(byte.repeat(32).as_bytes()).unwrap_err();
            assert_eq!(error, KeyError::Public, "{byte}");
        }
    }

    #[test]
    fn made_keys_differ_and_read_back() {
        let (one, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        assert_ne!(one.bytes(), other.bytes());
        assert_eq!(Key::parse(&one.to_line()).unwrap().fingerprint(), one.fingerprint());
    }

    #[test]
    fn a_key_prints_its_id_alone() {
        let key = Key::parse(HEX.as_bytes()).unwrap();
        assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
    }
}
