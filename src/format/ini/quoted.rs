//! Values with quotes and comments, as git, MySQL and PHP take them.

use super::dialect::{Open, Quoting};
use super::value::Found;
use crate::format::line::{is_blank, line_end};
use crate::span::Span;

/// The value at `at`, behind its separator.
pub(super) fn find(text: &[u8], at: usize, quoting: &Quoting) -> Result<Found, &'static str> {
    let mut value = Value { start: None, end: at, cut: None };
    let mut quote = None;
    let mut blank = false;
    let mut now = at;
    // Where a token stands if there is no value.
    let mut place = at;
    while let Some(byte) = text.get(now).copied() {
        let next = text.get(now + 1).copied();
        if byte == b'\n' {
            match (quote, quoting.open) {
                (None, _) | (_, Open::Line) => break,
                (_, Open::Error) => return Err("a quote that does not close on its line"),
                (_, Open::Lines) => {}
            }
        } else if byte == b'\\' && quoting.backslashes {
            match after_backslash(text, now) {
                Some(behind) if text[behind - 1] == b'\n' => {
                    blank = true;
                    now = behind;
                    place = behind;
                    continue;
                }
                Some(behind) => {
                    value.extend(now, behind);
                    blank = false;
                    now = behind;
                    continue;
                }
                None => return Err("a backslash that escapes nothing"),
            }
        } else if let Some(open) = quote {
            if byte == b'\\' && quoting.escaping.contains(&open) && next.is_some_and(|b| b != b'\n')
            {
                value.extend(now, now + 2);
                now += 2;
                continue;
            }
            if byte == open {
                quote = None;
            }
        } else if quoting.marks.contains(&byte) {
            if !blank {
                value.extend(now, now + 1);
                value.cut = Some(now);
                value.end = before_comment(text, now, quoting);
            } else if value.start.is_none() {
                // A token right behind the separator keeps the blank in front of the comment.
                return Ok(Found::new(at, at));
            }
            return Ok(value.found(text, place));
        } else if quoting.quotes.contains(&byte) {
            quote = Some(byte);
        }
        blank = quote.is_none() && is_blank(byte);
        if !is_blank(byte) || quote.is_some() {
            value.extend(now, now + 1);
        } else if value.start.is_none() && byte != b'\r' {
            place = now + 1;
        }
        now += 1;
    }
    match quote {
        Some(_) if quoting.open != Open::Line => Err("a quote that does not close"),
        // It quoted the blanks behind it, but no reader keeps those.
        _ => Ok(value.found(text, place)),
    }
}

struct Value {
    start: Option<usize>,
    end: usize,
    /// Where a comment begins for its reader, within the source.
    cut: Option<usize>,
}

impl Value {
    fn extend(&mut self, from: usize, to: usize) {
        self.start.get_or_insert(from);
        self.end = to;
    }

    fn found(&self, text: &[u8], place: usize) -> Found {
        let Some(start) = self.start else { return Found::new(place, place) };
        let end = crate::format::line::trimmed_end(text, start, self.end);
        let taken = self.cut.unwrap_or(end);
        Found { span: Span::new(start, end), taken: taken - start }
    }
}

/// Where a source ends in which a comment begins at `at` without a blank: in front of one that
/// begins with a blank, else with the line.
fn before_comment(text: &[u8], at: usize, quoting: &Quoting) -> usize {
    let end = line_end(text, at);
    (at + 1..end)
        .find(|now| quoting.marks.contains(&text[*now]) && is_blank(text[now - 1]))
        .unwrap_or(end)
}

/// Behind what the backslash at `at` escapes; `None` where git knows no such escape.
fn after_backslash(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at + 1)? {
        b'n' | b't' | b'b' | b'"' | b'\\' | b'\n' => Some(at + 2),
        b'\r' if text.get(at + 2) == Some(&b'\n') => Some(at + 3),
        _ => None,
    }
}
