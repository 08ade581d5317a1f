//! The elements that are open, what was found in them so far, and what names them.
//!
//! An element is named by its attribute `name`, or by `key` where `value` or content stands
//! beside it, or by a child `name` beside a child `value` (also `param-name`, `param-value`); in
//! a property list's `dict` a `key` names the element behind it. What must stay true: none of
//! this depends on what a value is, but for a name, which is never sealed as such.

use std::borrow::Cow;

use super::attribute::{Attribute, is_blank, local};
use super::{Context, scalar};
use crate::format::Site;
use crate::format::outline::{FoundId, Outline, PlaceId, Step};
use crate::format::sibling::{Naming, Role};
use crate::span::Span;

/// Most elements within each other: paths are as deep, and deep ones are dropped recursively.
pub(super) const DEEPEST: usize = 256;

/// See the head of this file.
pub(super) struct Tree<'t> {
    text: &'t [u8],
    outline: Outline<'t>,
    open: Vec<Element>,
    /// How many of the open elements do not belong to the comment that is read.
    base: usize,
    commented: bool,
}

struct Element {
    name: Span,
    place: PlaceId,
    /// Behind the start tag.
    content: usize,
    /// Whether anything but text stands in it.
    branches: bool,
    runs: usize,
    /// The first run of text.
    text: Option<FoundId>,
    /// What its children tell of its name.
    naming: Naming<FoundId>,
    /// In a property list: the key that waits for its value.
    key: Option<FoundId>,
}

