//! Programs that change configuration for others: libraries, configuration management, git.

use std::fs;
use std::path::Path;

use crate::scene::{assert_no_canary, eventually, finish, need};
use crate::support::{Fixture, sh};

#[test]
fn git_config_configparser_and_shell_rewrite_theirs() {
    let python = need("/usr/bin/python3");
    need("git");
    let mut fixture = Fixture::apart();
    fixture.mount();
    let mnt = fixture.mnt();
    for (name, view) in [
        (
            ".gitconfig",
            "[user]\n\tname = somebody ; a note\n[http]\n\tproxy = http://u:CANARY-proxy@h\n",
        ),
        ("odoo.conf", "[options]\ndb_host = db1\ndb_password = CANARY-one\n  CANARY-more\n"),
        ("app.properties", "db.url=jdbc:x\ndb.password=CANARY-two\\\n   CANARY-three\n"),
        ("compose.yaml", "services:\n  db:\n    environment:\n      - DB_PASSWORD=CANARY-four\n"),
        ("web.config", "<a><add key=\"ApiSecret\" value=\"CANARY-five\"/></a>\n"),
    ] {
        fs::write(mnt.join(name), view).unwrap();
    }
    assert_no_canary(&fixture, &["CANARY"]);

    sh(&mnt, "git config --file .gitconfig user.name else");
    sh(
        &mnt,
        "git config --file .gitconfig --add http.extraheader 'Authorization: Bearer CANARY-bearer-1234567'",
    );
    sh(
        &mnt,
        &format!(
            "{} -c 'import configparser as c; p = c.RawConfigParser(); p.read(\"odoo.conf\")\n\
             assert p[\"options\"][\"db_password\"] == \"CANARY-one\\nCANARY-more\"\n\
             p.set(\"options\", \"db_host\", \"db2\")\nwith open(\"odoo.conf\", \"w\") as f: p.write(f)'",
            python.display()
        ),
    );
    sh(&mnt, "sed -i s/jdbc:x/jdbc:y/ app.properties");
    sh(&mnt, "printf '      - API_TOKEN=CANARY-six\\n' >> compose.yaml");
    sh(&mnt, "sed -i 's/CANARY-five/CANARY-seven/' web.config");

    for (name, clear, secret) in [
        (".gitconfig", "name = else", "Bearer CANARY-bearer-1234567"),
        // Python writes what it read in its own manner of indenting.
        ("odoo.conf", "db_host = db2", "CANARY-one\n"),
        ("app.properties", "db.url=jdbc:y", "CANARY-two\\\n   CANARY-three"),
        ("compose.yaml", "- DB_PASSWORD=ENC:v1:", "API_TOKEN=CANARY-six"),
        ("web.config", "key=\"ApiSecret\" value=\"ENC:v1:", "CANARY-seven"),
    ] {
        let (stored, seen) = (fixture.stored(name), fixture.seen(name));
        assert!(stored.contains(clear), "{name} is not sealed field by field:\n{stored}");
        assert!(seen.contains(secret), "{name}:\n{seen}");
    }
    finish(fixture, &["CANARY"]);
}

#[test]
fn augeas_saves_in_each_of_its_ways() {
    need("augtool");
    let mut fixture = Fixture::apart();
    fixture.mount();
    let mnt = fixture.mnt();
    let view = |pass: &str| format!("[client]\nuser = app\npassword = {pass}\n\n[mysqld]\n");
    fs::write(mnt.join("my.cnf"), view("CANARY-zero")).unwrap();
    let file = mnt.join("my.cnf");
    let save = |flags: &str, pass: &str| {
        let line = format!(
            "printf 'set /files{0}/target[1]/password {pass}\\nsave\\n' | \
             augtool {flags} --noautoload --transform 'MySQL.lns incl {0}'",
            file.display()
        );
        assert_eq!(sh(&mnt, &line), "Saved 1 file(s)\n");
    };
    // By a new file and a rename; with the old one beside it; with the new one beside it.
    save("", "CANARY-one");
    assert_eq!(fixture.seen("my.cnf"), view("CANARY-one"));
    save("--backup", "CANARY-two");
    assert_eq!(fixture.seen("my.cnf"), view("CANARY-two"));
    assert_eq!(fixture.seen("my.cnf.augsave"), view("CANARY-one"));
    save("--new", "CANARY-three");
    assert_eq!(fixture.seen("my.cnf"), view("CANARY-two"));
    assert_eq!(fixture.seen("my.cnf.augnew"), view("CANARY-three"));
    for name in ["my.cnf", "my.cnf.augsave", "my.cnf.augnew"] {
        let stored = fixture.stored(name);
        assert!(stored.contains("user = app\npassword = ENC:v1:"), "{name}:\n{stored}");
    }
    finish(fixture, &["CANARY"]);
}

