//! Redis, Valkey and Sentinel: a line is split into words as `sdssplitargs` does.
//!
//! A user's passwords stand as words with a sigil, `>password` and `#hash`; the value begins behind
//! it, under `user.NAME.password`. Comments in the shipped file are prose with directives among it,
//! so only those directives are looked for there that hold a password or hide one.

use super::words::{
    INSIDE, closing_quote, is_blank, is_plain, lines, on_one_line, quoted, words_behind,
};
use super::{Dialect, site, values};
use crate::format::{Context, FieldPath, ParseError, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

pub(super) const DIALECT: Dialect = Dialect { scan, decode, encode, quote: "" };

type Refused = (usize, &'static str);

const MIXED: &str = "a quote within a word";

/// Directives that are looked for in comments, and how many words they take.
const COMMENTED: [(&str, usize); 11] = [
    ("requirepass", 1),
    ("masterauth", 1),
    ("masteruser", 1),
    ("primaryauth", 1),
    ("primaryuser", 1),
    ("tls-key-file-pass", 1),
    ("tls-client-key-file-pass", 1),
    ("rename-command", 2),
    ("sentinel auth-pass", 2),
    ("sentinel auth-user", 2),
    ("sentinel sentinel-pass", 1),
];

const CONTROLS: [(u8, u8); 5] =
    [(b'\n', b'n'), (b'\r', b'r'), (b'\t', b't'), (0x08, b'b'), (0x07, b'a')];

fn scan(text: &[u8]) -> Result<Vec<Site>, ParseError> {
    let mut sites = Vec::new();
    for line in lines(text)? {
        if text[line.start] == b'#' {
            commented(text, line, &mut sites);
            continue;
        }
        directive(text, line, &mut sites).map_err(|(at, kind)| ParseError::at(text, at, kind))?;
    }
    Ok(sites)
}

fn directive(text: &[u8], line: Span, sites: &mut Vec<Site>) -> Result<(), Refused> {
    let words = words(text, line)?;
    let [keyword, arguments @ ..] = &words[..] else { return Ok(()) };
    if !is_keyword(keyword.of(text)) {
        return Err((keyword.start, "not a directive"));
    }
    // A user's rules may hold `>"two words"`.
    if !keyword.of(text).eq_ignore_ascii_case(b"user")
        && let Some(word) = arguments.iter().find(|word| is_mixed(word.of(text)))
    {
        return Err((word.start, MIXED));
    }
    arranged(text, *keyword, arguments, Context::ORDINARY, sites)
}

/// Appends the sites of one directive.
fn arranged(
    text: &[u8],
    keyword: Span,
    arguments: &[Span],
    context: Context,
    sites: &mut Vec<Site>,
) -> Result<(), Refused> {
    let name = keyword.of(text).to_ascii_lowercase();
    let path = FieldPath::root().key(&name);
    match (&name[..], arguments) {
        (b"user", [_, ..]) => return acl(text, &path, arguments, context, sites),
        (b"rename-command", [command, rest @ ..]) if is_keyword(command.of(text)) => {
            values(sites, &path.key(command.of(text)), rest, context);
        }
        (b"sentinel", [what, master, rest @ ..]) if is_keyword(what.of(text)) => {
            let path = path.key(what.of(text).to_ascii_lowercase());
            match rest {
                [] => values(sites, &path, &[*master], context),
                rest => values(sites, &path.key(master.of(text)), rest, context),
            }
        }
        _ => values(sites, &path, arguments, context),
    }
    Ok(())
}

/// The words of a line that may hold a user's rules: a quote may stand behind each of their sigils.
pub(super) fn words(text: &[u8], line: Span) -> Result<Vec<Span>, Refused> {
    words_behind(b"><#!", text, line)
}

/// Whether the words behind `user` are the rules of a user with a password.
pub(super) fn is_acl(text: &[u8], words: &[Span]) -> bool {
    words.iter().skip(1).any(|word| rule(word.of(text)).is_some_and(|(sigil, _)| sigil == b'>'))
}

/// Appends the sites of a user's rules; the first word is the user's name.
pub(super) fn acl(
    text: &[u8],
    path: &FieldPath,
    words: &[Span],
    context: Context,
    sites: &mut Vec<Site>,
) -> Result<(), Refused> {
    let [name, rules @ ..] = words else { return Ok(()) };
    let path = path.key(name.of(text));
    for word in rules {
        let Some((sigil, value)) = rule(word.of(text)) else {
            if is_mixed(word.of(text)) {
                return Err((word.start, MIXED));
            }
            sites.push(site(&path.element(), *word, context));
            continue;
        };
        let key: &[u8] = if matches!(sigil, b'>' | b'<') { b"password" } else { b"password_hash" };
        let context = match (text[word.start], context) {
            (b'"', Context::ORDINARY) => INSIDE,
            (b'"' | b'\'', _) => return Err((word.start, "a password rule within quotes")),
            (_, context) if !is_mixed(value.of(word.of(text))) => context,
            _ => return Err((word.start, MIXED)),
        };
        sites.push(site(&path.key(key), value.shifted(word.start), context));
    }
    Ok(())
}

/// The sigil of a rule about a password, and the span of what stands behind it.
fn rule(word: &[u8]) -> Option<(u8, Span)> {
    let (inner, at) = quoted(word).map_or((word, 0), |inner| (inner, 1));
    match inner {
        [sigil @ (b'>' | b'<' | b'#' | b'!'), _, ..] => {
            Some((*sigil, Span::new(at + 1, at + inner.len())))
        }
        _ => None,
    }
}

fn commented(text: &[u8], line: Span, sites: &mut Vec<Site>) {
    let marks = |b: &&u8| **b == b'#' || is_blank(**b);
    let start = line.start + line.of(text).iter().take_while(marks).count();
    let Ok(words) = words(text, Span::new(start, line.end)) else { return };
    let [keyword, arguments @ ..] = &words[..] else { return };
    let found = COMMENTED.iter().any(|(directive, count)| {
        let mut names = directive.split(' ').zip(&words);
        let same = names.all(|(name, word)| name.as_bytes() == word.of(text));
        same && words.len() == directive.split(' ').count() + count
    });
    let is_user = keyword.of(text) == b"user" && is_acl(text, arguments);
    let mixed = !is_user && arguments.iter().any(|word| is_mixed(word.of(text)));
    if (found || is_user) && !mixed {
        let mut these = Vec::new();
        if arranged(text, *keyword, arguments, Context::COMMENT, &mut these).is_ok() {
            sites.append(&mut these);
        }
    }
}

fn is_keyword(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_alphabetic)
        && word.iter().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(b))
}

