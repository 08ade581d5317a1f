//! What a source stands for, and how a value is spelled.

use super::dialect::{Dialect, Quoting, Reader, Values};
use super::value::{self, Place};
use super::words;
use crate::format::Context;
use crate::format::line::{line_end, misplaced, skip_blanks, trimmed};
use crate::secret::SecretBytes;
use crate::span::Span;

/// A word in a list of assignments.
pub(super) const WORD: Context = Context(3);
/// The same in a comment; systemd has none of several lines.
pub(super) const COMMENTED_WORD: Context = Context::BLOCK_COMMENT;

/// See [`crate::format::Codec::decode`].
pub(super) fn decode(source: &[u8], context: Context, dialect: &Dialect) -> Option<SecretBytes> {
    if misplaced(source).is_some() {
        return None;
    }
    let is_one_line = !source.contains(&b'\n');
    match context {
        Context::ORDINARY => ordinary(source, dialect).flatten(),
        Context::COMMENT if is_one_line => {
            let raw = || (trimmed(source) == source).then(|| source.into());
            ordinary(source, dialect).unwrap_or_else(raw)
        }
        Context::COMMENT => {
            let plain = uncommented(source)?;
            Some(ordinary(&plain, dialect).flatten().unwrap_or(plain))
        }
        WORD => words::decode(source),
        COMMENTED_WORD if is_one_line => words::decode(source),
        _ => None,
    }
}

/// The lines of a value in comments without their marks.
fn uncommented(source: &[u8]) -> Option<SecretBytes> {
    let mut out = SecretBytes::with_capacity(source.len());
    for (n, line) in source.split(|b| *b == b'\n').enumerate() {
        let start = skip_blanks(line, 0);
        let marks = line[start..].iter().take_while(|b| matches!(b, b';' | b'#')).count();
        match (n, marks) {
            (0, _) => out.extend(line),
            (_, 0) => return None,
            _ => {
                out.extend(b"\n");
                out.extend(&line[start + marks..]);
            }
        }
    }
    Some(out)
}

/// The value of `source` outside of comments: the outer `None` where it is not read at all, the
/// inner where it is more or less than one value.
#[expect(clippy::option_option, reason = "a comment may hold what is not read at all")]
fn ordinary(source: &[u8], dialect: &Dialect) -> Option<Option<SecretBytes>> {
    let place = Place { at: 0, end: line_end(source, 0), indent: 0, nests: true };
    let found = value::find(source, place, dialect.values).ok()?;
    if found.span != Span::new(0, source.len()) {
        return Some(None);
    }
    let taken = &source[..found.taken];
    Some(Some(match dialect.values {
        Values::Any => any(taken),
        Values::Indented => unindented(taken),
        Values::Continued => joined(taken),
        Values::Quoted(Quoting { reader: Reader::Git, .. }) => git(taken),
        Values::Quoted(Quoting { reader: Reader::Mysql, .. }) => mysql(taken),
        Values::Quoted(Quoting { reader: Reader::Php, .. }) => php(taken),
        Values::Go => go(taken),
    }))
}

/// `text` between two quotes that have none of their kind between them.
fn between<'a>(text: &'a [u8], quotes: &[u8]) -> Option<&'a [u8]> {
    match text {
        [open, inner @ .., close] if open == close && quotes.contains(open) => {
            (!inner.contains(open)).then_some(inner)
        }
        _ => None,
    }
}

fn any(source: &[u8]) -> SecretBytes {
    let first = &source[..line_end(source, 0)];
    if let Some(quote) = value::open_quote(trimmed(first))
        && let Some(inner) = source.strip_suffix(quote)
        && memchr::memmem::find(&inner[quote.len()..], quote).is_none()
    {
        return inner[quote.len()..].into();
    }
    if first.len() < source.len() {
        return unindented(source);
    }
    let quoted = || {
        let quote = source.first().filter(|b| matches!(b, b'"' | b'\''))?;
        let close = 1 + memchr::memchr(*quote, &source[1..])?;
        let next = skip_blanks(source, close + 1);
        // A comment behind the quotes.
        let is_clean = next == source.len() || (next > close + 1 && b";#".contains(&source[next]));
        is_clean.then_some(&source[1..close])
    };
    quoted().unwrap_or(source).into()
}

fn unindented(source: &[u8]) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(source.len());
    for (n, line) in source.split(|b| *b == b'\n').enumerate() {
        let line = trimmed(line);
        if n > 0 && matches!(line.first(), Some(b'#' | b';')) {
            continue;
        }
        if n > 0 {
            out.extend(b"\n");
        }
        out.extend(line);
    }
    out
}

/// Comments between the lines stay: what they hold is judged with the value.
fn joined(source: &[u8]) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(source.len());
    let mut lines = source.split(|b| *b == b'\n').peekable();
    while let Some(line) = lines.next() {
        let content = &line[..line.len() - line.iter().rev().take_while(|b| **b == b'\r').count()];
        match content {
            [front @ .., b'\\'] if lines.peek().is_some() => {
                out.extend(front);
                out.extend(b" ");
            }
            _ => {
                out.extend(line);
                if lines.peek().is_some() {
                    out.extend(b"\n");
                }
            }
        }
    }
    out
}

fn git(source: &[u8]) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(source.len());
    let mut bytes = source.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'"' => continue,
            b'\\' => match bytes.next() {
                Some(b'\r') => {
                    bytes.next();
                    continue;
                }
                None | Some(b'\n') => continue,
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'b') => 0x08,
                Some(byte) => byte,
            },
            byte => byte,
        };
        out.extend(&[byte]);
    }
    out
}

