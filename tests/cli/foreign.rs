//! Tokens of other systems in a store, from the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::scene::{Said, Scene};

const LIBERTY_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Holds `hunter2`.
const LIBERTY: &str = "ENC:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P6ChoqOkpaanqKmqq6ytrq/zGAjjNwZh3PClv1g0F7yw7wv0yB7XRA==";
const FERNET_KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
/// Holds `hello`.
const FERNET: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

const KEY: &[&str] = &["--key", "file:one.key"];
const LIBERTY_IMPORT: &str = "scheme=liberty,key=file:liberty.key";
const FERNET_IMPORT: &str = "scheme=fernet,key=file:fernet.key,path=api.json,field=keys.*";

/// A store that two other systems sealed, and their keys.
fn scene() -> Scene {
    let scene = Scene::empty();
    for (name, key) in [("liberty.key", LIBERTY_KEY), ("fernet.key", FERNET_KEY)] {
        fs::write(scene.path(name), format!("{key}\n")).unwrap();
        fs::set_permissions(scene.path(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
    scene.put("app.toml", &format!("[pools.main]\npassword = \"{LIBERTY}\"  # since May\n"));
    scene.put("api.json", &format!("{{\"keys\": {{\"maps\": \"{FERNET}\"}}}}\n"));
    scene.put("plain.toml", "port = 1\n");
    scene
}

fn with_imports(scene: &Scene, arguments: &[&str]) -> Said {
    scene.run(&[arguments, KEY, &["--import", LIBERTY_IMPORT, "--import", FERNET_IMPORT]].concat())
}

#[test]
fn a_store_of_another_system_is_seen_verified_and_taken_over() {
    let scene = scene();
    let said = with_imports(&scene, &["view", "store/app.toml"]).code(0);
    assert_eq!(said.out, "[pools.main]\npassword = \"hunter2\"  # since May\n");
    let said = with_imports(&scene, &["verify", "store"]).code(0);
    assert_eq!(
        said.out,
        "3 files, 0 encrypted fields, 0 files in trouble\n\
         foreign, scheme liberty: 1 encrypted field\nforeign, scheme fernet: 1 encrypted field\n"
    );
    let said = with_imports(&scene, &["verify", "store", "--json"]).code(0);
    said.says(&["\"foreign\": {", "\"fernet\": 1", "\"liberty\": 1"]);

    let before = scene.snapshot();
    let said = with_imports(&scene, &["rewrap", "store", "--dry-run"]).code(0);
    assert_eq!(
        said.out,
        "0 encrypted fields would be re-wrapped with the current master key\n\
         2 would be imported from other systems\n"
    );
    assert_eq!(scene.snapshot(), before);

    let said = with_imports(&scene, &["rewrap", "store"]).code(0);
    assert_eq!(
        said.out,
        "0 encrypted fields re-wrapped with the current master key\n\
         2 imported from other systems\n0 still using legacy keys\n"
    );
    assert!(scene.holding(&LIBERTY[4..]).is_empty() && scene.holding(FERNET).is_empty());
    let token = scene.token("app.toml");
    assert_eq!(
        scene.read("app.toml"),
        format!("[pools.main]\npassword = \"{token}\"  # since May\n"),
        "nothing else has changed"
    );

    // No foreign key is needed from here on.
    let said = scene.run(&[&["view", "store/api.json", "keys.maps"], KEY].concat()).code(0);
    assert_eq!(said.out, "hello");
    let before = scene.snapshot();
    with_imports(&scene, &["rewrap", "store"]).code(0).says(&["0 imported from other systems"]);
    assert_eq!(scene.snapshot(), before);
}

#[test]
fn sealing_a_store_takes_foreign_tokens_over_too() {
    let scene = scene();
    scene.put("more.toml", "password = 'canary'\n");
    with_imports(&scene, &["seal", "store"]).code(0).says(&["3 files sealed"]);
    assert!(scene.holding(&LIBERTY[4..]).is_empty() && scene.holding(FERNET).is_empty());
    let said = scene.run(&[&["view", "store/app.toml"], KEY].concat()).code(0);
    assert_eq!(said.out, "[pools.main]\npassword = \"hunter2\"  # since May\n");
}

#[test]
fn a_look_needs_no_key_and_tells_foreign_tokens_from_secrets_in_the_clear() {
    let scene = scene();
    let said = scene.run(&["check", "store"]).code(1);
    said.says(&["perhaps one of `liberty`, which no import names"]);
    let look =
        ["--import", "scheme=liberty", "--import", "scheme=fernet,path=api.json,field=keys.*"];
    let said = scene.run(&[&["check", "store"], &look[..]].concat()).code(0);
    said.complains(&["foreign, scheme fernet: 1 field", "foreign, scheme liberty: 1 field"]);
    let said = scene.run(&[&["check", "store", "--json"], &look[..]].concat()).code(0);
    said.says(&["\"foreign\": {", "\"liberty\": 1"]);
    let said = scene.run(&[&["explain", "store/app.toml"], &look[..]].concat()).code(0);
    said.says(&["foreign, scheme liberty", "secret"]);
    let said = scene.run(&[&["explain", "store/api.json", "--json"], &look[..]].concat()).code(0);
    said.says(&["\"stands\": \"foreign, scheme fernet\""]);
    let said = scene.run(&["explain", "store/app.toml"]).code(0);
    said.says(&["not imported, perhaps liberty"]);
}

#[test]
fn an_instance_names_them_once_for_all_verbs() {
    let scene = scene();
    let at = |name: &str| scene.path(name).display().to_string();
    let instance = |imports: &str| {
        let text = format!(
            "store = '{}'\n[keys]\nmaster = 'file:{}'\n{imports}",
            at("store"),
            at("one.key")
        );
        fs::write(scene.path("shop.toml"), text).unwrap();
    };
    instance(&format!(
        "[[keys.import]]\nscheme = 'liberty'\nkey = 'file:{}'\n\
         [[keys.import]]\nscheme = 'fernet'\nkey = 'env:FERNET'\npath = 'api.json'\nfield = ['keys.*']\n",
        at("liberty.key")
    ));
    let rewrap = ["rewrap", "store", "--instance", "./shop.toml"];
    // A key that is not there: what needs it says so, and the rest goes on.
    let said = scene.run(&rewrap).code(1);
    said.says(&["1 imported from other systems"])
        .complains(&["field `keys.maps`", "whose key is not there"]);
    let said = scene.run_with(&rewrap, &[("FERNET", FERNET_KEY)], b"").code(0);
    said.says(&["1 imported from other systems"]);

    instance("[[keys.import]]\nscheme = 'airis'\nkey = 'env:AIRIS'\n");
    let said = scene.run(&rewrap).code(5);
    said.complains(&["[[keys.import]] number 1 (airis)", "`path`", "`field`", "`prefix`"]);
}

#[test]
fn a_foreign_token_that_fails_is_named_without_its_value() {
    let scene = scene();
    let changed = LIBERTY.replace("zGAj", "zGAk");
    scene.edit("app.toml", LIBERTY, &changed);
    let said = with_imports(&scene, &["rewrap", "store"]).code(1);
    said.says(&["1 imported from other systems"]).complains(&[
        "store/app.toml: field `pools.main.password` (line 2): token of another system (liberty)",
    ]);
    assert!(scene.read("app.toml").contains(&changed), "it stays as it is");
    let said = with_imports(&scene, &["verify", "store"]).code(1);
    assert!(!said.out.contains(&changed[4..30]) && !said.err.contains(&changed[4..30]));
}

#[test]
fn keys_that_everybody_knows_and_keys_that_are_none_are_refused() {
    let scene = scene();
    for (key, complaint) in [
        ("0000000000000000", "a key of `liberty` that everybody knows"),
        ("3zTvzr3p67VC61jmV54rIYu1545x4TlY\n", "a key of `liberty` that everybody knows"),
        ("\n", "no key of `liberty`: it is empty"),
    ] {
        fs::write(scene.path("liberty.key"), key).unwrap();
        with_imports(&scene, &["rewrap", "store"]).code(3).complains(&[complaint]);
    }
    fs::set_permissions(scene.path("fernet.key"), PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(scene.path("liberty.key"), LIBERTY_KEY).unwrap();
    with_imports(&scene, &["rewrap", "store"]).code(3).complains(&["chmod 600"]);
    let said = scene.run(&[&["rewrap", "store"], KEY, &["--import", "scheme=liberty"]].concat());
    said.code(5).complains(&["--import scheme=liberty: `key` is missing"]);
    let said = scene.run(&[&["rewrap", "store"], KEY, &["--import", "liberty"]].concat());
    said.code(2).complains(&["scheme=SCHEME,key=SOURCE is expected"]);
}
