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