#[test]
fn ansible_changes_a_line_and_fills_a_template() {
    need("ansible-playbook");
    let mut fixture = Fixture::apart();
    let dir = fixture.dir().to_owned();
    fixture.mount();
    let mnt = fixture.mnt();
    let line = |pass: &str| format!("db.url=jdbc:x\ndb.password={pass}\n");
    let template = |pass: &str| format!("port = 1\npassword = \"{pass}\"\n");
    fs::write(mnt.join("app.properties"), line("CANARY-old-line")).unwrap();
    fs::write(mnt.join("app.toml"), template("CANARY-old-template")).unwrap();
    fs::write(dir.join("app.j2"), template("{{ word }}")).unwrap();
    fs::write(dir.join("ansible.cfg"), "[defaults]\ninterpreter_python = /usr/bin/python3\n")
        .unwrap();
    let play = format!(
        "- hosts: localhost\n  gather_facts: false\n  connection: local\n  tasks:\n  \
         - ansible.builtin.lineinfile: {{path: {0}/app.properties, regexp: ^db.password=, \
         line: db.password=CANARY-line, backup: true}}\n  \
         - ansible.builtin.template: {{src: {1}/app.j2, dest: {0}/app.toml, mode: '0640', \
         backup: true}}\n    vars: {{word: CANARY-template}}\n",
        mnt.display(),
        dir.display()
    );
    fs::write(dir.join("play.yaml"), play).unwrap();
    let run = || {
        sh(
            &dir,
            "mkdir -p home && HOME=$PWD/home ANSIBLE_CONFIG=$PWD/ansible.cfg \
             ANSIBLE_LOCAL_TEMP=$PWD/home/local ANSIBLE_REMOTE_TEMP=$PWD/home/remote \
             ansible-playbook -i localhost, play.yaml 2>&1",
        )
    };
    let said = run();
    assert!(said.contains("ok=2    changed=2"), "{said}");
    assert_eq!(fixture.seen("app.properties"), line("CANARY-line"));
    assert_eq!(fixture.seen("app.toml"), template("CANARY-template"));
    assert_eq!(sh(&mnt, "stat -c %a app.toml"), "640\n");
    // The backups have names of their own, and are sealed as what they were made of.
    let backups = [
        ("app.properties.*~", line("CANARY-old-line")),
        ("app.toml.*~", template("CANARY-old-template")),
    ];
    for (name, content) in backups {
        assert_eq!(sh(&mnt, &format!("cat {name}")), content);
        let stored = sh(&fixture.store(), &format!("cat {name}"));
        assert!(stored.contains("=ENC:v1:") || stored.contains("= \"ENC:v1:"), "{stored}");
    }
    // It reads back what it wrote: there is nothing left to do.
    let said = run();
    assert!(said.contains("ok=2    changed=0"), "{said}");
    finish(fixture, &["CANARY"]);
}

/// `confseal with-store MNT -- sh -ec SCRIPT`.
fn in_store(fixture: &Fixture, script: &str) -> String {
    let words = ["with-store", &fixture.mnt().to_string_lossy(), "--", "sh", "-ec", script]
        .map(str::to_owned);
    let done = fixture.confseal(words);
    assert!(done.status.success(), "{script}\n{}", crate::support::text(&done));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Everything that git keeps in the repository at `dir`, unpacked.
fn objects(dir: &Path) -> String {
    sh(dir, "git cat-file --batch-all-objects --batch")
}

#[test]
fn git_works_in_the_store_and_is_refused_in_the_mount() {
    need("git");
    let mut fixture = Fixture::apart();
    let dir = fixture.dir().to_owned();
    fixture.mount();
    let mnt = fixture.mnt();
    let view = "port = 1\npassword = \"CANARY-one\"\n";
    fs::write(mnt.join("app.toml"), view).unwrap();

    let refused = sh(&mnt, "! git init -q . 2>&1");
    assert!(refused.contains(".git: Permission denied"), "{refused}");
    const WHO: &str = "git config user.name t; git config user.email t@t";
    in_store(
        &fixture,
        &format!("git init -q -b main .; {WHO}; git add app.toml; git commit -qm 1"),
    );
    // It is a repository now, but not for those who look through the mount.
    for words in ["log", "add app.toml", "status"] {
        let refused = sh(&mnt, &format!("! git {words} 2>&1"));
        assert!(refused.contains("not a git repository"), "{words}: {refused}");
    }

    // A colleague without a key changes what is no secret; the mount shows it.
    sh(&dir, &format!("git clone -q store other; cd other; {WHO}"));
    let other = dir.join("other");
    assert!(fs::read_to_string(other.join("app.toml")).unwrap().contains("= \"ENC:v1:"));
    sh(&other, "sed -i 's/port = 1/port = 2/' app.toml; git commit -qam 2");
    in_store(&fixture, "git pull -q ../other main");
    eventually("the pulled change in the mount", || {
        fixture.seen("app.toml") == view.replace("port = 1", "port = 2")
    });
    // A secret that changes is one line of a diff, and neither side of it can be read.
    sh(&mnt, "sed -i s/CANARY-one/CANARY-two/ app.toml");
    let diff = in_store(&fixture, "git diff -U0; git commit -qam 3");
    assert!(diff.contains("-password = \"ENC:v1:") && diff.contains("+password = \"ENC:v1:"));
    assert_eq!(in_store(&fixture, "git status --porcelain --untracked-files=no"), "");
    let kept = objects(&fixture.store());
    assert_eq!(kept.matches("password = \"ENC:v1:").count(), 3, "{kept}");
    assert!(!kept.contains("CANARY"), "{kept}");
    finish(fixture, &["CANARY"]);
}
