//! The values of a document, in its order, and the comments between them: the grammar over the
//! tokens of `jsonc-parser`. Its own tree would cost more than all that follows from it.
//!
//! What must stay true: a path does not depend on whether a value is a string or a literal,
//! because sealing makes strings of literals.

use std::borrow::Cow;

use jsonc_parser::Scanner;
use jsonc_parser::tokens::Token;

use super::walk::{Around, Frame, Tok, TokKind, key_text};
use super::{Wrong, comment};
use crate::format::outline::{FoundId, Outline, PlaceId, Step};
use crate::format::sibling::{Naming, Role};
use crate::format::{Context, Site};
use crate::span::Span;

/// Most objects and arrays within each other: paths are as deep, and deep ones are dropped
/// recursively.
const DEEPEST: usize = 512;

/// The sites of `text`, whose tokens are the scanner's when `shift` is added.
pub(super) fn sites(text: &[u8], shift: usize, scanner: Scanner<'_>) -> Result<Vec<Site>, Wrong> {
    let outline = Outline::new(text.len());
    let (place, around) = (Outline::ROOT, Around::Object);
    let comments = Vec::new();
    let mut tree =
        Tree { text, shift, scanner, outline, comments, depth: 0, behind: 0, place, around };
    let first = tree.next()?.ok_or_else(|| tree.wrong("no value"))?;
    tree.value(first, Outline::ROOT, None)?;
    if tree.next()?.is_some() {
        return Err(tree.wrong("more than one value"));
    }
    let (mut sites, mut paths) = tree.outline.finish();
    if tree.comments.is_empty() {
        return Ok(sites);
    }
    for Comment { span, is_block, place, around } in tree.comments {
        let base = Frame::new(around, paths.front(place).clone());
        comment::scan(text, span, is_block, &base, &mut sites);
    }
    sites.sort_by_key(|site| site.span.start);
    Ok(sites)
}

struct Tree<'t, 's> {
    text: &'t [u8],
    shift: usize,
    scanner: Scanner<'s>,
    outline: Outline<'t>,
    comments: Vec<Comment>,
    depth: usize,
    /// Where the token before the current one ends.
    behind: usize,
    /// What the next comment stands in.
    place: PlaceId,
    around: Around,
}

struct Comment {
    span: Span,
    is_block: bool,
    place: PlaceId,
    around: Around,
}

/// A key of an object, decoded.
type Key<'t> = Cow<'t, [u8]>;

