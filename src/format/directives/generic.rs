//! The dialect that most programs share: a keyword on each line, and the rest is its value.
//!
//! ```text
//! line    = [ comment / opening / closing / keyword [ blank / "=" / ":" blank ] value ]
//! keyword = ALPHA *( ALPHA / DIGIT / "_" / "." / "-" )
//! opening = keyword … "{"          closing = "}"
//!         / "<" keyword … ">"              / "</" keyword ">"
//! ```
//!
//! No program is known to write exactly this, so what a line may be is narrow: of a file with any
//! other line nothing is known. And the value is all of the line, since programs differ on
//! where a comment behind it begins.

use super::words::{
    in_quotes, is_blank, is_plain, is_prose, lines, on_one_line, quoted, skip_blanks, trimmed,
    words,
};
use super::{Dialect, redis, site};
use crate::format::{Context, FieldPath, ParseError, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

pub(super) const DIALECT: Dialect = Dialect { scan, decode, encode, quote: "" };

/// Keywords that stand in the middle of a line, in front of their value: `user admin password x`.
const INNER: [&str; 16] = [
    "password",
    "passwd",
    "pass",
    "passphrase",
    "insecure-password",
    "auth-pass",
    "secret",
    "client-secret",
    "token",
    "key",
    "psk",
    "auth",
    "community",
    "credentials",
    "api-key",
    "private-key",
];

/// Where the first word behind the keyword says what is set.
const SETTERS: [&str; 3] = ["setenv", "export", "env"];

const MOST_BLOCKS: usize = 64;
const TOO_MANY: &str = "too many blocks";

fn scan(text: &[u8]) -> Result<Vec<Site>, ParseError> {
    let mut sites = Vec::new();
    let mut blocks = vec![FieldPath::root()];
    for line in lines(text)? {
        let fail = |at, kind| Err(ParseError::at(text, at, kind));
        let path = blocks.last().expect("the document itself is never closed");
        if matches!(text[line.start], b'#' | b';') {
            sites.extend(commented(text, line, path));
            continue;
        }
        if line.of(text) == b"}" {
            blocks.pop();
            if blocks.is_empty() {
                return fail(line.start, "a `}` that closes nothing");
            }
            continue;
        }
        if text[line.start] == b'<' {
            section(line.of(text), &mut blocks)
                .map_err(|kind| ParseError::at(text, line.start, kind))?;
            continue;
        }
        let Some(keyword) = keyword(text, line) else {
            return fail(line.start, "not of the form KEYWORD VALUE");
        };
        if text[line.end - 1] == b'\\' {
            return fail(line.end - 1, "a line that may go on");
        }
        let path = path.key(keyword.name.of(text));
        match text[line.end - 1] {
            b'{' if keyword.value.is_empty() => return fail(line.start, "a `{` without a name"),
            b'{' if blocks.len() > MOST_BLOCKS => return fail(line.start, TOO_MANY),
            b'{' => blocks.push(path),
            b'}' if keyword.value.of(text).contains(&b'{') => {
                return fail(line.start, "a block on one line");
            }
            _ => value(text, &keyword, path, &mut sites)
                .map_err(|(at, kind)| ParseError::at(text, at, kind))?,
        }
    }
    match blocks.len() {
        1 => Ok(sites),
        _ => Err(ParseError::at(text, text.len(), "a block that is not closed")),
    }
}

/// Opens or closes a section as Apache's and collectd's files write them.
fn section(line: &[u8], blocks: &mut Vec<FieldPath>) -> Result<(), &'static str> {
    let Some(inside) = line[1..].strip_suffix(b">") else { return Err("a `<` that is not closed") };
    let (closes, inside) = match inside.strip_prefix(b"/") {
        Some(inside) => (true, inside),
        None => (false, inside),
    };
    let is_name = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let name = &inside[..inside.iter().take_while(is_name).count()];
    let rest = &inside[name.len()..];
    let parted = rest.first().is_none_or(|b| is_blank(*b));
    if !name.first().is_some_and(u8::is_ascii_alphabetic) || !parted {
        return Err("not the name of a section");
    }
    if !closes {
        if blocks.len() > MOST_BLOCKS {
            return Err(TOO_MANY);
        }
        let path = blocks.last().expect("the document itself is never closed").key(name);
        blocks.push(path);
        return Ok(());
    }
    let open = blocks.pop().filter(|_| !blocks.is_empty());
    let is_open = open.as_ref().and_then(|path| path.inwards().next()?.key());
    match is_open.is_some_and(|open| open.eq_ignore_ascii_case(name))
        && rest.trim_ascii().is_empty()
    {
        true => Ok(()),
        false => Err("the end of a section that is not open"),
    }
}

