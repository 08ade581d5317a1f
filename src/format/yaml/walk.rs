//! From nodes to sites: under which keys each scalar stands.
//!
//! What must stay true: a path depends on keys, names and the shape of the text alone, never on
//! another value, or sealing that one would move it. So an alias in a key's place counts with
//! the text of the key it repeats, but under its own name where it repeats a value.

use super::alias::{Anchored, Shown};
use super::events::{Kind, Tok};
use super::{comment, k8s, place};
use crate::format::{Context, FieldPath, Front, Site};
use crate::span::Span;

/// A walk through a text, and what it has found.
pub(super) struct Walk<'w> {
    pub(super) text: &'w [u8],
    pub(super) toks: &'w [Tok<'w>],
    pub(super) sites: Vec<Site>,
    pub(super) shown: Shown,
    /// The collections around, outermost first.
    pub(super) levels: Vec<Level>,
    /// Up to where comments have been looked for; `None` where none are.
    pub(super) done: Option<usize>,
    /// Whether there may be a Secret.
    secrets: bool,
    context: Context,
}

/// A collection, while the walk is inside.
pub(super) struct Level {
    pub(super) kind: Kind,
    /// The column of its keys or dashes.
    pub(super) column: usize,
    /// Of a mapping, under which its keys stand; of a sequence, its own.
    pub(super) path: FieldPath,
    /// The path of the last key, while nothing but a collection has stood under it.
    pub(super) last: Option<FieldPath>,
}

/// Why a text that is YAML is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// Aliases show more values than anyone wants to see.
    Aliases,
    /// Further indented than a [`Context`] can tell.
    Indentation,
    /// A block scalar does not stand where its indentation says.
    Misplaced,
}

/// The place of a node.
#[derive(Clone)]
struct Place {
    path: FieldPath,
    /// The indentation of the block collection around; `None` for the document's own node.
    indent: Option<usize>,
    /// Whether a scalar here names the list element it is in.
    naming: bool,
}

