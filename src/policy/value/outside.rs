//! Credentials in what surrounds the values of a document: keys, headings, comments, prose.
//!
//! Documentation shows how a URL is written (`amqp://guest:guest@localhost`). In a comment such a
//! one is no credential; anywhere else it is, for there a program may read it.
//!
//! Must stay true: time is linear in the text, whatever stands in it; what is shorter than any
//! credential, as most of what stands between two values is, costs nothing.

use super::{Credential, token, url};
use crate::span::Span;

/// How far back the beginning of a comment, or of a URL's user, is looked for.
const REACH: usize = 512;

/// The first credential in `gaps`, which are parts of `text`, and its offset in `text`.
pub(in crate::policy) fn credential_outside(
    text: &[u8],
    mut gaps: impl Iterator<Item = Span>,
) -> Option<(Credential, usize)> {
    let has_urls = memchr::memchr(b'@', text).is_some();
    gaps.find_map(|gap| match token::first(gap.of(text)) {
        Some((credential, at)) => Some((credential, gap.start + at)),
        None if has_urls => Some((Credential::UrlPassword, url_password(text, gap)?)),
        None => None,
    })
}

fn url_password(text: &[u8], gap: Span) -> Option<usize> {
    memchr::memchr(b'@', gap.of(text))?;
    let passwords = url::passwords(gap.of(text)).into_iter();
    let mut passwords = passwords.map(|password| password.shifted(gap.start));
    let real = passwords
        .find(|password| !(is_example(text, *password) && is_in_comment(text, password.start)))?;
    Some(real.start)
}

/// Whether `password`, in a URL of `text`, is a word that stands for one, is the name of its user,
/// or would be sent to a host that is there for examples (RFC 2606).
fn is_example(text: &[u8], password: Span) -> bool {
    const WORDS: [&[u8]; 17] = [
        b"password",
        b"passwd",
        b"passwort",
        b"pass",
        b"pwd",
        b"pw",
        b"passphrase",
        b"mypassword",
        b"mypass",
        b"secret",
        b"mysecret",
        b"token",
        b"changeme",
        b"change_me",
        b"changeit",
        b"guest",
        b"bar",
    ];
    let is_bracket = |byte: &u8| b"[]{}<>()".contains(byte);
    let word = password.of(text);
    let word = &word[word.iter().take_while(|b| is_bracket(b)).count()..];
    let word = &word[..word.len() - word.iter().rev().take_while(|b| is_bracket(b)).count()];
    let is = |other: &[u8]| word.eq_ignore_ascii_case(other);
    word.is_empty()
        || WORDS.iter().any(|known| is(known))
        || word.get(..4).is_some_and(|front| front.eq_ignore_ascii_case(b"your"))
        || is(user(text, password))
        || is_example_host(host(text, password))
}

/// The user in front of `password`.
fn user(text: &[u8], password: Span) -> &[u8] {
    let end = password.start.saturating_sub(1);
    let back = &text[end.saturating_sub(REACH)..end];
    &back[back.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1)..]
}

/// The host behind `password`, without its port.
fn host(text: &[u8], password: Span) -> &[u8] {
    let rest = text.get(password.end + 1..).unwrap_or_default();
    let is_host = |b: &&u8| b.is_ascii_alphanumeric() || b"-._".contains(b);
    let host = &rest[..rest.iter().take(REACH).take_while(is_host).count()];
    // The end of a sentence.
    host.strip_suffix(b".").unwrap_or(host)
}

fn is_example_host(host: &[u8]) -> bool {
    let mut labels = host.rsplit(|b| *b == b'.');
    let (last, before) = (labels.next().unwrap_or_default(), labels.next());
    let is = |label: &[u8], known: &[&str]| {
        known.iter().any(|known| label.eq_ignore_ascii_case(known.as_bytes()))
    };
    match before {
        None => is(last, &["example", "host", "hostname"]),
        Some(before) => {
            is(last, &["example", "invalid", "test"])
                || (is(before, &["example"]) && is(last, &["com", "net", "org"]))
        }
    }
}

