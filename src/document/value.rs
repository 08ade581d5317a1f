//! Single values, for the command line: seal one by hand, open one by hand, keep a version aside.

use super::{Sealing, whole};
use crate::format::{CodecId, Context, FieldPath};
use crate::path::RelPath;
use crate::secret::SecretBytes;
use crate::token::{Binding, Inner, Kind, Place, Purpose, Token, TokenError};

/// Why a single token cannot be opened to a value.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// The token itself.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// What was sealed there is no single value.
    #[error("the token does not hold a single value")]
    NotAValue,
}

impl Sealing {
    /// A token that holds the string `value`, to be put under `field` of `file` by hand: wherever
    /// there, so one that a comment in XML takes too, which holds no `--` and ends in no `-`. Of a
    /// value of many kilobytes there may be no such token to be found.
    pub fn seal_value(
        &self,
        file: &RelPath,
        field: &FieldPath,
        value: &[u8],
        binding: Binding,
    ) -> String {
        let aad = field.to_aad();
        let place = Place { purpose: Purpose::Field, file: file.as_bytes(), path: &aad };
        let inner =
            Inner { kind: Kind::Value, codec: 0, context: 0, column: 0, bytes: value.into() };
        let bucket = self.policy.bucket();
        let takes = |token: &str| CodecId::Xml.codec().takes(token, Context::COMMENT);
        let fitting = self.sealer.seal_avoiding(&place, &inner, binding, bucket, takes);
        fitting.unwrap_or_else(|| self.sealer.seal(&place, &inner, binding, bucket)).to_string()
    }

    /// The decoded string in a field token that stands, or is to stand, under `field` of `file`.
    pub fn open_value(
        &self,
        file: &RelPath,
        field: &FieldPath,
        token: &[u8],
    ) -> Result<SecretBytes, ValueError> {
        let token = Token::parse(token)?;
        let aad = field.to_aad();
        let place = Place { purpose: Purpose::Field, file: file.as_bytes(), path: &aad };
        let opened = self.sealer.open(&place, &token, token.binding().min(self.binding))?;
        super::reopened::value_of(&opened).ok_or(ValueError::NotAValue)
    }

    /// A displaced version of a file, sealed to be kept aside.
    pub fn seal_kept(&self, stored: &[u8]) -> Vec<u8> {
        let payload = whole::write(&[], stored);
        self.whole_text(&RelPath::root(), Purpose::Kept, payload).text.to_vec()
    }

    /// What [`Sealing::seal_kept`] was given.
    pub fn open_kept(&self, kept: &[u8]) -> Result<SecretBytes, ValueError> {
        let token = Token::parse_whole(kept)?;
        let place = Place { purpose: Purpose::Kept, file: &[], path: &[] };
        // A version kept aside has no place, so there is nothing that it could be bound to.
        let opened = self.sealer.open(&place, &token, Binding::None)?;
        let payload = whole::Payload::read(&opened.bytes).ok_or(ValueError::NotAValue)?;
        Ok(payload.content.into())
    }
}
