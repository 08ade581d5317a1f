//! The verdict on one value.
//!
//! Must stay true: the common case, a value that nothing names, allocates nothing but the memory of
//! its keys; no case takes more than linear time.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::defaults::Kind;
use super::names::{Found, Named, Names};
use super::reason::Reason;
use super::rules::FieldRule;
use super::value::{self, Harmless};
use super::words::with_words;
use crate::format::{FieldPath, Segment};
use crate::span::Span;

/// The last words of names that are of several words, in lower case.
const VAGUE: &[&[u8]] =
    &[b"key", b"keys", b"code", b"codes", b"community", b"cookie", b"pin", b"phrase"];

/// The rules of one policy text for the fields of one file.
#[derive(Debug, Clone)]
pub(super) struct RulesOfOne<'a> {
    names: &'a Names,
    /// In the order of the policy: the last that covers a path counts.
    fields: Vec<&'a FieldRule>,
    ledger: Vec<&'a BTreeSet<String>>,
    seen: RefCell<Seen>,
}

/// What was found for keys so far: most documents have the same few over and over.
#[derive(Debug, Clone)]
struct Seen {
    /// Where no other key stands below it, and where one does.
    found: [HashMap<Box<[u8]>, Found>; 2],
}

impl Seen {
    fn new() -> Self {
        Self { found: std::array::from_fn(|_| HashMap::with_capacity(USUALLY_SEEN)) }
    }
}

/// Most documents have no more keys of a kind; growing would place them all anew.
const USUALLY_SEEN: usize = 14;

/// How many keys are remembered, and how long they may be: a document may have any number.
const MOST_SEEN: usize = 256;
const LONGEST_SEEN: usize = 64;

/// Whether a value is secret, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How much of it.
    pub secret: Secret,
    /// Why.
    pub reason: Reason,
}

/// How much of a value is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// Nothing.
    No,
    /// The value.
    All,
    /// These parts of the decoded value: in order, apart, not empty, none at its beginning, and
    /// behind each a byte outside `[A-Za-z0-9_:-]` or none.
    Parts(Vec<Span>),
}

impl<'a> RulesOfOne<'a> {
    pub(super) fn new(
        names: &'a Names,
        fields: Vec<&'a FieldRule>,
        ledger: Vec<&'a BTreeSet<String>>,
    ) -> Self {
        Self { names, fields, ledger, seen: RefCell::new(Seen::new()) }
    }

    /// These rules, and in front of them `more`.
    pub(super) fn with(mut self, more: impl Iterator<Item = &'a FieldRule>) -> Self {
        self.fields = more.chain(std::mem::take(&mut self.fields)).collect();
        self
    }

    /// Whether `other`, made of the same policy and ledger, judges every value alike.
    pub fn is_same(&self, other: &Self) -> bool {
        self.fields.len() == other.fields.len()
            && self.fields.iter().zip(&other.fields).all(|(a, b)| std::ptr::eq(*a, *b))
            && self.ledger == other.ledger
    }

    /// Whether the value at `path` is secret. `value` is decoded: what a program takes it for.
    pub fn judge(&self, path: &FieldPath, value: &[u8]) -> Verdict {
        if value::looks_sealed(value) {
            return Verdict { secret: Secret::All, reason: Reason::LooksSealed };
        }
        let credential = value::credential(value);
        let named = self.by_path(path, value, credential.is_some());
        match credential {
            None => named,
            Some((credential, secret)) => match (secret, named.secret) {
                // A rule or name for the value as a whole says more than the part found in it.
                (Secret::Parts(_), Secret::All) => Verdict { secret: Secret::All, ..named },
                (Secret::Parts(found), Secret::Parts(assigned)) => Verdict {
                    secret: value::within(value, [found, assigned].concat()),
                    reason: Reason::Value(credential),
                },
                (secret, _) => Verdict { secret, reason: Reason::Value(credential) },
            },
        }
    }

    fn by_path(&self, path: &FieldPath, value: &[u8], credential: bool) -> Verdict {
        if let Some(rule) = self.fields.iter().rev().find(|rule| rule.pattern.covers(path)) {
            return Verdict {
                secret: if rule.secret { Secret::All } else { Secret::No },
                reason: Reason::Rule {
                    line: rule.line,
                    pattern: rule.text.clone(),
                    secret: rule.secret,
                },
            };
        }
        if !self.ledger.is_empty() {
            let text = path.to_string();
            if self.ledger.iter().any(|entries| entries.contains(&text)) {
                return Verdict { secret: Secret::All, reason: Reason::Ledger };
            }
        }
        self.by_name(path, value, credential)
    }

