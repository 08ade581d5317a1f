//! From the events of `toml_parser` to values, the places they stand in, and the comments between
//! them.
//!
//! The events are in the order of TOML's grammar; what is left to check is what a key defines
//! (`tables.rs`) and what a scalar says.

use std::borrow::Cow;

use toml_parser::decoder::ScalarKind;
use toml_parser::parser::{
    Event, EventKind, EventReceiver, RecursionGuard, ValidateWhitespace, parse_document, parse_key,
    parse_value,
};
use toml_parser::{Source, Span as Range};

use super::tables::{Key, TableId, Tables};
use crate::format::outline::{Outline, PlaceId, Step};
use crate::format::{Context, Front};
use crate::span::Span;

/// How deep arrays, inline tables and dotted keys may be: paths are as deep, and deep ones are
/// dropped recursively.
const DEEPEST: u32 = 80;

/// What is wrong, and at which byte.
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) kind: &'static str,
}

/// What a text is read as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    Document,
    /// One value, an array: its elements stand in the place that is read in.
    Array,
    /// A dotted key.
    Key,
}

/// Hands the events of a text to `receiver`.
fn parse(
    source: Source<'_>,
    grammar: Grammar,
    receiver: &mut dyn EventReceiver,
) -> Result<(), Wrong> {
    let tokens = source.lex().into_vec();
    let mut errors: Vec<toml_parser::ParseError> = Vec::new();
    let mut receiver = ValidateWhitespace::new(receiver, source);
    let mut receiver = RecursionGuard::new(&mut receiver, DEEPEST);
    match grammar {
        Grammar::Document => parse_document(&tokens, &mut receiver, &mut errors),
        Grammar::Array => parse_value(&tokens, &mut receiver, &mut errors),
        Grammar::Key => parse_key(&tokens, &mut receiver, &mut errors),
    }
    match errors.first() {
        None => Ok(()),
        Some(error) => Err(wrong(error)),
    }
}

/// The parser's own words quote source text now and then.
fn wrong(error: &toml_parser::ParseError) -> Wrong {
    let kind = match error.description() {
        text if text.starts_with("cannot recurse") => "nested too deeply",
        _ => "not valid TOML",
    };
    Wrong { at: error.unexpected().map_or(0, |span| span.start()), kind }
}

/// The keys of the dotted key that `text` is.
pub(super) fn keys(text: &str) -> Option<Vec<Key<'_>>> {
    let source = Source::new(text);
    let mut events: Vec<Event> = Vec::new();
    parse(source, Grammar::Key, &mut events).ok()?;
    let keys = events.iter().filter(|event| event.kind() == EventKind::SimpleKey);
    keys.map(|event| decode_key(source, event).ok()).collect()
}

fn decode_key<'t>(source: Source<'t>, event: &Event) -> Result<Key<'t>, Wrong> {
    let mut errors: Vec<toml_parser::ParseError> = Vec::new();
    let mut key = Cow::Borrowed("");
    if let Some(raw) = source.get(event) {
        if event.encoding().is_none() && is_bare(raw.as_str()) {
            return Ok(raw.as_str().as_bytes().into());
        }
        raw.decode_key(&mut key, &mut errors);
    }
    match (errors.first(), key) {
        (Some(error), _) => Err(wrong(error)),
        (None, Cow::Borrowed(key)) => Ok(key.as_bytes().into()),
        (None, Cow::Owned(key)) => Ok(key.into_bytes().into()),
    }
}

/// Whether `key` is one that stands for itself without quotes, as most do.
fn is_bare(key: &str) -> bool {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !key.is_empty() && key.bytes().all(is_bare)
}

