//! PostgreSQL's configuration, as `guc-file.l` takes it apart: `name [=] value [# comment]`.
//!
//! A value that is no number or plain word stands in single quotes, so a token does too.

use super::words::{is_blank, lines, skip_blanks};
use super::{Dialect, site};
use crate::format::{Context, FieldPath, ParseError, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

pub(super) const DIALECT: Dialect = Dialect { scan, decode, encode, quote: "'" };

fn scan(text: &[u8]) -> Result<Vec<Site>, ParseError> {
    let mut sites = Vec::new();
    for line in lines(text)? {
        let text = &text[..line.end];
        let mut at = line.start;
        if text[at] != b'#' {
            let found = setting(text, at)
                .and_then(|found| behind(text, found.value.end).map(|end| (found, end)));
            let (found, end) = found.map_err(|(at, kind)| ParseError::at(text, at, kind))?;
            let path = FieldPath::root().key(found.name.of(text));
            sites.push(site(&path, found.value, Context::ORDINARY));
            at = end;
        }
        comment(text, at, &mut sites);
    }
    Ok(sites)
}

/// Appends the settings that are commented out at `at`. In a comment, words in a row are prose:
/// there the `=` must stand, or the value in quotes.
fn comment(text: &[u8], mut at: usize, sites: &mut Vec<Site>) {
    while text.get(at) == Some(&b'#') {
        let marks = |b: &&u8| **b == b'#' || is_blank(**b);
        at += text[at..].iter().take_while(marks).count();
        let Ok(found) = setting(text, at) else { return };
        let Ok(end) = behind(text, found.value.end) else { return };
        if !found.has_sign && text[found.value.start] != b'\'' {
            return;
        }
        let path = FieldPath::root().key(found.name.of(text));
        sites.push(site(&path, found.value, Context::COMMENT));
        at = end;
    }
}

struct Setting {
    name: Span,
    value: Span,
    has_sign: bool,
}

fn setting(text: &[u8], at: usize) -> Result<Setting, (usize, &'static str)> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_' || !b.is_ascii();
    let rest = |b: &&u8| first(**b) || b.is_ascii_digit() || matches!(**b, b'.' | b'$');
    if !text.get(at).is_some_and(|b| first(*b)) {
        return Err((at, "not of the form NAME = VALUE"));
    }
    let name = Span::new(at, at + text[at..].iter().take_while(rest).count());
    if text[name.end - 1] == b'.' {
        return Err((name.end, "a name that does not end"));
    }
    let mut start = skip_blanks(text, name.end);
    let has_sign = text.get(start) == Some(&b'=');
    if has_sign {
        start = skip_blanks(text, start + 1);
    }
    let end = match text.get(start) {
        Some(b'\'') => closing(text, start).ok_or((start, "a quote that does not close"))? + 1,
        _ => start + text[start..].iter().take_while(|b| is_bare(**b)).count(),
    };
    if end == start || (!has_sign && start == name.end) {
        return Err((start, "a setting without a value"));
    }
    Ok(Setting { name, value: Span::new(start, end), has_sign })
}

/// Where the comment behind a value begins, or the line ends.
fn behind(text: &[u8], at: usize) -> Result<usize, (usize, &'static str)> {
    let next = skip_blanks(text, at);
    match text.get(next) {
        // A token would run into a comment that follows directly.
        None => Ok(next),
        Some(b'#') => Ok(next),
        Some(_) => Err((next, "text behind a value")),
    }
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-+.:/*".contains(&byte) || !byte.is_ascii()
}

/// Where the quote at `start` closes: not at one that is doubled or behind a backslash.
fn closing(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'\\', _) | (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return Some(at),
            _ => at += 1,
        }
    }
}

fn decode(source: &[u8], _context: Context) -> Option<SecretBytes> {
    if source.first() != Some(&b'\'') {
        let bare = !source.is_empty() && source.iter().all(|b| is_bare(*b));
        return bare.then(|| source.into());
    }
    if closing(source, 0) != Some(source.len() - 1) || source.iter().any(|b| matches!(b, 0 | b'\n'))
    {
        return None;
    }
    let inner = &source[1..source.len() - 1];
    let mut out = SecretBytes::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        let (byte, len) = match &inner[at..] {
            [b'\'', ..] => (b'\'', 2),
            [b'\\', b'b', ..] => (0x08, 2),
            [b'\\', b'f', ..] => (0x0c, 2),
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b'r', ..] => (b'\r', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            [b'\\', digits @ ..] if is_octal(digits.first()) => {
                let digits =
                    &digits[..digits.iter().take(3).take_while(|b| is_octal(Some(b))).count()];
                let byte = digits.iter().fold(0u8, |byte, digit| byte << 3 | (digit & 7));
                (byte, 1 + digits.len())
            }
            [b'\\', byte, ..] => (*byte, 2),
            rest => (rest[0], 1),
        };
        out.extend(&[byte]);
        at += len;
    }
    Some(out)
}

fn is_octal(byte: Option<&u8>) -> bool {
    byte.is_some_and(|b| (b'0'..=b'7').contains(b))
}

fn encode(value: &[u8], _context: Context) -> Option<SecretBytes> {
    if value.contains(&0) {
        return None; // no setting holds one
    }
    let mut out = SecretBytes::with_capacity(value.len() + 2);
    out.extend(b"'");
    for byte in value {
        match byte {
            b'\'' => out.extend(b"''"),
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            byte => out.extend(&[*byte]),
        }
    }
    out.extend(b"'");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::POSTGRESQL;
    use super::super::tests::{check, found};
    use super::*;

    #[test]
    fn settings_are_found_with_their_quotes() {
        check(
            &POSTGRESQL,
            "port = 5432 # (change requires restart)\r\nprimary_conninfo 'host=db password=''x'''\n\
             include_dir='conf.d'#x = 1\nmy.guc = on\nshared_buffers=128MB\nx = -1.5e3\n\
             log_timezone = Etc/UTC\n",
            &[
                "port=5432",
                "primary_conninfo='host=db password=''x'''",
                "include_dir='conf.d'",
                "#x=1",
                "\"my.guc\"=on",
                "shared_buffers=128MB",
                "x=-1.5e3",
                "log_timezone=Etc/UTC",
            ],
        );
    }

    #[test]
    fn settings_in_comments_are_found_and_prose_is_not() {
        check(
            &POSTGRESQL,
            "#ssl_passphrase_command = 'echo x'  # note\n#  restore_command 'cp'\n",
            &["#ssl_passphrase_command='echo x'", "#restore_command='cp'"],
        );
        for prose in [
            "# - Connection Settings -",
            "# password is not set",
            "# name = value",
            "# a = b c",
            "# The default is '/tmp', see below",
            "#x =",
            "#x = 'y",
            "#",
        ] {
            let found = found(&POSTGRESQL, prose).unwrap();
            assert!(found.is_empty() || prose == "# name = value", "{prose}: {found:?}");
        }
    }

    #[test]
    fn what_postgresql_would_not_read_is_refused() {
        for text in ["a = b c", "a =", "a", "a = 'b", "[s]", "1 = 2", "a='b'c", "a b=c"] {
            assert!(found(&POSTGRESQL, text).is_err(), "{text}");
        }
    }

    #[test]
    fn quotes_are_those_of_postgresql() {
        for (source, value) in [
            (&b"on"[..], &b"on"[..]),
            (b"'it''s \\'x\\' \\n\\101\\q'", b"it's 'x' \nAq"),
            (b"''", b""),
        ] {
            let decoded = decode(source, Context::ORDINARY).unwrap();
            assert_eq!(&decoded[..], value, "{}", source.escape_ascii());
        }
        for source in [&b""[..], b"'a", b"'a' ", b"a b", b"'a'b'"] {
            assert!(decode(source, Context::ORDINARY).is_none(), "{}", source.escape_ascii());
        }
        for value in [&b""[..], b"it's \\ x", b"a\r\nb\t", b"\xff"] {
            let source = encode(value, Context::ORDINARY).unwrap();
            assert_eq!(&decode(&source, Context::ORDINARY).unwrap()[..], value);
        }
    }
}
