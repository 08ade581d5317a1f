//! From tokens under any key to tokens under the master key; the view stays as it is.

use super::error::{Cause, OpenError};
use super::stock::Item;
use super::{Sealing, is_whole, shape, whole};
use crate::format::{Format, Scanned};
use crate::path::RelPath;
use crate::policy::Class;
use crate::span::{Edit, splice};
use crate::token::{Binding, Inner, Kind, Place, Purpose, Token};

/// What a rewrap of one file did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// The new stored text; `None` when nothing had to change.
    pub stored: Option<Vec<u8>>,
    /// How many of our tokens were sealed anew.
    pub tokens: usize,
    /// How many tokens of other systems were turned into ours.
    pub imported: usize,
}

impl Sealing {
    /// Seals every token of `stored` that is not under the master key under it; with `all`, every
    /// token, with a fresh nonce.
    pub fn rewrap(&self, file: &RelPath, stored: &[u8], all: bool) -> Result<Rewrapped, OpenError> {
        if is_whole(stored) {
            return self.rewrap_whole(file, stored, Purpose::Whole, all);
        }
        match self.policy.classify(file).class {
            Class::Fields(format) => self.rewrap_fields(file, stored, &format, all),
            // Nothing to do; or what stands there cannot be opened, and the error says so.
            _ => self.open(file, stored).map(|_| Rewrapped::default()),
        }
    }

    /// The same for a version kept aside.
    pub fn rewrap_kept(&self, stored: &[u8], all: bool) -> Result<Rewrapped, OpenError> {
        self.rewrap_whole(&RelPath::root(), stored, Purpose::Kept, all)
    }

    fn rewrap_fields(
        &self,
        file: &RelPath,
        stored: &[u8],
        format: &Format,
        all: bool,
    ) -> Result<Rewrapped, OpenError> {
        let unreadable = |error| OpenError::whole(Cause::Unreadable(error));
        let Some(Scanned { id, sites }) = self.scan_for_tokens(file, stored, format)? else {
            return Ok(Rewrapped::default());
        };
        let codec = id.codec();
        let reopened = self.reopen(file, stored, id, &sites)?;
        let mut edits = Vec::new();
        let mut edited = Vec::new();
        let mut tokens = 0;
        let mut imported = 0;
        for field in &reopened.fields {
            let mut source = field.site.span.of(stored).to_vec();
            let mut from = 0;
            let mut changed = false;
            for item in field.found.items.iter().filter(|item| all || !self.is_current(item)) {
                changed = true;
                if item.imported.is_some() {
                    source = codec.token(&item.token.to_text(), field.site.context).into_bytes();
                    imported += 1;
                    continue;
                }
                let aad = item.path.to_aad();
                let place = Place { purpose: item.purpose, file: file.as_bytes(), path: &aad };
                let takes = |token: &str| codec.takes(token, field.site.context);
                let new = self
                    .reseal(&place, &item.token, &item.inner, takes)
                    .ok_or_else(|| OpenError::at(field.site, stored, Cause::Misplaced))?
                    .to_text();
                // Both texts are of the tokens' alphabet: they stand in any source as they are.
                let old = item.token.to_text();
                match super::find(&source[from..], old.as_bytes()) {
                    Some(at) => {
                        let at = from + at;
                        source.splice(at..at + old.len(), new.bytes());
                        from = at + new.len();
                    }
                    // Spelled with escapes, by someone's hand.
                    None if item.purpose == Purpose::Field => {
                        source = codec.token(&new, field.site.context).into_bytes();
                    }
                    None => return Err(OpenError::at(field.site, stored, Cause::Misplaced)),
                }
                tokens += 1;
            }
            if changed {
                edits.push(Edit { span: field.site.span, text: source });
                edited.push(field.at);
            }
        }
        if edits.is_empty() {
            return Ok(Rewrapped::default());
        }
        let (new, places) = splice(stored, &edits);
        let rescanned = format.scan(&new).map_err(unreadable)?;
        let same_shape =
            rescanned.id == id && shape::is_same(&sites, &rescanned.sites, &edited, &places);
        let new_view = self.reopen(file, &new, id, &rescanned.sites)?.splice(&new).0;
        if !same_shape || new_view != reopened.splice(stored).0 {
            return Err(OpenError::whole(Cause::Misplaced));
        }
        Ok(Rewrapped { stored: Some(new), tokens, imported })
    }

    fn rewrap_whole(
        &self,
        file: &RelPath,
        stored: &[u8],
        purpose: Purpose,
        all: bool,
    ) -> Result<Rewrapped, OpenError> {
        let token_error = |error| OpenError::whole(Cause::Token(error));
        let token = Token::parse_whole(stored).map_err(token_error)?;
        let place = Place { purpose, file: file.as_bytes(), path: &[] };
        // A version kept aside has no place, so there is nothing that it could be bound to.
        let demanded = if purpose == Purpose::Kept { Binding::None } else { self.binding };
        let opened = self.sealer.open(&place, &token, demanded).map_err(token_error)?;
        let payload = (opened.kind == Kind::File)
            .then(|| whole::Payload::read(&opened.bytes))
            .flatten()
            .ok_or_else(|| OpenError::whole(Cause::Layout))?;
        let mut tokens = usize::from(all || !self.sealer.is_current(&token));
        let mut items: Vec<_> = payload
            .remembered
            .iter()
            .filter_map(|remembered| self.open_remembered(file, remembered))
            .collect();
        for item in items.iter_mut().filter(|item| all || !self.sealer.is_current(&item.token)) {
            let aad = item.path.to_aad();
            let place = Place { purpose: item.purpose, file: file.as_bytes(), path: &aad };
            item.token = self.reseal_anywhere(&place, &item.token, &item.inner);
            tokens += 1;
        }
        if tokens == 0 {
            return Ok(Rewrapped::default());
        }
        let inner = Inner {
            kind: Kind::File,
            codec: opened.codec,
            context: opened.context,
            column: opened.column,
            bytes: whole::write(&items, payload.content),
        };
        let stored = self.reseal_anywhere(&place, &token, &inner).to_whole_text();
        Ok(Rewrapped { stored: Some(stored), tokens, imported: 0 })
    }

    /// Whether a rewrap has nothing to do for `item`.
    fn is_current(&self, item: &Item) -> bool {
        item.imported.is_none() && self.sealer.is_current(&item.token)
    }

    /// `inner` under the master key, bound at least as strongly as `old` was.
    pub(super) fn reseal_anywhere(&self, place: &Place<'_>, old: &Token, inner: &Inner) -> Token {
        let binding = self.binding.max(old.binding());
        self.sealer.seal(place, inner, binding, self.policy.bucket())
    }

    /// The same for a place that takes only some tokens; `None` when none was found.
    pub(super) fn reseal(
        &self,
        place: &Place<'_>,
        old: &Token,
        inner: &Inner,
        takes: impl Fn(&str) -> bool,
    ) -> Option<Token> {
        let binding = self.binding.max(old.binding());
        self.sealer.seal_avoiding(place, inner, binding, self.policy.bucket(), takes)
    }
}
