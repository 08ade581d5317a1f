//! Tokens as text: the short form that stands in a field, and the form of a whole file.
//!
//! Each form has one spelling: what is parsed prints as the same bytes, and every other text is an
//! error, so that a kept token is kept to the byte and nothing rides along in it.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64ct::{Base64UrlUnpadded, Encoding};

use super::cipher::{NONCE, TAG};
use super::inner::BUCKET;
use super::{Binding, FIELD_PREFIX, FILE_PREFIX, PREFIX, TokenError};
use crate::keyring::KeyId;

/// Characters in a line of the whole-file form.
const LINE: usize = 64;

/// A sealed value, not opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub(super) key_id: KeyId,
    pub(super) binding: Binding,
    pub(super) nonce: [u8; NONCE],
    /// Ciphertext and tag.
    pub(super) sealed: Vec<u8>,
}

impl Token {
    /// Reads the form that stands in a field. Nothing may stand around it.
    pub fn parse(text: &[u8]) -> Result<Self, TokenError> {
        let (key_id, body) = take_key_id(text, FIELD_PREFIX)?;
        Self::from_body(key_id, body)
    }

    /// The form that stands in a field.
    pub fn to_text(&self) -> String {
        let body = Base64UrlUnpadded::encode_string(&self.body());
        [FIELD_PREFIX, &self.key_id.to_text(), ":", &body].concat()
    }

    /// Reads the form of a whole file.
    pub fn parse_whole(text: &[u8]) -> Result<Self, TokenError> {
        let malformed = Err(TokenError::Malformed("not in lines of 64 characters"));
        let (key_id, lines) = take_key_id(text, FILE_PREFIX)?;
        let Some((b"\n", lines)) = lines.split_at_checked(1) else { return malformed };
        let Some(lines) = lines.strip_suffix(b"\n") else { return malformed };
        let mut body = Vec::with_capacity(lines.len());
        let mut last = LINE;
        for line in lines.split(|byte| *byte == b'\n') {
            if last != LINE || line.is_empty() || line.len() > LINE {
                return malformed;
            }
            body.extend_from_slice(line);
            last = line.len();
        }
        Self::from_body(key_id, &body)
    }

    /// The form of a whole file, ready to be written.
    pub fn to_whole_text(&self) -> Vec<u8> {
        let body = Base64UrlUnpadded::encode_string(&self.body());
        let mut text = format!("{FILE_PREFIX}{}:\n", self.key_id).into_bytes();
        text.reserve(body.len() + body.len() / LINE + 1);
        for line in body.as_bytes().chunks(LINE) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        text
    }

    /// Which key it was sealed under.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// What it says it is bound to; true only once it has been opened.
    pub fn binding(&self) -> Binding {
        self.binding
    }

    /// `flags(1) | nonce(12) | ciphertext | tag(16)`
    fn body(&self) -> Vec<u8> {
        [&[self.binding as u8][..], &self.nonce, &self.sealed].concat()
    }

    fn from_body(key_id: KeyId, base64: &[u8]) -> Result<Self, TokenError> {
        let mut body = vec![0; base64.len() / 4 * 3 + 3];
        // Strict: no padding, no white space, and no other bits in the last character than the
        // bytes have.
        let body = Base64UrlUnpadded::decode(base64, &mut body)
            .map_err(|_| TokenError::Malformed("not in unpadded base64url"))?;
        let (flags, rest) = body.split_first().ok_or(TokenError::Malformed("cut off"))?;
        let binding = Binding::from_flags(*flags)
            .ok_or(TokenError::Malformed("flags of no known meaning"))?;
        let (nonce, sealed) =
            rest.split_first_chunk::<NONCE>().ok_or(TokenError::Malformed("cut off"))?;
        match sealed.len().checked_sub(TAG) {
            Some(length) if length >= BUCKET && length % BUCKET == 0 => {}
            _ => return Err(TokenError::Malformed("of a length that no token has")),
        }
        Ok(Self { key_id, binding, nonce: *nonce, sealed: sealed.to_vec() })
    }
}

/// The key id between `prefix` and the next colon, and what follows.
fn take_key_id<'a>(text: &'a [u8], prefix: &str) -> Result<(KeyId, &'a [u8]), TokenError> {
    let rest = text.strip_prefix(prefix.as_bytes()).ok_or_else(|| {
        TokenError::Malformed(match text.starts_with(PREFIX.as_bytes()) {
            true => "of another form or version",
            false => "it does not begin with ENC:",
        })
    })?;
    let wrong = TokenError::Malformed("a key id of 8 lower-case hex digits is expected");
    let (id, rest) = rest.split_at_checked(8).ok_or(wrong)?;
    let id = KeyId::parse(id).map_err(|_| wrong)?;
    let rest = rest.strip_prefix(b":").ok_or(wrong)?;
    Ok((id, rest))
}

