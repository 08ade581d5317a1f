//! Documents: one file's bytes, opened and sealed. Pure: bytes in, bytes out; no disk, no mount.
//!
//! What must stay true, whatever comes in:
//! - `open(seal(x)) == x`, byte for byte; [`Sealing::seal`] proves it for each text before it
//!   hands it out, and falls back to the whole-file form when it cannot;
//! - bytes outside a sealed value are copied, and an unchanged value keeps its token;
//! - a sealed value opens in its own place or not at all: after opening, the document is scanned
//!   again and each opened field must be found exactly where it was spliced in.

mod because;
mod error;
mod guess;
mod import;
mod inspect;
mod judge;
mod merge;
mod open;
mod outgoing;
mod outside;
mod parts;
mod plan;
mod rebind;
mod renamed;
mod reopened;
mod replace;
mod rewrap;
mod seal;
mod shape;
mod stock;
mod stored;
mod value;
mod weigh;
mod whole;

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

pub use because::WholeBecause;
pub use error::{Cause, OpenError};
pub use guess::{Guess, guess};
pub use import::{Import, ImportError, Imports};
pub use inspect::{
    Finding, Inspection, Standing, field_value, holds_secret, inspect, inspect_with,
};
pub use merge::{Markers, Merged, Versions, is_binary, merge_sealed};
pub use open::Opened;
pub use outside::Outside;
pub use rebind::{Rebound, Was};
pub use replace::FieldError;
pub use rewrap::Rewrapped;
pub use seal::{Existing, Sealed};
pub use stock::Stock;
pub use stored::{SealStoredError, SealedStored};
pub use value::ValueError;
pub use weigh::{Because, RuleSet, Shift, weigh};

pub use crate::format::{CodecId, FieldPath, Format};
pub use crate::token::foreign::{Encoding, ForeignError, ForeignKey, ForeignKeyError, Scheme};
pub use crate::token::{Binding, TokenError};

use crate::policy::{Ledger, Policy};
use crate::token::{FIELD_PREFIX, FILE_PREFIX, PREFIX, Sealer};

/// How a file stands in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Byte for byte as it is seen.
    Plain,
    /// Some values are tokens.
    Fields(CodecId),
    /// One token for the whole file.
    Whole,
}

/// The keys and rules under which documents are opened and sealed. Immutable: a reload makes a
/// new one. Cheap to clone.
#[derive(Clone)]
pub struct Sealing {
    /// The keys.
    pub sealer: Arc<Sealer>,
    /// Which files and fields are secret.
    pub policy: Policy,
    /// Fields that are sealed though no rule names them.
    pub ledger: Arc<Ledger>,
    /// The tokens of other systems that are opened where they stand.
    pub imports: Imports,
    /// What new tokens are bound to, and the least that a token must be bound to.
    pub binding: Binding,
    /// Whether an unchanged value may keep a token under a legacy key. Off once a rewrap has
    /// begun: from then on no save may bring a legacy token back.
    pub keep_legacy_tokens: bool,
}

/// Whether `text` stands in the whole-file form, or claims to.
pub fn is_whole(text: &[u8]) -> bool {
    text.starts_with(FILE_PREFIX.as_bytes())
}

/// Whether a view would be taken for a whole-file form of this or another version. The codecs of
/// today refuse such a text; one that takes any text will come.
fn claims_whole(view: &[u8]) -> bool {
    view.strip_prefix(PREFIX.as_bytes()).is_some_and(|rest| rest.starts_with(b"file:"))
}

/// Whether a scalar with these bytes must be sealed whatever the rules say: left in the clear, it
/// would read as a token.
fn reads_as_token(bytes: &[u8]) -> bool {
    bytes.starts_with(PREFIX.as_bytes()) || versioned_prefix(bytes).is_some()
}

/// Where `ENC:v<digit>` first stands in `bytes`.
fn versioned_prefix(bytes: &[u8]) -> Option<usize> {
    // Most values hold none, which is known sooner.
    memchr::memchr(b':', bytes)?;
    PREFIX_FINDER.find_iter(bytes).find(|at| {
        let version = bytes[*at..].strip_prefix(b"ENC:v").and_then(|rest| rest.first());
        version.is_some_and(u8::is_ascii_digit)
    })
}

/// Finds [`PREFIX`]; made once, because it is looked for in every single value.
static PREFIX_FINDER: LazyLock<memchr::memmem::Finder<'_>> =
    LazyLock::new(|| memchr::memmem::Finder::new(PREFIX));

/// Where `needle` first stands in `text`.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
}

/// Where a part token's text first stands in `bytes`, from `from` on.
fn part_token_at(bytes: &[u8], from: usize) -> Option<usize> {
    let prefix = FIELD_PREFIX.as_bytes();
    find(bytes.get(from..)?, prefix).map(|at| from + at)
}

/// The keys of the tokens that stand in `text`, one entry a token: found by their prefix, whatever
/// the format and whether or not they open.
pub fn token_keys(text: &[u8]) -> impl Iterator<Item = crate::keyring::KeyId> {
    let whole = is_whole(text).then(|| key_after(text, FILE_PREFIX)).flatten();
    let fields = memchr::memmem::find_iter(text, FIELD_PREFIX.as_bytes())
        .filter_map(|at| key_after(&text[at..], FIELD_PREFIX));
    whole.into_iter().chain(fields)
}

fn key_after(text: &[u8], prefix: &str) -> Option<crate::keyring::KeyId> {
    let id = text.get(prefix.len()..prefix.len() + 8)?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

/// The keys of a keyring, made ready to seal and open.
pub fn sealer(keyring: crate::keyring::Keyring) -> Arc<Sealer> {
    Arc::new(Sealer::new(keyring))
}
