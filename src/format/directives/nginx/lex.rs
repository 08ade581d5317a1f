//! Words and statements.

use crate::format::directives::words::{BEHIND, UNCLOSED};
use crate::span::Span;

/// How a statement ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Semicolon,
    /// With a block, which begins behind it.
    Brace,
}

/// A statement, or the head of a block.
pub(super) struct Statement {
    /// At least one.
    pub words: Vec<Span>,
    pub ending: Ending,
    /// Behind its `;` or `{`.
    pub end: usize,
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

pub(super) fn skip_blanks(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|b| is_blank(**b)).count()
}

pub(super) fn line_end(text: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |len| at + len)
}

/// The statement that begins at `at`, where a word does.
pub(super) fn statement(text: &[u8], mut at: usize) -> Result<Statement, (usize, &'static str)> {
    let mut words = Vec::new();
    loop {
        at = skip_blanks(text, at);
        let ending = match text.get(at) {
            None => return Err((at, "a statement without an end")),
            Some(b'#') if !words.is_empty() => {
                at = line_end(text, at);
                continue;
            }
            Some(b';') => Some(Ending::Semicolon),
            Some(b'{') => Some(Ending::Brace),
            Some(b'}') => return Err((at, "a `}` within a statement")),
            Some(0) => return Err((at, "a NUL")),
            Some(_) => None,
        };
        match ending {
            Some(_) if words.is_empty() => return Err((at, "a statement without a name")),
            Some(ending) => return Ok(Statement { words, ending, end: at + 1 }),
            None => {
                let end = word_end(text, at)?;
                words.push(Span::new(at, end));
                at = end;
                // `if ($x = "y") {`
                if text[at - 1] != b')' && text.get(at) == Some(&b')') {
                    at = skip_blanks(text, at + 1);
                    if text.get(at) != Some(&b'{') {
                        return Err((at, BEHIND));
                    }
                }
            }
        }
    }
}

/// Where the word at `start` ends.
fn word_end(text: &[u8], start: usize) -> Result<usize, (usize, &'static str)> {
    if matches!(text[start], b'"' | b'\'') {
        let mut at = start + 1;
        loop {
            match text.get(at) {
                None => return Err((start, UNCLOSED)),
                Some(0) => return Err((at, "a NUL")),
                Some(b'\\') => at += 2,
                Some(byte) if *byte == text[start] => break,
                Some(_) => at += 1,
            }
        }
        let next = text.get(at + 1);
        return match next.is_none_or(|b| is_blank(*b) || matches!(b, b';' | b'{' | b')')) {
            true => Ok(at + 1),
            false => Err((at + 1, BEHIND)),
        };
    }
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            // A variable in braces.
            b'$' if text.get(at + 1) == Some(&b'{') => at += 2,
            b';' | b'{' => break,
            0 => return Err((at, "a NUL")),
            byte if is_blank(*byte) => break,
            _ => at += 1,
        }
    }
    Ok(at.min(text.len()))
}

/// Whether `word` stands without quotes.
pub(super) fn is_bare(text: &[u8], word: Span) -> bool {
    !matches!(text.get(word.start), Some(b'"' | b'\''))
}

/// What stands between the quotes of `source`, or all of it, if it is one word.
pub(super) fn inner(source: &[u8]) -> Option<&[u8]> {
    let first = *source.first()?;
    if first == b'}' || first == b'#' || is_blank(first) || word_end(source, 0) != Ok(source.len())
    {
        return None;
    }
    Some(match first {
        b'"' | b'\'' => &source[1..source.len() - 1],
        _ => source,
    })
}
