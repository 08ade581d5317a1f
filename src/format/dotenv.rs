//! The dotenv codec.

use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;

/// See the module.
pub(super) struct Dotenv;

impl Codec for Dotenv {
    fn id(&self) -> CodecId {
        CodecId::Dotenv
    }
    fn scan(&self, _text: &[u8]) -> Result<Vec<Site>, ParseError> {
        todo!()
    }
    fn decode(&self, _source: &[u8], _context: Context) -> Option<SecretBytes> {
        todo!()
    }
    fn encode(&self, _value: &[u8], _context: Context, _column: u16) -> Option<SecretBytes> {
        todo!()
    }
    fn token(&self, _token: &str, _context: Context) -> String {
        todo!()
    }
}
