//! What a rule's pattern finds: each match of its group `value` is a value, verbatim.
//!
//! A pattern says nothing about the text around it, so a value has no quotes and no escapes of its
//! own: what the group matches is what programs take, byte for byte.

use regex::bytes::Regex;

use super::{Codec, CodecId, Context, FieldPath, ParseError, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

/// A rule's pattern, ready to search.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression; what is wrong, and the byte at which.
    #[error("{0}")]
    Syntax(String),
    /// It has no group of the name `value`.
    #[error("it has no group `(?P<value>...)`")]
    NoValue,
}

impl Pattern {
    /// Reads a regular expression in the syntax of the crate `regex`; it must name a group
    /// `value`, and may name a group `name`, whose text becomes the last segment of the path.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let regex = Regex::new(text).map_err(|error| PatternError::Syntax(error.to_string()))?;
        match regex.capture_names().flatten().any(|name| name == "value") {
            true => Ok(Self { regex }),
            false => Err(PatternError::NoValue),
        }
    }

    /// The regular expression.
    pub fn text(&self) -> &str {
        self.regex.as_str()
    }

    /// The values in `text`: every match's group `value` that took part and is not empty.
    pub fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        let matches = self.regex.captures_iter(text);
        let sites = matches.filter_map(|found| {
            let value = found.name("value").filter(|value| !value.is_empty())?;
            let name = found.name("name").map_or(&b"value"[..], |name| name.as_bytes());
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

    fn token(&self, token: &str, _context: Context) -> String {
        token.to_owned()
    }
}