/// By the nonce: it is drawn at random, so no two tokens that were sealed share it.
impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.nonce);
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens() -> impl Strategy<Value = Token> {
        let binding = prop_oneof![Just(Binding::None), Just(Binding::Field), Just(Binding::File)];
        let sealed = (2..12usize).prop_flat_map(|n| prop::collection::vec(any::<u8>(), n * 16));
        (any::<[u8; 4]>(), binding, any::<[u8; NONCE]>(), sealed).prop_map(
            |(id, binding, nonce, sealed)| Token { key_id: KeyId(id), binding, nonce, sealed },
        )
    }

    /// Bytes that come close to being right.
    fn bytes_of_tokens() -> impl Strategy<Value = u8> {
        prop_oneof![prop::sample::select(&b"\n\r =:-_+/AaZz09E~"[..]), any::<u8>()]
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same_token(token in tokens()) {
            let text = token.to_string();
            prop_assert_eq!(&Token::parse(text.as_bytes()).unwrap(), &token);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b":_-".contains(&b)));
            prop_assert_eq!(&Token::parse_whole(&token.to_whole_text()).unwrap(), &token);
        }

        #[test]
        fn what_parses_prints_as_the_same_bytes(
            token in tokens(), whole: bool, at: prop::sample::Index, byte in bytes_of_tokens(), how in 0..3,
        ) {
            let print = |token: &Token| match whole {
                true => token.to_whole_text(),
                false => token.to_string().into_bytes(),
            };
            let mut text = print(&token);
            let at = at.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => { text.remove(at); }
            }
            let parsed = if whole { Token::parse_whole(&text) } else { Token::parse(&text) };
            if let Ok(parsed) = parsed {
                prop_assert_eq!(print(&parsed), text);
            }
        }

        #[test]
        fn no_bytes_make_parsing_panic(text in prop::collection::vec(bytes_of_tokens(), 0..200)) {
            for prefix in ["", FIELD_PREFIX, "ENC:v1:00000000:", FILE_PREFIX, "ENC:file:v1:00000000:\n"] {
                let text = [prefix.as_bytes(), &text].concat();
                let _ = (Token::parse(&text), Token::parse_whole(&text));
            }
        }
    }

    /// A token of 45 bytes (60 characters) and `more` times 16.
    fn token(more: usize) -> Token {
        let sealed = vec![0x5a; 32 + 16 * more];
        Token { key_id: KeyId([0xab; 4]), binding: Binding::Field, nonce: [7; NONCE], sealed }
    }

    #[test]
    fn every_other_spelling_of_a_token_is_refused() {
        let text = token(1).to_string();
        let body = text.strip_prefix("ENC:v1:abababab:").unwrap();
        // 61 bytes leave one over: of its second character two bits are used, four must be zero.
        let tail = body.chars().last().unwrap();
        let loose = format!("{}{}", &text[..text.len() - 1], (tail as u8 + 1) as char);
        for wrong in [
            format!("{text}=="),
            format!("{text}\n"),
            format!(" {text}"),
            format!("{text}AAAA"),
            text.to_lowercase(),
            text.replace("abababab", "ABABABAB"),
            text.replace("abababab", "ababab"),
            text.replace("v1", "v2"),
            text.replace("v1", "v01"),
            text[..text.len() - 4].to_owned(),
            text.replace("abababab:", "abababab"),
            "ENC:v1:abababab:".to_owned(),
            loose,
        ] {
            let parsed = Token::parse(wrong.as_bytes());
            assert!(matches!(parsed, Err(TokenError::Malformed(_))), "{wrong}");
        }
    }

    #[test]
    fn reserved_flags_are_refused() {
        for flags in 3..=255u8 {
            let mut body = token(0).body();
            body[0] = flags;
            let text = format!("ENC:v1:abababab:{}", Base64UrlUnpadded::encode_string(&body));
            let error = TokenError::Malformed("flags of no known meaning");
            assert_eq!(Token::parse(text.as_bytes()), Err(error), "{flags}");
        }
    }

    #[test]
    fn a_whole_file_stands_in_full_lines_and_in_no_other_way() {
        for more in [0, 1, 9, 12, 33] {
            let text = token(more).to_whole_text();
            assert_eq!(Token::parse_whole(&text), Ok(token(more)));
            let text = String::from_utf8(text).unwrap();
            let (first, rest) = text.split_once('\n').unwrap();
            assert_eq!(first, "ENC:file:v1:abababab:");
            let lengths: Vec<usize> = rest.lines().map(str::len).collect();
            let (last, full) = lengths.split_last().unwrap();
            assert!((1..=64).contains(last) && full.iter().all(|length| *length == 64));
            for wrong in [
                format!("{text}\n"),
                text.replace('\n', "\r\n"),
                text.trim_end().to_owned(),
                text.replacen('\n', "", 1),
                format!("{first}\n{}\n", rest.replace('\n', "")) + "A",
                format!("{first}\n\n{rest}"),
                format!("{first}\n{}\n{}", &rest[..60], &rest[60..]),
                first.to_owned(),
                format!("{first}\n"),
            ] {
                let parsed = Token::parse_whole(wrong.as_bytes());
                assert!(matches!(parsed, Err(TokenError::Malformed(_))), "{wrong:?}");
            }
        }
    }

    #[test]
    fn the_two_forms_are_not_taken_for_each_other() {
        assert!(Token::parse(&token(0).to_whole_text()).is_err());
        assert!(Token::parse_whole(token(0).to_string().as_bytes()).is_err());
    }
}
