//! However a program saves, what reaches the store is sealed, and what did not change keeps its
//! token.

use std::fs;
use std::path::PathBuf;

use crate::calls::{errno, names};
use crate::support::{Fixture, sh};

const APP: &str = "# shop\n[database]\npassword = \"CANARY-one-two\" # prod\nport = 5432\n\
                   [mail]\ntoken = 'CANARY-three-four'\n";
const CANARIES: [&str; 2] = ["CANARY-one-two", "CANARY-three-four"];

/// A mount with `app.toml` in it, saved through the mount.
fn with_app() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.mount();
    fs::write(fixture.mnt().join("app.toml"), APP).unwrap();
    fixture
}

/// The tokens in a text, in their order.
fn tokens(text: &str) -> Vec<&str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_:-".contains(c);
    let pieces = text.match_indices("ENC:").map(|(at, _)| {
        let rest = &text[at..];
        &rest[..rest.find(|c| !legal(c)).unwrap_or(rest.len())]
    });
    pieces.collect()
}

fn is_whole(text: &str) -> bool {
    text.starts_with("ENC:file:v1:")
}

/// `save` brings `edited` into `app.toml` by whatever way; the tokens of before must stand there
/// afterwards, and nothing in the clear.
fn keeps_tokens(how: &str) {
    let fixture = with_app();
    let before = fixture.stored("app.toml");
    let edited = APP.replace("5432", "5433");
    fs::write(fixture.dir().join("edited"), &edited).unwrap();
    sh(&fixture.mnt(), how);
    assert_eq!(fixture.seen("app.toml"), edited, "{how}");
    let after = fixture.stored("app.toml");
    assert_eq!(after, before.replace("5432", "5433"), "{how}");
    assert_eq!(tokens(&after).len(), 2);
    fixture.assert_sealed(&CANARIES);
}

#[test]
fn a_save_in_place_keeps_unchanged_tokens() {
    keeps_tokens("cat ../edited > app.toml");
    keeps_tokens("cp ../edited app.toml");
    keeps_tokens("dd if=../edited of=app.toml conv=notrunc,fsync status=none");
}

#[test]
fn a_save_by_rename_keeps_unchanged_tokens() {
    for temporary in ["app.toml.tmp", "sedXy12aB", ".app.toml.swp", "4913", "app.toml~", ".tmp.Q"] {
        keeps_tokens(&format!("cat ../edited > '{temporary}'; mv '{temporary}' app.toml"));
    }
    keeps_tokens("sed -i s/5432/5433/ app.toml");
}

#[test]
fn a_save_that_moves_the_old_file_aside_keeps_unchanged_tokens() {
    keeps_tokens("mv app.toml app.toml~; cat ../edited > app.toml; rm app.toml~");
    keeps_tokens("mv app.toml aside; cat ../edited > app.toml");
    keeps_tokens("ln app.toml app.toml.bak; cp ../edited app.toml; rm app.toml.bak");
    keeps_tokens("cp app.toml app.toml.orig; rm app.toml; cat ../edited > app.toml");
}

#[test]
fn a_save_by_unlink_and_create_keeps_unchanged_tokens() {
    keeps_tokens("rm app.toml; cat ../edited > app.toml");
    keeps_tokens("rm app.toml; touch app.toml; cat ../edited >> app.toml");
    keeps_tokens("mkdir d; mv app.toml d; mv d/app.toml .; cat ../edited > app.toml");
}

#[test]
fn a_save_that_changes_nothing_writes_nothing() {
    let fixture = with_app();
    let look = || {
        let path = fixture.store().join("app.toml");
        (
            fixture.stored("app.toml"),
            std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap()),
        )
    };
    let before = look();
    fs::write(fixture.mnt().join("app.toml"), APP).unwrap();
    sh(&fixture.mnt(), "cp app.toml ../copy; cp ../copy app.toml; touch app.toml");
    assert_eq!(look(), before);
}

