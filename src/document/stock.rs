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
    /// The best first; none where one was taken.
    items: Vec<Option<&'a Item>>,
    /// Where the first one stands that is left.
    first: usize,
    /// Made when one is wanted that is not the first: most texts are sealed in the order in which
    /// they were before.
    index: Option<Index>,
}

/// Where the items of a supply stand, the best last, by a hash of what they are asked for by.
struct Index {
    hasher: RandomState,
    by_value: HashMap<u64, Vec<usize>>,
}

impl<'a> Supply<'a> {
    /// The tokens of `stocks` that open in `file` and that `usable` allows. One that stands in
    /// several stocks counts once.
    pub(super) fn new(
        stocks: &[&'a Stock],
        file: &'a RelPath,
        usable: impl Fn(&Token) -> bool,
    ) -> Self {
        let most = stocks.iter().map(|stock| stock.items.len()).sum();
        let (mut seen, mut items) = (HashSet::with_capacity(most), Vec::with_capacity(most));
        let all = stocks.iter().flat_map(|stock| stock.items_for(file));
        items.extend(all.filter(|item| usable(&item.token) && seen.insert(&item.token)).map(Some));
        Self { items, first: 0, index: None }
    }

    /// No tokens.
    pub(super) fn empty() -> Self {
        Self { items: Vec::new(), first: 0, index: None }
    }

    /// A token that opens to exactly `inner`, under `path`; it is not given out again.
    pub(super) fn take(
        &mut self,
        purpose: Purpose,
        path: &FieldPath,
        inner: &Inner,
    ) -> Option<&'a Item> {
        let fits = |item: &Option<&Item>| {
            item.is_some_and(|item| {
                item.purpose == purpose && item.path == *path && item.in_view() == inner
            })
        };
        let at = match self.items.get(self.first)? {
            item if fits(item) => self.first,
            _ => {
                let index = self.index.get_or_insert_with(|| Index::of(&self.items));
                let places = index.places(purpose, path, inner)?;
                // Those that were taken as the first were the best.
                while places.last().is_some_and(|at| self.items[*at].is_none()) {
                    places.pop();
                }
                places.remove(places.iter().rposition(|at| fits(&self.items[*at]))?)
            }
        };
        let taken = self.items[at].take();
        let left = self.items[self.first..].iter().position(Option::is_some);
        self.first = left.map_or(self.items.len(), |taken| self.first + taken);
        taken
    }
}

impl Index {
    fn of(items: &[Option<&Item>]) -> Self {
        let mut index =
            Self { hasher: RandomState::new(), by_value: HashMap::with_capacity(items.len()) };
        for (at, item) in items.iter().enumerate().rev() {
            if let Some(item) = item {
                let key = index.key(item.purpose, &item.path, item.in_view());
                index.by_value.entry(key).or_default().push(at);
            }
        }
        index
    }

    fn places(
        &mut self,
        purpose: Purpose,
        path: &FieldPath,
        inner: &Inner,
    ) -> Option<&mut Vec<usize>> {
        self.by_value.get_mut(&self.key(purpose, path, inner))
    }

    fn key(&self, purpose: Purpose, path: &FieldPath, inner: &Inner) -> u64 {
        self.hasher.hash_one((purpose, path, &inner.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::sealer;
    use crate::keyring::{Key, Keyring};
    use crate::token::{Kind, Place};

    fn inner(value: &str) -> Inner {
        Inner {
            kind: Kind::Source,
            codec: 1,
            context: 0,
            column: 0,
            bytes: value.as_bytes().into(),
        }
    }

    /// The tokens of these values, all under one path.
    fn stock(values: &[&str]) -> Stock {
        let key = Key::parse(format!("{:064x}", 257).as_bytes()).unwrap();
        let sealer = sealer(Keyring::new(key, vec![]).unwrap());
        let path = FieldPath::root().key("list").element();
        let item = |value: &&str| {
            let place = Place { purpose: Purpose::Field, file: b"", path: &path.to_aad() };
            let token = sealer.seal(&place, &inner(value), Binding::Field, 16);
            let (inner, purpose, path) = (Arc::new(inner(value)), Purpose::Field, path.clone());
            Item { purpose, path, token, inner, imported: None, spelled: None }
        };
        Stock { items: values.iter().map(item).collect(), ..Stock::default() }
    }

    /// Which of the items is given for each value, one after the other.
    fn taken(stocks: &[&Stock], values: &[&str]) -> Vec<Option<usize>> {
        let file = RelPath::root();
        let mut supply = Supply::new(stocks, &file, |_| true);
        let path = FieldPath::root().key("list").element();
        let items: Vec<&Item> = stocks.iter().flat_map(|stock| &stock.items).collect();
        let number = |value: &&str| {
            let item = supply.take(Purpose::Field, &path, &inner(value))?;
            items.iter().position(|other| std::ptr::eq(*other, item))
        };
        values.iter().map(number).collect()
    }

    #[test]
    fn of_equal_values_the_best_token_is_given_first_in_whatever_order_they_are_asked_for() {
        let stock = stock(&["a", "b", "a", "c", "a"]);
        for (values, wanted) in [
            (&["a", "b", "a", "c", "a"][..], &[Some(0), Some(1), Some(2), Some(3), Some(4)][..]),
            (&["c", "a", "a", "a", "a"], &[Some(3), Some(0), Some(2), Some(4), None]),
            (&["b", "a", "x", "a", "b"], &[Some(1), Some(0), None, Some(2), None]),
            (&["a", "c", "a", "b", "a"], &[Some(0), Some(3), Some(2), Some(1), Some(4)]),
        ] {
            assert_eq!(taken(&[&stock], values), wanted, "{values:?}");
        }
    }

    #[test]
    fn a_token_that_stands_in_several_stocks_is_given_once() {
        let (first, second) = (stock(&["a", "b"]), stock(&["a"]));
        let again = first.clone();
        let wanted = [Some(0), Some(4), None, Some(1), None];
        assert_eq!(taken(&[&first, &again, &second], &["a", "a", "a", "b", "b"]), wanted);
    }
}
