//! The grammar inside a tag: names, and attributes with their quoted values.

use super::{Context, DOUBLE_QUOTED, DOUBLE_QUOTED_COMMENT, SINGLE_QUOTED, SINGLE_QUOTED_COMMENT};
use crate::span::Span;

/// An attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    /// Its name, prefix included.
    pub name: Span,
    /// Its value, without the quotes.
    pub value: Span,
    /// Whether the quotes are single ones.
    pub single: bool,
}

impl Attribute {
    /// The context of the value.
    pub(super) fn context(self, commented: bool) -> Context {
        match (self.single, commented) {
            (false, false) => DOUBLE_QUOTED,
            (true, false) => SINGLE_QUOTED,
            (false, true) => DOUBLE_QUOTED_COMMENT,
            (true, true) => SINGLE_QUOTED_COMMENT,
        }
    }
}

/// Appends the attributes that begin at `at`, directly behind a tag's name, to `attributes`, up to
/// what ends the tag or to `end`. Returns where they end; the error is where they go wrong.
pub(super) fn read(
    text: &[u8],
    mut at: usize,
    end: usize,
    attributes: &mut Vec<Attribute>,
) -> Result<usize, usize> {
    let text = &text[..end];
    loop {
        let name = skip_blank(text, at);
        if matches!(text.get(name), None | Some(b'>' | b'/')) {
            return Ok(name);
        }
        let len = name_len(&text[name..]);
        if len == 0 || name == at {
            return Err(name);
        }
        let equals = skip_blank(text, name + len);
        if text.get(equals) != Some(&b'=') {
            return Err(equals);
        }
        let open = skip_blank(text, equals + 1);
        let quote = match text.get(open) {
            Some(quote @ (b'"' | b'\'')) => *quote,
            _ => return Err(open),
        };
        let value = open + 1;
        let value_len = memchr::memchr2(quote, b'<', &text[value..]).ok_or(open)?;
        let close = value + value_len;
        if text[close] != quote {
            return Err(close);
        }
        attributes.push(Attribute {
            name: Span::new(name, name + len),
            value: Span::new(value, close),
            single: quote == b'\'',
        });
        at = close + 1;
    }
}

/// The first name among `attributes` that another has too. Takes no more than `n log n`.
pub(super) fn repeated(text: &[u8], attributes: &[Attribute]) -> Option<Span> {
    /// Up to here, looking at each pair is faster than sorting.
    const FEW: usize = 12;
    let name = |attribute: &Attribute| attribute.name.of(text);
    if attributes.len() <= FEW {
        let mut rest = attributes;
        while let [first, others @ ..] = rest {
            if others.iter().any(|other| name(other) == name(first)) {
                return Some(first.name);
            }
            rest = others;
        }
        return None;
    }
    let mut sorted: Vec<&Attribute> = attributes.iter().collect();
    sorted.sort_unstable_by_key(|attribute| name(attribute));
    sorted.windows(2).find(|two| name(two[0]) == name(two[1])).map(|two| two[0].name)
}

/// How long the name is that `text` begins with. Beyond ASCII every character is taken.
pub(super) fn name_len(text: &[u8]) -> usize {
    let starts = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b':') || !b.is_ascii();
    if !text.first().is_some_and(starts) {
        return 0;
    }
    let goes_on = |b: &u8| starts(b) || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    text.iter().position(|b| !goes_on(b)).unwrap_or(text.len())
}

/// The name without its prefix.
pub(super) fn local(name: &[u8]) -> &[u8] {
    name.iter().rposition(|b| *b == b':').map_or(name, |colon| &name[colon + 1..])
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

pub(super) fn skip_blank(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|b| is_blank(**b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_end_where_the_tag_does() {
        let text = b"<a b = 'x>' c:d=\"'\"\n/>";
        let mut found = Vec::new();
        assert_eq!(read(text, 2, text.len(), &mut found), Ok(20));
        let found: Vec<_> = found
            .iter()
            .map(|attribute| (attribute.name.of(text), attribute.value.of(text), attribute.single))
            .collect();
        assert_eq!(found, [(&b"b"[..], &b"x>"[..], true), (b"c:d", b"'", false)]);
    }

    #[test]
    fn what_is_no_attribute_is_refused_where_it_goes_wrong() {
        for (text, at) in [
            ("<a b>", 4),
            ("<a b=c>", 5),
            ("<a b='x'c='y'>", 8),
            ("<a b='<'>", 6),
            ("<a b='x>", 5),
            ("<a 1='x'>", 3),
            ("<a =''>", 3),
        ] {
            assert_eq!(read(text.as_bytes(), 2, text.len(), &mut Vec::new()), Err(at), "{text}");
        }
    }

    #[test]
    fn a_repeated_name_is_found_among_few_and_among_many() {
        for count in [2, 40] {
            let text: String = (0..count).map(|n| format!(" n{n}=''")).collect();
            for (text, repeats) in [(text.clone() + " n1=''", true), (text, false)] {
                let mut found = Vec::new();
                read(text.as_bytes(), 0, text.len(), &mut found).unwrap();
                assert_eq!(repeated(text.as_bytes(), &found).is_some(), repeats);
            }
        }
    }
}
