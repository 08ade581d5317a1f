//! What this machine accepted of a store holds against whoever writes the store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::scene::{CANARY, Scene};

const SEAL: &[&str] = &["seal", "store", "--key", "file:one.key"];
const ACCEPT: &[&str] = &["policy", "accept", "store", "--yes"];

/// A policy that lays three things of the tree open, and seals one more.
const WEAKER: &str = "version = 1\n\
                      [[file]]\npath = 'app.toml'\npublic = ['database.password']\nsecret = ['title']\n\
                      [[file]]\npath = 'tls/server.key'\nseal = 'none'\n\
                      [[file]]\npath = '.env'\nseal = 'none'\n";

impl Scene {
    fn policy(&self, text: &str) {
        self.put(".confseal/policy.toml", text);
    }

    /// The one directory with what was accepted of the store.
    fn pins(&self) -> PathBuf {
        let mut entries = fs::read_dir(self.path("state")).unwrap();
        let only = entries.next().expect("pins").unwrap().path();
        assert!(entries.next().is_none());
        only
    }
}

#[test]
fn a_weaker_policy_loosens_nothing_and_a_stricter_one_holds_at_once() {
    let scene = Scene::sealed();
    let before = ["tls/server.key", ".env"].map(|name| scene.read(name));
    scene.policy(WEAKER);
    scene.run(SEAL).code(0).complains(&["is not the accepted one", "policy accept"]);
    assert!(scene.holding(CANARY).is_empty());
    assert_eq!(["tls/server.key", ".env"].map(|name| scene.read(name)), before);
    assert!(scene.read("app.toml").starts_with("title = \"ENC:v1:"), "{}", scene.read("app.toml"));

    // New content in the clear goes by the accepted policy too.
    scene.put("tls/server.key", "canary-new-key\n");
    scene.edit("app.toml", &scene.token("app.toml"), "shop");
    scene.run(&["check", "store"]).code(1).says(&["store/tls/server.key: whole", "title"]);
    scene.run(SEAL).code(0);
    assert!(scene.holding(CANARY).is_empty());
    // A policy that is gone is one that changed.
    fs::remove_file(scene.store(".confseal/policy.toml")).unwrap();
    scene.run(&["check", "store"]).code(0);
}

#[test]
fn explain_says_which_of_the_two_decides() {
    let scene = Scene::sealed();
    scene.policy(WEAKER);
    let said = scene.run(&["explain", "store/app.toml"]).code(0);
    said.says(&[
        "by the accepted policy: `password` is named by `password`; by the changed one: public by \
         the rule `database.password` (policy line 4)",
        "secret by the rule `title` (policy line 5)",
    ]);
    let said = scene.run(&["explain", "store"]).code(0);
    said.says(&["the accepted policy: its name; the changed one: the rule for `tls/server.key`"]);
}

#[test]
fn accept_shows_what_loosens_and_what_tightens_and_pins_it() {
    let scene = Scene::sealed();
    scene.policy(WEAKER);
    let shown = [
        "+ line 4: app.toml: public `database.password`",
        "+ line 7: tls/server.key: seal = \"none\"",
        "3 fields and 1 whole file would no longer be sealed:",
        "app.toml: database.password: `password` is named by `password` -> public by the rule",
        "tls/server.key: sealed whole, by its name -> plain, by the rule for `tls/server.key`",
        ".env: DB_PASSWORD: ",
        ".env: API_TOKEN: ",
        "1 field will be sealed from now on, accepted or not:",
        "app.toml: title: no rule -> secret by the rule `title`",
    ];
    let before = fs::read(scene.pins().join("policy.toml")).unwrap();
    scene.run(&["policy", "accept", "store", "--dry-run"]).code(0).says(&shown);
    // Nobody is there to be asked.
    scene.run(&["policy", "accept", "store"]).code(2).complains(&["--yes"]).says(&shown);
    assert_eq!(fs::read(scene.pins().join("policy.toml")).unwrap(), before);

    scene.run(ACCEPT).code(0).says(&shown);
    assert_eq!(fs::read_to_string(scene.pins().join("policy.toml")).unwrap(), WEAKER);
    scene.run(ACCEPT).code(0).says(&["nothing waits"]);
    scene.put(".env", "DB_PASSWORD=open\n");
    assert!(!scene.run(SEAL).err.contains("not the accepted one"));
    assert_eq!(scene.read(".env"), "DB_PASSWORD=open\n");
}

#[test]
fn a_line_struck_from_the_ledger_still_holds() {
    let scene = Scene::sealed();
    let token = ["encrypt-value", "--field", "title", "--file", "store/app.toml"];
    let token = [&token[..], &["--key", "file:one.key"]].concat();
    let token = scene.run_with(&token, &[], b"canary-title").code(0).out;
    scene.edit("app.toml", "title = \"shop\"", &format!("title = \"{}\"", token.trim_end()));
    scene.run(SEAL).code(0);
    assert_eq!(scene.read(".confseal/sealed"), "app.toml\ttitle\n");

    // Both the line and the token go; what comes under that name is sealed all the same.
    scene.put(".confseal/sealed", "");
    scene.edit("app.toml", token.trim_end(), "canary-new-title");
    scene.run(&["check", "store"]).code(1).says(&["title: the ledger has it"]);
    let said = scene.run(&["policy", "accept", "store", "--dry-run"]).code(0);
    said.says(&[
        "  it says the same\n",
        "- ledger: app.toml: title\n",
        "app.toml: title: the ledger",
    ]);
    scene.run(SEAL).code(0);
    assert!(scene.holding(CANARY).is_empty());

    scene.put(".confseal/sealed", "");
    scene.edit("app.toml", &scene.token("app.toml"), "canary-new-title");
    scene.run(ACCEPT).code(0);
    scene.run(SEAL).code(0);
    assert_eq!(scene.holding(CANARY), [PathBuf::from("app.toml")]);
}

