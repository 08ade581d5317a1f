//! The tokenizer: logical lines, their keys, and where their values stand.
//!
//! What must stay true: where a key or value ends depends on nothing within a value but the
//! backslashes that join it to its next line, and a value takes those with it.

use super::unescape;
use crate::format::{Context, FieldPath, ParseError, Site};
use crate::span::Span;

const ENDS: &[u8] = b"\r\n";

/// The sites of a whole text.
pub(super) fn scan(text: &[u8]) -> Result<Vec<Site>, ParseError> {
    let mut sites = Vec::new();
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while at < text.len() {
        at = skip_blanks(text, at, true);
        match text.get(at) {
            None => break,
            Some(b'\r' | b'\n') => at = behind_end(text, at),
            Some(b'#' | b'!') => {
                let end = natural_end(text, at);
                sites.extend(commented(&text[..end], at));
                at = end;
            }
            Some(_) => {
                let key = Span::new(at, key_end(text, at));
                let separator = skip_blanks(text, key.end, true);
                let start = match text.get(separator) {
                    Some(b'=' | b':') => skip_blanks(text, separator + 1, true),
                    _ => separator,
                };
                at = value_end(text, start, true);
                let bad = |at| ParseError::at(text, at, "a malformed \\uXXXX escape");
                let name = unescape(key.of(text)).ok_or_else(|| bad(key.start))?;
                unescape(&text[start..at]).ok_or_else(|| bad(start))?;
                // Where nothing parts a key from its value, no value can be put.
                if start > key.end {
                    sites.push(site(&name, Span::new(start, at), Context::ORDINARY));
                }
            }
        }
    }
    Ok(sites)
}

/// The value of the assignment in the comment at `at`; `text` ends with its line. Prose looks
/// like an assignment too, where a blank or a colon is enough: so a colon counts before a single
/// word, and a blank if the key has a dot.
fn commented(text: &[u8], at: usize) -> Option<Site> {
    let marks = |b: &&u8| matches!(**b, b'#' | b'!') || is_blank(**b);
    let start = at + text[at..].iter().take_while(marks).count();
    let is_key = |b: &&u8| b.is_ascii_alphanumeric() || b"_.-[]".contains(*b);
    let end = start + text[start..].iter().take_while(is_key).count();
    let key = &text[start..end];
    if !key.first()?.is_ascii_alphabetic() {
        return None;
    }
    let separator = skip_blanks(text, end, false);
    let behind = match text.get(separator) {
        Some(b'=' | b':') => separator + 1,
        Some(_) if separator > end => separator,
        _ => return None,
    };
    let value = Span::new(skip_blanks(text, behind, false), text.len());
    let words = value.of(text).split(|b| is_blank(*b)).filter(|word| !word.is_empty()).count();
    let is_assignment = match text[separator] {
        b'=' => true,
        b':' => words == 1 || (words > 0 && key.contains(&b'.')),
        _ => words == 1 && key.contains(&b'.'),
    };
    unescape(value.of(text)).filter(|_| is_assignment)?;
    Some(site(key, value, Context::COMMENT))
}

fn site(key: &[u8], span: Span, context: Context) -> Site {
    Site {
        span,
        path: FieldPath::root().key(key),
        context,
        column: 0,
        naming: false,
        also: Box::default(),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

/// Behind the blanks at `at`, and if `joined` behind the ends of lines that a backslash joins.
pub(super) fn skip_blanks(text: &[u8], mut at: usize, joined: bool) -> usize {
    loop {
        match (text.get(at), text.get(at + 1)) {
            (Some(byte), _) if is_blank(*byte) => at += 1,
            (Some(b'\\'), Some(b'\r' | b'\n')) if joined => at = behind_end(text, at + 1),
            _ => return at,
        }
    }
}

/// Behind the end of line at `at`.
pub(super) fn behind_end(text: &[u8], at: usize) -> usize {
    at + if text[at..].starts_with(b"\r\n") { 2 } else { 1 }
}

fn natural_end(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|b| !ENDS.contains(b)).count()
}

/// Where the key at `at` ends.
fn key_end(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' if text.get(at + 1).is_some_and(|b| ENDS.contains(b)) => {
                at = skip_blanks(text, at, true);
            }
            b'\\' => at += 2,
            b'=' | b':' | b'\r' | b'\n' => break,
            byte if is_blank(*byte) => break,
            _ => at += 1,
        }
    }
    at.min(text.len())
}

