//! Why a file is sealed whole, in words for `explain` and `status`.

use super::Outside;
use crate::format::ParseError;

/// Why a file is sealed whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WholeBecause {
    /// A rule or built-in name says so.
    #[error("a rule says so")]
    Rule,
    /// No rule knows the name.
    #[error("no rule knows its name")]
    UnknownName,
    /// It cannot be read in its format.
    #[error("it cannot be read as its format: {0}")]
    Unreadable(ParseError),
    /// A secret stands in a place of the text that cannot be sealed by itself.
    #[error("a secret stands outside its field too")]
    Leak,
    /// What was sealed under its old name would stand in the clear under the new one.
    #[error("a value that was sealed under the old name is none under the new one")]
    Renamed,
    /// A credential stands where no codec has a value.
    #[error("{0}")]
    Outside(Outside),
    /// Sealing its fields did not give a text that opens to the same bytes.
    #[error("sealing its fields one by one would not be exact")]
    Inexact,
    /// The rule's pattern finds other values once tokens stand in their places.
    #[error(
        "the rule's pattern does not match a sealed value: let its group `value` take `[A-Za-z0-9_:-]` at any length"
    )]
    NoToken,
    /// The pattern that found secrets in it finds none any more.
    #[error("the rule's pattern matches nothing in it any more")]
    NoMatch,
    /// It begins like a token.
    #[error("it begins like a sealed value")]
    LooksSealed,
}

impl WholeBecause {
    /// Whether the policy does not do what it was written for.
    pub fn is_amiss(&self) -> bool {
        matches!(self, WholeBecause::NoMatch | WholeBecause::NoToken)
    }
}
