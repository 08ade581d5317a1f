//! `key new`, `key fingerprint`, and where keys come from.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::scene::Scene;

#[test]
fn a_key_file_is_made_once_and_for_its_owner_alone() {
    let scene = Scene::empty();
    let made = scene.run(&["key", "new", "new.key"]).code(0);
    assert_eq!(made.out, "");
    let metadata = fs::metadata(scene.path("new.key")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    let content = fs::read_to_string(scene.path("new.key")).unwrap();
    assert!(content.starts_with("confseal_key_v1_"));
    scene.run(&["genkey", "new.key"]).code(7).complains(&["new.key: File exists"]);
    assert_eq!(fs::read_to_string(scene.path("new.key")).unwrap(), content);

    let fingerprint = scene.run(&["key", "fingerprint", "new.key"]).code(0).out;
    assert_eq!(fingerprint.len(), 65);
    made.complains(&[fingerprint.trim_end(), &format!("key id {}\n", &fingerprint[..8])]);
    let same = scene.run(&["fingerprint", "--key", "file:new.key"]).code(0).out;
    assert_eq!(same, fingerprint);
}

#[test]
fn a_key_without_a_file_goes_to_standard_output() {
    let scene = Scene::empty();
    let made = scene.run(&["key", "new"]).code(0);
    let variables = [("CONFSEAL_MASTER_KEY", made.out.trim_end())];
    let fingerprint = scene.run_with(&["key", "fingerprint"], &variables, b"").code(0).out;
    made.complains(&[fingerprint.trim_end()]);
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let scene = Scene::sealed();
    fs::set_permissions(scene.path("one.key"), Permissions::from_mode(0o640)).unwrap();
    let said = scene.run(&["view", "store/app.toml", "--key", "file:one.key"]).code(3);
    said.complains(&["one.key", "others may read it (mode 0640)", "chmod 600"]);
}

#[test]
fn keys_come_from_variables_and_credentials_too() {
    let scene = Scene::sealed();
    let key = fs::read_to_string(scene.path("one.key")).unwrap();
    let view = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["view", "store/.env", "DB_PASSWORD"], arguments].concat();
        scene.run_with(&arguments, variables, b"")
    };
    let shown = |said: crate::scene::Said| assert_eq!(said.code(0).out, "canary-env");
    shown(view(&["--key", "env:SHOP_KEY"], &[("SHOP_KEY", &key)]));
    shown(view(&[], &[("CONFSEAL_MASTER_KEY", &key)]));
    fs::create_dir(scene.path("credentials")).unwrap();
    fs::write(scene.path("credentials/shop"), &key).unwrap();
    let directory = scene.path("credentials").to_str().unwrap().to_owned();
    let variables = [("CREDENTIALS_DIRECTORY", &*directory)];
    shown(view(&["--key", "credential:shop"], &variables));
    view(&["--key", "env:NOT_SET"], &[]).code(3).complains(&["NOT_SET", "hint: "]);
    view(&["--key", "vault:x"], &[]).code(2);
}

#[test]
fn an_instance_says_keys_and_binding() {
    let scene = Scene::new();
    let [store, key] = ["store", "one.key"].map(|name| scene.path(name).display().to_string());
    let text = format!("store = '{store}'\n[keys]\nmaster = 'file:{key}'\nbinding = 'file'\n");
    fs::write(scene.path("shop.toml"), text).unwrap();
    fs::set_permissions(scene.path("shop.toml"), Permissions::from_mode(0o644)).unwrap();
    let instance = ["--instance", scene.path("shop.toml").to_str().unwrap()].map(str::to_owned);
    let instance: Vec<&str> = instance.iter().map(String::as_str).collect();
    scene.run(&[&["seal", "store"], &instance[..]].concat()).code(0);
    scene.run(&[&["verify", "store"], &instance[..]].concat()).code(0);
    // Bound to its file: a copy under another name does not open.
    fs::copy(scene.store("app.toml"), scene.store("copy.toml")).unwrap();
    let said = scene.run(&[&["verify", "store"], &instance[..]].concat()).code(1);
    said.says(&["failed: store/copy.toml"]);
    let seal = [&["encrypt-value", "--field", "a"], &instance[..]].concat();
    scene.run(&seal).code(2).complains(&["--file"]);
}
