//! How HCL spells a value.

use std::borrow::Cow;

use super::lex::{escape, interpolation_len, number_len, template_end};
use crate::format::Context;
use crate::secret::SecretBytes;

/// The value that `source` stands for. What a template interpolates stays as it is written.
pub(super) fn decode(source: &[u8], context: Context) -> Option<SecretBytes> {
    std::str::from_utf8(source).ok()?;
    let commented = context != Context::ORDINARY;
    if commented {
        let ends = [source.first()?, source.last()?];
        if ends.iter().any(|b| b.is_ascii_whitespace())
            || source.iter().any(|b| b"\r\n".contains(b))
        {
            return None;
        }
    }
    let ends_template = || template_end(source, 0) == Ok(source.len());
    match source.first()? {
        b'"' if ends_template() => Some(literal(&source[1..source.len() - 1], true)),
        b'<' if source.starts_with(b"<<") && !commented && ends_template() => heredoc(source),
        // The rest of a commented-out line that is no HCL is a value all the same.
        _ if commented || is_word(source) => Some(source.into()),
        _ => None,
    }
}

/// What a key or label says: without its quotes, else as it is written.
pub(super) fn key(source: &[u8]) -> Cow<'_, [u8]> {
    match source {
        [b'"', inner @ .., b'"'] if !inner.iter().any(|b| b"\\\"$%".contains(b)) => inner.into(),
        [b'"', ..] => match decode(source, Context::ORDINARY) {
            Some(text) => text.to_vec().into(),
            None => source.into(),
        },
        _ => source.into(),
    }
}

/// Whether `source` is a number or one of HCL's three words.
fn is_word(source: &[u8]) -> bool {
    let digits = source.strip_prefix(b"-").unwrap_or(source);
    (!digits.is_empty() && number_len(digits) == digits.len())
        || matches!(source, b"true" | b"false" | b"null")
}

/// What stands between the quotes of a template, or in a heredoc.
fn literal(inner: &[u8], quoted: bool) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        let rest = &inner[at..];
        let first = rest[0];
        match first {
            b'$' | b'%' if rest.starts_with(&[first, first, b'{']) => {
                out.extend(&[first, b'{']);
                at += 3;
            }
            b'$' | b'%' if rest.get(1) == Some(&b'{') => {
                let len = interpolation_len(rest).unwrap_or(rest.len());
                out.extend(&rest[..len]);
                at += len;
            }
            b'\\' if quoted => match escape(rest) {
                Some((c, len)) => {
                    out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                    at += len;
                }
                None => {
                    out.extend(b"\\");
                    at += 1;
                }
            },
            _ => {
                let plain = |b: &&u8| !matches!(b, b'$' | b'%' | b'\\');
                let len = rest.iter().take_while(plain).count().max(1);
                out.extend(&rest[..len]);
                at += len;
            }
        }
    }
    out
}

/// The lines of a heredoc; an indented one without what indents them all.
fn heredoc(source: &[u8]) -> Option<SecretBytes> {
    let first = memchr::memchr(b'\n', source)?;
    let last = memchr::memrchr(b'\n', source)?;
    // Nothing but the marker behind the first line: no lines.
    let body = source.get(first + 1..=last).unwrap_or_default();
    if !source.starts_with(b"<<-") {
        return Some(literal(body, false));
    }
    let indent = |line: &[u8]| line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let lines = || body.split_inclusive(|b| *b == b'\n');
    let shared = lines().filter(|line| !line.trim_ascii().is_empty()).map(indent).min();
    let shared = shared.unwrap_or(0);
    let mut dedented = SecretBytes::with_capacity(body.len());
    for line in lines() {
        dedented.extend(&line[shared.min(indent(line))..]);
    }
    Some(literal(&dedented, false))
}

/// A spelling of `value` as a string in which nothing is interpolated. In a block comment it must
/// not end the comment.
pub(super) fn encode(value: &[u8], context: Context) -> Option<SecretBytes> {
    let value = std::str::from_utf8(value).ok()?;
    let mut out = SecretBytes::with_capacity(value.len() + 2);
    out.extend(b"\"");
    let mut before = '"';
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.extend(b"\\\""),
            '\\' => out.extend(b"\\\\"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            '/' if before == '*' && context == Context::BLOCK_COMMENT => out.extend(b"\\u002f"),
            // Readers differ on three in a row.
            '$' | '%' if chars.peek() == Some(&'{') && before == c => {
                out.extend(format!("\\u{:04x}", u32::from(c)).as_bytes());
            }
            '$' | '%' if chars.peek() == Some(&'{') => out.extend(&[c as u8, c as u8]),
            c if c.is_ascii_control() => out.extend(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        before = c;
    }
    out.extend(b"\"");
    Some(out)
}
