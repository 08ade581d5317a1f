//! Formats: where the scalars of a document stand. One codec per file below `format/`; spans
//! only, never keys, and never a decision about what is secret.
//!
//! A codec answers one question, [`Codec::scan`]: which scalars (commented-out ones too) stand at
//! which byte spans, under which field path, in which syntactic context. What it does not name
//! is copied byte for byte by everyone above.

mod arguments;
mod by_content;
mod by_name;
mod directives;
mod dotenv;
mod field_path;
mod hcl;
mod ini;
mod json;
mod line;
mod outline;
mod pattern;
mod properties;
mod sibling;
mod toml;
mod xml;
mod yaml;

use std::fmt;
use std::sync::Arc;

pub use field_path::{FieldPath, FieldPathError, Front, Name, Segment};
pub use pattern::{Pattern, PatternError};

use crate::secret::SecretBytes;
use crate::span::Span;

/// Which codec reads a document. The numbers stand inside sealed values (docs/format.md) and are
/// never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum CodecId {
    /// TOML 1.1.
    Toml = 1,
    /// JSON, JSON with comments, JSON5.
    Json = 2,
    /// `NAME=VALUE` lines as the common dotenv loaders take them.
    Dotenv = 3,
    /// YAML 1.2, several documents too.
    Yaml = 4,
    /// XML 1.0.
    Xml = 5,
    /// Sections of `key = value`, in the dialect that most readers share.
    Ini = 6,
    /// Java's `.properties`.
    Properties = 7,
    /// A keyword and its arguments on each line.
    Directives = 8,
    /// HCL 2.
    Hcl = 9,
    /// What a rule's pattern finds.
    Pattern = 10,
    /// git's configuration.
    Git = 11,
    /// systemd's units and configuration.
    Systemd = 12,
    /// MySQL's and MariaDB's option files.
    Mysql = 13,
    /// `php.ini` and PHP-FPM's pools.
    Php = 14,
    /// `grafana.ini`.
    Grafana = 15,
    /// What Python's configparser reads, with indented continuation lines.
    Configparser = 16,
    /// `redis.conf`, `sentinel.conf`.
    Redis = 17,
    /// `sshd_config`, `ssh_config`.
    Sshd = 18,
    /// `postgresql.conf`.
    Postgresql = 19,
    /// nginx: `name value;` and blocks.
    Nginx = 20,
}

