//! Splits a key into words: at `-`, `_`, `.` and whatever else is no letter or digit, where
//! camelCase turns, and between letters and digits.

/// Keys of more words than this cost an allocation.
const FEW: usize = 16;

/// Hands the words of `key`, in their own case, to `then`.
pub(super) fn with_words<R>(key: &[u8], then: impl FnOnce(&[&[u8]]) -> R) -> R {
    split(Words { rest: key, word_len }, then)
}

/// The same where camelCase is no camelCase: `PASSword` is one word here.
pub(super) fn with_words_of_any_case<R>(key: &[u8], then: impl FnOnce(&[&[u8]]) -> R) -> R {
    split(Words { rest: key, word_len: word_len_of_any_case }, then)
}

fn split<R>(mut words: Words<'_>, then: impl FnOnce(&[&[u8]]) -> R) -> R {
    let mut few: [&[u8]; FEW] = [&[]; FEW];
    let mut count = 0;
    while let Some(word) = words.next() {
        if count == FEW {
            let mut many = few.to_vec();
            many.push(word);
            many.extend(words);
            return then(&many);
        }
        few[count] = word;
        count += 1;
    }
    then(&few[..count])
}

struct Words<'a> {
    rest: &'a [u8],
    /// How long the word is that a text begins with.
    word_len: fn(&[u8]) -> usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|b| is_word(*b))?;
        let text = &self.rest[start..];
        let (word, rest) = text.split_at((self.word_len)(text));
        self.rest = rest;
        Some(word)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// A byte beyond ASCII is part of some letter; that it may be a capital does not matter here.
fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || !byte.is_ascii()
}

/// How many bytes `text` begins with that pass `test`.
fn run(text: &[u8], test: fn(u8) -> bool) -> usize {
    text.iter().take_while(|b| test(**b)).count()
}

fn word_len(text: &[u8]) -> usize {
    let digits = run(text, |b| b.is_ascii_digit());
    if digits > 0 {
        return digits;
    }
    let capitals = run(text, |b| b.is_ascii_uppercase());
    let lower = run(&text[capitals..], is_lower);
    match (capitals, lower) {
        (0 | 1, lower) => capitals + lower,
        (capitals, 0) => capitals,
        // `IDs`, `APIKEYs`: a plural, not a word of its own.
        (capitals, 1) if text[capitals] == b's' => capitals + 1,
        // `APIKey`: the last capital begins the next word.
        (capitals, _) => capitals - 1,
    }
}

fn word_len_of_any_case(text: &[u8]) -> usize {
    match run(text, |b| b.is_ascii_digit()) {
        0 => run(text, |b| is_word(b) && !b.is_ascii_digit()),
        digits => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(key: &str) -> Vec<String> {
        with_words(key.as_bytes(), |words| {
            words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
        })
    }

    #[test]
    fn keys_fall_into_words() {
        for (key, expected) in [
            ("db_password", "db password"),
            ("dbPassword", "db Password"),
            ("DB-Password.2", "DB Password 2"),
            ("APIKey", "API Key"),
            ("userAPIKeys", "user API Keys"),
            ("secretIDs", "secret IDs"),
            ("password2", "password 2"),
            ("oauth2token", "oauth 2 token"),
            ("spring.datasource.password", "spring datasource password"),
            ("contraseña", "contraseña"),
            ("__", ""),
        ] {
            assert_eq!(words(key).join(" "), expected, "{key}");
        }
    }

    #[test]
    fn words_of_any_case_end_at_separators_and_digits_alone() {
        with_words_of_any_case(b"my_PASSword2.APIKey", |words| {
            assert_eq!(words, [&b"my"[..], b"PASSword", b"2", b"APIKey"]);
        });
    }

    #[test]
    fn a_key_of_many_words_loses_none() {
        assert_eq!(words(&"a_".repeat(40)).len(), 40);
    }
}
