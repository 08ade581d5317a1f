//! Values that are no secret although their name says so: nothing, a switch, a variable that
//! something else fills in, the place where the secret is kept.
//!
//! Such a value becomes secret at the save that replaces it by a real one.

use std::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding};

use crate::secret::SecretBytes;

/// Why a value under a secret's name is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Harmless {
    /// It is empty or blank.
    Empty,
    /// A boolean, a null or a single digit.
    Switch,
    /// A variable, a template, a masked value, a reference into some secret store.
    Placeholder,
    /// The path of a file.
    FilePath,
    /// A public key or a certificate.
    PublicKey,
    /// A locator without a password.
    NoPassword,
}

impl fmt::Display for Harmless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Harmless::Empty => "its value is empty",
            Harmless::Switch => "its value is a switch",
            Harmless::Placeholder => "its value is a placeholder",
            Harmless::FilePath => "its value is a path",
            Harmless::PublicKey => "its value is public by its kind",
            Harmless::NoPassword => "its value holds no password",
        })
    }
}

impl Harmless {
    /// Why `value` is harmless under a secret's name, if it is.
    pub fn of(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        match value {
            b"" => Some(Harmless::Empty),
            value if is_switch(value) => Some(Harmless::Switch),
            value if is_placeholder(value) || is_reference(value) => Some(Harmless::Placeholder),
            value if is_file_path(value) => Some(Harmless::FilePath),
            value if is_public_key(value) => Some(Harmless::PublicKey),
            _ => None,
        }
    }
}

