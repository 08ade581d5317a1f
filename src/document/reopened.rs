//! The opened values of one document, put back into their places.
//!
//! Must stay true: a view leaves here only when each opened value was found exactly where it was
//! put, under its path, with nothing else moved.

use std::sync::Arc;

use super::error::{Cause, OpenError};
use super::shape;
use super::stock::Item;
use crate::format::{Codec, CodecId, Context, Format, Site};
use crate::secret::SecretBytes;
use crate::span::{Edit, Span, splice};
use crate::token::{Inner, Kind, Purpose};

/// The opened values of one document, each with its site.
pub(super) struct Reopened<'a> {
    pub fields: Vec<Field<'a>>,
}

/// One scalar that held tokens.
pub(super) struct Field<'a> {
    /// Its number among the sites.
    pub at: usize,
    pub site: &'a Site,
    pub found: Found,
}

/// What a scalar's tokens hold.
pub(super) struct Found {
    /// One field token, or one or more part tokens.
    pub items: Vec<Item>,
    /// The source bytes that stand in its place in the view.
    pub source: SecretBytes,
    /// The decoded value of a scalar opened by parts, to be held against `source`.
    pub value: Option<SecretBytes>,
}

/// Which values are spelled anew for their place, tried in this order: a value that was sealed
/// elsewhere may not fit as it is spelled, and what was sealed in such a place stays as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Respell {
    Nothing,
    /// What comes from another codec, context or column.
    Foreign,
    /// And what stands in comments: there a value without quotes may run into its neighbour.
    Commented,
}

impl<'a> Reopened<'a> {
    /// The view, and where each opened scalar stands in it.
    pub(super) fn splice(&self, stored: &[u8]) -> (SecretBytes, Vec<Span>) {
        let edits: Vec<_> = self
            .fields
            .iter()
            .map(|field| Edit { span: field.site.span, text: &field.found.source })
            .collect();
        let (view, places) = splice(stored, &edits);
        (view.into(), places)
    }

    /// The view, in which each opened scalar was found where it was put. `sites` are those of
    /// `stored`; `expected` is a text with its sites that need not be scanned again if it is the
    /// view.
    pub(super) fn into_view(
        mut self,
        stored: &[u8],
        id: CodecId,
        format: &Format,
        sites: &[Site],
        expected: Option<(&[u8], &[Site])>,
    ) -> Result<(Self, SecretBytes), OpenError> {
        let codec = id.codec();
        for respell in [Respell::Nothing, Respell::Foreign, Respell::Commented] {
            if !self.respell(codec, respell) {
                continue;
            }
            let (view, places) = self.splice(stored);
            let fits = match expected {
                Some((text, seen)) if *text == *view => self.fits(sites, seen, &places, codec),
                _ => format.scan(&view).is_ok_and(|seen| {
                    seen.id == id && self.fits(sites, &seen.sites, &places, codec)
                }),
            };
            if fits {
                return Ok((self, view));
            }
        }
        // Most likely the one that was moved here.
        let moved = self.fields.iter().find(|field| field.is_foreign(codec));
        Err(match moved {
            Some(field) => OpenError::at(field.site, stored, Cause::Misplaced),
            None => OpenError::whole(Cause::Misplaced),
        })
    }

    /// Whether a view with the sites `seen` has the shape of the stored text, each opened scalar
    /// in its place.
    fn fits(&self, sites: &[Site], seen: &[Site], places: &[Span], codec: &dyn Codec) -> bool {
        let edited: Vec<usize> = self.fields.iter().map(|field| field.at).collect();
        shape::is_same(sites, seen, &edited, places)
            && self.fields.iter().all(|field| match &field.found.value {
                None => true,
                Some(value) => {
                    codec.decode(&field.found.source, field.site.context).as_ref() == Some(value)
                }
            })
    }

    /// Spells values anew for their places; whether there is something to try.
    fn respell(&mut self, codec: &dyn Codec, which: Respell) -> bool {
        let mut changed = which == Respell::Nothing;
        for field in &mut self.fields {
            let commented = codec.is_comment(field.site.context);
            let chosen = match which {
                Respell::Nothing => false,
                Respell::Foreign => field.is_foreign(codec),
                Respell::Commented => commented || field.is_foreign(codec),
            };
            if !chosen {
                continue;
            }
            let site = field.site;
            let encode = |value: &[u8]| codec.encode(value, site.context, site.column);
            let spelled = match &field.found.value {
                Some(value) => encode(value),
                None => field.found.items.first().and_then(|item| encode(&value_of(&item.inner)?)),
            };
            if let Some(source) = spelled.filter(|source| *source != field.found.source) {
                field.found.source = source;
                changed = true;
            }
        }
        changed
    }

    /// The tokens in order, for reuse, with what stands for them in the view.
    pub(super) fn items(self, id: CodecId) -> Vec<Item> {
        let mut items = Vec::new();
        for Field { site, found, .. } in self.fields {
            for mut item in found.items {
                let bytes = match item.purpose {
                    Purpose::Field => &found.source,
                    _ => &item.inner.bytes,
                };
                if *bytes != item.inner.bytes || !is_native(&item.inner, site, id.codec()) {
                    let bytes = bytes.clone();
                    item.spelled = Some(Arc::new(source_of(site, id, bytes)));
                }
                items.push(item);
            }
        }
        items
    }
}

impl Field<'_> {
    /// Whether a token in it was sealed elsewhere than in such a place.
    fn is_foreign(&self, codec: &dyn Codec) -> bool {
        self.found.items.iter().any(|item| !is_native(&item.inner, self.site, codec))
    }
}

/// What is sealed for the source `bytes` of `site`, or of a part of it.
pub(super) fn source_of(site: &Site, id: CodecId, bytes: SecretBytes) -> Inner {
    let (context, column) = (site.context.0, site.column);
    Inner { kind: Kind::Source, codec: id as u8, context, column, bytes }
}

/// Whether `inner` was sealed in such a place as `site`, so that its bytes go back verbatim.
fn is_native(inner: &Inner, site: &Site, codec: &dyn Codec) -> bool {
    inner.kind == Kind::Source
        && inner.codec == codec.id() as u8
        && inner.context == site.context.0
        && inner.column == site.column
}

/// The source bytes that stand for a sealed value at `site`: verbatim where it came from such a
/// place, or where the place takes them for the same value; else spelled anew.
pub(super) fn spell(inner: &Inner, site: &Site, codec: &dyn Codec) -> Option<SecretBytes> {
    if is_native(inner, site, codec) {
        return Some(inner.bytes.clone());
    }
    let value = value_of(inner)?;
    if inner.kind == Kind::Source
        && codec.decode(&inner.bytes, site.context).as_ref() == Some(&value)
    {
        return Some(inner.bytes.clone());
    }
    codec.encode(&value, site.context, site.column)
}

/// The decoded value of what was sealed, by the codec it was sealed from.
pub(super) fn value_of(inner: &Inner) -> Option<SecretBytes> {
    match inner.kind {
        Kind::Value => Some(inner.bytes.clone()),
        Kind::Source => {
            let context = Context(inner.context);
            CodecId::from_number(inner.codec)?.codec().decode(&inner.bytes, context)
        }
        Kind::File => None,
    }
}
