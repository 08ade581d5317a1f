//! Tokens that stand elsewhere than they were sealed for, sealed for where they stand: a rename made
//! in the store, of a file or of a key.

use super::error::{Cause, OpenError};
use super::open::may_hold_token;
use super::reopened::{Field, Reopened};
use super::stock::Stock;
use super::{Existing, Sealed, Sealing, is_whole};
use crate::format::{FieldPath, Format, Scanned, Segment, Site};
use crate::path::RelPath;
use crate::policy::Class;
use crate::token::{Place, TokenError};

/// Where tokens were sealed for.
#[derive(Debug, Clone)]
pub struct Was {
    /// The file's path.
    pub file: RelPath,
    /// A field's path, or that of a table of fields, and what it is called now.
    pub field: Option<(FieldPath, FieldPath)>,
}

/// A file whose tokens are sealed for their places.
#[derive(Debug)]
pub struct Rebound {
    /// The new text.
    pub sealed: Sealed,
    /// How many values stood elsewhere than they were sealed for.
    pub values: usize,
}

impl Sealing {
    /// Seals anew what in `stored`, the content of `file`, opens only as what it `was`. `None` when
    /// everything opens where it stands.
    pub fn rebind(
        &self,
        file: &RelPath,
        stored: &[u8],
        was: &Was,
    ) -> Result<Option<Rebound>, OpenError> {
        if is_whole(stored) {
            if self.open(file, stored).is_ok() {
                return Ok(None);
            }
            let opened = self.open(&was.file, stored)?;
            let sealed = self.seal(file, &opened.view, &[&opened.stock], Existing::Sealed);
            return Ok(Some(Rebound { sealed, values: 1 }));
        }
        match self.policy.classify(file).class {
            Class::Fields(format) => self.rebind_fields(file, stored, was, &format),
            _ => self.open(file, stored).map(|_| None),
        }
    }

    fn rebind_fields(
        &self,
        file: &RelPath,
        stored: &[u8],
        was: &Was,
        format: &Format,
    ) -> Result<Option<Rebound>, OpenError> {
        let unreadable = |error| OpenError::whole(Cause::Unreadable(error));
        let Scanned { id, sites } = format.scan(stored).map_err(unreadable)?;
        let codec = id.codec();
        let imports = self.imports.in_file(file);
        let mut fields = Vec::new();
        let mut values = 0;
        for (at, site) in sites.iter().enumerate() {
            let source = site.span.of(stored);
            if !may_hold_token(source) && !imports.may_stand_in(source) {
                continue;
            }
            let here = self.reopen_site(file, source, site, codec, &imports);
            let found = match here {
                Err(Cause::Token(error)) if is_misplaced(&error) => {
                    let before = Site { path: was.path_of(&site.path), ..site.clone() };
                    let mut found = self
                        .reopen_site(&was.file, source, &before, codec, &imports)
                        // What is wrong where it stands says more.
                        .map_err(|_| OpenError::at(site, stored, Cause::Token(error)))?;
                    for item in found.iter_mut().flat_map(|found| &mut found.items) {
                        item.path = site.path.clone();
                        let aad = site.path.to_aad();
                        let purpose = item.purpose;
                        let place = Place { purpose, file: file.as_bytes(), path: &aad };
                        let takes = |token: &str| codec.takes(token, site.context);
                        item.token = self
                            .reseal(&place, &item.token, &item.inner, takes)
                            .ok_or_else(|| OpenError::at(site, stored, Cause::Misplaced))?;
                    }
                    values += 1;
                    found
                }
                here => here.map_err(|cause| OpenError::at(site, stored, cause))?,
            };
            fields.extend(found.map(|found| Field { at, site, found }));
        }
        if values == 0 {
            return Ok(None);
        }
        let (reopened, view) = Reopened { fields }.into_view(stored, id, format, &sites, None)?;
        let stock = Stock { file: file.clone(), items: reopened.items(id), whole: None };
        let sealed = self.seal(file, &view, &[&stock], Existing::Sealed);
        Ok(Some(Rebound { sealed, values }))
    }
}

/// Whether this may come of standing at another place.
fn is_misplaced(error: &TokenError) -> bool {
    matches!(error, TokenError::Tampered(_))
}

impl Was {
    /// The path that the field at `path` had.
    fn path_of(&self, path: &FieldPath) -> FieldPath {
        let Some((old, new)) = &self.field else { return path.clone() };
        let (segments, new) = (path.segments(), new.segments());
        // By key: a path in words does not tell a repeated key from any other.
        let is_below = segments.len() >= new.len()
            && segments.iter().zip(&new).all(|(here, new)| here.key() == new.key());
        if !is_below {
            return path.clone();
        }
        let mut was = FieldPath::root();
        for (n, segment) in old.segments().into_iter().enumerate() {
            was = was.child(match (segment, segments.get(n)) {
                (Segment::Key(key), Some(Segment::Repeated(_))) => Segment::Repeated(key.clone()),
                (segment, _) => segment.clone(),
            });
        }
        segments[new.len()..].iter().fold(was, |was, segment| was.child((*segment).clone()))
    }
}
