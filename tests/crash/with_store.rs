//! `with-store`: a command that works on the sealed side, also while a mount covers it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::Writer;
use crate::support::{Fixture, holds, text};

const TEXT: &str = "port = 1\npassword = \"CANARY-one\"\n";

/// `confseal with-store DIR -- sh -ec SCRIPT`.
fn with_store(fixture: &Fixture, dir: &Path, script: &str) -> Output {
    let words =
        ["with-store".as_ref(), dir.as_os_str(), "--".as_ref(), "sh".as_ref(), "-ec".as_ref()];
    fixture.confseal(words.into_iter().chain([script.as_ref()]))
}

const COMMIT: &str = "git add -A && git -c user.name=t -c user.email=t@t commit -qm all";

#[test]
fn git_works_in_the_covered_store_and_its_changes_show_in_the_mount() {
    for over in [true, false] {
        crate::support::apart();
        let mut fixture = Fixture::new();
        let point = if over { fixture.store() } else { fixture.mnt() };
        if over {
            fixture.mount_over();
        } else {
            fixture.mount();
        }
        fs::write(point.join("app.toml"), TEXT).unwrap();
        let run = |script: &str| {
            let done = with_store(&fixture, &point, script);
            assert!(done.status.success(), "{script}: {}", text(&done));
            String::from_utf8_lossy(&done.stdout).into_owned()
        };
        assert!(run("cat app.toml").contains("password = \"ENC:v1:"));
        assert!(run("pwd").trim() != point.to_str().unwrap());
        run(&format!("git init -q && {COMMIT}"));
        assert!(run("git ls-files").contains("app.toml"));
        let shown = run("git show HEAD:app.toml");
        assert!(shown.contains("ENC:v1:") && !holds(shown.as_bytes(), "CANARY"), "{shown}");

        // An edit there, as by `git pull`, in place and by a new file.
        run("sed -i 's/port = 1/port = 2/' app.toml && echo 'url = \"x\"' > new.toml");
        let changed = TEXT.replace("port = 1", "port = 2");
        crate::eventually("the change in the mount", || {
            fs::read_to_string(point.join("app.toml")).unwrap() == changed
        });
        assert_eq!(fs::read_to_string(point.join("new.toml")).unwrap(), "url = \"x\"\n");
        run("git checkout -q app.toml");
        crate::eventually("it is taken back", || {
            fs::read_to_string(point.join("app.toml")).unwrap() == TEXT
        });
        // Saved through the mount without a change: nothing for git to see.
        fs::write(point.join("app.toml"), TEXT).unwrap();
        assert_eq!(run("git status --porcelain app.toml"), "");
        fixture.umount();
    }
}

#[test]
fn the_commands_exit_code_is_ours_and_keys_stay_out_of_its_environment() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.mount();
    let mnt = fixture.mnt();
    assert_eq!(with_store(&fixture, &mnt, "exit 3").status.code(), Some(3));
    assert_eq!(with_store(&fixture, &mnt, "kill -TERM $$").status.code(), Some(128 + 15));
    let done = Command::new(crate::support::CONFSEAL)
        .arg("with-store")
        .arg(&mnt)
        .args(["--", "env"])
        .env("CONFSEAL_MASTER_KEY", "CANARY-key")
        .output()
        .unwrap();
    assert!(done.status.success() && holds(&done.stdout, "PATH="), "{}", text(&done));
    assert!(!holds(&done.stdout, "CANARY-key"), "{}", text(&done));
    fixture.umount();
}

