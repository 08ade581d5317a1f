//! What `granit-parser` says of a YAML text: its nodes, each with the span of exactly its source.
//!
//! What must stay true: a scalar's span begins at its first own byte (a quote, a `|`, the first
//! letter; never a tag or an anchor) and ends behind its last one. The parser's own spans do so
//! but for block scalars: those begin behind the header and reach into the next line's
//! indentation.

use std::borrow::Cow;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, StructureStyle};
use zeroize::Zeroize;

use crate::format::ParseError;
use crate::span::Span;

/// One event of the text; those of documents and streams are left out.
#[derive(Debug)]
pub(super) struct Tok<'t> {
    pub(super) kind: Kind,
    /// An empty one is a node that is not spelled out.
    pub(super) span: Span,
    /// The column of its first byte. For a block collection, that of its keys or dashes.
    pub(super) column: usize,
    /// The number of the anchor it has, or as an alias refers to; 0 for none.
    pub(super) anchor: usize,
    /// A scalar's value.
    pub(super) text: Cow<'t, str>,
    /// The number of the token behind this node.
    pub(super) next: usize,
}

/// The kinds of [`Tok`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Plain,
    Quoted,
    Block,
    Alias,
    /// The start of a mapping.
    Map {
        flow: bool,
    },
    /// The start of a sequence.
    Seq {
        flow: bool,
    },
    /// The end of what was started last.
    End,
}

impl Tok<'_> {
    pub(super) fn is_scalar(&self) -> bool {
        matches!(self.kind, Kind::Plain | Kind::Quoted | Kind::Block)
    }

    /// Whether this node is not spelled out.
    pub(super) fn is_absent(&self) -> bool {
        self.is_scalar() && self.span.is_empty()
    }
}

/// The nodes of a text, in its order.
#[derive(Debug)]
pub(super) struct Toks<'t>(pub(super) Vec<Tok<'t>>);

impl Drop for Toks<'_> {
    fn drop(&mut self) {
        for tok in &mut self.0 {
            if let Cow::Owned(text) = &mut tok.text {
                text.zeroize();
            }
        }
    }
}

/// Takes `text` apart; it has no byte order mark.
pub(super) fn parse(text: &str) -> Result<Toks<'_>, ParseError> {
    // As PyYAML, ruamel.yaml and libyaml read it: a flow collection may close at the indentation
    // of its key, which the letter of the specification forbids and many files do.
    let options = granit_parser::options! { strict_indentation: false, emit_comments: false };
    // Most texts have fewer nodes; growing would copy them all.
    let mut toks = Toks(Vec::with_capacity(text.len() / 16));
    let mut open: Vec<usize> = Vec::new();
    // Behind the last node that has bytes of its own.
    let mut done = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, place) = event.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or(0);
            ParseError::at(text.as_bytes(), at, kind_of(error.kind()))
        })?;
        let range = place.byte_range().filter(|range| text.get(range.clone()).is_some());
        let Some(range) = range else {
            return Err(ParseError::at(text.as_bytes(), done, "a node without a place"));
        };
        let mut span = Span::from(range);
        let at = toks.0.len();
        let (kind, anchor, value) = match event {
            Event::Scalar(value, ScalarStyle::Literal | ScalarStyle::Folded, anchor, _) => {
                span = block_scalar(text.as_bytes(), done, span, place.indent)
                    .ok_or_else(|| ParseError::at(text.as_bytes(), done, "a lost block scalar"))?;
                (Kind::Block, anchor, value)
            }
            Event::Scalar(value, ScalarStyle::Plain, anchor, _) => (Kind::Plain, anchor, value),
            Event::Scalar(value, _, anchor, _) => (Kind::Quoted, anchor, value),
            Event::Alias(anchor) => (Kind::Alias, anchor, Cow::Borrowed("")),
            Event::MappingStart(style, anchor, _) => {
                open.push(at);
                (Kind::Map { flow: style == StructureStyle::Flow }, anchor, Cow::Borrowed(""))
            }
            Event::SequenceStart(style, anchor, _) => {
                open.push(at);
                (Kind::Seq { flow: style == StructureStyle::Flow }, anchor, Cow::Borrowed(""))
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(start) = open.pop() {
                    toks.0[start].next = at + 1;
                }
                (Kind::End, 0, Cow::Borrowed(""))
            }
            _ => continue,
        };
        if !span.is_empty() {
            done = span.end;
        }
        let column = place.start.col();
        toks.0.push(Tok { kind, span, column, anchor, text: value, next: at + 1 });
    }
    Ok(toks)
}

/// The whole of a block scalar: from its header to in front of its last line break. The parser
/// gives `content`, from the first byte of the content, and how far that is indented; `done` is
/// behind the node in front.
fn block_scalar(text: &[u8], done: usize, content: Span, indent: Option<usize>) -> Option<Span> {
    let start = header(text, done)?;
    let indicators = header_text(&text[start..]);
    let keep = indicators.contains(&b'+');
    let indent = indent.unwrap_or(0);
    let first = start + indicators.len();
    let is_blank = |line: &[u8]| line.iter().all(|b| *b == b' ');

    let mut end = content.end.max(first);
    let Some((at_break, line)) = last_break(text, first, end) else {
        return Some(Span::new(start, end));
    };
    let rest = &text[line..end];
    if !is_blank(rest) || (end == text.len() && rest.len() > indent) {
        // The text ends without a line break.
        return Some(Span::new(start, end));
    }
    end = at_break;
    // Blank lines that do not belong to the value stay outside.
    let outside = |(_, line): &(usize, usize), end| {
        !keep && is_blank(&text[*line..end]) && end - line <= indent
    };
    while let Some((at_break, _)) = last_break(text, first, end).filter(|last| outside(last, end)) {
        end = at_break;
    }
    Some(Span::new(start, end))
}

/// The last line break in `text[start..end]`: where it begins and where it ends.
fn last_break(text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let at = start + text[start..end].iter().rposition(|b| matches!(b, b'\n' | b'\r'))?;
    let crlf = text[at] == b'\n' && at > start && text[at - 1] == b'\r';
    Some((at - usize::from(crlf), at + 1))
}

/// Where the header of the block scalar begins that is the next node behind `at`. In between
/// there are only indicators, properties, comments and directives.
fn header(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let skip_to: &[u8] = match text.get(at)? {
            b'|' | b'>' => return Some(at),
            b'#' | b'%' => b"\r\n",
            b'!' | b'&' => b" \t\r\n",
            _ => {
                at += 1;
                continue;
            }
        };
        at += text[at..].iter().position(|b| skip_to.contains(b))?;
    }
}

/// The indicators of a block scalar that begins with `source`.
pub(super) fn header_text(source: &[u8]) -> &[u8] {
    let is_indicator = |b: &u8| b"|>+-".contains(b) || b.is_ascii_digit();
    &source[..source.iter().take_while(|b| is_indicator(b)).count()]
}

/// The parser's own words may quote source text; these do not.
fn kind_of(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UnknownAnchor => "an alias of no anchor",
        ErrorKind::RecursionLimitExceeded => "nested too deeply",
        _ => "not valid YAML",
    }
}
