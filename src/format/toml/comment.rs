//! Commented-out assignments in TOML: each comment is read as the line it would be without its
//! `#`, at the place where it stands.
//!
//! What must stay true: whether and how a comment is read depends on nothing that lies inside
//! its own or other values' spans, or sealing one would hide it from the next scan. Every reading
//! below therefore takes a quoted string wherever it takes any value.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::tables::Tables;
use super::tree::{Comment, Grammar, Tree, keys};
use crate::format::outline::Paths;
use crate::format::{Context, Front, Site};
use crate::span::Span;

/// How many comments within one comment are read (`# a = 1 # b = 2`). A bound, because each is
/// parsed to its end.
const NESTED: usize = 8;

/// Appends the sites of the comments of `text`, whose places have the paths `paths`.
pub(super) fn scan(
    text: &str,
    comments: &[Comment],
    tables: &Tables<'_>,
    paths: &mut Paths<'_>,
    sites: &mut Vec<Site>,
) {
    // The commented-out header that applies to the comment lines directly below it.
    let mut header: Option<Base> = None;
    for comment in comments {
        if comment.detached {
            header = None;
        }
        let line = Line { text, end: comment.span.end };
        let at = line.body(comment.span.start);
        let path = comment.own_line.then(|| line.header(at, tables, paths)).flatten();
        if path.is_some() {
            header = path.map(Base::Table);
            continue;
        }
        let around = paths.front(comment.place).clone();
        let around = if comment.in_list { Base::List(around) } else { Base::Table(around) };
        let base = header.as_ref().filter(|_| comment.own_line).unwrap_or(&around);
        line.assignments(at, base, sites);
    }
}

/// What a commented-out assignment stands in.
enum Base {
    Table(Front),
    List(Front),
}

impl Base {
    /// The path of its keys.
    fn keys(&self) -> Front {
        match self {
            Self::Table(table) => table.clone(),
            Self::List(list) => list.element().into(),
        }
    }
}

/// A comment, up to the end of its line.
struct Line<'t> {
    text: &'t str,
    end: usize,
}

/// What the lexer sees in the body of a comment.
struct Outline {
    /// Offset of the first `=`.
    equals: Option<usize>,
    /// Offset of a `,` with nothing but a further comment behind it.
    comma: Option<usize>,
    /// Offset of a further comment.
    note: Option<usize>,
}

impl Line<'_> {
    /// Where the comment that starts at `start` has its text: behind all markers and blanks.
    fn body(&self, start: usize) -> usize {
        self.end - self.text[start..self.end].trim_start_matches(['#', ' ', '\t']).len()
    }

    /// The path of the table whose header the body is.
    fn header(&self, at: usize, tables: &Tables<'_>, paths: &mut Paths<'_>) -> Option<Front> {
        let body = self.text[at..self.end].strip_prefix('[')?;
        let close = Source::new(body)
            .lex()
            .find(|token| token.kind() == TokenKind::RightSquareBracket)?
            .span()
            .end();
        let (inner, tail) = (&body[..close - 1], &body[close..]);
        let (inner, tail, array) = match (inner.strip_prefix('['), tail.strip_prefix(']')) {
            (Some(inner), Some(tail)) => (inner, tail, true),
            (None, None) => (inner, tail, false),
            _ => return None,
        };
        if !matches!(tail.trim_start_matches([' ', '\t']).bytes().next(), None | Some(b'#')) {
            return None;
        }
        let keys = keys(inner)?;
        let (place, known) = tables.nearest(&keys);
        let mut path = paths.front(place).clone();
        for key in &keys[known..] {
            path = path.key(key).into();
        }
        Some(if array { path.element().into() } else { path })
    }

    /// Appends the sites of the assignments in the body that starts at `at`.
    fn assignments(&self, mut at: usize, base: &Base, sites: &mut Vec<Site>) {
        let keys = base.keys();
        for _ in 0..NESTED {
            let body = &self.text[at..self.end];
            let outline = outline(body);
            let found = elements(body, at, base)
                .or_else(|| entries(body, at, &keys))
                .or_else(|| entries(&body[..outline.comma?], at, &keys));
            match (found, outline.note) {
                (Some(found), Some(note)) => {
                    sites.extend(found);
                    at = self.body(at + note);
                }
                (Some(found), None) => return sites.extend(found),
                (None, _) => {
                    sites.extend(outline.equals.and_then(|equals| rest(body, equals, at, &keys)));
                    return;
                }
            }
        }
    }
}

fn outline(body: &str) -> Outline {
    let mut outline = Outline { equals: None, comma: None, note: None };
    for token in Source::new(body).lex() {
        let start = token.span().start();
        match token.kind() {
            TokenKind::Whitespace | TokenKind::Newline | TokenKind::Eof => {}
            TokenKind::Comment => outline.note = Some(start),
            kind => {
                outline.comma = (kind == TokenKind::Comma).then_some(start);
                if kind == TokenKind::Equals {
                    outline.equals.get_or_insert(start);
                }
            }
        }
    }
    outline
}

/// The body as elements of the array it stands in.
fn elements(body: &str, at: usize, base: &Base) -> Option<Vec<Site>> {
    const FRONT: &str = "[";
    let Base::List(list) = base else { return None };
    if body.is_empty() {
        return None;
    }
    let wrapped = format!("{FRONT}{body}\n]");
    let tree = Tree::read(&wrapped, Grammar::Array, list.clone(), Context::COMMENT).ok()?;
    let moved = |site: &mut Site| {
        let Span { start, end } = site.span;
        site.span = Span::new(start - FRONT.len(), end - FRONT.len()).shifted(at);
    };
    let mut sites = tree.outline.into_sites();
    sites.iter_mut().for_each(moved);
    Some(sites)
}

/// The body as `key = value`.
fn entries(body: &str, at: usize, path: &Front) -> Option<Vec<Site>> {
    if !body.contains('=') {
        return None;
    }
    let tree = Tree::read(body, Grammar::Document, path.clone(), Context::COMMENT).ok()?;
    let mut sites = tree.outline.into_sites();
    sites.iter_mut().for_each(|site| site.span = site.span.shifted(at));
    Some(sites)
}

/// The body as `key = words that are no TOML value`.
fn rest(body: &str, equals: usize, at: usize, path: &Front) -> Option<Site> {
    let keys = keys(body[..equals].trim_matches([' ', '\t']))?;
    let value = body[equals + 1..].trim_start_matches([' ', '\t']);
    let start = body.len() - value.len();
    let value = value.trim_end_matches([' ', '\t']);
    if value.is_empty() {
        return None;
    }
    Some(Site {
        span: Span::new(start, start + value.len()).shifted(at),
        path: keys.iter().fold(path.path(), |path, key| path.key(key)),
        context: Context::COMMENT,
        column: 0,
        naming: false,
        also: Box::default(),
    })
}
