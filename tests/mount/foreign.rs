//! Tokens of other systems, through the mount: read as plaintext, never written, ours after a
//! `rewrap`.

use std::fs;

use serde_json::{Value, json};

use crate::calls::errno;
use crate::support::{Fixture, sh};

/// The key that Liberty would take as a text.
const LIBERTY_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Holds `hunter2`.
const LIBERTY: &str = "ENC:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P6ChoqOkpaanqKmqq6ytrq/zGAjjNwZh3PClv1g0F7yw7wv0yB7XRA==";
const FERNET_KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
/// Holds `hello`.
const FERNET: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

/// How Liberty, and somebody with bare Fernet tokens, left the store.
fn left() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.key("liberty", LIBERTY_KEY);
    fixture.key("fernet", FERNET_KEY);
    fixture.put("app.toml", format!("port = 1\n[db]\npassword = \"{LIBERTY}\" # old\n"));
    fixture.put("conf/api.json", format!("{{\"maps\": {{\"blob\": \"{FERNET}\"}}}}\n"));
    fixture.put("conf/.env", format!("# DB_PASSWORD={LIBERTY}\nPORT=1\n"));
    fixture
}

fn mounted() -> Fixture {
    let mut fixture = left();
    mount(&mut fixture);
    fixture
}

fn mount(fixture: &mut Fixture) {
    let liberty = format!("scheme=liberty,key={}", fixture.source("liberty"));
    let places = "path=conf/api.json,field=maps.blob";
    let fernet = format!("scheme=fernet,key={},{places}", fixture.source("fernet"));
    let (store, mnt) = (fixture.store(), fixture.mnt());
    fixture.mount_with(&store, Some(&mnt), &["--import", &liberty, "--import", &fernet]);
}

fn status(fixture: &Fixture) -> Value {
    serde_json::from_str(&fixture.seen(".confseal/status")).expect("JSON")
}

#[test]
fn an_app_reads_plaintext_and_a_rewrap_makes_the_tokens_ours() {
    let mut fixture = mounted();
    let mnt = fixture.mnt();
    let app = "port = 1\n[db]\npassword = \"hunter2\" # old\n";
    assert_eq!(fixture.seen("app.toml"), app);
    assert_eq!(fixture.seen("conf/api.json"), "{\"maps\": {\"blob\": \"hello\"}}\n");
    assert_eq!(fixture.seen("conf/.env"), "# DB_PASSWORD=hunter2\nPORT=1\n");
    assert!(fixture.stored("app.toml").contains(LIBERTY), "reading writes nothing");
    assert_eq!(status(&fixture)["foreign"], json!({"liberty": 2, "fernet": 1}));
    assert_eq!(status(&fixture)["in_the_clear"], json!([]));
    assert_eq!(fixture.metric("foreign_tokens", "scheme=\"liberty\""), 2);
    let (done, answer) = fixture.control("verify");
    assert_eq!(done, Ok(()));
    assert_eq!(
        answer,
        "3 files, 0 encrypted fields, 0 files in trouble\n3 encrypted by other systems\n"
    );

    let (done, answer) = fixture.control("rewrap --dry-run");
    assert_eq!(done, Ok(()));
    assert!(answer.contains("3 would be imported from other systems"), "{answer}");
    sh(&mnt, "echo rewrap > .confseal/control");
    let expected = |imported: usize| {
        format!(
            "0 encrypted fields re-wrapped with the current master key\n\
             {imported} imported from other systems\n0 still using legacy keys\n"
        )
    };
    assert_eq!(sh(&mnt, "cat .confseal/control"), expected(3));
    for (file, tokens) in [("app.toml", 1), ("conf/api.json", 1), ("conf/.env", 1)] {
        let stored = fixture.stored(file);
        assert_eq!(stored.matches("ENC:v1:").count(), tokens, "{stored}");
        assert!(!stored.contains(FERNET) && !stored.contains(&LIBERTY[4..]), "{stored}");
    }
    fixture.assert_sealed(&["hunter2", "hello", "gAAAA"]);
    assert_eq!(fixture.seen("app.toml"), app);
    assert_eq!(fixture.control("rewrap"), (Ok(()), expected(0)));
    assert_eq!(status(&fixture)["foreign"], json!({}));

    // The old systems' keys can go.
    fixture.umount();
    fixture.mount();
    assert_eq!(fixture.seen("app.toml"), app);
    assert_eq!(fixture.seen("conf/api.json"), "{\"maps\": {\"blob\": \"hello\"}}\n");
}

