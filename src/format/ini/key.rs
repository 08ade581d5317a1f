//! Keys and section headers.
//!
//! What is no plausible key is an error: it is how a text of another format shows.

use super::dialect::{Dialect, Keys, Values};
use crate::format::line::{is_blank, line_end, skip_blanks, trimmed, trimmed_end};
use crate::format::{FieldPath, Front, Segment};
use crate::span::Span;

/// A key at the start of a line.
pub(super) struct Key {
    pub span: Span,
    /// Behind its separator; `None` for a key without a value.
    pub behind: Option<usize>,
}

impl Key {
    /// The path of its value in `section`.
    pub(super) fn path(&self, text: &[u8], section: &Front, dialect: &Dialect) -> FieldPath {
        let name = self.span.of(text);
        if dialect.keys == Keys::Arrays
            && name.ends_with(b"]")
            && let Some(open) = memchr::memchr(b'[', name)
        {
            let outer = section.key(trimmed(&name[..open]));
            let inner = trimmed(&name[open + 1..name.len() - 1]);
            return if inner.is_empty() { outer.element() } else { outer.key(inner) };
        }
        if self.is_list(text, dialect) {
            return section.child(Segment::Repeated(name.into()));
        }
        section.key(name)
    }

    /// Whether its value is a list of assignments.
    pub(super) fn is_list(&self, text: &[u8], dialect: &Dialect) -> bool {
        matches!(dialect.values, Values::Continued) && super::words::is_list(self.span.of(text))
    }
}

/// The key at `at`, and where its value begins.
pub(super) fn find(text: &[u8], at: usize, dialect: &Dialect) -> Option<Key> {
    let line = &text[..line_end(text, at)];
    if dialect.keys == Keys::Git {
        return git(line, at);
    }
    if let Some(separator) = separator(line, at, dialect) {
        let span = Span::new(at, trimmed_end(text, at, separator));
        return is_key(span.of(text)).then_some(Key { span, behind: Some(separator + 1) });
    }
    let end = at + line[at..].iter().take_while(|b| !is_blank(**b)).count();
    let next = skip_blanks(line, end);
    let is_alone = line.get(next).is_none_or(|mark| dialect.marks.contains(mark));
    let is_bare = dialect.bare_keys && is_alone && is_bare_key(&line[at..end]);
    is_bare.then_some(Key { span: Span::new(at, end), behind: None })
}

fn git(line: &[u8], at: usize) -> Option<Key> {
    let is_first = line.get(at).is_some_and(u8::is_ascii_alphabetic);
    let of_key = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'-';
    let span = Span::new(at, at + line[at..].iter().take_while(of_key).count());
    let next = skip_blanks(line, span.end);
    match line.get(next) {
        _ if !is_first => None,
        None => Some(Key { span, behind: None }),
        Some(b'=') => Some(Key { span, behind: Some(next + 1) }),
        Some(_) => None,
    }
}

/// The first byte that separates key and value.
fn separator(line: &[u8], at: usize, dialect: &Dialect) -> Option<usize> {
    let is_separator = |now: &usize| match line[*now] {
        b'=' => true,
        // npm's configuration is in the dialect that most share, and its keys are addresses:
        // `//registry.example/:_authToken`, `@scope:registry`.
        b':' if matches!(dialect.values, Values::Any) => {
            !matches!(line[at], b'/' | b'@') && !line[now + 1..].starts_with(b"//")
        }
        b':' => dialect.colon,
        _ => false,
    };
    (at..line.len()).find(is_separator)
}

fn is_key(key: &[u8]) -> bool {
    let is_first = |b: u8| b.is_ascii_alphanumeric() || b"_-./@$".contains(&b) || !b.is_ascii();
    match key {
        // An element of a list in YAML.
        [b'-'] | [b'-', b' ' | b'\t', ..] => false,
        // PgBouncer's database for all that are not listed.
        [b'*'] => true,
        [first, ..] => {
            is_first(*first)
                && !key.iter().any(|b| b"\"'`<>{}|;#".contains(b) || (*b < b' ' && *b != b'\t'))
        }
        [] => false,
    }
}

