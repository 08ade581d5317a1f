//! Tokens that stand for a part of a scalar (`postgres://app:ENC:v1:…@db/shop`).
//!
//! Invariant: a part token never stands at the start of a scalar, and ends at the first byte
//! outside the tokens' alphabet. So where parts begin and end needs no mark of its own.

use crate::span::Span;
use crate::token::{Token, TokenError};

/// The part tokens in `scalar`, in order. Errors when something begins like a token and is none.
pub(super) fn tokens(scalar: &[u8]) -> Result<Vec<(Span, Token)>, TokenError> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = super::part_token_at(scalar, from) {
        let end = token_end(scalar, start);
        found.push((Span::new(start, end), Token::parse(&scalar[start..end])?));
        from = end;
    }
    Ok(found)
}

/// Where the token that begins at `start` ends.
pub(super) fn token_end(text: &[u8], start: usize) -> usize {
    start + text[start..].iter().take_while(|b| is_token_byte(**b)).count()
}

/// Whether `byte` belongs to the alphabet of tokens.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-')
}

/// Whether a token may stand for `span` of the decoded `value`.
pub(super) fn is_separable(value: &[u8], span: Span) -> bool {
    span.start > 0
        && !span.is_empty()
        && span.end <= value.len()
        && value.get(span.end).is_none_or(|next| !is_token_byte(*next))
}

/// Where the decoded `value` stands verbatim in `source`; `None` when it is spelled with escapes.
pub(super) fn verbatim_at(source: &[u8], value: &[u8]) -> Option<usize> {
    let around = source.len().checked_sub(value.len())?;
    [around / 2, 0].into_iter().find(|at| source[*at..].starts_with(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_stands_behind_something_and_ends_where_its_token_does() {
        let value = b"a:secret@h";
        assert!(is_separable(value, Span::new(2, 8)));
        assert!(is_separable(value, Span::new(2, 10)), "up to the end");
        for (start, end) in [(0, 8), (2, 2), (2, 7), (2, 11)] {
            assert!(!is_separable(value, Span::new(start, end)), "{start}..{end}");
        }
    }

    #[test]
    fn a_value_is_found_between_its_quotes_or_not_at_all() {
        assert_eq!(verbatim_at(b"'a b'", b"a b"), Some(1));
        assert_eq!(verbatim_at(b"\"\"\"a\"\"\"", b"a"), Some(3));
        assert_eq!(verbatim_at(b"a b", b"a b"), Some(0));
        assert_eq!(verbatim_at(b"\"\\u0061\"", b"a"), None);
        assert_eq!(verbatim_at(b"a", b"longer"), None);
    }

    #[test]
    fn what_begins_like_a_token_and_is_none_is_an_error() {
        assert_eq!(tokens(b"no token, ENC: or ENC:v2:").unwrap(), []);
        assert!(tokens(b"a ENC:v1:").is_err());
        assert!(tokens(b"a ENC:v1:0011aabb:A@h").is_err());
    }
}
