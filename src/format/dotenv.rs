//! `NAME=VALUE` lines as the common dotenv loaders take them, on bytes.
//!
//! Loaders differ; the spans here suit all of them, because a span is the whole of what any of
//! them may take for the value. `decode` and `encode` follow `sh`, python-dotenv and dotenvy
//! where the three agree. Escapes in double quotes: `\\`, `\"`, `\$`, `` \` `` stand for the
//! character, `\n`, `\r`, `\t` for the control character (not in `sh`), any other backslash for
//! itself. Single quotes and backticks have no escapes, and variables are not expanded.

mod line;

use self::line::Line;
use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

/// The codec of dotenv files.
pub(super) struct Dotenv;

impl Codec for Dotenv {
    fn id(&self) -> CodecId {
        CodecId::Dotenv
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        line::scan(text)
    }

    fn decode(&self, source: &[u8], context: Context) -> Option<SecretBytes> {
        let end = source.iter().position(|b| line::ends_line(*b)).unwrap_or(source.len());
        if context != Context::ORDINARY && end < source.len() {
            return commented_lines(source);
        }
        let line = Line { end, goes_on: context == Context::ORDINARY };
        let value = line::value(source, 0, line).ok()?;
        if value != Span::new(0, source.len()) {
            return None;
        }
        let last = source.len().checked_sub(1);
        let closes = |close: &usize| line::quoted_end(source, *close) == source.len();
        match (source.first(), line::closing_quote(source, 0).filter(closes)) {
            (Some(quote), close) if close != last && line::loosely_closed(source, 0) == last => {
                Some(unescape_quote(&source[1..source.len() - 1], *quote))
            }
            (Some(quote), Some(close)) => {
                let inner = &source[1..close];
                Some(if *quote == b'"' { unescape(inner) } else { inner.into() })
            }
            _ => Some(source.into()),
        }
    }

    fn encode(&self, value: &[u8], context: Context, _column: u16) -> Option<SecretBytes> {
        let has = |chars: &[u8]| value.iter().any(|b| chars.contains(b));
        let breaks = context != Context::ORDINARY && has(b"\r\n");
        if has(b"\0") {
            None // no environment holds one
        } else if value.iter().any(|b| *b != b'=') && value.iter().all(|b| is_plain(*b)) {
            Some(value.into())
        } else if !has(b"'\\") && !breaks {
            // python-dotenv resolves backslashes here, `sh` does not.
            Some(quoted(b'\'', value, false))
        } else if !has(b"$`") && value.last() != Some(&b'\\') {
            // `sh` wants these two escaped, python-dotenv leaves the escape in. And behind a
            // backslash a quote closes to some only.
            Some(quoted(b'"', value, breaks))
        } else {
            None
        }
    }

    fn quote(&self, _context: Context) -> &'static str {
        ""
    }
}

/// Whether a value may hold `byte` without quotes, for every loader and for `sh`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte)
}

fn quoted(quote: u8, value: &[u8], on_one_line: bool) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(value.len() + 2);
    out.extend(&[quote]);
    for byte in value {
        match byte {
            b'"' | b'\\' if quote == b'"' => out.extend(&[b'\\', *byte]),
            b'\n' if on_one_line => out.extend(b"\\n"),
            b'\r' if on_one_line => out.extend(b"\\r"),
            byte => out.extend(&[*byte]),
        }
    }
    out.extend(&[quote]);
    out
}

/// As loaders do that let a backslash keep any quote from closing.
fn unescape_quote(inner: &[u8], quote: u8) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(inner.len());
    for (at, byte) in inner.iter().enumerate() {
        if *byte != b'\\' || inner.get(at + 1) != Some(&quote) {
            out.extend(&[*byte]);
        }
    }
    out
}

