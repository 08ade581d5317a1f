//! What `adopt` and `eject` show and refuse before they do anything. That they do it is told on a
//! machine with a real systemd, in tests/systemd.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::scene::{CANARY, Scene};

fn preflight(scene: &Scene) -> Value {
    let said = scene.run(&["adopt", "store", "--dry-run", "--no-systemd", "--json"]).code(0);
    serde_json::from_str(&said.out).expect("JSON")
}

fn paths<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

#[test]
fn a_dry_run_shows_all_and_changes_nothing() {
    let scene = Scene::new();
    let before = scene.snapshot();
    let said = scene.run(&["adopt", "store", "--dry-run", "--no-systemd"]).code(0).says(&[
        "database.password",
        "server.key: a whole, by its name",
        ".confseal/policy.toml",
        "/etc/confseal/store.key",
        "/etc/confseal/store.toml",
    ]);
    assert!(!said.out.contains(CANARY) && !said.err.contains(CANARY), "{said:#?}");
    assert_eq!(scene.snapshot(), before);
    assert!(!scene.store(".confseal").exists());
    assert!(!std::path::Path::new("/etc/confseal/store.toml").exists());
}

#[test]
fn backups_and_copies_nearby_are_named() {
    let scene = Scene::new();
    scene.put("app.toml.bak", "password = 'canary-older'\n");
    let app = fs::read(scene.store("app.toml")).unwrap();
    fs::create_dir_all(scene.path("store.old/deep")).unwrap();
    fs::write(scene.path("store.old/deep/renamed"), &app).unwrap();
    fs::write(scene.path("store.old/other"), "nothing of it\n").unwrap();
    let seen = preflight(&scene);
    let leftovers = &seen["leftovers"];
    let names: Vec<_> =
        paths(leftovers, "path").iter().map(|p| p.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["app.toml.bak", "renamed"], "{leftovers:#}");
    assert_eq!(paths(leftovers, "kind"), ["backup", "copy"]);
}

#[test]
fn the_history_of_git_and_the_line_that_it_has_to_ignore_are_named() {
    let scene = Scene::new();
    fs::remove_dir_all(scene.store(".git")).unwrap();
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(arguments)
            .current_dir(scene.path(""))
            .output()
            .expect("git");
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "store/app.toml"]);
    git(&["commit", "-qm", "x"]);
    let seen = preflight(&scene);
    let copy = &seen["version_control"][0];
    assert_eq!(copy["ignore_line"], "/store/");
    assert_eq!(copy["ignored"], false);
    assert_eq!(seen["recorded"][0]["commits"], 1);
    assert!(seen["recorded"][0]["file"].as_str().unwrap().ends_with("store/app.toml"));
    fs::write(scene.path(".gitignore"), "/store/\n").unwrap();
    assert_eq!(preflight(&scene)["version_control"][0]["ignored"], true);
}

#[test]
fn what_every_user_may_read_is_named_if_he_gets_that_far() {
    let scene = Scene::new();
    let mode = |name: &str, mode| {
        fs::set_permissions(scene.path(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    mode("", 0o755);
    for name in ["store", "store/conf.d", "store/conf.d/deep", "store/tls"] {
        mode(name, 0o755);
    }
    mode("store/.env", 0o640);
    mode("store/tls", 0o750);
    let seen = preflight(&scene);
    let open = paths(&seen["too_open"], "file");
    let ends = |name: &str| open.iter().any(|path| path.ends_with(name));
    assert!(ends("app.toml") && ends("api.json"), "{open:?}");
    assert!(!ends(".env") && !ends("server.key") && !ends("README.md"), "{open:?}");
    mode("", 0o700);
    assert_eq!(preflight(&scene)["too_open"], Value::Array(vec![]));
}

#[test]
fn who_writes_to_it_is_named() {
    let scene = Scene::new();
    let mut shell = Command::new("sh")
        .args(["-c", "exec 3>>app.toml; echo; read _"])
        .current_dir(scene.store(""))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let seen = preflight(&scene);
    let own = |holder: &&Value| holder["pid"] == shell.id();
    let held: Vec<_> = seen["holders"].as_array().unwrap().iter().filter(own).collect();
    assert!(held.iter().any(|holder| holder["writes"] == true), "{held:?}");
    drop(shell.stdin.take());
    shell.wait().unwrap();
}

#[test]
fn what_cannot_be_adopted_is_refused_with_every_reason() {
    let scene = Scene::new();
    let no = ["--dry-run", "--no-systemd"];
    let adopt = |arguments: &[&str]| scene.run(&[&["adopt"], arguments, &no[..]].concat());
    adopt(&["/etc/systemd"]).code(12).complains(&["nothing may be mounted there"]);
    adopt(&["/etc", "--name", "etc"]).code(12).complains(&["nothing may be mounted there"]);
    adopt(&["store", "--name", "a/b"]).code(2).complains(&["letters, digits"]);
    adopt(&["store", "--key", "file:store/k"]).code(2).complains(&["the key would lie in what"]);
    adopt(&["store", "--key", "env:KEY"]).code(2).complains(&["a variable of a service"]);
    adopt(&["store", "--key", "credential:other"]).code(2).complains(&["confseal.store.master"]);
    adopt(&["store", "--escrow", "store/k"]).code(12).complains(&["the copy of the key would lie"]);
    adopt(&["store", "--key", "credential:confseal.store.master"])
        .code(12)
        .complains(&["a credential reaches a service"]);
    adopt(&["store/app.toml"]).code(2).complains(&["not a directory"]);
    fs::create_dir(scene.path("a b")).unwrap();
    adopt(&["a b"]).code(2).complains(&["--name gives another"]);
    scene.run(&["adopt", "--finish", "store", "--dry-run"]).code(2).complains(&["not adopted yet"]);
    scene.run(&["eject", "store", "--dry-run"]).code(2).complains(&["no instance"]);
    // Below a store, it is a part of that.
    let scene = Scene::sealed();
    scene
        .run(&["adopt", "store/conf.d", "--name", "x", "--dry-run", "--no-systemd"])
        .code(12)
        .complains(&["it lies in the store"]);
}

#[test]
fn nothing_is_done_where_nobody_can_be_asked() {
    let scene = Scene::new();
    scene
        .run(&["adopt", "store", "--no-systemd", "--key", "file:own.key"])
        .code(2)
        .complains(&["--yes accepts what is shown"]);
    assert!(!scene.path("own.key").exists() && !scene.store(".confseal").exists());
}