    /// With a `credential` found in it, a locator holds no other.
    fn by_name(&self, path: &FieldPath, value: &[u8], credential: bool) -> Verdict {
        let mut verdict = Verdict { secret: Secret::No, reason: Reason::Unruled };
        let mut inner: Option<&[u8]> = None;
        let innermost = path.inwards().find_map(Segment::key);
        for (depth, key) in path.inwards().filter_map(Segment::key).enumerate() {
            let found = match inner {
                None => self.look_at(key, true),
                Some(inner) => {
                    self.names.within_table(self.look_at(key, false), key, [Some(inner), innermost])
                }
            };
            let found = match found {
                Found::Name { word, kind } if word.line.is_none() => {
                    match self.reference(path, depth) {
                        Some(except) => Found::Excepted { word, except },
                        None => Found::Name { word, kind },
                    }
                }
                found => found,
            };
            match found {
                Found::Nothing => {}
                Found::Excepted { word, except } => {
                    if verdict.reason == Reason::Unruled {
                        let segment = shown(key);
                        verdict.reason = Reason::Excepted { name: word, except, segment };
                    }
                }
                Found::Name { kind: Kind::Locator, .. } if credential => {}
                Found::Name { kind: Kind::Random, .. } if !value::is_random(value) => {}
                Found::Name { word, kind } => match self.harmless(kind, path, key, value) {
                    None => return secret(word, key, Secret::All),
                    // An outer key may say more.
                    Some(why) => {
                        let segment = shown(key);
                        verdict.reason = Reason::Harmless { name: word, segment, why };
                    }
                },
            }
            inner = Some(key);
        }
        if verdict.reason == Reason::Unruled
            && let Some(named) = self.by_key_of_table(path, value)
        {
            return named;
        }
        self.by_assignment(path, value).unwrap_or(verdict)
    }

    /// What the names say of `key`, see [`Names::look_at`].
    fn look_at(&self, key: &[u8], innermost: bool) -> Found {
        let mut seen = self.seen.borrow_mut();
        let seen = &mut seen.found[usize::from(innermost)];
        if let Some(found) = seen.get(key) {
            return found.clone();
        }
        let found = self.names.look_at(key, innermost);
        if key.len() <= LONGEST_SEEN && seen.len() < MOST_SEEN {
            seen.insert(key.into(), found.clone());
        }
        found
    }

    /// By which of the innermost `depth` keys the value only tells where another is to be found.
    fn reference(&self, path: &FieldPath, depth: usize) -> Option<Named> {
        let mut inner = path.inwards().filter_map(Segment::key).take(depth);
        inner.find_map(|key| self.names.reference(key))
    }

    /// Why `value` is no secret under `key`, which names one of this kind, if it is none.
    fn harmless(&self, kind: Kind, path: &FieldPath, key: &[u8], value: &[u8]) -> Option<Harmless> {
        // `userPassword="userPassword"` maps one name to another; a default that works is one word.
        if value == key && with_words(key, |words| words.len() > 1) {
            return Some(Harmless::Placeholder);
        }
        // `env("VAULT_TOKEN")`, `password: DB_PASSWORD`: a variable, named in full.
        let is_variable = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
        if value.contains(&b'_')
            && value.iter().all(is_variable)
            && matches!(self.names.look_at(value, true), Found::Name { kind: Kind::Secret, .. })
        {
            return Some(Harmless::Reference);
        }
        // `secrets: [db_password]` names one that is defined elsewhere.
        let is_name = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(b);
        let is_list = path.inwards().next() == Some(&Segment::Element);
        if is_list
            && key.eq_ignore_ascii_case(b"secrets")
            && value.iter().all(is_name)
            && matches!(self.names.look_at(value, true), Found::Name { .. })
        {
            return Some(Harmless::Reference);
        }
        harmless(kind, key, value)
    }

