//! From the view to the stored text.

use std::sync::Arc;

use super::inspect::holds_secret;
use super::outside;
use super::plan::{Cover, Plan};
use super::reopened::source_of;
use super::stock::{Item, Stock, Supply, WholeText, digest};
use super::{Form, Sealing, WholeBecause, claims_whole, reads_as_token, shape, whole};
use crate::format::{Codec, FieldPath, Format, Scanned, Site};
use crate::path::RelPath;
use crate::policy::Class;
use crate::secret::SecretBytes;
use crate::span::{Edit, Span, splice};
use crate::token::{Binding, Inner, Kind, Place, Purpose, Token};

/// What stands under the file's name so far; decides about names that no rule knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// Nothing: it may be a temporary file of a program that saves by renaming.
    Nothing,
    /// Something sealed: a name that no rule knows is sealed whole.
    Sealed,
    /// A plain file: it may stay plain if no rule names it.
    Plain,
}

impl Existing {
    /// What a file of this form counts as; `None` for no file.
    pub fn of(form: Option<Form>) -> Self {
        match form {
            None => Existing::Nothing,
            Some(Form::Plain) => Existing::Plain,
            Some(Form::Fields(_) | Form::Whole) => Existing::Sealed,
        }
    }
}

/// A view, sealed.
#[derive(Debug)]
pub struct Sealed {
    /// What goes into the store.
    pub stored: Vec<u8>,
    /// How it stands there.
    pub form: Form,
    /// Its tokens.
    pub stock: Stock,
    /// Fields to enter into the ledger: they were sealed before and no rule names them.
    pub ledger: Vec<FieldPath>,
    /// Why the whole-file form was taken.
    pub whole: Option<WholeBecause>,
}

impl Sealing {
    /// Seals `view`, the new content of `file`. `stocks` are the tokens that unchanged values may
    /// keep, best first.
    ///
    /// Never fails: what cannot be sealed field by field is sealed whole. An empty file stays
    /// empty.
    pub fn seal(
        &self,
        file: &RelPath,
        view: &[u8],
        stocks: &[&Stock],
        existing: Existing,
    ) -> Sealed {
        if view.is_empty() {
            return plain(view);
        }
        let whole = |because| self.seal_whole(file, view, stocks, because);
        if claims_whole(view) {
            return whole(WholeBecause::LooksSealed);
        }
        let classified = self.policy.classify(file);
        match &classified.class {
            Class::Whole => whole(WholeBecause::Rule),
            Class::Fields(format) => match format.scan(view) {
                Ok(scanned) => self
                    .seal_fields(file, view, stocks, existing, format, &scanned)
                    .unwrap_or_else(|because| {
                        whole(match (because, format) {
                            (WholeBecause::Inexact, Format::Pattern(_)) => WholeBecause::NoToken,
                            (because, _) => because,
                        })
                    }),
                Err(_) if classified.is_by_content() => {
                    self.seal_unknown(file, view, stocks, existing)
                }
                Err(error) => whole(WholeBecause::Unreadable(error)),
            },
            Class::Plain if reads_as_token(view) => whole(WholeBecause::LooksSealed),
            Class::Plain => plain(view),
            Class::Unknown => self.seal_unknown(file, view, stocks, existing),
        }
    }

    fn seal_unknown(
        &self,
        file: &RelPath,
        view: &[u8],
        stocks: &[&Stock],
        existing: Existing,
    ) -> Sealed {
        let because = match existing {
            _ if reads_as_token(view) => WholeBecause::LooksSealed,
            Existing::Plain if !holds_secret(&self.policy, &self.ledger, file, view) => {
                return plain(view);
            }
            _ => WholeBecause::UnknownName,
        };
        self.seal_whole(file, view, stocks, because)
    }

