//! Names: does a key say that what stands under it is secret?
//!
//! An operator's `except` beats an operator's `names`, those beat the built-in exceptions, and
//! those the built-in names. An exception takes back only the key that it is about: under
//! `credentials.token_url` the first segment still matches.
//!
//! Must stay true: looking at an ordinary key allocates nothing.

mod builtin;
mod phrase;

use std::sync::Arc;

use self::builtin::Builtin;
pub(super) use self::builtin::is_whole_file;
use self::phrase::Phrase;
use super::defaults::Kind;
use super::pattern::{star_match, star_pieces};
use super::words::{with_words, with_words_of_any_case};

/// The names and exceptions in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// The operator's, from `[secrets] names`.
    pub names: Vec<Word>,
    /// The operator's, from `[secrets] except`.
    pub except: Vec<Word>,
}

/// One of the operator's names or exceptions: words, or a glob over a key.
#[derive(Debug, Clone)]
pub(super) struct Word {
    text: Arc<str>,
    line: usize,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Words(Phrase),
    /// Over the key in lower case, as it is written and with its words joined by `_`.
    Glob {
        verbatim: Box<[Box<[u8]>]>,
        joined: Box<[Box<[u8]>]>,
    },
}

/// What a key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// It names a secret.
    Name { word: Named, kind: Kind },
    /// It would name a secret, but for an exception.
    Excepted { word: Named, except: Named },
}

/// An entry of the names or of the exceptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As the list has it.
    pub text: Arc<str>,
    /// The line in the policy, 1-based; `None` for a built-in entry.
    pub line: Option<usize>,
}

impl Word {
    /// `text` is not empty; a `*` makes it a glob.
    pub fn new(text: &str, line: usize) -> Self {
        let form = if text.contains('*') {
            let lower = text.to_ascii_lowercase();
            Form::Glob {
                verbatim: star_pieces(lower.as_bytes()),
                joined: text.split('*').map(joined_piece).collect(),
            }
        } else {
            Form::Words(Phrase::new(text, text.into(), Kind::Secret))
        };
        Self { text: text.into(), line, form }
    }

    fn matches(&self, key: &[u8], words: &[&[u8]]) -> bool {
        match &self.form {
            Form::Words(phrase) => phrase.is_in(words),
            Form::Glob { verbatim, joined } => {
                star_match(verbatim, &key.to_ascii_lowercase())
                    || star_match(joined, &words.join(&b'_').to_ascii_lowercase())
            }
        }
    }

    /// The word with its line.
    pub fn named(&self) -> Named {
        Named { text: self.text.clone(), line: Some(self.line) }
    }
}

/// A piece of a glob with its words joined by `_`; separators at its ends stay, as `_`.
fn joined_piece(piece: &str) -> Box<[u8]> {
    let is_separator = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric();
    let mut joined = with_words(piece.as_bytes(), |words| words.join(&b'_'));
    if !joined.is_empty() && piece.starts_with(is_separator) {
        joined.insert(0, b'_');
    }
    if piece.ends_with(is_separator) {
        joined.push(b'_');
    }
    joined.to_ascii_lowercase().into()
}

impl Names {
    /// What `key` says; `innermost` when no other key stands below it.
    pub fn look_at(&self, key: &[u8], innermost: bool) -> Found {
        with_words(key, |words| match self.look_at_words(key, words, innermost) {
            // `PASSword`: what looks like two words may be one, spelled at whim.
            Found::Nothing => with_words_of_any_case(key, |joined| {
                if joined.len() == words.len() {
                    return Found::Nothing;
                }
                let found = self.look_at_words(key, joined, innermost);
                self.unless_excepted(found, key, words)
            }),
            found => found,
        })
    }

    /// What `key` says, of which `found` was found, when `inner` stand below it: the next key, and
    /// the last. A table that is named like one secret has keys that say something about it
    /// (`password.min_length`); one that is named like many (`tokens`) has the names of those.
    pub fn within_table(&self, found: Found, key: &[u8], inner: [Option<&[u8]>; 2]) -> Found {
        match &found {
            Found::Name { word, .. } if word.line.is_none() && is_singular(key) => {
                let mut inner = inner.into_iter().flatten();
                match inner.find_map(|key| Builtin::get().attribute(key)) {
                    Some(except) => Found::Excepted { word: word.clone(), except },
                    None => found,
                }
            }
            _ => found,
        }
    }

    /// By what the value below `key` is only a reference to another, if it is.
    pub fn reference(&self, key: &[u8]) -> Option<Named> {
        Builtin::get().reference(key)
    }

    fn look_at_words(&self, key: &[u8], words: &[&[u8]], innermost: bool) -> Found {
        let own = self.names.iter().find(|word| word.matches(key, words));
        let found = match own {
            Some(word) => Found::Name { word: word.named(), kind: Kind::Secret },
            None => Builtin::get().look_at(words, innermost),
        };
        self.unless_excepted(found, key, words)
    }

    /// `found` but for the operator's exceptions.
    fn unless_excepted(&self, found: Found, key: &[u8], words: &[&[u8]]) -> Found {
        let (Found::Name { word, .. } | Found::Excepted { word, .. }) = &found else {
            return found;
        };
        match self.except.iter().find(|except| except.matches(key, words)) {
            Some(except) => Found::Excepted { word: word.clone(), except: except.named() },
            None => found,
        }
    }
}