pub(super) struct Keyword {
    pub name: Span,
    pub value: Span,
    /// What parts the two: `=`, `:` or a blank; 0 at the end of the line.
    pub separator: u8,
}

/// Takes `line` apart; `None` when it does not begin with a keyword.
pub(super) fn keyword(text: &[u8], line: Span) -> Option<Keyword> {
    let on_line = &text[..line.end];
    let rest = |b: &&u8| b.is_ascii_alphanumeric() || b"_.-".contains(*b);
    if !on_line.get(line.start)?.is_ascii_alphabetic() {
        return None;
    }
    let end = line.start + on_line[line.start..].iter().take_while(rest).count();
    let name = Span::new(line.start, end);
    let next = skip_blanks(on_line, end);
    let blank_behind = |at: usize| on_line.get(at + 1).is_none_or(|b| is_blank(*b));
    let (separator, from) = match on_line.get(next) {
        None => (0, next),
        Some(b'=') => (b'=', next + 1),
        Some(b':') if next == end && blank_behind(next) => (b':', next + 1),
        Some(_) if next == end => return None,
        // `+=` and the like assign in ways of their own.
        Some(b) if b.is_ascii_punctuation() && on_line.get(next + 1) == Some(&b'=') => return None,
        Some(_) => (b' ', next),
    };
    let value = trimmed(text, Span::new(from, line.end));
    // A token is then put where nothing can run into it.
    let value = if value.is_empty() { Span::new(from, from) } else { value };
    Some(Keyword { name, value, separator })
}

fn value(
    text: &[u8],
    keyword: &Keyword,
    path: FieldPath,
    sites: &mut Vec<Site>,
) -> Result<(), (usize, &'static str)> {
    if keyword.value.is_empty() {
        // A token right behind a colon would make one word of the two.
        if matches!(keyword.separator, b'=' | b' ') {
            sites.push(site(&path, keyword.value, Context::ORDINARY));
        }
        return Ok(());
    }
    let name = keyword.name.of(text);
    if name == b"user" {
        let rules = redis::words(text, keyword.value)?;
        if redis::is_acl(text, &rules) {
            return redis::acl(text, &path, &rules, Context::ORDINARY, sites);
        }
    }
    let words = words(text, keyword.value)?;
    let is = |known: &&str| known.as_bytes().eq_ignore_ascii_case(name);
    if let ([first, second, ..], true) = (&words[..], SETTERS.iter().any(is)) {
        let path = path.key(first.of(text));
        let value = Span::new(second.start, keyword.value.end);
        sites.push(site(&path, value, Context::ORDINARY));
        return Ok(());
    }
    let mut from = 0;
    // The words behind a keyword that names a secret are one: `rootpw correct horse`.
    let mut at = if names_secret(name) { words.len() } else { 0 };
    while at + 1 < words.len() {
        let inner = words[at].of(text);
        if INNER.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(inner)) {
            if from < at {
                let span = Span::new(words[from].start, words[at - 1].end);
                sites.push(site(&path, span, Context::ORDINARY));
            }
            sites.push(site(&path.key(inner), words[at + 1], Context::ORDINARY));
            from = at + 2;
            at += 1;
        }
        at += 1;
    }
    if let Some(first) = words.get(from) {
        let span = Span::new(first.start, keyword.value.end);
        sites.push(site(&path, span, Context::ORDINARY));
    }
    Ok(())
}

