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
    /// The name of a secret that is kept elsewhere.
    Reference,
    /// The path of a file.
    FilePath,
    /// A public key or a certificate.
    PublicKey,
    /// The version of a program.
    Version,
    /// Another tool has sealed it.
    Encrypted,
    /// A locator without a password.
    NoPassword,
}

impl fmt::Display for Harmless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Harmless::Empty => "its value is empty",
            Harmless::Switch => "its value is a switch",
            Harmless::Placeholder => "its value is a placeholder",
            Harmless::Reference => "its value is the name of one that is defined elsewhere",
            Harmless::FilePath => "its value is a path",
            Harmless::Version => "its value is a version",
            Harmless::Encrypted => "another tool has encrypted its value",
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
            value if is_placeholder(value) || is_reference(value) || is_instruction(value) => {
                Some(Harmless::Placeholder)
            }
            value if is_encrypted(value) => Some(Harmless::Encrypted),
            value if is_version(value) => Some(Harmless::Version),
            value if is_file_path(value) => Some(Harmless::FilePath),
            value if is_public_key(value) => Some(Harmless::PublicKey),
            _ => None,
        }
    }
}

fn is_switch(value: &[u8]) -> bool {
    const WORDS: [&str; 16] = [
        "true", "false", "yes", "no", "on", "off", "null", "none", "nil", "~", "enabled",
        "disabled", "read", "write", "required", "optional",
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
            // Grafana: `$__file{/run/secrets/x}`, `$__env{X}`.
            let provided = value.starts_with(b"$__") && inner(b"$__", b"}").is_some();
            // GlassFish: a password that `asadmin` keeps.
            let alias = inner(b"${ALIAS=", b"}").is_some();
            braced
                || alias
                || provided
                || inner(b"$(", b")").is_some()
                || inner(b"${{", b"}}").is_some()
                || name(rest)
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
    const SCHEMES: [&[u8]; 13] = [
        b"op://",
        b"bw://",
        b"vault://",
        b"vault:secret/",
        b"vault:kv/",
        b"ref+",
        b"arn:aws:secretsmanager:",
        b"arn:aws:ssm:",
        b"ssm:/",
        b"keyring:",
        b"awssm://",
        b"gcpsm://",
        b"@Microsoft.KeyVault(",
    ];
    // `env:NAME`, `env.NAME`: capitals, or it is a password.
    let variable = |rest: &[u8]| {
        !rest.is_empty()
            && rest.iter().all(|b| b.is_ascii_uppercase() || b"_0123456789".contains(b))
    };
    let environment = value.strip_prefix(b"env").and_then(|rest| match rest {
        [b':' | b'.', name @ ..] => Some(variable(name)),
        _ => None,
    });
    if environment == Some(true) {
        return true;
    }
    let google = |value: &[u8]| value.windows(9).any(|part| part == b"/secrets/");
    SCHEMES.iter().any(|scheme| value.starts_with(scheme))
        || (value.starts_with(b"projects/") && google(value))
}

/// What asks its reader to put a secret there: `your-api-key-here`, `CHANGE_ME`. What may as well
/// be a working default (`changeme`, `changeit`) does not count.
fn is_instruction(value: &[u8]) -> bool {
    const LONGEST: usize = 64;
    const WHOLE: [&str; 8] = [
        "change_me",
        "replace_me",
        "fill_me_in",
        "fixme",
        "todo",
        "redacted",
        "placeholder",
        "to_be_filled",
    ];
    if value.len() > LONGEST {
        return false;
    }
    if value == b"CHANGEME" {
        return true;
    }
    let is_separator = |b: &u8| matches!(b, b'-' | b'_' | b' ');
    let joined: Vec<u8> =
        value.iter().map(|b| if is_separator(b) { b'_' } else { b.to_ascii_lowercase() }).collect();
    let joined = SecretBytes::from(joined);
    let words = joined.iter().all(|b| b.is_ascii_lowercase() || *b == b'_');
    let asks = joined.starts_with(b"your_")
        || [&b"insert_"[..], b"enter_", b"replace_", b"put_", b"paste_", b"add_"]
            .iter()
            .any(|verb| joined.starts_with(verb) && joined.ends_with(b"_here"))
        || joined.starts_with(b"replace_with_");
    words && (asks || WHOLE.iter().any(|whole| whole.as_bytes() == &joined[..]))
}

/// Ciphertext of SOPS, hiera-eyaml, ansible-vault, dotenvx, Spring Cloud Config, Jasypt, and of
/// Vault's transit engine. It is opened by its own tool.
fn is_encrypted(value: &[u8]) -> bool {
    const FRONTS: [&[u8]; 8] = [
        b"ENC[AES256_GCM,",
        b"ENC[PKCS7,",
        b"ENC[GPG,",
        b"$ANSIBLE_VAULT;",
        b"encrypted:B",
        b"{cipher}",
        b"vault:v1:",
        b"-----BEGIN AGE ENCRYPTED FILE",
    ];
    let jasypt = value.starts_with(b"ENC(") && value.ends_with(b")") && value.len() > 16;
    jasypt || FRONTS.iter().any(|front| value.starts_with(front))
}

/// `^9.0.2`, `~> 3.0`, `1.2.2`: three numbers, or an operator in front.
fn is_version(value: &[u8]) -> bool {
    let operator = value.iter().take_while(|b| b"^~><= ".contains(b)).count();
    let numbers = &value[operator..];
    let mut parts = 0;
    let all = numbers.split(|b| *b == b'.').all(|part| {
        parts += 1;
        matches!(part.len(), 1..=5) && part.iter().all(u8::is_ascii_digit)
    });
    all && (if operator > 0 { 2..=4 } else { 3..=4 }).contains(&parts)
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
    // `server.key`, `tls/ca.pem`: no password ends so.
    const KEY_FILES: [&[u8]; 9] =
        [b".pem", b".key", b".crt", b".cer", b".p12", b".pfx", b".jks", b".pub", b".asc"];
    let is_file = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    if KEY_FILES.iter().any(|end| value.len() > end.len() && value.ends_with(end))
        && value.iter().all(is_file)
    {
        return true;
    }
    let rooted = |root: &&[u8]| value.len() > root.len() && value.starts_with(root);
    // `${user.home}/.ssh/id_ed25519`
    let variable = value.strip_prefix(b"${").and_then(|rest| {
        let end = rest.iter().position(|b| *b == b'}')?;
        (!has_default(&rest[..end])).then_some(&rest[end + 1..])
    });
    if variable.is_some_and(|rest| rest.starts_with(b"/") && rest.iter().all(is_path)) {
        return true;
    }
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
    // The id of an OpenPGP key, short, long, or its fingerprint.
    let pgp = value.strip_prefix(b"0x").is_some_and(|hex| {
        matches!(hex.len(), 8 | 16 | 40) && hex.iter().all(u8::is_ascii_hexdigit)
    });
    pgp || FRONTS.iter().any(|front| value.starts_with(front))
}

/// Whether `value`, in which no password was found, is a URL or a list of `name=value` pairs:
/// then it is read well enough to say that there is none. Anything else may hold one.
pub(in crate::policy) fn is_location(value: &[u8]) -> bool {
    let is_url = value.windows(3).any(|three| three == b"://");
    let host = value.iter().all(|b| b.is_ascii_alphanumeric() || b".-_/[]".contains(b));
    // With a `;`, names and values may hold blanks.
    let separator = if value.contains(&b';') { b';' } else { b' ' };
    let pairs = value.split(|b| *b == separator).filter(|pair| !pair.trim_ascii().is_empty());
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
            ("${user.home}/.ssh/id", Harmless::FilePath),
            ("$__file{/run/secrets/x}", Harmless::Placeholder),
            ("your-api-key-here", Harmless::Placeholder),
            ("YOUR_API_KEY", Harmless::Placeholder),
            ("Insert token here", Harmless::Placeholder),
            ("CHANGE_ME", Harmless::Placeholder),
            ("vault:secret/data/db#password", Harmless::Placeholder),
            ("env:DB_PASSWORD", Harmless::Placeholder),
            ("ref+awsssm://db/password", Harmless::Placeholder),
            ("^9.0.2", Harmless::Version),
            ("~> 3.0", Harmless::Version),
            ("1.2.2", Harmless::Version),
            ("ENC[AES256_GCM,data:x,iv:y,type:str]", Harmless::Encrypted),
            ("$ANSIBLE_VAULT;1.1;AES256\n6638", Harmless::Encrypted),
            ("ENC(G6N718UuyPE5bHyWKyuLQSm02auQPUtm)", Harmless::Encrypted),
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
            "changeme",
            "changeit",
            "env:hunter2",
            "12.5",
            "3.0",
            "${HOME:-hunter2}/x",
            "yours",
            "ENC(x)",
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
