//! From tokens to values: the grammar of bodies and expressions, without recursion.
//!
//! What must stay true: what a token means does not depend on which literal stands where a
//! literal may stand, because sealing makes strings of all of them.

use std::borrow::Cow;

use super::comment;
use super::frame::{Frame, Kind, Sole, Stage, Want};
use super::lex::{self, Tok, TokKind, Wrong};
use super::scalar;
use crate::format::Context;
use crate::format::outline::{Outline, PlaceId, Step};
use crate::format::sibling::{Naming, Role};
use crate::span::Span;

/// Most brackets within each other: paths are as deep, and deep ones are dropped recursively.
const DEEPEST: usize = 256;

/// Walks over a document, or over the value of a commented-out assignment.
pub(super) struct Walk<'t, 'o> {
    text: &'t [u8],
    at: usize,
    pub(super) outline: &'o mut Outline<'t>,
    /// Never empty.
    pub(super) frames: Vec<Frame>,
    context: Context,
}

impl<'t, 'o> Walk<'t, 'o> {
    /// Over the document that begins at `start`.
    pub fn document(text: &'t [u8], start: usize, outline: &'o mut Outline<'t>) -> Self {
        let root = Frame::new(Kind::Body, 0, Outline::ROOT, Outline::ROOT);
        Self { text, at: start, outline, frames: vec![root], context: Context::ORDINARY }
    }

    /// Over the value at `start` of a commented-out assignment, which belongs in `item`.
    pub fn commented(
        text: &'t [u8],
        start: usize,
        outline: &'o mut Outline<'t>,
        place: PlaceId,
        item: PlaceId,
        context: Context,
    ) -> Self {
        let value = Frame::new(Kind::Attribute, 0, place, item);
        Self { text, at: start, outline, frames: vec![value], context }
    }

    /// To the end of the text, or of the commented-out value: that may leave brackets open, and a
    /// comma may follow it. Returns where it ends.
    pub fn run(mut self) -> Result<usize, Wrong> {
        loop {
            let tok = lex::next(self.text, self.at)?;
            self.at = tok.span.end;
            let commented = self.context != Context::ORDINARY;
            match tok.kind {
                TokKind::LineComment if commented => {
                    self.end_commented(tok)?;
                    return Ok(tok.span.start);
                }
                // A value found in it might take in its end, so nothing more of the line is read.
                TokKind::BlockComment if commented => {
                    self.end_commented(tok)?;
                    return Ok(self.text.len());
                }
                TokKind::LineComment | TokKind::BlockComment => self.comment(tok),
                TokKind::End if commented => return self.end_commented(tok).map(|()| self.at),
                // Of a block on one line, which began outside of what is read.
                TokKind::Mark(b'}') if commented && self.frames.len() == 1 => {
                    self.end_item(tok)?;
                    return Ok(tok.span.start);
                }
                TokKind::Mark(b',') if commented && self.frames.len() == 1 => {
                    let end = lex::next(self.text, self.at)?;
                    if !matches!(end.kind, TokKind::End | TokKind::LineComment) {
                        return Err((tok.span.start, "a comma that separates nothing"));
                    }
                }
                TokKind::End => return self.end(tok),
                _ if self.top().kind == Kind::Body => self.structure(tok)?,
                _ => self.expression(tok)?,
            }
        }
    }

    pub(super) fn top(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the first frame is never closed")
    }

    fn comment(&mut self, tok: Tok) {
        let top = self.top();
        let place = if top.kind == Kind::Tuple { top.item } else { top.place };
        comment::scan(self.text, tok, self.outline, place);
    }

    fn end(&mut self, tok: Tok) -> Result<usize, Wrong> {
        if self.top().kind == Kind::Attribute {
            self.end_attribute(tok)?;
        }
        match self.frames.len() {
            1 => Ok(tok.span.start),
            _ => Err((tok.span.start, "a bracket that is not closed")),
        }
    }

    /// Brackets that stay open are closed on further lines of the comment.
    fn end_commented(&mut self, tok: Tok) -> Result<(), Wrong> {
        if self.frames.len() == 1 {
            return self.end_item(tok);
        }
        Ok(())
    }