impl CodecId {
    /// Every codec there is.
    pub const ALL: [CodecId; 20] = [
        CodecId::Toml,
        CodecId::Json,
        CodecId::Dotenv,
        CodecId::Yaml,
        CodecId::Xml,
        CodecId::Ini,
        CodecId::Properties,
        CodecId::Directives,
        CodecId::Hcl,
        CodecId::Pattern,
        CodecId::Git,
        CodecId::Systemd,
        CodecId::Mysql,
        CodecId::Php,
        CodecId::Grafana,
        CodecId::Configparser,
        CodecId::Redis,
        CodecId::Sshd,
        CodecId::Postgresql,
        CodecId::Nginx,
    ];

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
            CodecId::Yaml => "yaml",
            CodecId::Xml => "xml",
            CodecId::Ini => "ini",
            CodecId::Properties => "properties",
            CodecId::Directives => "directives",
            CodecId::Hcl => "hcl",
            CodecId::Pattern => "regex",
            CodecId::Git => "git",
            CodecId::Systemd => "systemd",
            CodecId::Mysql => "mysql",
            CodecId::Php => "php",
            CodecId::Grafana => "grafana",
            CodecId::Configparser => "configparser",
            CodecId::Redis => "redis",
            CodecId::Sshd => "sshd",
            CodecId::Postgresql => "postgresql",
            CodecId::Nginx => "nginx",
        }
    }

    /// The codec itself.
    pub fn codec(self) -> &'static dyn Codec {
        match self {
            CodecId::Toml => &toml::Toml,
            CodecId::Json => &json::Json,
            CodecId::Dotenv => &dotenv::Dotenv,
            CodecId::Yaml => &yaml::Yaml,
            CodecId::Xml => &xml::Xml,
            CodecId::Ini => &ini::INI,
            CodecId::Properties => &properties::Properties,
            CodecId::Directives => &directives::DIRECTIVES,
            CodecId::Hcl => &hcl::Hcl,
            CodecId::Pattern => &pattern::Unmatched,
            CodecId::Git => &ini::GIT,
            CodecId::Systemd => &ini::SYSTEMD,
            CodecId::Mysql => &ini::MYSQL,
            CodecId::Php => &ini::PHP,
            CodecId::Grafana => &ini::GRAFANA,
            CodecId::Configparser => &ini::CONFIGPARSER,
            CodecId::Redis => &directives::REDIS,
            CodecId::Sshd => &directives::SSHD,
            CodecId::Postgresql => &directives::POSTGRESQL,
            CodecId::Nginx => &directives::NGINX,
        }
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a file is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format {
    /// By one codec, as a rule or the file's name says.
    Codec(CodecId),
    /// By the first of these that finds a value in its content, or else understands it. Its name
    /// alone tells too little to be held against it: a text that none understands is one of which
    /// nothing is known.
    ByContent(&'static [CodecId]),
    /// By the pattern of a rule.
    Pattern(Arc<Pattern>),
}

/// A text, taken apart.
#[derive(Debug)]
pub struct Scanned {
    /// The codec that did it.
    pub id: CodecId,
    /// See [`Codec::scan`].
    pub sites: Vec<Site>,
}

impl Format {
    /// How a file of this name is read by its extension or its whole name; `None` when the name
    /// tells nothing.
    pub fn by_file_name(name: &[u8]) -> Option<Self> {
        by_name::look_up(name)
    }

    /// Takes `text` apart. The error is that of the first codec that was tried.
    pub fn scan(&self, text: &[u8]) -> Result<Scanned, ParseError> {
        let mut scanned = match self {
            Format::Codec(id) => Scanned { id: *id, sites: id.codec().scan(text)? },
            Format::Pattern(pattern) => {
                Scanned { id: CodecId::Pattern, sites: pattern.scan(text)? }
            }
            Format::ByContent(candidates) => by_content::scan(candidates, text)?,
        };
        arguments::name(text, scanned.id.codec(), &mut scanned.sites);
        Ok(scanned)
    }

    /// Whether it is the content that tells, if anything does.
    pub fn is_by_content(&self) -> bool {
        matches!(self, Format::ByContent(_))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Format::Codec(id) => id.fmt(f),
            Format::Pattern(_) => CodecId::Pattern.fmt(f),
            Format::ByContent(candidates) => {
                let (last, front) = candidates.split_last().expect("at least one candidate");
                front.iter().try_for_each(|id| write!(f, "{id}, "))?;
                write!(f, "{}{last}", if front.is_empty() { "" } else { "or " })
            }
        }
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

    /// Whether a value here is commented out, in the numbering of most codecs: ask
    /// [`Codec::is_comment`].
    fn is_comment(self) -> bool {
        matches!(self, Self::COMMENT | Self::BLOCK_COMMENT)
    }
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
    /// Other paths under which programs see this value: where an alias repeats it; in a list of
    /// arguments, the option in front of it.
    pub also: Box<[FieldPath]>,
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

    /// What stands on either side of a sealed token in `context`: quotes where the format needs
    /// them. The token's alphabet is `[A-Za-z0-9_:-]`.
    fn quote(&self, context: Context) -> &'static str;

    /// How a sealed token stands in `context`.
    fn token(&self, token: &str, context: Context) -> String {
        let quote = self.quote(context);
        [quote, token, quote].concat()
    }

    /// Whether this very token may stand in `context`: there are places that forbid some sequence
    /// of the alphabet. Where it may not, another nonce gives another token.
    fn takes(&self, token: &str, context: Context) -> bool {
        let _ = (token, context);
        true
    }

    /// Whether what stands in `context` is commented out.
    fn is_comment(&self, context: Context) -> bool {
        context.is_comment()
    }
}