/// What was found in a text.
pub(super) struct Tree<'t> {
    source: Source<'t>,
    pub(super) outline: Outline<'t>,
    pub(super) tables: Tables<'t>,
    pub(super) comments: Vec<Comment>,
    context: Context,
    /// Of the last header.
    table: TableId,
    open: Vec<Open>,
    /// Of the header or dotted key that is read, and where each begins.
    keys: Vec<(Key<'t>, usize)>,
    /// Where the next value stands, unless that is in an array.
    slot: Option<(TableId, Key<'t>)>,
    line: Line,
}

/// A comment.
pub(super) struct Comment {
    pub(super) span: Span,
    /// The table or list around it.
    pub(super) place: PlaceId,
    pub(super) in_list: bool,
    /// Whether it could be a line of the document.
    pub(super) own_line: bool,
    /// Whether anything but a comment has stood in a line since the comment before.
    pub(super) detached: bool,
}

/// Something open.
enum Open {
    Inline(TableId),
    Array { list: PlaceId, element: PlaceId },
}

/// What the current line holds so far.
#[derive(Default)]
struct Line {
    has_code: bool,
    has_comment: bool,
    /// Whether a line that was no comment's has ended since the last comment.
    detached: bool,
}

impl<'t> Tree<'t> {
    /// Reads a text, which stands in `base`.
    pub fn read(
        text: &'t str,
        grammar: Grammar,
        base: Front,
        context: Context,
    ) -> Result<Self, Wrong> {
        let source = Source::new(text);
        let mut tree = Self {
            source,
            outline: Outline::within(base, text.len()),
            tables: Tables::new(text.len()),
            comments: Vec::new(),
            context,
            table: Tables::ROOT,
            open: Vec::new(),
            keys: Vec::new(),
            slot: None,
            line: Line::default(),
        };
        let mut read = Ok(());
        let mut receiver = |event: Event| {
            if read.is_ok() {
                read = tree.event(&event);
            }
        };
        // What the parser finds wrong counts first, wherever it stands.
        parse(source, grammar, &mut receiver)?;
        read?;
        tree.tables.name(&mut tree.outline);
        Ok(tree)
    }

    fn event(&mut self, event: &Event) -> Result<(), Wrong> {
        match event.kind() {
            EventKind::Whitespace => return Ok(()),
            EventKind::Newline => {
                let Line { has_code, has_comment, detached } = self.line;
                let detached = detached || has_code || !has_comment;
                self.line = Line { detached, ..Line::default() };
                return Ok(());
            }
            EventKind::Comment => {
                self.comment(event.span());
                return Ok(());
            }
            EventKind::SimpleKey => {
                if self.keys.len() >= DEEPEST as usize {
                    return Err(Wrong { at: event.span().start(), kind: "nested too deeply" });
                }
                let key = decode_key(self.source, event)?;
                self.keys.push((key, event.span().start()));
            }
            EventKind::StdTableClose => self.header(false)?,
            EventKind::ArrayTableClose => self.header(true)?,
            EventKind::KeyValSep => self.key()?,
            EventKind::Scalar => self.scalar(event)?,
            EventKind::InlineTableOpen => {
                let is_element = self.slot.is_none();
                let place = self.container();
                let table = self.tables.inline(place, is_element);
                self.open.push(Open::Inline(table));
            }
            EventKind::ArrayOpen => {
                let list = self.container();
                let element = self.outline.enter(list, Step::Element);
                self.open.push(Open::Array { list, element });
            }
            EventKind::InlineTableClose | EventKind::ArrayClose => _ = self.open.pop(),
            EventKind::StdTableOpen
            | EventKind::ArrayTableOpen
            | EventKind::KeySep
            | EventKind::ValueSep
            | EventKind::Error => {}
        }
        self.line.has_code = true;
        Ok(())
    }

    fn comment(&mut self, range: Range) {
        let (place, in_list) = match self.open.last() {
            None => (self.tables.place(self.table), false),
            Some(Open::Inline(table)) => (self.tables.place(*table), false),
            Some(Open::Array { list, .. }) => (*list, true),
        };
        let own_line = !self.line.has_code && self.open.is_empty();
        let span = Span::new(range.start(), range.end());
        self.comments.push(Comment {
            span,
            place,
            in_list,
            own_line,
            detached: self.line.detached,
        });
        self.line.has_comment = true;
        self.line.detached = false;
    }

    fn header(&mut self, is_element: bool) -> Result<(), Wrong> {
        let keys = self.keys.iter().map(|(key, _)| key.clone());
        self.table = self
            .tables
            .header(&mut self.outline, keys, is_element)
            .map_err(|(n, taken)| Wrong { at: self.keys[n].1, kind: taken.0 })?;
        self.keys.clear();
        Ok(())
    }

    /// Takes the keys in front of a `=`.
    fn key(&mut self) -> Result<(), Wrong> {
        let table = match self.open.last() {
            Some(Open::Inline(table)) => *table,
            _ => self.table,
        };
        let starts = (self.keys.first().map_or(0, |key| key.1), self.keys.len());
        let keys = self.keys.drain(..).map(|(key, _)| key);
        self.slot = self
            .tables
            .value(&mut self.outline, table, keys)
            .map_err(|(_, taken)| Wrong { at: starts.0, kind: taken.0 })?;
        Ok(())
    }

    /// The place of the inline table or array that begins here.
    fn container(&mut self) -> PlaceId {
        match (self.slot.take(), self.open.last()) {
            (Some((table, key)), _) => self.outline.enter(self.tables.place(table), Step::Key(key)),
            (None, Some(Open::Array { list, .. })) => self.outline.enter(*list, Step::Element),
            (None, _) => Outline::ROOT,
        }
    }

    fn scalar(&mut self, event: &Event) -> Result<(), Wrong> {
        let range = event.span();
        check(self.source, event)?;
        let span = Span::new(range.start(), range.end());
        let Some((table, key)) = self.slot.take() else {
            if let Some(Open::Array { element, .. }) = self.open.last() {
                self.outline.add(span, *element, None, self.context);
            }
            return Ok(());
        };
        let role = self.tables.role(table, &key);
        let place = self.tables.place(table);
        let found = match key {
            Cow::Borrowed(key) => self.outline.add(span, place, Some(key), self.context),
            key => {
                let place = self.outline.enter(place, Step::Key(key));
                self.outline.add(span, place, None, self.context)
            }
        };
        if let (Some(role), Some(_)) = (role, event.encoding()) {
            let mut text = Cow::Borrowed("");
            if let Some(raw) = self.source.get(event) {
                let _ = raw.decode_scalar(&mut text, &mut ());
            }
            let text = match text {
                Cow::Borrowed(text) => text.as_bytes().into(),
                Cow::Owned(text) => text.into_bytes().into(),
            };
            self.tables.see(table, role, text, found);
        }
        Ok(())
    }
}

/// What stands in `text` if that is one string in double quotes that says just what stands there:
/// most are. Of all that the grammar forbids or reads otherwise there must be nothing in it.
pub(super) fn verbatim(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let stands_for_itself =
        |byte: u8| (byte >= b' ' || byte == b'\t') && !matches!(byte, b'"' | b'\\' | 0x7f);
    // Without a way out in the middle: so it takes many bytes at a time.
    let all = inner.bytes().fold(true, |all, byte| all & stands_for_itself(byte));
    all.then_some(inner)
}

/// Whether a scalar says something: its escapes, and that it is not too large.
fn check(source: Source<'_>, event: &Event) -> Result<(), Wrong> {
    let mut errors: Vec<toml_parser::ParseError> = Vec::new();
    let at = event.span().start();
    let Some(raw) = source.get(event) else {
        return Err(Wrong { at, kind: "a value without a place" });
    };
    if event.encoding().is_some() {
        if verbatim(raw.as_str()).is_some() {
            return Ok(());
        }
        // What a string says is nobody's business here.
        let _ = raw.decode_scalar(&mut (), &mut errors);
        return errors.first().map_or(Ok(()), |error| Err(wrong(error)));
    }
    let mut text = Cow::Borrowed("");
    let kind = raw.decode_scalar(&mut text, &mut errors);
    let is_sound = match kind {
        ScalarKind::String | ScalarKind::Boolean(_) => true,
        ScalarKind::DateTime => text.parse::<toml::value::Datetime>().is_ok(),
        ScalarKind::Integer(radix) => i64::from_str_radix(&text, radix.value()).is_ok(),
        ScalarKind::Float => text.parse::<f64>().is_ok_and(|value| {
            !value.is_infinite() || text.trim_start_matches(['+', '-']) == "inf"
        }),
    };
    match errors.first() {
        Some(error) => Err(wrong(error)),
        None if is_sound => Ok(()),
        None => Err(Wrong { at, kind: "not a number or date that TOML knows" }),
    }
}
