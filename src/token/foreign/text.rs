//! The spellings of foreign tokens, as bytes. What comes out is ciphertext still.

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};

/// Standard base64, padded or not (RFC 4648, section 4).
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    decode::<Base64Unpadded>(text)
}

/// Base64 in the alphabet for URLs, padded or not (RFC 4648, section 5).
pub(super) fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    decode::<Base64UrlUnpadded>(text)
}

fn decode<E: Encoding>(text: &[u8]) -> Option<Vec<u8>> {
    let body = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"="));
    // Padding fills up to four characters, or there is none.
    if body.is_some() && !text.len().is_multiple_of(4) {
        return None;
    }
    E::decode_vec(std::str::from_utf8(body.unwrap_or(text)).ok()?).ok()
}

/// Hex digits of either case.
pub(super) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    text.len().is_multiple_of(2).then(|| text.chunks_exact(2).map(pair).collect()).flatten()
}

/// `text` less the white space that a folded line leaves.
pub(super) fn without_blanks(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_padded_or_not_and_nothing_else_is() {
        for (text, bytes) in [("+/8=", &b"\xfb\xff"[..]), ("+/8", b"\xfb\xff"), ("", b"")] {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(base64url(b"-_8=").as_deref(), Some(&b"\xfb\xff"[..]));
        for wrong in ["-_8=", "+/8==", "+/8= ", " +/8=", "+", "+/9=", "=", "+/\n8="] {
            assert_eq!(base64(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn hex_is_read_in_pairs_of_either_case() {
        assert_eq!(hex(b"00fFA5").as_deref(), Some(&b"\x00\xff\xa5"[..]));
        for wrong in ["0", "0g", "+1", "0x11"] {
            assert_eq!(hex(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
