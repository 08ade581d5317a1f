//! Credentials that show by their form what they are: tokens with an issuer's prefix, private
//! keys in their armour, request headers.
//!
//! Access key ids (`AKIA…`) are not here: they are names, the secret beside them has no form.

use std::sync::LazyLock;

use base64ct::{Base64, Encoding};
use regex::bytes::{Regex, RegexBuilder};

use super::Credential;
use crate::secret::SecretBytes;

/// The forms, each with what it is; tried at once. Bounded repetitions ask for the least length
/// that tells a token from a word.
const TOKENS: &[(&str, &str)] = &[
    ("GitHub token", r"gh[opsur]_[A-Za-z0-9]{20}"),
    ("GitHub token", r"github_pat_[A-Za-z0-9_]{22}"),
    ("GitLab token", r"gl(?:pat|ptt|dt|rt|cbt|ft|soat|agent)-[A-Za-z0-9_-]{20}"),
    ("Slack token", r"xox[abceoprs]-[A-Za-z0-9-]{10}"),
    ("Slack token", r"xapp-[0-9]-[A-Za-z0-9-]{10}"),
    ("Slack webhook", r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/]{20}"),
    ("Discord webhook", r"discord(?:app)?\.com/api/webhooks/[0-9]+/[A-Za-z0-9_-]{20}"),
    ("Teams webhook", r"webhook\.office\.com/webhookb2/[A-Za-z0-9@/-]{20}"),
    ("Stripe key", r"[rs]k_(?:live|test|prod)_[A-Za-z0-9]{10}"),
    ("webhook signing secret", r"whsec_[A-Za-z0-9+/=]{20}"),
    ("API key", r"sk-(?:proj|ant|svcacct|admin|or)-[A-Za-z0-9_-]{20}"),
    ("API key", r"sk-[A-Za-z0-9]{32}"),
    ("Google API key", r"AIza[A-Za-z0-9_-]{35}"),
    ("Google client secret", r"GOCSPX-[A-Za-z0-9_-]{20}"),
    ("Google access token", r"ya29\.[A-Za-z0-9_-]{20}"),
    ("Vault token", r"hv[bsr]\.[A-Za-z0-9_-]{20}"),
    ("SendGrid key", r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16}"),
    ("npm token", r"npm_[A-Za-z0-9]{30}"),
    ("PyPI token", r"pypi-Ag[A-Za-z0-9_-]{30}"),
    ("DigitalOcean token", r"do[opr]_v1_[a-f0-9]{32}"),
    ("Databricks token", r"dapi[a-f0-9]{32}"),
    ("Docker token", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20}"),
    ("Hugging Face token", r"hf_[A-Za-z0-9]{30}"),
    ("Shopify token", r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}"),
    ("Grafana token", r"glsa_[A-Za-z0-9]{20}"),
    ("Tailscale key", r"tskey-[a-z]+-[A-Za-z0-9]{8}"),
    (
        "JSON Web Token",
        r"ey[A-Za-z0-9_-]{10}[A-Za-z0-9_-]*\.ey[A-Za-z0-9_-]{10}[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{10}",
    ),
    ("age key", r"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{20}"),
    ("confseal key", r"confseal_key_v1_[A-Za-z0-9_-]{10}"),
    ("Telegram token", r"[0-9]{8,12}:[A-Za-z0-9_-]{35}"),
    ("SonarQube token", r"sq[apu]_[a-f0-9]{40}"),
    ("password hash", r"SCRAM-SHA-(?:1|256|512)\$[0-9]{1,8}:[A-Za-z0-9+/=]{8}"),
    ("password hash", r"pbkdf2_sha(?:1|256|512)\$[0-9]{1,8}\$[A-Za-z0-9+/=]{4}"),
];

/// Forms that begin with no letter: crypt(3) and its kin, also with the `$` doubled, as compose
/// files have it; the hashes of directories.
const HASHES: &str = r"\$\$?(?:1|5|6|7|y|gy|2[abxy]|apr1|argon2(?:id|i|d)|scrypt|pbkdf2-sha[0-9]{1,3})\$[A-Za-z0-9./$=,+-]{16}|\{S?SHA(?:256|384|512)?\}[A-Za-z0-9+/=]{24}";

/// What begins a private key.
const ARMOUR: &str = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY|-----BEGIN OpenVPN Static key|PuTTY-User-Key-File-[0-9]";

/// `-----BEGIN` in Base64, and as much behind it as tells of what.
const ARMOUR_BASE64: &str = r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{2,62}";

const HEADER: &str = r"^(?i:(?:proxy-)?authorization: *)?(?i:bearer|basic|token) +(?P<value>[A-Za-z0-9+/=._~-]{12,})\s*$";

/// A credential is at least this long.
const SHORTEST: usize = 15;

