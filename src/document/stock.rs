//! The tokens that a file held: what an unchanged value may keep.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::format::FieldPath;
use crate::path::RelPath;
use crate::token::foreign::Scheme;
use crate::token::{Binding, Inner, Purpose, Token};

/// One sealed value as it stood.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub purpose: Purpose,
    pub path: FieldPath,
    pub token: Token,
    pub inner: Arc<Inner>,
    /// The scheme of the foreign token that stands in the store; `token` is then one of ours that
    /// stands nowhere yet, made to take its place when the file is next written.
    pub imported: Option<Scheme>,
    /// What stood for it in the view, where that is not what stands inside: a value sealed by hand
    /// or read by another codec is spelled for its place.
    pub spelled: Option<Arc<Inner>>,
}

impl Item {
    /// What would be sealed for the value as it stood in the view.
    fn in_view(&self) -> &Inner {
        self.spelled.as_deref().unwrap_or(&self.inner)
    }

    /// Whether the token opens in `file`: one bound to a file does in none but its own.
    pub(super) fn belongs_to(&self, file: &RelPath, own: &RelPath) -> bool {
        self.token.binding() < Binding::File || file == own
    }
}

/// The tokens of one state of one file, in their order, and the whole-file text if it had that
/// form.
#[derive(Clone, Default, Debug)]
pub struct Stock {
    /// The file they stood in.
    pub(super) file: RelPath,
    pub(super) items: Vec<Item>,
    pub(super) whole: Option<WholeText>,
}

/// A whole-file text and the digest of the view inside.
#[derive(Clone, Debug)]
pub(super) struct WholeText {
    pub view_digest: [u8; 32],
    pub text: Arc<[u8]>,
    pub token: Token,
}

impl WholeText {
    pub(super) fn is_of(&self, view: &[u8]) -> bool {
        self.view_digest == digest(view)
    }
}

/// SHA-256 of a view; stays in memory.
pub(super) fn digest(view: &[u8]) -> [u8; 32] {
    Sha256::digest(view).into()
}

impl Stock {
    /// Whether any value of the file was sealed.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.whole.is_none()
    }

    /// Whether fields were sealed here, or in what a whole file was before.
    pub fn holds_fields(&self) -> bool {
        !self.items.is_empty()
    }

    /// How many sealed values there are.
    pub fn len(&self) -> usize {
        self.items.len() + usize::from(self.whole.is_some())
    }

    /// The schemes of the foreign tokens that stand in the file's text.
    pub fn foreign(&self) -> impl Iterator<Item = Scheme> {
        self.items.iter().filter_map(|item| item.imported)
    }

    /// Our tokens that stand in the file's text, without those that a whole file remembers.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        let visible = if self.whole.is_some() { 0 } else { self.items.len() };
        self.items[..visible]
            .iter()
            .filter(|item| item.imported.is_none())
            .map(|item| &item.token)
            .chain(self.whole.iter().map(|whole| &whole.token))
    }

    /// The sealed values whose tokens open in `file` too.
    pub(super) fn items_for<'a>(
        &'a self,
        file: &'a RelPath,
    ) -> impl DoubleEndedIterator<Item = &'a Item> {
        self.items.iter().filter(move |item| item.belongs_to(&self.file, file))
    }

    /// The fields that were sealed as a whole.
    pub(super) fn field_paths(&self) -> impl Iterator<Item = &FieldPath> {
        self.items.iter().filter(|item| item.purpose == Purpose::Field).map(|item| &item.path)
    }
}

/// Several stocks, best first, from which each token is taken at most once.
pub(super) struct Supply<'a> {
    hasher: RandomState,
    by_value: HashMap<u64, Vec<&'a Item>>,
}

impl<'a> Supply<'a> {
    /// The tokens of `stocks` that open in `file` and that `usable` allows. One that stands in
    /// several stocks counts once.
    pub(super) fn new(
        stocks: &[&'a Stock],
        file: &'a RelPath,
        usable: impl Fn(&Token) -> bool,
    ) -> Self {
        let mut seen = HashSet::new();
        let items = stocks.iter().flat_map(|stock| stock.items_for(file));
        let items: Vec<&Item> =
            items.filter(|item| usable(&item.token) && seen.insert(&item.token)).collect();
        let mut supply = Self::empty();
        // Taken from the end of each list, so the best comes last.
        for item in items.into_iter().rev() {
            let key = supply.key(item.purpose, &item.path, item.in_view());
            supply.by_value.entry(key).or_default().push(item);
        }
        supply
    }

    /// No tokens.
    pub(super) fn empty() -> Self {
        Self { hasher: RandomState::new(), by_value: HashMap::new() }
    }

    /// A token that opens to exactly `inner`, under `path`; it is not given out again.
    pub(super) fn take(
        &mut self,
        purpose: Purpose,
        path: &FieldPath,
        inner: &Inner,
    ) -> Option<&'a Item> {
        let key = self.key(purpose, path, inner);
        let items = self.by_value.get_mut(&key)?;
        let at = items.iter().rposition(|item| {
            item.purpose == purpose && item.path == *path && item.in_view() == inner
        })?;
        Some(items.remove(at))
    }

    fn key(&self, purpose: Purpose, path: &FieldPath, inner: &Inner) -> u64 {
        self.hasher.hash_one((purpose, path, &inner.bytes))
    }
}
