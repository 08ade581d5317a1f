//! `seal` and `check`.

use std::fs;

use crate::scene::{CANARY, Scene, TREE};

const SEAL: &[&str] = &["seal", "store", "--key", "file:one.key"];

#[test]
fn no_secret_is_left_in_the_store_and_every_view_is_as_before() {
    let scene = Scene::new();
    let said = scene.run(SEAL).code(0);
    said.says(&[
        "store/.env: 2 fields sealed\n",
        "store/app.toml: 3 fields sealed\n",
        "store/conf.d/deep/api.json: 2 fields sealed\n",
        "store/tls/server.key: sealed whole, by its name\n",
        "4 files sealed, 0 sealed already, 2 left plain\n",
    ]);
    assert!(scene.holding(CANARY).is_empty(), "{:?}", scene.holding(CANARY));
    for (name, content) in TREE {
        let path = format!("store/{name}");
        let said = scene.run(&["view", &path, "--key", "file:one.key"]).code(0);
        assert_eq!(said.bytes, content.as_bytes(), "{name}");
    }
    let fingerprint = scene.run(&["fingerprint", "one.key"]).code(0).out;
    assert_eq!(scene.read(".confseal/fingerprint"), fingerprint);
}

#[test]
fn version_control_symlinks_and_what_they_point_to_are_left_alone() {
    let scene = Scene::sealed();
    assert!(scene.read(".git/config").contains(CANARY));
    assert!(fs::read_link(scene.store("link.toml")).is_ok());
    assert!(fs::read_to_string(scene.path("outside.toml")).unwrap().contains(CANARY));
    scene.run(&["seal", "store/.git", "--key", "file:one.key"]).code(2);
}

#[test]
fn a_second_run_changes_nothing() {
    let scene = Scene::sealed();
    let before = scene.snapshot();
    scene.run(SEAL).code(0).says(&["0 files sealed, 4 sealed already, 2 left plain\n"]);
    assert_eq!(scene.snapshot(), before);
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let scene = Scene::new();
    let before = scene.snapshot();
    let tried = scene.run(&[SEAL, &["--dry-run"]].concat()).code(0);
    assert_eq!(scene.snapshot(), before);
    assert!(!scene.store(".confseal").exists());
    assert_eq!(tried.out, scene.run(SEAL).code(0).out);
}

#[test]
fn only_what_was_changed_is_sealed_anew() {
    let scene = Scene::sealed();
    let kept = scene.token("app.toml");
    scene.edit("app.toml", "# token = \"ENC:", "cookie_secret = 'canary-new'\r\n# token = \"ENC:");
    let said = scene.run(&["seal", "store/app.toml", "--key", "file:one.key"]).code(0);
    said.says(&["store/app.toml: 1 field sealed\n1 file sealed"]);
    assert_eq!(scene.token("app.toml"), kept);
    assert!(scene.holding(CANARY).is_empty());
}

#[test]
fn check_finds_secrets_by_line_and_field_and_needs_no_key() {
    let scene = Scene::new();
    let said = scene.run(&["check", "store"]).code(1);
    said.says(&[
        "store/app.toml:4: database.password: `password` is named by `password`\n",
        "store/app.toml:5: database.url: its value is a password in a URL\n",
        "store/app.toml:6: database.token: ",
        "store/tls/server.key: whole: ",
    ])
    .complains(&["8 secrets in the clear"]);
    scene.run(SEAL).code(0);
    assert_eq!(scene.run(&["check", "store"]).code(0).out, "");
    scene.edit("app.toml", "title = \"shop\"", "api_key = \"canary\"");
    let said = scene.run(&["check", "store/README.md", "store/app.toml", "--json"]).code(1);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json["files"], 2);
    assert_eq!(json["exposed"][0]["file"], "store/app.toml");
    assert_eq!(json["exposed"][0]["line"], 1);
    assert_eq!(json["exposed"][0]["field"], "api_key");
}

#[test]
fn a_half_written_file_is_found_by_check_and_sealed_whole() {
    let scene = Scene::empty();
    scene.put("app.toml", "password = \"canary\n");
    scene.run(&["check", "store"]).code(1).says(&["store/app.toml: whole: cannot be read"]);
    scene
        .run(SEAL)
        .code(0)
        .says(&["store/app.toml: sealed whole: it cannot be read as its format"]);
    scene.run(&["check", "store"]).code(0);
    assert!(scene.holding(CANARY).is_empty());
}

#[test]
fn configuration_that_is_not_read_is_named_until_a_rule_knows_it() {
    let scene = Scene::empty();
    scene.put("deploy.conf", "$pin = 'canary';\n1;\n");
    let hint = "seal = \"whole\"";
    let said = scene.run(SEAL).code(0);
    said.says(&["their content is of no known format:\n  store/deploy.conf\n"]).complains(&[hint]);
    scene.run(&["check", "store"]).code(0).complains(&["not looked into: store/deploy.conf"]);
    let rule = "version = 1\n[[file]]\npath = '*.conf'\nseal = 'whole'\n";
    scene.put(".confseal/policy.toml", rule);
    scene.run(&["check", "store"]).code(1);
    let said = scene.run(SEAL).code(0);
    said.says(&["store/deploy.conf: sealed whole, by the rule for `*.conf` (policy line 3)\n"]);
    assert!(scene.holding(CANARY).is_empty());
    scene.run(&["check", "store"]).code(0);
}

