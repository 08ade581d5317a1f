//! `edit`, `set`, `make-public`, `rebind`: one file or field changed without a mount.

use std::fs;
use std::process::Command;

use crate::scene::{CANARY, Said, Scene, TREE};

const KEY: [&str; 2] = ["--key", "file:one.key"];

fn run(scene: &Scene, arguments: &[&str]) -> Said {
    scene.run(&[arguments, &KEY].concat())
}

fn set(scene: &Scene, arguments: &[&str], value: &str) -> Said {
    scene.run_with(&[&["set"], arguments, &KEY].concat(), &[], value.as_bytes())
}

/// `edit` with this editor.
fn edit(scene: &Scene, file: &str, editor: &str, answers: &str) -> Said {
    let arguments = [&["edit", file], &KEY[..]].concat();
    scene.run_with(&arguments, &[("EDITOR", editor)], answers.as_bytes())
}

/// An editor that runs this script on its file, `$1`.
fn script(scene: &Scene, script: &str) -> String {
    let path = scene.path("editor.sh");
    fs::write(&path, script).unwrap();
    format!("sh '{}'", path.display())
}

fn view(scene: &Scene, file: &str) -> String {
    run(scene, &["view", file]).code(0).out
}

#[test]
fn an_edit_keeps_the_tokens_of_what_it_leaves_alone() {
    let scene = Scene::sealed();
    let before = scene.read("app.toml");
    edit(&scene, "store/app.toml", "sed -i s/canary-url/canary-new/", "").code(0).says(&["saved"]);
    assert_eq!(view(&scene, "store/app.toml"), TREE[0].1.replace("canary-url", "canary-new"));
    let after = scene.read("app.toml");
    let differing = before.lines().zip(after.lines()).filter(|(a, b)| a != b).count();
    assert_eq!((before.lines().count(), differing), (after.lines().count(), 1));
    let snapshot = scene.snapshot();
    edit(&scene, "store/app.toml", "true", "").code(0).says(&["no change"]);
    assert_eq!(scene.snapshot(), snapshot);
    assert!(scene.holding(CANARY).is_empty());
}

#[test]
fn what_an_editor_leaves_behind_stays_in_memory() {
    let scene = Scene::sealed();
    fs::create_dir(scene.path("home")).unwrap();
    // The swap file beside the file, a history at home, and files where all may write.
    let editor = script(
        &scene,
        "set -e; test \"$(basename \"$1\")\" = app.toml; test \"$(stat -c %a .)\" = 700\n\
         cp \"$1\" \"$1~\"; cp \"$1\" \"$HOME/.history\"; test -s \"$HOME/.history\"\n\
         cp \"$1\" \"$TMPDIR/x\"; cp \"$1\" \"$SCENE/leak\" 2>/dev/null && exit 9\n\
         test -z \"$CONFSEAL_MASTER_KEY\"; sed -i s/canary-url/canary-new/ \"$1\"\n",
    );
    let home = scene.path("home").display().to_string();
    let place = scene.path("").display().to_string();
    let variables = [("VISUAL", &*editor), ("EDITOR", "false"), ("HOME", &home), ("SCENE", &place)];
    let key = fs::read_to_string(scene.path("one.key")).unwrap();
    let variables = [&variables[..], &[("CONFSEAL_MASTER_KEY", key.trim())]].concat();
    scene.run_with(&["edit", "store/app.toml"], &variables, b"").code(0).says(&["saved"]);
    assert!(view(&scene, "store/app.toml").contains("canary-new"));
    assert_eq!(fs::read_dir(scene.path("home")).unwrap().count(), 0);
    assert!(!scene.path("leak").exists());
    assert!(scene.holding(CANARY).is_empty());
    let left = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let left =
        left.filter(|entry| entry.file_name().to_string_lossy().starts_with("confseal-edit-"));
    let empty =
        |entry: &fs::DirEntry| fs::read_dir(entry.path()).is_ok_and(|mut all| all.next().is_none());
    assert!(left.into_iter().all(|entry| !entry.path().exists() || empty(&entry)));
}