/// Whether a comment of some format has begun and not ended where `at` is. Believed only of what
/// looks like an example, so it need not be exact.
fn is_in_comment(text: &[u8], at: usize) -> bool {
    let back = &text[at.saturating_sub(REACH)..at];
    let open = |begin: &[u8], end: &[u8]| {
        let begun = memchr::memmem::rfind(back, begin);
        begun.is_some_and(|begun| memchr::memmem::find(&back[begun..], end).is_none())
    };
    let line = &back[back.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1)..];
    let first = line.trim_ascii_start();
    let begins = |mark: &&[u8]| first.starts_with(mark);
    let goes_over = |mark: &&[u8]| memchr::memmem::find(line, mark).is_some();
    [&b"#"[..], b";", b"//", b"!", b"*", b"--"].iter().any(begins)
        || [&b" #"[..], b"\t#", b" ;", b"\t;", b" //", b"\t//"].iter().any(goes_over)
        || open(b"<!--", b"-->")
        || open(b"/*", b"*/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{assert_linear, repeated};

    /// The first credential of a text without values.
    fn found(text: &str) -> Option<(Credential, usize)> {
        let text = text.as_bytes();
        credential_outside(text, std::iter::once(Span::new(0, text.len())))
    }

    #[test]
    fn a_password_is_found_in_headings_keys_and_comments() {
        for (text, at) in [
            ("[url \"https://me:hunter2@host\"]", "hunter2"),
            ("# old: postgres://app:hunter2@db/shop", "hunter2"),
            ("<!DOCTYPE x [<!ENTITY db \"pg://app:hunter2@db\">]>", "hunter2"),
            ("# http://user:password@proxy, and\n# then http://me:hunter2@proxy", "hunter2"),
            ("# push to https://x:ghp_abcdefghijklmnopqrstuvwxyz0123456789@h", "ghp_"),
            ("; -----BEGIN RSA PRIVATE KEY-----\n; MIIE\n", "-----BEGIN"),
        ] {
            assert_eq!(found(text).map(|(_, at)| at), text.find(at), "{text}");
        }
    }

    #[test]
    fn an_example_in_a_comment_is_no_credential_and_anywhere_else_it_is() {
        for url in [
            "amqp://guest:guest@localhost",
            "http://user:password@proxy:8080",
            "https://user:pass@host",
            "https://foo:bar@example.com/x",
            "https://me:hunter2@www.example.org.",
            "ldap://cn:[PASSWORD]@ldap",
            "smtp://me:your-password@mail",
            "mysql://admin:admin@db",
        ] {
            for text in [
                format!("# as in {url}"),
                format!("; {url}"),
                format!("x # {url}"),
                format!("<!--\n  {url} -->"),
                format!("/* a\n {url} */"),
            ] {
                assert_eq!(found(&text), None, "{text}");
            }
            for text in [format!("[url \"{url}\"]"), format!("<!-- x --><a b=\"{url}\">")] {
                assert!(found(&text).is_some(), "{text}");
            }
        }
    }

    #[test]
    fn what_stands_in_a_value_is_not_looked_at() {
        let text = b"a = \"pg://u:hunter2@h\" # note";
        let gaps = [Span::new(0, 4), Span::new(22, 29)];
        assert_eq!(credential_outside(text, gaps.into_iter()), None);
        assert!(credential_outside(text, [Span::new(0, text.len())].into_iter()).is_some());
    }

    #[test]
    fn a_hostile_text_takes_linear_time() {
        for piece in ["# a://b:b@c ", "<!--", "/*", "a://b:b@c\n#", "LS0tLS1CRUdJTi", "@", " #"] {
            assert_linear(piece, |len| repeated(piece, len), |text| _ = found(text));
        }
    }
}