#[test]
fn git_shows_and_merges_by_content_while_a_mount_covers_the_store() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.mount_over();
    let (point, other) = (fixture.store(), fixture.dir().join("other"));
    let text_of = |name: &str| fs::read_to_string(point.join(name)).unwrap();
    fs::write(point.join("app.toml"), "port = 1\n\n\n\npassword = \"CANARY-one\"\n").unwrap();
    let run = |script: &str| {
        let done = with_store(&fixture, &point, script);
        assert!(done.status.success(), "{script}: {}", text(&done));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let key = fixture.source("master");
    run("git init -q -b main");
    run(&format!("'{}' git-setup --key '{key}'", crate::support::CONFSEAL));
    run(COMMIT);
    run(&format!("git clone -q . '{}'", other.display()));
    // Elsewhere, somebody changes what stands in the clear; here, a program changes a secret.
    crate::support::sh(&other, "sed -i 's/port = 1/port = 2/' app.toml");
    crate::support::sh(&other, &COMMIT.replace("-qm", "-qam"));
    fs::write(point.join("app.toml"), text_of("app.toml").replace("CANARY-one", "CANARY-two"))
        .unwrap();
    let shown = run("git diff");
    assert!(shown.contains("-password = \"CANARY-one\"\n+password = \"CANARY-two\""), "{shown}");
    run(COMMIT);
    run(&format!(
        "git -c user.name=t -c user.email=t@t pull -q --no-rebase --no-edit '{}' main",
        other.display()
    ));
    crate::eventually("what was merged in the mount", || {
        text_of("app.toml") == "port = 2\n\n\n\npassword = \"CANARY-two\"\n"
    });
    fixture.umount();
    fixture.assert_sealed(&["CANARY"]);
}

/// The commands of docs/cli.md for a version that was kept, with the names of this one.
fn settling(point: &Path, kept: &str, key: &str) -> Vec<String> {
    let manual = include_str!("../../docs/cli.md");
    let section = manual.split("\n## Versions that were kept\n").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its end");
    let commands = section.lines().filter(|line| line.starts_with("confseal with-store "));
    let ours = |line: &str| {
        line.replace("/etc/shop", point.to_str().expect("UTF-8"))
            .replace("app.toml.20260102T030405Z.1", kept)
            // It is not where `view` looks by itself.
            .replace("confseal view ", &format!("confseal view --key {key} "))
    };
    commands.map(ours).collect()
}

#[test]
fn a_version_that_was_kept_is_settled_as_the_manual_says() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.put("app.toml", TEXT).seal().mount_over();
    let point = fixture.store();
    let mut writer = Writer::of(&point.join("app.toml"));
    let ours = format!("{TEXT}mine = 1\n");
    let seen = || fs::read_to_string(point.join("app.toml")).unwrap();
    writer.write("mine = 1\n", || seen() == ours);
    let done = with_store(&fixture, &point, "echo 'theirs = 1' >>app.toml");
    assert!(done.status.success(), "{}", text(&done));
    writer.close();
    assert_eq!(seen(), ours);
    let kept = || {
        let status = fs::read(point.join(".confseal/status")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&status).unwrap()["kept"].clone()
    };
    let name = kept()[0].as_str().expect("a version that was kept").to_owned();

    let mut path = vec![Path::new(crate::support::CONFSEAL).parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let run = |command: &String| {
        let done = Command::new("bash")
            .args(["-c", command])
            .current_dir(fixture.dir())
            .env("PATH", std::env::join_paths(&path).unwrap())
            .env("CONFSEAL_STATE_DIRECTORY", fixture.state())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{command}");
        String::from_utf8(done.stdout).unwrap()
    };
    let commands = settling(&point, &name, &fixture.source("master"));
    let [list, compare, remove] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(run(list), format!("{name}\n"));
    assert_eq!(run(compare), "3c3\n< theirs = 1\n---\n> mine = 1\n");
    assert_eq!(run(remove), "");
    assert_eq!(kept(), serde_json::json!([]));
    fixture.umount();
    fixture.assert_sealed(&["CANARY"]);
}

#[test]
fn verbs_on_single_files_leave_a_mounted_store_to_the_mount() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.put("app.toml", TEXT).seal().mount();
    let (store, mnt) = (fixture.store().join("app.toml"), fixture.mnt().join("app.toml"));
    let key = fixture.source("master");
    for path in [store, mnt] {
        let path = path.to_str().unwrap();
        for words in [
            &["edit", path][..],
            &["set", path, "port"],
            &["make-public", path, "password", "--yes"],
            &["rebind", path, "a", "b"],
        ] {
            let done = fixture.confseal(words.iter().chain(&["--key", &key]));
            assert_eq!(done.status.code(), Some(8), "{words:?}: {}", text(&done));
            assert!(text(&done).contains("mount"), "{}", text(&done));
        }
    }
    fixture.umount();
}