#[test]
fn an_import_comes_and_goes_with_a_reload() {
    let mut fixture = left();
    let (store, mnt) = (fixture.store(), fixture.mnt());
    let path = fixture.dir().join("shop.toml");
    let instance = format!(
        "store = '{}'\nmountpoint = '{}'\n[keys]\nmaster = '{}'\n",
        store.display(),
        mnt.display(),
        fixture.source("master")
    );
    fs::write(&path, &instance).unwrap();
    let name = path.display().to_string();
    fixture.mount_with(&store, Some(&mnt), &["--instance", &name]);
    assert_eq!(errno(fs::read(mnt.join("app.toml"))), Err(libc::EBADMSG));

    let import =
        format!("[[keys.import]]\nscheme = 'liberty'\nkey = '{}'\n", fixture.source("liberty"));
    fs::write(&path, format!("{instance}{import}")).unwrap();
    let (done, answer) = fixture.control("reload");
    assert_eq!(done, Ok(()));
    assert!(answer.contains("opened of other systems: liberty"), "{answer}");
    assert_eq!(fixture.seen("conf/.env"), "# DB_PASSWORD=hunter2\nPORT=1\n");
    let (_, answer) = fixture.control("rewrap app.toml");
    assert!(answer.contains("1 imported from other systems"), "{answer}");

    fs::write(&path, format!("{instance}{}", import.replace("liberty'\nkey", "vault'\nkey")))
        .unwrap();
    let (done, answer) = fixture.control("reload");
    assert_eq!(done, Err(libc::EINVAL));
    assert!(answer.contains("[[keys.import]] number 1 (vault): scheme: "), "{answer}");
    assert_eq!(fixture.seen("conf/.env"), "# DB_PASSWORD=hunter2\nPORT=1\n", "nothing changed");

    fs::write(&path, &instance).unwrap();
    assert_eq!(fixture.control("reload").0, Ok(()));
    assert_eq!(errno(fs::read(mnt.join("conf/.env"))), Err(libc::EBADMSG));
    assert_eq!(fixture.seen("app.toml"), "port = 1\n[db]\npassword = \"hunter2\" # old\n");
}