fn is_bare_key(key: &[u8]) -> bool {
    key.first().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        && key.iter().all(|b| b.is_ascii_alphanumeric() || b"_-./:@[]".contains(b))
}

/// How many words a key in a comment may have: of more, prose is made.
const MOST_WORDS: usize = 4;

/// The key of an assignment in a comment, at `at`; `line` ends with its line. Stricter than
/// outside of comments, for most comments are prose.
pub(super) fn in_comment(line: &[u8], at: usize, dialect: &Dialect) -> Option<Key> {
    let found = separator(line, at, dialect)?;
    let span = Span::new(at, trimmed_end(line, at, found));
    let key = span.of(line);
    let words = key.split(|b| is_blank(*b)).filter(|word| !word.is_empty());
    let most = if line[found] == b'=' { MOST_WORDS } else { 1 };
    let is_word_byte = |b: &u8| b.is_ascii_alphanumeric() || b"_-./@:[] \t".contains(b);
    let is_key = key.first().is_some_and(|b| b.is_ascii_alphanumeric() || b"_/@".contains(b))
        && key.iter().all(is_word_byte)
        && words.take(most + 1).count() <= most;
    is_key.then_some(Key { span, behind: Some(found + 1) })
}

/// A section's header.
pub(super) struct Header {
    pub path: FieldPath,
    /// Behind its `]`.
    pub end: usize,
}

/// The header that begins with the `[` at `at`.
pub(super) fn header(text: &[u8], at: usize, dialect: &Dialect) -> Option<Header> {
    let line = &text[..line_end(text, at)];
    if dialect.keys == Keys::Git {
        return git_header(line, at + 1);
    }
    let is_clean = |close: &usize| {
        let next = skip_blanks(line, close + 1);
        dialect.inline_keys || line.get(next).is_none_or(|b| matches!(b, b';' | b'#'))
    };
    let first = at + memchr::memchr(b']', &line[at..])?;
    // `[*.[ch]]`
    let last = || at + memchr::memrchr(b']', &line[at..]).unwrap_or(0);
    let close = Some(first).filter(is_clean).or_else(|| Some(last()).filter(is_clean))?;
    let name = trimmed(&line[at + 1..close]);
    // A list in JSON or TOML begins so, and TOML's tables of a list.
    let is_name = name.first().is_some_and(|b| !b"[{\"'".contains(b));
    is_name.then(|| Header { path: FieldPath::root().key(name), end: close + 1 })
}

/// `[section]`, `[section.subsection]` or `[section "subsection"]`, behind its `[`.
fn git_header(line: &[u8], at: usize) -> Option<Header> {
    let of_name = |b: &&u8| b.is_ascii_alphanumeric() || b"-.".contains(b);
    let end = at + line[at..].iter().take_while(of_name).count();
    let name = &line[at..end];
    let mut parts = name.splitn(2, |b| *b == b'.');
    let path = FieldPath::root().key(parts.next()?);
    let path = parts.next().map_or(path.clone(), |sub| path.key(sub));
    if name.is_empty() {
        return None;
    }
    if line.get(end) == Some(&b']') {
        return Some(Header { path, end: end + 1 });
    }
    let open = skip_blanks(line, end);
    if open == end || line.get(open) != Some(&b'"') {
        return None;
    }
    let mut sub = Vec::new();
    let mut now = open + 1;
    loop {
        match *line.get(now)? {
            b'"' => break,
            b'\\' => {
                now += 1;
                sub.push(*line.get(now)?);
            }
            byte => sub.push(byte),
        }
        now += 1;
    }
    (line.get(now + 1) == Some(&b']')).then(|| Header { path: path.key(sub), end: now + 2 })
}
