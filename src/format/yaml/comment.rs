//! Commented-out assignments in YAML, line by line.
//!
//! A comment is read tolerantly: `key: value`, `- key: value`, `- value`, with prose around. What
//! would be the lines of one value (a block scalar, an open quote) is one value here too.
//!
//! What must stay true: whether and how a comment is read depends on nothing that lies inside
//! its own or other values' spans, or sealing one would hide it from the next scan. So a value
//! that begins with a quote and does not end with it takes the rest of its line, and columns
//! count only in lines that hold nothing but their comment.

mod line;

use self::line::{
    Line, closed, comment_at, extent, is_blank, is_element, is_header, key, next_line, own_line,
};
use super::events::{self, Kind, Tok};
use super::walk::{Level, Walk};
use crate::format::sibling::{Naming, Role};
use crate::format::{Context, FieldPath, Site};
use crate::span::Span;

/// How many comments within one comment are read (`# a: 1 # b: 2`). A bound, because each is
/// read to its end.
const NESTED: usize = 8;

/// How many dashes in front of a comment's text count.
const MOST_DASHES: usize = 8;

/// Appends the sites of the comments in `gap`, in which no node stands, and that of the last
/// one's line behind it. Returns where it ends.
pub(super) fn scan(text: &[u8], gap: Span, levels: &[Level], sites: &mut Vec<Site>) -> usize {
    let mut at = gap.start;
    while let Some(found) = memchr::memchr(b'#', &text[at..gap.end.max(at)]) {
        let start = at + found;
        if !text[..start].last().is_none_or(|b| b" \t\r\n".contains(b)) {
            at = start + 1;
            continue;
        }
        let mut scan = Scan { text, levels, sites };
        at = match own_line(text, start) {
            Some(column) => scan.run(start, column),
            None => {
                let line = Line::at(text, start, 0);
                let base = scan.beside();
                scan.entry(&line, &[], &base);
                line.end
            }
        };
    }
    at.max(gap.end)
}

/// Where a commented-out assignment would stand.
struct Base {
    /// The keys around it.
    keys: FieldPath,
    /// The list around it.
    list: FieldPath,
}

/// A comment line that holds what deeper ones below it say.
struct Open {
    column: usize,
    dash: bool,
    path: FieldPath,
}

/// What a line's comment is.
struct Entry {
    /// Where the deeper lines below it stand.
    opens: Vec<Open>,
    /// How many lines below it are part of its value.
    more: usize,
}

struct Scan<'s> {
    text: &'s [u8],
    levels: &'s [Level],
    sites: &'s mut Vec<Site>,
}