/// Whether a quote stands in a word that does not begin with it.
fn is_mixed(word: &[u8]) -> bool {
    quoted(word).is_none() && word.iter().any(|b| matches!(b, b'"' | b'\''))
}

fn decode(source: &[u8], context: Context) -> Option<SecretBytes> {
    if context == INSIDE {
        let one = closing_quote(&[b"\"", source, b"\""].concat(), 0) == Some(source.len() + 1);
        return (one && !source.contains(&b'\n')).then(|| unescape(source, true));
    }
    if !on_one_line(source) {
        return None;
    }
    match quoted(source) {
        Some(inner) => Some(unescape(inner, source[0] == b'"')),
        None => (!is_mixed(source)).then(|| source.into()),
    }
}

/// Resolves the escapes between quotes, `double` ones or single ones.
fn unescape(inner: &[u8], double: bool) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        let (byte, len) = match &inner[at..] {
            [b'\\', b'x', high, low, ..] if double && hex(*high, *low).is_some() => {
                (hex(*high, *low).unwrap_or_default(), 4)
            }
            [b'\\', letter, ..] if double => {
                let control = CONTROLS.iter().find(|(_, known)| known == letter);
                (control.map_or(*letter, |(control, _)| *control), 2)
            }
            [b'\\', b'\'', ..] => (b'\'', 2),
            rest => (rest[0], 1),
        };
        out.extend(&[byte]);
        at += len;
    }
    out
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? << 4 | digit(low)?) as u8)
}

