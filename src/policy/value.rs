//! Values that are credentials whatever their name: what they are, and which bytes of them.
//!
//! Must stay true: time is linear in the value's length, whatever stands in it; an ordinary
//! value costs a few looks for single bytes. A part obeys the delimiter rule of sealed parts:
//! it never begins at offset 0, it is not empty, and the byte behind it is outside
//! `[A-Za-z0-9_:-]` or there is none. What cannot obey is sealed whole.

mod assignment;
mod connection;
mod harmless;
mod outside;
mod random;
mod token;
mod url;

use std::fmt;

pub(super) use assignment::assignments;
pub use harmless::Harmless;
pub(super) use harmless::{is_location, is_user_and_password};
pub(super) use outside::credential_outside;
pub(super) use random::is_random;
pub use random::looks_random;

use super::Secret;
use crate::span::Span;

/// What a value was recognised as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A private key in PEM or a like armour, possibly in Base64 once more.
    PrivateKey,
    /// A password among the user info of a URL.
    UrlPassword,
    /// A password among the `name=value` pairs of a connection string, an option or a query.
    ConnectionPassword,
    /// The credentials of an HTTP `Authorization` header.
    Authorization,
    /// A token that shows by its form who issued it.
    Token(&'static str),
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credential::PrivateKey => f.write_str("a private key"),
            Credential::UrlPassword => f.write_str("a password in a URL"),
            Credential::ConnectionPassword => f.write_str("a password in a connection string"),
            Credential::Authorization => f.write_str("the credentials of a request header"),
            Credential::Token(kind) => write!(f, "a {kind}"),
        }
    }
}

/// Whether `byte` stands in `text`: tells what need not be looked for.
fn holds(text: &[u8], byte: u8) -> bool {
    memchr::memchr(byte, text).is_some()
}

/// Whether `value` begins with `ENC:` or holds `ENC:v` and a digit: then opening it again would
/// be ambiguous unless it is sealed.
pub(super) fn looks_sealed(value: &[u8]) -> bool {
    let marked = |at: usize| {
        value[..at].ends_with(b"ENC")
            && value[at..].starts_with(b":v")
            && value.get(at + 2).is_some_and(u8::is_ascii_digit)
    };
    value.starts_with(b"ENC:") || memchr::memchr_iter(b':', value).any(marked)
}

/// What `value` is and how much of it is secret, if it is a credential.
pub(super) fn credential(value: &[u8]) -> Option<(Credential, Secret)> {
    if let Some(kind) = token::find(value) {
        return Some(match kind {
            // A URL that carries a token is secret in that part alone.
            Credential::Token(_) => match url::token_users(value) {
                parts if parts.is_empty() => (kind, Secret::All),
                parts => (kind, within(value, parts)),
            },
            kind => (kind, Secret::All),
        });
    }
    let mut parts = Vec::new();
    let mut kind = Credential::UrlPassword;
    if holds(value, b'@') && holds(value, b':') {
        parts = url::passwords(value);
    }
    if holds(value, b'=') {
        let more = connection::passwords(value);
        if parts.is_empty() {
            kind = Credential::ConnectionPassword;
        }
        parts.extend(more);
    }
    (!parts.is_empty()).then(|| (kind, within(value, parts)))
}

/// What the raw text of a file that no codec reads holds, if there is a credential in it.
pub(super) fn credential_in_text(text: &[u8]) -> Option<Credential> {
    if let Some(kind) = token::find(text) {
        return Some(kind);
    }
    let may_hold = [b'@', b':', b'/'].into_iter().all(|byte| holds(text, byte));
    (may_hold && !url::passwords(text).is_empty()).then_some(Credential::UrlPassword)
}

