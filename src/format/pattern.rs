//! What a rule's pattern finds: each match of its group `value` is a value, verbatim.
//!
//! A pattern says nothing about the text around it, so a value has no quotes and no escapes of its
//! own: what the group matches is what programs take, byte for byte.
//!
//! Must stay true: a path holds nothing of a value, and no byte is passed over because a pattern
//! cannot see it. That a sealed text is found again is for the caller to check: a pattern may
//! well refuse a token where it takes a value.

use regex::bytes::{Regex, RegexBuilder};

use super::{Codec, CodecId, Context, FieldPath, ParseError, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

/// The most that a compiled pattern may take, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// A rule's pattern, ready to search.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    /// Whether it speaks of bytes (`(?-u)`) and so sees those that are no UTF-8.
    sees_bytes: bool,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression; what is wrong, and the byte at which.
    #[error("{0}")]
    Syntax(String),
    /// Compiled, it takes too much memory, and so too much time for each byte.
    #[error("it grows too large; repeat less in it")]
    TooLarge,
    /// It has no group of the name `value`.
    #[error("it has no group `(?P<value>...)`")]
    NoValue,
}

impl Pattern {
    /// Reads a regular expression in the syntax of the crate `regex`; it must name a group
    /// `value`, and may name a group `name`, whose text becomes the path.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let regex = RegexBuilder::new(text).size_limit(MOST_BYTES).build();
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
            error => PatternError::Syntax(error.to_string()),
        })?;
        match regex.capture_names().flatten().any(|name| name == "value") {
            true => Ok(Self { regex, sees_bytes: switches_unicode_off(text) }),
            false => Err(PatternError::NoValue),
        }
    }

    /// The regular expression.
    pub fn text(&self) -> &str {
        self.regex.as_str()
    }

    /// The values in `text`: every match's group `value` that took part and is not empty. A text
    /// that is no UTF-8 is refused unless the pattern speaks of bytes: `.` would stop in the
    /// middle of a value.
    pub fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        if let (false, Err(error)) = (self.sees_bytes, std::str::from_utf8(text)) {
            let kind = "no UTF-8, which a pattern needs unless it says (?-u)";
            return Err(ParseError::at(text, error.valid_up_to(), kind));
        }
        let matches = self.regex.captures_iter(text);
        let sites = matches.filter_map(|found| {
            let value = found.name("value").filter(|value| !value.is_empty())?;
            let apart = |name: &regex::bytes::Match<'_>| {
                name.end() <= value.start() || value.end() <= name.start()
            };
            let name = found.name("name").filter(apart);
            let name = name.map_or(&b"value"[..], |name| name.as_bytes());
            Some(Site {
                span: Span::new(value.start(), value.end()),
                path: FieldPath::root().key(name),
                context: Context::ORDINARY,
                column: 0,
                naming: false,
                also: Box::default(),
            })
        });
        Ok(sites.collect())
    }
}

/// Whether a flag group of `pattern` has `u` among the flags it takes away.
fn switches_unicode_off(pattern: &str) -> bool {
    pattern.match_indices("(?").any(|(at, _)| {
        let flags = pattern[at + 2..].split([')', ':']).next().unwrap_or_default();
        flags.split_once('-').is_some_and(|(on, off)| {
            on.chars().all(|c| c.is_ascii_alphabetic()) && off.contains('u')
        })
    })
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for Pattern {}

/// What holds of every pattern. Finding values takes one.
pub(super) struct Unmatched;

impl Codec for Unmatched {
    fn id(&self) -> CodecId {
        CodecId::Pattern
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        Err(ParseError::at(text, 0, "only a rule's pattern finds values here"))
    }

    fn decode(&self, source: &[u8], _context: Context) -> Option<SecretBytes> {
        Some(source.into())
    }

    fn encode(&self, value: &[u8], _context: Context, _column: u16) -> Option<SecretBytes> {
        Some(value.into())
    }

    fn quote(&self, _context: Context) -> &'static str {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{assert_linear, repeated};

    fn found(pattern: &str, text: &str) -> Vec<(String, String)> {
        let sites = Pattern::new(pattern).unwrap().scan(text.as_bytes()).unwrap();
        let shown =
            |site: &Site| (site.path.to_string(), text[site.span.start..site.span.end].to_owned());
        sites.iter().map(shown).collect()
    }

    fn pair(path: &str, value: &str) -> (String, String) {
        (path.to_owned(), value.to_owned())
    }

    #[test]
    fn each_match_is_a_value_under_its_name() {
        let pattern = r"(?m)^\s*(?P<name>\w*pass):(?P<value>.*)$";
        let text = "a:1\npass:one\n dbpass:two three\npass:\npass:four";
        let wanted = [pair("pass", "one"), pair("dbpass", "two three"), pair("pass", "four")];
        assert_eq!(found(pattern, text), wanted);
        assert_eq!(found("x(?P<value>y)?", "x xy"), [pair("value", "y")]);
        assert_eq!(found("(?P<value>)", "x"), []);
        assert_eq!(found("a(?P<value>[^,]+),(?P<name>b)", "aX,b"), [pair("b", "X")]);
    }

    #[test]
    fn a_name_that_holds_some_of_the_value_names_nothing() {
        for pattern in ["(?P<name>p:(?P<value>.+))", "p:(?P<value>a(?P<name>b)c)"] {
            assert_eq!(found(pattern, "p:abc"), [pair("value", "abc")], "{pattern}");
        }
    }

    #[test]
    fn bytes_that_a_pattern_cannot_see_are_not_passed_over() {
        let text = b"pass:caf\xe9\n";
        let scan = |pattern: &str| Pattern::new(pattern).unwrap().scan(text);
        assert_eq!(scan("pass:(?P<value>.+)").unwrap_err().column, 9);
        assert_eq!(scan("(?-u)pass:(?P<value>.+)").unwrap()[0].span, Span::new(5, 9));
        assert_eq!(scan("(?s-mu:pass:(?P<value>[^\n]+))").unwrap()[0].span, Span::new(5, 9));
        assert!(scan("(?i)pass(?:-u):(?P<value>.+)").is_err());
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        assert_eq!(Pattern::new("pass:(.+)"), Err(PatternError::NoValue));
        assert_eq!(Pattern::new(r"(?P<value>(\w{1000}){1000})"), Err(PatternError::TooLarge));
        for text in
            ["(?P<value>", "(?P<value>a)(?P<value>b)", r"(?P<value>a)\1", "(?=(?P<value>a))"]
        {
            assert!(matches!(Pattern::new(text), Err(PatternError::Syntax(_))), "{text}");
        }
    }

    #[test]
    fn an_ordinary_pattern_takes_linear_time() {
        let pattern = Pattern::new(r"(?m)^\s*pass\s*:\s*(?P<value>\S.*)$").unwrap();
        for piece in ["pass:x\n", "pass", " ", "\n", "pass: "] {
            assert_linear(
                piece,
                |len| repeated(piece, len),
                |text| _ = pattern.scan(text.as_bytes()).unwrap(),
            );
        }
    }
}
