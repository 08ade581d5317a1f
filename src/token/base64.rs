//! Unpadded base64url (RFC 4648, section 5).
//!
//! `base64ct` takes the same time whatever it reads, which keys need. The text of a token is public:
//! it is looked up in a table, which takes a fraction of that.
//!
//! Must stay true: bytes have one spelling. No padding, no white space, and no bit in the last
//! character beyond those of the last byte.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// More than any character stands for: what is none stands for it.
const NONE: u8 = 0xff;

/// What each character stands for.
const SEXTETS: [u8; 256] = {
    let mut sextets = [NONE; 256];
    let mut n = 0;
    while n < ALPHABET.len() {
        sextets[ALPHABET[n] as usize] = n as u8;
        n += 1;
    }
    sextets
};

/// How many characters `bytes` bytes take.
fn length(bytes: usize) -> usize {
    bytes / 3 * 4 + [0, 2, 3][bytes % 3]
}

/// Appends `bytes`, encoded, to `text`.
pub(super) fn encode(bytes: &[u8], text: &mut Vec<u8>) {
    let character = |sextet: u8| ALPHABET[usize::from(sextet & 63)];
    let quantum = |[a, b, c]: [u8; 3]| [a >> 2, a << 4 | b >> 4, b << 2 | c >> 6, c].map(character);
    let (quanta, rest) = bytes.as_chunks();
    text.reserve(length(bytes.len()));
    let start = text.len();
    text.resize(start + 4 * quanta.len(), 0);
    for (place, bytes) in text[start..].as_chunks_mut().0.iter_mut().zip(quanta) {
        *place = quantum(*bytes);
    }
    match *rest {
        [a] => text.extend_from_slice(&quantum([a, 0, 0])[..2]),
        [a, b] => text.extend_from_slice(&quantum([a, b, 0])[..3]),
        _ => {}
    }
}

/// The bytes that `text` stands for.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let sextet = |character: u8| SEXTETS[usize::from(character)];
    let (quanta, rest) = text.as_chunks::<4>();
    let mut bytes = Vec::with_capacity(3 * quanta.len() + 2);
    bytes.resize(3 * quanta.len(), 0);
    let mut seen = 0;
    for (place, quantum) in bytes.as_chunks_mut().0.iter_mut().zip(quanta) {
        let [a, b, c, d] = quantum.map(sextet);
        seen |= a | b | c | d;
        *place = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
    }
    let left_over = match *rest {
        [] => 0,
        [a, b] => {
            let [a, b] = [a, b].map(sextet);
            seen |= a | b;
            bytes.push(a << 2 | b >> 4);
            b & 15
        }
        [a, b, c] => {
            let [a, b, c] = [a, b, c].map(sextet);
            seen |= a | b | c;
            bytes.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2]);
            c & 3
        }
        _ => return None,
    };
    (seen < 64 && left_over == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_are_spelled_as_everybody_spells_them(bytes: Vec<u8>) {
            let mut text = b"ENC".to_vec();
            encode(&bytes, &mut text);
            let theirs = Base64UrlUnpadded::encode_string(&bytes);
            prop_assert_eq!(&text[3..], theirs.as_bytes());
            prop_assert_eq!(text.len() - 3, length(bytes.len()));
            prop_assert_eq!(decode(&text[3..]), Some(bytes));
        }

        #[test]
        fn a_text_is_read_as_a_strict_reader_reads_it(text in "[A-Za-z0-9_-]{0,12}[AQgwEM+/=\n -~é]{0,2}") {
            let mut room = vec![0; text.len()];
            let theirs = Base64UrlUnpadded::decode(text.as_bytes(), &mut room);
            prop_assert_eq!(decode(text.as_bytes()), theirs.ok().map(<[u8]>::to_vec));
        }
    }

    #[test]
    fn no_byte_but_those_of_the_alphabet_is_read() {
        for byte in 0..=u8::MAX {
            for at in 0..4 {
                let mut text = *b"AAAA";
                text[at] = byte;
                assert_eq!(decode(&text).is_some(), ALPHABET.contains(&byte), "{byte} at {at}");
            }
        }
    }
}
