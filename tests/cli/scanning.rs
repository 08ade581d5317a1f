//! `scan`, `init`, and what `explain` and `check` say beside them.

use std::path::Path;

use serde_json::Value;

use crate::scene::{CANARY, Scene};

const KEY: &[&str] = &["--key", "file:one.key"];

/// A value that looks random, under a name that tells nothing; a file whose name tells nothing; an
/// exception.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.put("odd.toml", "magic = 'canary3f9a1c07be52d4886a10'\ntoken_url = 'https://idp/t'\n");
    scene.put("settings", "DB_PASSWORD='canary-in-settings'\nDB_HOST='db1'\n");
    scene
}

fn scanned(scene: &Scene, arguments: &[&str], code: i32) -> Value {
    let said = scene.run(&[&["scan", "--json"], arguments].concat()).code(code);
    serde_json::from_str(&said.out).unwrap()
}

/// File, line and field of everything that `check` and `scan` call a secret in the clear.
fn exposed_by_check(scene: &Scene) -> Vec<String> {
    let said = scene.run(&["check", "store", "--json"]);
    let json: Value = serde_json::from_str(&said.out).unwrap();
    let fields = json["exposed"].as_array().unwrap().iter().filter(|row| !row["field"].is_null());
    sorted(fields.map(|row| format!("{} {} {}", row["file"], row["line"], row["field"])))
}

fn exposed_by_scan(json: &Value, kinds: &[&str]) -> Vec<String> {
    let files = json["files"].as_array().unwrap().iter();
    let rows = files.flat_map(|file| {
        let rows = file["fields"].as_array().unwrap().iter();
        rows.map(|row| (file["file"].clone(), row.clone()))
    });
    let wanted = rows.filter(|(_, row)| kinds.contains(&row["kind"].as_str().unwrap()));
    sorted(wanted.map(|(file, row)| format!("{file} {} {}", row["line"], row["field"])))
}

fn sorted(rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    rows
}

#[test]
fn scan_tells_what_looks_secret_and_why_and_never_a_value() {
    let scene = scene();
    let before = scene.snapshot();
    let said = scene.run(&["scan", "store"]).code(1).says(&[
        "store/app.toml: toml, by its name\n",
        "  4  database.password  `password` is named by `password`\n",
        "  5  database.url       a part: its value is a password in a URL\n",
        "  6  database.token     in a comment, `token` is named by `token`\n",
        "  1  magic  to look at: it looks random (entropy)",
        "store/settings: no rule and no known name; reads as dotenv",
        "store/tls/server.key: a whole, by its name\n",
        " in the clear (1 in part, 1 in comments), 1 to look at, ",
    ]);
    assert!(!said.out.contains("README") && !said.out.contains("token_url"), "{}", said.out);
    let all = scene.run(&["scan", "--all", "store"]).code(1);
    all.says(&["token_url  left alone: `token_url` is named by `token` but excepted by `*_url`\n"]);
    for arguments in [&["scan", "store"][..], &["scan", "store", "--all", "--json"]] {
        let said = scene.run(arguments);
        assert!(!said.out.contains(CANARY) && !said.err.contains(CANARY), "{said:?}");
    }
    assert_eq!(scene.snapshot(), before, "nothing is written");
    assert!(!scene.store(".confseal").exists());
}

#[test]
fn scan_of_a_sealed_store_finds_nothing_in_the_clear() {
    let scene = Scene::sealed();
    let said = scene.run(&["scan", "store"]).code(0);
    said.says(&["6 files looked at: 0 secrets in the clear, 0 to look at, 8 sealed, "]);
    scene.run(&["scan", "--all", "store/app.toml"]).code(0).says(&["database.password  sealed: "]);
}

#[test]
fn a_first_policy_makes_check_agree_with_the_scan_and_a_second_scan_too() {
    let scene = scene();
    let first = scanned(&scene, &["store"], 1);
    let found = exposed_by_scan(&first, &["secret", "part", "suspect"]);
    assert!(found.iter().any(|row| row.contains("magic")), "{found:?}");

    let shown = scene.run(&["init", "store", "--dry-run"]).code(0);
    assert!(!scene.store(".confseal").exists(), "a dry run writes nothing");
    scene.run(&["init", "store", "--yes"]).code(0).says(&["2 rules", "0 to look at"]);
    let policy = scene.read(".confseal/policy.toml");
    assert_eq!(policy, shown.out);
    assert!(!policy.contains(CANARY), "{policy}");

    let second = scanned(&scene, &["store"], 1);
    assert_eq!(exposed_by_scan(&second, &["secret", "part"]), found);
    assert!(exposed_by_scan(&second, &["suspect"]).is_empty());
    assert_eq!(exposed_by_check(&scene), found);
    scene.run(&[&["seal", "store"], KEY].concat()).code(0);
    // The name of the file is the first thing of it that its rule knows.
    assert!(scene.read("settings").starts_with("DB_PASSWORD=ENC:v1:"));
    scene.run(&["check", "store"]).code(0);
}

