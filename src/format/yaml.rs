//! YAML 1.2, and what readers of 1.1 take: `granit-parser` says whether a text is YAML and where
//! its nodes stand; the sites follow from its events.
//!
//! A scalar in a key's place is never a site, and neither is a node that is not spelled out. A
//! token stands between double quotes, in place of a block scalar too: the line break that ends
//! one stays outside of its span. Tags and anchors stay in front of the token.

mod alias;
mod comment;
mod events;
mod k8s;
mod keys;
mod place;
mod scalar;
mod walk;

use self::walk::{Refused, Walk};
use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of YAML files.
pub(super) struct Yaml;

impl Codec for Yaml {
    fn id(&self) -> CodecId {
        CodecId::Yaml
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        let source = std::str::from_utf8(text)
            .map_err(|error| ParseError::at(text, error.valid_up_to(), "not UTF-8"))?;
        let body = source.strip_prefix('\u{feff}').unwrap_or(source);
        let shift = source.len() - body.len();
        let toks = events::parse(body)?;
        let mut sites = Walk::new(body.as_bytes(), &toks.0).run().map_err(|refused| {
            ParseError::at(
                text,
                0,
                match refused {
                    Refused::Aliases => "aliases that repeat too many values",
                    Refused::Indentation => "indented too far",
                    Refused::Misplaced => "a block scalar with an unclear indentation",
                },
            )
        })?;
        if shift > 0 {
            sites.iter_mut().for_each(|site| site.span = site.span.shifted(shift));
        }
        Ok(sites)
    }

    fn decode(&self, source: &[u8], context: Context) -> Option<SecretBytes> {
        scalar::decode(source, context)
    }

    fn encode(&self, value: &[u8], _context: Context, _column: u16) -> Option<SecretBytes> {
        scalar::encode(value)
    }

    fn quote(&self, _context: Context) -> &'static str {
        "\""
    }
}

#[cfg(test)]
mod tests;
