//! Keywords with arguments.

use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of one dialect.
pub(super) struct Directives {
    id: CodecId,
}

pub(super) static DIRECTIVES: Directives = Directives { id: CodecId::Directives };
pub(super) static REDIS: Directives = Directives { id: CodecId::Redis };
pub(super) static SSHD: Directives = Directives { id: CodecId::Sshd };
pub(super) static POSTGRESQL: Directives = Directives { id: CodecId::Postgresql };
pub(super) static NGINX: Directives = Directives { id: CodecId::Nginx };

impl Codec for Directives {
    fn id(&self) -> CodecId {
        self.id
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
