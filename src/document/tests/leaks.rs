//! No secret stands in the sealed text, wherever it stood in the view.

use proptest::prelude::*;

use super::*;
use crate::document::{Outside, WholeBecause};
use crate::policy::Credential;

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_secret_that_stands_in_another_value_seals_that_too() {
    let sealing = builtin();
    for (file, view, stored) in [
        (
            "x.toml",
            "password = 'hunter22222'\nnote = 'it is hunter22222!'\n",
            "password = \"T0\"\nnote = \"T1\"\n",
        ),
        (
            "x.json",
            "{\"note\": \"hunter22222\", \"password\": \"hunter22222\"}",
            "{\"note\": \"T0\", \"password\": \"T1\"}",
        ),
        ("x.env", "PASSWORD=hunter22222\n# NOTE=hunter22222\n", "PASSWORD=T0\n# NOTE=T1\n"),
        // A part, beside itself and elsewhere.
        ("x.toml", "u = 'a://hunter22222:hunter22222@h'\n", "u = \"T0\"\n"),
        (
            "x.toml",
            "u = 'a://u:hunter22222@h'\nv = 'hunter22222'\n",
            "u = 'a://u:T0@h'\nv = \"T1\"\n",
        ),
        // Spelled otherwise.
        (
            "x.json",
            "{\"password\": \"hunter22222\", \"v\": \"hunter\\u0032222\\u0032\"}",
            "{\"password\": \"T0\", \"v\": \"T1\"}",
        ),
        (
            "x.toml",
            "password = \"a\\\"bcdefgh\"\nv = 'say a\"bcdefgh'\n",
            "password = \"T0\"\nv = \"T1\"\n",
        ),
        // What the second holds beyond the first is a secret from now on.
        (
            "x.toml",
            "password = 'hunter22222'\na = 'hunter22222-and-more'\nb = 'hunter22222-and-more'\n",
            "password = \"T0\"\na = \"T1\"\nb = \"T2\"\n",
        ),
    ] {
        let sealed = sealing.sealed(file, view, &[]);
        assert_eq!(without_tokens(&sealed.stored), stored, "{view}");
        assert_eq!(sealed.whole, None);
    }
}

#[test]
fn a_secret_in_a_comment_or_a_key_takes_the_file_with_it() {
    for (file, view) in [
        ("x.toml", "# the password is hunter22222\npassword = 'hunter22222'\n"),
        ("x.toml", "password = 'hunter22222'\nhunter22222 = 1\n"),
        ("x.toml", "password = 'hunter22222'\n[hunter22222]\n"),
        ("x.json", "{\"hunter22222\": {\"password\": \"hunter22222\"}}"),
        ("x.json", "{\"password\": \"hunter22222\"} // hunter22222"),
        ("x.json", "{\"password\": \"hunter\\u0032222\\u0032\"} // hunter\\u0032222\\u0032"),
        ("x.env", "# prose hunter22222\nPASSWORD=hunter22222\n"),
    ] {
        let sealed = builtin().sealed(file, view, &[]);
        assert_eq!(sealed.whole, Some(WholeBecause::Leak), "{view}");
    }
}

/// A credential where no codec has a value; in a comment each may have one, or none.
#[test]
fn a_credential_outside_every_value_does_not_reach_the_store() {
    const PW: &str = "hunter22222";
    let url = format!("postgres://app:{PW}@db/shop");
    let of_the_file = |file: &str, view: &str| {
        let sealed = builtin().sealed(file, view, &[]);
        assert!(!contains(&sealed.stored, PW.as_bytes()), "{file}: {view}");
        assert_eq!(*builtin().open(&path(file), &sealed.stored).unwrap().view, *view.as_bytes());
        sealed.whole
    };
    for (file, view, line) in [
        (".gitconfig", format!("[a]\n\tb = c\n[url \"{url}\"]\n\tinsteadOf = x\n"), 3),
        ("x.toml", format!("a = 1\n\"{url}\" = 2\n"), 2),
        ("x.toml", format!("[\"{url}\"]\na = 2\n"), 1),
        ("x.json", format!("{{\n\"{url}\": 2}}"), 2),
        ("x.yaml", format!("a: 1\n? {url}\n: 2\n"), 2),
        ("x.xml", format!("<!DOCTYPE a\nSYSTEM \"{url}\">\n<a/>"), 2),
        ("x.xml", format!("<a><?php {url} ?></a>"), 1),
        ("x.tf", format!("a \"{url}\" {{\n}}\n"), 1),
        ("x.yaml", format!("a: 1\n# the old one, {url}, is gone\n"), 2),
        ("x.ini", format!("[{url}]\na = 1\n"), 1),
    ] {
        let credential = Credential::UrlPassword;
        let outside = WholeBecause::Outside(Outside { line, credential });
        assert_eq!(of_the_file(file, &view), Some(outside), "{file}: {view}");
    }
    let key = "-----BEGIN PRIVATE KEY-----";
    for (file, front, mark, behind) in [
        ("x.toml", "a = 1\n", "#", "\n"),
        ("x.jsonc", "{\n", "//", "\n}"),
        ("x.yaml", "a: 1\n", "#", "\n"),
        ("x.xml", "<a>", "<!--", "--></a>"),
        ("x.ini", "[a]\nb = 1\n", ";", "\n"),
        ("x.cfg", "[a]\nb = 1\n", "#", "\n"),
        (".gitconfig", "[a]\nb = 1\n", "#", "\n"),
        ("my.cnf", "[a]\nb = 1\n", "#", "\n"),
        ("php.ini", "[a]\nb = 1\n", ";", "\n"),
        ("grafana.ini", "[a]\nb = 1\n", ";", "\n"),
        ("x.service", "[Unit]\nA=1\n", "#", "\n"),
        (".env", "A=1\n", "#", "\n"),
        ("x.properties", "a=1\n", "#", "\n"),
        ("x.hcl", "a = 1\n", "#", "\n"),
        ("x.hcl", "a = 1\n", "/*", "*/"),
        ("redis.conf", "port 1\n", "#", "\n"),
        ("sshd_config", "Port 1\n", "#", "\n"),
        ("postgresql.conf", "port = 1\n", "#", "\n"),
        ("nginx.conf", "worker_processes 1;\n", "#", "\n"),
    ] {
        for prose in ["", "see ", "it was ", "old: ", "old = ", "a, b; "] {
            of_the_file(file, &format!("{front}{mark} {prose}{url} {behind}"));
            of_the_file(file, &format!("{front}{mark}{prose}<{url}>, {behind}"));
            let sealed =
                builtin().sealed(file, &format!("{front}{mark} {prose}{key} {behind}"), &[]);
            assert!(!contains(&sealed.stored, key.as_bytes()), "{file}: {prose}");
        }
    }
}

