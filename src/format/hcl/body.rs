//! Bodies: attributes and blocks.

use super::frame::{Frame, Kind};
use super::lex::{Tok, TokKind, Wrong};
use super::walk::Walk;
use crate::format::outline::Step;
use crate::format::sibling::{Naming, Role};

/// Most labels of one block.
const MOST_LABELS: usize = 16;

impl Walk<'_, '_> {
    /// An attribute, a block, or what ends one.
    pub(super) fn structure(&mut self, tok: Tok) -> Result<(), Wrong> {
        match tok.kind {
            TokKind::Newline => Ok(()),
            TokKind::Mark(b'}') if self.frames.len() > 1 => {
                self.close();
                Ok(())
            }
            TokKind::Ident | TokKind::Text => self.attribute_or_block(tok),
            _ => Err((tok.span.start, "neither an attribute nor a block")),
        }
    }

    fn attribute_or_block(&mut self, first: Tok) -> Result<(), Wrong> {
        let place = self.top().place;
        let mut header = place;
        let mut label = first;
        for labels in 0..=MOST_LABELS {
            let next = self.next_in_line()?;
            header = self.outline.enter(header, Step::Key(self.key_text(label.span)));
            match next.kind {
                TokKind::Mark(b'=') if labels == 0 => {
                    let mut frame = Frame::new(Kind::Attribute, 0, place, header);
                    frame.role = Role::of(&self.key_text(label.span));
                    return self.push(frame, next.span.start);
                }
                TokKind::Mark(b'{') if first.kind == TokKind::Ident => {
                    let mut frame = Frame::new(Kind::Body, b'}', header, header);
                    frame.naming = (labels == 0).then(Naming::new);
                    return self.push(frame, next.span.start);
                }
                TokKind::Ident | TokKind::Text if first.kind == TokKind::Ident => label = next,
                _ => return Err((next.span.start, "neither `=` nor a block")),
            }
        }
        Err((label.span.start, "too many labels"))
    }
}
