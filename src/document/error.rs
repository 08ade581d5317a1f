//! Why a stored file cannot be opened. Carries data; the words are found at the edge. Never holds
//! plaintext or key material.

use std::fmt;

use crate::format::{FieldPath, ParseError, Site};
use crate::keyring::KeyId;
use crate::token::TokenError;
use crate::token::foreign::{ForeignError, Scheme};

/// A stored file that cannot be opened: the first field that fails, and how many do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenError {
    /// The field; `None` when the file as a whole is meant.
    pub field: Option<Box<FieldPath>>,
    /// The line in the stored text, 1-based; `None` for whole files.
    pub line: Option<usize>,
    /// What is wrong.
    pub cause: Cause,
    /// How many fields of the file fail.
    pub failing: usize,
}

/// What is wrong with a sealed value or file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The token itself: no key, tampered, too weakly bound, malformed.
    Token(TokenError),
    /// The token of another system.
    Foreign(ForeignError),
    /// It is no token of ours, and looks like one of a scheme that no import names.
    Unimported(Scheme),
    /// The text holds tokens but cannot be read as the format it should have.
    Unreadable(ParseError),
    /// The text holds tokens, and no rule or name says what format it has.
    NoFormat,
    /// The sealed value does not fit into the place where its token stands.
    Misplaced,
    /// The inside of a whole file is not laid out as docs/format.md says.
    Layout,
}

impl OpenError {
    /// An error about the file as a whole.
    pub(super) fn whole(cause: Cause) -> Self {
        Self { field: None, line: None, cause, failing: 1 }
    }

    /// An error about the value that stands at `site` of `stored`.
    pub(super) fn at(site: &Site, stored: &[u8], cause: Cause) -> Self {
        let before = &stored[..site.span.start];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        Self { field: Some(Box::new(site.path.clone())), line: Some(line), cause, failing: 1 }
    }

    /// The key that a token names and that is missing or did not fit.
    pub fn key_id(&self) -> Option<KeyId> {
        match &self.cause {
            Cause::Token(error) => error.key_id(),
            Cause::Foreign(_)
            | Cause::Unimported(_)
            | Cause::Unreadable(_)
            | Cause::NoFormat
            | Cause::Misplaced
            | Cause::Layout => None,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "field `{field}`")?;
            if let Some(line) = self.line {
                write!(f, " (line {line})")?;
            }
            f.write_str(": ")?;
        }
        match &self.cause {
            Cause::Token(error) => write!(f, "{error}")?,
            Cause::Foreign(error) => write!(f, "{error}")?,
            Cause::Unimported(scheme) => write!(
                f,
                "no token of confseal, but perhaps one of `{scheme}`: a [[keys.import]] with its \
                 key would open it"
            )?,
            Cause::Unreadable(error) => {
                write!(f, "holds sealed values but cannot be read: {error}")?;
            }
            Cause::NoFormat => {
                f.write_str("holds sealed values, but no rule says what format it has")?;
            }
            Cause::Misplaced => f.write_str("the sealed value does not fit into this place")?,
            Cause::Layout => f.write_str("the inside of the sealed file is not laid out right")?,
        }
        if self.failing > 1 {
            write!(f, " ({} fields fail in all)", self.failing)?;
        }
        Ok(())
    }
}

impl std::error::Error for OpenError {}