impl Scan<'_> {
    /// Reads the comment at `start` in `column` and those in the same column of the lines
    /// directly below. Returns where they end.
    fn run(&mut self, start: usize, column: usize) -> usize {
        let text = self.text;
        let mut lines = vec![Line::at(text, start, column)];
        while let Some(next) = next_line(text, lines[lines.len() - 1].end) {
            let front = text[next..].iter().take_while(|b| is_blank(**b)).count();
            if front != column || text.get(next + front) != Some(&b'#') {
                break;
            }
            lines.push(Line::at(text, next + front, column));
        }
        let mut open: Vec<Open> = Vec::new();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            at += 1;
            if line.is_blank() {
                continue;
            }
            let dash = self.dash(line.start, line.trimmed);
            open.retain(|open| open.column < line.column + usize::from(dash && !open.dash));
            let base = match open.last() {
                Some(open) => Base { keys: open.path.clone(), list: open.path.clone() },
                // A mark put in front of an indented line; one blank is none.
                None if column == 0 && line.column > 2 => self.around(line.column - 1),
                None => self.around(column),
            };
            let entry = self.entry(line, &lines[at..], &base);
            at += entry.more;
            open.extend(entry.opens);
        }
        lines[lines.len() - 1].end
    }

    /// Where an assignment stands that is commented out in `column`.
    fn around(&self, column: usize) -> Base {
        let Some(inner) = self.levels.iter().rposition(|level| {
            level.column <= column
                || matches!(level.kind, Kind::Map { flow: true } | Kind::Seq { flow: true })
        }) else {
            return Base { keys: FieldPath::root(), list: FieldPath::root() };
        };
        let level = &self.levels[inner];
        match level.kind {
            Kind::Seq { .. } => {
                // Dashes may stand in the column of the keys around them.
                let beside =
                    inner.checked_sub(1).map(|outer| &self.levels[outer]).filter(|outer| {
                        matches!(outer.kind, Kind::Map { .. }) && outer.column == level.column
                    });
                let keys = beside.map_or_else(|| level.path.element(), |map| map.path.clone());
                Base { keys, list: level.path.clone() }
            }
            _ => {
                let below = level.last.as_ref().unwrap_or(&level.path);
                let keys = if column > level.column { below } else { &level.path };
                Base { keys: keys.clone(), list: below.clone() }
            }
        }
    }

    /// Where an assignment stands that is commented out behind a node in its line.
    fn beside(&self) -> Base {
        let Some(level) = self.levels.last() else {
            return Base { keys: FieldPath::root(), list: FieldPath::root() };
        };
        let keys = match level.kind {
            Kind::Seq { .. } => level.path.element(),
            _ => level.path.clone(),
        };
        Base { keys, list: level.path.clone() }
    }

    /// Whether a dash stands at `at`.
    fn dash(&self, at: usize, end: usize) -> bool {
        self.text[at] == b'-' && (at + 1 == end || is_blank(self.text[at + 1]))
    }

    /// Appends the sites of a comment, in front of the lines `below`.
    fn entry(&mut self, line: &Line, below: &[Line], base: &Base) -> Entry {
        let text = self.text;
        let (mut at, end) = (line.start, line.trimmed);
        let mut entry = Entry { opens: Vec::new(), more: 0 };
        if at >= end {
            return entry;
        }
        let mut path = base.keys.clone();
        let mut dashes = 0;
        while dashes < MOST_DASHES && at < end && self.dash(at, end) {
            path = if dashes == 0 { base.list.element() } else { path.element() };
            let column = line.column + at - line.start;
            entry.opens.push(Open { column, dash: true, path: path.clone() });
            at += 1 + text[at + 1..end].iter().take_while(|b| is_blank(**b)).count();
            dashes += 1;
        }
        let column = line.column + at - line.start;
        let Some((key, value)) = key(&text[at..end]) else {
            if dashes > 0 && at < end && is_element(&text[at..end]) {
                self.value(at, end, &path, false, &[], base);
            }
            return entry;
        };
        let value = at + value;
        if value >= end || text[value] == b'#' || &text[value..end] == b"{" {
            let path = path.key(&key);
            entry.opens.push(Open { column, dash: false, path });
            if value < end && text[value] == b'#' {
                self.nested(value, end, base, NESTED);
            }
            return entry;
        }
        // The name of a list element, for the lines below it.
        let name = if dashes > 0 { self.name(&key, value, end) } else { None };
        if let (Some(name), Some(open)) = (&name, entry.opens.last_mut()) {
            open.path = path.key(name);
        }
        let deeper = below
            .iter()
            .take_while(|below| below.is_blank() || below.column > column)
            .enumerate()
            .filter(|(_, below)| !below.is_blank())
            .last()
            .map_or(0, |(at, _)| at + 1);
        entry.more =
            self.value(value, end, &path.key(&key), name.is_some(), &below[..deeper], base);
        entry
    }

    /// The name that `key` gives to the list element it begins.
    fn name(&self, key: &[u8], value: usize, end: usize) -> Option<Box<[u8]>> {
        let role = Role::of(key)?;
        let (span, _) = extent(self.text, value, end);
        let text = super::scalar::decode(span.of(self.text), Context::COMMENT)?;
        let mut naming = Naming::new();
        naming.see(role, Some(&text), ());
        naming.chosen().map(|()| text[..].into())
    }

    /// Appends the sites of the value at `at`, which may go on in the lines `deeper`, and of what
    /// is commented out behind it. Returns how many of those lines are part of it.
    fn value(
        &mut self,
        at: usize,
        end: usize,
        path: &FieldPath,
        naming: bool,
        deeper: &[Line],
        base: &Base,
    ) -> usize {
        let text = self.text;
        if let Some((sites, behind)) = collection(&text[at..end], at, path) {
            self.sites.extend(sites);
            if let Some(tail) = comment_at(text, behind, end) {
                self.nested(tail, end, base, NESTED);
            }
            return 0;
        }
        let (span, tail) = extent(text, at, end);
        let more = match text[at] {
            _ if span.end < end && tail.is_none() => 0,
            b'|' | b'>' if is_header(span.of(text)) => deeper.len(),
            b'"' | b'\'' if closed(text, at, end).is_none() => deeper.len(),
            b'[' | b'{' => deeper.len(),
            b'"' | b'\'' => 0,
            _ => deeper.iter().take_while(|line| !self.begins_entry(line)).count(),
        };
        let more = (0..more).rev().find(|n| !deeper[*n].is_blank()).map_or(0, |n| n + 1);
        let end_of_all = if more == 0 { span.end } else { deeper[more - 1].trimmed };
        self.sites.push(Site {
            span: Span::new(at, end_of_all),
            path: path.clone(),
            context: Context::COMMENT,
            column: 0,
            naming,
            also: Box::default(),
        });
        if let (0, Some(tail)) = (more, tail) {
            self.nested(tail, end, base, NESTED);
        }
        more
    }

    /// Whether a line says something of its own.
    fn begins_entry(&self, line: &Line) -> bool {
        !line.is_blank()
            && (self.dash(line.start, line.trimmed)
                || key(&self.text[line.start..line.trimmed]).is_some())
    }

    /// The comment behind a comment's value, whose mark stands at `at`.
    fn nested(&mut self, mut at: usize, end: usize, base: &Base, most: usize) {
        for _ in 0..most {
            let line = Line::at(&self.text[..end], at, 0);
            if line.is_blank() {
                return;
            }
            let Some((key, value)) = key(&self.text[line.start..end]) else { return };
            let value = line.start + value;
            if value >= end {
                return;
            }
            if self.text[value] == b'#' {
                at = value;
                continue;
            }
            let (span, tail) = extent(self.text, value, end);
            self.sites.push(Site {
                span,
                path: base.keys.key(&key),
                context: Context::COMMENT,
                column: 0,
                naming: false,
                also: Box::default(),
            });
            let Some(tail) = tail else { return };
            at = tail;
        }
    }
}

/// The sites of the flow collection that `text` is, under `path`, and where it ends; moved by
/// `shift`.
fn collection(text: &[u8], shift: usize, path: &FieldPath) -> Option<(Vec<Site>, usize)> {
    if !matches!(text.first(), Some(b'[' | b'{')) {
        return None;
    }
    let toks = events::parse(std::str::from_utf8(text).ok()?).ok()?;
    let first = toks.0.first()?;
    if !matches!(first.kind, Kind::Map { flow: true } | Kind::Seq { flow: true })
        || first.next != toks.0.len()
    {
        return None;
    }
    let end = toks.0.last().map(|tok: &Tok<'_>| tok.span.end)?;
    let mut sites = Walk::in_comment(text, &toks.0).run_under(path).ok()?;
    for site in &mut sites {
        site.span = site.span.shifted(shift);
    }
    Some((sites, end + shift))
}
