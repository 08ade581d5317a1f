//! Formats: where the scalars of a document stand. One codec per file below `format/`; spans
//! only, never keys, and never a decision about what is secret.
//!
//! A codec answers one question, [`Codec::scan`]: which scalars (commented-out ones too) stand at
//! which byte spans, under which field path, in which syntactic context. What it does not name
//! is copied byte for byte by everyone above.

mod dotenv;
mod field_path;
mod json;
mod sibling;
mod toml;

use std::fmt;

pub use field_path::{FieldPath, FieldPathError, Segment};

use crate::secret::SecretBytes;
use crate::span::Span;

/// Which codec reads a document. The numbers stand inside sealed values (docs/format.md) and are
/// never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum CodecId {
    /// TOML 1.1.
    Toml = 1,
    /// JSON, with comments and trailing commas tolerated.
    Json = 2,
    /// `NAME=VALUE` lines as the common dotenv loaders take them.
    Dotenv = 3,
}

impl CodecId {
    /// Every codec there is.
    pub const ALL: [CodecId; 3] = [CodecId::Toml, CodecId::Json, CodecId::Dotenv];

    /// The codec of a number that stands inside a sealed value.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|id| *id as u8 == number)
    }

    /// The codec of a policy's `format = "…"`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.name() == name)
    }

    /// The name that policies and messages use.
    pub fn name(self) -> &'static str {
        match self {
            CodecId::Toml => "toml",
            CodecId::Json => "json",
            CodecId::Dotenv => "dotenv",
        }
    }

    /// The codec itself.
    pub fn codec(self) -> &'static dyn Codec {
        match self {
            CodecId::Toml => &toml::Toml,
            CodecId::Json => &json::Json,
            CodecId::Dotenv => &dotenv::Dotenv,
        }
    }

    /// The codec that a file of this name has by its extension or its whole name.
    pub fn by_file_name(name: &[u8]) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        if lower == b".env" || lower.starts_with(b".env.") || lower.ends_with(b".env") {
            return Some(CodecId::Dotenv);
        }
        let dot = lower.iter().rposition(|b| *b == b'.')?;
        match &lower[dot + 1..] {
            b"toml" => Some(CodecId::Toml),
            b"json" | b"jsonc" => Some(CodecId::Json),
            _ => None,
        }
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The syntactic surroundings of a value, as its codec numbers them; 0 is the ordinary place.
/// A value may be spelled differently in another context (on one line inside a comment, say).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Context(pub u8);

impl Context {
    /// The ordinary place of a value.
    pub const ORDINARY: Context = Context(0);
    /// Inside a line comment: a commented-out assignment.
    pub const COMMENT: Context = Context(1);
    /// Inside a block comment, which the value must not end.
    pub const BLOCK_COMMENT: Context = Context(2);
}

/// One scalar of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Its source bytes, quotes included.
    pub span: Span,
    /// Under which keys it stands.
    pub path: FieldPath,
    /// Its surroundings.
    pub context: Context,
    /// The column, in bytes, that continuation lines of the value are indented to; 0 in formats
    /// without significant indentation.
    pub column: u16,
    /// Whether this is the `name` of a list element and so a segment in the paths of the values
    /// beside it (its own path goes without). A name that begins with `ENC:` names nothing:
    /// sealing this one value, and no other, changes paths. So it is no secret for its path
    /// alone, and a document in which it must be sealed all the same goes whole.
    pub naming: bool,
}

/// Why a text is no document of a format. Never holds source text: it may be secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct ParseError {
    /// 1-based.
    pub line: usize,
    /// 1-based, in bytes.
    pub column: usize,
    /// What is wrong, in words that quote nothing.
    pub kind: &'static str,
}

impl ParseError {
    /// The error `kind` at byte `offset` of `text`.
    pub fn at(text: &[u8], offset: usize, kind: &'static str) -> Self {
        let before = &text[..offset.min(text.len())];
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        Self {
            line: before.iter().filter(|b| **b == b'\n').count() + 1,
            column: before.len() - line_start + 1,
            kind,
        }
    }
}

/// A format's reader. Implementations hold no state.
pub trait Codec: Sync {
    /// Which codec this is.
    fn id(&self) -> CodecId;

    /// Every scalar of `text` and every commented-out assignment's value, in the order of their
    /// spans, which do not overlap. The text between them is the document's shape: replacing any
    /// sites but `naming` ones by [`Codec::token`] gives a text with the same sites, paths and
    /// contexts.
    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError>;

    /// The value that a program takes `source` for, when it stands in `context`: quotes off,
    /// escapes resolved; numbers, booleans and dates as they are spelled. `None` when `source`
    /// is no single scalar there.
    fn decode(&self, source: &[u8], context: Context) -> Option<SecretBytes>;

    /// A spelling of the string `value` for a place in `context` at `column`, such that
    /// `decode` gives `value` back. `None` when no spelling exists there.
    fn encode(&self, value: &[u8], context: Context, column: u16) -> Option<SecretBytes>;

    /// How a sealed token stands in `context`: quoted where the format needs it. The token's
    /// alphabet is `[A-Za-z0-9_:-]`.
    fn token(&self, token: &str, context: Context) -> String;
}
