//! From tokens to sites, tolerantly, for the line of a comment.
//!
//! What must stay true: a token's part in this (key, value, or nothing) does not depend on
//! whether a value is a string or a literal, because sealing makes strings of literals.

use std::borrow::Cow;
use std::collections::HashMap;

use super::scalar;
use crate::format::sibling::{Naming, Role};
use crate::format::{Context, FieldPath, Front, Site};
use crate::span::Span;

/// A token without its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tok {
    pub(super) kind: TokKind,
    pub(super) span: Span,
}

/// The kinds of [`Tok`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TokKind {
    OpenObject,
    OpenArray,
    Close,
    Comma,
    Colon,
    String,
    /// An unquoted key.
    Word,
    /// A number or a word; may be a key.
    Literal,
}

/// What surrounds a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Around {
    /// An object: values have keys.
    Object,
    /// An array.
    Array,
}

/// Something open, and the path of what stands directly inside.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) around: Around,
    pub(super) path: Front,
    /// For an element with a name: the token that names it, and the path without the name.
    name: Option<(usize, Front)>,
}

impl Frame {
    pub(super) fn new(around: Around, path: Front) -> Self {
        Self { around, path, name: None }
    }
}

/// The sites of a line of a comment that stands in `base`. Values without a key count only with
/// `elements`, and only in an array.
pub(super) fn comment_line(
    text: &[u8],
    toks: &[Tok],
    base: Frame,
    context: Context,
    elements: bool,
) -> Vec<Site> {
    Walk::new(text, toks, base, context).run(elements)
}

struct Walk<'t> {
    text: &'t [u8],
    toks: &'t [Tok],
    /// By the opening token of a list element: the token that names it.
    names: HashMap<usize, usize>,
    /// Never empty: a comment may close what it did not open.
    stack: Vec<Frame>,
    base: Frame,
    key: Option<Cow<'t, [u8]>>,
    context: Context,
    sites: Vec<Site>,
}

impl<'t> Walk<'t> {
    fn new(text: &'t [u8], toks: &'t [Tok], base: Frame, context: Context) -> Self {
        Self {
            text,
            toks,
            names: names(text, toks, base.around),
            stack: Vec::new(),
            base,
            key: None,
            context,
            sites: Vec::new(),
        }
    }

    fn run(mut self, elements: bool) -> Vec<Site> {
        for n in 0..self.toks.len() {
            let Tok { kind, span } = self.toks[n];
            match kind {
                TokKind::Colon => {}
                TokKind::Comma => self.key = None,
                TokKind::Close => {
                    self.key = None;
                    self.stack.pop();
                }
                TokKind::OpenObject => self.open(Around::Object, n),
                TokKind::OpenArray => self.open(Around::Array, n),
                TokKind::String | TokKind::Word | TokKind::Literal => {
                    if (self.key.is_none() || kind == TokKind::Word) && is_key(self.toks, n) {
                        self.key = Some(key_text(self.text, self.toks[n]));
                    } else {
                        self.value(n, span, elements);
                    }
                }
            }
        }
        self.sites
    }

    fn top(&self) -> &Frame {
        self.stack.last().unwrap_or(&self.base)
    }

    /// The path of the value whose first token is `n`.
    fn path(&mut self, n: usize) -> FieldPath {
        let key = self.key.take();
        let top = self.top();
        match (&key, &top.name) {
            (None, _) => top.path.path(),
            (Some(key), Some((naming, unnamed))) if *naming == n => unnamed.key(key),
            (Some(key), _) => top.path.key(key),
        }
    }

    fn open(&mut self, around: Around, n: usize) {
        let path = Front::from(self.path(n));
        let frame = match (around, self.names.get(&n)) {
            (Around::Array, _) => Frame::new(around, path.element().into()),
            (_, None) => Frame::new(around, path),
            (_, Some(naming)) => {
                let name = key_text(self.text, self.toks[*naming]);
                Frame { around, path: path.key(name).into(), name: Some((*naming, path)) }
            }
        };
        self.stack.push(frame);
    }

    fn value(&mut self, n: usize, span: Span, elements: bool) {
        if self.key.is_none() {
            let comes_alone = match self.top().around {
                Around::Array => {
                    let next = self.toks.get(n + 1).map(|tok| tok.kind);
                    matches!(next, None | Some(TokKind::Comma | TokKind::Close))
                }
                Around::Object => false,
            };
            if !(elements && comes_alone) {
                return;
            }
        }
        let naming = self.top().name.as_ref().is_some_and(|(naming, _)| *naming == n);
        let path = self.path(n);
        self.sites.push(Site {
            span,
            path,
            context: self.context,
            column: 0,
            naming,
            also: Box::default(),
        });
    }
}

/// Whether token `n` is a key if it stands where a key may stand; in an array too, where the line
/// of an object may stand.
fn is_key(toks: &[Tok], n: usize) -> bool {
    toks.get(n + 1).is_some_and(|next| next.kind == TokKind::Colon)
}

/// What a key stands for, or another string.
pub(super) fn key_text(text: &[u8], tok: Tok) -> Cow<'_, [u8]> {
    let source = tok.span.of(text);
    match (tok.kind, source) {
        (TokKind::String, [_, inner @ .., _]) if !inner.contains(&b'\\') => inner.into(),
        // What the parser took for a string decodes.
        (TokKind::String, _) => {
            scalar::decode(source).map_or(source.into(), |key| key.to_vec().into())
        }
        _ => source.into(),
    }
}

/// Finds the naming token of each list element, ahead of the walk: a name may stand behind the
/// values that it names.
fn names(text: &[u8], toks: &[Tok], base: Around) -> HashMap<usize, usize> {
    struct Open {
        around: Around,
        element: Option<(usize, Naming<usize>)>,
    }
    let mut names = HashMap::new();
    let mut stack: Vec<Open> = Vec::new();
    let mut close = |open: Option<Open>| {
        if let Some((opened, naming)) = open.and_then(|open| open.element) {
            names.extend(naming.chosen().map(|name| (opened, name)));
        }
    };
    // A key whose value is yet to come, and what it tells.
    let mut key: Option<Option<Role>> = None;
    for (n, tok) in toks.iter().enumerate() {
        match tok.kind {
            TokKind::Colon => continue,
            TokKind::Comma => {}
            TokKind::Close => close(stack.pop()),
            TokKind::String | TokKind::Word | TokKind::Literal
                if (key.is_none() || tok.kind == TokKind::Word) && is_key(toks, n) =>
            {
                key = Some(Role::of(&key_text(text, *tok)));
                continue;
            }
            kind => {
                let around = stack.last().map_or(base, |open| open.around);
                let element = key.is_none() && around == Around::Array;
                if let (Some(Some(role)), Some(Open { element: Some((_, naming)), .. })) =
                    (key, stack.last_mut())
                {
                    let value = (kind == TokKind::String).then(|| key_text(text, *tok));
                    naming.see(role, value.as_deref(), n);
                }
                match kind {
                    TokKind::OpenArray => {
                        stack.push(Open { around: Around::Array, element: None });
                    }
                    TokKind::OpenObject => {
                        let element = element.then(|| (n, Naming::new()));
                        stack.push(Open { around: Around::Object, element });
                    }
                    _ => {}
                }
            }
        }
        key = None;
    }
    // What a line opens need not close.
    stack.into_iter().for_each(|open| close(Some(open)));
    names
}
