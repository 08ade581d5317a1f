//! Consecutive words of a key, as the lists of names hold them.

use std::sync::Arc;

use crate::policy::defaults::Kind;
use crate::policy::words::with_words;

/// Consecutive words of a key.
#[derive(Debug, Clone)]
pub(super) struct Phrase {
    /// As messages show it.
    pub text: Arc<str>,
    pub kind: Kind,
    words: Box<[Box<[u8]>]>,
    /// The words run together.
    together: Box<[u8]>,
}

impl Phrase {
    pub fn new(words: &str, text: Arc<str>, kind: Kind) -> Self {
        let words: Box<[Box<[u8]>]> = with_words(words.as_bytes(), |words| {
            words.iter().map(|word| Box::from(*word)).collect()
        });
        Self { text, kind, together: words.concat().into(), words }
    }

    /// The words run together.
    pub fn together(&self) -> &[u8] {
        &self.together
    }

    /// Whether this may stand where `word` does, whose first letter is its own: by the second,
    /// which rules out nearly all.
    pub fn may_begin_at(&self, word: &[u8]) -> bool {
        match (word.get(1), self.together.get(1)) {
            (Some(letter), Some(own)) => letter.eq_ignore_ascii_case(own),
            _ => true,
        }
    }

    /// Whether this stands anywhere in `words`.
    pub fn is_in(&self, words: &[&[u8]]) -> bool {
        (0..words.len()).any(|at| self.at(words, at).is_some())
    }

    /// Whether this stands in `words` such that `words[start..end]` lie within it.
    pub fn encloses(&self, words: &[&[u8]], start: usize, end: usize) -> bool {
        let first = (start + 1).saturating_sub(self.words.len());
        (first..=start).any(|at| self.at(words, at).is_some_and(|behind| end <= behind))
    }

    /// Whether `word` ends in this, run together, and something stands before it.
    pub fn is_tail_of(&self, word: &[u8]) -> bool {
        let ends = |word: &[u8]| match word.len().checked_sub(self.together.len()) {
            None | Some(0) => false,
            Some(front) => word[front..].eq_ignore_ascii_case(&self.together),
        };
        ends(word) || matches!(word, [singular @ .., b's' | b'S'] if ends(singular))
    }

    /// The word behind this, if it stands at `words[at..]`.
    pub fn at(&self, words: &[&[u8]], at: usize) -> Option<usize> {
        if is_word(words[at], &self.together) {
            return Some(at + 1);
        }
        let (last, front) = self.words.split_last()?;
        let end = at + self.words.len();
        let there = words.get(at..end)?;
        let fits = front.iter().zip(there).all(|(own, word)| word.eq_ignore_ascii_case(own))
            && is_word(there[front.len()], last);
        fits.then_some(end)
    }
}

/// Whether `word` is `wanted`, or its plural, in any case.
pub(super) fn is_word(word: &[u8], wanted: &[u8]) -> bool {
    let singular = match word.len().checked_sub(wanted.len()) {
        Some(0) => word,
        Some(1) if word.ends_with(b"s") || word.ends_with(b"S") => &word[..wanted.len()],
        _ => return false,
    };
    !wanted.is_empty() && singular.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_phrase_stands_it_may_begin() {
        for (phrase, key) in [
            ("api key", "API_Keys"),
            ("api key", "apikeys"),
            ("x key", "X-Key"),
            ("x key", "xKEY"),
            ("x key", "xkeys"),
            ("x", "xs"),
            ("x", "X"),
        ] {
            let phrase = Phrase::new(phrase, phrase.into(), Kind::Secret);
            with_words(key.as_bytes(), |words| {
                assert!(phrase.at(words, 0).is_some() && phrase.may_begin_at(words[0]), "{key}");
            });
        }
    }
}
