//! Field patterns: the textual grammar of field paths with wildcards.
//!
//! `*` stands for any run of characters within a segment (`db_*`), `**` for any number of
//! segments; within quotes both are themselves. A pattern covers the subtree below what it
//! names, and passes through list elements: `users.password` also names `users[].password`. A dot
//! also stands for one within a key: in Java's properties `db.password` is one key, and means two.
//!
//! Must stay true: matching costs at most depth times length and allocates nothing; it is done
//! for every value of every file.

use crate::format::{FieldPath, Segment};

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldPattern {
    parts: Vec<Part>,
    /// Bit `i` is set when `parts[i - 1]` is `**`: position `i` may be given up for `i - 1`.
    passable: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Exactly this key.
    Key(Box<[u8]>),
    /// A key that begins, goes on and ends with these, in order; the stars stand between them.
    Glob(Box<[Box<[u8]>]>),
    /// `*` alone: any key, and any element of a list.
    Any,
    /// `[]`.
    Element,
    /// `**`.
    AnyDepth,
}

/// Why a text is no field pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PatternError {
    /// Offset of the offending byte.
    pub at: usize,
    /// What is wrong there.
    pub kind: &'static str,
}

/// More would not fit the matcher's set of positions.
const MOST_PARTS: usize = 63;

impl FieldPattern {
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let bytes = text.as_bytes();
        let fail = |at, kind| Err(PatternError { at, kind });
        let mut parts: Vec<Part> = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at..].starts_with(b"[]") {
                parts.push(Part::Element);
                at += 2;
                continue;
            }
            if !parts.is_empty() {
                if bytes[at] != b'.' {
                    return fail(at, "a `.` or `[]` is expected");
                }
                at += 1;
            }
            let (part, end) =
                if bytes.get(at) == Some(&b'"') { quoted(text, at)? } else { bare(bytes, at)? };
            // Two `**` in a row say no more than one.
            if part != Part::AnyDepth || parts.last() != Some(&Part::AnyDepth) {
                parts.push(part);
            }
            at = end;
        }
        if parts.is_empty() {
            return fail(0, "an empty pattern; `**` names every field");
        }
        if parts.len() > MOST_PARTS {
            return fail(0, "a pattern has at most 63 segments");
        }
        let passable = (1..=parts.len())
            .filter(|i| parts[i - 1] == Part::AnyDepth)
            .fold(0, |set, i| set | 1u64 << i);
        Ok(Self { parts, passable })
    }

    /// Whether the pattern names `path` or something above it.
    pub fn covers(&self, path: &FieldPath) -> bool {
        let keys = || path.inwards().map(Segment::key);
        let dotted = |key: Option<&[u8]>| key.is_some_and(|key| key.contains(&b'.'));
        let words = |key| Words(Some(key));
        self.names(keys()) || (keys().any(dotted) && self.names(keys().flat_map(words)))
    }

    /// Whether the pattern names a path of these keys, innermost first, or something above it;
    /// `None` is an element of a list.
    ///
    /// Walks from the innermost segment outwards, since that needs no copy of the path. Position
    /// `i` is in the set when `parts[i..]` name what has been walked.
    fn names<'a>(&self, inwards: impl Iterator<Item = Option<&'a [u8]>>) -> bool {
        let end = 1u64 << self.parts.len();
        let mut active = self.pass(end);
        for key in inwards {
            // The end may swallow any segment: the subtree.
            let mut next = active & end;
            let mut rest = active;
            while rest != 0 {
                let i = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let stays = match i.checked_sub(1).map(|before| &self.parts[before]) {
                    Some(Part::AnyDepth) => true,
                    _ => key.is_none(),
                };
                if stays {
                    next |= 1 << i;
                }
                if i > 0 && self.parts[i - 1].names(key) {
                    next |= 1 << (i - 1);
                }
            }
            if next == 0 {
                return false;
            }
            active = self.pass(next);
        }
        active & 1 != 0
    }

    fn pass(&self, set: u64) -> u64 {
        set | (set & self.passable) >> 1
    }
}

/// A key, cut at its dots, the last word first; an element of a list as it is.
struct Words<'a>(Option<Option<&'a [u8]>>);

