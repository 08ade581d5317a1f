//! The verdict on one scalar: what the rules say of it under every path where programs see it.

use crate::format::{CodecId, Site};
use crate::policy::{FieldRules, Harmless, Reason, Secret, Verdict};

/// Whether the scalar at `site` of `text`, which decodes to `value`, is secret.
pub(super) fn judge(
    rules: &FieldRules<'_>,
    id: CodecId,
    text: &[u8],
    site: &Site,
    value: &[u8],
) -> Verdict {
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
    if let Reason::Name { name, segment } = &verdict.reason
        && id == CodecId::Yaml
        && is_tagged_reference(text, site, value)
    {
        let (name, segment) = (name.clone(), segment.clone());
        let reason = Reason::Harmless { name, segment, why: Harmless::Reference };
        return Verdict { secret: Secret::No, reason };
    }
    // A pattern is there to find secrets.
    if id == CodecId::Pattern && verdict.secret != Secret::All && !verdict.reason.is_rule() {
        return Verdict { secret: Secret::All, reason: Reason::Pattern };
    }
    verdict
}

/// `!secret NAME`, `!env_var NAME`, as Home Assistant and ESPHome have it: where the value is
/// defined.
fn is_tagged_reference(text: &[u8], site: &Site, value: &[u8]) -> bool {
    let front = &text[..site.span.start];
    let tag = front.trim_ascii_end();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    tag.len() < front.len()
        && [&b" !secret"[..], b" !env_var"].iter().any(|known| tag.ends_with(known))
        && !value.is_empty()
        && value.iter().all(is_name)
}

fn strength(secret: &Secret) -> u8 {
    match secret {
        Secret::No => 0,
        Secret::Parts(_) => 1,
        Secret::All => 2,
    }
}
