//! Lines and words, as most programs that read keywords take them apart.
//!
//! What must stay true: a word that begins with a quote ends with it, before a blank or the end of
//! the line, or the line is refused. So a token put in place of one word moves no other.

use crate::format::{Context, ParseError};
use crate::secret::SecretBytes;
use crate::span::Span;

/// The inside of a string whose quotes stand around the value: escapes, and no quotes of its own.
pub(super) const INSIDE: Context = Context(3);

/// What a line is refused for.
pub(super) const UNCLOSED: &str = "a quote that does not close on its line";
pub(super) const BEHIND: &str = "text behind a closing quote";

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

pub(super) fn skip_blanks(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|b| is_blank(**b)).count()
}

/// Each line of `text` that is not blank, without the blanks around it; a byte order mark in front
/// is passed over. A NUL is refused: to a program in C the text ends there.
pub(super) fn lines(text: &[u8]) -> Result<impl Iterator<Item = Span>, ParseError> {
    if let Some(at) = memchr::memchr(0, text) {
        return Err(ParseError::at(text, at, "a NUL"));
    }
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    Ok(std::iter::from_fn(move || {
        while at < text.len() {
            let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |len| at + len);
            let line = trimmed(text, Span::new(at, end));
            at = end + 1;
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }))
}

/// `span` without the blanks at its ends; where it holds nothing else, its end.
pub(super) fn trimmed(text: &[u8], span: Span) -> Span {
    let start = skip_blanks(&text[..span.end], span.start);
    let blanks = text[start..span.end].iter().rev().take_while(|b| is_blank(**b)).count();
    Span::new(start, span.end - blanks)
}

/// The words of `line`, quotes included. A quote also begins a word behind the sigil of a password
/// (`>"two words"`). The error says what is wrong and where.
pub(super) fn words(text: &[u8], line: Span) -> Result<Vec<Span>, (usize, &'static str)> {
    words_behind(b"><", text, line)
}

/// As [`words`], with these sigils.
pub(super) fn words_behind(
    sigils: &[u8],
    text: &[u8],
    line: Span,
) -> Result<Vec<Span>, (usize, &'static str)> {
    let text = &text[..line.end];
    let mut words = Vec::new();
    let mut at = skip_blanks(text, line.start);
    while at < text.len() {
        let opening = match &text[at..] {
            [b'"' | b'\'', ..] => Some(at),
            [sigil, b'"' | b'\'', ..] if sigils.contains(sigil) => Some(at + 1),
            _ => None,
        };
        let end = match opening {
            Some(opening) => {
                let end = closing_quote(text, opening).ok_or((opening, UNCLOSED))? + 1;
                if text.get(end).is_some_and(|b| !is_blank(*b)) {
                    return Err((end, BEHIND));
                }
                end
            }
            None => at + text[at..].iter().take_while(|b| !is_blank(**b)).count(),
        };
        words.push(Span::new(at, end));
        at = skip_blanks(text, end);
    }
    Ok(words)
}

/// Where the quote at `start` closes; a backslash keeps what follows from closing.
pub(super) fn closing_quote(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == text[start] => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// What stands between the quotes of `source`, if it is one quoted word.
pub(super) fn quoted(source: &[u8]) -> Option<&[u8]> {
    let quote = matches!(source.first(), Some(b'"' | b'\''));
    (quote && closing_quote(source, 0) == Some(source.len() - 1))
        .then(|| &source[1..source.len() - 1])
}

/// Whether `source` may be one line's value: nothing that ends a line, no blank at its ends.
pub(super) fn on_one_line(source: &[u8]) -> bool {
    let at_edge = |b: Option<&u8>| b.is_some_and(|b| is_blank(*b));
    !source.iter().any(|b| matches!(b, b'\n' | 0))
        && !at_edge(source.first())
        && !at_edge(source.last())
}

/// Whether `value` is a word without quotes to every dialect.
pub(super) fn is_plain(value: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-./:@%+,~*".contains(b);
    !value.is_empty() && value.iter().all(plain)
}

/// `value` between double quotes, with a backslash before each quote and backslash. `None` when it
/// holds a control character.
pub(super) fn in_quotes(value: &[u8]) -> Option<SecretBytes> {
    let mut out = SecretBytes::with_capacity(value.len() + 2);
    out.extend(b"\"");
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend(&[b'\\', *byte]),
            0..=0x1f | 0x7f => return None,
            _ => out.extend(&[*byte]),
        }
    }
    out.extend(b"\"");
    Some(out)
}

/// Whether a word in a comment is one of prose: letters and the mark that ends a clause.
pub(super) fn is_prose(word: &[u8]) -> bool {
    let Some((last, front)) = word.split_last() else { return true };
    b".,:;!?)".contains(last) && front.iter().all(u8::is_ascii_alphabetic)
}