impl<'t> Tree<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        let outline = Outline::new(text.len());
        Self { text, outline, open: Vec::new(), base: 0, commented: false }
    }

    /// The sites, once all is closed.
    pub fn into_sites(self) -> Vec<Site> {
        self.outline.into_sites()
    }

    /// How many elements are open, those around a comment left out.
    pub fn depth(&self) -> usize {
        self.open.len() - self.base
    }

    /// Whether an element is open around what is read.
    pub fn is_inside(&self) -> bool {
        self.depth() > 0
    }

    /// Begins a comment.
    pub fn begin_comment(&mut self) {
        if let Some(parent) = self.open.last_mut() {
            parent.branches = true;
        }
        self.base = self.open.len();
        self.commented = true;
    }

    /// Ends it, with whatever it left open.
    pub fn end_comment(&mut self) {
        while self.is_inside() {
            self.abandon();
        }
        self.base = 0;
        self.commented = false;
    }

    /// Opens the element `name`, whose start tag ends at `content`. An `empty` one is closed at
    /// once.
    pub fn open(&mut self, name: Span, attributes: &[Attribute], empty: bool, content: usize) {
        let is_root = self.open.is_empty() && !self.commented;
        let place = self.enter(name);
        let mut naming = Naming::new();
        if !empty {
            naming.see_value();
        }
        for attribute in attributes {
            let context = attribute.context(self.commented);
            let key = attribute.name.of(self.text);
            if declares_namespace(key) {
                continue;
            }
            let found = self.outline.add(attribute.value, place, Some(key), context);
            if is_root {
                continue;
            }
            if let Some(role) = Role::of(local(key)) {
                let value = scalar::name(attribute.value.of(self.text), context);
                naming.see(role, value.as_deref(), found);
            }
        }
        if let Some(found) = naming.chosen() {
            // Which context does not matter: in any the value is one that was decoded above.
            let quoted = attributes.iter().find(|a| a.value == self.outline.span(found));
            let context = quoted.map_or(Context::ORDINARY, |a| a.context(self.commented));
            self.name(place, found, context);
        }
        if empty {
            self.tell_parent(name, None);
        } else {
            let (text, key, naming) = (None, None, Naming::new());
            let (branches, runs) = (false, 0);
            self.open.push(Element { name, place, content, branches, runs, text, naming, key });
        }
    }

    /// A run of text, CDATA sections included. White space around it is no part of it.
    pub fn text(&mut self, run: Span) {
        let source = run.of(self.text);
        let Some(front) = source.iter().position(|b| !is_blank(*b)) else { return };
        let back = source.iter().rposition(|b| !is_blank(*b)).map_or(front, |at| at + 1);
        let span = Span::new(run.start + front, run.start + back);
        if !self.is_inside() {
            return;
        }
        let context = if self.commented { Context::COMMENT } else { Context::ORDINARY };
        let Some(element) = self.open.last_mut() else { return };
        element.runs += 1;
        if self.commented && (element.runs > 1 || element.branches) {
            // Prose, that mentions an element.
            element.text.take().into_iter().for_each(|found| self.outline.drop(found));
        } else if !self.commented || scalar::decode(span.of(self.text), context).is_some() {
            let found = self.outline.add(span, element.place, None, context);
            element.text.get_or_insert(found);
        }
    }

    /// Something that makes the innermost element no place of a single value.
    pub fn branch(&mut self) {
        let commented = self.commented;
        if let Some(element) = self.open[self.base..].last_mut() {
            element.branches = true;
            if commented {
                element.text.take().into_iter().for_each(|found| self.outline.drop(found));
            }
        }
    }

    /// Closes the innermost element.
    pub fn close(&mut self) {
        let Some(mut element) = self.open.pop() else { return };
        let leaf = !element.branches && element.runs <= 1;
        if leaf && element.runs == 0 {
            let context = if self.commented { Context::COMMENT } else { Context::ORDINARY };
            let span = Span::new(element.content, element.content);
            element.text = Some(self.outline.add(span, element.place, None, context));
        }
        if let Some(found) = element.naming.chosen()
            && !self.outline.is_named(element.place)
        {
            self.name(element.place, found, self.text_context());
        }
        self.tell_parent(element.name, element.text.filter(|_| leaf));
    }

    /// In a comment: closes the innermost element called `name`, if one is open.
    pub fn close_commented(&mut self, name: &[u8]) {
        let inside = &self.open[self.base..];
        if !inside.iter().any(|element| element.name.of(self.text) == name) {
            return self.branch();
        }
        while self.open.last().is_some_and(|element| element.name.of(self.text) != name) {
            self.abandon();
        }
        self.close();
    }

    /// Forgets an element that is not closed: in a comment, prose mentions elements.
    fn abandon(&mut self) {
        if let Some(Element { text: Some(found), .. }) = self.open.pop() {
            self.outline.drop(found);
        }
    }

    fn text_context(&self) -> Context {
        if self.commented { Context::COMMENT } else { Context::ORDINARY }
    }

    /// Enters the place of an element.
    fn enter(&mut self, name: Span) -> PlaceId {
        self.branch();
        let mut parent = self.open.last().map_or(Outline::ROOT, |element| element.place);
        let inside = &mut self.open[self.base..];
        if let Some(key) = inside.last_mut().and_then(|element| element.key.take()) {
            self.outline.names_beside(parent, key);
            if let Some(text) = self.decoded(key, self.text_context()) {
                parent = self.outline.enter(parent, Step::Key(text.into_owned().into()));
            }
        }
        self.outline.enter(parent, Step::Key(name.of(self.text).into()))
    }

    /// Takes note of what a child that was closed tells of the element around it.
    fn tell_parent(&mut self, name: Span, text: Option<FoundId>) {
        let child = local(name.of(self.text));
        let role = match Role::of(child) {
            // Together with a value only: `<name>` alone, below a project say, names the whole.
            Some(Role::Name) => Some(Role::Key),
            Some(role) => Some(role),
            None if child.ends_with(b"-name") => Some(Role::Key),
            None if child.ends_with(b"-value") => Some(Role::Value),
            None => None,
        };
        let Some(role) = role else { return };
        let value = text.and_then(|found| self.decoded(found, self.text_context()));
        let Some(parent) = self.open[self.base..].last_mut() else { return };
        match (role, text) {
            (Role::Key, Some(found)) if local(parent.name.of(self.text)) == b"dict" => {
                let mut naming = Naming::new();
                naming.see(Role::Name, value.as_deref(), found);
                parent.key = naming.chosen();
            }
            (Role::Key | Role::Name, Some(found)) => {
                parent.naming.see(Role::Key, value.as_deref(), found);
            }
            (Role::Key | Role::Name, None) => {}
            (Role::Value, _) => parent.naming.see_value(),
        }
    }

    fn name(&mut self, place: PlaceId, found: FoundId, context: Context) {
        if let Some(text) = self.decoded(found, context) {
            self.outline.name(place, found, &text);
        }
    }

    fn decoded(&self, found: FoundId, context: Context) -> Option<Cow<'t, [u8]>> {
        scalar::name(self.outline.span(found).of(self.text), context)
    }
}

/// Whether an attribute gives a name to the names around it, rather than a value.
fn declares_namespace(key: &[u8]) -> bool {
    key.strip_prefix(b"xmlns").is_some_and(|rest| matches!(rest, [] | [b':', ..]))
}
