//! The verdict on one scalar: what the rules say of it under every path where programs see it.

use crate::format::{CodecId, Site};
use crate::policy::{FieldRules, Reason, Secret, Verdict};

/// Whether the scalar at `site`, which decodes to `value`, is secret.
pub(super) fn judge(rules: &FieldRules<'_>, id: CodecId, site: &Site, value: &[u8]) -> Verdict {
    let mut verdict = rules.judge(&site.path, value);
    for path in &site.also {
        let other = rules.judge(path, value);
        if strength(&other.secret) > strength(&verdict.secret) {
            verdict = other;
        }
    }
    // The name of a list element says which element it is: its siblings' paths need it, and a
    // secret name above says nothing about it.
    if site.naming && verdict.reason.is_by_name() {
        verdict.secret = Secret::No;
    }
    // A pattern is there to find secrets.
    if id == CodecId::Pattern && verdict.secret != Secret::All && !verdict.reason.is_rule() {
        return Verdict { secret: Secret::All, reason: Reason::Pattern };
    }
    verdict
}

fn strength(secret: &Secret) -> u8 {
    match secret {
        Secret::No => 0,
        Secret::Parts(_) => 1,
        Secret::All => 2,
    }
}