fn mysql(source: &[u8]) -> SecretBytes {
    let inner = match source {
        [open @ (b'"' | b'\''), inner @ .., close] if open == close => inner,
        _ => source,
    };
    let mut out = SecretBytes::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        let byte = match (inner[at], inner.get(at + 1)) {
            (b'\\', Some(b'n')) => b'\n',
            (b'\\', Some(b't')) => b'\t',
            (b'\\', Some(b'r')) => b'\r',
            (b'\\', Some(b'b')) => 0x08,
            (b'\\', Some(b's')) => b' ',
            (b'\\', Some(byte @ (b'"' | b'\'' | b'\\'))) => *byte,
            (byte, _) => {
                out.extend(&[byte]);
                at += 1;
                continue;
            }
        };
        out.extend(&[byte]);
        at += 2;
    }
    out
}

/// Constants, operators, variables, and quotes in pieces are left as they are spelled.
fn php(source: &[u8]) -> SecretBytes {
    if let Some(inner) = between(source, b"'") {
        return inner.into();
    }
    let [b'"', inner @ .., b'"'] = source else { return source.into() };
    let mut out = SecretBytes::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        match (inner[at], inner.get(at + 1)) {
            (b'"', _) => return source.into(),
            (b'\\', Some(byte @ (b'"' | b'\\' | b'$'))) => {
                out.extend(&[*byte]);
                at += 1;
            }
            (byte, _) => out.extend(&[byte]),
        }
        at += 1;
    }
    out
}

fn go(source: &[u8]) -> SecretBytes {
    if let Some(quote) = value::go_quote(source) {
        return source[quote.len()..source.len() - quote.len()].into();
    }
    if let Some(line) = source.split(|b| *b == b'\n').next()
        && line.len() < source.len()
    {
        debug_assert!(trimmed(line).ends_with(b"\\"));
        let mut out = SecretBytes::with_capacity(source.len());
        for line in source.split(|b| *b == b'\n') {
            let line = trimmed(line);
            out.extend(line.strip_suffix(b"\\").unwrap_or(line));
        }
        return out;
    }
    let source = source.strip_suffix(b"\\").unwrap_or(source);
    between(source, b"\"'").unwrap_or(source).into()
}

/// See [`crate::format::Codec::encode`].
pub(super) fn encode(
    value: &[u8],
    context: Context,
    column: usize,
    dialect: &Dialect,
) -> Option<SecretBytes> {
    // Of the readers that `Any` stands for, each takes several lines otherwise.
    let may_break = context == Context::ORDINARY && !matches!(dialect.values, Values::Any);
    // What is tolerated in a comment is not written there.
    let within = if context == Context::COMMENT { Context::ORDINARY } else { context };
    let by_indent = matches!(dialect.values, Values::Indented) && context == Context::ORDINARY;
    let goes_on = |source: &[u8]| source.ends_with(b"\\") && !by_indent;
    spellings(value, context, column, dialect).into_iter().find(|source| {
        !goes_on(source)
            && (may_break || !source.contains(&b'\n'))
            && decode(source, within, dialect).is_some_and(|decoded| *decoded == *value)
    })
}

/// How `value` might be spelled, best first.
fn spellings(value: &[u8], context: Context, column: usize, dialect: &Dialect) -> Vec<SecretBytes> {
    let bare = || SecretBytes::from(value);
    let within = |quote: &[u8]| {
        let mut out = SecretBytes::with_capacity(value.len() + 2 * quote.len());
        [quote, value, quote].into_iter().for_each(|part| out.extend(part));
        out
    };
    // A quote that is open in a comment above would close here.
    if context == Context::COMMENT && value.iter().any(|b| b"\"'`".contains(b)) {
        return Vec::new();
    }
    if context == WORD || context == COMMENTED_WORD {
        return vec![words::encode(value)];
    }
    match dialect.values {
        Values::Any => vec![bare(), within(b"\""), within(b"'")],
        Values::Indented => vec![indented(value, column.max(1))],
        Values::Continued => vec![bare()],
        Values::Quoted(Quoting { reader, .. }) => {
            let quoted = quoted(value, *reader);
            // A quote might take what follows for a part of the value, and bare, PHP might take it
            // for a constant or an operation.
            let is_plain = !value.iter().any(|b| matches!(b, b'"' | b'\''));
            match is_plain && !value.is_empty() && *reader != Reader::Php {
                true => vec![bare(), quoted],
                false => vec![quoted],
            }
        }
        Values::Go if value.is_empty() => vec![within(b"\"")],
        Values::Go if context == Context::COMMENT => vec![bare(), within(b"\"")],
        Values::Go => vec![bare(), within(b"\""), within(b"\"\"\""), within(b"`")],
    }
}

fn indented(value: &[u8], column: usize) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(value.len());
    for (n, line) in value.split(|b| *b == b'\n').enumerate() {
        if n > 0 {
            out.extend(b"\n");
            if !line.is_empty() {
                out.extend(&vec![b' '; column]);
            }
        }
        out.extend(line);
    }
    out
}

fn quoted(value: &[u8], reader: Reader) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(value.len() + 2);
    out.extend(b"\"");
    for (at, byte) in value.iter().enumerate() {
        match (byte, reader) {
            (b'"' | b'\\', _) => out.extend(&[b'\\', *byte]),
            (b'\n', Reader::Git | Reader::Mysql) => out.extend(b"\\n"),
            (b'\r', Reader::Mysql) => out.extend(b"\\r"),
            (b'$', Reader::Php) if value.get(at + 1) == Some(&b'{') => out.extend(b"\\$"),
            _ => out.extend(&[*byte]),
        }
    }
    out.extend(b"\"");
    out
}