fn encode(value: &[u8], context: Context) -> Option<SecretBytes> {
    if is_plain(value) {
        return Some(value.into());
    }
    let mut out = SecretBytes::with_capacity(value.len() * 4 + 2);
    let quote: &[u8] = if context == INSIDE { b"" } else { b"\"" };
    out.extend(quote);
    for byte in value {
        match (byte, CONTROLS.iter().find(|(control, _)| control == byte)) {
            (_, Some((_, letter))) => out.extend(&[b'\\', *letter]),
            (b'"' | b'\\', _) => out.extend(&[b'\\', *byte]),
            (b' '..=b'~', _) => out.extend(&[*byte]),
            _ => {
                out.extend(b"\\x");
                for nibble in [byte >> 4, byte & 15] {
                    out.extend(&[b"0123456789abcdef"[usize::from(nibble)]]);
                }
            }
        }
    }
    out.extend(quote);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::REDIS;
    use super::super::tests::{check, found};
    use super::*;

    #[test]
    fn directives_are_paths() {
        check(
            &REDIS,
            "bind 127.0.0.1 ::1\nrequirepass \"a b\\x00\"\r\n  MasterAuth 'x'\nsave \"\"\n\
             rename-command CONFIG b840fc\nsentinel auth-pass mymaster pw\n\
             sentinel sentinel-pass pw2\nsentinel monitor mymaster ::1 6379 2\nflag\n",
            &[
                "bind[]=127.0.0.1",
                "bind[]=::1",
                "requirepass=\"a b\\x00\"",
                "masterauth='x'",
                "save=\"\"",
                "rename-command.CONFIG=b840fc",
                "sentinel.auth-pass.mymaster=pw",
                "sentinel.sentinel-pass=pw2",
                "sentinel.monitor.mymaster[]=::1",
                "sentinel.monitor.mymaster[]=6379",
                "sentinel.monitor.mymaster[]=2",
            ],
        );
    }

    #[test]
    fn the_passwords_of_users_stand_behind_their_sigils() {
        check(
            &REDIS,
            "user alice on >p1 >\"p 2\" \">p 3\" <old #ab12 !cd +@all ~* (+set ~x)\n",
            &[
                "user.alice[]=on",
                "user.alice.password=p1",
                "user.alice.password=\"p 2\"",
                "user.alice.password=p 3",
                "user.alice.password=old",
                "user.alice.password_hash=ab12",
                "user.alice.password_hash=cd",
                "user.alice[]=+@all",
                "user.alice[]=~*",
                "user.alice[]=(+set",
                "user.alice[]=~x)",
            ],
        );
    }

    #[test]
    fn directives_with_passwords_are_found_in_comments_and_prose_is_not() {
        check(
            &REDIS,
            "# requirepass foobared\n#masterauth \"a b\"\n# rename-command CONFIG b8\n\
             #   user alice on +@all ~* >pw\n# sentinel auth-pass mymaster pw\n",
            &[
                "#requirepass=foobared",
                "#masterauth=\"a b\"",
                "#rename-command.CONFIG=b8",
                "#user.alice[]=on",
                "#user.alice[]=+@all",
                "#user.alice[]=~*",
                "#user.alice.password=pw",
                "#sentinel.auth-pass.mymaster=pw",
            ],
        );
        for prose in [
            "# requirepass is not compatible with aclfile",
            "# password for the database",
            "# >password adds it",
            "# user <username> ... acl rules ...",
            "# it's",
            "# requirepass \"x\"y",
        ] {
            check(&REDIS, prose, &[]);
        }
    }

    #[test]
    fn what_redis_would_not_read_is_refused() {
        for text in
            ["a \"b", "a \"b\"c", "a b\"c\"", "= 1", "user a >b\"c", "user a '>b c'", "a \0"]
        {
            assert!(found(&REDIS, text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_value_has_a_spelling() {
        for value in
            [&b"pw"[..], b"", b"a b", b"\"'\\", b"\n\r\t\x07\x08", b"\0\xff", "\u{e9}".as_bytes()]
        {
            let source = encode(value, Context::ORDINARY).unwrap();
            assert_eq!(&decode(&source, Context::ORDINARY).unwrap()[..], value);
        }
        let text = "user a on >p #\"a b\" !'c d'\n";
        let hashes = ["user.a.password_hash=\"a b\"", "user.a.password_hash='c d'"];
        check(&REDIS, text, &[&["user.a[]=on", "user.a.password=p"][..], &hashes].concat());
        let decoded = decode(br"'it\'s \n'", Context::ORDINARY).unwrap();
        assert_eq!(&decoded[..], br"it's \n");
    }
}