#[test]
fn what_is_appended_is_sealed_field_by_field() {
    let fixture = with_app();
    let before = fixture.stored("app.toml");
    sh(&fixture.mnt(), "echo 'secret = \"CANARY-five-six\"' >> app.toml");
    let after = fixture.stored("app.toml");
    assert!(after.starts_with(&before) && tokens(&after).len() == 3, "{after}");
    assert!(fixture.seen("app.toml").ends_with("secret = \"CANARY-five-six\"\n"));
    fixture.assert_sealed(&["CANARY-five-six"]);
}

#[test]
fn a_new_name_that_no_rule_knows_is_sealed_whole() {
    let fixture = with_app();
    for name in ["4913", "sedAbCdEf", "notes", "backup"] {
        fs::write(fixture.mnt().join(name), "just text\n").unwrap();
        assert!(is_whole(&fixture.stored(name)), "{name}");
        assert_eq!(fixture.seen(name), "just text\n");
    }
    assert!(names(&fixture.store()).iter().all(|name| !name.starts_with(".confseal-tmp.")));
}

#[test]
fn a_half_written_document_is_whole_until_it_can_be_read_again() {
    let fixture = with_app();
    let before = fixture.stored("app.toml");
    let half = "# shop\n[database]\npassword = \"CANARY-one-tw";
    fs::write(fixture.mnt().join("app.toml"), half).unwrap();
    assert!(is_whole(&fixture.stored("app.toml")));
    assert_eq!(fixture.seen("app.toml"), half);
    fs::write(fixture.mnt().join("app.toml"), APP).unwrap();
    assert_eq!(fixture.stored("app.toml"), before);
}

#[test]
fn a_plain_file_that_no_rule_names_stays_plain() {
    let mut fixture = Fixture::new();
    fixture.put("README", "hello\n").mount();
    let mnt = fixture.mnt();
    for (how, text) in [
        ("echo in place > README", "in place\n"),
        ("echo renamed > README.tmp; mv README.tmp README", "renamed\n"),
        ("echo named > sedAbCdEf; mv sedAbCdEf README", "named\n"),
        ("rm README; echo anew > README", "anew\n"),
        ("echo more >> README", "anew\nmore\n"),
        ("mv README OTHER; mv OTHER README", "anew\nmore\n"),
    ] {
        sh(&mnt, how);
        assert_eq!(fixture.stored("README"), text, "{how}");
    }
}

#[test]
fn content_that_carried_secrets_never_becomes_plain() {
    let mut fixture = Fixture::new();
    fixture.put("README", "hello\n").mount();
    let mnt = fixture.mnt();
    fs::write(mnt.join("app.toml"), APP).unwrap();
    sh(&mnt, "mv app.toml notes");
    assert!(is_whole(&fixture.stored("notes")));
    assert_eq!(fixture.seen("notes"), APP);
    sh(&mnt, "mv notes README");
    assert!(is_whole(&fixture.stored("README")));
    assert_eq!(fixture.seen("README"), APP);
    sh(&mnt, "mv README app.toml");
    assert_eq!(tokens(&fixture.stored("app.toml")).len(), 2);
    assert_eq!(fixture.seen("app.toml"), APP);
    fixture.assert_sealed(&CANARIES);
}

#[test]
fn a_new_name_seals_by_its_own_rule() {
    let mut fixture = with_app();
    let stored = fixture.stored("app.toml");
    sh(&fixture.mnt(), "mv app.toml other.toml");
    assert_eq!((fixture.stored("other.toml"), fixture.seen("other.toml")), (stored, APP.into()));
    sh(&fixture.mnt(), "mv other.toml app.json");
    assert_eq!(fixture.seen("app.json"), APP);
    fixture.assert_sealed(&CANARIES);
    let json = "{ \"password\": \"CANARY-one-two\", \"n\": 1 }\n";
    fs::write(fixture.mnt().join("data.toml"), json).unwrap();
    assert!(is_whole(&fixture.stored("data.toml")));
    sh(&fixture.mnt(), "mv data.toml data.json");
    assert!(fixture.stored("data.json").starts_with("{ \"password\": \"ENC:v1:"));
    fixture.umount().mount();
    assert_eq!((fixture.seen("app.json"), fixture.seen("data.json")), (APP.into(), json.into()));
}

