//! The tokenizer: which lines assign, and where their values stand.
//!
//! What must stay true: where a value ends depends on nothing within another value, because
//! sealing replaces that. So a quote either closes on its own line, or it closes a value of
//! several lines cleanly, or the text is refused; nothing that a quote might have closed is
//! ever read a second way.

use crate::format::{Context, FieldPath, ParseError, Site};
use crate::span::Span;

/// Whether `byte` ends a line; `\r\n` counts as a line and an empty one.
pub(super) fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The sites of a whole text.
pub(super) fn scan(text: &[u8]) -> Result<Vec<Site>, ParseError> {
    let mut sites = Vec::new();
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while at < text.len() {
        let start = skip_blanks(text, at);
        at = match text.get(start) {
            Some(b) if !ends_line(*b) && *b != b'#' => {
                let Some(name) = name(text, start) else {
                    return Err(ParseError::at(text, start, "not of the form NAME=VALUE"));
                };
                let line = Line { end: line_end(text, name.behind), goes_on: true };
                let value = value(text, name.behind, line)
                    .map_err(|kind| ParseError::at(text, name.behind, kind))?;
                sites.push(site(text, &name, value, Context::ORDINARY));
                value.end
            }
            _ => start,
        };
        // What is left of the line is nothing or a comment.
        comment(&text[..line_end(text, at)], at, &mut sites);
        at = line_end(text, at) + 1;
    }
    Ok(sites)
}

/// Appends the sites of the assignments in a comment: `text` ends with its line. Nothing here may
/// look to the end of the line for each of them.
fn comment(text: &[u8], mut at: usize, sites: &mut Vec<Site>) {
    at = skip_blanks(text, at);
    while text.get(at) == Some(&b'#') {
        while text.get(at).is_some_and(|b| *b == b'#' || is_blank(*b)) {
            at += 1;
        }
        let Some(name) = name(text, at) else { return };
        let line = Line { end: text.len(), goes_on: false };
        let Ok(value) = value(text, name.behind, line) else { return };
        if !value.is_empty() {
            sites.push(site(text, &name, value, Context::COMMENT));
        }
        at = skip_blanks(text, value.end);
    }
}

fn site(text: &[u8], name: &Name, value: Span, context: Context) -> Site {
    Site {
        span: value,
        path: FieldPath::root().key(name.span.of(text)),
        context,
        column: 0,
        naming: false,
        also: Box::default(),
    }
}

struct Name {
    span: Span,
    /// Behind its `=`.
    behind: usize,
}

/// The `[export] NAME =` at `at`.
fn name(text: &[u8], at: usize) -> Option<Name> {
    let span = word(text, at)?;
    let next = skip_blanks(text, span.end);
    if text.get(next) == Some(&b'=') {
        return Some(Name { span, behind: next + 1 });
    }
    if span.of(text) != b"export" {
        return None;
    }
    let span = word(text, next)?;
    let equals = skip_blanks(text, span.end);
    (text.get(equals) == Some(&b'=')).then_some(Name { span, behind: equals + 1 })
}

fn word(text: &[u8], at: usize) -> Option<Span> {
    let first = text.get(at).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    let rest = |b: &&u8| b.is_ascii_alphanumeric() || matches!(**b, b'_' | b'.' | b'-');
    first.then(|| Span::new(at, at + text[at..].iter().take_while(rest).count()))
}

/// The line of a value.
#[derive(Clone, Copy)]
pub(super) struct Line {
    /// Where it ends.
    pub(super) end: usize,
    /// Whether a quote may close on a later one.
    pub(super) goes_on: bool,
}

/// The value that stands at `at`, right behind the `=`. Without a value, the empty span there: a
/// token is then not run into by a comment that follows.
pub(super) fn value(text: &[u8], at: usize, line: Line) -> Result<Span, &'static str> {
    let on_line = &text[..line.end];
    let start = skip_blanks(on_line, at);
    let rest = || Ok(Span::new(start, trimmed_end(text, start, line.end)));
    match on_line.get(start) {
        None => Ok(Span::new(at, at)),
        Some(b'#') if start > at => Ok(Span::new(at, at)),
        Some(b'"' | b'\'' | b'`') => match closing_quote(on_line, start) {
            Some(close) if is_clean(on_line, close + 1) => Ok(Span::new(start, close + 1)),
            // `"a"b` and `'it\'s'`: loaders differ on where it ends, so all of the line.
            Some(_) => rest(),
            // In a comment a quote that does not close on its line quotes nothing.
            None if !line.goes_on => rest(),
            None => match closing_quote(text, start) {
                None => Err("a quote that does not close"),
                Some(close) if is_clean(text, close + 1) => Ok(Span::new(start, close + 1)),
                Some(_) => Err("text behind a closing quote"),
            },
        },
        Some(_) => {
            let note = (start + 1..line.end).find(|n| text[*n] == b'#' && is_blank(text[n - 1]));
            Ok(Span::new(start, trimmed_end(text, start, note.unwrap_or(line.end))))
        }
    }
}