/// The value of several lines that are commented out, each but the first behind a `#` of its own.
fn commented_lines(source: &[u8]) -> Option<SecretBytes> {
    let close = line::closing_in_comment(source, 0)?;
    if line::quoted_end(source, close) != source.len() {
        return None;
    }
    let mut joined = SecretBytes::with_capacity(source.len());
    for (n, line) in source[1..close].split_inclusive(|b| *b == b'\n').enumerate() {
        let marked = line.trim_ascii_start().strip_prefix(b"#").filter(|_| n > 0);
        let text = marked.map_or(line, |text| text.strip_prefix(b" ").unwrap_or(text));
        joined.extend(text);
    }
    Some(if source[0] == b'"' { unescape(&joined) } else { joined })
}

fn unescape(inner: &[u8]) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let resolved = match (byte, bytes.peek()) {
            (b'\\', Some(c @ (b'\\' | b'"' | b'$' | b'`'))) => Some(*c),
            (b'\\', Some(b'n')) => Some(b'\n'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b't')) => Some(b'\t'),
            _ => None,
        };
        if resolved.is_some() {
            bytes.next();
        }
        out.extend(&[resolved.unwrap_or(byte)]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(source: &[u8], context: Context) -> Option<Vec<u8>> {
        Dotenv.decode(source, context).map(|value| value.to_vec())
    }

    #[test]
    fn values_are_decoded_as_loaders_do() {
        let samples: [(&str, &str); 11] = [
            ("", ""),
            ("plain text", "plain text"),
            ("'a \\n #b'", "a \\n #b"),
            ("`a\"'b`", "a\"'b"),
            (r#""a\n\t\"\\\$\`\x""#, "a\n\t\"\\$`\\x"),
            ("\"a\nb\"", "a\nb"),
            ("#no-comment", "#no-comment"),
            ("a#b", "a#b"),
            (r#""x"y"#, r#""x"y"#),
            (r"'it\'s'", "it's"),
            ("'a' #b", "a"),
        ];
        for (source, value) in samples {
            assert_eq!(
                decoded(source.as_bytes(), Context::ORDINARY).as_deref(),
                Some(value.as_bytes()),
                "{source}"
            );
        }
    }

    #[test]
    fn what_is_no_single_value_is_not_decoded() {
        for source in ["a # b", " a", "a ", "a\nb", "'a", "'a' # b", "'a'\nB=1"] {
            assert_eq!(decoded(source.as_bytes(), Context::ORDINARY), None, "{source:?}");
        }
        for source in ["'a\nb'", "'a\n# b=c\n#'", "'a\n#b' c", "a\n#b"] {
            assert_eq!(decoded(source.as_bytes(), Context::COMMENT), None, "{source:?}");
        }
    }

    #[test]
    fn a_value_on_several_commented_lines_is_one() {
        let source = b"\"a\\n\r\n # b\n#  c\"";
        assert_eq!(decoded(source, Context::COMMENT).as_deref(), Some(&b"a\n\r\nb\n c"[..]));
        let noted = b"'a\n# b' #c";
        assert_eq!(decoded(noted, Context::COMMENT).as_deref(), Some(&b"a\nb"[..]));
    }

    #[test]
    fn the_quotes_are_those_that_all_loaders_read_alike() {
        let samples: [(&str, Option<&str>); 10] = [
            ("", Some("''")),
            ("hunter2", Some("hunter2")),
            ("a b", Some("'a b'")),
            ("$HOME #", Some("'$HOME #'")),
            ("it's", Some("\"it's\"")),
            ("\\\"'", Some("\"\\\\\\\"'\"")),
            ("a\nb", Some("'a\nb'")),
            ("it's $5", None),
            ("it's\\", None),
            ("\0", None),
        ];
        for (value, source) in samples {
            let encoded = Dotenv.encode(value.as_bytes(), Context::ORDINARY, 0);
            assert_eq!(encoded.as_deref(), source.map(str::as_bytes), "{value:?}");
        }
        let encoded = Dotenv.encode(b"a\r\nb", Context::COMMENT, 0).unwrap();
        assert_eq!(&encoded[..], b"\"a\\r\\nb\"");
    }
}
