//! The inside of the whole-file form (docs/format.md): the tokens to remember, then the file.
//!
//! A configuration that cannot be read right now, a half-written save, is sealed whole; its old
//! field tokens ride along so that the next good save finds them again.

use super::stock::Item;
use crate::format::{FieldPath, Segment};
use crate::secret::SecretBytes;
use crate::token::Purpose;

/// What stands inside, borrowed from the opened bytes.
pub(super) struct Payload<'a> {
    pub remembered: Vec<Remembered<'a>>,
    pub content: &'a [u8],
}

/// A token that the file had when it was last readable.
pub(super) struct Remembered<'a> {
    pub purpose: Purpose,
    pub aad: &'a [u8],
    pub token: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Reads `count(4) *( purpose(1) path-length(4) path token-length(2) token ) content`, numbers
    /// big-endian. `None` when it ends early.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let count = u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
        let mut remembered = Vec::new();
        for _ in 0..count {
            let purpose = match take(&mut rest, 1)?[0] {
                1 => Purpose::Field,
                2 => Purpose::Part,
                _ => return None,
            };
            let len = u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
            let aad = take(&mut rest, len as usize)?;
            let len = u16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
            let token = take(&mut rest, len.into())?;
            remembered.push(Remembered { purpose, aad, token });
        }
        Some(Self { remembered, content: rest })
    }
}

impl Remembered<'_> {
    /// The field path; the inverse of [`FieldPath::to_aad`].
    pub(super) fn path(&self) -> Option<FieldPath> {
        let mut rest = self.aad;
        let mut path = FieldPath::root();
        while !rest.is_empty() {
            let kind = take(&mut rest, 1)?[0];
            let len = u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
            let key = take(&mut rest, len as usize)?;
            path = path.child(match kind {
                1 => Segment::Key(key.into()),
                2 => Segment::Element,
                3 => Segment::Repeated(key.into()),
                _ => return None,
            });
        }
        Some(path)
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

/// Writes what [`Payload::read`] reads. A token too long for its length field is left out: it is
/// only a help for reuse.
pub(super) fn write(remembered: &[Item], content: &[u8]) -> SecretBytes {
    let kept: Vec<_> = remembered
        .iter()
        .map(|item| (item.purpose, item.path.to_aad(), item.token.to_text()))
        .filter(|(_, _, token)| token.len() <= usize::from(u16::MAX))
        .collect();
    let mut bytes = SecretBytes::with_capacity(content.len() + 4 + kept.len() * 128);
    bytes.extend(&(kept.len() as u32).to_be_bytes());
    for (purpose, aad, token) in kept {
        bytes.extend(&[purpose as u8]);
        bytes.extend(&(aad.len() as u32).to_be_bytes());
        bytes.extend(&aad);
        bytes.extend(&(token.len() as u16).to_be_bytes());
        bytes.extend(token.as_bytes());
    }
    bytes.extend(content);
    bytes
}
