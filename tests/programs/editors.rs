//! Editors, on a terminal and off it: each saves in its own way, and most put copies beside the
//! file.

use std::fs;

use crate::scene::{assert_no_canary, eventually, finish, need};
use crate::support::{Fixture, sh};
use crate::terminal::Terminal;

const TEXT: &str = "# shop\nport = 1\npassword = \"CANARY-old\" # prod\n";

/// Mounted, with `app.toml` in it.
fn with_text() -> Fixture {
    let mut fixture = Fixture::apart();
    fixture.mount();
    fs::write(fixture.mnt().join("app.toml"), TEXT).unwrap();
    fixture
}

/// The file shows `new` for `old`, and its other lines as they were; in the store it is sealed
/// field by field.
#[track_caller]
fn assert_edited(fixture: &Fixture, new: &str) {
    assert_eq!(fixture.seen("app.toml"), TEXT.replace("CANARY-old", new));
    let stored = fixture.stored("app.toml");
    assert!(stored.starts_with("# shop\nport = 1\npassword = \"ENC:v1:"), "{stored}");
    assert!(stored.ends_with("\" # prod\n"), "{stored}");
}

#[test]
fn vim_on_a_terminal_with_its_swap_file() {
    need("vim");
    let fixture = with_text();
    let set = "set swapfile directory=. backup backupdir=. undofile undodir=.";
    let line = format!("vim -u NONE -i NONE -N --cmd '{set}' app.toml");
    let mut vim = Terminal::open(&fixture.mnt(), &line);
    vim.expect("CANARY-old");
    vim.press(":%s/CANARY-old/CANARY-vim/\r:preserve\r");
    vim.expect("File preserved");
    assert!(fixture.store().join(".app.toml.swp").exists());
    assert_no_canary(&fixture, &["CANARY"]);
    vim.press(":wq\r");
    assert_eq!(vim.end(), Some(0));

    assert_edited(&fixture, "CANARY-vim");
    assert_eq!(fixture.seen("app.toml~"), TEXT);
    assert!(fixture.mnt().join(".app.toml.un~").exists());
    assert!(!fixture.mnt().join(".app.toml.swp").exists());
    // A second session has the first one's undo.
    sh(
        &fixture.mnt(),
        "vim -es -u NONE -i NONE -c 'set nocompatible undofile undodir=.' -c 'edit app.toml' -c undo -c wq",
    );
    assert_edited(&fixture, "CANARY-old");
    finish(fixture, &["CANARY"]);
}

#[test]
fn vim_recovers_from_the_swap_file_of_one_that_was_killed() {
    need("vim");
    let fixture = with_text();
    let vim = "vim -u NONE -i NONE -N --cmd 'set directory=.'";
    let mut killed = Terminal::open(&fixture.mnt(), &format!("{vim} app.toml"));
    killed.expect("CANARY-old");
    killed.press(":%s/CANARY-old/CANARY-unsaved/\r:preserve\r");
    killed.expect("File preserved");
    killed.press(":!kill -KILL $PPID\r");
    assert_eq!(killed.end(), Some(128 + 9));
    assert_edited(&fixture, "CANARY-old");
    assert!(fixture.stored(".app.toml.swp").starts_with("ENC:file:v1:"));
    assert_no_canary(&fixture, &["CANARY"]);

    sh(&fixture.mnt(), &format!("{vim} -es -c 'recover app.toml' -c wq && rm .app.toml.swp"));
    assert_edited(&fixture, "CANARY-unsaved");
    finish(fixture, &["CANARY"]);
}

#[test]
fn vim_by_rename_and_in_place() {
    need("vim");
    let fixture = with_text();
    let number = || sh(&fixture.mnt(), "stat -c %i app.toml");
    let first = number();
    for (how, old, new) in [("yes", "old", "in-place"), ("no", "in-place", "by-rename")] {
        let line = format!(
            "vim -es -u NONE -i NONE -c 'set nocompatible backupcopy={how}' \
             -c '%s/CANARY-{old}/CANARY-{new}/' -c wq app.toml"
        );
        sh(&fixture.mnt(), &line);
        assert_edited(&fixture, &format!("CANARY-{new}"));
        assert_eq!(number() == first, how == "yes", "{how}");
    }
    finish(fixture, &["CANARY"]);
}