fn is_switch(value: &[u8]) -> bool {
    const WORDS: [&str; 12] = [
        "true", "false", "yes", "no", "on", "off", "null", "none", "nil", "~", "enabled",
        "disabled",
    ];
    matches!(value, [digit] if digit.is_ascii_digit())
        || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether `value` as a whole is a variable or template, or masked. A default inside a variable
/// (`${PASSWORD:-hunter2}`) is a value.
pub(in crate::policy) fn is_placeholder(value: &[u8]) -> bool {
    let Some((first, rest)) = value.split_first() else { return false };
    let inner = |open: &[u8], close: &[u8]| {
        let inner = value.strip_prefix(open)?.strip_suffix(close)?;
        (!inner.windows(close.len()).any(|part| part == close)).then_some(inner)
    };
    match first {
        b'$' => {
            // `$ecret` is a password.
            let capital = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
            let name = |text: &[u8]| !text.is_empty() && text.iter().all(capital);
            let braced = inner(b"${", b"}").is_some_and(|inner| !has_default(inner));
            braced || inner(b"$(", b")").is_some() || inner(b"${{", b"}}").is_some() || name(rest)
        }
        b'{' => {
            let template = |inner: &[u8]| !inner.windows(7).any(|part| part == b"default");
            inner(b"{{", b"}}").or_else(|| inner(b"{%", b"%}")).is_some_and(template)
                || inner(b"{", b"}").is_some_and(|name| name.iter().all(|b| is_name(*b)))
        }
        b'<' => inner(b"<", b">").is_some_and(|inner| !inner.contains(&b'<') && inner.len() <= 64),
        b'%' => {
            let named = |inner: &[u8]| inner.iter().all(|b| is_name(*b));
            inner(b"%(", b")s").is_some_and(named)
                || (value.len() > 2 && inner(b"%", b"%").is_some_and(named))
                || value == b"%s"
        }
        b'@' => value.len() > 2 && inner(b"@", b"@").is_some_and(|n| n.iter().all(|b| is_name(*b))),
        b'*' | b'x' | b'X' | b'.' | b'#' => value.len() >= 3 && rest.iter().all(|b| b == first),
        // U+2022 and U+2026, what forms show in place of a password.
        0xe2 => value.chunks(3).all(|c| c == b"\xe2\x80\xa2" || c == b"\xe2\x80\xa6"),
        _ => false,
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

/// `NAME:-text`, `NAME-text`, `NAME:=text`, `NAME=text` (the shell), `name:text` (Spring).
/// `NAME:?text` and `NAME:+text` hold a message and a replacement: no password either way, but
/// only the first is surely none.
fn has_default(inner: &[u8]) -> bool {
    let rest = &inner[inner.iter().take_while(|b| is_name(**b)).count()..];
    let text = match rest {
        [] | [b':', b'?', ..] | [b'?', ..] => return false,
        [b':', b'-' | b'=' | b'+', text @ ..] => text,
        [b'-' | b'=' | b'+' | b':', text @ ..] => text,
        // An expression: `secrets.X`, `env:NAME`, `file(…)`.
        _ => return false,
    };
    !text.is_empty()
}

/// A reference that some secret store resolves.
fn is_reference(value: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 6] = [
        b"op://",
        b"vault://",
        b"arn:aws:secretsmanager:",
        b"arn:aws:ssm:",
        b"keyring:",
        b"awssm://",
    ];
    let google = |value: &[u8]| value.windows(9).any(|part| part == b"/secrets/");
    SCHEMES.iter().any(|scheme| value.starts_with(scheme))
        || (value.starts_with(b"projects/") && google(value))
}

fn is_file_path(value: &[u8]) -> bool {
    const ROOTS: [&[u8]; 26] = [
        b"/etc/",
        b"/var/",
        b"/run/",
        b"/usr/",
        b"/home/",
        b"/opt/",
        b"/root/",
        b"/srv/",
        b"/tmp/",
        b"/mnt/",
        b"/secrets/",
        b"/data/",
        b"/app/",
        b"/config/",
        b"/proc/",
        b"/dev/",
        b"/certs/",
        b"/ssl/",
        b"/keys/",
        b"/Users/",
        b"/vault/",
        b"./",
        b"../",
        b"~/",
        b"file:",
        b"%h/",
    ];
    let is_path = |byte: &u8| {
        !byte.is_ascii() || byte.is_ascii_alphanumeric() || b"/._-@~:%${} ".contains(byte)
    };
    let rooted = |root: &&[u8]| value.len() > root.len() && value.starts_with(root);
    let windows = matches!(value, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    windows || (ROOTS.iter().any(rooted) && value.iter().all(is_path))
}

fn is_public_key(value: &[u8]) -> bool {
    const FRONTS: [&[u8]; 8] = [
        b"ssh-rsa ",
        b"ssh-ed25519 ",
        b"ecdsa-sha2-",
        b"sk-ssh-ed25519",
        b"-----BEGIN PUBLIC KEY",
        b"-----BEGIN CERTIFICATE",
        b"-----BEGIN RSA PUBLIC KEY",
        b"-----BEGIN PGP PUBLIC KEY",
    ];
    FRONTS.iter().any(|front| value.starts_with(front))
}

/// Whether `value`, in which no password was found, is a URL or a list of `name=value` pairs:
/// then it is read well enough to say that there is none. Anything else may hold one.
pub(in crate::policy) fn is_location(value: &[u8]) -> bool {
    let is_url = value.windows(3).any(|three| three == b"://");
    let host = value.iter().all(|b| b.is_ascii_alphanumeric() || b".-_/[]".contains(b));
    let pairs = value.split(|b| *b == b';' || *b == b' ').filter(|pair| !pair.is_empty());
    is_url || host || pairs.clone().all(|pair| pair.contains(&b'='))
}

/// Whether `value` is `user:password`, or that in Base64, as Docker and npm keep it.
pub(in crate::policy) fn is_user_and_password(value: &[u8]) -> bool {
    let pair = |text: &[u8]| {
        let mut halves = text.splitn(2, |b| *b == b':');
        let (Some(user), Some(password)) = (halves.next(), halves.next()) else { return false };
        let number = password.len() <= 5 && password.iter().all(u8::is_ascii_digit);
        let printable = text.iter().all(|b| !b.is_ascii_control() && *b != b' ');
        !user.is_empty() && !number && !password.starts_with(b"//") && printable
    };
    let decoded = std::str::from_utf8(value).ok().filter(|text| text.len() >= 8).and_then(|text| {
        Base64::decode_vec(text).or_else(|_| Base64Unpadded::decode_vec(text)).ok()
    });
    let decoded = decoded.map(SecretBytes::from);
    pair(value) || decoded.is_some_and(|text| std::str::from_utf8(&text).is_ok() && pair(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_secret_is_none() {
        for (value, why) in [
            ("", Harmless::Empty),
            ("  ", Harmless::Empty),
            ("True", Harmless::Switch),
            ("0", Harmless::Switch),
            ("${DB_PASSWORD}", Harmless::Placeholder),
            ("${DB_PASSWORD:?missing}", Harmless::Placeholder),
            ("${DB_PASSWORD:-}", Harmless::Placeholder),
            ("${{ secrets.TOKEN }}", Harmless::Placeholder),
            ("$DB_PASSWORD", Harmless::Placeholder),
            ("{{ db_password }}", Harmless::Placeholder),
            ("%(password)s", Harmless::Placeholder),
            ("<your password>", Harmless::Placeholder),
            ("********", Harmless::Placeholder),
            ("•••", Harmless::Placeholder),
            ("op://vault/item/field", Harmless::Placeholder),
            ("/run/secrets/db_password", Harmless::FilePath),
            ("./db_password.txt", Harmless::FilePath),
            ("C:\\keys\\x.pem", Harmless::FilePath),
            ("ssh-ed25519 AAAA me@host", Harmless::PublicKey),
        ] {
            assert_eq!(Harmless::of(value.as_bytes()), Some(why), "{value}");
        }
    }

    #[test]
    fn a_real_value_in_disguise_is_one() {
        for value in [
            "hunter2",
            "${DB_PASSWORD:-hunter2}",
            "${db.password:hunter2}",
            "{{ x | default('hunter2') }}",
            "${A}${B}",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$ecret",
            "default",
            "/9j/4AAQSkZJRg==",
            "<a><b>",
            "xx",
            "12",
            "trueish",
        ] {
            assert_eq!(Harmless::of(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn user_and_password_are_told_from_an_address() {
        for value in ["app:hunter2", "YXBwOmh1bnRlcjI=", "YXBwOmh1bnRlcjI"] {
            assert!(is_user_and_password(value.as_bytes()), "{value}");
        }
        for value in ["host:8080", "ldap://host", "basic", "none", "a: b", "Zm9vYmFyYmF6"] {
            assert!(!is_user_and_password(value.as_bytes()), "{value}");
        }
    }
}