#[test]
fn init_asks_and_never_replaces_a_policy() {
    let scene = scene();
    scene.run(&["init", "store"]).code(2).complains(&["no terminal", "--yes"]);
    assert!(!scene.store(".confseal/policy.toml").exists());
    scene.run(&["init", "store", "--yes"]).code(0);
    scene.edit(".confseal/policy.toml", "version = 1\n", "version = 1 # mine\n");
    let said = scene.run(&["init", "store", "--yes"]).code(6);
    said.complains(&["there is a policy already", "confseal scan"]);
    scene.run(&["init", "store", "--dry-run"]).code(6);
    assert!(scene.read(".confseal/policy.toml").contains("# mine"));
    // A directory within a store has that store's policy.
    scene.run(&["init", "store/conf.d", "--yes"]).code(2).complains(&["lies in the store"]);
    assert!(!scene.store("conf.d/.confseal").exists());
}

#[test]
fn init_refuses_a_store_in_use() {
    let scene = Scene::sealed();
    let lock = std::fs::File::options().write(true).open(scene.store(".confseal/lock")).unwrap();
    lock.lock().unwrap();
    let said = scene.run(&["init", "store", "--yes"]);
    said.code(8);
    assert!(!scene.store(".confseal/policy.toml").exists());
}

#[test]
fn odd_names_of_files_and_fields_stand_in_a_policy_that_parses() {
    let scene = Scene::empty();
    let random = "3f9a1c07be52d4886a10";
    scene.put("a [b]*?{c}\\ \"d\"\n.toml", &format!("\"x.y \\\"z\" = '{random}'\n"));
    scene.put("!not.toml", &format!("list = ['{random}', 'plain']\n"));
    scene.run(&["init", "store", "--yes"]).code(0).says(&["2 rules", "0 to look at"]);
    let json = scanned(&scene, &["store"], 1);
    assert_eq!(json["summary"]["exposed"], 3, "{json:#}");
}

#[test]
fn explain_shows_one_field_and_names_the_nearest_of_none() {
    let scene = Scene::sealed();
    let one = scene.run(&["explain", "store/app.toml", "database.password"]).code(0);
    assert_eq!(one.out.lines().count(), 3, "{}", one.out);
    let table = scene.run(&["explain", "store/app.toml", "database"]).code(0);
    assert_eq!(table.out.lines().count(), 2 + 4, "{}", table.out);
    let json = scene.run(&["explain", "--json", "store/app.toml", "database.host"]).code(0);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["fields"].as_array().unwrap().len(), 1);
    let said = scene.run(&["explain", "store/app.toml", "database.pasword"]).code(9);
    said.complains(&["there is no field `database.pasword`", "`database.password`"]);
    let said = scene.run(&["explain", "store/app.toml", "db.url"]).code(9);
    said.complains(&["the nearest are `database.url`"]);
    scene.run(&["explain", "store", "x"]).code(2).complains(&["has no fields"]);
}

#[test]
fn explain_says_what_a_file_of_no_known_name_may_be() {
    let scene = scene();
    scene.run(&["explain", "store/settings"]).code(0).says(&[
        "unknown, by no rule",
        "a secret is named; `seal` seals the file whole",
        "`format = \"dotenv\"`",
    ]);
}

#[test]
fn check_names_what_no_rule_and_no_credential_tells_and_can_be_quiet() {
    let scene = Scene::empty();
    scene.put("settings", "DB_PASSWORD=canary\nDB_HOST=db1\n");
    scene.run(&["check", "store"]).code(1).says(&["store/settings: whole: it reads as"]);
    let said = scene.run(&["check", "-q", "store"]).code(1);
    assert_eq!(said.out, "");
    // Files that lie in no store that was set up, several at a time, as hooks give them.
    let outside = scene.path("plain.toml");
    std::fs::write(&outside, "password = 'x'\n").unwrap();
    assert!(Path::new(&outside).exists());
    scene.run(&["check", "plain.toml", "store/settings"]).code(1).says(&["plain.toml:1: password"]);
}

#[test]
fn a_credential_outside_every_value_seals_the_file_whole_and_its_line_is_named() {
    let scene = Scene::new();
    let text =
        format!("[user]\n\tname = me\n[url \"https://me:{CANARY}-x@host/\"]\n\tinsteadOf = h:\n");
    scene.put(".gitconfig", &text);
    let why = "line 3: a password in a URL stands outside every value";
    for verb in ["check", "scan", "explain"] {
        let said = scene.run(&[verb, "store/.gitconfig"]).says(&[why]);
        assert!(!said.out.contains(CANARY) && !said.err.contains(CANARY), "{said:?}");
    }
    let sealed = scene.run(&[&["seal", "store/.gitconfig"], KEY].concat()).code(0);
    sealed.says(&[&format!("sealed whole: {why}")]);
    assert!(scene.read(".gitconfig").starts_with("ENC:file:v1:"));
    scene.run(&["check", "store/.gitconfig"]).code(0);
    let view = scene.run(&[&["view", "store/.gitconfig"], KEY].concat()).code(0);
    assert_eq!(view.out, text);
}