#[test]
fn a_key_from_a_variable_outlives_its_wiping() {
    let mut fixture = left();
    fixture.variable("LIBERTY_MASTER_KEY", LIBERTY_KEY);
    let (store, mnt) = (fixture.store(), fixture.mnt());
    let import = "scheme=liberty,key=env:LIBERTY_MASTER_KEY";
    fixture.mount_with(&store, Some(&mnt), &["--import", import]);
    let environment = fs::read(format!("/proc/{}/environ", fixture.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains(LIBERTY_KEY));
    assert_eq!(fixture.control("reload").0, Ok(()));
    assert_eq!(fixture.seen("conf/.env"), "# DB_PASSWORD=hunter2\nPORT=1\n");
}

#[test]
fn a_save_seals_what_it_leaves_unchanged_under_the_master_key() {
    let fixture = mounted();
    let mnt = fixture.mnt();
    sh(&mnt, "sed -i 's/port = 1/port = 2/' app.toml && sed -i 's/PORT=1/PORT=2/' conf/.env");
    for file in ["app.toml", "conf/.env"] {
        let stored = fixture.stored(file);
        assert_eq!(stored.matches("ENC:v1:").count(), 1, "{stored}");
        assert!(!stored.contains(&LIBERTY[4..]), "{stored}");
    }
    assert!(fixture.stored("app.toml").starts_with("port = 2\n[db]\npassword = \"ENC:v1:"));
    assert!(fixture.stored("app.toml").ends_with("\" # old\n"));
    assert!(fixture.stored("conf/api.json").contains(FERNET), "nobody saved it");
    assert_eq!(fixture.seen("app.toml"), "port = 2\n[db]\npassword = \"hunter2\" # old\n");
}

#[test]
fn a_token_that_an_app_writes_is_a_word_like_any_other() {
    let mut fixture = mounted();
    let texts = [
        ("app.toml", format!("stolen = \"{LIBERTY}\"\n")),
        ("conf/api.json", format!("{{\"maps\": {{\"blob\": \"{FERNET}\"}}}}\n")),
        ("board.toml", format!("stolen = \"enc::v1::{FERNET}\"\n")),
    ];
    for (file, text) in &texts {
        fs::write(fixture.mnt().join(file), text).unwrap();
    }
    // Written under one name, it is moved to where a token of the other system would be read.
    let text = format!("{{\"maps\": {{\"blob\": \"{FERNET}\"}}}}\n");
    fs::write(fixture.mnt().join("draft.json"), &text).unwrap();
    fs::rename(fixture.mnt().join("draft.json"), fixture.mnt().join("conf/api.json")).unwrap();
    fixture.umount();
    mount(&mut fixture);
    for (file, text) in texts {
        assert_eq!(fixture.seen(file), text);
        let stored = fixture.stored(file);
        assert!(stored.contains("ENC:v1:") && !stored.contains(FERNET), "{stored}");
    }
}

#[test]
fn a_new_name_does_not_change_what_is_seen() {
    let fixture = mounted();
    let mnt = fixture.mnt();
    // Under the new name nothing would be opened; so it is sealed on the way.
    fs::rename(mnt.join("conf/api.json"), mnt.join("moved.json")).unwrap();
    assert_eq!(fixture.seen("moved.json"), "{\"maps\": {\"blob\": \"hello\"}}\n");
    assert!(fixture.stored("moved.json").contains("ENC:v1:"));

    let fixture = mounted();
    let mnt = fixture.mnt();
    let refused = errno(fs::rename(mnt.join("conf"), mnt.join("moved")));
    assert_eq!(refused, Err(libc::EXDEV), "`mv` copies then");
    sh(&mnt, "mv conf moved");
    assert_eq!(fixture.seen("moved/api.json"), "{\"maps\": {\"blob\": \"hello\"}}\n");
}

#[test]
fn a_token_that_its_key_does_not_open_fails_alone() {
    let mut fixture = left();
    let changed = LIBERTY.replace("zGAj", "zGAk");
    fixture.put("app.toml", format!("a = 1\npassword = \"{changed}\"\n"));
    fixture.put("lost.toml", "password = \"ENC:neither of these\"\n");
    mount(&mut fixture);
    let mnt = fixture.mnt();
    assert_eq!(errno(fs::read(mnt.join("app.toml"))), Err(libc::EKEYREJECTED));
    assert_eq!(errno(fs::read(mnt.join("lost.toml"))), Err(libc::EBADMSG));
    assert_eq!(fixture.seen("conf/.env"), "# DB_PASSWORD=hunter2\nPORT=1\n");
    let trouble = &status(&fixture)["trouble"];
    let app = trouble.as_array().unwrap().iter().find(|t| t["file"] == "app.toml").unwrap();
    assert_eq!(app["field"], "password");
    assert!(app["reason"].as_str().unwrap().contains("liberty"), "{trouble}");
    assert!(!fixture.log().contains(&changed[4..30]), "no value in the log");
    let (done, answer) = fixture.control("rewrap");
    assert_eq!(done, Err(libc::EBADMSG));
    assert!(answer.contains("2 imported from other systems"), "{answer}");
    assert!(answer.contains("failed: app.toml: field `password` (line 2)"), "{answer}");

    // Nothing was configured for it: the answer says what could help.
    fixture.umount();
    fixture.put("app.toml", format!("password = \"{LIBERTY}\"\n"));
    fixture.mount();
    assert_eq!(errno(fs::read(fixture.mnt().join("app.toml"))), Err(libc::EBADMSG));
    assert!(status(&fixture)["trouble"].to_string().contains("[[keys.import]]"));
}
