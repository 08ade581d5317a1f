//! A document: the events of `quick-xml`, held against what it does not check itself.

use memchr::memmem::Finder;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::{BytesDecl, Event};
use quick_xml::reader::Reader;

use super::attribute::{self, Attribute, is_blank, name_len};
use super::tree::{DEEPEST, Tree};
use super::{comment, scalar};
use crate::format::{ParseError, Site};
use crate::span::Span;

const BOM: &str = "\u{feff}";

/// The sites of `text`.
pub(super) fn scan(text: &[u8]) -> Result<Vec<Site>, ParseError> {
    let fail = |at: usize, kind| ParseError::at(text, at, kind);
    let source =
        std::str::from_utf8(text).map_err(|error| fail(error.valid_up_to(), "not UTF-8"))?;
    // The reader would leave a byte order mark out of its positions.
    let body = source.strip_prefix(BOM).unwrap_or(source);
    let start = source.len() - body.len();
    if let Some(at) = scalar::forbidden(body) {
        return Err(fail(start + at, "a character that XML does not allow"));
    }
    if body.starts_with(BOM) {
        return Err(fail(start, "a second byte order mark"));
    }
    let mut reader = Reader::from_str(body);
    reader.config_mut().check_comments = true;
    let mut walk = Walk {
        text,
        tree: Tree::new(text),
        attributes: Vec::new(),
        run: start,
        root: Root::Awaited,
        doctype: false,
        cdata_end: Finder::new("]]>"),
    };
    loop {
        let from = start + offset(reader.buffer_position());
        let event = reader
            .read_event()
            .map_err(|error| fail(start + offset(reader.error_position()), kind_of(&error)))?;
        let to = start + offset(reader.buffer_position());
        if let Event::Eof = event {
            return match (walk.root, walk.tree.is_inside()) {
                (Root::Seen, false) => Ok(walk.tree.into_sites()),
                (Root::Seen, true) => Err(fail(text.len(), "an element that does not end")),
                (Root::Awaited, _) => Err(fail(text.len(), "no element")),
            };
        }
        walk.event(&event, Span::new(from, to)).map_err(|(at, kind)| fail(at, kind))?;
    }
}

/// Positions are those of a text in memory.
fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[derive(Clone, Copy)]
enum Root {
    Awaited,
    Seen,
}

struct Walk<'t> {
    text: &'t [u8],
    tree: Tree<'t>,
    /// Of the tag that is read; kept for its room.
    attributes: Vec<Attribute>,
    /// Where the run of text begins that is read.
    run: usize,
    root: Root,
    doctype: bool,
    cdata_end: Finder<'static>,
}