    fn seal_fields(
        &self,
        file: &RelPath,
        view: &[u8],
        stocks: &[&Stock],
        existing: Existing,
        format: &Format,
        Scanned { id, sites }: &Scanned,
    ) -> Result<Sealed, WholeBecause> {
        let had_fields = stocks.iter().any(|stock| stock.holds_fields());
        if sites.is_empty() && had_fields && matches!(format, Format::Pattern(_)) {
            return Err(WholeBecause::NoMatch);
        }
        let rules = match existing {
            Existing::Nothing => self.policy.fields_of_newcomer(file, &self.ledger),
            Existing::Sealed | Existing::Plain => self.policy.fields(file, &self.ledger),
        };
        let mut plan = Plan::make(view, id.codec(), sites, &rules, &self.imports);
        if let Some(outside) = outside::find(&self.policy, view, plan.values()) {
            return Err(WholeBecause::Outside(outside));
        }
        plan.close_leaks(view)?;
        let (kept, ledger) = plan.keep_sealed(view, &rules, stocks);
        if kept {
            plan.close_leaks(view)?;
        }

        let supply = Supply::new(stocks, file, |token| self.may_keep(token));
        let spliced = match self.splice_tokens(file, view, format, &plan, supply) {
            // A kept token may fit its new place less well than it did the old: seal all anew.
            Err(WholeBecause::Inexact) => {
                self.splice_tokens(file, view, format, &plan, Supply::empty())?
            }
            spliced => spliced?,
        };
        Ok(match spliced {
            None => plain(view),
            Some((stored, stock)) => {
                Sealed { stored, form: Form::Fields(*id), stock, ledger, whole: None }
            }
        })
    }

    /// The stored text that `plan` gives, proved to open to `view`, and its tokens; `None` when
    /// nothing is to be sealed.
    fn splice_tokens(
        &self,
        file: &RelPath,
        view: &[u8],
        format: &Format,
        plan: &Plan<'_>,
        mut supply: Supply<'_>,
    ) -> Result<Option<(Vec<u8>, Stock)>, WholeBecause> {
        let (codec, sites) = (plan.codec, plan.sites);
        let id = codec.id();
        let mut edits = Vec::new();
        let mut edited = Vec::new();
        for (at, (site, cover)) in sites.iter().zip(&plan.covers).enumerate() {
            let source = site.span.of(view);
            let mut token = |purpose, span: Span| {
                let inner = source_of(site, id, span.of(source).into());
                let token = self.token_for(file, purpose, site, codec, &inner, &mut supply);
                token.ok_or(WholeBecause::Inexact)
            };
            let text = match cover {
                Cover::Clear => continue,
                Cover::All => {
                    let token = token(Purpose::Field, Span::new(0, source.len()))?;
                    codec.token(&token, site.context).into_bytes()
                }
                Cover::Parts(spans) => {
                    let part =
                        |span: &Span| Ok(Edit { span: *span, text: token(Purpose::Part, *span)? });
                    let edits = spans.iter().map(part).collect::<Result<Vec<_>, _>>()?;
                    splice(source, &edits).0
                }
            };
            edits.push(Edit { span: site.span, text });
            edited.push(at);
        }
        if edits.is_empty() {
            return Ok(None);
        }
        let (stored, places) = splice(view, &edits);
        let inexact = |_| WholeBecause::Inexact;
        let sealed = format.scan(&stored).map_err(|_| WholeBecause::Inexact)?;
        if sealed.id != id || !shape::is_same(sites, &sealed.sites, &edited, &places) {
            return Err(WholeBecause::Inexact);
        }
        let reopened = self.reopen(file, &stored, id, &sealed.sites).map_err(inexact)?;
        let (reopened, opened) = reopened
            .into_view(&stored, id, format, &sealed.sites, Some((view, sites)))
            .map_err(inexact)?;
        if *opened != *view {
            return Err(WholeBecause::Inexact);
        }
        let stock = Stock { file: file.clone(), items: reopened.items(id), whole: None };
        Ok(Some((stored, stock)))
    }

