//! Commented-out attributes and items, line by line: `name = value`, where the value is HCL, may
//! leave brackets open, or is the rest of the line.
//!
//! What must stay true: how a line is read depends on nothing within the values found in it.

use super::lex::{self, Tok, TokKind};
use super::scalar;
use super::walk::Walk;
use crate::format::Context;
use crate::format::outline::{Outline, PlaceId, Step};
use crate::span::Span;

/// How many comments within one line are read (`# a = 1 # b = 2`).
const NESTED: usize = 8;

/// Appends what stands in the comment `tok`, which stands in `place`.
pub(super) fn scan<'t>(text: &'t [u8], tok: Tok, outline: &mut Outline<'t>, place: PlaceId) {
    let (context, inner) = match tok.kind {
        TokKind::BlockComment => {
            (Context::BLOCK_COMMENT, Span::new(tok.span.start + 2, tok.span.end - 2))
        }
        _ => (Context::COMMENT, tok.span),
    };
    let mut at = inner.start;
    for line in inner.of(text).split(|b| matches!(b, b'\n' | b'\r')) {
        let end = at + line.len();
        let mut line = Line { text: &text[..end], outline, place, context };
        for _ in 0..NESTED {
            match line.assignment(at) {
                Some(note) => at = note,
                None => break,
            }
        }
        at = end + 1;
    }
}

/// A line of a comment.
struct Line<'t, 'o> {
    /// Up to the end of the line.
    text: &'t [u8],
    outline: &'o mut Outline<'t>,
    place: PlaceId,
    context: Context,
}

impl Line<'_, '_> {
    /// The key at `at`, behind the headers of blocks on this line, and what follows it.
    fn key(&self, at: usize) -> Option<(Tok, Tok)> {
        let mut key = lex::next(self.text, at).ok()?;
        loop {
            let next = lex::next(self.text, key.span.end).ok()?;
            match next.kind {
                TokKind::Ident | TokKind::Text => key = next,
                TokKind::Mark(b'{') => key = lex::next(self.text, next.span.end).ok()?,
                _ => return Some((key, next)),
            }
        }
    }

    /// Reads the assignment at `at`; where a further comment begins, if one does.
    fn assignment(&mut self, at: usize) -> Option<usize> {
        let marker: &[u8] = if self.context == Context::COMMENT { b"#/ \t" } else { b"* \t" };
        let at = at + self.text[at..].iter().take_while(|b| marker.contains(b)).count();
        memchr::memchr2(b'=', b':', &self.text[at..])?;
        let (key, sign) = self.key(at)?;
        let name = match (key.kind, sign.kind) {
            (TokKind::Ident, TokKind::Mark(b'=')) | (TokKind::Text, TokKind::Mark(b'=' | b':')) => {
                scalar::key(key.span.of(self.text))
            }
            _ => return None,
        };
        let rest = &self.text[sign.span.end..];
        let blank = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let value = sign.span.end + blank;
        let len = self.text[value..].trim_ascii_end().len();
        if len == 0 {
            return None;
        }
        let item = self.outline.enter(self.place, Step::Key(name));
        let mark = self.outline.mark();
        let walk = Walk::commented(self.text, value, self.outline, self.place, item, self.context);
        match walk.run() {
            Ok(end) => (end < self.text.len()).then_some(end),
            Err(_) => {
                self.outline.drop_since(mark);
                let rest = Span::new(value, value + len);
                if !matches!(self.text[value], b'[' | b'{' | b'(') {
                    self.outline.add(rest, item, None, self.context);
                }
                None
            }
        }
    }
}
