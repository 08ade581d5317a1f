//! Imports: the tokens of other systems that stand in a store until `rewrap` makes them ours.
//!
//! Must stay true: a text that comes from the store may be opened by an import, one that a program
//! writes never is. What is written and could be taken for a foreign token is sealed
//! ([`Imports::would_read`]), in whatever file, since a file may be renamed into the place of
//! another; so what stands in the clear and reads as a foreign token was put there in the store.

use std::sync::Arc;

use super::error::Cause;
use crate::format::FieldPath;
use crate::path::RelPath;
use crate::policy::{Places, PlacesError};
use crate::secret::SecretBytes;
use crate::token::foreign::{
    Encoding, ForeignError, ForeignKey, PrefixError, Scheme, Shape, has_foreign_prefix,
};

/// One `[[keys.import]]`: what tokens, where, under which key.
#[derive(Clone, Debug)]
pub struct Import {
    shape: Shape,
    places: Places,
    /// `None` where there is none to be had; a look needs none.
    key: Option<Arc<ForeignKey>>,
}

/// Why an import is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The prefix.
    #[error("prefix: {0}")]
    Prefix(#[from] PrefixError),
    /// The patterns.
    #[error(transparent)]
    Places(#[from] PlacesError),
    /// Nothing would tell its tokens from other values.
    #[error(
        "tokens of `{0}` begin with nothing of their own: say in which files (`path`) and fields \
         (`field`) they stand, or which `prefix` yours have"
    )]
    Anywhere(Scheme),
    /// Only one scheme leaves it open.
    #[error("`encoding` is for aes-256-gcm: how tokens of `{0}` are written is fixed")]
    Encoding(Scheme),
}

impl Import {
    /// An import without its key.
    pub fn new(
        scheme: Scheme,
        prefix: Option<&str>,
        encoding: Option<Encoding>,
        places: Places,
    ) -> Result<Self, ImportError> {
        if encoding.is_some() && scheme != Scheme::AesGcm {
            return Err(ImportError::Encoding(scheme));
        }
        let shape = Shape::new(scheme, prefix, encoding.unwrap_or_default())?;
        if shape.prefix().is_empty() && !places.is_narrowed() {
            return Err(ImportError::Anywhere(scheme));
        }
        Ok(Self { shape, places, key: None })
    }

    /// The same with the key that opens.
    pub fn with_key(self, key: Arc<ForeignKey>) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Its scheme.
    pub fn scheme(&self) -> Scheme {
        self.shape.scheme()
    }
}

/// Every import of a store, in the order of their entries. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct Imports(Arc<[Import]>);

impl FromIterator<Import> for Imports {
    fn from_iter<I: IntoIterator<Item = Import>>(imports: I) -> Self {
        Self(imports.into_iter().collect())
    }
}

impl Imports {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their schemes.
    pub fn schemes(&self) -> impl Iterator<Item = Scheme> {
        self.0.iter().map(Import::scheme)
    }

    /// Whether the same texts are foreign tokens under both names.
    pub fn are_alike(&self, one: &RelPath, other: &RelPath) -> bool {
        let mut places = self.0.iter().map(|import| &import.places);
        places.all(|places| places.covers_file(one) == places.covers_file(other))
    }

    /// Whether `value`, written under `path` of any file, could be taken for a foreign token there.
    pub(super) fn would_read(&self, path: &FieldPath, value: &[u8]) -> bool {
        let mut all = self.0.iter();
        has_foreign_prefix(value)
            || all.any(|import| import.places.covers_field(path) && import.shape.claims(value))
    }

    /// Those whose tokens may stand in `file`.
    pub(super) fn in_file(&self, file: &RelPath) -> FileImports<'_> {
        FileImports(self.0.iter().filter(|import| import.places.covers_file(file)).collect())
    }
}

/// What of a store's imports concerns one file.
pub(super) struct FileImports<'a>(Vec<&'a Import>);

/// A foreign token, opened.
pub(super) struct Imported {
    pub scheme: Scheme,
    pub value: SecretBytes,
}

impl FileImports<'_> {
    /// Whether one of their tokens may stand in `text`, spelled without escapes.
    pub(super) fn may_stand_in(&self, text: &[u8]) -> bool {
        self.0.iter().any(|import| super::find(text, import.shape.prefix().as_bytes()).is_some())
    }

    /// Whether a well-formed token with one of their prefixes stands in `text`, whatever is around
    /// it.
    pub(super) fn stand_in(&self, text: &[u8]) -> bool {
        let shapes = self.0.iter().map(|import| &import.shape);
        shapes.filter(|shape| !shape.prefix().is_empty()).any(|shape| {
            memchr::memmem::find_iter(text, shape.prefix()).any(|at| {
                let body = &text[at + shape.prefix().len()..];
                let of_token = |b: &&u8| b.is_ascii_alphanumeric() || b"+/=-_".contains(b);
                let end = at + shape.prefix().len() + body.iter().take_while(of_token).count();
                shape.is_well_formed(&text[at..end])
            })
        })
    }

    fn claiming(&self, path: &FieldPath, value: &[u8]) -> impl Iterator<Item = &Import> {
        let claims =
            |import: &&Import| import.places.covers_field(path) && import.shape.claims(value);
        self.0.iter().copied().filter(claims)
    }

    /// The foreign token that `value` is by its looks, and whether it is well formed; no key is
    /// asked.
    pub(super) fn look(&self, path: &FieldPath, value: &[u8]) -> Option<(Scheme, bool)> {
        let mut all = self
            .claiming(path, value)
            .map(|import| (import.scheme(), import.shape.is_well_formed(value)));
        let first = all.next()?;
        Some(if first.1 { first } else { all.find(|(_, good)| *good).unwrap_or(first) })
    }

    /// What `value` holds, if it is a foreign token at `path`; `None` if none of these says so.
    ///
    /// Foreign tokens name no key. Where several imports fit, each is tried in turn: what comes
    /// out was authenticated under the key that fits. The error is that of the last, or better:
    /// a missing key may be the one.
    pub(super) fn open(&self, path: &FieldPath, value: &[u8]) -> Option<Result<Imported, Cause>> {
        let mut failed: Option<ForeignError> = None;
        for import in self.claiming(path, value) {
            let scheme = import.scheme();
            let opened = match &import.key {
                Some(key) => import.shape.open(key, value),
                None => Err(ForeignError::NoKey(scheme)),
            };
            match opened {
                Ok(value) => return Some(Ok(Imported { scheme, value })),
                Err(_) if matches!(failed, Some(ForeignError::NoKey(_))) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map(|error| Err(Cause::Foreign(error)))
    }
}
