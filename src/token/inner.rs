//! What stands inside a token, as bytes: a header of five bytes, the value, and padding that
//! leaves only the bucket of its length to be seen.
//!
//! ```text
//! kind(1) | codec(1) | context(1) | column(2, big-endian) | bytes | 0x80 | 0x00 …
//! ```
//!
//! Padding is taken off only what has been authenticated. It needs no constant time: whoever could
//! learn something by feeding it crafted padding would need the key to make it authentic.

use super::{Inner, Kind, TokenError};
use crate::secret::SecretBytes;

/// The smallest bucket, and what every bucket is a multiple of.
pub(super) const BUCKET: usize = 16;

const HEADER: usize = 5;
const END: u8 = 0x80;

impl Inner {
    /// Header, bytes and padding, to a multiple of `bucket` (taken up to a multiple of 16).
    pub(super) fn to_padded(&self, bucket: usize) -> SecretBytes {
        let bucket = bucket.max(1).next_multiple_of(BUCKET);
        let length = (HEADER + self.bytes.len() + 1).next_multiple_of(bucket);
        let mut plain = SecretBytes::with_capacity(length);
        plain.extend(&[self.kind as u8, self.codec, self.context]);
        plain.extend(&self.column.to_be_bytes());
        plain.extend(&self.bytes);
        plain.extend(&[END]);
        plain.resize(length);
        plain
    }

    /// Takes apart what [`Inner::to_padded`] made; any number of zeros is taken, since the bucket
    /// is not written down.
    pub(super) fn from_padded(plain: &[u8]) -> Result<Self, TokenError> {
        let end = plain.iter().rposition(|byte| *byte != 0);
        let end = end.filter(|end| *end >= HEADER && plain[*end] == END);
        let end = end.ok_or(TokenError::Unreadable("its padding is unknown"))?;
        let kind = [Kind::Source, Kind::Value, Kind::File]
            .into_iter()
            .find(|kind| *kind as u8 == plain[0])
            .ok_or(TokenError::Unreadable("the kind of its content is unknown"))?;
        Ok(Self {
            kind,
            codec: plain[1],
            context: plain[2],
            column: u16::from_be_bytes([plain[3], plain[4]]),
            bytes: SecretBytes::from(&plain[HEADER..end]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inner(bytes: &[u8]) -> Inner {
        Inner { kind: Kind::Source, codec: 1, context: 2, column: 0x304, bytes: bytes.into() }
    }

    #[test]
    fn header_value_and_padding_stand_in_that_order() {
        assert_eq!(
            inner(b"ab").to_padded(16)[..],
            [1, 1, 2, 3, 4, b'a', b'b', 0x80, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn short_values_look_alike() {
        for (value, bucket, padded) in
            [(0, 16, 16), (10, 16, 16), (11, 16, 32), (11, 64, 64), (58, 64, 64), (59, 64, 128)]
        {
            assert_eq!(inner(&vec![b'x'; value]).to_padded(bucket).len(), padded, "{value}");
        }
        for odd in [0, 1, 15] {
            assert_eq!(inner(b"x").to_padded(odd).len(), 16);
        }
    }

    #[test]
    fn an_unknown_kind_or_padding_is_not_read() {
        for plain in [&[0; 16][..], &[0x80; 3], &[1, 1, 0, 0, 0x80, 0, 0, 0], b"\x01\0\0\0\0value"]
        {
            assert!(matches!(Inner::from_padded(plain), Err(TokenError::Unreadable(_))));
        }
        let mut plain = inner(b"value").to_padded(16);
        assert!(Inner::from_padded(&plain).is_ok());
        for kind in [0, 4, 255] {
            plain.as_mut_slice()[0] = kind;
            let error = TokenError::Unreadable("the kind of its content is unknown");
            assert_eq!(Inner::from_padded(&plain), Err(error));
        }
    }

    proptest! {
        #[test]
        fn what_was_padded_comes_back(
            kind in prop_oneof![Just(Kind::Source), Just(Kind::Value), Just(Kind::File)],
            codec: u8,
            context: u8,
            column: u16,
            bytes in prop::collection::vec(prop_oneof![Just(0), Just(0x80), any::<u8>()], 0..80),
            bucket in 0..5usize,
        ) {
            let inner = Inner { kind, codec, context, column, bytes: bytes.into() };
            let padded = inner.to_padded(bucket * 16);
            prop_assert_eq!(padded.len() % (bucket * 16).max(16), 0);
            prop_assert_eq!(Inner::from_padded(&padded), Ok(inner));
        }
    }
}
