//! Lines: sections, keys with their values, comments with what is commented out in them.

use memchr::memmem;

use super::dialect::{Dialect, Open, Quoting, Values};
use super::key::{self, Key};
use super::spell::{COMMENTED_WORD, WORD};
use super::value::{self, Place};
use super::{assigned, words};
use crate::format::line::{BOM, is_blank, line_end, misplaced, skip_blanks, trimmed_end};
use crate::format::{Context, FieldPath, Front, ParseError, Site};
use crate::span::Span;

/// The sites of a whole text.
pub(super) fn scan(text: &[u8], dialect: &'static Dialect) -> Result<Vec<Site>, ParseError> {
    if let Some(at) = misplaced(text) {
        return Err(ParseError::at(text, at, "a control character within a line"));
    }
    let mut scanner =
        Scanner { text, dialect, section: None, level: None, carried: None, sites: Vec::new() };
    let mut at = if text.starts_with(BOM) { BOM.len() } else { 0 };
    while at < text.len() {
        at = scanner.line(at)?;
    }
    Ok(scanner.sites)
}

/// By how much further than its key a continuation line is indented when it is spelled anew.
const INDENT: usize = 4;

/// How many lines of comments are searched for the closing quote of a commented-out value.
const MOST_COMMENTED: usize = 64;

struct Scanner<'a> {
    text: &'a [u8],
    dialect: &'static Dialect,
    /// The path of the section, once there is one.
    section: Option<Front>,
    /// The indentation of the key above.
    level: Option<usize>,
    /// The path of the value above, if a reader might continue it on this line.
    carried: Option<FieldPath>,
    sites: Vec<Site>,
}

