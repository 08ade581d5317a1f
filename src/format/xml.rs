//! XML.

use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of XML files.
pub(super) struct Xml;

impl Codec for Xml {
    fn id(&self) -> CodecId {
        CodecId::Xml
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        Err(ParseError::at(text, 0, "this format is not read yet"))
    }

    fn decode(&self, _source: &[u8], _context: Context) -> Option<SecretBytes> {
        None
    }

    fn encode(&self, _value: &[u8], _context: Context, _column: u16) -> Option<SecretBytes> {
        None
    }

    fn token(&self, token: &str, _context: Context) -> String {
        token.to_owned()
    }
}
