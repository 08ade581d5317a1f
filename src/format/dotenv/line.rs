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
            Some(b';') => start,
            Some(b) if !ends_line(*b) && *b != b'#' => {
                if let Some(name) = name(text, start, is_inner) {
                    let line = Line { end: line_end(text, name.behind), goes_on: true };
                    let value = value(text, name.behind, line)
                        .map_err(|kind| ParseError::at(text, name.behind, kind))?;
                    // Behind a colon, what is put without a blank in front is no value.
                    if !(name.colon && value.is_empty()) {
                        sites.push(site(text, &name, value, Context::ORDINARY));
                    }
                    value.end
                } else if let Some(end) = lone_name(text, start) {
                    end
                } else {
                    return Err(ParseError::at(text, start, "not of the form NAME=VALUE"));
                }
            }
            _ => start,
        };
        // What is left of the line is nothing or a comment.
        at = comment(text, at, &mut sites);
        at = line_end(text, at) + 1;
    }
    Ok(sites)
}

/// Appends the sites of the assignments in the comment at `at`, if there is one; returns where to
/// go on: on its line, or on the last of those that a commented-out value takes.
fn comment(text: &[u8], mut at: usize, sites: &mut Vec<Site>) -> usize {
    let end = line_end(text, at);
    at = skip_blanks(text, at);
    while matches!(text.get(at), Some(b'#' | b';')) {
        let on_line = &text[..end];
        let Some(name) = commented_name(on_line, at) else { return end };
        let line = Line { end, goes_on: false };
        let Ok(mut value) = value(on_line, name.behind, line) else { return end };
        if !is_assigned(on_line, &name, value) {
            return end;
        }
        if let Some(close) = closing_in_comment(text, value.start) {
            value.end = quoted_end(text, close);
        }
        sites.push(site(text, &name, value, Context::COMMENT));
        at = skip_blanks(text, value.end);
        if value.end > end {
            return comment(text, at, sites);
        }
    }
    end
}

/// The name that is assigned to behind the `#` at `at`.
fn commented_name(on_line: &[u8], at: usize) -> Option<Name> {
    let marks = |b: &&u8| matches!(**b, b'#' | b';') || is_blank(**b);
    let at = at + on_line[at..].iter().take_while(marks).count();
    name(on_line, at, is_first)
}

/// Whether what stands in a comment is an assignment. A colon is one of prose unless a single word
/// follows; `=` alone is the end of some Base64.
fn is_assigned(on_line: &[u8], name: &Name, value: Span) -> bool {
    let source = value.of(on_line);
    let quoted = closing_quote(source, 0).is_some_and(|close| close + 1 == source.len());
    let one_word = quoted || !source.iter().any(|b| is_blank(*b));
    !source.iter().all(|b| *b == b'=') && (!name.colon || one_word)
}

