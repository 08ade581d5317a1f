//! OpenSSH: `sshd_config` and `ssh_config`.
//!
//! All behind a keyword is its value, up to a comment; blocks (`Match`, `Host`) are no part of a
//! path. What `SetEnv` sets is told apart, for a variable may hold a secret.
//!
//! Words are those of `argv_split` in OpenSSH's `misc.c`: quotes may open and close anywhere in
//! one, and a `#` begins a comment only where a word might begin.

use super::generic::{self, commented, keyword};
use super::words::{UNCLOSED, in_quotes, is_plain, lines, on_one_line};
use super::{Dialect, site};
use crate::format::{Context, FieldPath, ParseError, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

pub(super) const DIALECT: Dialect = Dialect { scan, decode, encode, quote: "" };

/// Keywords whose value is all of the line, quotes and `#` as they are.
const UNSPLIT: [&[u8]; 8] = [
    b"proxycommand",
    b"localcommand",
    b"remotecommand",
    b"knownhostscommand",
    b"forcecommand",
    b"authorizedkeyscommand",
    b"authorizedprincipalscommand",
    b"versionaddendum",
];
/// What stands behind one of them.
const LINE: Context = Context(4);

fn scan(text: &[u8]) -> Result<Vec<Site>, ParseError> {
    let mut sites = Vec::new();
    let root = FieldPath::root();
    for line in lines(text)? {
        if text[line.start] == b'#' {
            sites.extend(commented(text, line, &root));
            continue;
        }
        let refused = |at, kind| ParseError::at(text, at, kind);
        let found = keyword(text, line).filter(|found| found.separator != b':');
        let found = found.ok_or_else(|| refused(line.start, "not of the form KEYWORD VALUE"))?;
        if found.value.is_empty() {
            return Err(refused(line.start, "a keyword without a value"));
        }
        let name = found.name.of(text);
        let path = root.key(name);
        if UNSPLIT.contains(&&*name.to_ascii_lowercase()) {
            sites.push(site(&path, found.value, LINE));
            continue;
        }
        let (arguments, note) = words(text, found.value).map_err(|at| refused(at, UNCLOSED))?;
        if name.eq_ignore_ascii_case(b"setenv") {
            let list = path.element();
            sites.extend(arguments.iter().map(|word| site(&list, *word, Context::ORDINARY)));
        } else if let (Some(first), Some(last)) = (arguments.first(), arguments.last()) {
            sites.push(site(&path, Span::new(first.start, last.end), Context::ORDINARY));
        }
        if !note.is_empty() {
            sites.extend(commented(text, note, &root));
        }
    }
    Ok(sites)
}

/// The words on `line`, and the comment behind them. The error is where a quote opens that does
/// not close.
fn words(text: &[u8], line: Span) -> Result<(Vec<Span>, Span), usize> {
    let mut words = Vec::new();
    let mut at = line.start;
    while at < line.end {
        match text[at] {
            b' ' | b'\t' => at += 1,
            b'#' => return Ok((words, Span::new(at, line.end))),
            _ => {
                let end = word(&text[..line.end], at, &mut |_| ())?;
                words.push(Span::new(at, end));
                at = end;
            }
        }
    }
    Ok((words, Span::new(line.end, line.end)))
}

/// Hands each byte that the word at `start` stands for to `take`; returns where it ends.
fn word(text: &[u8], start: usize, take: &mut impl FnMut(u8)) -> Result<usize, usize> {
    let mut open = None;
    let mut at = start;
    while let Some(byte) = text.get(at).copied() {
        let next = text.get(at + 1).copied();
        match (byte, open) {
            (b'\\', _) if matches!(next, Some(b'\'' | b'"' | b'\\')) => {
                at += 1;
                take(text[at]);
            }
            (b'\\', None) if next == Some(b' ') => {
                at += 1;
                take(b' ');
            }
            (b' ' | b'\t', None) => return Ok(at),
            (b'"' | b'\'', None) => open = Some(at),
            (byte, Some(opening)) if byte == text[opening] => open = None,
            (byte, _) => take(byte),
        }
        at += 1;
    }
    open.map_or(Ok(at), Err)
}

fn decode(source: &[u8], context: Context) -> Option<SecretBytes> {
    match context {
        context if context.is_comment() => return generic::decode(source, context),
        LINE => return on_one_line(source).then(|| source.into()),
        _ if source.iter().any(|b| matches!(b, b'\n' | 0)) => return None,
        _ => {}
    }
    let (words, note) = words(source, Span::new(0, source.len())).ok()?;
    let is_all = words.first()?.start == 0 && words.last()?.end == source.len();
    if !is_all || !note.is_empty() {
        return None;
    }
    if words.len() > 1 {
        // Of these each keyword makes something of its own.
        return Some(source.into());
    }
    let mut out = SecretBytes::with_capacity(source.len());
    word(source, 0, &mut |byte| out.extend(&[byte])).ok()?;
    Some(out)
}

fn encode(value: &[u8], context: Context) -> Option<SecretBytes> {
    match context {
        context if context.is_comment() => generic::encode(value, context),
        LINE => (!value.is_empty() && on_one_line(value)).then(|| value.into()),
        _ if is_plain(value) => Some(value.into()),
        _ => in_quotes(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::SSHD;
    use super::super::tests::{check, found};
    use super::*;

    #[test]
    fn keywords_are_paths_and_blocks_are_not() {
        check(
            &SSHD,
            "Port 22\nPermitRootLogin=no # Port 1\n#UsePAM yes\nMatch User x\n  Banner \"a b\" # c\n\
             SetEnv A=1 \"B=x y\"\nProxyCommand sh -c 'it # is\nHost token\n  User = bob\n",
            &[
                "Port=22",
                "PermitRootLogin=no",
                "#UsePAM=yes",
                "Match=User x",
                "Banner=\"a b\"",
                "SetEnv[]=A=1",
                "SetEnv[]=\"B=x y\"",
                "ProxyCommand=sh -c 'it # is",
                "Host=token",
                "User=bob",
            ],
        );
    }

    #[test]
    fn quotes_open_and_close_within_words() {
        check(
            &SSHD,
            "SetEnv A=\"b # c\" D=e\\ f G='h'i # J k\nBanner \"a\"'b c'\n\
             ForceCommand \"a\" # b\nAuthorizedKeysCommand /a # b\n",
            &[
                "SetEnv[]=A=\"b # c\"",
                "SetEnv[]=D=e\\ f",
                "SetEnv[]=G='h'i",
                "Banner=\"a\"'b c'",
                "ForceCommand=\"a\" # b",
                "AuthorizedKeysCommand=/a # b",
            ],
        );
        for (source, context, value) in [
            ("A=\"b # c\"", Context::ORDINARY, "A=b # c"),
            ("D=e\\ f\\g\\\\", Context::ORDINARY, "D=e f\\g\\"),
            ("\"it's \\\"\"'x'", Context::ORDINARY, "it's \"x"),
            ("\"a\" b", Context::ORDINARY, "\"a\" b"),
            ("\"a\"", LINE, "\"a\""),
            ("\u{b}a\\ ", Context::ORDINARY, "\u{b}a "),
        ] {
            let decoded = decode(source.as_bytes(), context).unwrap();
            assert_eq!(&decoded[..], value.as_bytes(), "{source}");
        }
        for source in ["", " a", "a ", "# a", "a # b", "a\nb", "\"a"] {
            assert!(decode(source.as_bytes(), Context::ORDINARY).is_none(), "{source}");
        }
        for value in ["", "a b", "it's \"\\", "#", "a\\ b"] {
            let source = encode(value.as_bytes(), Context::ORDINARY).unwrap();
            let decoded = decode(&source, Context::ORDINARY).unwrap();
            assert_eq!(&decoded[..], value.as_bytes());
        }
        assert!(encode(b"", LINE).is_none() && encode(b"a\nb", LINE).is_none());
    }

    #[test]
    fn what_openssh_would_not_read_is_refused() {
        for text in ["Port", "Port: 22", "[x]", "Banner \"x", "Port=\n"] {
            assert!(found(&SSHD, text).is_err(), "{text}");
        }
    }
}
