//! YAML scalars by themselves: what a source stands for, and how a value is spelled.

use std::borrow::Cow;

use super::events::{self, Kind, Tok};
use super::place;
use crate::format::Context;
use crate::secret::SecretBytes;

/// The value of `source` if that is one scalar and nothing else, in `context`.
pub(super) fn decode(source: &[u8], context: Context) -> Option<SecretBytes> {
    let text = std::str::from_utf8(source).ok()?;
    if context != Context::COMMENT {
        return scalar(text, place::indent(context));
    }
    if text.is_empty() || text.trim_matches([' ', '\t']).len() != text.len() {
        return None;
    }
    let lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.is_empty()).collect();
    let [first, more @ ..] = &lines[..] else { return None };
    // What is no scalar is a value all the same: it is spelled so.
    if more.is_empty() {
        return Some(scalar(text, 0).unwrap_or_else(|| source.into()));
    }
    if !more.iter().all(|line| line.trim_start_matches([' ', '\t']).starts_with('#')) {
        return None;
    }
    let mut plain = SecretBytes::from(first.as_bytes());
    for line in more {
        plain.extend(b"\n ");
        plain.extend(line.trim_start_matches([' ', '\t']).trim_start_matches('#').as_bytes());
    }
    let uncommented = std::str::from_utf8(&plain).ok()?;
    Some(scalar(uncommented, 0).unwrap_or_else(|| source.into()))
}

/// The value of a scalar in a block collection that is indented by `indent`, or in a flow
/// collection.
fn scalar(source: &str, indent: usize) -> Option<SecretBytes> {
    if source.starts_with(['|', '>']) {
        // What the document is may have its content in the first column.
        let front = if indent == 0 { "--- ".to_owned() } else { " ".repeat(indent) + "- " };
        // Its last line break is none of its source, and must not become a part of one that is.
        return between(&front, source, if source.ends_with('\r') { "\r" } else { "\n" });
    }
    // A blank, so that no `---` is taken for a marker. A lone `?` is a word in flow collections.
    between(" ", source, "").or_else(|| between("[", source, "]"))
}

/// The value of `source` if that is the one scalar of the text `front`, `source`, `behind`.
fn between(front: &str, source: &str, behind: &str) -> Option<SecretBytes> {
    let mut text = SecretBytes::with_capacity(front.len() + source.len() + behind.len());
    for part in [front, source, behind] {
        text.extend(part.as_bytes());
    }
    let mut toks = events::parse(std::str::from_utf8(&text).ok()?).ok()?;
    let ([tok] | [Tok { kind: Kind::Seq { .. }, .. }, tok, _]) = &mut toks.0[..] else {
        return None;
    };
    let whole = tok.span.start == front.len() && tok.span.end == front.len() + source.len();
    if !tok.is_scalar() || !whole || source.is_empty() {
        return None;
    }
    Some(match std::mem::take(&mut tok.text) {
        Cow::Borrowed(value) => value.as_bytes().into(),
        Cow::Owned(value) => value.into_bytes().into(),
    })
}

/// A spelling of `value` on one line, between double quotes.
pub(super) fn encode(value: &[u8]) -> Option<SecretBytes> {
    let value = std::str::from_utf8(value).ok()?;
    let mut out = SecretBytes::with_capacity(value.len() + 2);
    out.extend(b"\"");
    for c in value.chars() {
        match c {
            '"' => out.extend(b"\\\""),
            '\\' => out.extend(b"\\\\"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            c if is_bare(c) => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
            c if u32::from(c) <= 0xff => {
                out.extend(format!("\\x{:02x}", u32::from(c)).as_bytes());
            }
            c => out.extend(format!("\\u{:04x}", u32::from(c)).as_bytes()),
        }
    }
    out.extend(b"\"");
    Some(out)
}

/// Whether `c` stands for itself between quotes, whoever reads it: what YAML counts as printable,
/// but for what YAML 1.1 takes for a line break.
fn is_bare(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(source: &str, context: Context) -> Option<String> {
        decode(source.as_bytes(), context).map(|v| String::from_utf8(v.to_vec()).unwrap())
    }

    #[test]
    fn scalars_of_every_style_are_decoded() {
        for (source, value) in [
            ("plain text", "plain text"),
            ("two\n   lines\n\n more", "two lines\nmore"),
            ("--- x", "--- x"),
            ("'it''s'", "it's"),
            ("\"a\\x41\\u00e9\\\n  b\"", "aA\u{e9}b"),
            ("|\n  a\n   b", "a\n b\n"),
            ("|+ # note\n  a\n", "a\n\n"),
            (">-\r\n  a\r\n  b", "a b"),
            ("~", "~"),
            ("0x1f", "0x1f"),
        ] {
            assert_eq!(decoded(source, Context::ORDINARY).as_deref(), Some(value), "{source}");
        }
        for no in
            ["", " a", "a ", "a # b", "- a", "a: b", "*a", "&a b", "!!str b", "a\n---\nb", "\"a"]
        {
            assert_eq!(decoded(no, Context::ORDINARY), None, "{no}");
        }
    }

    #[test]
    fn an_explicit_indentation_counts_from_that_of_the_place() {
        let source = "|2\n     x";
        for (indent, value) in [(0, "   x\n"), (1, "  x\n"), (3, "x\n")] {
            let context = place::context(indent).unwrap();
            assert_eq!(decoded(source, context).as_deref(), Some(value));
        }
    }

    #[test]
    fn a_commented_out_value_is_what_it_would_be_without_the_marks() {
        for (source, value) in [
            ("'x'", "x"),
            ("it's", "it's"),
            ("[a, b", "[a, b"),
            ("|\n #   a\n #\n #   b", "a\n\nb\n"),
            ("a\n  #  b", "a b"),
        ] {
            assert_eq!(decoded(source, Context::COMMENT).as_deref(), Some(value), "{source}");
        }
        assert_eq!(decoded("a\nb", Context::COMMENT), None);
        assert_eq!(decoded("a ", Context::COMMENT), None);
    }

    #[test]
    fn what_is_encoded_stands_on_one_line_and_decodes() {
        let value = "a\"\\\n\r\t\0\u{7f}\u{85}\u{a0}\u{2028}\u{feff}\u{1f600}#: ";
        let source = encode(value.as_bytes()).unwrap();
        assert!(!source.contains(&b'\n'));
        assert_eq!(&decode(&source, Context::ORDINARY).unwrap()[..], value.as_bytes());
        assert!(encode(b"\xff").is_none());
    }
}