    pub(super) fn push(&mut self, frame: Frame, at: usize) -> Result<(), Wrong> {
        if self.frames.len() >= DEEPEST {
            return Err((at, "nested too deeply"));
        }
        self.frames.push(frame);
        Ok(())
    }

    /// The next token but comments within the line.
    pub(super) fn next_in_line(&mut self) -> Result<Tok, Wrong> {
        loop {
            let tok = lex::next(self.text, self.at)?;
            self.at = tok.span.end;
            match tok.kind {
                TokKind::BlockComment => self.comment(tok),
                _ => return Ok(tok),
            }
        }
    }

    fn expression(&mut self, tok: Tok) -> Result<(), Wrong> {
        let Frame { kind, close, want, fresh, stage, .. } = *self.top();
        match tok.kind {
            TokKind::Newline => self.newline(tok),
            TokKind::Mark(mark) if mark == close && kind != Kind::Attribute => {
                let empty = match kind {
                    Kind::Object => stage == Stage::Begin,
                    Kind::Tuple | Kind::Call => fresh,
                    _ => false,
                };
                if !empty {
                    self.end_item(tok)?;
                }
                self.close();
                Ok(())
            }
            // A block on one line.
            TokKind::Mark(b'}') if kind == Kind::Attribute && self.frames.len() > 2 => {
                self.end_attribute(tok)?;
                self.close();
                Ok(())
            }
            _ => match want {
                Want::Operand => self.operand(tok),
                Want::Operator => self.operator(tok),
                Want::Member => self.member(tok),
            },
        }
    }

    fn newline(&mut self, tok: Tok) -> Result<(), Wrong> {
        let Frame { kind, want, stage, .. } = *self.top();
        match kind {
            Kind::Attribute => self.end_attribute(tok),
            Kind::Object if stage == Stage::Begin => Ok(()),
            Kind::Object if want == Want::Operator && stage == Stage::Value => {
                self.end_item(tok)?;
                self.begin_item();
                Ok(())
            }
            Kind::Object => Err((tok.span.start, "a line that ends too early")),
            _ => Ok(()),
        }
    }

    fn operand(&mut self, tok: Tok) -> Result<(), Wrong> {
        let top = self.top();
        let begins = match top.kind {
            Kind::Object => top.stage == Stage::Begin,
            kind => kind == Kind::Tuple && top.fresh,
        };
        if top.stage == Stage::Begin {
            top.stage = Stage::Key(tok.span.start);
        }
        let fresh = std::mem::replace(&mut top.fresh, false);
        let (kind, place, item, silent) = (top.kind, top.place, top.item, top.is_silent());
        top.callable = false;
        match tok.kind {
            TokKind::Ident if begins && tok.span.of(self.text) == b"for" => self.for_intro(),
            TokKind::Ident => {
                let word = matches!(tok.span.of(self.text), b"true" | b"false" | b"null");
                // In a comment, what is a name elsewhere may be a value without quotes.
                let value = word || self.context != Context::ORDINARY;
                if value && fresh && !silent {
                    self.word(tok.span);
                }
                let top = self.top();
                (top.want, top.callable) = (Want::Operator, true);
                Ok(())
            }
            TokKind::Text | TokKind::Heredoc => {
                if !silent {
                    let found = self.outline.add(tok.span, item, None, self.context);
                    self.top().sole = fresh.then_some(Sole { found, text: true });
                }
                self.top().want = Want::Operator;
                Ok(())
            }
            TokKind::Number => {
                if fresh && !silent {
                    self.word(tok.span);
                }
                self.top().want = Want::Operator;
                Ok(())
            }
            TokKind::Mark(b'-') if fresh && lex::number_len(&self.text[self.at..]) > 0 => {
                let end = self.at + lex::number_len(&self.text[self.at..]);
                self.at = end;
                if !silent {
                    self.word(Span::new(tok.span.start, end));
                }
                self.top().want = Want::Operator;
                Ok(())
            }
            TokKind::Mark(b'-' | b'!') => Ok(()),
            // `[*]`
            TokKind::Mark(b'*') if kind == Kind::Index && fresh => {
                self.top().want = Want::Operator;
                Ok(())
            }
            TokKind::Mark(b'(') => {
                let frame = Frame { silent, ..Frame::new(Kind::Group, b')', place, item) };
                self.open(frame, tok)
            }
            TokKind::Mark(b'[') => {
                let element = self.outline.enter(item, Step::Element);
                let frame = Frame { silent, ..Frame::new(Kind::Tuple, b']', item, element) };
                self.open(frame, tok)
            }
            TokKind::Mark(b'{') => {
                let mut frame = Frame { silent, ..Frame::new(Kind::Object, b'}', item, item) };
                if fresh && kind == Kind::Tuple {
                    frame.naming = Some(Naming::new());
                }
                self.open(frame, tok)
            }
            _ => Err((tok.span.start, "a value is expected")),
        }
    }