fn names_secret(keyword: &[u8]) -> bool {
    let lower = keyword.to_ascii_lowercase();
    let has = |part: &str| memchr::memmem::find(&lower, part.as_bytes()).is_some();
    ["pass", "pw", "secret", "token", "key", "psk", "auth", "cred"].into_iter().any(has)
}

/// The value of the directive that is commented out on `line`. Prose looks like one too; so without
/// a `=` a directive has a single word behind it, and that word ends no clause.
pub(super) fn commented(text: &[u8], line: Span, path: &FieldPath) -> Option<Site> {
    let marks = |b: &&u8| matches!(**b, b'#' | b';') || is_blank(**b);
    let start = line.start + line.of(text).iter().take_while(marks).count();
    let keyword = keyword(text, Span::new(start, line.end))?;
    let source = keyword.value.of(text);
    let words = words(text, keyword.value).ok()?;
    let name = keyword.name.of(text);
    // `# Password policy` is a headline, `#Port 22` and `# RequireTTY yes` are not.
    let headline = is_blank(text[start - 1])
        && name[0].is_ascii_uppercase()
        && !name[1..].iter().any(u8::is_ascii_uppercase);
    let is_directive = match keyword.separator {
        b'=' => !source.is_empty() && source[0] != b'=',
        b':' => words.len() == 1 && !is_prose(source),
        _ => words.len() == 1 && !is_prose(source) && !headline,
    };
    let one = decode(source, Context::COMMENT).is_some();
    (is_directive && one).then(|| site(&path.key(name), keyword.value, Context::COMMENT))
}

pub(super) fn decode(source: &[u8], _context: Context) -> Option<SecretBytes> {
    if !on_one_line(source) {
        return None;
    }
    let Some(inner) = quoted(source) else { return Some(source.into()) };
    let mut out = SecretBytes::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        if inner[at] == b'\\' && matches!(inner.get(at + 1), Some(b'"' | b'\'' | b'\\')) {
            at += 1;
        }
        out.extend(&inner[at..=at]);
        at += 1;
    }
    Some(out)
}

pub(super) fn encode(value: &[u8], context: Context) -> Option<SecretBytes> {
    let inner = INNER.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(value));
    let prose = context.is_comment() && is_prose(value);
    if is_plain(value) && !inner && !prose { Some(value.into()) } else { in_quotes(value) }
}

#[cfg(test)]
mod tests {
    use super::super::DIRECTIVES;
    use super::super::tests::{check, found};
    use super::*;

    #[test]
    fn a_keyword_is_the_path_of_the_rest_of_its_line() {
        check(
            &DIRECTIVES,
            "\u{feff}bindpw  correct horse # battery \r\nBASE dc=example\nkey = v w\nlog: \"a b\"\n\
             empty =\nempty:  \nflag\ncred password x\n",
            &[
                "bindpw=correct horse # battery",
                "BASE=dc=example",
                "key=v w",
                "log=\"a b\"",
                "empty=",
                "cred=password x",
            ],
        );
    }

    #[test]
    fn a_keyword_within_the_line_has_a_value_of_its_own() {
        check(
            &DIRECTIVES,
            "user admin insecure-password hunter2 groups ops\nserver ntp1 key 5 iburst\n\
             stats auth admin:pw\nuser admin password\nuser 'a password b' secret 'x y'\n",
            &[
                "user=admin",
                "user.insecure-password=hunter2",
                "user=groups ops",
                "server=ntp1",
                "server.key=5",
                "server=iburst",
                "stats.auth=admin:pw",
                "user=admin password",
                "user='a password b'",
                "user.secret='x y'",
            ],
        );
        check(
            &DIRECTIVES,
            "SetEnv DB_PASSWORD x y\nsetenv A\n",
            &["SetEnv.DB_PASSWORD=x y", "setenv=A"],
        );
        check(
            &DIRECTIVES,
            "user app on >pw ~*\n",
            &["user.app[]=on", "user.app.password=pw", "user.app[]=~*"],
        );
    }