impl Scanner<'_> {
    /// Takes the line at `at`, or what is left of it. Returns where to go on.
    fn line(&mut self, at: usize) -> Result<usize, ParseError> {
        let start = skip_blanks(self.text, at);
        let carried = self.carried.take();
        match self.text.get(start) {
            None | Some(b'\n') => Ok(start + 1),
            Some(byte) if self.is_mark(*byte) => Ok(self.comment(start)),
            Some(b'[') => self.header(start),
            Some(b'!') if self.dialect.instructions => Ok(line_end(self.text, start) + 1),
            Some(_) => self.assignment(start, start - at, carried),
        }
    }

    /// PHP reads `#` as a part of the key, people as a comment.
    fn is_mark(&self, byte: u8) -> bool {
        byte == b'#' || self.dialect.marks.contains(&byte)
    }

    fn header(&mut self, at: usize) -> Result<usize, ParseError> {
        let Some(header) = key::header(self.text, at, self.dialect) else {
            return Err(ParseError::at(self.text, at, "no header of a section"));
        };
        self.section = Some(header.path.into());
        self.level = None;
        match self.dialect.inline_keys {
            true => Ok(header.end),
            false => self.behind(header.end),
        }
    }

    fn assignment(
        &mut self,
        at: usize,
        indent: usize,
        carried: Option<FieldPath>,
    ) -> Result<usize, ParseError> {
        let fail = |at, kind| Err(ParseError::at(self.text, at, kind));
        if self.section.is_none() && self.dialect.needs_section {
            return fail(at, "in front of the first section");
        }
        let goes_by_indent = matches!(self.dialect.values, Values::Any | Values::Indented);
        if goes_by_indent && self.level.is_some_and(|level| indent > level) {
            return fail(at, "indented further than the key above");
        }
        let Some(key) = key::find(self.text, at, self.dialect) else {
            return fail(at, "not of the form `key = value`");
        };
        self.level = Some(indent);
        let Some(behind) = key.behind else {
            if carried.is_some() {
                return fail(at, "a key without a value, or the rest of the value above");
            }
            return self.behind(key.span.end);
        };
        let place = Place {
            at: behind,
            end: line_end(self.text, behind),
            indent,
            nests: self.section.is_some(),
        };
        let found = match value::find(self.text, place, self.dialect.values) {
            Ok(found) => found,
            Err(kind) => return fail(behind, kind),
        };
        let path = key.path(self.text, self.path(), self.dialect);
        if key.is_list(self.text, self.dialect) {
            self.words(found.span, &path);
        } else {
            let mut site = self.site(found.span, path.clone(), Context::ORDINARY);
            if matches!(self.dialect.values, Values::Indented) {
                site.column = u16::try_from(indent + INDENT).unwrap_or(u16::MAX);
            }
            site.also = site.also.iter().cloned().chain(carried).collect();
            self.sites.push(site);
        }
        if matches!(self.dialect.values, Values::Any) && found.span.of(self.text).ends_with(b"\\") {
            self.carried = Some(path);
        }
        self.behind(found.span.end)
    }

    /// The path of the section.
    fn path(&self) -> &Front {
        self.section.as_ref().unwrap_or(&Front::ROOT)
    }

    fn site(&self, span: Span, path: FieldPath, context: Context) -> Site {
        let also = match self.dialect.values {
            Values::Any | Values::Indented | Values::Continued
                if matches!(context, Context::ORDINARY | Context::COMMENT) =>
            {
                assigned::paths(span.of(self.text), &path)
            }
            _ => Box::default(),
        };
        Site { span, path, context, column: 0, naming: false, also }
    }

    /// The words of a list, and the comments between them.
    fn words(&mut self, value: Span, path: &FieldPath) {
        for item in words::split(self.text, value) {
            match item {
                words::Item::Word(span) => {
                    let site = self.site(span, path.clone(), WORD);
                    self.sites.push(site);
                }
                words::Item::Comment(span) => _ = self.comment_on_line(span.start, span.end),
            }
        }
    }

    /// What is left of a line at `at`, behind a value or header: nothing or a comment.
    fn behind(&mut self, mut at: usize) -> Result<usize, ParseError> {
        loop {
            let next = skip_blanks(self.text, at);
            match self.text.get(next) {
                None | Some(b'\n') => return Ok(next + 1),
                Some(b';' | b'#') => return Ok(self.comment(next)),
                // git continues a value by a line that adds nothing to it.
                Some(b'\\') if self.text.get(next + 1).is_some_and(|b| is_end(*b)) => {
                    at = line_end(self.text, next) + 1;
                }
                Some(_) => return Err(ParseError::at(self.text, next, "text behind a value")),
            }
        }
    }

    /// The comment whose mark is at `at`, and the comments on the lines below that belong to its
    /// value. Returns where to go on.
    fn comment(&mut self, at: usize) -> usize {
        let end = line_end(self.text, at);
        let end = self.comment_on_line(at, end).unwrap_or(end);
        line_end(self.text, end) + 1
    }

    /// Takes the comment at `at` on the line that ends at `end`. Returns the end of a value that
    /// goes on below.
    fn comment_on_line(&mut self, mut at: usize, end: usize) -> Option<usize> {
        let line = &self.text[..end];
        while matches!(line.get(at), Some(b';' | b'#')) {
            while line.get(at).is_some_and(|b| matches!(b, b';' | b'#') || is_blank(*b)) {
                at += 1;
            }
            let key = key::in_comment(line, at, self.dialect)?;
            let place = Place { at: key.behind?, end, indent: 0, nests: false };
            let path = key.path(self.text, self.path(), self.dialect);
            let found = value::find(line, place, self.dialect.values);
            let span = found.unwrap_or_else(|_| value::rest_of_line(line, place)).span;
            if key.is_list(self.text, self.dialect) {
                self.commented_words(span, &path);
                return None;
            }
            let last = self.commented_below(&key, span, found.is_err());
            // `# Example:` is prose.
            if !span.is_empty() || last.is_some() || line[place.at - 1] == b'=' {
                let span = Span::new(span.start, last.unwrap_or(span.end));
                let site = self.site(span, path, Context::COMMENT);
                self.sites.push(site);
            }
            if last.is_some() {
                return last;
            }
            at = skip_blanks(line, span.end);
        }
        None
    }

    /// The words of a list that is commented out. Its lines are taken one by one: each names what
    /// it assigns to.
    fn commented_words(&mut self, value: Span, path: &FieldPath) {
        let source = value.of(self.text);
        let goes_on = source.ends_with(b"\\") && !source.ends_with(b"\\\\");
        let end = value.end - usize::from(goes_on);
        let value = Span::new(value.start, trimmed_end(self.text, value.start, end));
        for item in words::split(self.text, value) {
            if let words::Item::Word(span) = item {
                let site = self.site(span, path.clone(), COMMENTED_WORD);
                self.sites.push(site);
            }
        }
    }

    /// Where a commented-out value ends that goes on in the comments on the lines below its first
    /// line, `first`: up to a quote that did not close, behind a backslash, and where values go by
    /// their indentation, further inwards than its key.
    ///
    /// With a token in its place, none of the comments behind it is taken along.
    fn commented_below(&self, key: &Key, first: Span, is_open: bool) -> Option<usize> {
        let source = first.of(self.text);
        let quote = match self.dialect.values {
            Values::Any => value::open_quote(source),
            Values::Go if is_open => value::go_quote(source),
            Values::Quoted(Quoting { open: Open::Lines, .. }) if is_open => {
                let at = source.iter().position(|b| matches!(b, b'"' | b'\''));
                at.map(|at| &source[at..=at])
            }
            _ => None,
        };
        let closes = |line: &Span| {
            // Those that open and close on one line belong to another value.
            quote.is_some_and(|quote| memmem::find_iter(line.of(self.text), quote).count() % 2 == 1)
        };
        let most = if quote.is_some() { MOST_COMMENTED } else { 0 };
        let mut end = self.comments_behind(first.end).take(most).find(closes).map(|line| line.end);
        let mut goes_on = end.map_or(source, |end| &self.text[..end]).ends_with(b"\\");
        for line in self.comments_behind(end.unwrap_or(first.end)) {
            if !goes_on && !self.is_deeper(line, key) {
                break;
            }
            end = Some(line.end);
            goes_on = line.of(self.text).ends_with(b"\\");
        }
        end
    }

    fn comments_behind(&self, at: usize) -> CommentLines<'_> {
        CommentLines { text: self.text, at }
    }

    /// Whether the comment `line` continues a value whose key is in the comment above. A blank more
    /// is not enough: prose has one behind its mark.
    fn is_deeper(&self, line: Span, key: &Key) -> bool {
        let column = |at: usize| self.text[..at].iter().rev().take_while(|b| is_blank(**b)).count();
        matches!(self.dialect.values, Values::Any | Values::Indented)
            && !line.is_empty()
            && column(line.start) > column(key.span.start) + 1
            && key::in_comment(&self.text[..line.end], line.start, self.dialect).is_none()
    }
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The contents, without marks and the blanks around, of the lines behind `at`, as long as they
/// are comments.
struct CommentLines<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for CommentLines<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let next = line_end(self.text, self.at) + 1;
        if next >= self.text.len() {
            return None;
        }
        let mark = skip_blanks(self.text, next);
        let marks = self.text[mark..].iter().take_while(|b| matches!(b, b';' | b'#')).count();
        if marks == 0 {
            return None;
        }
        let end = line_end(self.text, mark);
        let start = skip_blanks(&self.text[..end], mark + marks);
        self.at = end;
        Some(Span::new(start, trimmed_end(self.text, start, end).max(start)))
    }
}