#[test]
fn what_documents_how_a_url_is_written_keeps_its_file_readable() {
    for (file, view) in [
        (
            "x.toml",
            "# as in amqp://guest:guest@localhost or http://user:password@proxy:8080\na = 1\n",
        ),
        ("x.yaml", "# Use https://user:pass@host/ for that.\na: 1\n"),
        ("x.xml", "<!-- as in http://foo:bar@example.com/ --><a>1</a>"),
        ("x.xml", "<a><b>http://h:8080</b><c>me@example.org</c></a>"),
        ("x.json", "{\"http://h:8080\": [\"me@h\"], \"ssh://git@host/x\": 1}"),
    ] {
        assert_eq!(builtin().sealed(file, view, &[]).form, Form::Plain, "{view}");
    }
}

#[test]
fn short_secrets_are_not_looked_for_elsewhere() {
    let sealed = builtin().sealed("x.toml", "# hunter2\npassword = 'hunter2'\n", &[]);
    assert_eq!(without_tokens(&sealed.stored), "# hunter2\npassword = \"T0\"\n");
}

#[test]
fn a_long_chain_of_secrets_in_secrets_goes_whole_and_ends() {
    let long = |n: usize| "hunter22".to_owned() + &"x".repeat(n);
    let mut view = format!("password = '{}'\n", long(20));
    for n in 0..20 {
        // Each holds the one before and one more that the next one holds.
        view += &format!("k{n} = '{} {}'\n", long(20 + n), long(21 + n));
    }
    let sealed = builtin().sealed("x.toml", &view, &[]);
    assert!(!contains(&sealed.stored, b"hunter22"));
}

#[test]
fn many_equal_secrets_are_searched_for_once() {
    // Counted each, this would be 4 * 10^8 matches.
    let values = vec!["\"same-value\""; 20_000].join(",");
    let view = format!("{{\"password\": [{values}]}}");
    let sealed = builtin().seal(&path("x.json"), view.as_bytes(), &[], Existing::Sealed);
    assert_eq!(tokens_in(&sealed.stored).len(), 20_000);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_of_eight_bytes_or_more_is_left(
        secret in "[a-z0-9\"\\\\\u{e9} #]{8,20}",
        before in "[a-z]{0,3}",
        places in prop::collection::vec(0..8usize, 0..5),
    ) {
        let quoted = secret.replace('\\', "\\\\").replace('"', "\\\"");
        let escaped: String =
            secret.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        let spell = |template: &str| template.replace("{q}", &quoted).replace("{e}", &escaped);
        for (file, head, templates) in [
            ("x.toml", "password = \"{q}\"\n", [
                "a@ = \"{b}{q}\"\n", "a@ = \"{e}\"\n", "# a@ = \"{q}\"\n", "# password = \"{e}\"\n",
                "[t@.\"{q}\"]\n", "# prose {q}\n", "l@ = [\"{q}\", \"{b}{q}\", 1]\n", "a@ = 1 # token = {q}\n",
            ]),
            ("x.json", "{\"password\": \"{q}\",", [
                "\"a@\": \"{b}{q}\",", "\"a@\": \"{e}\",", "// \"a\": \"{q}\",\n", "/* \"password\": \"{e}\" */",
                "\"{q}\": 1,", "/* prose {q} */", "\"l\": [\"{q}\", {\"x\": \"{e}\"}],", "// \"password\": \"{q}\"\n",
            ]),
        ] {
            let mut view = spell(head);
            for (n, at) in places.iter().enumerate() {
                view += &spell(templates[*at]).replace('@', &n.to_string()).replace("{b}", &before);
            }
            if file == "x.json" {
                view += "}";
            }
            let sealed = builtin().sealed(file, &view, &[]);
            prop_assert!(!contains(&sealed.stored, secret.as_bytes()), "{}", view);
            prop_assert!(!contains(&sealed.stored, quoted.as_bytes()), "{}", view);
            // Spelled so in a key or in prose, nobody would find it.
            prop_assert!(!contains(&sealed.stored, escaped.as_bytes()), "{}", view);
        }
    }
}