/// Where the quote at `start` in a comment closes, if it does so cleanly on a later line of the
/// same comment. None of the lines on the way is an assignment itself: whether one is does not
/// change when its neighbours are sealed, so neither does what is found here.
pub(super) fn closing_in_comment(text: &[u8], start: usize) -> Option<usize> {
    let quote = *text.get(start).filter(|b| is_quote(**b))?;
    let mut end = line_end(text, start);
    let mut at = start + 1;
    loop {
        let part = &text[..end];
        while let Some(byte) = part.get(at) {
            match byte {
                b'\\' if quote == b'"' => at += 2,
                byte if *byte == quote => {
                    let first = end == line_end(text, start);
                    return (!first && is_clean(part, at + 1)).then_some(at);
                }
                _ => at += 1,
            }
        }
        if end == text.len() {
            return None;
        }
        let next = end + if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        let mark = skip_blanks(text, next);
        if text.get(mark) != Some(&b'#') {
            return None;
        }
        end = line_end(text, mark);
        if let Some(name) = commented_name(&text[..end], mark) {
            let line = Line { end, goes_on: false };
            let value = value(&text[..end], name.behind, line).ok()?;
            if is_assigned(&text[..end], &name, value) {
                return None;
            }
        }
        at = mark + 1;
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
    /// Behind its `=` or `:`.
    behind: usize,
    colon: bool,
}

/// The `[export] NAME =` or `NAME: ` at `at`.
fn name(text: &[u8], at: usize, first: fn(u8) -> bool) -> Option<Name> {
    let assigned = |span: Span| {
        let next = skip_blanks(text, span.end);
        let colon = text.get(span.end) == Some(&b':')
            && text.get(span.end + 1).is_none_or(|b| is_blank(*b) || ends_line(*b));
        match colon {
            true => Some(Name { span, behind: span.end + 1, colon }),
            false if text.get(next) == Some(&b'=') => Some(Name { span, behind: next + 1, colon }),
            false => None,
        }
    };
    let span = word(text, at, first)?;
    assigned(span).or_else(|| {
        let next = skip_blanks(text, span.end);
        (span.of(text) == b"export").then(|| word(text, next, first)).flatten().and_then(assigned)
    })
}

/// The end of a line that is a name alone: a variable that is handed on, or set to nothing. It
/// must not be a line of some other text, a key in Base64 say, so it looks like a variable.
fn lone_name(text: &[u8], at: usize) -> Option<usize> {
    let mut span = word(text, at, is_first)?;
    if span.of(text) == b"export" {
        span = word(text, skip_blanks(text, span.end), is_first)?;
    }
    let name = span.of(text);
    let upper = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
    let is_variable = name.iter().all(upper)
        && name.len() <= 64
        && (name.contains(&b'_') || !name.iter().any(u8::is_ascii_digit));
    (is_variable && is_clean(text, span.end)).then_some(span.end)
}

fn is_first(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_inner(byte: u8) -> bool {
    is_first(byte) || byte.is_ascii_digit() || byte == b'.'
}

fn word(text: &[u8], at: usize, first: fn(u8) -> bool) -> Option<Span> {
    let begins = text.get(at).is_some_and(|b| first(*b));
    let rest = |b: &&u8| is_inner(**b) || **b == b'-';
    begins.then(|| Span::new(at, at + text[at..].iter().take_while(rest).count()))
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
    let rest = |end: usize| {
        let goes_on = line.goes_on && text.get(end).is_some_and(|b| ends_line(*b));
        let backslashes = text[start..end].iter().rev().take_while(|b| **b == b'\\').count();
        match goes_on && backslashes % 2 == 1 {
            true => Err("a backslash at the end of a line, which joins lines for some"),
            false => Ok(Span::new(start, trimmed_end(text, start, end))),
        }
    };
    let quoted = |close: usize| match quoted_end(text, close) {
        end if end == close + 1 => Ok(Span::new(start, end)),
        _ => rest(line_end(text, close)),
    };
    let Some(first) = on_line.get(start) else { return Ok(Span::new(at, at)) };
    if !is_quote(*first) {
        let end = note(on_line, start, start == at).unwrap_or(line.end);
        return if end == start { Ok(Span::new(at, at)) } else { rest(end) };
    }
    // To some a backslash in front of any quote keeps it from closing, if another one can: one that
    // any value below may be spelled with. So that is refused whether there is one now or not.
    let escaped = |close: usize| text[close - 1] == b'\\' && close > start + 1;
    match closing_quote(on_line, start) {
        Some(close) if escaped(close) || !is_clean(on_line, close + 1) => {
            let open = loosely_closed(on_line, start).is_none();
            if open && line.goes_on {
                return Err("a backslash before a closing quote");
            }
            if open && is_clean(on_line, close + 1) {
                return quoted(close);
            }
            // `"a"b` and `'it\'s'`: loaders differ on where it ends, so all of the line.
            rest(line.end)
        }
        Some(close) => quoted(close),
        // In a comment a quote that does not close on its line quotes nothing.
        None if !line.goes_on => rest(line.end),
        None => match closing_quote(text, start) {
            None => Err("a quote that does not close"),
            Some(close) if escaped(close) => Err("a backslash before a closing quote"),
            Some(close) if is_clean(text, close + 1) => quoted(close),
            Some(_) => Err("text behind a closing quote"),
        },
    }
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// Where a note begins behind the value without quotes at `start`, or there, unless that is `close`
/// to the `=`. To Docker and systemd it is a part of the value; one word with a `#` in front is
/// taken for that.
fn note(on_line: &[u8], start: usize, close: bool) -> Option<usize> {
    (start + usize::from(close)..on_line.len())
        .find(|n| on_line[*n] == b'#' && is_blank(on_line[*n - 1]))
        .filter(|at| !is_word(on_line, *at))
}

/// Whether one word with a `#` in front is all that stands at `at`.
fn is_word(on_line: &[u8], at: usize) -> bool {
    let Some(b'#') = on_line.get(at) else { return false };
    let words = &on_line[at + 1..trimmed_end(on_line, at, on_line.len())];
    !words.is_empty() && !words.iter().any(|b| is_blank(*b) || b"#=:".contains(b))
}

/// Where the value ends whose quote closes at `close`: there, or behind one word with a `#` in
/// front, which is as much a part of it as behind a value without quotes.
pub(super) fn quoted_end(text: &[u8], close: usize) -> usize {
    let line = &text[..line_end(text, close)];
    let next = skip_blanks(line, close + 1);
    match next > close + 1 && is_word(line, next) {
        true => trimmed_end(line, next, line.len()),
        false => close + 1,
    }
}

/// Where the quote at `start` closes to a loader that takes any quote behind a backslash for
/// escaped.
pub(super) fn loosely_closed(text: &[u8], start: usize) -> Option<usize> {
    if !is_quote(*text.get(start)?) {
        return None;
    }
    (start + 1..text.len()).find(|at| text[*at] == text[start] && text[*at - 1] != b'\\')
}

/// Where the quote at `start` closes. In double quotes a backslash keeps what follows from
/// closing.
pub(super) fn closing_quote(text: &[u8], start: usize) -> Option<usize> {
    let quote = *text.get(start).filter(|b| is_quote(**b))?;
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
    use crate::linear::{assert_linear, repeated};

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
    fn one_word_of_a_note_belongs_to_a_value_with_quotes_or_without() {
        for (text, source) in [
            ("A='x' #y \nB=1", "'x' #y"),
            ("A=x #y\nB=1", "x #y"),
            ("A='' #'", "'' #'"),
            ("A=\"x\ny\" #z\r\n", "\"x\ny\" #z"),
            ("# A='x' #y", "'x' #y"),
            ("# A='x\n# y' #z\n", "'x\n# y' #z"),
            ("A='x' # y", "'x'"),
            ("A='x' #y z", "'x'"),
            ("A='x' #B=y", "'x'"),
        ] {
            assert_eq!(found(text)[0].1, source, "{text:?}");
        }
        assert!(scan(b"A='x' #y\\\nB=1").is_err());
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
            ("; password=x", vec!["x"]),
            ("# password: x", vec!["x"]),
            ("# password: 'x y'", vec!["'x y'"]),
            ("# Password: as you like", vec![]),
            ("# A='x\n#  y\n # z==\n#' # B=1\n#C=2", vec!["'x\n#  y\n # z==\n#'", "1", "2"]),
            ("# A='x\n# B=y'", vec!["'x", "y'"]),
            ("# A='x\n# it's\n# y'", vec!["'x"]),
            ("# A='x\nB=y'", vec!["'x"]),
        ];
        for (text, wanted) in samples {
            let found: Vec<_> = found(text).into_iter().filter(|site| site.2 == 1).collect();
            let sources: Vec<_> = found.iter().map(|site| site.1).collect();
            assert_eq!(sources, wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_refused_with_its_place() {
        let samples = [
            ("A=1\nb", 2),
            ("A=1\nAKIA234567", 2),
            ("[s]\nA=1", 1),
            ("A='x\nB=1", 1),
            ("A='x\nB'y", 1),
            ("A:b\n", 1),
            // Joined with the next line by some.
            ("A=x\\\nB=1", 1),
            // Closed to some; to others the next quote of its kind does that, or none.
            ("A='x\\'\nB='y'", 1),
            ("A=\"x\\\\\"\nB=\"y\"", 1),
            ("A='x\ny\\'\nB='z'", 1),
            ("A=1\nDIR='C:\\x\\' # c\nB=1", 2),
            ("A=1\nDIR=\"C:\\\\\"", 2),
            ("A='x\ny\\'\nB=z", 1),
        ];
        for (text, line) in samples {
            assert_eq!(scan(text.as_bytes()).unwrap_err().line, line, "{text}");
        }
        assert!(scan(b"A=1\n\xff=2").is_err());
    }

    #[test]
    fn what_only_some_loaders_take_is_taken_too() {
        let text = "A: x y # z\nB:\nC: \n1D=2\nTERM\nexport LANG_1 # c\nE=x #y\nF='x\\' # y'\n\
                    G=x\\\\\nDIR='C:\\x\\ ' # c\nH=x\\";
        let wanted = [
            ("A", "x y", 0),
            ("1D", "2", 0),
            ("E", "x #y", 0),
            ("F", "'x\\' # y'", 0),
            ("G", "x\\\\", 0),
            ("DIR", "'C:\\x\\ '", 0),
            ("H", "x\\", 0),
        ];
        let wanted: Vec<_> = wanted.map(|(path, source, n)| (path.to_owned(), source, n)).into();
        assert_eq!(found(text), wanted);
    }

    #[test]
    fn a_hostile_text_takes_linear_time() {
        for piece in ["# A='\n", "# A='x\n# '\n", "A='\\'\n", "#", "# b\n", "A= #", "A\n", "A='x' "]
        {
            for front in ["", "# A='", "A='"] {
                let text = |len| front.to_owned() + &repeated(piece, len);
                assert_linear(piece, text, |text| _ = scan(text.as_bytes()));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_may_stand_in_values() {
        assert!(scan(b"A=\xff\xfe").is_ok());
    }
}
