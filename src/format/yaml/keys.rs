//! Keys and names: what a path is made of.

use std::borrow::Cow;

use super::events::{Kind, Tok};
use super::walk::{Level, Walk};
use crate::format::sibling::{Naming, Role};

impl<'w> Walk<'w> {
    pub(super) fn is_merge(&self, key: usize) -> bool {
        self.toks[key].kind == Kind::Plain && self.toks[key].text == "<<"
    }

    /// The text of the key that begins at token `at`. That of a collection is spelled in flow
    /// style, however it is written.
    pub(super) fn key_text(&self, at: usize) -> Cow<'w, [u8]> {
        let tok = &self.toks[at];
        if tok.is_scalar() {
            let absent = tok.is_absent();
            return Cow::Borrowed(if absent { b"" } else { tok.text.as_bytes() });
        }
        let mut text = Vec::new();
        let mut closing = Vec::new();
        let toks = &self.toks[at..self.toks[at].next];
        for (n, tok) in toks.iter().enumerate() {
            match tok.kind {
                _ if tok.is_absent() => {}
                Kind::Plain | Kind::Quoted | Kind::Block => text.extend(tok.text.as_bytes()),
                // Not in a collection: aliases of aliases would make keys of any length.
                Kind::Alias => match self.shown.key(tok.anchor).filter(|_| toks.len() == 1) {
                    Some(key) => text.extend(key),
                    None => text.extend(tok.span.of(self.text)),
                },
                Kind::Map { .. } => {
                    text.push(b'{');
                    closing.push(b'}');
                }
                Kind::Seq { .. } => {
                    text.push(b'[');
                    closing.push(b']');
                }
                Kind::End => text.extend(closing.pop()),
            }
            let last = toks.get(n + 1).is_none_or(|next| next.kind == Kind::End);
            if !last && !matches!(tok.kind, Kind::Map { .. } | Kind::Seq { .. }) {
                text.extend(b", ");
            }
        }
        Cow::Owned(text)
    }

    /// The scalar that names the mapping at token `at`, an element of a list.
    pub(super) fn name_of(&self, at: usize) -> Option<usize> {
        let mut naming = Naming::new();
        let mut key = at + 1;
        while self.toks[key].kind != Kind::End {
            let value = self.toks[key].next;
            let tok = &self.toks[value];
            if self.toks[key].is_scalar()
                && let Some(role) = Role::of(self.toks[key].text.as_bytes())
            {
                // Any scalar may be sealed, and then it is a string.
                let text = (tok.is_scalar() && !tok.is_absent()).then(|| tok.text.as_bytes());
                naming.see(role, text, value);
            }
            key = tok.next;
        }
        naming.chosen()
    }

    /// Whether the sequence that begins with `tok` has its dashes in the column of the keys
    /// around it. The parser then says where its first element begins.
    pub(super) fn is_indentless(&self, tok: &Tok<'_>, around: &Level) -> bool {
        let before = &self.text[..tok.span.start];
        let line = before.iter().rposition(|b| matches!(b, b'\n' | b'\r')).map_or(0, |at| at + 1);
        around.kind == (Kind::Map { flow: false })
            && before.get(line + around.column) == Some(&b'-')
            && around.column < tok.column
    }
}