#[test]
fn a_rule_that_calls_a_sealed_value_public_does_not_lay_it_open() {
    let scene = Scene::sealed();
    let public = "version = 1\n[[file]]\npath = 'app.toml'\npublic = ['database.password']\n";
    scene.put(".confseal/policy.toml", public);
    let before = scene.read("app.toml");
    // Not before it is accepted, and not then: whoever seals wants nothing laid open.
    scene.run(SEAL).code(0).complains(&["policy.toml is not the accepted one: both hold"]);
    assert_eq!(scene.read("app.toml"), before);
    scene.run(&["policy", "accept", "store", "--yes"]).code(0);
    let said = scene.run(SEAL).code(1);
    said.complains(&["store/app.toml: sealed, and public by the policy: `database.password`"]);
    assert_eq!(scene.read("app.toml"), before);
}

#[test]
fn a_field_sealed_by_hand_stays_sealed_and_goes_into_the_ledger() {
    let scene = Scene::sealed();
    let seal = ["encrypt-value", "--field", "title", "--file", "store/app.toml"];
    let key = ["--key", "file:one.key"];
    let token = scene.run_with(&[&seal[..], &key].concat(), &[], b"canary-title\n").code(0).out;
    scene.edit("app.toml", "title = \"shop\"", &format!("title = \"{}\"", token.trim_end()));
    scene.run(SEAL).code(0);
    assert_eq!(scene.read(".confseal/sealed"), "app.toml\ttitle\n");
    scene.edit("app.toml", &scene.token("app.toml"), "canary-again");
    scene.run(&["check", "store"]).code(1).says(&["app.toml:1: title: the ledger has it"]);
    scene.run(SEAL).code(0);
    assert!(scene.holding(CANARY).is_empty());
}

#[test]
fn what_cannot_be_opened_is_named_and_the_others_are_sealed() {
    let scene = Scene::sealed();
    let token = scene.token("app.toml");
    scene.edit("app.toml", &token, &token.replace(&scene.key_id("one.key"), "00000000"));
    scene.put("new.toml", "password = 'canary'\n");
    let said = scene.run(SEAL).code(1);
    said.says(&["store/new.toml: 1 field sealed"]).complains(&[
        "store/app.toml: field `database.password` (line 4): no key 00000000 in the keyring",
    ]);
    assert!(scene.holding(CANARY).is_empty());
}

#[test]
fn what_a_crash_left_in_the_clear_is_sealed_away() {
    let scene = Scene::sealed();
    scene.put("conf.d/.confseal-tmp.0123456789abcdef.0123456789abcdef", "password = 'canary'\n");
    scene.run(SEAL).code(0).complains(&["left by a crash", ".confseal/kept/"]);
    assert!(scene.holding(CANARY).is_empty());
    scene.run(&["verify", "store", "--key", "file:one.key"]).code(0).says(&["1 kept version"]);
}

#[test]
fn a_store_in_use_is_refused() {
    let scene = Scene::sealed();
    let lock = fs::File::open(scene.store(".confseal/lock")).unwrap();
    let exclusive = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    rustix::fs::flock(&lock, exclusive).unwrap();
    scene.run(SEAL).code(8).complains(&["in use"]);
    // Looking is allowed.
    scene.run(&["check", "store"]).code(0);
}

#[test]
fn a_file_of_the_control_rooms_name_that_came_with_a_store_captures_no_command() {
    let scene = Scene::sealed();
    scene.put("new.toml", "password = 'canary-new'\n");
    scene.put(".confseal/control", "0 secrets in 0 files sealed\n");
    let made_up = r#"{"store": "/etc", "store_at": "/etc"}"#;
    scene.put(".confseal/status", made_up);
    scene.run(SEAL).code(0).says(&["store/new.toml: 1 field sealed\n"]);
    assert!(scene.holding(CANARY).is_empty(), "{:?}", scene.holding(CANARY));
    // Its fields are counted, and one that is damaged is found.
    scene.run(&["verify", "store", "--key", "file:one.key"]).code(0).says(&["encrypted fields"]);
    let new = scene.read("new.toml");
    let at = new.find("ENC:v1:").expect("a token") + 20;
    let other = if &new[at..=at] == "Q" { "R" } else { "Q" };
    scene.put("new.toml", &format!("{}{other}{}", &new[..at], &new[at + 1..]));
    scene.run(&["verify", "store", "--key", "file:one.key"]).code(1);
    scene.put("new.toml", &new);
    let both = ["--key", "file:two.key", "--legacy", "file:one.key"];
    scene.run(&[&["rewrap", "store", "--all"][..], &both].concat()).code(0);
    assert!(scene.token("new.toml").contains(&scene.key_id("two.key")));
    let view = scene.run(&["view", "store/new.toml", "--key", "file:two.key"]).code(0);
    assert_eq!(view.out, "password = 'canary-new'\n");
    // Nor does it answer for a mount, or lead anywhere.
    scene.run(&["status", "store"]).code(2).complains(&["no confseal mount stands there"]);
    let at = scene.run(&["with-store", "store", "pwd", "-P"]).code(0);
    assert_eq!(at.out.trim_end(), scene.path("store").canonicalize().unwrap().to_str().unwrap());
    assert_eq!(scene.read(".confseal/control"), "0 secrets in 0 files sealed\n");
}