#[test]
fn a_directory_of_sealed_files_moves() {
    let mut fixture = Fixture::new();
    fixture.mount();
    let mnt = fixture.mnt();
    sh(&mnt, "mkdir -p conf.d/deep");
    fs::write(mnt.join("conf.d/deep/app.toml"), APP).unwrap();
    fs::write(mnt.join("conf.d/notes"), "text\n").unwrap();
    sh(&mnt, "mv conf.d moved; cat moved/notes; mkdir x; mv moved x/");
    assert_eq!(fixture.seen("x/moved/deep/app.toml"), APP);
    fs::write(mnt.join("x/moved/deep/app.toml"), APP.replace("5432", "1")).unwrap();
    fixture.umount().mount();
    assert_eq!(fixture.seen("x/moved/deep/app.toml"), APP.replace("5432", "1"));
    assert_eq!(fixture.seen("x/moved/notes"), "text\n");
    fixture.assert_sealed(&CANARIES);
}

#[test]
fn a_stream_of_small_writes_is_one_save() {
    let fixture = with_app();
    let line = "python3 -c \"f = open('b.toml', 'w', 1)\nfor n in range(200): print('n%d = %d' % (n, \
                n), file=f)\nprint('password = \\\"CANARY-one-two\\\"', file=f)\"";
    sh(&fixture.mnt(), line);
    assert_eq!(fixture.seen("b.toml").lines().count(), 201);
    assert_eq!(tokens(&fixture.stored("b.toml")).len(), 1);
}

#[test]
fn a_written_file_that_stays_open_is_saved_in_time() {
    let mut fixture = with_app();
    // In a process of its own: a fork would close a copy of the descriptor, and that saves too.
    let script = "import time\nf = open('late.toml', 'w')\nf.write('password = \"CANARY-one-two\"\\n')\n\
                  f.flush()\ntime.sleep(60)";
    let mut program = std::process::Command::new("python3");
    let mut program = program.args(["-c", script]).current_dir(fixture.mnt()).spawn().unwrap();
    let size = |path: PathBuf| fs::metadata(path).map_or(0, |seen| seen.len());
    let (seen, stored) = (fixture.mnt().join("late.toml"), fixture.store().join("late.toml"));
    fixture.wait_for("the write", || size(seen.clone()) > 0);
    assert_eq!(size(stored.clone()), 0);
    fixture.wait_for("the late save", || size(stored.clone()) > 0);
    assert_eq!(tokens(&fixture.stored("late.toml")).len(), 1);
    program.kill().unwrap();
    program.wait().unwrap();
}

#[test]
fn a_rename_that_seals_anew_replaces_a_link_and_not_what_it_points_to() {
    let mut fixture = Fixture::new();
    fixture.put("real.toml", "password = \"CANARY-real\"\n").seal().mount();
    let mnt = fixture.mnt();
    std::os::unix::fs::symlink("real.toml", mnt.join("app.toml")).unwrap();
    fs::write(mnt.join("new"), "password = \"CANARY-new\"\n").unwrap();
    assert!(fixture.stored("new").starts_with("ENC:file:v1:"));
    fs::rename(mnt.join("new"), mnt.join("app.toml")).unwrap();
    assert!(fs::symlink_metadata(mnt.join("app.toml")).unwrap().is_file());
    assert_eq!(fixture.seen("app.toml"), "password = \"CANARY-new\"\n");
    assert_eq!(fixture.seen("real.toml"), "password = \"CANARY-real\"\n");
    assert!(fixture.stored("app.toml").starts_with("password = \"ENC:v1:"));
    assert!(!mnt.join("new").exists());
    fixture.assert_sealed(&["CANARY-new", "CANARY-real"]);
    fixture.umount();
}