/// Where and what.
type Wrong = (usize, &'static str);

impl Walk<'_> {
    /// `span` is the whole of the event, its delimiters included.
    fn event(&mut self, event: &Event<'_>, span: Span) -> Result<(), Wrong> {
        if let Event::Text(_) | Event::GeneralRef(_) | Event::CData(_) = event {
            return self.text(event, span);
        }
        self.tree.text(Span::new(self.run, span.start));
        self.run = span.end;
        match event {
            Event::Start(_) => self.start(span, false)?,
            Event::Empty(_) => self.start(span, true)?,
            // The reader has compared the names.
            Event::End(_) => self.tree.close(),
            Event::Comment(_) => {
                let inner = Span::new(span.start + "<!--".len(), span.end - "-->".len());
                comment::scan(self.text, inner, &mut self.tree);
            }
            Event::PI(content) => {
                self.tree.branch();
                if content.target().eq_ignore_ascii_case("xml") {
                    return Err((span.start, "an XML declaration that is not at the beginning"));
                }
            }
            Event::Decl(declaration) => {
                let first = self.text[..span.start].is_empty()
                    || self.text[..span.start] == *BOM.as_bytes();
                if !first {
                    return Err((span.start, "an XML declaration that is not at the beginning"));
                }
                check_encoding(declaration, self.text).map_err(|kind| (span.start, kind))?;
            }
            Event::DocType(_) => {
                if self.doctype || !matches!(self.root, Root::Awaited) {
                    return Err((span.start, "a document type that is not in its place"));
                }
                self.doctype = true;
                if has_internal_subset(span.of(self.text)) {
                    return Err((span.start, "declarations within the document type"));
                }
            }
            Event::Text(_) | Event::GeneralRef(_) | Event::CData(_) | Event::Eof => {}
        }
        Ok(())
    }

    /// Checks a piece of text. It becomes a value with what stands directly beside it.
    fn text(&mut self, event: &Event<'_>, span: Span) -> Result<(), Wrong> {
        let source = span.of(self.text);
        if !self.tree.is_inside() && !source.iter().all(|b| is_blank(*b)) {
            return Err((span.start, "text outside of the root element"));
        }
        match event {
            Event::GeneralRef(_) if scalar::reference(source).is_none() => {
                Err((span.start, "a reference that XML does not define"))
            }
            Event::Text(_) => match self.cdata_end.find(source) {
                Some(at) => Err((span.start + at, "the end of a CDATA section that did not begin")),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn start(&mut self, tag: Span, empty: bool) -> Result<(), Wrong> {
        if !self.tree.is_inside() && matches!(self.root, Root::Seen) {
            return Err((tag.start, "a second root element"));
        }
        if self.tree.depth() >= DEEPEST {
            return Err((tag.start, "nested too deeply"));
        }
        self.root = Root::Seen;
        let name = tag.start + 1;
        let end = tag.end - if empty { "/>".len() } else { ">".len() };
        let name = Span::new(name, name + name_len(&self.text[name..end]));
        if name.is_empty() {
            return Err((tag.start, "a tag without a name"));
        }
        self.attributes.clear();
        let read = attribute::read(self.text, name.end, end, &mut self.attributes);
        match read {
            Ok(at) if at == end => {}
            Ok(at) | Err(at) => return Err((at, "not an attribute")),
        }
        if let Some(repeated) = attribute::repeated(self.text, &self.attributes) {
            return Err((repeated.start, "an attribute that the element has already"));
        }
        for attribute in &self.attributes {
            let value = attribute.value.of(self.text);
            for at in memchr::memchr_iter(b'&', value) {
                if scalar::reference(&value[at..]).is_none() {
                    let kind = "a reference that XML does not define";
                    return Err((attribute.value.start + at, kind));
                }
            }
        }
        self.tree.open(name, &self.attributes, empty, tag.end);
        Ok(())
    }
}

/// What is not declared to be UTF-8 is read if it is ASCII, which most other encodings share.
fn check_encoding(declaration: &BytesDecl<'_>, text: &[u8]) -> Result<(), &'static str> {
    let name = match declaration.encoding() {
        None => return Ok(()),
        Some(Ok(name)) => name,
        Some(Err(_)) => return Err("not an XML declaration"),
    };
    if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8") {
        return Ok(());
    }
    let lower = name.to_ascii_lowercase();
    let shares_ascii = ["us-ascii", "ascii", "iso-8859-", "iso8859-", "latin", "windows-125"]
        .iter()
        .any(|family| lower.starts_with(family));
    match shares_ascii && text.is_ascii() {
        true => Ok(()),
        false => Err("an encoding other than UTF-8"),
    }
}

/// Whether a document type declares something itself.
fn has_internal_subset(doctype: &[u8]) -> bool {
    let mut quote = None;
    for b in doctype {
        match (quote, b) {
            (None, b'"' | b'\'') => quote = Some(b),
            (None, b'[') => return true,
            (Some(open), b) if open == b => quote = None,
            _ => {}
        }
    }
    false
}

/// The reader's own words quote names.
fn kind_of(error: &Error) -> &'static str {
    match error {
        Error::Syntax(SyntaxError::UnclosedComment) => "a comment that does not end",
        Error::Syntax(SyntaxError::UnclosedCData) => "a CDATA section that does not end",
        Error::Syntax(_) => "markup that does not end",
        Error::IllFormed(IllFormedError::MismatchedEndTag { .. }) => {
            "an end tag with another name than the start tag"
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => "an end tag without a start tag",
        Error::IllFormed(IllFormedError::DoubleHyphenInComment) => "two hyphens in a comment",
        Error::IllFormed(IllFormedError::UnclosedReference) => "an & that begins no reference",
        _ => "not valid XML",
    }
}
