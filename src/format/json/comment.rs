//! Commented-out members and elements in JSON, line by line.
//!
//! A line is read tolerantly: it may open what it does not close and the reverse, its keys may
//! be unquoted, and words may follow. Only `key: scalar` counts, and in an array a scalar by
//! itself, if nothing but JSON stands on the line.

use super::scalar;
use super::walk::{Frame, Tok, TokKind, comment_line};
use crate::format::{Context, Site};
use crate::span::Span;

/// Appends the sites of the comment at `span`, which stands in `base`.
pub(super) fn scan(text: &[u8], span: Span, block: bool, base: &Frame, sites: &mut Vec<Site>) {
    let (context, inner) = if block {
        (Context::BLOCK_COMMENT, Span::new(span.start + 2, span.end - 2))
    } else {
        (Context::COMMENT, Span::new(span.start + 2, span.end))
    };
    let mut at = inner.start;
    for line in inner.of(text).split(|b| matches!(b, b'\n' | b'\r')) {
        let end = at + line.len();
        let marker = if block { b'*' } else { b'/' };
        let blank = |b: &u8| *b == marker || b.is_ascii_whitespace();
        at += line.iter().take_while(|b| blank(b)).count();
        while at < end {
            let lexed = lex(&text[..end], at);
            let base = base.clone();
            sites.extend(comment_line(text, &lexed.toks, base, context, lexed.clean));
            at = lexed.end;
        }
        at = end + 1;
    }
}

/// The tokens of a line, up to a further comment on it or to what is no JSON.
struct Lexed {
    toks: Vec<Tok>,
    /// Whether all of it was JSON.
    clean: bool,
    /// Where to go on.
    end: usize,
}

/// How many brackets a line may open: paths are as deep, and deep ones are dropped recursively.
const MOST_OPENED: usize = 256;

/// Lexes `line` from `at`. Whether a token is taken depends on nothing within the one before it.
fn lex(line: &[u8], mut at: usize) -> Lexed {
    let mut toks = Vec::new();
    let mut opened = 0;
    while at < line.len() {
        let (kind, end) = match line[at] {
            b' ' | b'\t' => {
                at += 1;
                continue;
            }
            b'/' if line[at..].starts_with(b"//") => {
                return Lexed { toks, clean: true, end: at + 2 };
            }
            b'{' | b'[' if opened == MOST_OPENED => break,
            b'{' => (TokKind::OpenObject, at + 1),
            b'[' => (TokKind::OpenArray, at + 1),
            b'}' | b']' => (TokKind::Close, at + 1),
            b',' => (TokKind::Comma, at + 1),
            b':' => (TokKind::Colon, at + 1),
            b'"' | b'\'' => match scalar::string_end(line, at) {
                Some(end) if scalar::decode(&line[at..end]).is_some() => (TokKind::String, end),
                _ => break,
            },
            _ => {
                let len = line[at..].iter().take_while(|b| is_word_byte(**b)).count();
                let word = &line[at..at + len];
                let after = line[at + len..].trim_ascii_start().first();
                if after == Some(&b':') && is_bare_key(word) {
                    (TokKind::Word, at + len)
                } else if scalar::is_word(word) || scalar::is_number(word) {
                    (TokKind::Literal, at + len)
                } else {
                    break;
                }
            }
        };
        opened += usize::from(matches!(kind, TokKind::OpenObject | TokKind::OpenArray));
        toks.push(Tok { kind, span: Span::new(at, end) });
        at = end;
    }
    Lexed { toks, clean: at == line.len(), end: line.len() }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_$-+.".contains(&byte) || !byte.is_ascii()
}

fn is_bare_key(word: &[u8]) -> bool {
    word.first().is_some_and(|b| b.is_ascii_alphabetic() || b"_$".contains(b))
        && word.iter().all(|b| b.is_ascii_alphanumeric() || b"_$-".contains(b))
}
