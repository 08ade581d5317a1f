//! Java's `.properties`, on bytes, as `java.util.Properties.load` takes a text apart.
//!
//! A key is one segment, dots included (`spring.datasource.password`): so it is judged as the one
//! name that it is, and no two keys share a path. Bytes beyond ASCII are UTF-8 where the whole
//! value is that, else ISO-8859-1; `encode` writes `\uXXXX`, which means the same to every reader.

mod line;

use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of Java properties.
pub(super) struct Properties;

impl Codec for Properties {
    fn id(&self) -> CodecId {
        CodecId::Properties
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        line::scan(text)
    }

    fn decode(&self, source: &[u8], context: Context) -> Option<SecretBytes> {
        let one = line::value_end(source, 0, context == Context::ORDINARY) == source.len();
        // What a reader skips in front of a value is no part of it.
        let starts = line::skip_blanks(source, 0, true) == 0;
        (one && starts).then(|| unescape(source)).flatten()
    }

    fn encode(&self, value: &[u8], context: Context, _column: u16) -> Option<SecretBytes> {
        let text = std::str::from_utf8(value).ok()?;
        let mut out = SecretBytes::with_capacity(value.len() + 2);
        for (at, c) in text.char_indices() {
            let at_edge = at == 0 || at + 1 == text.len();
            match c {
                '\\' => out.extend(b"\\\\"),
                '\n' => out.extend(b"\\n"),
                '\r' => out.extend(b"\\r"),
                '\t' => out.extend(b"\\t"),
                '\x0c' => out.extend(b"\\f"),
                // Behind a colon in a comment, several words are prose.
                ' ' if context == Context::COMMENT => escape(&mut out, u16::from(b' ')),
                ' ' if at_edge => out.extend(b"\\ "),
                // Behind a blank these would be taken for the separator.
                '=' | ':' if at == 0 => out.extend(&[b'\\', c as u8]),
                ' '..='~' => out.extend(&[c as u8]),
                c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escape(&mut out, *unit)),
            }
        }
        Some(out)
    }

    fn quote(&self, _context: Context) -> &'static str {
        ""
    }
}

/// Appends `\uXXXX`.
fn escape(out: &mut SecretBytes, unit: u16) {
    out.extend(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.extend(&[b"0123456789abcdef"[usize::from(unit >> shift) & 15]]);
    }
}

/// What `source`, a key or a value, stands for: continuations joined, escapes resolved. `None`
/// when an escape is malformed; Java then refuses the file. A lone surrogate becomes the three
/// bytes that UTF-8 would have for it.
fn unescape(source: &[u8]) -> Option<SecretBytes> {
    let latin = std::str::from_utf8(source).is_err();
    let mut out = SecretBytes::with_capacity(source.len());
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        at += 1;
        if byte != b'\\' {
            match byte {
                0x80.. if latin => out.extend(&[0xc0 | byte >> 6, 0x80 | byte & 0x3f]),
                byte => out.extend(&[byte]),
            }
            continue;
        }
        // At the very end of a file a backslash stands for nothing.
        let Some(&escaped) = source.get(at) else { break };
        at += 1;
        match escaped {
            b'n' => out.extend(b"\n"),
            b'r' => out.extend(b"\r"),
            b't' => out.extend(b"\t"),
            b'f' => out.extend(b"\x0c"),
            b'\n' | b'\r' => at = line::skip_blanks(source, line::behind_end(source, at - 1), true),
            b'u' => {
                let unit = code_unit(source, at)?;
                at += 4;
                let low = (source[at..].starts_with(b"\\u") && is_high(unit))
                    .then(|| code_unit(source, at + 2))
                    .flatten()
                    .filter(|low| (0xdc00..0xe000).contains(low));
                at += if low.is_some() { 6 } else { 0 };
                extend(&mut out, unit, low);
            }
            // A byte beyond ASCII is only the first of its character; the rest follows by itself.
            0x80.. if latin => out.extend(&[0xc0 | escaped >> 6, 0x80 | escaped & 0x3f]),
            other => out.extend(&[other]),
        }
    }
    Some(out)
}

fn is_high(unit: u16) -> bool {
    (0xd800..0xdc00).contains(&unit)
}

fn code_unit(source: &[u8], at: usize) -> Option<u16> {
    source.get(at..at + 4)?.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | digit as u16)
    })
}

fn extend(out: &mut SecretBytes, unit: u16, low: Option<u16>) {
    let units = [unit, low.unwrap_or(0)];
    let units = &units[..if low.is_some() { 2 } else { 1 }];
    match char::decode_utf16(units.iter().copied()).next() {
        Some(Ok(c)) => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        _ => out.extend(&[
            0xe0 | (unit >> 12) as u8,
            0x80 | (unit >> 6 & 0x3f) as u8,
            0x80 | (unit & 0x3f) as u8,
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(source: &[u8]) -> Option<Vec<u8>> {
        Properties.decode(source, Context::ORDINARY).map(|value| value.to_vec())
    }

    #[test]
    fn values_are_decoded_as_java_does() {
        let samples: [(&[u8], &str); 13] = [
            (b"", ""),
            (b"a b  ", "a b  "),
            (b"a \\\r\n\t  b", "a b"),
            (b"a\\\n\\\n b", "ab"),
            (b"=x:#!", "=x:#!"),
            (b"\\ a\\=\\:\\#\\z", " a=:#z"),
            (b"C:\\\\tmp\\t\\n\\r\\f", "C:\\tmp\t\n\r\x0c"),
            (b"\\u00e9\\ud83d\\uDE00", "\u{e9}\u{1f600}"),
            (b"caf\xe9", "caf\u{e9}"),
            ("caf\u{e9}".as_bytes(), "caf\u{e9}"),
            ("\\\u{e9}".as_bytes(), "\u{e9}"),
            (b"a\\", "a"),
            (b"a\0\x0c", "a\0\x0c"),
        ];
        for (source, value) in samples {
            assert_eq!(
                decoded(source).as_deref(),
                Some(value.as_bytes()),
                "{}",
                source.escape_ascii()
            );
        }
        assert_eq!(decoded(b"\\ud800x").as_deref(), Some(&b"\xed\xa0\x80x"[..]));
    }

    #[test]
    fn what_is_no_single_value_is_not_decoded() {
        for source in [&b" a"[..], b"a\nb", b"a\\\\\nb", b"\\u12", b"\\uzzzz", b"\\\na"] {
            assert_eq!(decoded(source), None, "{}", source.escape_ascii());
        }
        assert_eq!(Properties.decode(b"a\\\nb", Context::COMMENT), None);
    }

    #[test]
    fn every_text_has_a_spelling_in_ascii_on_one_line() {
        let samples = [
            ("", ""),
            ("hunter2", "hunter2"),
            (" a b ", "\\ a b\\ "),
            ("=a=:", "\\=a=:"),
            ("\\\n\r\t\x0c\0\x7f", "\\\\\\n\\r\\t\\f\\u0000\\u007f"),
            ("\u{e9}\u{1f600}", "\\u00e9\\ud83d\\ude00"),
        ];
        for (value, source) in samples {
            let encoded = Properties.encode(value.as_bytes(), Context::ORDINARY, 0).unwrap();
            assert_eq!(std::str::from_utf8(&encoded).unwrap(), source);
            assert_eq!(decoded(&encoded).unwrap(), value.as_bytes());
        }
        assert!(Properties.encode(b"\xff", Context::ORDINARY, 0).is_none());
        let commented = Properties.encode(b"a b", Context::COMMENT, 0).unwrap();
        assert_eq!(&commented[..], b"a\\u0020b", "one word");
    }
}