#[test]
fn an_editor_that_fails_has_saved_nothing() {
    let scene = Scene::sealed();
    let before = scene.snapshot();
    let fail = script(&scene, "echo x >> \"$1\"; exit 3");
    edit(&scene, "store/app.toml", &fail, "").code(16).complains(&["code 3", "nothing was saved"]);
    edit(&scene, "store/app.toml", "/nonexistent/editor", "")
        .code(16)
        .complains(&["cannot be started"]);
    let gone = script(&scene, "rm \"$1\"");
    edit(&scene, "store/app.toml", &gone, "").code(16).complains(&["left no file"]);
    assert_eq!(scene.snapshot(), before);
}

#[test]
fn a_result_that_cannot_be_read_is_asked_about() {
    let scene = Scene::sealed();
    let before = scene.snapshot();
    let breaks = script(&scene, "printf '\\n[[canary\\n' >> \"$1\"");
    edit(&scene, "store/app.toml", &breaks, "").code(16).complains(&["line 7", "given up"]);
    edit(&scene, "store/app.toml", &breaks, "?\nq\n").code(16).complains(&["nothing was saved"]);
    assert_eq!(scene.snapshot(), before);
    // Broken, looked at again, repaired.
    let repairs = script(
        &scene,
        "if grep -q canary-two \"$1\"; then sed -i /canary-two/d \"$1\"; echo 'x = 1' >> \"$1\"\n\
         else printf '\\r\\n[[canary-two\\n' >> \"$1\"; fi",
    );
    edit(&scene, "store/app.toml", &repairs, "e\n").code(0).says(&["saved"]);
    assert_eq!(view(&scene, "store/app.toml"), format!("{}\r\nx = 1\n", TREE[0].1));
    edit(&scene, "store/app.toml", &breaks, "w\n").code(0).says(&["sealed whole"]);
    assert!(scene.read("app.toml").starts_with("ENC:file:"));
    assert!(scene.holding(CANARY).is_empty());
}

#[test]
fn what_somebody_else_changed_meanwhile_is_merged_or_kept_apart() {
    let scene = Scene::sealed();
    // The editor says that it is open, and stays so until the other one has written. It cannot write
    // outside of its room, but to a pipe.
    let (opened, before, now) = (scene.path("opened"), scene.path("before"), scene.store(".env"));
    assert!(Command::new("mkfifo").arg(&opened).status().unwrap().success());
    let editor = |own: &str| {
        let [opened, before, now] = [&opened, &before, &now].map(|path| path.display());
        let wait = format!("while cmp -s '{before}' '{now}'; do sleep 0.02; done");
        script(&scene, &format!("echo > '{opened}'; sed -i '{own}' \"$1\"; {wait}"))
    };
    let meanwhile = |value: &str, own: &str| {
        fs::copy(&now, &before).unwrap();
        let editor = editor(own);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                fs::read(&opened).unwrap();
                set(&scene, &["store/.env", "API_TOKEN"], value)
            });
            let said = edit(&scene, "store/.env", &editor, "");
            other.join().unwrap().code(0);
            said
        })
    };
    meanwhile("canary-other", "s/canary-env/canary-mine/").code(0).says(&["saved, merged"]);
    let both = view(&scene, "store/.env");
    assert!(both.contains("canary-mine") && both.contains("canary-other"), "{both}");

    let said = meanwhile("canary-third", "s/canary-other/canary-mine/").code(1);
    said.complains(&["changed meanwhile", "store/.confseal/kept/"]);
    assert!(view(&scene, "store/.env").contains("canary-third"));
    assert!(scene.holding(CANARY).is_empty());
    run(&scene, &["verify", "store"]).code(0).says(&["1 kept version"]);
}

#[test]
fn a_value_is_set_from_standard_input_and_sealed() {
    let scene = Scene::sealed();
    let before = scene.read("app.toml");
    set(&scene, &["store/app.toml", "database.password"], "canary \"new\"\n").code(0);
    assert_eq!(run(&scene, &["view", "store/app.toml", "database.password"]).out, "canary \"new\"");
    let after = scene.read("app.toml");
    let differing = before.lines().zip(after.lines()).filter(|(a, b)| a != b).count();
    assert_eq!(differing, 1);
    set(&scene, &["store/app.toml", "database.password", "--keep-newline"], "x\n").code(0);
    assert_eq!(run(&scene, &["view", "store/app.toml", "database.password"]).out, "x\n");
    // No name makes this one secret: the ledger remembers it.
    set(&scene, &["store/app.toml", "title"], "canary-title").code(0).says(&["set and sealed"]);
    assert_eq!(scene.read(".confseal/sealed"), "app.toml\ttitle\n");
    scene.run(&["check", "store"]).code(0);
    assert!(scene.holding(CANARY).is_empty());
    set(&scene, &["store/app.toml", "title"], "canary-title\n").code(0).says(&["no change"]);
}

