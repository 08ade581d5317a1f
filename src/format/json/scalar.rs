//! The spelling of JSON strings, numbers and words, on bytes.

use std::borrow::Cow;

use crate::format::Context;
use crate::secret::SecretBytes;

/// Where the string that starts at `start` (its quote, double or single) ends, behind its closing
/// quote.
pub(super) fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let quote = text.get(start)?;
    let mut at = start + 1;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// Whether `text` is a number as JSON5 spells them.
pub(super) fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    if let [b'0', b'x' | b'X', hex @ ..] = rest {
        return !hex.is_empty() && hex.iter().all(u8::is_ascii_hexdigit);
    }
    if matches!(rest, b"Infinity" | b"NaN") {
        return true;
    }
    let (whole, rest) = rest.split_at(digits(rest));
    if whole.len() > 1 && whole[0] == b'0' {
        return false;
    }
    let rest = match rest.strip_prefix(b".").map(|rest| (digits(rest), rest)) {
        None if whole.is_empty() => return false,
        None => rest,
        Some((0, _)) if whole.is_empty() => return false,
        Some((fraction, rest)) => &rest[fraction..],
    };
    let [b'e' | b'E', rest @ ..] = rest else { return rest.is_empty() };
    let rest = rest.strip_prefix(b"-").or(rest.strip_prefix(b"+")).unwrap_or(rest);
    !rest.is_empty() && digits(rest) == rest.len()
}

/// Whether `text` is one of the words that are values.
pub(super) fn is_word(text: &[u8]) -> bool {
    matches!(text, b"true" | b"false" | b"null")
}

/// The value of `source` if that is one scalar and nothing else.
pub(super) fn decode(source: &[u8]) -> Option<SecretBytes> {
    if matches!(source.first(), Some(b'"' | b'\'')) {
        let whole = string_end(source, 0) == Some(source.len());
        return if whole { unescape(&source[1..source.len() - 1]) } else { None };
    }
    (is_word(source) || is_number(source)).then(|| source.into())
}

/// Resolves the escapes of a string without its quotes. A lone surrogate becomes the three bytes
/// that UTF-8 would give it if it could: no other value has them.
pub(super) fn unescape(inner: &[u8]) -> Option<SecretBytes> {
    let mut out = SecretBytes::with_capacity(inner.len());
    let mut at = 0;
    while let Some(len) = inner[at..].iter().position(|b| *b == b'\\') {
        out.extend(&inner[at..at + len]);
        at += len + 2;
        let plain = match inner.get(at - 1)? {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'0' if !inner.get(at).is_some_and(u8::is_ascii_digit) => 0,
            b'0'..=b'9' => return None,
            b'x' => {
                let code = hex(inner.get(at..at + 2)?)?;
                at += 2;
                push_code_point(&mut out, code);
                continue;
            }
            // A line break that is escaped is none.
            b'\n' => continue,
            b'\r' => {
                at += usize::from(inner.get(at) == Some(&b'\n'));
                continue;
            }
            0xe2 if matches!(inner.get(at..at + 2), Some([0x80, 0xa8 | 0xa9])) => {
                at += 2;
                continue;
            }
            b'u' => {
                let unit = unit(inner, at - 2)?;
                at += 4;
                let pair = unit_pair(unit, inner, at);
                if pair.is_some() {
                    at += 6;
                }
                push_code_point(&mut out, pair.unwrap_or(unit));
                continue;
            }
            other => *other,
        };
        out.extend(&[plain]);
    }
    out.extend(&inner[at..]);
    Some(out)
}

