//! Credentials that stand outside every value of a document: in a heading, a key, the prose of a
//! comment. No codec can seal them by themselves, so the file goes whole.

use std::fmt;

use crate::format::{FieldPath, Segment};
use crate::policy::{Credential, Policy};
use crate::span::Span;

/// A credential outside every value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside {
    /// Its line, 1-based.
    pub line: usize,
    /// What it is.
    pub credential: Credential,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} stands outside every value", self.line, self.credential)
    }
}

/// The first credential in what the values at `spans`, which are in order, leave of `text`.
///
/// A value in a comment that is no secret belongs to what they leave: `; see a://me:x@host` is
/// prose, and an assignment to `see a://me` as well.
pub(super) fn find(
    policy: &Policy,
    text: &[u8],
    spans: impl Iterator<Item = Span>,
) -> Option<Outside> {
    let ends = spans.chain([Span::new(text.len(), text.len())]);
    let gaps = ends.scan(0, |from, span| {
        let gap = Span::new(*from, span.start);
        *from = span.end;
        Some(gap)
    });
    let (credential, at) = policy.credential_outside(text, gaps)?;
    let line = text[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    Some(Outside { line, credential })
}

/// `path` as it may be shown: a key that holds a credential is not.
pub(super) fn shown(policy: &Policy, path: &FieldPath) -> FieldPath {
    let is_credential = |key: &[u8]| policy.credential_in_text(key).is_some();
    path.segments().into_iter().fold(FieldPath::root(), |shown, segment| match segment.key() {
        Some(key) if is_credential(key) => shown.child(Segment::Key("…".as_bytes().into())),
        _ => shown.child(segment.clone()),
    })
}