    #[test]
    fn blocks_are_segments() {
        check(
            &DIRECTIVES,
            "passdb {\n  args = x\n  auth inner name {\n  secret y\n  # secret z\n }\n}\nb 1\n",
            &["passdb.args=x", "passdb.auth.secret=y", "#passdb.auth.secret=z", "b=1"],
        );
    }

    #[test]
    fn sections_are_segments() {
        check(
            &DIRECTIVES,
            "<VirtualHost *:443>\n  <Location \"/x\">\n    AuthLDAPBindPassword y\n  </location>\n\
             #  SSLPassPhrase z\n</VirtualHost>\nb 1\n",
            &["VirtualHost.Location.AuthLDAPBindPassword=y", "#VirtualHost.SSLPassPhrase=z", "b=1"],
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (text, line) in [
            ("a 1\n[s]\n", 2),
            ("<a>\n", 2),
            ("<a>\nb 1\n</c>\n", 3),
            ("</a>\n", 1),
            ("<a\n", 1),
            ("<!-- a -->\n", 1),
            ("a 1\n10.0.0.1 x\n", 2),
            ("http://x\n", 1),
            ("a {\nb 1\n", 3),
            ("}\n", 1),
            ("a { b 1 }\n", 1),
            ("a \"b\n", 1),
            ("a 'b'c\n", 1),
            ("a b \\\nc\n", 1),
            ("$x = 1\n", 1),
            ("a += 1\n", 1),
            ("a 1\0\n", 1),
            ("- item\n", 1),
        ] {
            assert_eq!(found(&DIRECTIVES, text).unwrap_err().line, line, "{text:?}");
        }
    }

    #[test]
    fn commented_out_directives_are_told_from_prose() {
        for (text, wanted) in [
            ("# requirepass foobared", "#requirepass=foobared"),
            ("#bindpw secret", "#bindpw=secret"),
            ("; key = two words", "#key=two words"),
            ("# bindpw \"two words\"", "#bindpw=\"two words\""),
            ("#Password x", "#Password=x"),
            ("# RequireTTY yes", "#RequireTTY=yes"),
            ("# password for the database is set below", ""),
            ("# password follows.", ""),
            ("# Password policy", ""),
            ("# secret:", ""),
            ("# a == b", ""),
            ("#", ""),
            ("# it's a b", ""),
        ] {
            let wanted = if wanted.is_empty() { vec![] } else { vec![wanted] };
            check(&DIRECTIVES, text, &wanted);
        }
    }

    #[test]
    fn quotes_come_off_and_go_on() {
        let decoded = |source: &[u8]| decode(source, Context::ORDINARY).map(|v| v.to_vec());
        for (source, value) in [
            (&b"a b"[..], &b"a b"[..]),
            (b"\"a \\\" \\\\ \\n b\"", b"a \" \\ \\n b"),
            (b"'it\\'s'", b"it's"),
            (b"\"a\" \"b\"", b"\"a\" \"b\""),
        ] {
            assert_eq!(decoded(source).as_deref(), Some(value), "{}", source.escape_ascii());
        }
        for value in ["hunter2", "", "a b", "it's \"x\" \\", "password", "{", "#x"] {
            let source = encode(value.as_bytes(), Context::ORDINARY).unwrap();
            assert_eq!(decoded(&source).as_deref(), Some(value.as_bytes()), "{value}");
        }
        assert!(encode(b"a\nb", Context::ORDINARY).is_none());
    }
}