impl<'a> Iterator for Words<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.take()?;
        let Some(dot) = key.and_then(|key| key.iter().rposition(|b| *b == b'.')) else {
            return Some(key);
        };
        self.0 = Some(key.map(|key| &key[..dot]));
        Some(key.map(|key| &key[dot + 1..]))
    }
}

impl Part {
    fn names(&self, key: Option<&[u8]>) -> bool {
        match (self, key) {
            (Part::Key(wanted), Some(key)) => **wanted == *key,
            (Part::Glob(pieces), Some(key)) => star_match(pieces, key),
            (Part::Any, _) | (Part::Element, None) => true,
            _ => false,
        }
    }
}

/// Whether `text` is `pieces` with anything in place of the gaps between them.
pub(super) fn star_match(pieces: &[Box<[u8]>], text: &[u8]) -> bool {
    let [first, middle @ .., last] = pieces else {
        return pieces.first().is_some_and(|only| **only == *text);
    };
    let Some(mut rest) = text.strip_prefix(&**first) else { return false };
    // The leftmost place for each piece leaves the most room for those that follow.
    for piece in middle.iter().filter(|piece| !piece.is_empty()) {
        match rest.windows(piece.len()).position(|part| part == &**piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// `text` cut at its stars, for [`star_match`].
pub(super) fn star_pieces(text: &[u8]) -> Box<[Box<[u8]>]> {
    text.split(|b| *b == b'*').map(Box::from).collect()
}

fn bare(bytes: &[u8], at: usize) -> Result<(Part, usize), PatternError> {
    let is_bare = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'*');
    let end = at + bytes[at..].iter().take_while(|b| is_bare(b)).count();
    let part = match &bytes[at..end] {
        b"" => {
            let kind = "a key is expected; quote one that holds other than letters, digits, `_`, \
                        `-` and `*`";
            return Err(PatternError { at, kind });
        }
        b"*" => Part::Any,
        b"**" => Part::AnyDepth,
        text if text.windows(2).any(|two| two == b"**") => {
            return Err(PatternError { at, kind: "`**` stands alone between dots" });
        }
        text if text.contains(&b'*') => Part::Glob(star_pieces(text)),
        text => Part::Key(text.into()),
    };
    Ok((part, end))
}

fn quoted(text: &str, start: usize) -> Result<(Part, usize), PatternError> {
    let bytes = text.as_bytes();
    let mut end = start + 1;
    while bytes.get(end).is_some_and(|b| *b != b'"') {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    // An escape before a character of several bytes would end inside it: the key's own reader
    // refuses that escape, given the whole rest.
    let key = text.get(start..end + 1).unwrap_or(&text[start..]);
    match FieldPath::parse(key) {
        Ok(path) => match path.inwards().next().and_then(Segment::key) {
            Some(key) => Ok((Part::Key(key.into()), end + 1)),
            None => Err(PatternError { at: start, kind: "a key is expected" }),
        },
        Err(error) => Err(PatternError { at: start + error.at, kind: error.kind }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covers(pattern: &str, path: &str) -> bool {
        FieldPattern::parse(pattern).unwrap().covers(&FieldPath::parse(path).unwrap())
    }

    #[test]
    fn a_pattern_covers_what_it_names_and_below() {
        for (pattern, path) in [
            ("database.password", "database.password"),
            ("database.password", "database.password.value[]"),
            ("users.password", "users[].password"),
            ("users[].password", "users[].password"),
            ("users.password", "users[][].password[].x"),
            ("services.*.token", "services.web.token"),
            ("services.*.token", "services[].token"),
            ("db_*.p", "db_main.p"),
            ("*_key", "api_key"),
            ("*_*_key", "my_api_key"),
            ("a.**.z", "a.z"),
            ("a.**.z", "a.b[].c.z.y"),
            ("**.z", "z"),
            ("**.z", "a[].b.z"),
            ("oidc.**", "oidc.issuer"),
            ("oidc.**", "oidc"),
            ("**", ""),
            ("**.**.a", "a"),
            ("a", "[].a"),
            ("\"a.b\".c", "\"a.b\".c"),
            ("\"a*\"", "\"a*\""),
            ("env.DB_PASSWORD", "env[].DB_PASSWORD.value"),
        ] {
            assert!(covers(pattern, path), "{pattern} covers {path}");
        }
    }

    #[test]
    fn a_dot_also_stands_for_one_within_a_key() {
        for (pattern, path) in [
            ("spring.datasource.password", "\"spring.datasource.password\""),
            ("spring.*.password", "\"spring.datasource.password\""),
            ("spring", "\"spring.datasource.password\""),
            ("**.password", "\"spring.datasource.password\""),
            ("\"spring.datasource.password\"", "\"spring.datasource.password\""),
            ("a.b.c", "a[].\"b.c\""),
            ("a.b", "\"a.b.c\"[].d"),
        ] {
            assert!(covers(pattern, path), "{pattern} covers {path}");
        }
        for (pattern, path) in [
            ("password", "\"spring.password\""),
            ("\"a.b\"", "a.b"),
            ("a.b", "\"a.bc\""),
            ("spring.*", "\"springy.x\""),
        ] {
            assert!(!covers(pattern, path), "{pattern} does not cover {path}");
        }
    }

    #[test]
    fn a_pattern_leaves_the_rest_alone() {
        for (pattern, path) in [
            ("database.password", "database.passwords"),
            ("database.password", "database"),
            ("database.password", "x.database.password"),
            ("users[].password", "users.password"),
            ("services.*.token", "services.token"),
            ("services.*.token", "services.a.b.token"),
            ("db_*", "db"),
            ("a_*_a", "a_a"),
            ("a.**.z", "b.z"),
            ("Password", "password"),
            ("\"a*\"", "ab"),
            ("a", ""),
        ] {
            assert!(!covers(pattern, path), "{pattern} does not cover {path}");
        }
    }

    #[test]
    fn a_repeated_key_is_named_like_any_other() {
        let path = FieldPath::root().child(Segment::Repeated((*b"env").into()));
        assert!(FieldPattern::parse("env").unwrap().covers(&path));
    }

    #[test]
    fn what_is_no_pattern_is_refused_where_it_goes_wrong() {
        let deep = ["a"; 64].join(".");
        for (text, at) in [
            ("", 0),
            ("a..b", 2),
            ("a.", 2),
            (".a", 0),
            ("a b", 1),
            ("a.\"x", 2),
            ("a**", 0),
            ("x.***", 2),
            ("\"\\\u{e9}\"", 1),
            ("\"x\"y", 3),
            (&deep, 0),
        ] {
            assert_eq!(FieldPattern::parse(text).unwrap_err().at, at, "{text}");
        }
    }

    /// The meaning of a pattern, spelled out without regard to cost.
    fn naive(parts: &[Part], path: &[&Segment]) -> bool {
        let Some((part, rest)) = parts.split_first() else { return true };
        let element = path.first().is_some_and(|first| **first == Segment::Element);
        if element && naive(parts, &path[1..]) {
            return true;
        }
        match path.split_first() {
            _ if *part == Part::AnyDepth && naive(rest, path) => true,
            Some((_, inner)) if *part == Part::AnyDepth => naive(parts, inner),
            Some((first, inner)) => part.names(first.key()) && naive(rest, inner),
            None => false,
        }
    }

    proptest! {
        #[test]
        fn the_walk_agrees_with_the_definition(
            pattern in "(a|b|\\*|a\\*|\\*\\*)((\\.(a|b|\\*|ab|\\*\\*))|\\[\\]){0,6}",
            path in "(a|b|ab)((\\.(a|b|ab))|\\[\\]){0,8}",
        ) {
            let pattern = FieldPattern::parse(&pattern).unwrap();
            let path = FieldPath::parse(&path).unwrap();
            prop_assert_eq!(pattern.covers(&path), naive(&pattern.parts, &path.segments()));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,40}", odd in "[a.*\\[\\]\"\\\\%é]{0,20}") {
            let _ = FieldPattern::parse(&text);
            let _ = FieldPattern::parse(&odd);
        }
    }
}
