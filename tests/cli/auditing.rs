//! Who read or changed secrets is written down before it is done, and nothing of value with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::scene::{Said, Scene};

const KEY: [&str; 2] = ["--key", "file:one.key"];

impl Scene {
    fn trail(&self) -> PathBuf {
        let mut found = fs::read_dir(self.path("state")).unwrap();
        found.next().expect("a state directory").unwrap().path().join("audit")
    }

    fn with_key(&self, arguments: &[&str]) -> Said {
        self.run(&[arguments, &KEY].concat())
    }

    /// Action and outcome of each record of `path`, after a look that no secret stands in the trail.
    fn recorded(&self, path: &str) -> Vec<String> {
        let told = self.run(&["audit", path, "--json"]).code(0);
        assert!(!told.out.contains("canary"), "{}", told.out);
        let records = told.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let word = |record: &Value, name: &str| record[name].as_str().unwrap_or("").to_owned();
        records
            .map(|it| {
                format!("{} {} {}", word(&it, "action"), word(&it, "field"), word(&it, "outcome"))
            })
            .collect()
    }
}

#[test]
fn each_verb_that_shows_or_changes_a_secret_leaves_its_records() {
    let scene = Scene::sealed();
    let file = "store/app.toml";
    scene.with_key(&["view", file]).code(0);
    scene.with_key(&["view", file, "database.password"]).code(0);
    scene.with_key(&["view", file, "database.nothing"]).code(9);
    scene.run(&["view", file, "--key", "file:two.key"]).code(4);
    let set = ["set", file, "database.password", KEY[0], KEY[1]];
    scene.run_with(&set, &[], b"canary-new").code(0);
    scene
        .run_with(&["edit", file, KEY[0], KEY[1]], &[("EDITOR", "true"), ("VISUAL", "")], b"")
        .code(0);
    scene.run_with(&["set", file, "database.host", KEY[0], KEY[1]], &[], b"db2").code(0);
    scene.with_key(&["make-public", file, "database.host", "--yes"]).code(0);
    let token = scene.token("app.toml");
    let decrypt = ["decrypt-value", "--field", "database.password", "--file", file, KEY[0], KEY[1]];
    scene.run_with(&decrypt, &[], token.as_bytes()).code(0);
    let expected = [
        "view  shown",
        "view database.password shown",
        "view database.nothing failed",
        "view  failed",
        "set database.password begun",
        "set database.password done",
        "edit  shown",
        "edit  unchanged",
        "set database.host begun",
        "set database.host done",
        "make-public database.host begun",
        "make-public database.host done",
        "decrypt-value database.password shown",
    ];
    assert_eq!(scene.recorded(file), expected);
    assert_eq!(scene.recorded("store/README.md"), [] as [String; 0]);
    fs::write(scene.store(".confseal/policy.toml"), "version = 1\n").unwrap();
    scene.run(&["policy", "accept", "store", "--yes"]).code(0);
    let all = scene.recorded("store");
    assert_eq!(all[expected.len()..], ["policy-accept  begun", "policy-accept  done"]);
}

#[test]
fn a_record_says_who_when_and_what_and_is_for_its_owner_alone() {
    let scene = Scene::sealed();
    scene.with_key(&["view", "store/app.toml", "database.password"]).code(0);
    let mode = fs::metadata(scene.trail()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let record: Value = serde_json::from_str(&fs::read_to_string(scene.trail()).unwrap()).unwrap();
    assert_eq!(record["uid"], rustix::process::getuid().as_raw());
    assert_eq!((&record["comm"], &record["file"]), (&"confseal".into(), &"app.toml".into()));
    assert!(record["pid"].is_u64() && record["parent"].is_string(), "{record}");
    let said = scene.run(&["audit", "store/app.toml", "--since", "1h"]).code(0);
    assert!(said.out.contains("view shown  app.toml  database.password  by user "), "{}", said.out);
    assert_eq!(scene.run(&["audit", "store", "--since", "2999-01-01"]).code(0).out, "");
    scene.run(&["audit", "store", "--since", "yesterday"]).code(2);
    // A file that is gone still has its history.
    fs::remove_file(scene.store("app.toml")).unwrap();
    scene.run(&["audit", "store/app.toml"]).code(0).says(&["view shown"]);
}

#[test]
fn what_cannot_be_recorded_is_neither_shown_nor_changed() {
    let scene = Scene::sealed();
    let set = ["set", "store/app.toml", "database.host", KEY[0], KEY[1]];
    scene.run_with(&set, &[], b"db2").code(0);
    fs::set_permissions(scene.trail(), PermissionsExt::from_mode(0o666)).unwrap();
    let before = scene.snapshot();
    let view = scene.with_key(&["view", "store/app.toml"]).code(17);
    assert_eq!(view.bytes, b"");
    view.complains(&["audit", "others may write it", "hint: "]);
    let public = ["make-public", "store/app.toml", "database.host", "--yes"];
    scene.with_key(&public).code(17);
    scene.run_with(&set, &[], b"db3").code(17);
    let edit = ["edit", "store/app.toml", KEY[0], KEY[1]];
    scene.run_with(&edit, &[("EDITOR", "cat >&2"), ("VISUAL", "")], b"").code(17);
    assert_eq!(scene.snapshot(), before);
    // Where nothing can be remembered, nothing can be recorded.
    fs::write(scene.path("file"), "").unwrap();
    let below = scene.path("file").to_string_lossy().into_owned();
    let nowhere = [("CONFSEAL_STATE_DIRECTORY", &*below)];
    let view = ["view", "store/app.toml", KEY[0], KEY[1]];
    assert_eq!(scene.run_with(&view, &nowhere, b"").code(17).bytes, b"");
}

#[test]
fn a_line_that_a_crash_cut_off_is_told_and_the_others_are_there() {
    let scene = Scene::sealed();
    for _ in 0..2 {
        scene.with_key(&["view", "store/app.toml"]).code(0);
    }
    let whole = fs::read(scene.trail()).unwrap();
    fs::write(scene.trail(), &whole[..whole.len() - 10]).unwrap();
    let said = scene.run(&["audit", "store"]).code(1).complains(&["audit:2: no record"]);
    assert_eq!(said.out.lines().count(), 1);
    scene.with_key(&["view", "store/app.toml"]).code(0);
    assert_eq!(scene.run(&["audit", "store"]).code(1).out.lines().count(), 2);
}
