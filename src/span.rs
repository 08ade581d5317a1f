//! Byte spans of a text, and edits that splice them: bytes outside an edit are copied.

use std::ops::Range;

/// A half-open range of byte offsets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// The span `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end);
        Self { start, end }
    }

    /// Its length in bytes.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it holds no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The bytes of `text` that it covers. Panics when it reaches beyond `text`.
    pub fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start..self.end]
    }

    /// The same span in a text that has `by` more bytes in front.
    pub fn shifted(self, by: usize) -> Self {
        Self { start: self.start + by, end: self.end + by }
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self::new(range.start, range.end)
    }
}

/// Replace the bytes of `span` by `text`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit<T> {
    /// What is replaced.
    pub span: Span,
    /// What stands there afterwards.
    pub text: T,
}

/// Carries out `edits`, which are in order and do not overlap. Returns the new text and, for each
/// edit, where its text now stands.
pub fn splice<T: AsRef<[u8]>>(text: &[u8], edits: &[Edit<T>]) -> (Vec<u8>, Vec<Span>) {
    let grown: usize = edits.iter().map(|edit| edit.text.as_ref().len()).sum();
    let mut out = Vec::with_capacity(text.len() + grown);
    let mut places = Vec::with_capacity(edits.len());
    let mut copied = 0;
    for edit in edits {
        debug_assert!(edit.span.start >= copied, "edits are in order and apart");
        out.extend_from_slice(&text[copied..edit.span.start]);
        let start = out.len();
        out.extend_from_slice(edit.text.as_ref());
        places.push(Span::new(start, out.len()));
        copied = edit.span.end;
    }
    out.extend_from_slice(&text[copied..]);
    (out, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splice_copies_what_no_edit_covers() {
        let edits = [
            Edit { span: Span::new(0, 1), text: "AA" },
            Edit { span: Span::new(2, 2), text: "+" },
            Edit { span: Span::new(3, 5), text: "" },
        ];
        let (text, places) = splice(b"abcdef", &edits);
        assert_eq!(text, b"AAb+cf");
        assert_eq!(places, [Span::new(0, 2), Span::new(3, 4), Span::new(5, 5)]);
    }
}
