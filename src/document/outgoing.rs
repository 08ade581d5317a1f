//! The outgoing check: no sealed value of eight bytes or more stands elsewhere in the clear.
//!
//! Must stay true: time is linear in the text and the secrets, whatever stands in them.

use std::cell::OnceCell;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use memchr::memmem;

use super::WholeBecause;
use crate::format::Site;
use crate::span::Span;

/// Shorter values are too likely to stand in a text by chance.
const SHORTEST: usize = 8;

/// So many are looked for one by one first: most texts leak none, and to build the automaton that
/// looks for all at once takes longer than that.
const FEW: usize = 32;

/// Of a longer value, this much of its beginning is looked for: where that stands, enough has
/// leaked.
const LONGEST: usize = 1024;

/// Where secrets stand uncovered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leak {
    /// Inside these sites, and nowhere else.
    InSites(Vec<usize>),
    /// Somewhere that is no site: a key, a comment.
    Outside,
}

/// What is sealed in a document.
#[derive(Default)]
pub(super) struct Secrets<'a>(Vec<&'a [u8]>);

impl<'a> Secrets<'a> {
    /// Adds a `value` and the way it is spelled in `source`.
    pub(super) fn add(&mut self, value: &'a [u8], source: &'a [u8]) {
        if value.len() < SHORTEST {
            return;
        }
        let spelled = unquoted(source);
        if spelled.len() >= SHORTEST && spelled != value {
            self.push(spelled);
        }
        self.push(value);
    }

    fn push(&mut self, secret: &'a [u8]) {
        self.0.push(&secret[..secret.len().min(LONGEST)]);
    }

    /// What finds them; `None` when there is nothing to look for. Too many for the automaton:
    /// nothing can be shown, so the file goes whole.
    pub(super) fn search(self) -> Result<Option<Search<'a>>, WholeBecause> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let secrets = self.distinct();
        let search = match secrets.len() <= FEW {
            true => Search {
                few: secrets.iter().map(|secret| memmem::Finder::new(*secret)).collect(),
                all: OnceCell::new(),
            },
            false => Search { few: Vec::new(), all: automaton(&secrets)?.into() },
        };
        Ok(Some(search))
    }

    /// Each secret once, however often it stands there. In order, each goes where the one before it
    /// went when they are made into an automaton: with very many, the cache notices.
    fn distinct(self) -> Vec<&'a [u8]> {
        let mut secrets = self.0;
        secrets.sort_unstable();
        secrets.dedup();
        secrets
    }
}

/// `source` without quotes, in whatever format.
fn unquoted(source: &[u8]) -> &[u8] {
    let quotes: &[u8] = b"\"'`";
    let Some(start) = source.iter().position(|b| !quotes.contains(b)) else { return &[] };
    let end = source.iter().rposition(|b| !quotes.contains(b)).map_or(start, |at| at + 1);
    &source[start..end]
}

/// Made for one text: one that searches faster (a DFA, which the library would choose for up to 100
/// secrets) costs more to make than it saves, and a hundred bytes of memory for each of a secret.
fn automaton(secrets: &[&[u8]]) -> Result<AhoCorasick, WholeBecause> {
    let kind = Some(AhoCorasickKind::ContiguousNFA);
    AhoCorasick::builder().kind(kind).build(secrets).map_err(|_| WholeBecause::Leak)
}

/// Finds secrets in a text.
pub(super) struct Search<'a> {
    /// Each of them; empty when they are too many for that.
    few: Vec<memmem::Finder<'a>>,
    /// All of them; of a few only made when one was found.
    all: OnceCell<AhoCorasick>,
}

impl Search<'_> {
    /// Whether a secret stands in `value`.
    pub(super) fn is_in(&self, value: &[u8]) -> bool {
        match self.few.is_empty() {
            true => self.all.get().is_some_and(|all| all.is_match(value)),
            false => self.few.iter().any(|secret| secret.find(value).is_some()),
        }
    }

    fn all(&self) -> Option<&AhoCorasick> {
        if self.all.get().is_none() {
            let secrets: Vec<_> = self.few.iter().map(memmem::Finder::needle).collect();
            // Cannot be there yet: nobody else has this search.
            let _ = self.all.set(automaton(&secrets).ok()?);
        }
        self.all.get()
    }

    /// Looks for secrets in what the `covered` spans leave of `text`. `covered` and `sites` are in
    /// order and do not overlap.
    pub(super) fn leak(&self, text: &[u8], covered: &[Span], sites: &[Site]) -> Leak {
        let mut leaking = Vec::new();
        let mut sites = sites.iter().enumerate().peekable();
        if !self.few.is_empty() && !self.few.iter().any(|secret| leaks(secret, text, covered)) {
            return Leak::InSites(leaking);
        }
        let starts = std::iter::once(0).chain(covered.iter().map(|span| span.end));
        let ends = covered.iter().map(|span| span.start).chain([text.len()]);
        let gaps = starts.zip(ends);
        let Some(all) = self.all() else { return Leak::Outside };
        for (start, end) in gaps {
            let mut from = start;
            while let Some(found) = all.find(&text[from..end]) {
                let found = Span::new(from + found.start(), from + found.end());
                while sites.next_if(|(_, site)| site.span.end < found.end).is_some() {}
                match sites.peek() {
                    Some((at, site)) if site.span.start <= found.start => {
                        leaking.push(*at);
                        // What else stands in it, or reaches into it, is covered together with it.
                        from = site.span.end.min(end);
                    }
                    _ => return Leak::Outside,
                }
            }
        }
        leaking.dedup();
        Leak::InSites(leaking)
    }
}