    /// A number or a word, which is a value if nothing follows it.
    fn word(&mut self, span: Span) {
        let item = self.top().item;
        let found = self.outline.add(span, item, None, self.context);
        self.top().sole = Some(Sole { found, text: false });
    }

    fn open(&mut self, frame: Frame, tok: Tok) -> Result<(), Wrong> {
        self.top().want = Want::Operator;
        self.push(frame, tok.span.start)
    }

    /// The names behind `for`, up to `in`.
    fn for_intro(&mut self) -> Result<(), Wrong> {
        let ident = |walk: &mut Self| loop {
            let tok = walk.next_in_line()?;
            match tok.kind {
                TokKind::Newline => {}
                TokKind::LineComment => walk.comment(tok),
                kind => return Ok((kind, tok)),
            }
        };
        let wrong = |tok: Tok| Err((tok.span.start, "not a `for` expression"));
        let (kind, tok) = ident(self)?;
        if kind != TokKind::Ident {
            return wrong(tok);
        }
        let (mut kind, mut tok) = ident(self)?;
        if kind == TokKind::Mark(b',') {
            let (name, name_tok) = ident(self)?;
            if name != TokKind::Ident {
                return wrong(name_tok);
            }
            (kind, tok) = ident(self)?;
        }
        if kind != TokKind::Ident || tok.span.of(self.text) != b"in" {
            return wrong(tok);
        }
        let top = self.top();
        (top.kind, top.stage, top.naming) = (Kind::For, Stage::Value, None);
        Ok(())
    }

    fn operator(&mut self, tok: Tok) -> Result<(), Wrong> {
        let Frame { kind, conditions, callable, .. } = *self.top();
        let in_key = matches!(self.top().stage, Stage::Key(_));
        let next = match tok.kind {
            TokKind::Mark(b',') if matches!(kind, Kind::Tuple | Kind::Call) => {
                self.end_item(tok)?;
                self.begin_item();
                return Ok(());
            }
            TokKind::Mark(b',') if kind == Kind::Object && !in_key => {
                self.end_item(tok)?;
                self.begin_item();
                return Ok(());
            }
            TokKind::Mark(b'=') if in_key => return self.end_key(tok),
            TokKind::Mark(b':') if in_key && conditions == 0 => return self.end_key(tok),
            TokKind::Mark(b':') if conditions > 0 => {
                self.top().conditions -= 1;
                Want::Operand
            }
            TokKind::Mark(b':') | TokKind::Arrow if kind == Kind::For => Want::Operand,
            TokKind::Ident if kind == Kind::For && tok.span.of(self.text) == b"if" => Want::Operand,
            TokKind::Ellipsis if matches!(kind, Kind::For | Kind::Call) => Want::Operator,
            TokKind::Mark(b'?') => {
                self.top().conditions += 1;
                Want::Operand
            }
            TokKind::Mark(b'.') => Want::Member,
            TokKind::Scope if callable => Want::Member,
            TokKind::Mark(b'-' | b'*') | TokKind::Operator => Want::Operand,
            TokKind::Mark(b'[') => {
                self.not_sole();
                let Frame { place, item, .. } = *self.top();
                let frame = Frame { silent: true, ..Frame::new(Kind::Index, b']', place, item) };
                return self.open(frame, tok);
            }
            TokKind::Mark(b'(') if callable => {
                self.not_sole();
                let Frame { place, item, .. } = *self.top();
                let silent = self.top().is_silent();
                let frame = Frame { silent, ..Frame::new(Kind::Call, b')', place, item) };
                return self.open(frame, tok);
            }
            _ => return Err((tok.span.start, "an operator or the end of the value is expected")),
        };
        self.not_sole();
        let top = self.top();
        (top.want, top.callable) = (next, false);
        Ok(())
    }