/// Where the value at `at` ends: with its line, or if `joined` with the last of the lines that a
/// backslash joins.
pub(super) fn value_end(text: &[u8], mut at: usize, joined: bool) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b'\r' | b'\n' => break,
            b'\\' if !joined && text.get(at + 1).is_some_and(|b| ENDS.contains(b)) => {
                return at + 1;
            }
            b'\\' => at = behind_escape(text, at),
            _ => at += 1,
        }
    }
    at.min(text.len())
}

/// Behind the backslash at `at` and what it escapes; of a joined line, behind its end.
fn behind_escape(text: &[u8], at: usize) -> usize {
    match text.get(at + 1) {
        Some(b'\r' | b'\n') => behind_end(text, at + 1),
        _ => at + 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{assert_linear, repeated};

    fn found(text: &str) -> Vec<(String, &str, u8)> {
        let shown = |path: &FieldPath| {
            String::from_utf8_lossy(path.segments()[0].key().unwrap()).into_owned()
        };
        scan(text.as_bytes())
            .unwrap()
            .iter()
            .map(|site| (shown(&site.path), &text[site.span.start..site.span.end], site.context.0))
            .collect()
    }

    #[test]
    fn every_separator_is_found() {
        let text = "a=1\nb:2\nc 3\nd \t = 4\r\ne\t:5\x0c\rf = = 6\n  g==7\n=8\nh\ni=\nj ";
        let wanted = [
            ("a", "1", 0),
            ("b", "2", 0),
            ("c", "3", 0),
            ("d", "4", 0),
            ("e", "5\x0c", 0),
            ("f", "= 6", 0),
            ("g", "=7", 0),
            ("", "8", 0),
            ("i", "", 0),
            ("j", "", 0),
        ];
        let wanted: Vec<_> = wanted.map(|(path, source, n)| (path.to_owned(), source, n)).into();
        assert_eq!(found(text), wanted);
    }

    #[test]
    fn lines_are_joined_by_an_odd_number_of_backslashes() {
        let text = "a = x \\\n   # y\\\\\\\r\n z\nb=C:\\\\\nc=1\nd \\\n  = \\\n  v\n\\\n# no=1\ne\\\n  f=2";
        let wanted = [
            ("a", "x \\\n   # y\\\\\\\r\n z", 0),
            ("b", "C:\\\\", 0),
            ("c", "1", 0),
            ("d", "v", 0),
            ("no", "1", 1),
            ("ef", "2", 0),
        ];
        let wanted: Vec<_> = wanted.map(|(path, source, n)| (path.to_owned(), source, n)).into();
        assert_eq!(found(text), wanted);
    }

    #[test]
    fn a_key_is_one_segment_without_its_escapes() {
        let text = "spring.datasource.password=x\na\\ b\\:c\\=d=y\n\\u0070w=z\n!k\\\n#k=1";
        let keys: Vec<_> = found(text).into_iter().map(|(key, _, _)| key).collect();
        assert_eq!(keys, ["spring.datasource.password", "a b:c=d", "pw", "k"]);
    }

    #[test]
    fn commented_out_assignments_are_found_and_prose_is_not() {
        for (text, value) in [
            ("#db.password=x y ", Some("x y ")),
            ("! password = \\u0041", Some("\\u0041")),
            ("## password: x", Some("x")),
            ("# db.password: x y", Some("x y")),
            ("# db.password x", Some("x")),
            ("#   username=\"x\" \\\n#no", Some("\"x\" \\")),
            ("# Password: see the manual", None),
            ("# secret things", None),
            ("# see db.password below", None),
            ("# password=", Some("")),
            ("# password:", None),
            ("# if x = y", None),
            ("# x=\\u12", None),
            ("#", None),
        ] {
            let found = found(text);
            assert_eq!(found.first().map(|site| site.1), value, "{text}");
        }
    }

    #[test]
    fn a_malformed_escape_is_refused_as_java_refuses_it() {
        for (text, line) in [("a=1\nb=C:\\users", 2), ("\\u12=a", 1), ("a=\\u00g0", 1)] {
            assert_eq!(scan(text.as_bytes()).unwrap_err().line, line, "{text}");
        }
    }

    #[test]
    fn a_hostile_text_takes_linear_time() {
        for piece in ["\\", "\\\n", "a\\\n", "# a.b=", "=", " ", "\\u0041", "a=\\\n \\\n", "\r"] {
            assert_linear(piece, |len| repeated(piece, len), |text| _ = scan(text.as_bytes()));
        }
    }
}