#[test]
fn a_value_that_a_rule_calls_public_is_set_in_the_clear() {
    let scene = Scene::new();
    let policy = "version = 1\n[[file]]\npath = \"app.toml\"\npublic = [\"database.host\"]\n";
    scene.put(".confseal/policy.toml", policy);
    run(&scene, &["seal", "store"]).code(0);
    let said = set(&scene, &["store/app.toml", "database.host"], "db2").code(0);
    said.says(&["in the clear", "policy line 4"]);
    assert!(scene.read("app.toml").contains("host = \"db2\"   # near\r\n"));
    assert!(!scene.store(".confseal/sealed").exists());
}

#[test]
fn a_field_that_is_not_there_or_there_twice_is_not_guessed() {
    let scene = Scene::sealed();
    let before = scene.snapshot();
    let said = set(&scene, &["store/app.toml", "database.pasword"], "x").code(9);
    said.complains(&["no field `database.pasword`", "`database.password`", "confseal edit"]);
    set(&scene, &["store/app.toml", "token"], "x").code(9).complains(&["no field"]);
    set(&scene, &["store/tls/server.key", "a"], "x").code(9).complains(&["field by field"]);
    set(&scene, &["store/app.toml", "a..b"], "x").code(2);
    set(&scene, &["store", "a"], "x").code(2).complains(&["not a regular file"]);
    assert_eq!(scene.snapshot(), before);
    scene.put("list.json", "{\"tokens\": [\n\"canary-1\",\n\"canary-2\"\n]}\n");
    let said = set(&scene, &["store/list.json", "tokens[]"], "canary").code(9);
    said.complains(&["2 times", "lines 2, 3", "--all"]);
    set(&scene, &["store/list.json", "tokens[]", "--all"], "canary-new").code(0);
    let expected = "{\"tokens\": [\n\"canary-new\",\n\"canary-new\"\n]}\n";
    assert_eq!(view(&scene, "store/list.json"), expected);
}

#[test]
fn a_field_is_made_public_on_somebodys_word_and_no_other() {
    let scene = Scene::sealed();
    let policy = "version = 1   # ours\n\n[secrets]\nnames = [\"host\", \"title\"]   # both\n";
    scene.put(".confseal/policy.toml", policy);
    run(&scene, &["seal", "store"]).code(0);
    let before = scene.snapshot();
    let ask = [&["make-public", "store/app.toml", "database.host"], &KEY[..]].concat();
    for answer in ["", "n\n"] {
        let said = scene.run_with(&ask, &[], answer.as_bytes()).code(1);
        said.says(&["app.toml:3: database.host: will stand in the clear", "nothing was changed"]);
    }
    assert_eq!(scene.snapshot(), before);

    let old = scene.read("app.toml");
    scene.run_with(&ask, &[], b"y\n").code(0).says(&["database.host: public"]);
    let rule = "\n[[file]]\npath = \"/app.toml\"\npublic = [\"database.host\"]\n";
    assert_eq!(scene.read(".confseal/policy.toml"), format!("{policy}{rule}"));
    let new = scene.read("app.toml");
    assert!(new.contains("host = 'db1'   # near\r\n"), "{new}");
    assert_eq!(old.lines().zip(new.lines()).filter(|(a, b)| a != b).count(), 1);
    run(&scene, &["make-public", "store/app.toml", "database.host", "--yes"])
        .code(0)
        .says(&["already"]);
    run(&scene, &["make-public", "store/app.toml", "title", "--yes"]).code(0);
    assert!(scene.read(".confseal/policy.toml").ends_with("[\"database.host\", \"title\"]\n"));
    scene.run(&["check", "store"]).code(0);
}

