//! What stands in the line of a comment: marks, a key, a value, a comment behind it.

use crate::format::Context;
use crate::format::yaml::{events, scalar};
use crate::span::Span;

/// The column of the comment at `start` if nothing stands in front of it in its line.
pub(super) fn own_line(text: &[u8], start: usize) -> Option<usize> {
    let front = text[..start].iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let before = text[..start - front].last();
    before.is_none_or(|b| matches!(b, b'\n' | b'\r')).then_some(front)
}

/// A line's comment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Where its text begins, behind all marks and blanks.
    pub(super) start: usize,
    /// The column of that.
    pub(super) column: usize,
    /// Where its text ends, without the blanks behind.
    pub(super) trimmed: usize,
    /// Where the line ends.
    pub(super) end: usize,
}

impl Line {
    /// The comment whose mark stands at `start`, in `column`.
    pub(super) fn at(text: &[u8], start: usize, column: usize) -> Self {
        let len = text[start..].iter().take_while(|b| !matches!(b, b'\n' | b'\r')).count();
        let end = start + len;
        let marks = text[start..end].iter().take_while(|b| **b == b'#').count();
        let blanks = text[start + marks..end].iter().take_while(|b| is_blank(**b)).count();
        let body = start + marks + blanks;
        let trimmed = body + text[body..end].trim_ascii_end().len();
        Self { start: body, column: column + marks + blanks, trimmed, end }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.trimmed <= self.start
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Where the line behind the break at `end` begins.
pub(super) fn next_line(text: &[u8], end: usize) -> Option<usize> {
    match text.get(end..)? {
        [b'\r', b'\n', ..] => Some(end + 2),
        [_, ..] => Some(end + 1),
        [] => None,
    }
}

/// The key that `text` begins with, and where its value begins.
pub(super) fn key(text: &[u8]) -> Option<(Box<[u8]>, usize)> {
    let quoted = matches!(text.first()?, b'"' | b'\'');
    let len = match text[0] {
        _ if quoted => closed(text, 0, text.len())?,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'$' | b'.' | b'/' | 0x80.. => {
            text.iter().take_while(|b| is_key_byte(**b)).count()
        }
        _ => return None,
    };
    let colon = text.get(len) == Some(&b':');
    if !colon || !text.get(len + 1).is_none_or(|b| is_blank(*b)) {
        return None;
    }
    let blanks = text[len + 1..].iter().take_while(|b| is_blank(**b)).count();
    let key = match quoted {
        false => text[..len].into(),
        true => scalar::decode(&text[..len], Context::COMMENT)?[..].into(),
    };
    Some((key, len + 1 + blanks))
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.$/@+~".contains(&byte) || !byte.is_ascii()
}

/// Where the quoted text at `at` ends, if it ends before `end`.
pub(super) fn closed(text: &[u8], at: usize, end: usize) -> Option<usize> {
    let quote = text[at];
    let mut next = at + 1;
    while next < end {
        match text[next] {
            b'\\' if quote == b'"' => next += 2,
            byte if byte != quote => next += 1,
            _ if quote == b'\'' && text[..end].get(next + 1) == Some(&quote) => next += 2,
            _ => return Some(next + 1),
        }
    }
    None
}

/// How far the value at `at` goes in its line, and where the mark of a comment behind it stands.
pub(super) fn extent(text: &[u8], at: usize, end: usize) -> (Span, Option<usize>) {
    if matches!(text[at], b'"' | b'\'') {
        if let Some(close) = closed(text, at, end) {
            // A comma stands behind what was in a flow collection.
            let behind = close + usize::from(text[close..end].starts_with(b","));
            let tail = comment_at(text, behind, end);
            if behind == end || tail.is_some() {
                return (Span::new(at, close), tail);
            }
        }
        return (Span::new(at, end), None);
    }
    let mark = (at + 1..end).find(|n| text[*n] == b'#' && is_blank(text[*n - 1]));
    match mark {
        None => (Span::new(at, end), None),
        Some(mark) => (Span::new(at, at + text[at..mark].trim_ascii_end().len()), Some(mark)),
    }
}

/// The mark of the comment that, behind blanks, begins at `at`.
pub(super) fn comment_at(text: &[u8], at: usize, end: usize) -> Option<usize> {
    let blanks = text[at..end].iter().take_while(|b| is_blank(**b)).count();
    (blanks > 0 && at + blanks < end && text[at + blanks] == b'#').then_some(at + blanks)
}

/// Whether `source` is the header of a block scalar.
pub(super) fn is_header(source: &[u8]) -> bool {
    events::header_text(source).len() == source.len()
}

/// Whether what stands behind a dash is a value, not the words of a list.
pub(super) fn is_element(text: &[u8]) -> bool {
    match text[0] {
        b'"' | b'\'' | b'[' | b'{' => true,
        _ => {
            let (span, _) = extent(text, 0, text.len());
            !span.of(text).iter().any(|b| is_blank(*b))
        }
    }
}
