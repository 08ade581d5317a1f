//! The policy as a whole: the order of reasons, a table of labelled examples.

mod classes;

use crate::linear::assert_linear;
use proptest::prelude::*;

use super::*;
use crate::format::{CodecId, FieldPath, Segment};

fn file(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn fields(codec: CodecId) -> Class {
    Class::Fields(Format::Codec(codec))
}

fn policy(rules: &str) -> Policy {
    Policy::parse(&format!("version = 1\n{rules}")).unwrap()
}

fn judge(policy: &Policy, path: &str, value: &str) -> Verdict {
    let ledger = Ledger::new();
    let path = FieldPath::parse(path).unwrap();
    policy.fields(&file("app.toml"), &ledger).judge(&path, value.as_bytes())
}

/// `no`, `all`, or the value with its secret parts in brackets.
fn shown(verdict: &Verdict, value: &str) -> String {
    let parts = match &verdict.secret {
        Secret::No => return "no".into(),
        Secret::All => return "all".into(),
        Secret::Parts(parts) => parts,
    };
    let mut shown = value.to_owned();
    for part in parts.iter().rev() {
        shown.insert(part.end, ']');
        shown.insert(part.start, '[');
    }
    shown
}

/// Path, value, how much of it is secret, and what the reason says.
type Example = (&'static str, &'static str, &'static str, &'static str);

fn check(policy: &Policy, examples: &[Example]) {
    for (path, value, expected, because) in examples {
        let verdict = judge(policy, path, value);
        let reason = verdict.reason.to_string();
        assert_eq!(shown(&verdict, value), *expected, "{path} = {value}: {reason}");
        assert!(reason.contains(because), "{path} = {value}: {reason}");
    }
}

#[test]
fn secrets_are_known_by_their_names() {
    let named: &[(&str, &str)] = &[
        ("password", "hunter2"),
        ("database.password", "hunter2"),
        ("database.dbPassword", "hunter2"),
        ("DB_PASS", "hunter2"),
        ("MYSQL_ROOT_PASSWORD", "hunter2"),
        ("mysql_pwd", "hunter2"),
        ("smtp.passwd", "hunter2"),
        ("ldap.bindpw", "hunter2"),
        ("keystore.passphrase", "hunter2"),
        ("users[].password", "hunter2"),
        ("unseal.keys[]", "abc"),
        ("snmp.community", "abc"),
        ("doors[].door.code", "0815"),
        ("args[].--api-key", "abc"),
        ("args[].--db-password", "hunter2"),
        ("cosmosKey", "q8Zk3vX1nB7tR0pLw5YhU2dGf9sJ4mKe"),
        ("headers.Authorization", "q8Zk3vX1nB7tR0pLw5YhU2dG"),
        ("encrypt", "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="),
        ("advanced.network_key", "0103050709"),
        ("passwordsalt", "abc"),
        ("password.value", "hunter2"),
        ("tokens[]", "abc"),
        ("env[].DB_PASSWORD.value", "hunter2"),
        ("auth.client_secret", "abc"),
        ("oauth.clientSecret", "abc"),
        ("oauth.clientsecret", "abc"),
        ("SECRET_KEY", "abc"),
        ("SECRET_KEY_BASE", "abc"),
        ("django.secret-key", "abc"),
        ("cookie_secret", "abc"),
        ("session.secret", "abc"),
        ("webhook_secret", "abc"),
        ("JWT_SECRET", "abc"),
        ("api_key", "abc"),
        ("apiKey", "abc"),
        ("APIKEY", "abc"),
        ("headers.X-Api-Key", "abc"),
        ("openai.api-key", "abc"),
        ("aws_secret_access_key", "abc"),
        ("s3.access_key", "abc"),
        ("storage.AccountKey", "abc"),
        ("APP_KEY", "base64:abc"),
        ("encryption_key", "abc"),
        ("signingKey", "abc"),
        ("master_key", "abc"),
        ("shared_secret", "abc"),
        ("license_key", "abc"),
        ("Interface.PrivateKey", "abc="),
        ("Peer.PresharedKey", "abc="),
        ("wifi.psk", "abc"),
        ("redis.requirepass", "abc"),
        ("redis.masterauth", "abc"),
        ("github.token", "abc"),
        ("authToken", "abc"),
        ("access_token", "abc"),
        ("refreshToken", "abc"),
        ("bot.bearer", "abc"),
        ("wordpress.AUTH_SALT", "abc"),
        ("credentials.user", "app"),
        ("dsn_password", "hunter2"),
        ("snmp.community_string", "public1"),
        ("wallet.mnemonic", "legal winner thank"),
        ("vault.secret_id", "abc"),
        ("users.client-key-data", "abc"),
        ("\"spring.datasource.password\"", "hunter2"),
        ("password2", "hunter2"),
        ("ansible_become_password", "hunter2"),
        ("enable_secret", "hunter2"),
        ("password", "12345"),
        ("password", "${DB_PASSWORD:-hunter2}"),
        ("password", "truthful"),
        ("pwd", "hunter2"),
        ("auths.\"registry.example.com\".auth", "YXBwOmh1bnRlcjI="),
        ("basic_auth", "app:hunter2"),
        ("db.dsn", "app!hunter2!db"),
        ("gossip_encryption", "abc"),
        ("Jwt.Key", "abc"),
        ("b2.key", "K0015zXq9Lw3Vb7Rt2Yp8Nc4Mk6Jd1A"),
        ("pagerduty_configs[].routing_key", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"),
        ("password.value", "abc"),
        ("tokens.type", "abc"),
        ("celery.flower_basic_auth", "ops:hunter2"),
        ("db.password", "changeme"),
        ("secrets[]", "hunter2"),
    ];
    for (path, value) in named {
        let verdict = judge(&Policy::builtin(), path, value);
        assert_eq!(verdict.secret, Secret::All, "{path} = {value}: {}", verdict.reason);
        assert!(verdict.reason.to_string().contains("is named by"), "{path}: {}", verdict.reason);
    }
}

#[test]
fn a_header_in_a_list_is_known_by_its_name() {
    check(
        &Policy::builtin(),
        &[
            ("headers[]", "X-Api-Key: abc", "X-Api-Key: [abc]", "named by `api_key`"),
            ("headers[]", "Private-Token: abc", "Private-Token: [abc]", "named by `token`"),
            ("headers[]", "Authorization: Bearer abcdefghijkl0123", "all", "request header"),
            ("header", "X-Api-Key: abc", "no", "no rule"),
        ],
    );
}

#[test]
fn what_is_no_secret_is_left_alone() {
    check(
        &Policy::builtin(),
        &[
            ("server.port", "8080", "no", "no rule"),
            ("server.host", "db.example.com", "no", "no rule"),
            ("title", "The secret life of passwords", "no", "no rule"),
            ("keyspace", "shop", "no", "no rule"),
            ("monkey", "see", "no", "no rule"),
            ("author", "me", "no", "no rule"),
            ("auth.type", "basic", "no", "no rule"),
            ("auth.url", "https://idp.example.com", "no", "no rule"),
            ("auth", "ldap", "no", "`auth` is named by `auth` but its value holds no password"),
            ("gpio.pin", "17", "no", "no rule"),
            ("pass_rate", "0.9", "no", "excepted by `pass_rate`"),
            ("compass", "north", "no", "no rule"),
            ("tokenizer", "bpe", "no", "no rule"),
            ("jwt.issuer", "https://idp", "no", "no rule"),
            ("description", "my password is long", "no", "no rule"),
            ("password_file", "/run/pw", "no", "excepted by `*_file`"),
            ("private_key_path", "id", "no", "excepted by `*_path`"),
            ("token_url", "https://idp/token", "no", "excepted by `*_url`"),
            ("tokenEndpoint", "https://idp/token", "no", "excepted by `*_endpoint`"),
            ("token_type", "bearer", "no", "excepted by `*_type`"),
            ("token_ttl", "3600", "no", "excepted by `*_ttl`"),
            ("max_tokens", "4096", "no", "excepted by `max_token`"),
            ("maxTokens", "4096", "no", "excepted"),
            ("password_min_length", "12", "no", "excepted by `*_length`"),
            ("password_policy", "strict", "no", "excepted by `*_policy`"),
            ("secret_name", "db", "no", "excepted by `*_name`"),
            ("secretKeyRef.name", "db", "no", "excepted by `*_ref`"),
            ("imagePullSecrets[].name", "regcred", "no", "excepted by"),
            ("existingSecret", "db", "no", "excepted by `existing_secret`"),
            ("access_key_id", "AKIAIOSFODNN7EXAMPLE", "no", "excepted by `*_id`"),
            ("public_key", "abc", "no", "no rule"),
            ("site_key", "q8Zk3vX1nB7tR0pLw5YhU2dGf9sJ4mKe", "no", "no rule"),
            ("sort_key", "created", "no", "no rule"),
            ("args[].--token-ttl", "1h", "no", "excepted by `*_ttl`"),
            ("headers[]", "Content-Type: text/plain", "no", "no rule"),
            ("steps[]", "Password: ask the desk", "no", "no rule"),
            ("token", "VAULT_TOKEN", "no", "defined elsewhere"),
            ("mail.password", "${ALIAS=mailpw}", "no", "a placeholder"),
            ("file.password.argon2.memory", "65536", "no", "excepted by `memory`"),
            ("logger.token_level", "debug", "no", "excepted by `*_level`"),
            ("country.code", "49", "no", "no rule"),
            ("session_token_lifetime", "1h", "no", "excepted by `*_lifetime`"),
            ("credentials_provider", "x", "no", "excepted by `*_provider`"),
            ("password", "", "no", "empty"),
            ("password", "true", "no", "a switch"),
            ("show_password", "1", "no", "a switch"),
            ("allow_credentials", "yes", "no", "a switch"),
            ("password", "${DB_PASSWORD}", "no", "a placeholder"),
            ("password", "{{ db_password }}", "no", "a placeholder"),
            ("password", "$DB_PASSWORD", "no", "a placeholder"),
            ("password", "<your password>", "no", "a placeholder"),
            ("password", "********", "no", "a placeholder"),
            ("secrets.db.file", "./db_password.txt", "no", "a path"),
            ("private_key", "/etc/ssl/private/x.key", "no", "a path"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/gcp.json", "no", "a path"),
            ("ssh_keys[]", "ssh-ed25519 AAAA me@host", "no", "public by its kind"),
            ("PWD", "/srv/app", "no", "a path"),
            ("OLDPWD", "/", "no", "a path"),
            ("sentry.dsn", "https://abc@o1.ingest.sentry.io/4", "no", "holds no password"),
            ("db.dsn", "host=db dbname=shop", "no", "holds no password"),
            ("tls.cert", "-----BEGIN CERTIFICATE-----\nMIIB", "no", "no rule"),
            (
                "env[].DB_PASSWORD.valueFrom.secretKeyRef.key",
                "password",
                "no",
                "excepted by `*_ref`",
            ),
            ("env[].DB_PASSWORD.valueFrom.x", "password", "no", "excepted by `value_from`"),
            ("services.web.secrets[]", "db_password", "no", "defined elsewhere"),
            ("properties.password.type", "string", "no", "excepted by `type`"),
            ("password.minLength", "8", "no", "excepted by `length`"),
            ("realm.userPassword", "userPassword", "no", "a placeholder"),
            ("private_key", "matrix_key.pem", "no", "a path"),
            ("user.signingkey", "0xCAFEBABE12345678", "no", "public by its kind"),
            ("dependencies.jsonwebtoken", "^9.0.2", "no", "a version"),
            ("db.password", "ENC[AES256_GCM,data:x]", "no", "another tool"),
            ("run", "docker login --password-stdin -u ci", "no", "no rule"),
            ("run", "TOKEN=$(cat /run/token) x", "no", "no rule"),
            ("routing_key", "orders.created", "no", "no rule"),
            ("key", "shop/terraform.tfstate", "no", "no rule"),
            ("key.name", "0a1b2c3d4e5f60718293a4b5c6d7e8f9", "no", "no rule"),
            ("args[]", "LOG_LEVEL=debug", "no", "no rule"),
            ("args[]", "TOKEN_URL=https://idp", "no", "no rule"),
            ("args[]", "PASSWORD=${PASSWORD}", "no", "no rule"),
            ("args[]", "PASSWORD=\"\"", "no", "no rule"),
        ],
    );
}

#[test]
fn credentials_are_known_by_their_values() {
    check(
        &Policy::builtin(),
        &[
            ("url", "postgres://app:hunter2@db/x", "postgres://app:[hunter2]@db/x", "in a URL"),
            ("DATABASE_URL", "redis://:pw@h", "redis://:[pw]@h", "in a URL"),
            ("token_url", "https://a:b@idp/", "https://a:[b]@idp/", "in a URL"),
            ("db.dsn", "postgres://a:b@h/x", "postgres://a:[b]@h/x", "in a URL"),
            ("db.dsn", "app:pw@tcp(h:1)/x", "app:[pw]@tcp(h:1)/x", "in a URL"),
            ("db.dsn", "host=h password=x", "host=h password=[x]", "connection string"),
            ("conn", "Server=h;Pwd=a b;X=1", "Server=h;Pwd=[a b];X=1", "connection string"),
            ("java_opts", "-Dx.password=abc -Xmx1g", "-Dx.password=[abc] -Xmx1g", "connection"),
            ("x", "-----BEGIN PRIVATE KEY-----\nMIIE", "all", "a private key"),
            ("x", "-----BEGIN EC PRIVATE KEY-----\\nMIIE", "all", "a private key"),
            ("notes", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "all", "a GitHub token"),
            ("x", "glpat-abcdefghij0123456789", "all", "a GitLab token"),
            ("x", "hvs.CAESIJabcdefghijklmnopqrstuvwx", "all", "a Vault token"),
            ("key", "AIzaSyA0123456789abcdefghijklmnopqrstuv", "all", "a Google API key"),
            ("headers.Authorization", "Bearer abcdefghijklmnop1234", "all", "request header"),
            ("public_key", "sk_live_abcdefghijklmnop01234567", "all", "a Stripe key"),
            ("env[]", "DB_PASSWORD=hun ter a=b", "DB_PASSWORD=[hun ter a=b]", "connection"),
            ("env[]", "API_TOKEN=abc", "API_TOKEN=[abc]", "`API_TOKEN` is named by `token`"),
            ("env[]", "SECRET_KEY='a b'", "SECRET_KEY=['a b']", "`SECRET_KEY` is named"),
            ("env[]", "DB=pg://a:b@h", "DB=pg://a:[b]@h", "in a URL"),
            ("run", "x --requirepass f -v", "x --requirepass [f] -v", "`requirepass` is named"),
            ("Environment", "A=1 API_TOKEN=abc", "A=1 API_TOKEN=[abc]", "`API_TOKEN` is named"),
            ("users[]", "admin:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/", "all", "password hash"),
            ("db.url", "jdbc:oracle:thin:a/b@h", "jdbc:oracle:thin:a/[b]@h", "in a URL"),
            ("password", "postgres://a:b@h/x", "all", "`password` is named"),
            ("x", "ENC:anything", "all", "reads like a sealed value"),
            ("x", "see ENC:v1:00", "all", "reads like a sealed value"),
            ("x", "https://h/enc:v1", "no", "no rule"),
        ],
    );
}

#[test]
fn rules_beat_names_and_credentials_beat_rules() {
    let policy = policy(
        "[secrets]\nnames = [\"internal_pin\"]\nexcept = [\"*_hint\", \"demo\"]\n\
         [[file]]\npath = \"*.toml\"\nsecret = [\"oidc.**\", \"url\"]\npublic = [\"oidc.issuer\"]\n\
         [[file]]\npath = \"app.toml\"\nsecret = [\"*.special\"]\npublic = [\"test.password\"]\n\
         [[file]]\npath = \"other.toml\"\nsecret = [\"port\"]\n",
    );
    check(
        &policy,
        &[
            ("oidc.id", "", "all", "secret by the rule `oidc.**` (policy line 7)"),
            ("oidc.issuer", "x", "no", "public by the rule `oidc.issuer` (policy line 8)"),
            ("oidc.issuer", "https://a:b@idp", "https://a:[b]@idp", "in a URL"),
            ("oidc.special", "true", "all", "rule `*.special` (policy line 11)"),
            ("test.password", "hunter2", "no", "public by the rule `test.password`"),
            ("test.password", "ENC:x", "all", "reads like"),
            ("url", "postgres://a:b@h", "all", "by the rule `url`"),
            ("port", "1", "no", "no rule"),
            ("doorInternalPin", "1234", "all", "named by `internal_pin` (policy line 3)"),
            ("password_hint", "dog", "no", "excepted by `*_hint` (policy line 4)"),
            ("passwordHint", "https://a:b@h", "https://a:[b]@h", "in a URL"),
            ("demo_token", "x", "no", "excepted by `demo` (policy line 4)"),
            ("credentials.password_hint", "dog", "all", "`credentials` is named by"),
        ],
    );
}

#[test]
fn the_ledger_beats_names_and_is_beaten_by_rules() {
    let policy = policy("[[file]]\npath = \"app.toml\"\npublic = [\"b\"]\n");
    let ledger =
        Ledger::parse("app.toml\ta[].x\napp.toml\tb\napp.toml\ttoken_url\nother\tc\n").unwrap();
    for name in ["app.toml", "app.toml~", ".app.toml.swp"] {
        let rules = policy.fields(&file(name), &ledger);
        let judge = |path: &str| rules.judge(&FieldPath::parse(path).unwrap(), b"").secret;
        assert_eq!(judge("a[].x"), Secret::All);
        assert_eq!(judge("token_url"), Secret::All);
        assert_eq!(judge("a[].y"), Secret::No);
        assert_eq!(judge("b"), Secret::No);
        assert_eq!(judge("c"), Secret::No);
    }
}

#[test]
fn the_raw_text_of_an_unread_file_is_searched() {
    let policy = Policy::builtin();
    for text in [
        "server {\n  proxy_pass http://app:hunter2@up:80/;\n}\n",
        "# key\n-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        "token ghp_abcdefghijklmnopqrstuvwxyz0123456789\n",
    ] {
        assert!(policy.credential_in_text(text.as_bytes()).is_some(), "{text}");
    }
    for text in ["", "listen 80;\nserver_name a@b;\n# see https://example.com/\n", "\0\u{1}ELF"] {
        assert_eq!(policy.credential_in_text(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn padding_is_sixteen_unless_the_policy_says_more() {
    assert_eq!(Policy::builtin().bucket(), 16);
    assert_eq!(policy("padding = 4096\n").bucket(), 4096);
}

#[test]
fn reasons_never_quote_a_value() {
    let value = "postgres://app:hunter2@db/shop";
    for path in ["url", "password", "dsn", "list[]"] {
        let verdict = judge(&Policy::builtin(), path, value);
        assert!(!verdict.reason.to_string().contains("hunter2"));
        assert!(!format!("{verdict:?}").contains("hunter2"));
    }
}

#[test]
fn a_big_file_is_judged_in_linear_time() {
    let patterns: String = (0..40).map(|n| format!("\"services.s{n}.*.token\",")).collect();
    let policy = policy(&format!("[[file]]\npath = \"*\"\nsecret = [{patterns}]\n"));
    let ledger = Ledger::new();
    let rules = policy.fields(&file("big.toml"), &ledger);
    let front = FieldPath::root().key("services").key("web").element();
    assert_linear(
        "values",
        |len| len / 25,
        |values| {
            for n in 0..*values {
                let verdict =
                    rules.judge(&front.key(format!("listen_address_{n}")), b"10.0.0.1:8080");
                assert_eq!(verdict.secret, Secret::No);
            }
        },
    );
}

fn segment() -> impl Strategy<Value = Segment> {
    let key = proptest::sample::select(vec![
        &b"password"[..],
        b"token_url",
        b"dsn",
        b"auth",
        b"PWD",
        b"a",
        b"",
        b"\xff\x00B",
    ]);
    prop_oneof![
        key.prop_map(|key| Segment::Key(key.into())),
        Just(Segment::Element),
        Just(Segment::Repeated((*b"env").into())),
    ]
}

proptest! {
    #[test]
    fn a_verdict_is_always_well_formed(
        path in proptest::collection::vec(segment(), 0..6),
        value in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            "(TOKEN=|password=|://|u:p@|[a-z]| |;|'|\"|\\$\\{|\\}|=|:|@){0,20}"
                .prop_map(String::into_bytes),
        ],
    ) {
        let ledger = Ledger::new();
        let policy = Policy::builtin();
        let path = path.into_iter().fold(FieldPath::root(), |path, segment| path.child(segment));
        let verdict = policy.fields(&file("x"), &ledger).judge(&path, &value);
        if let Secret::Parts(parts) = &verdict.secret {
            prop_assert!(!parts.is_empty());
            let mut end = 0;
            for part in parts {
                prop_assert!(part.start > end && part.end > part.start && part.end <= value.len());
                end = part.end;
            }
        }
        let _ = verdict.reason.to_string();
    }

    #[test]
    fn any_name_has_a_class(name in proptest::collection::vec(any::<u8>(), 1..60)) {
        if let Ok(path) = RelPath::new(&name) {
            let _ = Policy::builtin().classify(&path);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}", rest in "[a-z\\[\\]=\"'\n. ]{0,60}") {
        let _ = Policy::parse(&text);
        let _ = Policy::parse(&format!("version = 1\n[[file]]\n{rest}"));
        let _ = Ledger::parse(&text);
    }
}
