//! The outgoing check: no sealed value of eight bytes or more stands elsewhere in the clear.

use aho_corasick::AhoCorasick;

use crate::format::Site;
use crate::secret::SecretBytes;
use crate::span::Span;

/// Shorter values are too likely to stand in a text by chance.
pub(super) const SHORTEST: usize = 8;

/// Where secrets stand uncovered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leak {
    /// Nowhere.
    None,
    /// Inside these sites, and nowhere else.
    InSites(Vec<usize>),
    /// Somewhere that is no site: a key, a comment.
    Outside,
}

/// Looks for each of `secrets` in `text` outside the `covered` spans. `covered` and `sites` are in
/// order and do not overlap.
pub(super) fn leak(text: &[u8], secrets: &[SecretBytes], covered: &[Span], sites: &[Site]) -> Leak {
    let needles = || secrets.iter().filter(|secret| secret.len() >= SHORTEST);
    if needles().next().is_none() {
        return Leak::None;
    }
    // Too many or too long needles for the automaton: nothing can be shown, so nothing is clear.
    let Ok(search) = AhoCorasick::new(needles()) else { return Leak::Outside };
    let mut leaking = Vec::new();
    for found in search.find_overlapping_iter(text) {
        let found = Span::new(found.start(), found.end());
        if inside(found, covered.len(), |n| covered[n]).is_some() {
            continue;
        }
        match inside(found, sites.len(), |n| sites[n].span) {
            Some(at) => leaking.push(at),
            None => return Leak::Outside,
        }
    }
    leaking.sort_unstable();
    leaking.dedup();
    if leaking.is_empty() { Leak::None } else { Leak::InSites(leaking) }
}

/// Which of `count` ordered spans contains `found`.
fn inside(found: Span, count: usize, span: impl Fn(usize) -> Span) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if span(middle).end < found.end { low = middle + 1 } else { high = middle }
    }
    (low < count && span(low).start <= found.start).then_some(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Context, FieldPath};

    fn site(span: Span) -> Site {
        Site { span, path: FieldPath::root(), context: Context::ORDINARY, column: 0, naming: false }
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands_uncovered() {
        let text = b"password=hunter22222 copy=my-hunter22222! # note";
        let secret = [SecretBytes::from(&b"hunter22222"[..])];
        let (value, copy) = (Span::new(9, 20), Span::new(26, 41));
        let sites = [site(value), site(copy)];
        assert_eq!(leak(text, &secret, &[value], &sites), Leak::InSites(vec![1]));
        assert_eq!(leak(text, &secret, &[value, copy], &sites), Leak::None);
        assert_eq!(leak(text, &secret, &[value], &sites[..1]), Leak::Outside);
    }

    #[test]
    fn short_values_are_not_looked_for() {
        let secret = [SecretBytes::from(&b"hunter2"[..])];
        assert_eq!(leak(b"hunter2 hunter2", &secret, &[], &[]), Leak::None);
    }
}