/// Whether `secret` stands in what the `covered` spans leave of `text`. One search for all of it:
/// most gaps are so short that to begin one takes longer than to go through.
fn leaks(secret: &memmem::Finder<'_>, text: &[u8], covered: &[Span]) -> bool {
    let mut covered = covered.iter().peekable();
    let mut from = 0;
    while let Some(at) = secret.find(&text[from..]) {
        let found = Span::new(from + at, from + at + secret.needle().len());
        while covered.next_if(|span| span.end <= found.start).is_some() {}
        match covered.peek() {
            // Nor does it stand uncovered anywhere from here to the end of that span.
            Some(span) if span.start < found.end => from = span.end,
            _ => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Context, FieldPath};
    use proptest::prelude::*;

    fn site(span: Span) -> Site {
        Site {
            span,
            path: FieldPath::root(),
            context: Context::ORDINARY,
            column: 0,
            naming: false,
            also: Box::default(),
        }
    }

    fn secrets<'a>(secrets: &[&'a [u8]]) -> Secrets<'a> {
        let mut all = Secrets::default();
        secrets.iter().for_each(|secret| all.add(secret, secret));
        all
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands_uncovered() {
        let text = b"password=hunter22222 copy=my-hunter22222! # note";
        let secrets = secrets(&[b"hunter22222"]);
        let search = secrets.search().unwrap().unwrap();
        let (value, copy) = (Span::new(9, 20), Span::new(26, 41));
        let sites = [site(value), site(copy)];
        assert_eq!(search.leak(text, &[value], &sites), Leak::InSites(vec![1]));
        assert_eq!(search.leak(text, &[value, copy], &sites), Leak::InSites(vec![]));
        assert_eq!(search.leak(text, &[value], &sites[..1]), Leak::Outside);
    }

    #[test]
    fn a_copy_beside_a_sealed_part_of_the_same_value_is_found() {
        let text = b"url=a://hunter22222:hunter22222@h";
        let sites = [site(Span::new(4, 33))];
        let part = Span::new(20, 31);
        let secrets = secrets(&[b"hunter22222"]);
        let search = secrets.search().unwrap().unwrap();
        assert_eq!(search.leak(text, &[part], &sites), Leak::InSites(vec![0]));
    }

    proptest! {
        #[test]
        fn one_search_finds_what_a_search_in_each_gap_does(
            text in "[ab]{0,20}",
            secret in "[ab]{1,4}",
            ends in prop::collection::btree_set(0..20usize, 0..8),
        ) {
            let ends: Vec<usize> = ends.into_iter().map(|end| end.min(text.len())).collect();
            let covered: Vec<Span> =
                ends.chunks_exact(2).map(|ends| Span::new(ends[0], ends[1])).collect();
            let mut gaps = Vec::new();
            let mut from = 0;
            for span in covered.iter().copied().chain([Span::new(text.len(), text.len())]) {
                gaps.push(&text[from..span.start]);
                from = span.end;
            }
            let finder = memmem::Finder::new(secret.as_bytes());
            let wanted = gaps.iter().any(|gap| gap.contains(&secret));
            prop_assert_eq!(leaks(&finder, text.as_bytes(), &covered), wanted);
        }
    }

    #[test]
    fn short_values_are_not_looked_for_and_equal_ones_once() {
        let mut secrets = Secrets::default();
        secrets.add(b"hunter2", b"'hunter2'");
        assert!(secrets.search().unwrap().is_none());
        let mut secrets = Secrets::default();
        for _ in 0..3 {
            secrets.add(b"hunter22222", b"\"hunter22222\"");
        }
        secrets.add(b"a\"bcdefgh", b"\"a\\\"bcdefgh\"");
        let as_read_and_as_spelled = [&b"a\"bcdefgh"[..], b"a\\\"bcdefgh", b"hunter22222"];
        assert_eq!(secrets.distinct(), as_read_and_as_spelled);
    }

    #[test]
    fn the_automaton_is_no_multiple_of_the_secrets() {
        let secrets: Vec<Vec<u8>> = (0..90u8)
            .map(|n| (0..1000u16).map(|at| (at % 251) as u8 ^ (at / 7) as u8 ^ n).collect())
            .collect();
        let secrets: Vec<&[u8]> = secrets.iter().map(Vec::as_slice).collect();
        let bytes = automaton(&secrets).unwrap().memory_usage();
        assert!(bytes < 90 * 1000 * 20, "{bytes} bytes");
    }

    /// Each search goes on behind what it found: nested secrets do not multiply the work.
    #[test]
    fn a_text_of_one_letter_is_searched_once() {
        let mut text = [b'a'; 4000];
        text.iter_mut().skip(99).step_by(100).for_each(|byte| *byte = b' ');
        let text = text;
        let nested: Vec<&[u8]> = (8..99).map(|len| &text[..len]).collect();
        let (many, few) = (secrets(&nested), secrets(&nested[..FEW]));
        let sites: Vec<Site> = (0..40).map(|n| site(Span::new(n * 100, n * 100 + 99))).collect();
        let all: Vec<usize> = (0..40).collect();
        for secrets in [many, few] {
            let search = secrets.search().unwrap().unwrap();
            assert_eq!(search.leak(&text, &[], &sites), Leak::InSites(all.clone()));
        }
    }
}