    /// The text of a token for `inner`: the one that it had, or a fresh one.
    fn token_for(
        &self,
        file: &RelPath,
        purpose: Purpose,
        site: &Site,
        codec: &dyn Codec,
        inner: &Inner,
        supply: &mut Supply<'_>,
    ) -> Option<String> {
        if let Some(kept) = supply.take(purpose, &site.path, inner) {
            return Some(kept.token.to_text());
        }
        let aad = site.path.to_aad();
        let place = Place { purpose, file: file.as_bytes(), path: &aad };
        self.seal_fitting(&place, inner, site, codec).map(|token| token.to_text())
    }

    /// A fresh token that may stand at `site`.
    pub(super) fn seal_fitting(
        &self,
        place: &Place<'_>,
        inner: &Inner,
        site: &Site,
        codec: &dyn Codec,
    ) -> Option<Token> {
        let takes = |token: &str| codec.takes(token, site.context);
        self.sealer.seal_avoiding(place, inner, self.binding, self.policy.bucket(), takes)
    }

    pub(super) fn seal_whole(
        &self,
        file: &RelPath,
        view: &[u8],
        stocks: &[&Stock],
        because: WholeBecause,
    ) -> Sealed {
        let kept = stocks
            .iter()
            .filter_map(|stock| Some((stock, stock.whole.as_ref()?)))
            .filter(|(stock, whole)| whole.token.binding() < Binding::File || stock.file == *file)
            .find(|(_, whole)| whole.is_of(view) && self.may_keep(&whole.token));
        let stock = match kept {
            Some((stock, whole)) => {
                Stock { file: file.clone(), items: stock.items.clone(), whole: Some(whole.clone()) }
            }
            None => {
                let remembered = stocks.iter().find(|stock| !stock.items.is_empty());
                let items = remembered.map(|stock| self.remember(file, stock)).unwrap_or_default();
                let text = self.whole_text(file, Purpose::Whole, whole::write(&items, view));
                let whole = WholeText { view_digest: digest(view), ..text };
                Stock { file: file.clone(), items, whole: Some(whole) }
            }
        };
        let stored = stock.whole.iter().flat_map(|whole| whole.text.iter().copied()).collect();
        Sealed { stored, form: Form::Whole, stock, ledger: Vec::new(), whole: Some(because) }
    }

    /// The tokens of `stock`, to ride along in `file`; sealed anew where they would not open there
    /// or may not be kept.
    fn remember(&self, file: &RelPath, stock: &Stock) -> Vec<Item> {
        let mut items = stock.items.clone();
        for item in &mut items {
            // Its token is about to stand there.
            item.imported = None;
            if self.may_keep(&item.token) && item.belongs_to(&stock.file, file) {
                continue;
            }
            let aad = item.path.to_aad();
            let place = Place { purpose: item.purpose, file: file.as_bytes(), path: &aad };
            item.token = self.reseal_anywhere(&place, &item.token, &item.inner);
        }
        items
    }

    /// The whole-file form around `payload`.
    pub(super) fn whole_text(
        &self,
        file: &RelPath,
        purpose: Purpose,
        payload: SecretBytes,
    ) -> WholeText {
        let inner = Inner { kind: Kind::File, codec: 0, context: 0, column: 0, bytes: payload };
        let place = Place { purpose, file: file.as_bytes(), path: &[] };
        let token = self.sealer.seal(&place, &inner, self.binding, self.policy.bucket());
        WholeText { view_digest: [0; 32], text: Arc::from(token.to_whole_text()), token }
    }

    /// Whether an unchanged value may keep `token`.
    fn may_keep(&self, token: &Token) -> bool {
        token.binding() >= self.binding
            && (self.keep_legacy_tokens || self.sealer.is_current(token))
    }
}

/// `view` as it is, with nothing sealed.
pub(super) fn plain(view: &[u8]) -> Sealed {
    let stock = Stock::default();
    Sealed { stored: view.to_vec(), form: Form::Plain, stock, ledger: Vec::new(), whole: None }
}
