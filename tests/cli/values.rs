//! `encrypt-value` and `decrypt-value`.

use crate::scene::{Said, Scene};

const KEY: &[&str] = &["--key", "file:one.key"];

fn value(scene: &Scene, verb: &str, arguments: &[&str], input: &[u8]) -> Said {
    scene.run_with(&[&[verb], arguments, KEY].concat(), &[], input)
}

#[test]
fn a_token_gives_its_value_back_under_its_field_alone() {
    let scene = Scene::sealed();
    let secret = b"p\xc3\xa4ss \"word\" \n\n";
    let token = value(&scene, "encrypt-value", &["--field", "a.b"], secret).code(0).out;
    assert!(token.starts_with(&format!("ENC:v1:{}:", scene.key_id("one.key"))));
    let shown = value(&scene, "decrypt-value", &["--field", "a.b"], token.as_bytes()).code(0);
    // One line end less.
    assert_eq!(shown.bytes, &secret[..secret.len() - 1]);
    let said = value(&scene, "decrypt-value", &["--field", "a.c"], token.as_bytes()).code(9);
    assert_eq!(said.out, "");
    said.complains(&["field `a.c`: token does not belong here", &scene.key_id("one.key")]);
    value(&scene, "decrypt-value", &["--field", "a.b"], b"ENC:v1:x").code(9);
}

#[test]
fn a_field_of_a_file_opens_by_hand() {
    let scene = Scene::sealed();
    let token = format!("\"{}\"\n", scene.token("app.toml"));
    let field = ["--field", "database.password", "--file", "store/app.toml"];
    let shown = value(&scene, "decrypt-value", &field, token.as_bytes()).code(0);
    assert_eq!(shown.out, "canary-\"pw");
}

#[test]
fn a_token_pasted_into_a_sealed_file_opens() {
    let scene = Scene::sealed();
    let field = ["--field", "database.password", "--file", "store/app.toml"];
    let token = value(&scene, "encrypt-value", &field, b"new \"canary\"").code(0).out;
    scene.edit("app.toml", &scene.token("app.toml"), token.trim_end());
    let said = scene.run(&[&["view", "store/app.toml"], KEY].concat()).code(0);
    said.says(&["password = \"new \\\"canary\\\"\"\r\nurl = "]);
}

#[test]
fn an_unbound_token_opens_by_hand_and_is_refused_in_a_file() {
    let scene = Scene::sealed();
    let unbound = ["--field", "database.password", "--unbound"];
    let token = value(&scene, "encrypt-value", &unbound, b"canary").code(0).out;
    let shown = value(&scene, "decrypt-value", &["--field", "any"], token.as_bytes()).code(0);
    assert_eq!(shown.out, "canary");
    scene.edit("app.toml", &scene.token("app.toml"), token.trim_end());
    let said = scene.run(&[&["view", "store/app.toml"], KEY].concat()).code(9);
    said.complains(&["app.toml: field `database.password` (line 4): token bound more weakly"]);
}

#[test]
fn the_wrong_key_seals_no_value_for_a_store() {
    let scene = Scene::sealed();
    let arguments = ["encrypt-value", "--field", "a", "--file", "store/app.toml"];
    let said = scene.run(&[&arguments[..], &["--key", "file:two.key"]].concat()).code(4);
    assert_eq!(said.out, "");
}
