//! `view`, `explain` and `verify`.

use crate::scene::Scene;

const KEY: &[&str] = &["--key", "file:one.key"];

fn view(scene: &Scene, arguments: &[&str]) -> crate::scene::Said {
    scene.run(&[&["view"], arguments, KEY].concat())
}

#[test]
fn one_field_is_shown_decoded_and_as_it_is() {
    let scene = Scene::sealed();
    assert_eq!(view(&scene, &["store/app.toml", "database.password"]).code(0).out, "canary-\"pw");
    let url = view(&scene, &["store/app.toml", "database.url"]).code(0).out;
    assert_eq!(url, "postgres://app:canary-url@db/shop");
    let nested = view(&scene, &["store/conf.d/deep/api.json", "apiKey"]).code(0).out;
    assert_eq!(nested, "canary-\u{e9}");
    // Public ones, and commented-out ones, too.
    assert_eq!(view(&scene, &["store/app.toml", "database.host"]).code(0).out, "db1");
    assert_eq!(view(&scene, &["store/app.toml", "database.token"]).code(0).out, "canary-old");
    view(&scene, &["store/app.toml", "database.missing"]).code(9).complains(&["no field"]);
    view(&scene, &["store/app.toml", "a..b"]).code(2);
    view(&scene, &["store/absent.toml"]).code(7);
}

#[test]
fn nothing_is_shown_without_the_key() {
    let scene = Scene::sealed();
    let said = scene.run(&["view", "store/app.toml"]).code(3);
    assert_eq!(said.out, "");
    scene.run(&["view", "store/app.toml", "--key", "file:two.key"]).code(4);
}

#[test]
fn explain_names_rule_and_line_for_each_field() {
    let scene = Scene::sealed();
    let policy = "version = 1\n\n[secrets]\nnames = [\n  'title',\n]\n\n[[file]]\n\
                  path = 'app.toml'\nsecret = ['database.host']\n";
    scene.put(".confseal/policy.toml", policy);
    let said = scene.run(&["explain", "store/app.toml"]).code(0);
    let id = scene.key_id("one.key");
    let sealed = format!("sealed (key {id})");
    let lines: Vec<&str> = said.out.lines().collect();
    let row = |field: &str| *lines.iter().find(|line| line.contains(field)).unwrap();
    for (field, parts) in [
        ("title ", &["1 ", "secret", "clear", "`title` (policy line 5)"][..]),
        ("database.host ", &["3 ", "secret", "clear", "`database.host` (policy line 10)"]),
        ("database.password ", &["4 ", "secret", &sealed, "named by `password`"]),
        ("database.url ", &["5 ", "secret", "part sealed"]),
        ("database.token ", &["6 ", "secret", &sealed, "in a comment"]),
    ] {
        for part in parts {
            assert!(row(field).contains(part), "{part:?} in {:?}", row(field));
        }
    }
    // Columns: every row's third begins where its head does.
    let column = row("LINE").find("SECRET").unwrap();
    assert!(lines[2..].iter().all(|line| line[column..].starts_with("secret")), "{lines:#?}");
}

#[test]
fn explain_of_a_directory_has_a_line_for_each_file() {
    let scene = Scene::sealed();
    scene.run(&["explain", "store"]).code(0).says(&[
        "store/README.md",
        "unknown ",
        " no rule\n",
        "store/tls/server.key",
        "sealed whole (key ",
        "fields of dotenv",
    ]);
    let said = scene.run(&["explain", "store", "--json"]).code(0);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 6);
}

#[test]
fn verify_names_file_field_line_and_key_and_looks_at_the_rest() {
    let scene = Scene::sealed();
    let id = scene.key_id("one.key");
    let all = scene.run(&[&["verify", "store"], KEY].concat()).code(0);
    all.says(&["6 files, 8 encrypted fields, 0 files in trouble\n", &format!("key {id}: 8 ")]);

    let token = scene.token("app.toml");
    let other = if &token[40..41] == "A" { "B" } else { "A" };
    let tampered = format!("{}{other}{}", &token[..40], &token[41..]);
    scene.edit("app.toml", &token, &tampered);
    let said = scene.run(&[&["fsck", "store"], KEY].concat()).code(1);
    said.says(&[
        "failed: store/app.toml: field `database.password` (line 4): ",
        &format!("(key {id})"),
        "1 file in trouble",
    ]);
    let said = scene.run(&[&["verify", "store", "--json"], KEY].concat()).code(1);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json["failed"][0]["field"], "database.password");
    assert_eq!(json["failed"][0]["line"], 4);
    assert_eq!(json["failed"][0]["key"], *id);
    assert_eq!(json["failed"].as_array().unwrap().len(), 1);

    view(&scene, &["store/app.toml"]).code(9).complains(&["database.password", &id]);
    view(&scene, &["store/.env"]).code(0);
}

#[test]
fn conflict_markers_are_never_shown_as_plaintext() {
    let scene = Scene::sealed();
    scene.edit("app.toml", "[database]", "<<<<<<< HEAD\n[database]");
    view(&scene, &["store/app.toml"]).code(9).complains(&["cannot be read: line 2"]);
    scene.run(&[&["verify", "store"], KEY].concat()).code(1).says(&["failed: store/app.toml"]);
}

#[test]
fn an_error_in_the_policy_is_named_with_line_and_column() {
    let scene = Scene::sealed();
    scene.put(".confseal/policy.toml", "version = 1\n[[file]]\npath = 3\n");
    for verb in ["check", "explain"] {
        let said = scene.run(&[verb, "store"]).code(6);
        said.complains(&[".confseal/policy.toml: policy line 3, column "]);
    }
    view(&scene, &["store/app.toml"]).code(6);
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let scene = Scene::sealed();
    let program = env!("CARGO_BIN_EXE_confseal");
    let line = format!("{program} explain store > /dev/full");
    let output = std::process::Command::new("sh")
        .args(["-c", &line])
        .current_dir(scene.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"));
}