#[test]
fn the_key_of_a_store_is_remembered_here_whatever_the_store_says() {
    let scene = Scene::sealed();
    let (one, two) = (scene.key_id("one.key"), scene.key_id("two.key"));
    let fingerprint = |key: &str| scene.run(&["key", "fingerprint", key]).code(0).out;
    let original = fingerprint("one.key");
    let before = scene.read("app.toml");
    for replaced in [Some(fingerprint("two.key")), None] {
        match &replaced {
            Some(text) => scene.put(".confseal/fingerprint", text),
            None => fs::remove_file(scene.store(".confseal/fingerprint")).unwrap(),
        }
        let said = scene.run(&["seal", "store", "--key", "file:two.key"]).code(4);
        said.complains(&[&one, &two, "known on this machine under the key", "fingerprints"]);
    }
    // The right key is not enough where the store names a stranger's: somebody has to look.
    scene.put(".confseal/fingerprint", &fingerprint("two.key"));
    let said = scene.run(SEAL).code(4);
    said.complains(&["somebody changed its .confseal/fingerprint", original.trim_end()]);
    assert_eq!(scene.read("app.toml"), before);

    // A successor is accepted with the old key beside it, and by itself from then on.
    scene.put(".confseal/fingerprint", &original);
    let both = ["--key", "file:two.key", "--legacy", "file:one.key"];
    scene.run(&[&["rewrap", "store"], &both[..]].concat()).code(0);
    scene.run(&["verify", "store", "--key", "file:two.key"]).code(0);
    let pinned = fs::read_to_string(scene.pins().join("fingerprints")).unwrap();
    assert_eq!(pinned, original + &fingerprint("two.key"));
    scene.run(SEAL).code(4).complains(&[&one, &two]);
}

#[test]
fn what_only_looks_pins_nothing() {
    let scene = Scene::new();
    scene.run(&["check", "store"]).code(1);
    scene.run(&["explain", "store"]).code(0);
    scene.run(&["seal", "store", "--dry-run", "--key", "file:one.key"]).code(0);
    assert!(!scene.path("state").exists());
    scene.run(SEAL).code(0);
    let pins = scene.pins();
    assert_eq!(fs::read_to_string(pins.join("policy.toml")).unwrap(), "");
    let path = fs::canonicalize(scene.path("store")).unwrap();
    assert_eq!(fs::read_to_string(pins.join("store")).unwrap(), format!("{}\n", path.display()));
}

#[test]
fn pins_that_others_may_write_are_refused_and_missing_ones_are_done_without() {
    let scene = Scene::sealed();
    let pins = scene.pins();
    fs::set_permissions(&pins, PermissionsExt::from_mode(0o777)).unwrap();
    for verb in [&["check", "store"][..], SEAL, ACCEPT] {
        scene.run(verb).code(13).complains(&["others may write it", "hint: "]);
    }
    fs::set_permissions(&pins, PermissionsExt::from_mode(0o700)).unwrap();
    scene.run(SEAL).code(0);
    // Where there are none and none can be made: below a file, say.
    fs::write(scene.path("file"), "").unwrap();
    let below = scene.path("file").to_string_lossy().into_owned();
    let nowhere = [("CONFSEAL_STATE_DIRECTORY", &*below)];
    let said = scene.run_with(SEAL, &nowhere, b"").code(0);
    said.complains(&["believed as it is, since this machine cannot remember"]);
    scene.run_with(&["check", "store"], &nowhere, b"").code(0);
    scene.run_with(ACCEPT, &nowhere, b"").code(13);
}

#[test]
fn a_policy_that_cannot_be_read_is_refused_whatever_was_accepted() {
    let scene = Scene::sealed();
    let path = scene.store(".confseal/policy.toml");
    let refuse = |code: i32, parts: &[&str]| {
        for verb in [SEAL, &["check", "store"], ACCEPT] {
            scene.run(verb).code(code).complains(parts);
        }
    };
    scene.policy("version = 1\n[[file]]\npath = 'app.toml'\npulbic = ['x']\n");
    refuse(6, &["line 4, column 1", "4 | pulbic = ['x']", "  | ^", "did you mean `public`"]);
    fs::write(&path, b"version = 1 # \xff\n").unwrap();
    refuse(7, &["policy.toml: not UTF-8"]);
    fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    refuse(7, &["policy.toml: larger than 1 MiB"]);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("../app.toml", &path).unwrap();
    refuse(7, &["policy.toml: "]);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refuse(7, &["policy.toml: "]);
}