    fn member(&mut self, tok: Tok) -> Result<(), Wrong> {
        let top = self.top();
        match tok.kind {
            TokKind::Ident | TokKind::Number | TokKind::Mark(b'*') => {
                (top.want, top.callable) = (Want::Operator, tok.kind == TokKind::Ident);
                Ok(())
            }
            _ => Err((tok.span.start, "a name is expected")),
        }
    }

    /// The item is more than the literal that it began with.
    fn not_sole(&mut self) {
        if let Some(Sole { found, text: false }) = self.top().sole.take() {
            self.outline.drop(found);
        }
    }

    /// The key of an object's item is read; its value begins.
    fn end_key(&mut self, tok: Tok) -> Result<(), Wrong> {
        let Stage::Key(start) = self.top().stage else { return Ok(()) };
        let source = Span::new(start, tok.span.start).of(self.text).trim_ascii_end();
        let key = self.key_text(Span::new(start, start + source.len()));
        let parent = self.top().place;
        let role = Role::of(&key);
        let item = self.outline.enter(parent, Step::Key(key));
        let top = self.top();
        top.role = role;
        (top.item, top.stage, top.fresh) = (item, Stage::Value, true);
        (top.want, top.callable) = (Want::Operand, false);
        Ok(())
    }

    fn begin_item(&mut self) {
        let top = self.top();
        (top.want, top.fresh, top.sole, top.role) = (Want::Operand, true, None, None);
        match top.kind {
            Kind::Tuple => {
                let list = top.place;
                self.top().item = self.outline.enter(list, Step::Element);
            }
            Kind::Object => top.stage = Stage::Begin,
            _ => {}
        }
    }

    /// An item is complete.
    fn end_item(&mut self, tok: Tok) -> Result<(), Wrong> {
        let Frame { kind, want, conditions, sole, role, .. } = *self.top();
        if want != Want::Operator || conditions > 0 || self.top().stage != Stage::Value {
            return Err((tok.span.start, "a value is missing"));
        }
        let Some(role) = role else { return Ok(()) };
        let text = sole.filter(|sole| sole.text).and_then(|Sole { found, .. }| {
            scalar::decode(self.outline.span(found).of(self.text), self.context)
        });
        // An attribute tells of the body around it.
        let behind = self.frames.len() - if kind == Kind::Attribute { 2 } else { 1 };
        if let Some(naming) = self.frames.get_mut(behind).and_then(|frame| frame.naming.as_mut()) {
            match sole {
                Some(Sole { found, .. }) => naming.see(role, text.as_deref(), found),
                None if role == Role::Value => naming.see_value(),
                None => {}
            }
        }
        Ok(())
    }

    fn end_attribute(&mut self, tok: Tok) -> Result<(), Wrong> {
        self.end_item(tok)?;
        self.frames.pop();
        Ok(())
    }

    /// Closes the innermost frame, and names its place.
    pub(super) fn close(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        if let Some(found) = frame.naming.and_then(Naming::chosen) {
            let name = scalar::decode(self.outline.span(found).of(self.text), self.context);
            if let Some(name) = name {
                self.outline.name(frame.place, found, &name);
            }
        }
    }

    /// What a key or label says: without its quotes, else as it is written.
    pub(super) fn key_text(&self, span: Span) -> Cow<'t, [u8]> {
        scalar::key(span.of(self.text))
    }
}
