//! `rewrap`, and what a store says to the wrong key.

use crate::scene::{CANARY, Scene, TREE};

const ROTATE: &[&str] = &["rewrap", "store", "--key", "file:two.key", "--legacy", "file:one.key"];

#[test]
fn a_rotation_changes_every_token_and_no_view() {
    let scene = Scene::sealed();
    let (old, new) = (scene.key_id("one.key"), scene.key_id("two.key"));
    // A version kept aside is sealed too.
    scene.put(".confseal-tmp.0123456789abcdef.0123456789abcdef", "password = 'canary'\n");
    scene.run(&["seal", "store", "--key", "file:one.key"]).code(0);

    let before = scene.snapshot();
    let said = scene.run(&[ROTATE, &["--dry-run"]].concat()).code(0);
    assert_eq!(said.out, "9 encrypted fields would be re-wrapped with the current master key\n");
    assert_eq!(scene.snapshot(), before);

    let said = scene.run(ROTATE).code(0);
    assert_eq!(
        said.out,
        "9 encrypted fields re-wrapped with the current master key\n0 still using legacy keys\n"
    );
    assert!(scene.holding(&format!(":{old}:")).is_empty());
    assert_eq!(scene.holding(&format!(":{new}:")).len(), 5);
    assert!(scene.holding(CANARY).is_empty());

    // Without the legacy key from here on.
    for (name, content) in TREE {
        let said = scene.run(&["view", &format!("store/{name}"), "--key", "file:two.key"]).code(0);
        assert_eq!(said.bytes, content.as_bytes(), "{name}");
    }
    scene.run(&["verify", "store", "--key", "file:two.key"]).code(0);

    let before = scene.snapshot();
    let said = scene.run(&["rewrap", "store", "--key", "file:two.key"]).code(0);
    assert_eq!(
        said.out,
        "0 encrypted fields re-wrapped with the current master key\n0 still using legacy keys\n"
    );
    assert_eq!(scene.snapshot(), before);
}

#[test]
fn all_means_fresh_tokens_for_everything() {
    let scene = Scene::sealed();
    let before = scene.token(".env");
    let said = scene.run(&["rewrap", "store", "--all", "--key", "file:one.key"]).code(0);
    said.says(&["8 encrypted fields re-wrapped"]);
    assert_ne!(scene.token(".env"), before);
    scene.run(&["verify", "store", "--key", "file:one.key"]).code(0);
}

#[test]
fn what_cannot_be_rewrapped_is_named_and_counted_and_the_rest_goes_on() {
    let scene = Scene::sealed();
    let token = scene.token(".env");
    // Taken from elsewhere: it does not belong here.
    scene.edit("app.toml", "title = \"shop\"", &format!("title = \"{token}\""));
    let said = scene.run(ROTATE).code(1);
    said.says(&["5 encrypted fields re-wrapped", "4 still using legacy keys"])
        .complains(&["store/app.toml: field `title` (line 1): token does not belong here"]);
}

#[test]
fn a_part_of_a_store_can_be_rewrapped() {
    let scene = Scene::sealed();
    let said = scene.run(&[&["rewrap", "store/conf.d"], &ROTATE[2..]].concat()).code(0);
    said.says(&["2 encrypted fields re-wrapped"]);
    // The rest still opens, with both keys.
    let both = ["--key", "file:two.key", "--legacy", "file:one.key"];
    scene.run(&[&["verify", "store"], &both[..]].concat()).code(0);
}

#[test]
fn the_wrong_key_is_refused_and_both_are_named() {
    let scene = Scene::sealed();
    let before = scene.snapshot();
    let (one, two) = (scene.key_id("one.key"), scene.key_id("two.key"));
    for verb in ["seal", "rewrap", "verify"] {
        let said = scene.run(&[verb, "store", "--key", "file:two.key"]).code(4);
        said.complains(&[&one, &two, "hint: give the key"]);
    }
    assert_eq!(scene.snapshot(), before);
}

#[test]
fn a_store_that_does_not_remember_its_key_gets_no_second_one() {
    let scene = Scene::sealed();
    std::fs::remove_file(scene.store(".confseal/fingerprint")).unwrap();
    // On a machine that has not seen it before.
    std::fs::remove_dir_all(scene.path("state")).unwrap();
    scene.put("a-new.toml", "password = 'canary'\n");
    let before = scene.snapshot();
    let said = scene.run(&["seal", "store", "--key", "file:two.key"]).code(9);
    said.complains(&[&format!("no key {} in the keyring", scene.key_id("one.key"))]);
    assert_eq!(scene.snapshot(), before);
    scene.run(&["seal", "store", "--key", "file:one.key"]).code(0);
    assert!(scene.store(".confseal/fingerprint").exists());
}
