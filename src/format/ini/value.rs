//! Where a value stands, and where it ends.
//!
//! Must stay true: with a bare token in the value's place, the same is found around it. So a value
//! reaches at least to the first blank in front of a comment, also where its reader ends it sooner
//! (`pass#word`): what stood behind may be a piece of the secret.

use super::dialect::Values;
use super::quoted;
use crate::format::line::{is_blank, line_end, skip_blanks, trimmed_end};
use crate::span::Span;

/// A value, found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// Its source. Where there is none, the place in which a token would stand.
    pub span: Span,
    /// How much of the source is the value for its reader.
    pub taken: usize,
}

impl Found {
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { span: Span::new(start, end), taken: end - start }
    }
}

/// Where a value is looked for.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Behind its separator.
    pub at: usize,
    /// Where the line ends on which that is.
    pub end: usize,
    /// By how many bytes its key is indented.
    pub indent: usize,
    /// Whether lines that are indented further may belong to it.
    pub nests: bool,
}

/// The value at `place`. Behind it stands nothing on its last line, or a comment.
pub(super) fn find(text: &[u8], place: Place, values: Values) -> Result<Found, &'static str> {
    match values {
        Values::Any => any(text, place),
        Values::Indented => indented(text, place),
        Values::Continued => Ok(continued(text, place)),
        Values::Quoted(quoting) => quoted::find(text, place.at, quoting),
        Values::Go => go(text, place),
    }
}

/// The rest of the line, whatever it is.
pub(super) fn rest_of_line(text: &[u8], Place { at, end, .. }: Place) -> Found {
    let start = skip_blanks(&text[..end], at);
    // In front of the line's end, be it CR LF.
    let start = if start == end { before_line_end(text, at, end) } else { start };
    Found::new(start, trimmed_end(text, start, end))
}

/// `end` without the carriage returns of the line's end.
fn before_line_end(text: &[u8], start: usize, end: usize) -> usize {
    end - text[start..end].iter().rev().take_while(|b| **b == b'\r').count()
}

fn any(text: &[u8], place: Place) -> Result<Found, &'static str> {
    let mut found = rest_of_line(text, place);
    let mut line = place.end;
    if let Some(quote) = open_quote(found.span.of(text)) {
        let close = quote_close(text, line, quote)?;
        line = line_end(text, close);
        if skip_blanks(&text[..line], close) < line {
            return Err("text behind a quote that closes on a later line");
        }
        found = Found::new(found.span.start, close);
    }
    Ok(if place.nests { with_deeper(text, found, line, place.indent) } else { found })
}

/// The quote in front of `source`, if readers might look for its end on the lines below.
pub(super) fn open_quote(source: &[u8]) -> Option<&[u8]> {
    if is_closed(source) {
        return None;
    }
    Some(go_quote(source).unwrap_or(&source[..1]))
}

/// Whether a quote in front closes on the line, for readers with escapes or for those without.
/// Where it does not, a reader may go on behind the line.
fn is_closed(source: &[u8]) -> bool {
    let Some(quote @ (b'"' | b'\'' | b'`')) = source.first().copied() else { return true };
    let (mut all, mut unescaped, mut escaped) = (0_usize, 0_usize, false);
    for byte in source {
        all += usize::from(*byte == quote);
        unescaped += usize::from(*byte == quote && !escaped);
        escaped = *byte == b'\\' && !escaped;
    }
    all.is_multiple_of(2) || unescaped.is_multiple_of(2)
}

fn indented(text: &[u8], place: Place) -> Result<Found, &'static str> {
    let found = with_deeper(text, rest_of_line(text, place), place.end, place.indent);
    let source = found.span.of(text);
    match source.contains(&b'\n') || is_closed(source) {
        true => Ok(found),
        false => Err("a quote that does not close on its line"),
    }
}

/// `first`, whose last line ends at `line`, with the lines below that are indented by more than
/// `indent`, and the comments and blank lines between them.
fn with_deeper(text: &[u8], first: Found, line: usize, indent: usize) -> Found {
    let mut end = first.span.end;
    let mut next = line + 1;
    while next < text.len() {
        let start = skip_blanks(text, next);
        let line = line_end(text, next);
        match text.get(start) {
            Some(b'\n' | b'#' | b';') | None => {}
            Some(_) if start - next > indent => end = trimmed_end(text, start, line),
            Some(_) => break,
        }
        next = line + 1;
    }
    Found::new(first.span.start, end)
}

