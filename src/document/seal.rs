//! From the view to the stored text.

use std::collections::HashSet;
use std::sync::Arc;

use super::outgoing::{self, Leak};
use super::stock::{Stock, Supply, WholeText, digest};
use super::{Form, Sealing, parts, reads_as_token, shape, whole};
use crate::format::{Codec, CodecId, FieldPath, ParseError, Site};
use crate::path::RelPath;
use crate::policy::{Class, FieldRules, Secret};
use crate::span::{Edit, Span, splice};
use crate::token::{Binding, Inner, Kind, Place, Purpose, Token};

/// What stands under the file's name so far; decides about names that no rule knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// Nothing, or something sealed: a name that no rule knows is sealed whole.
    NothingPlain,
    /// A plain file: it may stay plain if no rule names it.
    Plain,
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

/// Why a file is sealed whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WholeBecause {
    /// A rule or built-in name says so.
    #[error("a rule says so")]
    Rule,
    /// No rule knows the name.
    #[error("no rule knows its name")]
    UnknownName,
    /// It cannot be read in its format.
    #[error("it cannot be read as its format: {0}")]
    Unreadable(ParseError),
    /// A secret stands in a place of the text that cannot be sealed by itself.
    #[error("a secret stands outside its field too")]
    Leak,
    /// Sealing its fields did not give a text that opens to the same bytes.
    #[error("sealing its fields one by one would not be exact")]
    Inexact,
    /// It begins like a token.
    #[error("it begins like a sealed value")]
    LooksSealed,
}

/// How often values that contain another's secret may be added before the file goes whole.
const MOST_ROUNDS: usize = 8;

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
        match self.policy.classify(file).class {
            Class::Whole => whole(WholeBecause::Rule),
            Class::Fields(codec) => match self.seal_fields(file, view, stocks, codec) {
                Ok(sealed) => sealed,
                Err(because) => whole(because),
            },
            Class::Plain | Class::Unknown if reads_as_token(view) => {
                whole(WholeBecause::LooksSealed)
            }
            Class::Plain => plain(view),
            Class::Unknown if existing == Existing::Plain && !self.holds_secret(file, view) => {
                plain(view)
            }
            Class::Unknown => whole(WholeBecause::UnknownName),
        }
    }

    /// Whether a text that no rule knows looks as if it held a secret: a credential anywhere in
    /// it, or a secret name in any format that it reads as.
    pub fn holds_secret(&self, file: &RelPath, text: &[u8]) -> bool {
        let secret_field = |id: CodecId| {
            let codec = id.codec();
            let rules = self.policy.fields(file, &self.ledger);
            codec.scan(text).is_ok_and(|sites| {
                sites.iter().any(|site| {
                    let source = site.span.of(text);
                    let value = codec.decode(source, site.context);
                    let value = value.as_deref().unwrap_or(source);
                    rules.judge(&site.path, value).secret != Secret::No
                })
            })
        };
        self.policy.credential_in_text(text).is_some() || CodecId::ALL.into_iter().any(secret_field)
    }

    fn seal_fields(
        &self,
        file: &RelPath,
        view: &[u8],
        stocks: &[&Stock],
        id: CodecId,
    ) -> Result<Sealed, WholeBecause> {
        let codec = id.codec();
        let sites = codec.scan(view).map_err(WholeBecause::Unreadable)?;
        let rules = self.policy.fields(file, &self.ledger);
        let (mut plan, ledger) = Plan::make(view, codec, &sites, &rules, stocks);
        plan.close_leaks(view)?;

        let usable = |token: &Token| self.may_keep(token);
        let own = |stock: &&&Stock| self.binding < Binding::File || stock.file == *file;
        let stocks: Vec<&Stock> = stocks.iter().filter(own).copied().collect();
        let mut supply = Supply::new(&stocks, usable);
        let mut edits = Vec::new();
        let mut edited = Vec::new();
        for (at, cover) in plan.covers.iter().enumerate() {
            let site = &sites[at];
            let source = site.span.of(view);
            let mut token = |purpose, span: Span| {
                let inner = Inner {
                    kind: Kind::Source,
                    codec: id as u8,
                    context: site.context.0,
                    column: site.column,
                    bytes: span.of(source).into(),
                };
                self.token_for(file, purpose, &site.path, &inner, &mut supply).to_string()
            };
            let text = match cover {
                Cover::Clear => continue,
                Cover::All => {
                    let token = token(Purpose::Field, Span::new(0, source.len()));
                    codec.token(&token, site.context).into_bytes()
                }
                Cover::Parts(spans) => {
                    let edits: Vec<_> = spans
                        .iter()
                        .map(|span| Edit { span: *span, text: token(Purpose::Part, *span) })
                        .collect();
                    splice(source, &edits).0
                }
            };
            edits.push(Edit { span: site.span, text });
            edited.push(at);
        }
        if edits.is_empty() {
            return Ok(plain(view));
        }
        let (stored, places) = splice(view, &edits);
        let sealed_sites = codec.scan(&stored).map_err(|_| WholeBecause::Inexact)?;
        if !shape::is_same(&sites, &sealed_sites, &edited, &places) {
            return Err(WholeBecause::Inexact);
        }
        let reopened =
            self.reopen(file, &stored, codec, &sealed_sites).map_err(|_| WholeBecause::Inexact)?;
        if reopened.splice(&stored).0 != view {
            return Err(WholeBecause::Inexact);
        }
        let stock = Stock { file: file.clone(), items: reopened.items(), whole: None };
        Ok(Sealed { stored, form: Form::Fields(id), stock, ledger, whole: None })
    }

    fn token_for(
        &self,
        file: &RelPath,
        purpose: Purpose,
        path: &FieldPath,
        inner: &Inner,
        supply: &mut Supply<'_>,
    ) -> Token {
        if let Some(kept) = supply.take(purpose, path, inner) {
            return kept.token.clone();
        }
        let aad = path.to_aad();
        let place = Place { purpose, file: file.as_bytes(), path: &aad };
        self.sealer.seal(&place, inner, self.binding, self.policy.bucket())
    }

    fn seal_whole(
        &self,
        file: &RelPath,
        view: &[u8],
        stocks: &[&Stock],
        because: WholeBecause,
    ) -> Sealed {
        let kept = stocks
            .iter()
            .filter(|stock| self.binding < Binding::File || stock.file == *file)
            .filter_map(|stock| Some((stock, stock.whole.as_ref()?)))
            .find(|(_, whole)| whole.is_of(view) && self.may_keep(&whole.token));
        let stock = match kept {
            Some((stock, whole)) => {
                Stock { file: file.clone(), items: stock.items.clone(), whole: Some(whole.clone()) }
            }
            None => {
                let remembered = stocks.iter().find(|stock| !stock.items.is_empty());
                let items = remembered.map(|stock| stock.items.clone()).unwrap_or_default();
                let text = self.whole_text(file, Purpose::Whole, whole::write(&items, view));
                let whole = WholeText { view_digest: digest(view), ..text };
                Stock { file: file.clone(), items, whole: Some(whole) }
            }
        };
        let stored = stock.whole.iter().flat_map(|whole| whole.text.iter().copied()).collect();
        Sealed { stored, form: Form::Whole, stock, ledger: Vec::new(), whole: Some(because) }
    }

    /// The whole-file form around `payload`.
    pub(super) fn whole_text(
        &self,
        file: &RelPath,
        purpose: Purpose,
        payload: crate::secret::SecretBytes,
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

fn plain(view: &[u8]) -> Sealed {
    let stock = Stock::default();
    Sealed { stored: view.to_vec(), form: Form::Plain, stock, ledger: Vec::new(), whole: None }
}

/// What of one scalar is sealed.
enum Cover {
    Clear,
    All,
    /// Spans of the scalar's source bytes.
    Parts(Vec<Span>),
}

/// What of each scalar is sealed.
struct Plan<'a> {
    codec: &'a dyn Codec,
    sites: &'a [Site],
    covers: Vec<Cover>,
}

