//! Three versions of one file merged: what git's merge driver asks for.
//!
//! The views are merged line by line, so that values merge like any text, and the result is sealed
//! with the tokens that all three have. Where that gives no document, the *sealed* texts are
//! merged: first each is sealed anew with one stock of tokens, so that what is equal in the clear is
//! equal there too, and only what differs conflicts.
//!
//! Must stay true: what comes out is fit for the store. Markers stand around sealed lines; no line
//! of a view gets there but through [`Sealing::seal`]; and what is sealed on both sides is sealed
//! afterwards, even if the policy, which may have come by the last merge, calls it public.

mod lines;

pub use lines::Markers;

use std::collections::HashMap;

use super::error::OpenError;
use super::{
    Existing, FieldPath, Form, Opened, Sealed, Sealing, Standing, Stock, WholeBecause,
    inspect_with, is_whole,
};
use crate::path::RelPath;

/// The three versions of a file, as they stand in the store.
#[derive(Clone, Copy, Debug)]
pub struct Versions<'a> {
    /// Where both come from; empty if both made the file.
    pub base: &'a [u8],
    /// The one that is merged into.
    pub ours: &'a [u8],
    /// The one that is merged.
    pub theirs: &'a [u8],
}

/// What became of three versions.
#[derive(Debug, PartialEq, Eq)]
pub struct Merged {
    /// What is to stand in the store.
    pub stored: Vec<u8>,
    /// Whether somebody has to decide: markers stand in it, it cannot be read any more, or it is
    /// binary and the version of one side.
    pub conflict: bool,
}

impl Sealing {
    /// Merges three versions of `file` by what is in them.
    ///
    /// Fails when one of them cannot be opened; [`merge_sealed`] merges them as they stand.
    pub fn merge(
        &self,
        file: &RelPath,
        versions: &Versions<'_>,
        markers: &Markers<'_>,
    ) -> Result<Merged, OpenError> {
        let base = self.open(file, versions.base)?;
        let ours = self.open(file, versions.ours)?;
        let theirs = self.open(file, versions.theirs)?;
        let all = [&ours, &theirs, &base];
        let mut stocks = all.map(|opened| &opened.stock);
        // A side that has been rewrapped goes first: its tokens are the ones to keep.
        stocks.sort_by_key(|stock| {
            stock.tokens().filter(|token| !self.sealer.is_current(token)).count()
        });
        let is_sealed = all.iter().any(|opened| opened.form != Form::Plain);
        let existing = if is_sealed { Existing::Sealed } else { Existing::Plain };
        let seal = |view: &[u8], stocks: &[&Stock]| self.seal(file, view, stocks, existing);

        if all.iter().any(|opened| is_binary(&opened.view)) {
            let [ours, theirs, base] = all.map(|opened| &*opened.view);
            return Ok(match (ours == theirs || theirs == base, ours == base) {
                (true, _) => Merged { stored: versions.ours.to_vec(), conflict: false },
                (_, true) => Merged { stored: versions.theirs.to_vec(), conflict: false },
                _ => merge_sealed(versions, markers),
            });
        }
        let views = lines::merge(&base.view, &ours.view, &theirs.view, markers);
        if views.conflicts == 0 {
            let sealed = seal(&views.text, &stocks);
            if self.lays_open(file, &sealed, versions) {
                return Ok(merge_sealed(versions, markers));
            }
            if !is_torn(&sealed, &all) {
                return Ok(Merged { stored: sealed.stored, conflict: false });
            }
        }
        // Each takes up the tokens of those before it.
        let ours = seal(&ours.view, &stocks);
        let theirs = seal(&theirs.view, &[&[&ours.stock], &stocks[..]].concat());
        let base = seal(&base.view, &[&[&ours.stock, &theirs.stock], &stocks[..]].concat());
        let anew = [&ours, &theirs, &base];
        if anew.iter().any(|sealed| self.lays_open(file, sealed, versions)) {
            return Ok(merge_sealed(versions, markers));
        }
        if anew.iter().any(|sealed| sealed.form == Form::Whole) {
            return Ok(side_by_side(&ours.stored, &theirs.stored, markers));
        }
        let texts = Versions { base: &base.stored, ours: &ours.stored, theirs: &theirs.stored };
        Ok(Merged { conflict: true, ..merge_sealed(&texts, markers) })
    }

    /// Whether something would stand in the clear that is sealed in both `ours` and `theirs`, or in
    /// the one of them that has it.
    fn lays_open(&self, file: &RelPath, sealed: &Sealed, versions: &Versions<'_>) -> bool {
        let sides = [versions.ours, versions.theirs];
        if sides.into_iter().any(is_whole) {
            return sealed.form != Form::Whole;
        }
        let standings = |text: &[u8]| {
            // Per path: how many stand in the clear, and how many do not.
            let mut standings: HashMap<FieldPath, (usize, usize)> = HashMap::new();
            let seen = inspect_with(&self.policy, &self.ledger, &self.imports, file, text);
            for seen in seen.fields {
                let (clear, hidden) = standings.entry(seen.path).or_default();
                *(if seen.standing == Standing::Clear { clear } else { hidden }) += 1;
            }
            standings
        };
        let sides = sides.map(standings);
        standings(&sealed.stored).into_iter().any(|(path, (clear, _))| {
            let before = sides.each_ref().map(|side| side.get(&path).copied().unwrap_or_default());
            let hidden = before.iter().any(|(_, hidden)| *hidden > 0);
            hidden && before.iter().all(|(before, _)| *before < clear)
        })
    }
}

/// Merges three versions of a file as they stand in the store, line by line. The values of a token
/// count as different unless their tokens are the same.
pub fn merge_sealed(versions: &Versions<'_>, markers: &Markers<'_>) -> Merged {
    let Versions { base, ours, theirs } = *versions;
    if [base, ours, theirs].into_iter().any(is_binary) || ours == theirs {
        return pick(versions);
    }
    if [base, ours, theirs].into_iter().any(is_whole) {
        return match base {
            base if base == ours || base == theirs => pick(versions),
            _ => side_by_side(ours, theirs, markers),
        };
    }
    let lines = lines::merge(base, ours, theirs, markers);
    Merged { stored: lines.text.to_vec(), conflict: lines.conflicts > 0 }
}

/// The side that changed something; ours, and a conflict, if both did.
fn pick(versions: &Versions<'_>) -> Merged {
    let Versions { base, ours, theirs } = *versions;
    let conflict = ours != theirs && base != ours && base != theirs;
    let stored = if base == ours { theirs } else { ours };
    Merged { stored: stored.to_vec(), conflict }
}

/// Both versions whole, between markers: for what has no lines in the store.
fn side_by_side(ours: &[u8], theirs: &[u8], markers: &Markers<'_>) -> Merged {
    Merged { stored: lines::conflict(ours, theirs, markers).to_vec(), conflict: true }
}

/// Whether a merge of readable documents made one that is not.
fn is_torn(merged: &Sealed, versions: &[&Opened]) -> bool {
    let torn = matches!(
        merged.whole,
        Some(WholeBecause::Unreadable(_) | WholeBecause::UnknownName | WholeBecause::NoMatch)
    );
    torn && versions.iter().all(|version| version.form != Form::Whole)
}

/// What git takes for binary: a zero byte near the beginning.
pub fn is_binary(text: &[u8]) -> bool {
    text[..text.len().min(8000)].contains(&0)
}
