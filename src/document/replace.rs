//! One field of a view given another value, spelled for its place.

use super::{Sealing, shape};
use crate::format::{Codec, Context, FieldPath, Format, ParseError, Scanned, Site};
use crate::path::RelPath;
use crate::policy::Class;
use crate::secret::SecretBytes;
use crate::span::{Edit, splice};

/// How many similar fields are named.
const MOST_NAMED: usize = 5;

/// Why a field was not given a value. Holds no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The file is not read field by field.
    #[error("it is not read field by field")]
    NoFields,
    /// It should be, and is not in its format.
    #[error("it cannot be read as its format: {0}")]
    Unreadable(ParseError),
    /// There is no such field.
    #[error("there is no field `{field}`{}", Near(.near))]
    Missing {
        /// The field.
        field: FieldPath,
        /// Fields that are called much the same.
        near: Vec<FieldPath>,
    },
    /// The field is there several times.
    #[error("field `{field}` is there {} times, on the lines {}", .lines.len(), Lines(.lines))]
    Several {
        /// The field.
        field: FieldPath,
        /// On which lines, 1-based.
        lines: Vec<usize>,
    },
    /// The format has no spelling for the value in this place.
    #[error("field `{0}`: the format has no spelling for this value there")]
    NoSpelling(FieldPath),
}

impl Sealing {
    /// `view`, the view of `file`, with `value` in `field`: in one place, or in `all` of that path.
    /// Commented-out fields are passed over. A number stays a number and a switch a switch, if the
    /// value is one; anything else is a string.
    pub fn with_value(
        &self,
        file: &RelPath,
        view: &[u8],
        field: &FieldPath,
        value: &[u8],
        all: bool,
    ) -> Result<SecretBytes, FieldError> {
        let Class::Fields(format) = self.policy.classify(file).class else {
            return Err(FieldError::NoFields);
        };
        let Scanned { id, sites } = format.scan(view).map_err(FieldError::Unreadable)?;
        let codec = id.codec();
        let places = places(&sites, field);
        match places.len() {
            0 => return Err(missing(&sites, field)),
            1 => {}
            _ if all => {}
            _ => {
                let line = |at: &usize| {
                    let before = &view[..sites[*at].span.start];
                    before.iter().filter(|byte| **byte == b'\n').count() + 1
                };
                let lines = places.iter().map(line).collect();
                return Err(FieldError::Several { field: field.clone(), lines });
            }
        }
        // As a string, where it is no literal of the format's.
        [spelled_alike, spelled]
            .into_iter()
            .find_map(|spell| put(&format, &sites, codec, &places, view, value, spell))
            .ok_or_else(|| FieldError::NoSpelling(field.clone()))
    }
}

/// What stands for a value in the place of a site; `None` when nothing does.
type Spell = fn(&dyn Codec, &Site, &[u8], &[u8]) -> Option<SecretBytes>;

/// The text with `value` in `places`; `None` unless these values, and nothing else, have changed.
fn put(
    format: &Format,
    sites: &[Site],
    codec: &dyn Codec,
    places: &[usize],
    view: &[u8],
    value: &[u8],
    spell: Spell,
) -> Option<SecretBytes> {
    let mut edits = Vec::with_capacity(places.len());
    for at in places {
        let text = spell(codec, &sites[*at], view, value)?;
        edits.push(Edit { span: sites[*at].span, text });
    }
    let (new, spans) = splice(view, &edits);
    let new = SecretBytes::from(new);
    let Scanned { id, sites: after } = format.scan(&new).ok()?;
    let reads_back = |at: &usize| {
        let site = &after[*at];
        codec.decode(site.span.of(&new), site.context).is_some_and(|read| *read == *value)
    };
    let same = id == codec.id() && shape::is_same(sites, &after, places, &spans);
    (same && places.iter().all(reads_back)).then_some(new)
}

/// The numbers of the sites of `field`. By text: what is repeated is written like any key.
fn places(sites: &[Site], field: &FieldPath) -> Vec<usize> {
    let name = field.to_string();
    let is_meant = |site: &Site| {
        site.context == Context::ORDINARY && !site.naming && site.path.to_string() == name
    };
    sites.iter().enumerate().filter_map(|(at, site)| is_meant(site).then_some(at)).collect()
}

/// Fields with the same last key, or one of which the other's name is a part.
fn missing(sites: &[Site], field: &FieldPath) -> FieldError {
    let name = field.to_string().to_ascii_lowercase();
    let last = field.inwards().next();
    let mut near: Vec<FieldPath> = Vec::new();
    for site in sites.iter().filter(|site| site.context == Context::ORDINARY && !site.naming) {
        let other = site.path.to_string().to_ascii_lowercase();
        let alike = site.path.inwards().next() == last
            || other.contains(&name)
            || name.contains(&other)
            || is_slip(&name, &other);
        if alike && near.len() < MOST_NAMED && !near.contains(&site.path) {
            near.push(site.path.clone());
        }
    }
    FieldError::Missing { field: field.clone(), near }
}

/// Whether one becomes the other by changing at most two characters in a row.
fn is_slip(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let front = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[front..], &other[front..]);
    let back = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    one.len().max(other.len()) - back <= 2
}

/// A literal for a literal of its kind; else a string.
fn spelled_alike(codec: &dyn Codec, site: &Site, view: &[u8], value: &[u8]) -> Option<SecretBytes> {
    let before = literal(site.span.of(view));
    match before.is_some() && before == literal(value) {
        true => Some(value.into()),
        false => spelled(codec, site, view, value),
    }
}

/// A string.
fn spelled(codec: &dyn Codec, site: &Site, _: &[u8], value: &[u8]) -> Option<SecretBytes> {
    codec.encode(value, site.context, site.column)
}

#[derive(PartialEq, Eq)]
enum Literal {
    Number,
    Switch,
}

/// What kind of literal this is in every format that has such literals.
fn literal(source: &[u8]) -> Option<Literal> {
    match source {
        b"true" | b"false" => Some(Literal::Switch),
        _ => is_number(source).then_some(Literal::Number),
    }
}

/// Whether this is a number by the strictest grammar, that of JSON (RFC 8259, section 6).
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let exponent = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (text, exponent) = match exponent {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let point = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    digits(whole)
        && (whole == b"0" || !whole.starts_with(b"0"))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|power| digits(power.strip_prefix(b"-").unwrap_or(power)))
}

struct Near<'a>(&'a [FieldPath]);

impl std::fmt::Display for Near<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, field) in self.0.iter().enumerate() {
            write!(f, "{}`{field}`", if n == 0 { "; there is " } else { ", " })?;
        }
        Ok(())
    }
}

struct Lines<'a>(&'a [usize]);

impl std::fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, line) in self.0.iter().enumerate() {
            write!(f, "{}{line}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