/// A spelling of `value` as a string. In a block comment it must not end the comment.
pub(super) fn encode(value: &[u8], context: Context) -> Option<SecretBytes> {
    let value = std::str::from_utf8(value).ok()?;
    let mut out = SecretBytes::with_capacity(value.len() + 2);
    out.extend(b"\"");
    let mut before = '"';
    for c in value.chars() {
        match c {
            '"' => out.extend(b"\\\""),
            '\\' => out.extend(b"\\\\"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            '/' if before == '*' && context == Context::BLOCK_COMMENT => out.extend(b"\\/"),
            c if c.is_ascii_control() => out.extend(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        before = c;
    }
    out.extend(b"\"");
    Some(out)
}

/// `text` with every lone surrogate escape replaced by the equally long `\uFFFD`, so that a
/// parser takes it and its spans hold for `text`.
pub(super) fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut masked = String::new();
    let mut copied = 0;
    let mut at = 0;
    // Outside of strings a backslash stands only in comments (or the text is no JSON), and what
    // it is taken to escape there is no quote that begins a string: comments end in between.
    while let Some(len) = bytes[at..].iter().position(|b| *b == b'\\') {
        let start = at + len;
        at = (start + 2).min(bytes.len());
        let Some(code) = unit(bytes, start) else { continue };
        at = start + 6;
        if unit_pair(code, bytes, at).is_some() {
            at += 6;
        } else if is_surrogate(code) {
            masked.push_str(&text[copied..start]);
            masked.push_str("\\uFFFD");
            copied = at;
        }
    }
    if copied == 0 {
        return text.into();
    }
    masked.push_str(&text[copied..]);
    masked.into()
}

/// The code unit of the `\uXXXX` that stands at `at`.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    hex(digits)
}

/// The number that these hex digits spell.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

fn is_surrogate(unit: u32) -> bool {
    (0xd800..0xe000).contains(&unit)
}

/// The code point of the pair that `high` makes with the escape at `at`, if it does.
fn unit_pair(high: u32, text: &[u8], at: usize) -> Option<u32> {
    if !(0xd800..0xdc00).contains(&high) {
        return None;
    }
    let low = unit(text, at).filter(|low| (0xdc00..0xe000).contains(low))?;
    Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

fn push_code_point(out: &mut SecretBytes, code: u32) {
    match char::from_u32(code) {
        Some(c) => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        // A surrogate: 16 bits, spread as UTF-8 spreads its neighbours.
        None => {
            let six = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
            out.extend(&[0xe0 | (code >> 12) as u8, six(6), six(0)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json5() {
        for good in [
            "0",
            "-0",
            "10",
            "1.5",
            "-1.5e+10",
            "1E5",
            "1.",
            ".5",
            "+1",
            "0x1F",
            "-0XaB",
            "+.5e-1",
            "Infinity",
            "-Infinity",
            "+NaN",
        ] {
            assert!(is_number(good.as_bytes()), "{good}");
        }
        for bad in
            ["", "-", "01", ".", "+.", "1e", "1e+", "+-1", "0x", "0xg", "1_0", "1 ", "infinity"]
        {
            assert!(!is_number(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn strings_are_decoded() {
        let decoded = |source: &str| decode(source.as_bytes()).map(|value| value.to_vec());
        assert_eq!(
            decoded(r#""a\"\\\/\b\f\n\r\t\u00e9""#).unwrap(),
            b"a\"\\/\x08\x0c\n\r\t\xc3\xa9"
        );
        assert_eq!(decoded(r#""\ud83d\ude00""#).unwrap(), "\u{1f600}".as_bytes());
        assert_eq!(decoded(r#""\ud83dx\udc00""#).unwrap(), b"\xed\xa0\xbdx\xed\xb0\x80");
        assert_eq!(decoded(r#"'a"\'\"\q\x41\v\0'"#).unwrap(), b"a\"'\"qA\x0b\0");
        assert_eq!(
            decoded("\"a\\\nb\\\r\nc\\\rd\\\u{2028}e\\\u{e9}\"").unwrap(),
            "abcde\u{e9}".as_bytes()
        );
        for bad in [
            "'a\"",
            "'a'b'",
            "\"\\1\"",
            "\"\\01\"",
            "\"\\x4\"",
            "\"",
            "\"a\"b",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\",
            "{}",
            "nul",
            "",
            "\"a\\\"",
        ] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_lone_surrogates_are_masked_and_nothing_moves() {
        let text =
            r#"["\ud83d\ude00", "\\ud800", "\ud800", "\udc00\ud800\ud83d\ude00", "\ud800\u0041"]"#;
        let masked = without_lone_surrogates(text);
        let wanted =
            r#"["\ud83d\ude00", "\\ud800", "\uFFFD", "\uFFFD\uFFFD\ud83d\ude00", "\uFFFD\u0041"]"#;
        assert_eq!(masked, wanted);
        assert!(matches!(without_lone_surrogates(r#""\u0041""#), Cow::Borrowed(_)));
    }

    #[test]
    fn an_encoded_value_never_ends_a_block_comment() {
        let value = b"*/ **/ /* \n \x7f \x01 \\ \"";
        let source = encode(value, Context::BLOCK_COMMENT).unwrap();
        assert!(!source.windows(2).any(|two| two == b"*/"));
        assert!(!source.contains(&b'\n'));
        assert_eq!(&decode(&source).unwrap()[..], value);
        assert!(encode(b"\xff", Context::ORDINARY).is_none());
    }
}
