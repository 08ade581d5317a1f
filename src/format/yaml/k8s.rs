//! Kubernetes' Secret manifests: `kind: Secret` beside `data` or `stringData` makes a secret of
//! everything in there, whatever its key. The cluster sees it as a Secret's data, so it gets a
//! path that says so ([`data`]), and the names of the policy find it by that.

use super::events::{Kind, Tok};
use crate::format::FieldPath;

/// The `kind` of a Secret.
pub(super) const SECRET: &str = "Secret";

/// Whether the mapping at token `at` is a Secret.
pub(super) fn is_secret(toks: &[Tok<'_>], at: usize) -> bool {
    let mut key = at + 1;
    while toks[key].kind != Kind::End {
        let value = toks[key].next;
        if toks[key].text == "kind" && toks[value].is_scalar() && toks[value].text == SECRET {
            return true;
        }
        key = toks[value].next;
    }
    false
}

/// Whether a Secret holds its values under `key`.
pub(super) fn is_data(key: &[u8]) -> bool {
    matches!(key, b"data" | b"stringData")
}

/// Under which path the values of a Secret are seen.
pub(super) fn data() -> FieldPath {
    FieldPath::root().key("Secret").key("data")
}