/// Where the quote at `start` closes. In double quotes a backslash keeps what follows from
/// closing.
pub(super) fn closing_quote(text: &[u8], start: usize) -> Option<usize> {
    let quote = *text.get(start)?;
    if !matches!(quote, b'"' | b'\'' | b'`') {
        return None;
    }
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            b'\\' if quote == b'"' => at += 2,
            byte if byte == quote => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// Whether nothing but a comment stands at `at`, and apart from what is in front: a bare token
/// there must end where it does.
fn is_clean(text: &[u8], at: usize) -> bool {
    let next = skip_blanks(text, at);
    match text.get(next) {
        None => true,
        Some(b'#') => next > at,
        Some(byte) => ends_line(*byte),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c)
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|b| is_blank(**b)).count()
}

fn line_end(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|b| !ends_line(**b)).count()
}

fn trimmed_end(text: &[u8], start: usize, end: usize) -> usize {
    end - text[start..end].iter().rev().take_while(|b| is_blank(**b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, &str, u8)> {
        let sites = scan(text.as_bytes()).unwrap();
        sites
            .iter()
            .map(|site| {
                (site.path.to_string(), &text[site.span.start..site.span.end], site.context.0)
            })
            .collect()
    }

    #[test]
    fn values_of_all_spellings_are_found() {
        let text = "\u{feff}A=1\r\nexport  B = 'x y' \n\tC=\"a\\\"b\nc\" # note\nD=`x`\nE=a b#c # d\n\
                    F=#x\nexport=5\nG.h-i=\"a\" b";
        let wanted = [
            ("A", "1", 0),
            ("B", "'x y'", 0),
            ("C", "\"a\\\"b\nc\"", 0),
            ("D", "`x`", 0),
            ("E", "a b#c", 0),
            ("F", "#x", 0),
            ("export", "5", 0),
            ("\"G.h-i\"", "\"a\" b", 0),
        ];
        let wanted: Vec<_> = wanted.map(|(path, source, n)| (path.to_owned(), source, n)).into();
        assert_eq!(found(text), wanted);
    }

    #[test]
    fn an_empty_value_is_a_place_behind_the_equals_sign() {
        for (text, at) in [("A=", 2), ("A=  ", 2), ("A = # c", 3), ("A=\r\nB=1", 2)] {
            let sites = scan(text.as_bytes()).unwrap();
            assert_eq!(sites[0].span, Span::new(at, at), "{text:?}");
        }
    }

    #[test]
    fn commented_out_assignments_are_found() {
        let samples = [
            ("#password=x", vec!["x"]),
            ("## export password = \"x\"  # note", vec!["\"x\""]),
            ("A=1 # password=x # B=y", vec!["x", "y"]),
            ("A='x' #password=it's me ", vec!["it's me"]),
            ("# password='x", vec!["'x"]),
            ("A= # password=x", vec!["x"]),
            ("# Note: see = docs", vec![]),
            ("# A=", vec![]),
            ("# just words", vec![]),
        ];
        for (text, wanted) in samples {
            let found: Vec<_> = found(text).into_iter().filter(|site| site.2 == 1).collect();
            let sources: Vec<_> = found.iter().map(|site| site.1).collect();
            assert_eq!(sources, wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_refused_with_its_place() {
        let samples =
            [("A=1\nB", 2), ("export A\n", 1), ("[s]\nA=1", 1), ("A='x\nB=1", 1), ("A='x\nB'y", 1)];
        for (text, line) in samples {
            assert_eq!(scan(text.as_bytes()).unwrap_err().line, line, "{text}");
        }
        assert!(scan(b"A=1\n\xff=2").is_err());
        assert!(scan(b"A=\xff\xfe").is_ok());
    }
}