/// Every form has one of these in it, or one of [`UNMARKED`]: most values have neither, which is
/// known sooner than that they have none of the forms.
const MARKS: [[u8; 3]; 2] = [[b'_', b'-', b'.'], [b':', b'$', b'{']];

/// What the forms begin with that need none of [`MARKS`].
const UNMARKED: &str = "AIza|dapi|LS0tLS1CRUdJTi";

struct Forms {
    /// Any of them, in one pass.
    any: Regex,
    unmarked: Regex,
    tokens: Vec<Regex>,
    hashes: Regex,
    armour: Regex,
    armour_base64: Regex,
    header: Regex,
}

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let regex = |text: &str| {
        RegexBuilder::new(text).unicode(false).build().expect("the built-in forms are well-formed")
    };
    let bounded = |token: &str| format!(r"\b(?:{token})");
    let mut all: Vec<&str> = TOKENS.iter().map(|(_, token)| *token).collect();
    all.push("LS0tLS1CRUdJTi");
    Forms {
        any: regex(&format!("{}|{ARMOUR}|{HASHES}", bounded(&all.join("|")))),
        unmarked: regex(UNMARKED),
        tokens: TOKENS.iter().map(|(_, token)| regex(&bounded(token))).collect(),
        hashes: regex(HASHES),
        armour: regex(ARMOUR),
        armour_base64: regex(ARMOUR_BASE64),
        header: regex(HEADER),
    }
});

/// What `text` is or holds, if it has one of the forms.
pub(super) fn find(text: &[u8]) -> Option<Credential> {
    if text.len() < SHORTEST {
        return None;
    }
    if text[0].is_ascii_alphabetic() && is_header(text) {
        return Some(Credential::Authorization);
    }
    if !may_have_form(text) || !FORMS.any.is_match(text) {
        return None;
    }
    if FORMS.armour.is_match(text)
        || FORMS.armour_base64.find_iter(text).any(|m| is_key(m.as_bytes()))
    {
        return Some(Credential::PrivateKey);
    }
    if FORMS.hashes.is_match(text) {
        return Some(Credential::Token("password hash"));
    }
    let form = FORMS.tokens.iter().position(|token| token.is_match(text))?;
    Some(Credential::Token(TOKENS[form].0))
}

fn may_have_form(text: &[u8]) -> bool {
    MARKS.iter().any(|[a, b, c]| memchr::memchr3(*a, *b, *c, text).is_some())
        || FORMS.unmarked.is_match(text)
}

/// The first in `text` that has one of the forms, and where it begins.
pub(super) fn first(text: &[u8]) -> Option<(Credential, usize)> {
    /// What begins like a key in Base64 is known by so much more of it.
    const REACH: usize = 64;
    if text.len() < SHORTEST || !may_have_form(text) {
        return None;
    }
    FORMS.any.find_iter(text).find_map(|found| {
        let end = text.len().min(found.end() + REACH);
        find(&text[found.start()..end]).map(|credential| (credential, found.start()))
    })
}

/// Whether the armour that `base64` begins with is a private key's.
fn is_key(base64: &[u8]) -> bool {
    let whole = &base64[..base64.len() / 4 * 4];
    let decoded = std::str::from_utf8(whole).ok().and_then(|text| Base64::decode_vec(text).ok());
    let decoded = decoded.map(SecretBytes::from);
    decoded.is_some_and(|text| text.windows(11).any(|part| part == b"PRIVATE KEY"))
}

/// `Bearer …`, `Basic …`: the whole value. Words have no digits or `=`, credentials nearly
/// always do.
fn is_header(text: &[u8]) -> bool {
    let has_scheme = b"BbTtAaPp".contains(&text[0]) && memchr::memchr(b' ', text).is_some();
    if !has_scheme || text.len() > 1 << 16 {
        return false;
    }
    let value = FORMS.header.captures(text).and_then(|captures| captures.name("value"));
    value.is_some_and(|value| value.as_bytes().iter().any(|b| b.is_ascii_digit() || *b == b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_is_without_a_mark() {
        // What is no text of its own: classes, repetitions, groups.
        let syntax = Regex::new(r"\[[^]]*\]|\{[0-9,]+\}|\(\?:").unwrap();
        let unmarked: Vec<&str> = UNMARKED.split('|').collect();
        let others = ARMOUR.split('|').chain(HASHES.split(r"|\")).chain([ARMOUR_BASE64]);
        for form in TOKENS.iter().map(|(_, form)| *form).chain(others) {
            let literal = syntax.replace_all(form.as_bytes(), &b""[..]);
            let is_marked = literal.iter().any(|byte| MARKS.as_flattened().contains(byte));
            assert!(is_marked || unmarked.iter().any(|front| form.starts_with(front)), "{form}");
        }
    }
}
