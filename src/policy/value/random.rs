//! Values that look as if chance had made them. That proves nothing (an id is random, too), so it
//! decides nothing: it is what `scan` and `init` point at, for somebody to look.

use crate::format::{FieldPath, Segment};
use crate::policy::words::with_words;

/// Shorter ones are words as often as not, longer ones are data.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=256;

/// Bits a byte that text of few letters does not reach; gitleaks and detect-secrets draw their
/// lines between 3 and 4.5.
const LEAST_ENTROPY: f64 = 3.0;

/// Words of a key that tell what a random value is, if it is no secret.
const ORDINARY: &[&str] = &[
    "address",
    "arn",
    "asset",
    "build",
    "ca",
    "cert",
    "certificate",
    "checksum",
    "cluster",
    "color",
    "commit",
    "crc",
    "digest",
    "etag",
    "file",
    "fingerprint",
    "guid",
    "hash",
    "href",
    "icon",
    "id",
    "identifier",
    "image",
    "integrity",
    "kid",
    "link",
    "logo",
    "mac",
    "md5",
    "name",
    "nonce",
    "oid",
    "path",
    "pattern",
    "pub",
    "public",
    "pubkey",
    "ref",
    "regex",
    "release",
    "resolved",
    "rev",
    "revision",
    "serial",
    "sha",
    "sha1",
    "sha256",
    "sha512",
    "src",
    "sum",
    "tag",
    "thumbprint",
    "uid",
    "uri",
    "url",
    "uuid",
    "verify",
    "version",
    "zone",
];

/// Whether `value`, of which nothing says what it is, looks like a key or token that was drawn at
/// random. For somebody to look at.
pub fn looks_random(path: &FieldPath, value: &[u8]) -> bool {
    is_random(value) && !is_told_by_key(path)
}

/// The same by the value alone.
pub(in crate::policy) fn is_random(value: &[u8]) -> bool {
    LENGTHS.contains(&value.len())
        && value.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=_-.~".contains(b))
        && !is_public_form(value)
        && is_jumbled(value)
        && entropy(value) >= LEAST_ENTROPY
}

/// Forms of ids, digests, certificates and pictures.
fn is_public_form(value: &[u8]) -> bool {
    const FRONTS: [&[u8]; 10] = [
        b"sha1-",
        b"sha256-",
        b"sha384-",
        b"sha512-",
        b"MII",
        b"LS0tLS1CRUdJTiBDRVJU",
        b"iVBORw0",
        b"/9j/",
        b"R0lGOD",
        b"AAAA",
    ];
    let groups: Vec<&[u8]> = value.split(|b| *b == b'-').collect();
    let is_hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    let uuid = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| is_hex(group));
    uuid || is_file_name(value) || FRONTS.iter().any(|front| value.starts_with(front))
}

/// `/a/b`, `dir/file.ext`, `a.b.example`: a path or a name of several words.
fn is_file_name(value: &[u8]) -> bool {
    let extension = value.iter().rposition(|b| *b == b'.').map(|at| &value[at + 1..]);
    let has_extension = extension.is_some_and(|ext| {
        matches!(ext.len(), 1..=5) && ext.iter().all(|b| b.is_ascii_lowercase())
    });
    has_extension
        || value.starts_with(b"/")
        || value.starts_with(b"./")
        || value.starts_with(b"../")
}

/// Whether letters and digits, or capitals and small letters, stand mixed within one long word.
fn is_jumbled(value: &[u8]) -> bool {
    let words = value.split(|b| b"-_./+=~".contains(b));
    let Some(longest) = words.max_by_key(|word| word.len()) else { return false };
    let class = |b: u8| match b {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    };
    let turns = longest.windows(2).filter(|two| class(two[0]) != class(two[1])).count();
    let has_digit = longest.iter().any(u8::is_ascii_digit);
    // A turn at every third byte; `camelCaseWords` and `2026-11-22T10` have fewer.
    longest.len() >= 12
        && has_digit
        && turns * 4 >= longest.len()
        && longest.iter().any(u8::is_ascii_alphabetic)
}

fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    value.iter().for_each(|b| counts[usize::from(*b)] += 1);
    let len = value.len() as f64;
    counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / len).map(|p| -p * p.log2()).sum()
}

/// The two innermost keys: `verify_keys.ed25519` says as much as `sha256`.
fn is_told_by_key(path: &FieldPath) -> bool {
    let ordinary = |word: &[u8]| {
        let is = |known: &&str| word.eq_ignore_ascii_case(known.as_bytes());
        let singular = word.strip_suffix(b"s").unwrap_or(word);
        ORDINARY.iter().any(|known| is(known) || singular.eq_ignore_ascii_case(known.as_bytes()))
    };
    let mut keys = path.inwards().filter_map(Segment::key).take(2);
    keys.any(|key| with_words(key, |words| words.iter().any(|word| ordinary(word))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(path: &str, value: &str) -> bool {
        looks_random(&FieldPath::parse(path).unwrap(), value.as_bytes())
    }

    #[test]
    fn what_chance_made_is_pointed_at() {
        for (path, value) in [
            ("routing", "r0ut1ngk3y0123456789ab"),
            ("a.magic", "3f9a1c07be52d4886a10"),
            ("integration.pagerduty", "u7Xk2Lq9Zp4Wm1Rt"),
            ("x", "bm90LWEtcmVhbC1qd3Q5MzQ4Mg=="),
            ("seed[]", "Zx3-9Kd72hQpL0vN8sTb"),
        ] {
            assert!(looks(path, value), "{path} = {value}");
        }
    }

    #[test]
    fn what_only_looks_so_is_left_alone() {
        for (path, value) in [
            ("client_id", "u7Xk2Lq9Zp4Wm1Rt0000"),
            ("git.commit", "9f2c1e07b4ad5566e8d1c2b3a4f5968778695a4b"),
            ("verify_keys.auto", "Noi6WqcDj0QmPxCNQqgezwTlBKrfqehY1u2FyWP9uYw"),
            ("x", "6f1d3a52-6c7e-4c0c-9f6a-0a4a0c2d7e11"),
            ("x", "sha512-z3b4f0c9d8e7a6b5c4d3e2f1a0"),
            ("x", "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea"),
            ("x", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
            ("x", "/srv/app/releases/20261122a1b2c3/x"),
            ("x", "org.postgresql.Driver42Connection"),
            ("x", "2026-11-22T10:11:12.123456Z"),
            ("x", "00:1A:2b:3C:4d:5E"),
            ("x", "MIIBIjANBgkqhkiG9w0BAQEFAAOC"),
            ("x", "iVBORw0KGgoAAAANSUhEUgAAAAUA"),
            ("x", "a1b2"),
            ("x", "SomeCamelCaseClassNameWithWords"),
            ("x", "assets/logo-3f9a1c07be52d4886a10.png"),
            ("x", "1234567890123456789012"),
            ("x", "We need 3 words & a b1t of t3xt here"),
        ] {
            assert!(!looks(path, value), "{path} = {value}");
        }
    }
}