fn is_singular(key: &[u8]) -> bool {
    let lower = key.to_ascii_lowercase();
    !lower.ends_with(b"s") || lower.ends_with(b"pass")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{assert_linear, repeated};

    fn named(names: &Names, key: &str) -> bool {
        let found = names.look_at(key.as_bytes(), true);
        matches!(found, Found::Name { kind, .. } if kind != Kind::Random)
    }

    #[test]
    fn built_in_names_match_in_every_spelling() {
        for key in [
            "password",
            "PASSWORD",
            "dbPassword",
            "db-password",
            "db_password_2",
            "password2",
            "dbpassword",
            "passwords",
            "DB_PASS",
            "mysql_pwd",
            "MYSQLPWD",
            "rootpw",
            "pw",
            "apiKey",
            "API_KEY",
            "apikey",
            "api-keys",
            "X-Api-Key",
            "MyAPIKey",
            "stripeapikey",
            "privateKey",
            "client_secret",
            "clientSecret",
            "clientsecret",
            "token",
            "tokens",
            "authToken",
            "authtoken",
            "refresh_token",
            "githubToken",
            "requirepass",
            "masterauth",
            "master_auth",
            "wpa_psk",
            "PresharedKey",
            "salt",
            "AUTH_SALT",
            "credentials",
            "secretKeyBase",
            "secret_access_key",
            "aws_secret_access_key",
            "AccountKey",
            "JWT_SECRET",
            "secret_id",
            "VAULT_SECRET_ID",
            "license_key",
            "private_key_passphrase",
            "client-key-data",
            "tokenAuthSecret",
            "contraseña",
            "spring.datasource.password",
            "password_reset_token",
            "oauth2token",
            "passphrase",
            "session_secret",
            "encryptionKey",
            "signing-key",
            "ENCRYPTION_KEY_2",
            "snmpCommunity",
            "PASSword",
            "pAssWord",
            "db_PASSword",
            "dbPASSword",
            "toKEN",
            "apIKey2",
        ] {
            assert!(named(&Names::default(), key), "{key}");
        }
    }

    #[test]
    fn built_in_exceptions_take_back_what_is_about_a_secret() {
        for key in [
            "password_file",
            "passwordFile",
            "private_key_path",
            "privateKeyPath",
            "token_url",
            "tokenUrl",
            "token_endpoint",
            "public_key",
            "max_tokens",
            "maxTokens",
            "token_count",
            "token_ttl",
            "tokenTTL",
            "password_min_length",
            "minPasswordLength",
            "secret_enabled",
            "password_expiry",
            "token_timeout",
            "token_interval",
            "password_policy",
            "token_algorithm",
            "token_type",
            "key_id",
            "secret_name",
            "secretName",
            "keyspace",
            "monkey",
            "keyboard",
            "bypass",
            "compass",
            "tokenizer",
            "aws_access_key_id",
            "private_key_id",
            "existingSecret",
            "imagePullSecrets",
            "secretKeyRef",
            "passwordless",
            "secretary",
            "tokens_per_minute",
            "authorized_keys",
            "auth_method",
            "authentication",
            "author",
            "cookie",
            "pin",
            "cs_pin",
            "refresh_token_expires_in",
            "jwt_issuer",
            "jwt_audience",
            "jwks_uri",
            "jwtAlgorithm",
            "password_hashers",
            "credentials_provider",
            "token_url_2",
            "pass_rate",
            "passenger",
            "password_env",
            "bearer_format",
            "TOKEN_CACHE_SIZE",
            "hash",
            "primary_key",
            "salt_len",
            "access_key_id",
            "server_tokens",
            "eos_token",
            "proxy_pass",
            "fastcgi_pass",
            "password_encoder",
            "PASSword_file",
            "keyRing",
            "MONKey",
        ] {
            assert!(!named(&Names::default(), key), "{key}");
        }
    }

    #[test]
    fn an_exception_tells_what_it_took_back() {
        let Found::Excepted { word, except } = Names::default().look_at(b"tokenUrl", true) else {
            panic!("an exception");
        };
        assert_eq!((&*word.text, &*except.text), ("token", "*_url"));
    }

    #[test]
    fn the_operators_lists_beat_the_built_in_ones() {
        let names = Names {
            names: vec![
                Word::new("internal_pin", 3),
                Word::new("x-*", 4),
                Word::new("token_url", 5),
                Word::new("*Code", 6),
            ],
            except: vec![Word::new("*_hint", 7), Word::new("demo", 8)],
        };
        for key in [
            "internal_pin",
            "myInternalPin",
            "InternalPins",
            "X-Foo",
            "x_foo",
            "token_url",
            "doorCode",
        ] {
            assert!(named(&names, key), "{key}");
        }
        for key in [
            "pin",
            "password_hint",
            "passwordHint",
            "demo_password",
            "demoInternalPin",
            "demoPASSword",
        ] {
            assert!(!named(&names, key), "{key}");
        }
        assert_eq!(
            names.look_at(b"token_url", true),
            Found::Name {
                word: Named { text: "token_url".into(), line: Some(5) },
                kind: Kind::Secret
            }
        );
    }

    #[test]
    fn a_hostile_key_takes_linear_time() {
        for piece in
            ["tOken_url_", "token_url_", "token_", "a_", "max_token_", "1_", "password_min_1_"]
        {
            let key = |len| repeated(piece, len) + "url_1_1";
            assert_linear(piece, key, |key| {
                let _ = Names::default().look_at(key.as_bytes(), true);
            });
        }
    }

    #[test]
    fn whole_files_are_known_by_name() {
        for name in ["id_rsa", "ssh_host_ed25519_key", "server.KEY", ".netrc", "a.b.p12"] {
            assert!(is_whole_file(name.as_bytes()), "{name}");
        }
        for name in ["id_rsa.pub", "ca.pem", "server.crt", "key", "ssh_host_rsa_key.pub", "x.gpg"] {
            assert!(!is_whole_file(name.as_bytes()), "{name}");
        }
    }
}