impl<'a> Plan<'a> {
    /// The plan by the rules, and the fields that are sealed only because they were before.
    fn make(
        view: &[u8],
        codec: &'a dyn Codec,
        sites: &'a [Site],
        rules: &FieldRules<'_>,
        stocks: &[&Stock],
    ) -> (Self, Vec<FieldPath>) {
        let before: HashSet<&FieldPath> =
            stocks.iter().flat_map(|stock| stock.field_paths()).collect();
        let mut ledger = Vec::new();
        let mut covers = Vec::with_capacity(sites.len());
        for site in sites {
            let source = site.span.of(view);
            let decoded = codec.decode(source, site.context);
            let value = decoded.as_deref().unwrap_or(source);
            let cover = if reads_as_token(source) || reads_as_token(value) {
                Cover::All
            } else {
                let verdict = rules.judge(&site.path, value);
                match verdict.secret {
                    // The name of a list element says which element it is: its siblings' paths need
                    // it, and a secret name above says nothing about it.
                    _ if site.naming && verdict.reason.is_by_name() => Cover::Clear,
                    Secret::All => Cover::All,
                    Secret::Parts(spans) => parts_of(source, value, &spans),
                    Secret::No
                        if !site.naming
                            && before.contains(&site.path)
                            && !verdict.reason.is_rule() =>
                    {
                        if verdict.reason.is_unruled() {
                            ledger.push(site.path.clone());
                        }
                        Cover::All
                    }
                    Secret::No => Cover::Clear,
                }
            };
            covers.push(cover);
        }
        (Self { codec, sites, covers }, ledger)
    }

    /// Seals every scalar that contains another's secret; fails when a secret stands outside all
    /// scalars.
    fn close_leaks(&mut self, view: &[u8]) -> Result<(), WholeBecause> {
        for _ in 0..MOST_ROUNDS {
            let mut secrets = Vec::new();
            let mut covered = Vec::new();
            for (site, cover) in self.sites.iter().zip(&self.covers) {
                let source = site.span.of(view);
                match cover {
                    Cover::Clear => {}
                    Cover::All => {
                        covered.push(site.span);
                        let value = self.codec.decode(source, site.context);
                        secrets.push(value.unwrap_or_else(|| source.into()));
                    }
                    Cover::Parts(spans) => {
                        for span in spans {
                            covered.push(span.shifted(site.span.start));
                            secrets.push(span.of(source).into());
                        }
                    }
                }
            }
            match outgoing::leak(view, &secrets, &covered, self.sites) {
                Leak::None => return Ok(()),
                Leak::InSites(sites) => {
                    for at in sites {
                        self.covers[at] = Cover::All;
                    }
                }
                Leak::Outside => return Err(WholeBecause::Leak),
            }
        }
        Err(WholeBecause::Leak)
    }
}

/// The parts of `source` that stand for `spans` of its decoded `value`; the whole scalar where
/// they cannot be sealed apart.
fn parts_of(source: &[u8], value: &[u8], spans: &[Span]) -> Cover {
    let separable = spans.iter().all(|span| parts::is_separable(value, *span));
    match parts::verbatim_at(source, value) {
        Some(at) if separable && !spans.is_empty() => {
            Cover::Parts(spans.iter().map(|span| span.shifted(at)).collect())
        }
        _ => Cover::All,
    }
}
