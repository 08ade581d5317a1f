//! OpenSSH: `sshd_config` and `ssh_config`.
//!
//! All behind a keyword is its value, up to a comment; blocks (`Match`, `Host`) are no part of a
//! path. What `SetEnv` sets is told apart, for a variable may hold a secret.

use super::generic::{commented, decode, encode, keyword};
use super::words::{lines, skip_blanks, words};
use super::{Dialect, site};
use crate::format::{Context, FieldPath, ParseError, Site};
use crate::span::Span;

pub(super) const DIALECT: Dialect = Dialect { scan, decode, encode, quote: "" };

/// Keywords whose value is a command: all of the line, quotes and `#` as they are.
const COMMANDS: [&[u8]; 5] =
    [b"proxycommand", b"localcommand", b"remotecommand", b"knownhostscommand", b"forcecommand"];

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
        if COMMANDS.contains(&&*name.to_ascii_lowercase()) {
            sites.push(site(&path, found.value, Context::ORDINARY));
            continue;
        }
        let words = words(text, found.value).map_err(|(at, kind)| refused(at, kind))?;
        let end = words.iter().position(|word| text[word.start] == b'#').unwrap_or(words.len());
        let arguments = &words[..end];
        if name.eq_ignore_ascii_case(b"setenv") {
            let list = path.element();
            sites.extend(arguments.iter().map(|word| site(&list, *word, Context::ORDINARY)));
        } else if let (Some(first), Some(last)) = (arguments.first(), arguments.last()) {
            sites.push(site(&path, Span::new(first.start, last.end), Context::ORDINARY));
        }
        if let Some(note) = words.get(end) {
            let note = Span::new(skip_blanks(text, note.start), line.end);
            sites.extend(commented(text, note, &root));
        }
    }
    Ok(sites)
}

#[cfg(test)]
mod tests {
    use super::super::SSHD;
    use super::super::tests::{check, found};

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
    fn what_openssh_would_not_read_is_refused() {
        for text in ["Port", "Port: 22", "[x]", "Banner \"x", "Port=\n"] {
            assert!(found(&SSHD, text).is_err(), "{text}");
        }
    }
}
