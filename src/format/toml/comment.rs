//! Commented-out assignments in TOML: each comment is read as the line it would be without its
//! `#`, at the place where it stands.
//!
//! What must stay true: whether and how a comment is read depends on nothing that lies inside
//! its own or other values' spans, or sealing one would hide it from the next scan. Every reading
//! below therefore takes a quoted string wherever it takes any value.

use toml_edit::{Document, Item, Key, Table};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::tree::{Place, PlaceKind, Tree, name_of, named};
use crate::format::{Context, Front, Site};
use crate::span::Span;

/// How many comments within one comment are read (`# a = 1 # b = 2`). A bound, because each is
/// parsed to its end.
const NESTED: usize = 8;

/// Appends the sites of all comments of `text`. `places` are in the order of the text.
pub(super) fn scan(text: &str, root: &Table, places: &[Place], sites: &mut Vec<Site>) {
    let top = Place { start: 0, kind: PlaceKind::Header, path: Front::ROOT };
    let mut stack = vec![&top];
    let mut places = places.iter().peekable();
    // The commented-out header that applies to the comment lines directly below it.
    let mut header: Option<Place> = None;
    let mut line_has_code = false;
    let mut line_has_comment = false;
    for token in Source::new(text).lex() {
        match token.kind() {
            TokenKind::Whitespace | TokenKind::Eof => continue,
            TokenKind::Newline => {
                if line_has_code || !line_has_comment {
                    header = None;
                }
                (line_has_code, line_has_comment) = (false, false);
                continue;
            }
            TokenKind::Comment => {
                line_has_comment = true;
                let line = Line { text, end: token.span().end() };
                let at = line.body(token.span().start());
                let own_line = !line_has_code && stack.len() == 1;
                match own_line.then(|| line.header(at, root)).flatten() {
                    Some(path) => {
                        header = Some(Place { start: at, kind: PlaceKind::Header, path });
                    }
                    None => {
                        let place = header.as_ref().filter(|_| own_line).unwrap_or_else(|| {
                            stack.last().expect("the first place is never popped")
                        });
                        line.assignments(at, place, sites);
                    }
                }
                continue;
            }
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                // The second bracket of `[[table]]` begins no place.
                if let Some(place) = places.next_if(|place| place.start == token.span().start()) {
                    if place.kind == PlaceKind::Header {
                        stack.clear();
                    }
                    stack.push(place);
                }
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket if stack.len() > 1 => {
                stack.pop();
            }
            _ => {}
        }
        line_has_code = true;
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
    fn header(&self, at: usize, root: &Table) -> Option<Front> {
        let body = self.text[at..self.end].strip_prefix('[')?;
        let close = Source::new(body)
            .lex()
            .find(|token| token.kind() == TokenKind::RightSquareBracket)?
            .span()
            .end();
        let (keys, tail) = (&body[..close - 1], &body[close..]);
        let (keys, tail, array) = match (keys.strip_prefix('['), tail.strip_prefix(']')) {
            (Some(keys), Some(tail)) => (keys, tail, true),
            (None, None) => (keys, tail, false),
            _ => return None,
        };
        if !matches!(tail.trim_start_matches([' ', '\t']).bytes().next(), None | Some(b'#')) {
            return None;
        }
        let keys = Key::parse(keys).ok()?;
        Some(header_path(root, &keys, array))
    }

    /// Appends the sites of the assignments in the body that starts at `at`.
    fn assignments(&self, mut at: usize, place: &Place, sites: &mut Vec<Site>) {
        for _ in 0..NESTED {
            let body = &self.text[at..self.end];
            let outline = outline(body);
            let found = elements(body, at, place)
                .or_else(|| entries(body, at, &place.path))
                .or_else(|| entries(&body[..outline.comma?], at, &place.path));
            match (found, outline.note) {
                (Some(found), Some(note)) => {
                    sites.extend(found);
                    at = self.body(at + note);
                }
                (Some(found), None) => return sites.extend(found),
                (None, _) => {
                    sites.extend(
                        outline.equals.and_then(|equals| rest(body, equals, at, &place.path)),
                    );
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
fn elements(body: &str, at: usize, place: &Place) -> Option<Vec<Site>> {
    const FRONT: &str = "_=[";
    if place.kind != PlaceKind::Array || body.is_empty() {
        return None;
    }
    let wrapped = format!("{FRONT}{body}\n]");
    let document = Document::parse(wrapped.as_str()).ok()?;
    let mut tree = Tree::new(Context::COMMENT, FRONT.len(), at);
    tree.elements(document.get("_")?.as_array()?, &place.path).ok()?;
    Some(tree.sites)
}

/// The body as `key = value`.
fn entries(body: &str, at: usize, path: &Front) -> Option<Vec<Site>> {
    if !body.contains('=') {
        return None;
    }
    let document = Document::parse(body).ok()?;
    let mut tree = Tree::new(Context::COMMENT, 0, at);
    tree.table(document.as_table(), path, None).ok()?;
    Some(tree.sites)
}

/// The body as `key = words that are no TOML value`.
fn rest(body: &str, equals: usize, at: usize, path: &Front) -> Option<Site> {
    let keys = Key::parse(body[..equals].trim_matches([' ', '\t'])).ok()?;
    let value = body[equals + 1..].trim_start_matches([' ', '\t']);
    let start = body.len() - value.len();
    let value = value.trim_end_matches([' ', '\t']);
    if value.is_empty() {
        return None;
    }
    Some(Site {
        span: Span::new(start, start + value.len()).shifted(at),
        path: keys.iter().fold(path.path(), |path, key| path.key(key.get())),
        context: Context::COMMENT,
        column: 0,
        naming: false,
        also: Box::default(),
    })
}

/// The path of a table with the header `keys`, in a document where some of them lead through
/// arrays of tables (whose last element is meant).
fn header_path(root: &Table, keys: &[Key], array: bool) -> Front {
    let mut path = Front::ROOT;
    let mut table = Some(root);
    for (n, key) in keys.iter().enumerate() {
        path = path.key(key.get()).into();
        let last = n + 1 == keys.len();
        table = match table.and_then(|table| table.get(key.get())) {
            Some(Item::Table(table)) => Some(table),
            Some(Item::ArrayOfTables(tables)) if !last => {
                let element = tables.get(tables.len().wrapping_sub(1));
                path = named(&path.element().into(), element.and_then(|table| name_of(table)));
                element
            }
            _ => None,
        };
    }
    if array { path.element().into() } else { path }
}
