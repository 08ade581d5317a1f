//! The built-in names and exceptions at work.
//!
//! Must stay true: time is linear in the words of a key, whatever they are.

use std::sync::LazyLock;

use super::phrase::{Phrase, is_word};
use super::{Found, Named};
use crate::policy::defaults::{self, Kind};
use crate::policy::pattern::{star_match, star_pieces};
use crate::policy::words::with_words;

/// The built-in lists, made ready.
pub(super) struct Builtin {
    /// By the first letter of the first word.
    names: [Vec<Phrase>; 26],
    tails: Vec<Phrase>,
    after: Vec<Phrase>,
    cancel: Vec<Phrase>,
    attributes: Vec<Phrase>,
    references: Vec<Phrase>,
}

fn phrase(text: &str, kind: Kind) -> Phrase {
    Phrase::new(text, text.replace(' ', "_").into(), kind)
}

impl Builtin {
    pub fn get() -> &'static Self {
        static BUILTIN: LazyLock<Builtin> = LazyLock::new(Builtin::new);
        &BUILTIN
    }

    fn new() -> Self {
        let list = |texts: &[&str]| texts.iter().map(|text| phrase(text, Kind::Secret)).collect();
        let mut names: [Vec<Phrase>; 26] = Default::default();
        for (kind, texts) in defaults::NAMES {
            for text in *texts {
                let letter = usize::from(text.as_bytes()[0] - b'a');
                names[letter].push(phrase(text, *kind));
            }
        }
        Self {
            names,
            tails: list(defaults::TAILS),
            after: defaults::AFTER.iter().map(|text| about(text)).collect(),
            cancel: list(defaults::CANCEL),
            attributes: list(defaults::ATTRIBUTES),
            references: list(defaults::REFERENCES),
        }
    }

    pub fn look_at(&self, words: &[&[u8]], innermost: bool) -> Found {
        // A key may hold several names (`dsn_password`): the one that says most counts.
        let mut found = Found::Nothing;
        // A number at the end counts keys of a kind: `token_url_2`.
        let last = words.iter().rposition(|word| !word.iter().all(u8::is_ascii_digit));
        for at in 0..words.len() {
            for (name, end) in self.names_at(words, at) {
                // `flower_basic_auth`; but `auth` alone says too little behind other words.
                let whole = end == words.len() && (at == 0 || end - at > 1);
                if name.kind == Kind::UserAndPassword && !(whole && innermost) {
                    continue;
                }
                if name.kind == Kind::Random && !(end == words.len() && innermost) {
                    continue;
                }
                let word = Named { text: name.text.clone(), line: None };
                match self.exception(words, at, end, last) {
                    None if name.kind == Kind::Secret => {
                        return Found::Name { word, kind: Kind::Secret };
                    }
                    None => found = Found::Name { word, kind: name.kind },
                    // `public_key` would hardly have named a secret.
                    Some(_) if name.kind == Kind::Random => {}
                    Some(except) if found == Found::Nothing => {
                        let except = Named { text: except.text.clone(), line: None };
                        found = Found::Excepted { word, except };
                    }
                    Some(_) => {}
                }
            }
        }
        found
    }

    /// What `key`, in a table that is named like a secret, is if it says something about it: its
    /// last word tells, as in `min_length`.
    pub fn attribute(&self, key: &[u8]) -> Option<Named> {
        with_words(key, |words| {
            let last = words.last()?;
            let is = |attribute: &&Phrase| is_word(last, attribute.together());
            let attribute = self.attributes.iter().find(is)?;
            Some(Named { text: attribute.text.clone(), line: None })
        })
    }

    /// Whether what stands below `key` says where a value is to be found, and by what.
    pub fn reference(&self, key: &[u8]) -> Option<Named> {
        with_words(key, |words| {
            let ends = |phrase: &&Phrase| {
                (0..words.len()).rev().take(2).any(|at| phrase.at(words, at) == Some(words.len()))
            };
            let reference = self.references.iter().find(ends)?;
            Some(Named { text: reference.text.clone(), line: None })
        })
    }

    /// The names that begin at `words[at]`, each with the word behind it.
    fn names_at<'a>(
        &'a self,
        words: &'a [&[u8]],
        at: usize,
    ) -> impl Iterator<Item = (&'a Phrase, usize)> {
        let letter = words[at][0].to_ascii_lowercase().wrapping_sub(b'a');
        let names = self.names.get(usize::from(letter)).into_iter().flatten();
        let names = names.filter(move |name| name.may_begin_at(words[at]));
        let mut names = names.filter_map(move |name| Some((name, name.at(words, at)?)));
        let first = names.next();
        // A word that is a name of its own needs no look at its end.
        let tails = if first.is_none() { &self.tails[..] } else { &[] };
        let tails = tails.iter().filter(move |tail| tail.is_tail_of(words[at]));
        first.into_iter().chain(names).chain(tails.map(move |tail| (tail, at + 1)))
    }

    /// The exception that takes back the name at `words[start..end]`. `last` is the last word
    /// that is no number.
    fn exception(
        &self,
        words: &[&[u8]],
        start: usize,
        end: usize,
        last: Option<usize>,
    ) -> Option<&Phrase> {
        if let Some(phrase) = self.cancel.iter().find(|phrase| phrase.encloses(words, start, end)) {
            return Some(phrase);
        }
        let (next, last) = (*words.get(end)?, *words.get(last.filter(|last| *last >= end)?)?);
        let is = |word: &[u8], after: &Phrase| is_word(word, after.together());
        self.after.iter().find(|after| is(next, after) || is(last, after))
    }
}

/// An entry of [`defaults::AFTER`], shown as the glob it amounts to.
fn about(word: &str) -> Phrase {
    Phrase::new(word, format!("*_{word}").into(), Kind::Secret)
}

/// Whether a file of this name holds nothing but secrets, by the built-in list.
pub(in crate::policy) fn is_whole_file(name: &[u8]) -> bool {
    type Glob = Box<[Box<[u8]>]>;
    static GLOBS: LazyLock<Vec<Glob>> = LazyLock::new(|| {
        defaults::WHOLE_FILES.iter().map(|glob| star_pieces(glob.as_bytes())).collect()
    });
    let lower = name.to_ascii_lowercase();
    GLOBS.iter().any(|glob| star_match(glob, &lower))
}
