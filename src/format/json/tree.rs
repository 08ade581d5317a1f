//! The values of a parsed document, in its order, and the comments between them.
//!
//! What must stay true: a path does not depend on whether a value is a string or a literal,
//! because sealing makes strings of literals. The parser bounds how deep it is, and so the walk.

use std::borrow::Cow;

use jsonc_parser::CommentMap;
use jsonc_parser::ast::{Array, Comment, Object, ObjectPropName, Value};
use jsonc_parser::common::{Range, Ranged};

use super::comment;
use super::walk::{Around, Frame, Tok, TokKind, key_text};
use crate::format::sibling::{Naming, Role};
use crate::format::{Context, FieldPath, Site};
use crate::span::Span;

/// The sites of the document `root`, which was parsed without the first `shift` bytes of `text`.
pub(super) fn sites(
    text: &[u8],
    shift: usize,
    root: &Value<'_>,
    comments: &CommentMap<'_>,
) -> Vec<Site> {
    let mut comments: Vec<&Comment<'_>> = comments.values().flat_map(|group| &**group).collect();
    // Each stands there twice: for what is in front of it and what is behind.
    comments.sort_unstable_by_key(|comment| comment.start());
    comments.dedup_by_key(|comment| comment.start());
    // Most values have a key, and blanks around them.
    let sites = Vec::with_capacity(text.len() / 24);
    let mut tree = Tree { text, shift, comments: &comments, sites };
    let around = Frame::new(Around::Object, FieldPath::root());
    tree.comments(root.start(), &around);
    tree.value(root, FieldPath::root(), false);
    tree.comments(text.len(), &around);
    tree.sites
}

struct Tree<'t> {
    text: &'t [u8],
    shift: usize,
    /// Those that are yet to come.
    comments: &'t [&'t Comment<'t>],
    sites: Vec<Site>,
}

impl<'t> Tree<'t> {
    fn span(&self, range: Range) -> Span {
        Span::new(range.start, range.end).shifted(self.shift)
    }

    /// Appends the sites of the comments in front of `end`, which stand in `base`.
    fn comments(&mut self, end: usize, base: &Frame) {
        while let [comment, rest @ ..] = self.comments
            && comment.start() < end
        {
            let is_block = matches!(comment, Comment::Block(_));
            let span = self.span(comment.range());
            comment::scan(self.text, span, is_block, base, &mut self.sites);
            self.comments = rest;
        }
    }

    fn value(&mut self, value: &Value<'_>, path: FieldPath, naming: bool) {
        match value {
            Value::Object(object) => self.object(object, &path, None),
            Value::Array(array) => self.array(array, &path),
            Value::StringLit(_)
            | Value::NumberLit(_)
            | Value::BooleanLit(_)
            | Value::NullKeyword(_) => {
                let span = self.span(value.range());
                let (context, column, also) = (Context::ORDINARY, 0, Box::default());
                self.sites.push(Site { span, path, context, column, naming, also });
            }
        }
    }

    fn array(&mut self, array: &Array<'_>, path: &FieldPath) {
        let inside = Frame::new(Around::Array, path.element());
        for element in &array.elements {
            self.comments(element.start(), &inside);
            match element {
                Value::Object(object) => self.object(object, &inside.path, self.name_of(object)),
                other => self.value(other, inside.path.clone(), false),
            }
        }
        self.comments(array.range.end, &inside);
    }

    /// Walks the object at `path`, which is named by its property number `name`, if at all.
    fn object(&mut self, object: &Object<'_>, path: &FieldPath, name: Option<usize>) {
        let named = name.map(|name| path.key(self.string(object.properties[name].value.range())));
        let inside = Frame::new(Around::Object, named.unwrap_or_else(|| path.clone()));
        for (n, property) in object.properties.iter().enumerate() {
            self.comments(property.range.start, &inside);
            self.comments(property.value.start(), &inside);
            let naming = name == Some(n);
            let path = if naming { path } else { &inside.path };
            let path = path.key(self.key(&property.name));
            self.value(&property.value, path, naming);
        }
        self.comments(object.range.end, &inside);
    }

    /// The number of the property that names `object`, an element of a list.
    fn name_of(&self, object: &Object<'_>) -> Option<usize> {
        let mut naming = Naming::new();
        for (n, property) in object.properties.iter().enumerate() {
            if let Some(role) = Role::of(&self.key(&property.name)) {
                let text = match &property.value {
                    Value::StringLit(value) => Some(self.string(value.range)),
                    _ => None,
                };
                naming.see(role, text.as_deref(), n);
            }
        }
        naming.chosen()
    }

    fn key(&self, name: &ObjectPropName<'_>) -> Cow<'t, [u8]> {
        match name {
            ObjectPropName::String(name) => self.string(name.range),
            ObjectPropName::Word(name) => self.span(name.range).of(self.text).into(),
        }
    }

    /// What a string stands for; the parser may have seen a copy in which it is another.
    fn string(&self, range: Range) -> Cow<'t, [u8]> {
        key_text(self.text, Tok { kind: TokKind::String, span: self.span(range) })
    }
}