    /// Some keys say little by themselves; in a table they are that table's: `jwt: {key: x}`,
    /// `unseal: {keys: [x]}`, `snmp: {community: x}`.
    fn by_key_of_table(&self, path: &FieldPath, value: &[u8]) -> Option<Verdict> {
        let is_vague = |key: &&[u8]| VAGUE.iter().any(|vague| key.eq_ignore_ascii_case(vague));
        let mut keys = path.inwards().filter_map(Segment::key);
        let key = keys.next().filter(is_vague)?;
        let table = keys.next().filter(|table| self.names.reference(table).is_none())?;
        let joined = [table, key].join(&b'.');
        match self.names.look_at(&joined, true) {
            Found::Name { word, kind: Kind::Secret } => match Harmless::of(value) {
                None => Some(secret(word, &joined, Secret::All)),
                Some(why) => {
                    let reason = Reason::Harmless { name: word, segment: shown(&joined), why };
                    Some(Verdict { secret: Secret::No, reason })
                }
            },
            _ => None,
        }
    }

    /// `NAME=VALUE` is judged by NAME: as an element of a list, what else could it be; elsewhere
    /// where it reads like a variable or an option. So is `Name: VALUE`, a request's header.
    fn by_assignment(&self, path: &FieldPath, value: &[u8]) -> Option<Verdict> {
        let is_element =
            matches!(path.inwards().next(), Some(Segment::Element | Segment::Repeated(_)));
        if is_element && let Some(verdict) = self.by_whole_assignment(value) {
            return Some(verdict);
        }
        if memchr::memchr(b'=', value).is_none() && memchr::memmem::find(value, b"--").is_none() {
            return None;
        }
        let mut parts = Vec::new();
        let mut reason = None;
        for found in value::assignments(value) {
            let (name, assigned) = (found.name.of(value), found.value.of(value));
            // What a shell fills in; a default in it is a value.
            let is_filled_in = assigned.starts_with(b"`")
                || (assigned.starts_with(b"$") && !assigned.starts_with(b"${"));
            if is_filled_in || assigned.starts_with(b"-") {
                continue;
            }
            if let Found::Name { word, kind: kind @ Kind::Secret } = self.names.look_at(name, true)
                && harmless(kind, name, assigned).is_none()
            {
                parts.push(found.value);
                reason.get_or_insert(Reason::Name { name: word, segment: shown(name) });
            }
        }
        Some(Verdict { secret: value::within(value, parts), reason: reason? })
    }

    fn by_whole_assignment(&self, value: &[u8]) -> Option<Verdict> {
        let name_len = value.iter().position(|b| matches!(b, b'=' | b':'))?;
        let is_header = value[name_len] == b':';
        let name = &value[..name_len];
        let blanks = value[name_len + 1..].iter().take_while(|b| is_header && **b == b' ').count();
        let assigned = &value[name_len + 1 + blanks..];
        // `X-Api-Key: abc`, and neither `port:80` nor `Password: ask the desk`.
        if is_header
            && (blanks == 0
                || !name.contains(&b'-')
                || assigned.iter().any(u8::is_ascii_whitespace))
        {
            return None;
        }
        let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if name.is_empty() || !name.iter().all(is_name) {
            return None;
        }
        match self.names.look_at(name, true) {
            Found::Name { word, kind } if harmless(kind, name, unquoted(assigned)).is_none() => {
                Some(secret(
                    word,
                    name,
                    value::within(
                        value,
                        vec![Span::new(value.len() - assigned.len(), value.len())],
                    ),
                ))
            }
            _ => None,
        }
    }
}

fn secret(name: Named, key: &[u8], secret: Secret) -> Verdict {
    Verdict { secret, reason: Reason::Name { name, segment: shown(key) } }
}

/// `text` without the quotes around it, if there are any.
fn unquoted(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    match text {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        text => text,
    }
}

/// `key`, for a message. A URL may be a key, and hold a password.
fn shown(key: &[u8]) -> String {
    match value::credential_in_text(key) {
        None => String::from_utf8_lossy(key).into_owned(),
        Some(_) => "…".into(),
    }
}

/// Why `value` under a name of this kind is no secret, if it is none.
fn harmless(kind: Kind, key: &[u8], value: &[u8]) -> Option<Harmless> {
    let why = match kind {
        Kind::Secret | Kind::Random => None,
        Kind::Locator => value::is_location(value).then_some(Harmless::NoPassword),
        Kind::UserAndPassword => {
            (!value::is_user_and_password(value)).then_some(Harmless::NoPassword)
        }
        // As the shell writes it: `PWD=/srv/app`, `OLDPWD=/`.
        Kind::Pwd => {
            let shell = key.eq_ignore_ascii_case(b"pwd") || key.eq_ignore_ascii_case(b"oldpwd");
            (shell && value.starts_with(b"/")).then_some(Harmless::FilePath)
        }
    };
    why.or_else(|| Harmless::of(value))
}
