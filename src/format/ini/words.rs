//! The words of a systemd setting that is a list of assignments: `Environment=A=1 "B=two words"`.

use crate::format::line::{is_blank, line_end, skip_blanks};
use crate::secret::SecretBytes;
use crate::span::Span;

/// Whether the setting `key` is such a list.
pub(super) fn is_list(key: &[u8]) -> bool {
    [&b"Environment"[..], b"DefaultEnvironment", b"ManagerEnvironment"].contains(&key)
}

/// A word of a list, or a comment between two.
pub(super) enum Item {
    Word(Span),
    /// From its mark to the end of its line.
    Comment(Span),
}

/// The items of the value at `value`. A quote that does not close takes the rest.
pub(super) fn split(text: &[u8], value: Span) -> Vec<Item> {
    let text = &text[..value.end];
    let mut items = Vec::new();
    let mut at = value.start;
    let mut line_start = false;
    while at < text.len() {
        match text[at] {
            b'\n' => line_start = true,
            b'\\' if continuation(text, at).is_some() => {}
            b'#' | b';' if line_start => {
                let end = line_end(text, at);
                items.push(Item::Comment(Span::new(at, end)));
                at = end;
                continue;
            }
            byte if is_blank(byte) => {}
            _ => {
                let end = word_end(text, at);
                items.push(Item::Word(Span::new(at, end)));
                line_start = false;
                at = end;
                continue;
            }
        }
        at += 1;
    }
    items
}

/// Behind the line end that the backslash at `at` continues.
fn continuation(text: &[u8], at: usize) -> Option<usize> {
    let behind = at + 1 + text[at + 1..].iter().take_while(|b| **b == b'\r').count();
    (text.get(behind) == Some(&b'\n')).then_some(behind + 1)
}

/// Behind the lines of comments at `at`, which systemd skips within a quoted word too.
fn behind_comments(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(skip_blanks(text, at)), Some(b'#' | b';')) {
        at = (line_end(text, at) + 1).min(text.len());
    }
    at
}

fn word_end(text: &[u8], mut at: usize) -> usize {
    let mut quote = None;
    while at < text.len() {
        match text[at] {
            b'\\' => match continuation(text, at) {
                Some(_) if quote.is_none() => return at,
                Some(behind) => {
                    at = behind_comments(text, behind);
                    continue;
                }
                None => at += 1,
            },
            byte if quote == Some(byte) => quote = None,
            byte @ (b'"' | b'\'') if quote.is_none() => quote = Some(byte),
            byte if quote.is_none() && (is_blank(byte) || byte == b'\n') => return at,
            _ => {}
        }
        at += 1;
    }
    at.min(text.len())
}

/// What systemd takes a word for; itself, where it would refuse it. `None` when `source` is not
/// one word.
pub(super) fn decode(source: &[u8]) -> Option<SecretBytes> {
    if source.is_empty() || is_blank(source[0]) || word_end(source, 0) != source.len() {
        return None;
    }
    Some(unquoted(source).unwrap_or_else(|| source.into()))
}

fn unquoted(source: &[u8]) -> Option<SecretBytes> {
    let mut out = SecretBytes::with_capacity(source.len());
    let mut quote = None;
    let mut at = 0;
    while at < source.len() {
        match source[at] {
            b'\\' => {
                if let Some(behind) = continuation(source, at) {
                    out.extend(b" ");
                    at = behind_comments(source, behind);
                    continue;
                }
                let (byte, len) = escape(&source[at + 1..])?;
                out.extend(&[byte]);
                at += len;
            }
            byte if quote == Some(byte) => quote = None,
            byte @ (b'"' | b'\'') if quote.is_none() => quote = Some(byte),
            byte => out.extend(&[byte]),
        }
        at += 1;
    }
    quote.is_none().then_some(out)
}

/// The byte that an escape stands for, and its length behind the backslash.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let number = |digits: &[u8], radix| {
        let digits = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
        u8::from_str_radix(digits, radix).ok().filter(|byte| *byte != 0)
    };
    Some(match text {
        [b'a', ..] => (0x07, 1),
        [b'b', ..] => (0x08, 1),
        [b'f', ..] => (0x0c, 1),
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [b'v', ..] => (0x0b, 1),
        [b's', ..] => (b' ', 1),
        [c @ (b'\\' | b'"' | b'\''), ..] => (*c, 1),
        [b'x', a, b, ..] => (number(&[*a, *b], 16)?, 3),
        [a @ b'0'..=b'3', b, c, ..] => (number(&[*a, *b, *c], 8)?, 3),
        _ => return None,
    })
}

/// The word for `value`, on one line.
pub(super) fn encode(value: &[u8]) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(value.len() + 2);
    out.extend(b"\"");
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend(&[b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            byte => out.extend(&[*byte]),
        }
    }
    out.extend(b"\"");
    out
}
