//! Sibling names: a list element that has a `name` is told apart by it, so the name becomes a
//! segment of its other values' paths (`env[].DB_PASSWORD.value`).
//!
//! A path stands in messages, in the ledger and under a seal. So a name must never be a secret
//! itself, and sealing must never change a path. Hence: `key` counts only beside a `value` (by
//! itself it is as likely an API key); a URL, which may hold a password, is no name; and text
//! that begins with `ENC:` is none, be it sealed or about to be.

/// What a key of a list element's table tells about the element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Its value is the element's name.
    Name,
    /// Its value is the element's name if a `value` stands beside it and there is no `name`.
    Key,
    /// It makes a `key` beside it a name.
    Value,
}

impl Role {
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        [("name", Role::Name), ("key", Role::Key), ("value", Role::Value)]
            .into_iter()
            .find(|(word, _)| key.eq_ignore_ascii_case(word.as_bytes()))
            .map(|(_, role)| role)
    }
}

/// Finds the naming scalar among a table's entries; `T` is how the caller refers to a scalar.
pub(super) struct Naming<T> {
    name: Option<T>,
    key: Option<T>,
    has_value: bool,
}

impl<T> Naming<T> {
    pub(super) fn new() -> Self {
        Self { name: None, key: None, has_value: false }
    }

    /// Takes note of an entry; `text` is its decoded value when that is a string.
    pub(super) fn see(&mut self, role: Role, text: Option<&[u8]>, scalar: T) {
        let usable = text.is_some_and(is_name);
        match role {
            Role::Value => self.has_value = true,
            Role::Name if usable => _ = self.name.get_or_insert(scalar),
            Role::Key if usable => _ = self.key.get_or_insert(scalar),
            Role::Name | Role::Key => {}
        }
    }

    /// Takes note of a value that is no scalar, or whose scalar is not known yet.
    pub(super) fn see_value(&mut self) {
        self.has_value = true;
    }

    pub(super) fn chosen(self) -> Option<T> {
        self.name.or(if self.has_value { self.key } else { None })
    }
}

/// Longest name, in bytes, that becomes a segment.
const LONGEST: usize = 128;

fn is_name(text: &[u8]) -> bool {
    (1..=LONGEST).contains(&text.len())
        && !text.starts_with(b"ENC:")
        && !text.iter().any(u8::is_ascii_control)
        && !text.windows(3).any(|three| three == b"://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(entries: &[(&str, &str)]) -> Option<usize> {
        let mut naming = Naming::new();
        for (n, (key, text)) in entries.iter().enumerate() {
            if let Some(role) = Role::of(key.as_bytes()) {
                naming.see(role, Some(text.as_bytes()), n);
            }
        }
        naming.chosen()
    }

    #[test]
    fn a_name_is_preferred_to_a_key() {
        assert_eq!(named(&[("value", "x"), ("key", "a"), ("Name", "b")]), Some(2));
        assert_eq!(named(&[("value", "x"), ("Key", "a")]), Some(1));
        assert_eq!(named(&[("password", "x")]), None);
    }

    #[test]
    fn a_key_that_stands_without_a_value_may_be_a_secret_and_names_nothing() {
        assert_eq!(named(&[("key", "sk_live_1"), ("user", "bob")]), None);
    }

    #[test]
    fn what_is_sealed_or_may_hold_a_password_names_nothing() {
        for text in ["", "ENC:v1:00", "https://u:p@h/", "two\nlines", &"n".repeat(129)] {
            assert_eq!(named(&[("name", text)]), None, "{text}");
        }
        assert_eq!(named(&[("name", "ENC:x"), ("key", "a"), ("value", "v")]), Some(1));
    }
}
