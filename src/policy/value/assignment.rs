//! Assignments within a value: `NAME=VALUE` as variables are set for a program, `--name=VALUE` and
//! `--name VALUE` as it is given options. Whether a name is a secret's is judged elsewhere.
//!
//! Must stay true: time is linear in the value's length; names and values are in order and apart.

use crate::span::Span;

/// A name, and what is assigned to it, without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct Assignment {
    pub name: Span,
    pub value: Span,
}

/// No name is longer, in bytes.
const LONGEST: usize = 128;

/// The assignments in `text`, in order.
pub(in crate::policy) fn assignments(text: &[u8]) -> impl Iterator<Item = Assignment> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let start = at;
            if let Some(found) = one(text, start) {
                at = found.value.end.max(start + 1);
                return Some(found);
            }
            at = next_word(text, start);
        }
        None
    })
}

/// Where a word may begin: behind white space, a comma, a semicolon or a quote.
fn next_word(text: &[u8], start: usize) -> usize {
    text[start..].iter().position(|b| separates(*b)).map_or(text.len(), |len| start + len + 1)
}

fn separates(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'"' | b'\'')
}

fn one(text: &[u8], start: usize) -> Option<Assignment> {
    let quote = start.checked_sub(1).map(|at| text[at]).filter(|b| matches!(b, b'"' | b'\''));
    let dashes = text[start..].iter().take(2).take_while(|b| **b == b'-').count();
    let is_option = dashes == 2;
    let is_name = |b: &u8| match is_option {
        true => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'),
        // Anything may stand in front of a `=`; variables are written in capitals.
        false => b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_',
    };
    let name_start = start + if is_option { 2 } else { 0 };
    let len = text[name_start..].iter().take(LONGEST).take_while(|b| is_name(b)).count();
    let name = Span::new(name_start, name_start + len);
    if name.is_empty() {
        return None;
    }
    let value_start = match text.get(name.end)? {
        b'=' => name.end + 1,
        b' ' if is_option => {
            let blanks = text[name.end..].iter().take_while(|b| **b == b' ').count();
            let next = name.end + blanks;
            // The next option: this one is a switch.
            if text.get(next) == Some(&b'-') {
                return None;
            }
            next
        }
        _ => return None,
    };
    Some(Assignment { name, value: value(text, value_start, quote) })
}

/// The value that begins at `start`; `around` is the quote before its name.
fn value(text: &[u8], start: usize, around: Option<u8>) -> Span {
    let own = text.get(start).copied().filter(|b| matches!(b, b'"' | b'\''));
    if let Some(quote) = own.or(around) {
        let start = start + usize::from(own.is_some());
        let len = text[start..].iter().position(|b| *b == quote);
        return Span::new(start, len.map_or(text.len(), |len| start + len));
    }
    // A comma ends it where another variable follows, else it may be the value's own.
    let ends = |at: &usize| match text[*at] {
        b';' => true,
        b',' => begins_variable(&text[at + 1..]),
        byte => byte.is_ascii_whitespace(),
    };
    Span::new(start, (start..text.len()).find(ends).unwrap_or(text.len()))
}

fn begins_variable(text: &[u8]) -> bool {
    let is_name = |b: &&u8| b.is_ascii_uppercase() || b.is_ascii_digit() || **b == b'_';
    let len = text.iter().take(LONGEST).take_while(is_name).count();
    len > 0 && text.get(len) == Some(&b'=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{assert_linear, repeated};

    fn found(text: &str) -> Vec<String> {
        let text = text.as_bytes();
        let show = |span: Span| String::from_utf8_lossy(span.of(text)).into_owned();
        assignments(text).map(|a| format!("{}={}", show(a.name), show(a.value))).collect()
    }

    #[test]
    fn variables_and_options_are_told_apart() {
        for (text, expected) in [
            ("API_TOKEN=abc", &["API_TOKEN=abc"][..]),
            (
                "\"DB_PASSWORD=quite right\" \"DB_USER=x\"",
                &["DB_PASSWORD=quite right", "DB_USER=x"],
            ),
            ("HOME=\"/srv\",API_TOKEN=\"a b\",X=1", &["HOME=/srv", "API_TOKEN=a b", "X=1"]),
            ("A=1,2,B=3", &["A=1,2", "B=3"]),
            ("run --requirepass fast --appendonly yes", &["requirepass=fast", "appendonly=yes"]),
            ("--session-secret=s3", &["session-secret=s3"]),
            ("--quiet --token t", &["token=t"]),
            ("export A_B='c d'; x", &["A_B=c d"]),
            ("a=b url?TOKEN=x -p", &[]),
            ("--", &[]),
            ("--token", &[]),
            ("TOKEN=", &["TOKEN="]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn a_hostile_value_takes_linear_time() {
        for piece in ["A=", "--a ", "--", "A=\"", ",A", "A=,", "A=,A", "\"", "-- -"] {
            assert_linear(
                piece,
                |len| repeated(piece, len),
                |text| _ = assignments(text.as_bytes()).count(),
            );
        }
    }
}