/// `parts` of `value` in order and apart; all of it where one breaks the delimiter rule.
pub(super) fn within(value: &[u8], mut parts: Vec<Span>) -> Secret {
    parts.sort_unstable();
    let mut apart: Vec<Span> = Vec::with_capacity(parts.len());
    for part in parts {
        match apart.last_mut() {
            Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
            _ => apart.push(part),
        }
    }
    let delimited = |part: &Span| {
        let behind = value.get(part.end);
        let may_belong =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-');
        part.start > 0 && !part.is_empty() && !behind.is_some_and(may_belong)
    };
    if !apart.is_empty() && apart.iter().all(delimited) {
        Secret::Parts(apart)
    } else {
        Secret::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{assert_linear, repeated};
    use proptest::prelude::*;

    /// The value with each secret part in brackets, `ALL`, or `no`.
    fn shown(value: &str) -> String {
        let Some((_, secret)) = credential(value.as_bytes()) else { return "no".into() };
        let Secret::Parts(parts) = secret else { return "ALL".into() };
        let mut shown = value.as_bytes().to_vec();
        for part in parts.iter().rev() {
            shown.insert(part.end, b']');
            shown.insert(part.start, b'[');
        }
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn only_the_secret_part_of_a_url_is_taken() {
        for expected in [
            "postgres://app:[hunter2]@db/shop",
            "redis://:[hunter2]@cache:6379/0",
            "redis://:[a]@h1,redis://:[b]@h2",
            "amqp://u:[p@ss]@mq/vhost",
            "mongodb://u:[p]@h1:27017,h2:27017/db?replicaSet=a",
            "jdbc:oracle://u:[p]@h",
            "primary=pg://a:[b]@c other=pg://a:[d]@c",
            "postgres://app:[p/w?x]@db/shop",
            "https://x-access-token:[hunter2]@github.com/o/r",
            "app:[hunter2]@tcp(db:3306)/shop",
            "jdbc:oracle:thin:scott/[t1ger]@//db1:1521/ORCL",
            "Server=db;Password=[hun ter&2];Database=x",
            "host=db password=[hunter2] dbname=shop",
            "host=db password='[hun ter\\'2]' dbname=shop",
            "jdbc:mysql://db/shop?user=a&password=[hunter2]&ssl=1",
            "cache:6379,password=[hunter2],ssl=True",
            "Data Source=x;User ID=u;Pwd=[a b]",
            "Driver={SQL};PWD={[a;b]};X=1",
            "AccountName=n;AccountKey=[abc/def==];EndpointSuffix=s",
            "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=[abc=]",
            "-Djavax.net.ssl.keyStorePassword=[changeit] -Xmx1g",
            "--db-password=[hunter2]",
            "required username=\"a\" password=\"[s3cret]\";",
            "https://api.example.com/x?access_token=[abc123]&y=1",
            "DB_PASSWORD=[correct horse battery]",
        ] {
            let value = expected.replace(['[', ']'], "");
            assert_eq!(shown(&value), expected);
        }
    }

    #[test]
    fn what_cannot_be_delimited_is_taken_whole() {
        for value in [
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE KEY-----\\nabc",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----",
            "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFb3dJQkFBS0NBUUVB",
            "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none",
            "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
            "token ghp_abcdefghijklmnopqrstuvwxyz0123456789",
            "glpat-abcdefghij0123456789",
            "xoxb-123456789012-abcdefABCDEF",
            "sk_live_abcdefghijklmnop01234567",
            "sk-abcdefghijklmnopqrstuvwxyz0123456789abcdefABCDEF",
            "AIzaSyA0123456789abcdefghijklmnopqrstuv",
            "hvs.CAESIJabcdefghijklmnopqrstuvwx",
            "SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789abcdefg",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1g",
            "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
            "confseal_key_v1_abcdefghijklmnopqrstuvwxyz",
            "Bearer abcdefghijklmnop1234",
            "Authorization: Bearer abcdefghijklmnop1234",
            "$6$rounds=5000$saltsalt$abcdefghijklmnop",
            "{SSHA}abcdefghijklmnopqrstuvwxyz01",
            "1234567890:AAabcdefghijklmnopqrstuvwxyz0123456",
            "basic dXNlcjpwYXNzd29yZDEyMw==",
            "https://hooks.slack.com/services/T00000000/B00000000/abcdefghijklmnop",
        ] {
            assert_eq!(shown(value), "ALL", "{value}");
        }
    }

    #[test]
    fn a_token_in_place_of_the_user_is_a_part() {
        let token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
        for (front, behind) in [("https://[", "]@github.com/o/r"), ("git+https://[", "]@h")] {
            let expected = format!("{front}{token}{behind}");
            assert_eq!(shown(&expected.replace(['[', ']'], "")), expected);
        }
        let expected = format!("https://[{token}:x-oauth-basic]@github.com/o/r");
        assert_eq!(shown(&expected.replace(['[', ']'], "")), expected);
        let expected = format!("https://oauth2:[{token}]@github.com/o/r");
        assert_eq!(shown(&expected.replace(['[', ']'], "")), expected);
        assert_eq!(shown(&format!("https://h/{token}?u=http://a:b@c")), "ALL");
    }

    #[test]
    fn ordinary_values_are_left_alone() {
        for value in [
            "",
            "hunter2",
            "https://example.com/a?b=c",
            "https://example.com:8443/a@b",
            "http://[::1]:80/x@y",
            "https://user@example.com/",
            "https://abcdef0123456789abcdef0123456789@o1.ingest.sentry.io/4",
            "postgres://app:${DB_PASSWORD}@db/shop",
            "postgres://app:$DB_PASSWORD@db/shop",
            "postgres://app:<password>@db/shop",
            "postgres://app:****@db/shop",
            "postgres://app:xxxx@db/shop",
            "postgres://app:{{ password }}@db/shop",
            "postgres://app:@db/shop",
            "host=db password=${PW} dbname=x",
            "Server=db;Password=;Database=x",
            "host=db dbname=shop password_file=/x",
            "if password == nil",
            "me@example.com:22",
            "a:b@c",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----",
            "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUQ=",
            "sk-fading-circle-element-of-a-spinner",
            "AKIAIOSFODNN7EXAMPLE",
            "jdbc:oracle:thin:@//db1:1521/ORCL",
            "$2b$ is what bcrypt begins with",
            "Authorization: none",
            "Basic Configuration",
            "Bearer authentication",
            "npm_config_registry",
            "SG.short.short",
            "passing=3 bypass=1",
        ] {
            assert_eq!(shown(value), "no", "{value}");
        }
    }

    #[test]
    fn the_marker_of_a_sealed_value_is_seen_anywhere() {
        for value in ["ENC:", "ENC:anything", "x ENC:v1:y", "ENC:v2", "AENC:v9"] {
            assert!(looks_sealed(value.as_bytes()), "{value}");
        }
        for value in ["", "ENC", "enc:v1", "x ENC:va", "x ENC:", ":v1"] {
            assert!(!looks_sealed(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn a_hostile_value_takes_linear_time() {
        for piece in [
            "://",
            "a://u:p",
            "password=",
            "x://h:p/",
            "ENC:",
            "=;",
            "a=b ",
            "pwd=$(",
            "pwd=xxx ",
            "ey.",
            "'=",
        ] {
            let value = |len| repeated(piece, len) + ")";
            assert_linear(piece, value, |value| {
                let _ = (credential(value.as_bytes()), looks_sealed(value.as_bytes()));
            });
        }
    }

    proptest! {
        #[test]
        fn parts_are_in_order_apart_and_delimited(
            value in "((a|b|:|/|@|://|=|;| |&|\\?|,|'|\"|\\{|\\}|password|pwd|%|\\$|-|x://u:){0,30})"
        ) {
            if let Some((_, Secret::Parts(parts))) = credential(value.as_bytes()) {
                let mut end = 0;
                for part in parts {
                    prop_assert!(part.start > end && part.end > part.start);
                    end = part.end;
                    if let Some(behind) = value.as_bytes().get(end) {
                        prop_assert!(!behind.is_ascii_alphanumeric() && !b"_:-".contains(behind));
                    }
                }
                prop_assert!(end <= value.len());
            }
        }

        #[test]
        fn any_bytes_are_taken(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (credential(&value), credential_in_text(&value), looks_sealed(&value));
        }
    }
}