impl<'t, 's> Tree<'t, 's> {
    /// The next token that is no comment.
    fn next(&mut self) -> Result<Option<Token<'s>>, Wrong> {
        self.behind = self.span().end;
        loop {
            let token = self.scanner.scan().map_err(|error| Wrong {
                at: error.range().start + self.shift,
                kind: super::kind_of(error.kind()),
            })?;
            let is_block = match token {
                Some(Token::CommentLine(_)) => false,
                Some(Token::CommentBlock(_)) => true,
                other => return Ok(other),
            };
            let (span, place, around) = (self.span(), self.place, self.around);
            self.comments.push(Comment { span, is_block, place, around });
        }
    }

    /// Where the current token stands.
    fn span(&self) -> Span {
        Span::new(self.scanner.token_start(), self.scanner.token_end()).shifted(self.shift)
    }

    /// Takes the comma behind a value, if there is one; returns what follows. Another value may
    /// not.
    fn comma(&mut self) -> Result<Option<Token<'s>>, Wrong> {
        match self.next()? {
            Some(Token::Comma) => self.next(),
            end @ (Some(Token::CloseBrace | Token::CloseBracket) | None) => Ok(end),
            Some(_) => Err(Wrong { at: self.behind, kind: "a comma is missing" }),
        }
    }

    fn wrong(&self, kind: &'static str) -> Wrong {
        Wrong { at: self.span().start, kind }
    }

    /// Takes the value that begins with `token` and stands in `place`, under `key` there if it
    /// has one. Returns what was found if that is one value.
    fn value(
        &mut self,
        token: Token<'s>,
        place: PlaceId,
        key: Option<Key<'t>>,
    ) -> Result<Option<FoundId>, Wrong> {
        match (token, key) {
            (Token::OpenBrace, key) => {
                let place = self.below(place, key);
                self.inside(place, Around::Object, |tree| tree.object(None))?;
                Ok(None)
            }
            (Token::OpenBracket, key) => {
                let place = self.below(place, key);
                let element = self.outline.enter(place, Step::Element);
                self.inside(element, Around::Array, |tree| tree.array(place))?;
                Ok(None)
            }
            (Token::String(_) | Token::Number(_) | Token::Boolean(_) | Token::Null, key) => {
                let (span, context) = (self.span(), Context::ORDINARY);
                Ok(Some(match key {
                    None => self.outline.add(span, place, None, context),
                    Some(Cow::Borrowed(key)) => self.outline.add(span, place, Some(key), context),
                    Some(key) => {
                        let place = self.outline.enter(place, Step::Key(key));
                        self.outline.add(span, place, None, context)
                    }
                }))
            }
            _ => Err(self.wrong("not a value")),
        }
    }

    /// The place of what stands under `key`.
    fn below(&mut self, place: PlaceId, key: Option<Key<'t>>) -> PlaceId {
        match key {
            Some(key) => self.outline.enter(place, Step::Key(key)),
            None => place,
        }
    }

    /// Reads what stands in an object or array, up to its end; comments there stand in `place`.
    fn inside(
        &mut self,
        place: PlaceId,
        around: Around,
        read: impl FnOnce(&mut Self) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        if self.depth == DEEPEST {
            return Err(self.wrong("nested too deeply"));
        }
        self.depth += 1;
        let outside = (self.place, self.around);
        (self.place, self.around) = (place, around);
        read(self)?;
        (self.place, self.around) = outside;
        self.depth -= 1;
        Ok(())
    }

    /// Reads the elements of an array in `list`.
    fn array(&mut self, list: PlaceId) -> Result<(), Wrong> {
        let element = self.place;
        let unending = "an array that does not end";
        let mut next = self.next()?;
        loop {
            match next.ok_or_else(|| self.wrong(unending))? {
                Token::CloseBracket => return Ok(()),
                Token::OpenBrace => {
                    // Each has a name of its own.
                    let place = self.outline.enter(list, Step::Element);
                    let mut naming = Naming::new();
                    self.inside(place, Around::Object, |tree| tree.object(Some(&mut naming)))?;
                    if let Some((found, name)) = naming.chosen() {
                        self.outline.name(place, found, &name);
                    }
                }
                token => _ = self.value(token, element, None)?,
            }
            next = self.comma()?;
        }
    }

    /// Reads the properties of an object; `naming` is told of what may name it.
    fn object(&mut self, mut naming: Option<&mut Naming<(FoundId, Key<'t>)>>) -> Result<(), Wrong> {
        let place = self.place;
        let unending = "an object that does not end";
        let mut next = self.next()?;
        loop {
            let key = match next.ok_or_else(|| self.wrong(unending))? {
                Token::CloseBrace => return Ok(()),
                Token::String(Cow::Borrowed(_)) => {
                    let Span { start, end } = self.span();
                    Span::new(start + 1, end - 1).of(self.text).into()
                }
                Token::String(_) => self.string(),
                Token::Word(_) | Token::Number(_) | Token::Boolean(_) | Token::Null => {
                    self.span().of(self.text).into()
                }
                _ => return Err(self.wrong("not a key")),
            };
            let role = naming.is_some().then(|| Role::of(&key)).flatten();
            match self.next()? {
                Some(Token::Colon) => {}
                _ => return Err(self.wrong("a colon is missing")),
            }
            let first = self.next()?.ok_or_else(|| self.wrong(unending))?;
            let text = match (role, &first) {
                (Some(_), Token::String(_)) => Some(self.string()),
                _ => None,
            };
            let found = self.value(first, place, Some(key))?;
            if let (Some(naming), Some(role)) = (&mut naming, role) {
                match (found, text) {
                    (Some(found), Some(text)) => {
                        naming.see(role, Some(&text.clone()), (found, text))
                    }
                    _ if role == Role::Value => naming.see_value(),
                    _ => {}
                }
            }
            next = self.comma()?;
        }
    }

    /// What the string that is the current token stands for; the scanner may have seen a copy in
    /// which it is another.
    fn string(&self) -> Key<'t> {
        key_text(self.text, Tok { kind: TokKind::String, span: self.span() })
    }
}