#[test]
fn nano_on_a_terminal_with_its_backup() {
    need("nano");
    let fixture = with_text();
    // `-G` makes a lock file as vim's, `-B` a backup.
    let mut nano = Terminal::open(&fixture.mnt(), "nano -I -G -B +3,13 app.toml");
    nano.expect("CANARY-old");
    nano.press("CANARY-nano-\x13");
    eventually("it saves", || fixture.seen("app.toml").contains("CANARY-nano-CANARY-old"));
    assert_no_canary(&fixture, &["CANARY"]);
    nano.press("\x18");
    assert_eq!(nano.end(), Some(0));

    assert_edited(&fixture, "CANARY-nano-CANARY-old");
    assert_eq!(fixture.seen("app.toml~"), TEXT);
    assert!(!fixture.mnt().join(".app.toml.swp").exists());
    finish(fixture, &["CANARY"]);
}

#[test]
fn ed_writes_in_place() {
    need("ed");
    let fixture = with_text();
    let line = "printf '%s\\n' ,s/CANARY-old/CANARY-ed/ w q | ed -s app.toml 2>&1";
    assert_eq!(sh(&fixture.mnt(), line), "");
    assert_edited(&fixture, "CANARY-ed");
    finish(fixture, &["CANARY"]);
}

#[test]
fn sed_in_place_with_and_without_a_backup() {
    let fixture = with_text();
    sh(&fixture.mnt(), "sed -i.bak s/CANARY-old/CANARY-sed/ app.toml");
    assert_edited(&fixture, "CANARY-sed");
    assert_eq!(fixture.seen("app.toml.bak"), TEXT);
    sh(&fixture.mnt(), "sed -i s/CANARY-sed/CANARY-again/ app.toml");
    assert_edited(&fixture, "CANARY-again");
    finish(fixture, &["CANARY"]);
}

#[test]
fn perl_in_place_with_and_without_a_backup() {
    need("perl");
    let fixture = with_text();
    sh(&fixture.mnt(), "perl -i.orig -pe s/CANARY-old/CANARY-perl/ app.toml");
    assert_edited(&fixture, "CANARY-perl");
    assert_eq!(fixture.seen("app.toml.orig"), TEXT);
    sh(&fixture.mnt(), "perl -i -pe s/CANARY-perl/CANARY-again/ app.toml");
    assert_edited(&fixture, "CANARY-again");
    finish(fixture, &["CANARY"]);
}

#[test]
fn patch_with_a_backup_and_with_a_hunk_that_fails() {
    need("patch");
    let fixture = with_text();
    let diff = fixture.dir().join("change.diff");
    fs::write(
        &diff,
        "--- a/app.toml\n+++ b/app.toml\n@@ -1,3 +1,3 @@\n # shop\n port = 1\n\
         -password = \"CANARY-old\" # prod\n+password = \"CANARY-patched\" # prod\n",
    )
    .unwrap();
    let patch = format!("patch -b -p1 <{}", diff.display());
    sh(&fixture.mnt(), &patch);
    assert_edited(&fixture, "CANARY-patched");
    assert_eq!(fixture.seen("app.toml.orig"), TEXT);
    // What it could not apply, it leaves beside the file: two secrets in a format of no rule.
    sh(&fixture.mnt(), &format!("! {patch} -N --dry-run && ! {patch} -f -F0"));
    assert!(fixture.seen("app.toml.rej").contains("+password = \"CANARY-patched\""));
    assert!(fixture.stored("app.toml.rej").starts_with("ENC:file:v1:"));
    assert_edited(&fixture, "CANARY-patched");
    finish(fixture, &["CANARY"]);
}
