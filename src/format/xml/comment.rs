//! Commented-out elements. A comment may hold anything, so it is read tolerantly: what is no tag
//! is prose, and text counts only in an element that is closed and holds nothing else.
//!
//! What must stay true: time is linear, and how a comment is read depends on nothing within the
//! values found in it.

use super::attribute::{self, Attribute, is_blank, name_len, skip_blank};
use super::tree::{DEEPEST, Tree};
use crate::span::Span;

/// Appends what stands in the comment whose text is `inner`.
pub(super) fn scan<'t>(text: &'t [u8], inner: Span, tree: &mut Tree<'t>) {
    tree.begin_comment();
    // The most common comment is prose.
    if memchr::memchr(b'<', inner.of(text)).is_some() {
        Comment { text: &text[..inner.end], tree, attributes: Vec::new() }.read(inner.start);
    }
    tree.end_comment();
}

struct Comment<'t, 'c> {
    /// Up to the end of the comment.
    text: &'t [u8],
    tree: &'c mut Tree<'t>,
    attributes: Vec<Attribute>,
}

impl Comment<'_, '_> {
    fn read(&mut self, start: usize) {
        let (mut at, mut run) = (start, start);
        // Looked for once: where none ends, none is taken.
        let last_cdata = memchr::memmem::rfind(&self.text[start..], b"]]>");
        let last_cdata = last_cdata.map_or(0, |end| start + end);
        while let Some(len) = memchr::memchr(b'<', &self.text[at..]) {
            let tag = at + len;
            let rest = &self.text[tag..];
            if rest.starts_with(b"<![CDATA[") && tag < last_cdata {
                let end = memchr::memmem::find(rest, b"]]>").map_or(rest.len(), |end| end + 3);
                at = tag + end;
                continue;
            }
            self.tree.text(Span::new(run, tag));
            let end = match rest.get(1) {
                Some(b'/') => self.end_tag(tag),
                _ => self.start_tag(tag),
            };
            at = match end {
                Some(end) => end,
                None => {
                    self.tree.branch();
                    tag + 1
                }
            };
            run = at;
        }
    }

    /// Reads `<name attribute="value">`; `None` when it is none.
    fn start_tag(&mut self, tag: usize) -> Option<usize> {
        let name = Span::new(tag + 1, tag + 1 + name_len(&self.text[tag + 1..]));
        if name.is_empty() || self.tree.depth() >= DEEPEST {
            return None;
        }
        self.attributes.clear();
        let at =
            attribute::read(self.text, name.end, self.text.len(), &mut self.attributes).ok()?;
        let (empty, end) = match &self.text[at..] {
            [b'/', b'>', ..] => (true, at + 2),
            [b'>', ..] => (false, at + 1),
            _ => return None,
        };
        self.tree.open(name, &self.attributes, empty, end);
        Some(end)
    }

    fn end_tag(&mut self, tag: usize) -> Option<usize> {
        let name = tag + 2;
        let name = Span::new(name, name + name_len(&self.text[name..]));
        let end = skip_blank(self.text, name.end);
        if name.is_empty() || self.text.get(end) != Some(&b'>') {
            return None;
        }
        debug_assert!(!name.of(self.text).iter().any(|b| is_blank(*b)));
        self.tree.close_commented(name.of(self.text));
        Some(end + 1)
    }
}