#[test]
fn a_file_linked_in_the_store_to_a_name_of_other_rules_is_sealed_by_the_strictest() {
    let text = |pass: &str| format!("password = \"CANARY-{pass}\"\nport = 1\n");
    // The one is known to no rule, the other one is left plain.
    for other in ["snapshot", "app.txt"] {
        let mut fixture = Fixture::new();
        let rule = "version = 1\n[[file]]\npath = \"*.txt\"\nseal = \"none\"\n";
        fixture.put(".confseal/policy.toml", rule).put("app.toml", text("old")).seal();
        fs::hard_link(fixture.store().join("app.toml"), fixture.store().join(other)).unwrap();
        fixture.mount();
        // By itself, nothing says how its tokens are to be read.
        assert_eq!(errno(fs::read(fixture.mnt().join(other))), Err(libc::EBADMSG), "{other}");
        assert_eq!(fixture.seen("app.toml"), text("old"), "{other}");
        assert_eq!(fixture.seen(other), text("old"), "{other}");
        fs::write(fixture.mnt().join(other), text("new")).unwrap();
        assert_eq!(fixture.seen("app.toml"), text("new"), "{other}");
        let status: serde_json::Value =
            serde_json::from_str(&fixture.seen(".confseal/status")).unwrap();
        assert_eq!(status["trouble"], serde_json::json!([]), "{other}");
        fixture.umount();
        assert!(fixture.stored(other).starts_with("password = \"ENC:v1:"), "{other}");
        fixture.assert_sealed(&["CANARY"]);
    }
}

#[test]
fn a_rename_of_another_name_leaves_the_strictest_in_charge() {
    let text = |pass: &str| format!("password = \"CANARY-{pass}\"\nport = 1\n");
    for exchange in [false, true] {
        let mut fixture = Fixture::new();
        let rule = "version = 1\n[[file]]\npath = \"*.txt\"\nseal = \"none\"\n";
        fixture.put(".confseal/policy.toml", rule).put("app.toml", text("old")).seal();
        fixture.put("other.txt", "plain\n");
        fs::hard_link(fixture.store().join("app.toml"), fixture.store().join("app.txt")).unwrap();
        fixture.mount();
        assert_eq!(fixture.seen("app.toml"), text("old"));
        assert_eq!(fixture.seen("app.txt"), text("old"));
        let (from, to) = (fixture.mnt().join("app.txt"), fixture.mnt().join("other.txt"));
        if exchange {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            rustix::fs::renameat_with(rustix::fs::CWD, &from, rustix::fs::CWD, &to, flags).unwrap();
        } else {
            fs::rename(&from, &to).unwrap();
        }
        assert_eq!(fixture.seen("other.txt"), text("old"));
        fs::write(fixture.mnt().join("app.toml"), text("new")).unwrap();
        assert_eq!(fixture.seen("other.txt"), text("new"));
        fixture.umount();
        assert!(fixture.stored("app.toml").starts_with("password = \"ENC:v1:"), "{exchange}");
        fixture.assert_sealed(&["CANARY"]);
    }
}

#[test]
fn one_of_several_names_is_not_renamed_to_one_that_leaves_secrets_plain() {
    let mut fixture = Fixture::new();
    let rule = "version = 1\n[[file]]\npath = \"*.txt\"\nseal = \"none\"\n";
    fixture.put(".confseal/policy.toml", rule).put("app.toml", "port = 1\n").seal();
    fixture.mount();
    let at = |name: &str| fixture.mnt().join(name);
    fs::hard_link(at("app.toml"), at("same.toml")).unwrap();
    // There is no secret in it yet.
    assert_eq!(errno(fs::rename(at("same.toml"), at("app.txt"))), Err(libc::EXDEV));
    fs::rename(at("same.toml"), at("other.toml")).unwrap();
    fs::write(at("other.toml"), "password = \"CANARY-new\"\n").unwrap();
    assert_eq!(fixture.seen("app.toml"), "password = \"CANARY-new\"\n");
    fixture.umount();
    fixture.assert_sealed(&["CANARY"]);
}
