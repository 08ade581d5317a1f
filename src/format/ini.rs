//! The INI family, on bytes: sections of `key = value` as seven kinds of reader take them.
//!
//! One scanner, driven by a [`Dialect`]. What must stay true for each: a span is the whole of what
//! any reader of the dialect may take for the value; and where a value ends depends on nothing
//! within another one, because sealing replaces that. What a dialect would have to guess at is
//! refused, so that a text of another format is not taken for INI with the wrong keys.

mod assigned;
mod dialect;
mod key;
mod quoted;
mod scan;
mod spell;
mod value;
mod words;

#[cfg(test)]
mod tests;

use self::dialect::Dialect;
use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of one dialect.
pub(super) struct Ini {
    id: CodecId,
    dialect: &'static Dialect,
}

pub(super) static INI: Ini = Ini { id: CodecId::Ini, dialect: &dialect::INI };
pub(super) static GIT: Ini = Ini { id: CodecId::Git, dialect: &dialect::GIT };
pub(super) static SYSTEMD: Ini = Ini { id: CodecId::Systemd, dialect: &dialect::SYSTEMD };
pub(super) static MYSQL: Ini = Ini { id: CodecId::Mysql, dialect: &dialect::MYSQL };
pub(super) static PHP: Ini = Ini { id: CodecId::Php, dialect: &dialect::PHP };
pub(super) static GRAFANA: Ini = Ini { id: CodecId::Grafana, dialect: &dialect::GRAFANA };
pub(super) static CONFIGPARSER: Ini =
    Ini { id: CodecId::Configparser, dialect: &dialect::CONFIGPARSER };

impl Codec for Ini {
    fn id(&self) -> CodecId {
        self.id
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        scan::scan(text, self.dialect)
    }

    fn decode(&self, source: &[u8], context: Context) -> Option<SecretBytes> {
        spell::decode(source, context, self.dialect)
    }

    fn encode(&self, value: &[u8], context: Context, column: u16) -> Option<SecretBytes> {
        spell::encode(value, context, usize::from(column), self.dialect)
    }

    fn quote(&self, _context: Context) -> &'static str {
        ""
    }
}