impl<'w> Walk<'w> {
    /// A walk through a whole text.
    pub(super) fn new(text: &'w [u8], toks: &'w [Tok<'w>]) -> Self {
        Self {
            text,
            toks,
            sites: Vec::with_capacity(toks.len() / 2),
            shown: Shown::default(),
            levels: Vec::new(),
            done: text.contains(&b'#').then_some(0),
            secrets: memchr::memmem::find(text, k8s::SECRET.as_bytes()).is_some(),
            context: Context::ORDINARY,
        }
    }

    /// A walk through a part of a comment.
    pub(super) fn in_comment(text: &'w [u8], toks: &'w [Tok<'w>]) -> Self {
        Self { done: None, secrets: false, context: Context::COMMENT, ..Self::new(text, toks) }
    }

    /// The sites of all documents.
    pub(super) fn run(mut self) -> Result<Vec<Site>, Refused> {
        let mut at = 0;
        while at < self.toks.len() {
            let place = Place { path: FieldPath::root(), indent: None, naming: false };
            at = self.node(at, place)?;
        }
        self.comments(self.text.len());
        self.shown.give(&mut self.sites);
        Ok(self.sites)
    }

    /// The sites of the one collection that the text is, under `path`.
    pub(super) fn run_under(mut self, path: &FieldPath) -> Result<Vec<Site>, Refused> {
        self.node(0, Place { path: path.clone(), indent: None, naming: false })?;
        self.shown.give(&mut self.sites);
        Ok(self.sites)
    }

    /// Walks the node that begins at token `at`; returns the token behind it.
    fn node(&mut self, at: usize, place: Place) -> Result<usize, Refused> {
        let tok = &self.toks[at];
        match tok.kind {
            Kind::Plain | Kind::Quoted | Kind::Block => self.scalar(tok, place)?,
            Kind::Alias => {
                self.pass(tok.span);
                self.shown.alias(tok.anchor, &place.path, false, &self.sites)?;
            }
            Kind::Map { .. } => {
                let inside = place.path.clone();
                self.mapping(at, place, inside, None)?;
            }
            Kind::Seq { .. } => self.sequence(at, place)?,
            Kind::End => {}
        }
        Ok(tok.next)
    }

    fn scalar(&mut self, tok: &Tok<'_>, place: Place) -> Result<(), Refused> {
        let from = self.mark();
        if !tok.is_absent() {
            self.pass(tok.span);
            let column = place.indent.map_or(0, |indent| indent + 1);
            let context = match self.context {
                Context::ORDINARY => {
                    place::context(place.indent.unwrap_or(0)).ok_or(Refused::Indentation)?
                }
                other => other,
            };
            if tok.kind == Kind::Block {
                self.check(tok, context)?;
            }
            let column = u16::try_from(column).map_err(|_| Refused::Indentation)?;
            if tok.anchor != 0 {
                let to = (from.0 + 1, from.1);
                self.shown.anchor(tok.anchor, Anchored::node(&place.path, None, from, to));
            }
            let Place { path, naming, .. } = place;
            let also = Box::default();
            self.sites.push(Site { span: tok.span, path, context, column, naming, also });
        }
        Ok(())
    }

    /// What a block scalar that says its own indentation is here must be what the parser says.
    fn check(&self, tok: &Tok<'_>, context: Context) -> Result<(), Refused> {
        let source = tok.span.of(self.text);
        if !super::events::header_text(source).iter().any(u8::is_ascii_digit) {
            return Ok(());
        }
        match super::scalar::decode(source, context) {
            Some(value) if value.trim_ascii_end() == tok.text.as_bytes().trim_ascii_end() => Ok(()),
            _ => Err(Refused::Misplaced),
        }
    }

    fn sequence(&mut self, at: usize, place: Place) -> Result<(), Refused> {
        let tok = &self.toks[at];
        let from = self.mark();
        let Kind::Seq { flow } = tok.kind else { return Ok(()) };
        let column = match self.levels.last() {
            _ if flow => tok.column,
            Some(around) if self.is_indentless(tok, around) => around.column,
            _ => tok.column,
        };
        let indent = if flow { place.indent } else { Some(column) };
        self.enter(tok, flow, column, place.path.clone());
        let path = place.path.element();
        let mut child = at + 1;
        while self.toks[child].kind != Kind::End {
            let tok = &self.toks[child];
            let place = Place { path: path.clone(), indent, naming: false };
            match tok.kind {
                Kind::Map { .. } => {
                    let name = self.name_of(child);
                    let inside =
                        name.map_or_else(|| path.clone(), |name| path.key(&*self.toks[name].text));
                    self.mapping(child, place, inside, name)?;
                }
                Kind::Alias => {
                    self.pass(tok.span);
                    self.shown.alias(tok.anchor, &path, true, &self.sites)?;
                }
                _ => _ = self.node(child, place)?,
            }
            child = self.toks[child].next;
        }
        self.leave(child, flow);
        self.anchored(tok, from, &place.path, None);
        Ok(())
    }

    /// Walks the mapping at token `at`, whose values stand under `inside`, and the one that is
    /// `name` under the path of its place.
    fn mapping(
        &mut self,
        at: usize,
        place: Place,
        inside: FieldPath,
        name: Option<usize>,
    ) -> Result<(), Refused> {
        let tok = &self.toks[at];
        let Kind::Map { flow } = tok.kind else { return Ok(()) };
        let from = self.mark();
        let indent = if flow { place.indent } else { Some(tok.column) };
        self.enter(tok, flow, tok.column, inside.clone());
        let secret = self.secrets && k8s::is_secret(self.toks, at);
        let front = Front::from(inside.clone());
        let mut key = at + 1;
        while self.toks[key].kind != Kind::End {
            let value = self.toks[key].next;
            // Comments in front still belong to the key before.
            self.comments(self.toks[key].span.start);
            let from = self.mark();
            if self.is_merge(key) {
                self.pass(self.toks[key].span);
                self.merged(value, &inside, indent)?;
            } else {
                let naming = name == Some(value);
                let text = self.key_text(key);
                let path = if naming { place.path.key(&text) } else { front.key(&text) };
                self.under(Some(&path));
                self.key(key, value, &text);
                let data = (secret && k8s::is_data(&text)).then(|| path.clone());
                self.node(value, Place { path, indent, naming })?;
                if let Some(path) = data {
                    self.shown.also(from.0..self.sites.len(), &path, &k8s::data(), &self.sites)?;
                }
                let tok = &self.toks[value];
                if !matches!(tok.kind, Kind::Map { .. } | Kind::Seq { .. }) && !tok.is_absent() {
                    self.under(None);
                }
            }
            key = self.toks[value].next;
        }
        self.leave(key, flow);
        let name = name.map(|name| &*self.toks[name].text);
        self.anchored(tok, from, &inside, name);
        Ok(())
    }

    /// The value of a merge key: what stands in it stands in the mapping at `inside`.
    fn merged(
        &mut self,
        at: usize,
        inside: &FieldPath,
        indent: Option<usize>,
    ) -> Result<(), Refused> {
        let tok = &self.toks[at];
        if !matches!(tok.kind, Kind::Seq { .. }) {
            let place = Place { path: inside.clone(), indent, naming: false };
            return self.node(at, place).map(drop);
        }
        if tok.kind == (Kind::Seq { flow: true }) {
            self.pass(tok.span);
        }
        let mut child = at + 1;
        while self.toks[child].kind != Kind::End {
            let place = Place { path: inside.clone(), indent, naming: false };
            child = self.node(child, place)?;
        }
        self.pass(self.toks[child].span);
        Ok(())
    }

    /// Passes the key in tokens `key..value`, in which nothing is ever sealed.
    fn key(&mut self, key: usize, value: usize, text: &[u8]) {
        for tok in &self.toks[key..value] {
            self.pass(tok.span);
            if tok.anchor != 0 && tok.kind != Kind::Alias {
                self.shown.anchor(tok.anchor, Anchored::Key(text.into()));
            }
        }
    }

    fn enter(&mut self, tok: &Tok<'_>, flow: bool, column: usize, path: FieldPath) {
        // A block collection begins with its first node.
        if flow {
            self.pass(tok.span);
        }
        self.levels.push(Level { kind: tok.kind, column, path, last: None });
    }

    /// Takes note, for comments, of the key that a deeper one would stand under.
    fn under(&mut self, path: Option<&FieldPath>) {
        if let (true, Some(level)) = (self.done.is_some(), self.levels.last_mut()) {
            level.last = path.cloned();
        }
    }

    fn leave(&mut self, end: usize, flow: bool) {
        let span = self.toks[end].span;
        if flow {
            self.pass(span);
        } else {
            // It ends where the next node begins: the comments in front are still inside.
            self.comments(span.start);
        }
        self.levels.pop();
    }

    /// Looks for comments in front of a token, and goes on behind it.
    fn pass(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        self.comments(span.start);
        if let Some(done) = &mut self.done {
            *done = span.end.max(*done);
        }
    }

    /// Looks for comments up to `end`.
    fn comments(&mut self, end: usize) {
        if let Some(done) = self.done {
            let end = end.max(done);
            self.done =
                Some(comment::scan(self.text, Span::new(done, end), &self.levels, &mut self.sites));
        }
    }

    fn mark(&self) -> (usize, usize) {
        (self.sites.len(), self.shown.len())
    }

    /// Takes note of the anchor of a node whose sites are those since `from`, below `path`.
    fn anchored(
        &mut self,
        tok: &Tok<'_>,
        from: (usize, usize),
        path: &FieldPath,
        name: Option<&str>,
    ) {
        if tok.anchor != 0 {
            let anchored = Anchored::node(path, name, from, self.mark());
            self.shown.anchor(tok.anchor, anchored);
        }
    }
}