#[test]
fn making_one_field_public_accepts_nothing_else_that_waits() {
    let scene = Scene::new();
    let policy = "version = 1\n[secrets]\nnames = [\"host\"]\n";
    scene.put(".confseal/policy.toml", policy);
    run(&scene, &["seal", "store"]).code(0);
    // Pulled from somewhere, and not agreed to.
    let pulled = format!("{policy}except = [\"password\"]\n");
    scene.put(".confseal/policy.toml", &pulled);
    run(&scene, &["make-public", "store/app.toml", "database.host", "--yes"]).code(0);
    assert!(scene.read("app.toml").contains("host = 'db1'   # near"));
    let said = scene.run(&["policy", "accept", "store", "--dry-run"]).code(0);
    assert!(said.out.contains("password") && !said.out.contains("database.host"), "{said:?}");
    assert!(scene.read(".confseal/policy.toml").starts_with(&pulled));
    run(&scene, &["seal", "store"]).code(0);
    assert!(scene.holding(CANARY).is_empty());
}

#[test]
fn what_the_ledger_holds_can_be_made_public_too() {
    let scene = Scene::sealed();
    set(&scene, &["store/app.toml", "title"], "no secret at all").code(0);
    run(&scene, &["make-public", "store/app.toml", "title", "--yes"]).code(0);
    assert!(scene.read("app.toml").starts_with("title = \"no secret at all\"\r\n"));
    assert_eq!(scene.read(".confseal/sealed"), "");
    run(&scene, &["seal", "store"]).code(0).says(&["0 files sealed"]);
}

#[test]
fn a_credential_is_not_made_public() {
    let scene = Scene::sealed();
    let before = scene.snapshot();
    let said = run(&scene, &["make-public", "store/app.toml", "database.url", "--yes"]).code(9);
    said.complains(&["cannot be made public", "password in a URL"]);
    run(&scene, &["make-public", "store/app.toml", "nothing", "--yes"]).code(9);
    run(&scene, &["make-public", "store/tls/server.key", "x", "--yes"]).code(9);
    assert_eq!(scene.snapshot(), before);
    // The same secret under two names: one of them cannot be public.
    scene.put("twice.toml", "password = 'canary-twice'\npin_secret = 'canary-twice'\n");
    run(&scene, &["seal", "store"]).code(0);
    let said = run(&scene, &["make-public", "store/twice.toml", "password", "--yes"]).code(9);
    said.complains(&["another field's secret"]);
    assert!(scene.holding(CANARY).is_empty());
}

#[test]
fn a_renamed_field_or_file_is_bound_to_its_new_place() {
    let scene = Scene::sealed();
    scene.edit("app.toml", "[database]", "[db]");
    run(&scene, &["view", "store/app.toml"]).code(9);
    let said = run(&scene, &["rebind", "store/app.toml", "database", "db", "--dry-run"]).code(0);
    said.says(&["3 values would be sealed"]);
    run(&scene, &["view", "store/app.toml"]).code(9);
    run(&scene, &["rebind", "store/app.toml", "database", "db"]).code(0).says(&["3 values sealed"]);
    assert_eq!(view(&scene, "store/app.toml"), TREE[0].1.replace("[database]", "[db]"));
    run(&scene, &["rebind", "store/app.toml", "database", "db"]).code(0).says(&["0 values"]);
    run(&scene, &["rebind", "store/app.toml", "database"]).code(2);
    run(&scene, &["rebind", "store/app.toml"]).code(2);
}

#[test]
fn a_directory_that_was_renamed_in_the_store_opens_again() {
    let scene = Scene::new();
    let store = scene.path("store");
    let instance = format!(
        "store = {store:?}\n[keys]\nmaster = \"file:{}\"\nbinding = \"file\"\n",
        scene.path("one.key").display()
    );
    fs::write(scene.path("shop.toml"), instance).unwrap();
    let run = |arguments: &[&str]| scene.run(&[arguments, &["--instance", "./shop.toml"]].concat());
    run(&["seal", "store"]).code(0);
    fs::rename(scene.store("conf.d"), scene.store("etc")).unwrap();
    fs::rename(scene.store("tls/server.key"), scene.store("new.key")).unwrap();
    run(&["verify", "store"]).code(1);
    run(&["rebind", "store/etc", "--was", "store/conf.d"]).code(0).says(&["deep/api.json: 2"]);
    run(&["rebind", "store/new.key", "--was", "store/tls/server.key"]).code(0).says(&["1 value "]);
    run(&["verify", "store"]).code(0);
    run(&["rebind", "store/new.key", "--was", "/elsewhere/x"])
        .code(2)
        .complains(&["not in the store"]);
    assert!(scene.holding(CANARY).is_empty());
}
