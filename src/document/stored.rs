//! A stored file as it stands, sealed where it is in the clear, or left plain: what `seal` and
//! giving a store back do to each file, with a mount or without one.
//!
//! What must stay true: sealing lays nothing open that was sealed; and what is left plain reads, to
//! whoever opens it as a stored file, as the same bytes.

use std::collections::HashSet;
use std::fmt;

use super::seal::plain;
use super::{Existing, Form, OpenError, Opened, Sealed, Sealing, Standing, inspect_with};
use crate::format::FieldPath;
use crate::path::RelPath;

/// What sealing a stored file came to.
#[derive(Debug)]
pub struct SealedStored {
    /// The file as it is to stand.
    pub sealed: Sealed,
    /// Tokens that were not there before.
    pub fresh: usize,
    /// Fields for the ledger: sealed, and no rule names them.
    pub ledger: Vec<FieldPath>,
    /// Whether it is to stand otherwise than it does.
    pub changed: bool,
}

/// Why a stored file is not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealStoredError {
    /// It holds tokens that cannot be opened.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// The policy would lay sealed values open: these, or the whole file if none is named.
    #[error("sealed, and public by the policy: {}; left as it is", Fields(.0))]
    LaidOpen(Vec<FieldPath>),
}

/// Names of fields; none stands for the whole file.
struct Fields<'a>(&'a [FieldPath]);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the whole file");
        }
        for (n, field) in self.0.iter().enumerate() {
            write!(f, "{}`{field}`", if n > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl Sealing {
    /// Seals what stands in the clear in `stored`, the content of `file` in the store. What is
    /// sealed keeps its bytes.
    pub fn seal_stored(
        &self,
        file: &RelPath,
        stored: &[u8],
    ) -> Result<SealedStored, SealStoredError> {
        let opened = self.open(file, stored)?;
        let existing = Existing::of(Some(opened.form));
        let sealed = self.seal(file, &opened.view, &[&opened.stock], existing);
        self.lays_nothing_open(file, stored, &opened, &sealed)?;
        let before: HashSet<String> = opened.stock.tokens().map(ToString::to_string).collect();
        let is_fresh = |token: &String| !before.contains(token);
        Ok(SealedStored {
            fresh: sealed.stock.tokens().map(ToString::to_string).filter(is_fresh).count(),
            ledger: [&opened.unruled[..], &sealed.ledger].concat(),
            changed: *sealed.stored != *stored,
            sealed,
        })
    }

    /// Refuses to lay open what `stored` holds sealed. A rule may call a sealed value public: whoever
    /// saves the file through the mount wants it so, whoever seals a store does not.
    pub fn lays_nothing_open(
        &self,
        file: &RelPath,
        stored: &[u8],
        opened: &Opened,
        sealed: &Sealed,
    ) -> Result<(), SealStoredError> {
        let laid_open: Vec<FieldPath> = match (opened.form, sealed.form) {
            (Form::Whole, Form::Plain) => return Err(SealStoredError::LaidOpen(Vec::new())),
            (Form::Fields(_), Form::Fields(_) | Form::Plain) if *sealed.stored != *stored => {
                let Sealing { policy, ledger, imports, .. } = self;
                let fields = |text| inspect_with(policy, ledger, imports, file, text).fields;
                // The same fields in the same order: both texts have the shape of the view.
                let pairs = fields(stored).into_iter().zip(fields(&sealed.stored));
                let opens = pairs.filter(|(before, after)| {
                    before.standing != Standing::Clear && after.standing == Standing::Clear
                });
                opens.map(|(before, _)| before.path).collect()
            }
            _ => return Ok(()),
        };
        if laid_open.is_empty() { Ok(()) } else { Err(SealStoredError::LaidOpen(laid_open)) }
    }

    /// `view` as a file that is not sealed at all; `None` if it would not read as itself then: a
    /// value in it looks like a token.
    pub fn leave_plain(&self, file: &RelPath, view: &[u8]) -> Option<Sealed> {
        let opened = self.open(file, view).ok()?;
        (opened.form == Form::Plain && *opened.view == *view).then(|| plain(view))
    }
}
