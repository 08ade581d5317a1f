//! What of a document is sealed: by the rules, because it was sealed before, and because it holds
//! another's secret.
//!
//! Must stay true: when two of these say more and less, more is sealed. A rule that says public
//! ends what was sealed before; it gives way to a credential, to what reads as a token, and to the
//! outgoing check.

use std::collections::HashMap;

use super::import::Imports;
use super::judge::judge;
use super::outgoing::{Leak, Secrets};
use super::stock::Stock;
use super::{WholeBecause, parts, reads_as_token};
use crate::format::{Codec, FieldPath, Site};
use crate::policy::{FieldRules, Secret};
use crate::secret::SecretBytes;
use crate::span::Span;

/// How often values that contain another's secret may be added before the file goes whole.
const MOST_ROUNDS: usize = 8;

/// What of one scalar is sealed.
pub(super) enum Cover {
    Clear,
    All,
    /// Spans of the scalar's source bytes.
    Parts(Vec<Span>),
}

/// What of each scalar is sealed.
pub(super) struct Plan<'a> {
    pub codec: &'a dyn Codec,
    pub sites: &'a [Site],
    pub covers: Vec<Cover>,
    /// What each scalar decodes to; its source bytes where they are nothing that the codec reads.
    decoded: Vec<SecretBytes>,
}

impl<'a> Plan<'a> {
    /// The plan by the rules.
    pub(super) fn make(
        view: &[u8],
        codec: &'a dyn Codec,
        sites: &'a [Site],
        rules: &FieldRules<'_>,
        imports: &Imports,
    ) -> Self {
        let mut covers = Vec::with_capacity(sites.len());
        let mut decoded = Vec::with_capacity(sites.len());
        for site in sites {
            let source = site.span.of(view);
            let value = codec.decode(source, site.context).unwrap_or_else(|| source.into());
            let reads_as_token = reads_as_token(source)
                || reads_as_token(&value)
                || imports.would_read(&site.path, &value);
            let cover = if reads_as_token {
                Cover::All
            } else {
                match judge(rules, codec.id(), view, site, &value).secret {
                    Secret::All => Cover::All,
                    Secret::Parts(spans) => parts_of(source, &value, &spans),
                    Secret::No => Cover::Clear,
                }
            };
            covers.push(cover);
            decoded.push(value);
        }
        Self { codec, sites, covers, decoded }
    }

    /// Where the values stand, but for those in comments that are no secrets.
    pub(super) fn values(&self) -> impl Iterator<Item = Span> {
        let values = self.sites.iter().zip(&self.covers).filter(|(site, cover)| {
            !(matches!(cover, Cover::Clear) && self.codec.is_comment(site.context))
        });
        values.map(|(site, _)| site.span)
    }

    /// Seals what was sealed before, unless a rule says that it is public. Whether there was such
    /// a field, and those that no rule names.
    ///
    /// Fields that share a path, the elements of a list say, are told apart by number alone: where
    /// fewer are secret by the rules than were sealed, all of them are sealed.
    pub(super) fn keep_sealed(
        &mut self,
        view: &[u8],
        rules: &FieldRules<'_>,
        stocks: &[&Stock],
    ) -> (bool, Vec<FieldPath>) {
        if stocks.iter().all(|stock| self.seals_fields_of(stock)) {
            return (false, Vec::new());
        }
        let mut missing: HashMap<&FieldPath, usize> = HashMap::new();
        for stock in stocks {
            let mut sealed: HashMap<&FieldPath, usize> = HashMap::new();
            stock.field_paths().for_each(|path| *sealed.entry(path).or_default() += 1);
            for (path, count) in sealed {
                let most = missing.entry(path).or_default();
                *most = count.max(*most);
            }
        }
        for (site, cover) in self.sites.iter().zip(&self.covers) {
            if let (Cover::All, Some(count)) = (cover, missing.get_mut(&site.path)) {
                *count = count.saturating_sub(1);
            }
        }
        missing.retain(|_, count| *count > 0);

        let mut kept = false;
        let mut ledger = Vec::new();
        for (at, site) in self.sites.iter().enumerate() {
            if site.naming
                || matches!(self.covers[at], Cover::All)
                || !missing.contains_key(&site.path)
                // What a rule says of the path, whatever stands there.
                || rules.judge(&site.path, b"any value").reason.is_rule()
            {
                continue;
            }
            let verdict = judge(rules, self.codec.id(), view, site, &self.decoded[at]);
            if verdict.reason.is_unruled() {
                ledger.push(site.path.clone());
            }
            self.covers[at] = Cover::All;
            kept = true;
        }
        ledger.dedup();
        (kept, ledger)
    }

    /// Whether the fields that were sealed in `stock` are among those that are now, in their order:
    /// then none is missing. So it is at nearly every save.
    fn seals_fields_of(&self, stock: &Stock) -> bool {
        let sites = self.sites.iter().zip(&self.covers);
        let mut sealed = sites.filter(|(_, cover)| matches!(cover, Cover::All));
        stock.field_paths().all(|path| sealed.any(|(site, _)| site.path == *path))
    }

    /// Seals every scalar that contains another's secret; fails when a secret stands outside all
    /// scalars.
    pub(super) fn close_leaks(&mut self, view: &[u8]) -> Result<(), WholeBecause> {
        for _ in 0..MOST_ROUNDS {
            let mut secrets = Secrets::default();
            let mut covered = Vec::new();
            for (at, (site, cover)) in self.sites.iter().zip(&self.covers).enumerate() {
                let source = site.span.of(view);
                match cover {
                    Cover::Clear => {}
                    Cover::All => {
                        covered.push(site.span);
                        secrets.add(&self.decoded[at], source);
                    }
                    Cover::Parts(spans) => {
                        for span in spans {
                            covered.push(span.shifted(site.span.start));
                            secrets.add(span.of(source), span.of(source));
                        }
                    }
                }
            }
            let Some(search) = secrets.search()? else { return Ok(()) };
            let mut leaking = match search.leak(view, &covered, self.sites) {
                Leak::Outside => return Err(WholeBecause::Leak),
                Leak::InSites(sites) => sites,
            };
            leaking.extend(
                self.escaped(view).filter_map(|(at, value)| search.is_in(value).then_some(at)),
            );
            if leaking.is_empty() {
                return Ok(());
            }
            for at in leaking {
                self.covers[at] = Cover::All;
            }
        }
        Err(WholeBecause::Leak)
    }

    /// The values in the clear that are spelled otherwise than they are read.
    fn escaped(&self, view: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
        let values = self.sites.iter().zip(&self.covers).zip(&self.decoded).enumerate();
        values.filter_map(move |(at, ((site, cover), value))| {
            let is_escaped = matches!(cover, Cover::Clear)
                && parts::verbatim_at(site.span.of(view), value).is_none();
            is_escaped.then_some((at, &**value))
        })
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
