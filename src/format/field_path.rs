//! Field paths: the keys under which a value stands, and their one textual grammar.
//!
//! ```text
//! path    = segment *( "." segment / "[]" )
//! segment = bare / quoted / "[]"
//! bare    = 1*( ALPHA / DIGIT / "_" / "-" )
//! quoted  = DQUOTE *( byte, with \" \\ escaped and %XX for "%", controls and what is no UTF-8 ) DQUOTE
//! ```
//!
//! A list element is `[]` without an index, so that inserting an element changes no path.

mod name;

use std::fmt;
use std::sync::Arc;

pub use name::Name;

/// One step of a [`FieldPath`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Segment {
    /// A key of a table, or the `name` of a list element.
    Key(Name),
    /// An element of a list.
    Element,
    /// A key in a format where repeating a key makes a list.
    Repeated(Name),
}

impl Segment {
    /// The key's bytes, if this is a key.
    pub fn key(&self) -> Option<&[u8]> {
        match self {
            Segment::Key(key) | Segment::Repeated(key) => Some(key),
            Segment::Element => None,
        }
    }
}

/// The keys under which a value stands, outermost first. Paths of one table share their front and
/// hold their last segment themselves, so the path of one value more takes no allocation.
#[derive(Clone, Default)]
pub struct FieldPath {
    front: Front,
    /// `None` for the document itself.
    last: Option<Segment>,
}

/// A path that others go on from.
#[derive(Clone, Default)]
pub struct Front(Option<Arc<FieldPath>>);

impl Front {
    /// The path of the document itself.
    pub const ROOT: Self = Self(None);

    /// The path, one step further.
    pub fn child(&self, segment: Segment) -> FieldPath {
        FieldPath { front: self.clone(), last: Some(segment) }
    }

    /// The path, extended by a key.
    pub fn key(&self, key: impl AsRef<[u8]>) -> FieldPath {
        self.child(Segment::Key(Name::from(key)))
    }

    /// The path, extended by a list element.
    pub fn element(&self) -> FieldPath {
        self.child(Segment::Element)
    }

    /// Whether it is the path of the document itself.
    pub fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// The path itself.
    pub fn path(&self) -> FieldPath {
        self.0.as_deref().cloned().unwrap_or_default()
    }
}

impl From<FieldPath> for Front {
    fn from(path: FieldPath) -> Self {
        Self((!path.is_root()).then(|| Arc::new(path)))
    }
}

/// Why a text is no field path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a field path, at byte {at}: {kind}")]
pub struct FieldPathError {
    /// Offset of the offending byte.
    pub at: usize,
    /// What is wrong there.
    pub kind: &'static str,
}

impl FieldPath {
    /// The path of the document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// This path, one step further. Where several go on from it, make it a [`Front`].
    pub fn child(&self, segment: Segment) -> Self {
        Front::from(self.clone()).child(segment)
    }

    /// This path, extended by a key.
    pub fn key(&self, key: impl AsRef<[u8]>) -> Self {
        self.child(Segment::Key(Name::from(key)))
    }

    /// This path, extended by a list element.
    pub fn element(&self) -> Self {
        self.child(Segment::Element)
    }

    /// Whether this is the document itself.
    pub fn is_root(&self) -> bool {
        self.last.is_none()
    }

    /// The segments, outermost first.
    pub fn segments(&self) -> Vec<&Segment> {
        let mut segments: Vec<&Segment> = self.inwards().collect();
        segments.reverse();
        segments
    }

    /// The segments, innermost first.
    pub fn inwards(&self) -> impl Iterator<Item = &Segment> {
        std::iter::successors(Some(self), |path| path.front.0.as_deref())
            .filter_map(|path| path.last.as_ref())
    }

    /// The form that is authenticated with a sealed value (docs/format.md): per segment a type
    /// byte (1 key, 2 element, 3 repeated key), the length as four bytes big-endian, the bytes.
    /// No two different paths share it.
    pub fn to_aad(&self) -> Vec<u8> {
        let segments = self.segments();
        let room = segments.iter().map(|segment| 5 + segment.key().map_or(0, <[u8]>::len)).sum();
        let mut aad = Vec::with_capacity(room);
        for segment in segments {
            let (kind, bytes): (u8, &[u8]) = match segment {
                Segment::Key(key) => (1, key),
                Segment::Element => (2, &[]),
                Segment::Repeated(key) => (3, key),
            };
            aad.push(kind);
            aad.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            aad.extend_from_slice(bytes);
        }
        aad
    }

