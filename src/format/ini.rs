//! The INI family.

use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of one dialect.
pub(super) struct Ini {
    id: CodecId,
}

pub(super) static INI: Ini = Ini { id: CodecId::Ini };
pub(super) static GIT: Ini = Ini { id: CodecId::Git };
pub(super) static SYSTEMD: Ini = Ini { id: CodecId::Systemd };
pub(super) static MYSQL: Ini = Ini { id: CodecId::Mysql };
pub(super) static PHP: Ini = Ini { id: CodecId::Php };
pub(super) static GRAFANA: Ini = Ini { id: CodecId::Grafana };
pub(super) static CONFIGPARSER: Ini = Ini { id: CodecId::Configparser };

impl Codec for Ini {
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
