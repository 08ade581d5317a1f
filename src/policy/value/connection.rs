//! Passwords among `name=value` pairs: ADO and ODBC (`;`), libpq and options (white space),
//! queries (`&`), StackExchange.Redis (`,`), JAAS (quotes).
//!
//! In doubt a part is taken longer: what is sealed too much comes back to the byte, what is
//! sealed too little stands in the clear.

use super::harmless::is_placeholder;
use crate::span::Span;

/// What a name that holds a password ends in, in lower case; anything may stand in front.
const ENDS: [&[u8]; 7] = [
    b"password",
    b"passwd",
    b"pwd",
    b"passphrase",
    b"accountkey",
    b"sharedaccesskey",
    b"sharedaccesssignature",
];

/// Whole names that do so.
const WHOLE: [&[u8]; 2] = [b"pass", b"sharedsecret"];

/// Whole names that do so in the query of a URL.
const QUERY: [&[u8]; 11] = [
    b"access_token",
    b"auth",
    b"auth_token",
    b"token",
    b"api_key",
    b"apikey",
    b"api-key",
    b"secret",
    b"client_secret",
    b"sig",
    b"signature",
];

/// The passwords of `text`, in order.
pub(super) fn passwords(text: &[u8]) -> Vec<Span> {
    let pairs = Pairs { semicolons: text.contains(&b';') };
    let mut found: Vec<Span> = Vec::new();
    let mut from = 0;
    while let Some(len) = text[from..].iter().position(|b| *b == b'=') {
        let equals = from + len;
        from = equals + 1;
        if let Some(span) = pairs.password(text, equals) {
            // Behind the value, password or not: no byte is looked at twice.
            from = span.end.max(from);
            if !span.is_empty() && !is_placeholder(span.of(text)) {
                found.push(span);
            }
        }
    }
    found
}

/// How the pairs of a text are told apart.
struct Pairs {
    /// There is a `;`: values may hold blanks, and names blanks around them.
    semicolons: bool,
}

impl Pairs {
    /// The value of the pair whose `=` is at `equals`, if its name says that it is a password.
    fn password(&self, text: &[u8], equals: usize) -> Option<Span> {
        // A comparison, not a pair.
        if matches!(text.get(equals + 1), Some(b'=' | b'>' | b'~')) {
            return None;
        }
        let mut name_end = equals;
        if self.semicolons {
            name_end = text[..equals].trim_ascii_end().len();
        }
        let name_start = name_start(&text[..name_end]);
        let in_front = name_start.checked_sub(1).map(|at| text[at]);
        let in_query = matches!(in_front, Some(b'?' | b'&'));
        if !is_password_name(&text[name_start..name_end], in_query) {
            return None;
        }
        self.value(text, equals + 1, in_front)
    }

    fn value(&self, text: &[u8], start: usize, in_front: Option<u8>) -> Option<Span> {
        let blanks = text[start..].iter().take_while(|b| **b == b' ').count();
        let start = if self.semicolons { start + blanks } else { start };
        let end_at = |ends: &dyn Fn(u8) -> bool| {
            text[start..].iter().position(|b| ends(*b)).map_or(text.len(), |len| start + len)
        };
        let end = match (text.get(start)?, in_front) {
            (quote @ (b'"' | b'\''), _) => {
                return Some(Span::new(start + 1, quoted_end(text, start + 1, *quote)));
            }
            (b'{', _) if !text[start..].starts_with(b"{{") => {
                return Some(Span::new(start + 1, quoted_end(text, start + 1, b'}')));
            }
            (_, Some(b'?' | b'&')) => end_at(&|b| matches!(b, b'&' | b'#' | b'"') || b <= b' '),
            (_, Some(quote @ (b'"' | b'\''))) => quoted_end(text, start, quote),
            (_, Some(b',')) => end_at(&|b| b == b','),
            _ if self.semicolons => end_at(&|b| b == b';' || b == b'\n'),
            _ => blank_end(text, start),
        };
        Some(Span::new(start, start + text[start..end].trim_ascii_end().len()))
    }
}

fn name_start(text: &[u8]) -> usize {
    /// No name is longer; keeps the whole linear.
    const LONGEST: usize = 128;
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    text.len() - text.iter().rev().take(LONGEST).take_while(|b| is_name(b)).count()
}

fn is_password_name(name: &[u8], in_query: bool) -> bool {
    let name = name.trim_ascii_start();
    let is = |wanted: &&[u8]| name.eq_ignore_ascii_case(wanted);
    let ends = |wanted: &&[u8]| {
        let front = name.len().checked_sub(wanted.len());
        front.is_some_and(|at| name[at..].eq_ignore_ascii_case(wanted))
    };
    ENDS.iter().any(ends) || WHOLE.iter().any(is) || (in_query && QUERY.iter().any(is))
}

/// Where a quoted value ends; a quote that is doubled or escaped goes on.
fn quoted_end(text: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start;
    while at < text.len() {
        match text[at] {
            b'\\' if quote != b'}' => at += 1,
            b if b == quote && text.get(at + 1) == Some(&quote) => at += 1,
            b if b == quote => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Where an unquoted value ends whose text is cut by white space: before the first blank that
/// another pair or an option follows. Else the blank may be the password's own.
fn blank_end(text: &[u8], start: usize) -> usize {
    let mut word = start;
    loop {
        let len = text[word..].iter().position(u8::is_ascii_whitespace);
        let Some(end) = len.map(|len| word + len) else { return text.len() };
        let blanks = text[end..].iter().take_while(|b| b.is_ascii_whitespace()).count();
        word = end + blanks;
        let next = &text[word..];
        let name = next.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let pair = name > 0 && next.get(name) == Some(&b'=');
        if pair || next.starts_with(b"-") || next.is_empty() || text[end..word].contains(&b'\n') {
            return end;
        }
    }
}
