//! The Lua in an nginx configuration: where a block of it ends, and the strings in it.
//!
//! A value is the inside of a string in quotes, under the name that it is assigned to if there is
//! one. Strings in long brackets are not looked into.

use super::site;
use super::words::INSIDE;
use crate::format::{FieldPath, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

/// Appends the strings of the Lua that begins at `at`; returns where the text goes on, behind its
/// closing brace.
pub(super) fn body(
    text: &[u8],
    mut at: usize,
    path: &FieldPath,
    sites: &mut Vec<Site>,
) -> Result<usize, (usize, &'static str)> {
    let start = at;
    let mut depth = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b'"' | b'\'' => {
                let end = closing(text, at).ok_or((at, "a string that does not close"))?;
                let path = match assigned(&text[start..at]) {
                    Some(name) => path.key(name),
                    None => path.element(),
                };
                sites.push(site(&path, Span::new(at + 1, end), INSIDE));
                at = end;
            }
            b'-' if text[at..].starts_with(b"--") => {
                at = match long_bracket(text, at + 2)? {
                    Some(end) => end,
                    None => memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |len| at + len),
                };
                continue;
            }
            b'[' => {
                if let Some(end) = long_bracket(text, at)? {
                    at = end;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Ok(at);
        }
    }
    Err((start, "a block of Lua that is not closed"))
}

/// Where the string that opens at `start` closes; it ends with its line.
fn closing(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match *text.get(at)? {
            b'\\' => at += 2,
            b'\n' | b'\r' => return None,
            byte if byte == text[start] => return Some(at),
            _ => at += 1,
        }
    }
}

/// Behind the string or comment in long brackets at `at`, if one opens there.
fn long_bracket(text: &[u8], at: usize) -> Result<Option<usize>, (usize, &'static str)> {
    let Some(rest) = text.get(at..).and_then(|rest| rest.strip_prefix(b"[")) else {
        return Ok(None);
    };
    let level = rest.iter().take_while(|b| **b == b'=').count();
    if rest.get(level) != Some(&b'[') {
        return Ok(None);
    }
    let close = [&b"]"[..], &b"=".repeat(level), b"]"].concat();
    let len = memchr::memmem::find(&rest[level..], &close);
    let len = len.ok_or((at, "a long bracket that does not close"))?;
    Ok(Some(at + 1 + level + len + close.len()))
}

/// The name in `name =`, at the end of `text`.
fn assigned(text: &[u8]) -> Option<&[u8]> {
    let front = text.trim_ascii_end().strip_suffix(b"=")?.trim_ascii_end();
    /// No name is longer; keeps the whole linear.
    const LONGEST: usize = 128;
    let is_name = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
    let len = front.iter().rev().take(LONGEST).take_while(is_name).count();
    (len > 0).then(|| &front[front.len() - len..])
}

/// What the inside of a string stands for; `None` when it would close it.
pub(super) fn decode(source: &[u8]) -> Option<SecretBytes> {
    let mut out = SecretBytes::with_capacity(source.len());
    let mut at = 0;
    while at < source.len() {
        let (byte, len) = match &source[at..] {
            [b'\n' | b'\r', ..] | [b'\\'] => return None,
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b'r', ..] => (b'\r', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            [b'\\', byte, ..] => (*byte, 2),
            rest => (rest[0], 1),
        };
        out.extend(&[byte]);
        at += len;
    }
    Some(out)
}

/// A spelling of `value` inside a string of either quotes.
pub(super) fn encode(value: &[u8]) -> Option<SecretBytes> {
    let mut out = SecretBytes::with_capacity(value.len());
    for byte in value {
        match byte {
            0 => return None,
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'"' | b'\'' | b'\\' => out.extend(&[b'\\', *byte]),
            byte => out.extend(&[*byte]),
        }
    }
    Some(out)
}
