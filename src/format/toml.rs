//! TOML 1.1. `toml_edit` says whether a text is TOML and where its values stand, the lexer of
//! `toml_parser` where its comments stand.
//!
//! Spans are those of the immutable `toml_edit::Document`: `DocumentMut` drops them, and
//! `toml::Spanned` gives wrong ones for dotted keys. Neither is ever asked to write.

mod comment;
mod tree;

use toml_edit::Document;
use toml_parser::Source;
use toml_parser::decoder::{ScalarKind, StringBuilder};
use toml_parser::parser::{Event, EventKind, parse_value};

use self::tree::Tree;
use super::{Codec, CodecId, Context, FieldPath, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of TOML files.
pub(super) struct Toml;

impl Codec for Toml {
    fn id(&self) -> CodecId {
        CodecId::Toml
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        let source = std::str::from_utf8(text)
            .map_err(|error| ParseError::at(text, error.valid_up_to(), "not UTF-8"))?;
        let document = Document::parse(source).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            ParseError::at(text, at, kind_of(error.message()))
        })?;
        let mut tree = Tree::new(Context::ORDINARY, 0, 0);
        tree.table(document.as_table(), &FieldPath::root(), None)
            .map_err(|lost| ParseError::at(text, 0, lost.0))?;
        let Tree { mut sites, mut places, .. } = tree;
        if text.contains(&b'#') {
            // The tree is walked by tables, and a table may be opened again further down.
            places.sort_unstable_by_key(|place| place.start);
            comment::scan(source, document.as_table(), &places, &mut sites);
        }
        sites.sort_unstable_by_key(|site| site.span.start);
        Ok(sites)
    }

    fn decode(&self, source: &[u8], context: Context) -> Option<SecretBytes> {
        let text = std::str::from_utf8(source).ok()?;
        if context == Context::ORDINARY {
            return decode_scalar(text);
        }
        let line = text.trim_matches([' ', '\t']);
        if line.len() != text.len() || line.is_empty() || line.contains(['\n', '\r']) {
            return None;
        }
        // The rest of a commented-out line that is no TOML value is a value all the same.
        Some(decode_scalar(text).unwrap_or_else(|| source.into()))
    }

    fn encode(&self, value: &[u8], _context: Context, _column: u16) -> Option<SecretBytes> {
        let value = std::str::from_utf8(value).ok()?;
        let mut out = SecretBytes::with_capacity(value.len() + 2);
        out.extend(b"\"");
        for c in value.chars() {
            match c {
                '"' => out.extend(b"\\\""),
                '\\' => out.extend(b"\\\\"),
                '\n' => out.extend(b"\\n"),
                '\r' => out.extend(b"\\r"),
                '\t' => out.extend(b"\\t"),
                c if c.is_ascii_control() => {
                    out.extend(format!("\\u{:04X}", u32::from(c)).as_bytes());
                }
                c => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out.extend(b"\"");
        Some(out)
    }

    fn token(&self, token: &str, _context: Context) -> String {
        format!("\"{token}\"")
    }
}

/// The message of `toml_edit` quotes source text now and then; these words do not.
fn kind_of(message: &str) -> &'static str {
    if message.starts_with("duplicate key") {
        "a key or table that is already defined"
    } else if message.starts_with("cannot recurse") {
        "nested too deeply"
    } else {
        "not valid TOML"
    }
}

/// The value of `text` if that is one scalar and nothing else.
fn decode_scalar(text: &str) -> Option<SecretBytes> {
    let source = Source::new(text);
    let mut events: Vec<Event> = Vec::new();
    let mut errors: Vec<toml_parser::ParseError> = Vec::new();
    parse_value(&source.lex().into_vec(), &mut events, &mut errors);
    let [event] = events[..] else { return None };
    if event.kind() != EventKind::Scalar || event.span().len() != text.len() {
        return None;
    }
    let mut decoded = Decoded(SecretBytes::with_capacity(text.len()));
    let kind = source.get(event)?.decode_scalar(&mut decoded, &mut errors);
    match kind {
        _ if !errors.is_empty() => None,
        ScalarKind::String => Some(decoded.0),
        _ => Some(text.as_bytes().into()),
    }
}

/// Takes a decoded string without leaving copies behind.
struct Decoded(SecretBytes);

impl<'s> StringBuilder<'s> for Decoded {
    fn clear(&mut self) {
        self.0.resize(0);
    }

    fn push_str(&mut self, append: &'s str) -> bool {
        self.0.extend(append.as_bytes());
        true
    }

    fn push_char(&mut self, append: char) -> bool {
        self.0.extend(append.encode_utf8(&mut [0; 4]).as_bytes());
        true
    }
}