/// With the lines that follow a `\`, and the comments between them.
fn continued(text: &[u8], place: Place) -> Found {
    let first = rest_of_line(text, place);
    let mut end = first.span.end;
    let mut line = Span::new(place.at, place.end);
    let mut goes_on = ends_in_escape(text, line);
    while goes_on && line.end < text.len() {
        let next = line.end + 1;
        line = Span::new(next, line_end(text, next));
        let start = skip_blanks(text, next);
        match text.get(start) {
            Some(b'#' | b';') => continue,
            Some(b'\n') | None => break,
            Some(_) => end = trimmed_end(text, start, line.end),
        }
        goes_on = ends_in_escape(text, line);
    }
    Found::new(first.span.start, end)
}

/// Whether the line ends in a backslash that none in front of it escapes.
fn ends_in_escape(text: &[u8], line: Span) -> bool {
    let end = before_line_end(text, line.start, line.end);
    text[line.start..end].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1
}

fn go(text: &[u8], place: Place) -> Result<Found, &'static str> {
    let whole = rest_of_line(text, place);
    let Span { start, end } = whole.span;
    let source = whole.span.of(text);
    if let Some(quote) = go_quote(source) {
        let inner = start + quote.len();
        let close = match memchr::memmem::rfind(&text[inner..end], quote) {
            Some(len) => inner + len + quote.len(),
            None => quote_close(text, end, quote)?,
        };
        let end = line_end(text, close);
        // What follows is no part of the value, but a part of the secret for all that is known.
        let behind = skip_blanks(&text[..end], close);
        let is_comment = behind > close && behind < end && matches!(text[behind], b'#' | b';');
        let last = trimmed_end(text, close, end);
        // Without quotes in front, a backslash at the end continues the line.
        let is_clean = behind == end || (is_comment && text[last - 1] != b'\\');
        let stop = if is_clean { close } else { last };
        return Ok(Found { span: Span::new(start, stop), taken: close - start });
    }
    if source.last() == Some(&b'\\') {
        return Ok(Found::new(start, go_continued(text, end)));
    }
    let found = up_to_comment(text, place.at, whole.span, b"#;");
    // go-ini takes such a quote as it is, but who else reads the file?
    match is_closed(found.span.of(text)) {
        true => Ok(found),
        false => Err("a quote that does not close on its line"),
    }
}

/// The quote in front of a value, if it may close on a later line.
pub(super) fn go_quote(source: &[u8]) -> Option<&'static [u8]> {
    match source {
        [b'"', b'"', b'"', ..] => Some(b"\"\"\""),
        [b'`', ..] => Some(b"`"),
        _ => None,
    }
}

/// Behind the last `quote` on the first line behind `at` that has one.
fn quote_close(text: &[u8], at: usize, quote: &[u8]) -> Result<usize, &'static str> {
    let first = memchr::memmem::find(&text[at..], quote).ok_or("a quote that does not close")?;
    let line = line_end(text, at + first);
    let last = memchr::memmem::rfind(&text[at + first..line], quote).unwrap_or(0);
    Ok(at + first + last + quote.len())
}

/// Where the lines end that follow one with a `\` at `end`.
fn go_continued(text: &[u8], mut end: usize) -> usize {
    loop {
        let next = line_end(text, end) + 1;
        if next >= text.len() {
            return end;
        }
        let line = line_end(text, next);
        let start = skip_blanks(&text[..line], next);
        if start == line {
            return end;
        }
        end = trimmed_end(text, start, line);
        if text[end - 1] != b'\\' {
            return end;
        }
    }
}

/// The source `whole`, behind a separator at `at`, without the comment that a blank and one of
/// `marks` begin, behind a quoted front. Its reader takes it up to the first of `marks`.
fn up_to_comment(text: &[u8], at: usize, whole: Span, marks: &[u8]) -> Found {
    let Span { start, end } = whole;
    let is_mark = |at: &usize| marks.contains(&text[*at]);
    let Some(cut) = (start..end).find(is_mark) else { return Found::new(start, end) };
    let quote = text.get(start).filter(|b| matches!(b, b'"' | b'\''));
    let close = quote.and_then(|quote| memchr::memchr(*quote, &text[start + 1..end]));
    let quoted_end = close.map_or(start, |len| start + 1 + len);
    let spaced = |now: &usize| *now > at && is_blank(text[now - 1]);
    let comment = (cut.max(quoted_end)..end).filter(is_mark).find(spaced);
    match comment {
        // A token right behind the separator keeps the blank in front of the comment.
        Some(comment) if comment == start => Found::new(at, at),
        _ => {
            let end = comment.map_or(end, |comment| trimmed_end(text, start, comment));
            let taken = trimmed_end(text, start, cut.min(end)) - start;
            Found { span: Span::new(start, end), taken }
        }
    }
}