    /// Reads the textual grammar. A repeated key reads as a key: the two are written alike.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        let bytes = text.as_bytes();
        let fail = |at, kind| Err(FieldPathError { at, kind });
        let mut path = Self::root();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at..].starts_with(b"[]") {
                path = path.element();
                at += 2;
            } else {
                if !path.is_root() {
                    if bytes[at] != b'.' {
                        return fail(at, "a `.` or `[]` is expected");
                    }
                    at += 1;
                }
                let (key, end) = match bytes.get(at) {
                    Some(b'"') => quoted(bytes, at)?,
                    _ => bare(bytes, at)?,
                };
                path = path.key(key);
                at = end;
            }
        }
        Ok(path)
    }
}

fn bare(bytes: &[u8], at: usize) -> Result<(Vec<u8>, usize), FieldPathError> {
    let len = bytes[at..].iter().take_while(|b| is_bare(**b)).count();
    match len {
        0 => Err(FieldPathError {
            at,
            kind: "a key is expected; quote one that holds other than letters, digits, `_` and `-`",
        }),
        len => Ok((bytes[at..at + len].to_vec(), at + len)),
    }
}

fn quoted(bytes: &[u8], start: usize) -> Result<(Vec<u8>, usize), FieldPathError> {
    let mut key = Vec::new();
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            None => return Err(FieldPathError { at: start, kind: "the quoted key does not end" }),
            Some(b'"') => return Ok((key, at + 1)),
            Some(b'\\') => match bytes.get(at + 1) {
                Some(c @ (b'"' | b'\\')) => {
                    key.push(*c);
                    at += 2;
                }
                _ => return Err(FieldPathError { at, kind: "only \\\" and \\\\ are escapes" }),
            },
            Some(b'%') => {
                let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
                match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(byte) => key.push(byte),
                    None => return Err(FieldPathError { at, kind: "two hex digits follow a %" }),
                }
                at += 3;
            }
            Some(byte) => {
                key.push(*byte);
                at += 1;
            }
        }
    }
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, segment) in self.segments().into_iter().enumerate() {
            let Some(key) = segment.key() else {
                f.write_str("[]")?;
                continue;
            };
            if n > 0 {
                f.write_str(".")?;
            }
            if !key.is_empty() && key.iter().all(|b| is_bare(*b)) {
                f.write_str(std::str::from_utf8(key).map_err(|_| fmt::Error)?)?;
                continue;
            }
            f.write_str("\"")?;
            for chunk in key.utf8_chunks() {
                for c in chunk.valid().chars() {
                    match c {
                        '"' | '\\' => write!(f, "\\{c}")?,
                        '%' => f.write_str("%25")?,
                        c if c.is_control() => {
                            let mut utf8 = [0; 4];
                            for byte in c.encode_utf8(&mut utf8).bytes() {
                                write!(f, "%{byte:02X}")?;
                            }
                        }
                        c => write!(f, "{c}")?,
                    }
                }
                for byte in chunk.invalid() {
                    write!(f, "%{byte:02X}")?;
                }
            }
            f.write_str("\"")?;
        }
        Ok(())
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl PartialEq for FieldPath {
    fn eq(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self, other);
        while a.last == b.last {
            (a, b) = match (&a.front.0, &b.front.0) {
                (None, None) => return true,
                (Some(one), Some(other)) if Arc::ptr_eq(one, other) => return true,
                (Some(one), Some(other)) => (one, other),
                _ => return false,
            };
        }
        false
    }
}

impl Eq for FieldPath {}

impl std::hash::Hash for FieldPath {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for segment in self.inwards() {
            segment.hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_one_spelling() {
        let odd: &[u8] = b"a.b \"\\%\n\xff\xc3\xa9";
        let path = FieldPath::root().key("servers").element().key(odd).key("").key("x-1_Y");
        let text = path.to_string();
        assert_eq!(text, "servers[].\"a.b \\\"\\\\%25%0A%FF\u{e9}\".\"\".x-1_Y");
        assert_eq!(FieldPath::parse(&text).unwrap(), path);
    }

    #[test]
    fn a_path_that_starts_with_a_list_reads_back() {
        let path = FieldPath::root().element().element().key("k");
        assert_eq!(path.to_string(), "[][].k");
        assert_eq!(FieldPath::parse("[][].k").unwrap(), path);
    }

    #[test]
    fn what_is_no_path_is_refused_where_it_goes_wrong() {
        for (text, at) in [("a..b", 2), ("a b", 1), ("a.\"x", 2), ("\"%zz\"", 1), (".a", 0)] {
            assert_eq!(FieldPath::parse(text).unwrap_err().at, at, "{text}");
        }
    }

    #[test]
    fn different_paths_are_authenticated_differently() {
        let root = FieldPath::root();
        let paths = [
            root.key("a").key("b"),
            root.key("a.b"),
            root.key("ab"),
            root.key("a").element().key("b"),
            root.key("a").child(Segment::Repeated((*b"b").into())),
        ];
        for (n, one) in paths.iter().enumerate() {
            for other in &paths[..n] {
                assert_ne!(one.to_aad(), other.to_aad(), "{one} and {other}");
            }
        }
    }
}
