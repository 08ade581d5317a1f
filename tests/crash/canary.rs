//! No plaintext on the disk: neither in the files of the store, nor in the raw blocks of the file
//! system that holds it, blocks of deleted files included.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::disk::Disk;
use crate::support::sh;

/// What is written first, through the mount.
const FILES: [(&str, &str); 6] = [
    ("app.toml", "# shop\n[database]\npassword = \"CANARY-toml-old\" # prod\nport = 5432\n"),
    ("app.json", "{\n  \"port\": 80,\n  \"api_key\": \"CANARY-json-old\"\n}\n"),
    (".env", "# env\nDB_PASSWORD=CANARY-env-old\nDEBUG=1\n"),
    ("notes", "remember: CANARY-notes-old\n"),
    ("server.key", "-----BEGIN PRIVATE KEY-----\nCANARY+pem+old\n-----END PRIVATE KEY-----\n"),
    ("tokens.toml", "# api_token = \"CANARY-comment-old\"\nurl = \"http://u:CANARY-url-old@h/\"\n"),
];

/// Every program saves as it usually does, and with all the side files it can be made to write.
const VIM: &str = "vim -es -u NONE -i NONE \
    -c 'set nocompatible backup writebackup swapfile undofile' \
    -c 'set backupdir=. directory=. undodir=.' ";

fn edits() -> Vec<String> {
    vec![
        format!(
            "{VIM} -c 'set backupcopy=no' -c '%s/toml-old/toml-vim/' -c preserve -c wq app.toml"
        ),
        format!(
            "{VIM} -c 'set backupcopy=yes' -c '%s/json-old/json-vim/' -c preserve -c wq app.json"
        ),
        format!("{VIM} -c '%s/notes-old/notes-vim/' -c preserve -c wq notes"),
        "sed -i 's/toml-vim/toml-sed/' app.toml".into(),
        "sed -i.bak 's/env-old/env-sed/' .env".into(),
        "sed -i 's/pem+old/pem+sed/' server.key".into(),
        "cp app.toml copy.toml && cp -a app.json copied".into(),
        "mv copy.toml moved.json && mv copied moved.toml && mv tokens.toml tokens.txt".into(),
        "printf 'API_TOKEN=CANARY-env-tee\\n' | tee -a .env >/dev/null".into(),
        "printf 'more: CANARY-notes-tee\\n' | tee -a notes >/dev/null".into(),
        "printf '[x]\\npassword = \"CANARY-toml-redirect\"\\n' > redirect.toml".into(),
        "printf 'half = \"CANARY-broken-redirect' > broken.toml".into(),
        "printf '{\"secret\": \"CANARY-json-redirect\"}' > app.json".into(),
        "printf '\\npassword = \"CANARY-toml-append\"\\n' >> redirect.toml".into(),
        "dd if=.env of=image.bin bs=7 status=none".into(),
        "rm -f app.toml~ app.json~ moved.json notes~".into(),
    ]
}

const CANARIES: [&str; 21] = [
    "CANARY-toml-old",
    "CANARY-json-old",
    "CANARY-env-old",
    "CANARY-notes-old",
    "CANARY+pem+old",
    "CANARY-comment-old",
    "CANARY-url-old",
    "CANARY-toml-vim",
    "CANARY-json-vim",
    "CANARY-notes-vim",
    "CANARY-toml-sed",
    "CANARY-env-sed",
    "CANARY+pem+sed",
    "CANARY-env-tee",
    "CANARY-notes-tee",
    "CANARY-toml-redirect",
    "CANARY-broken-redirect",
    "CANARY-json-redirect",
    "CANARY-toml-append",
    "CANARY-unsaved",
    "CANARY-killed",
];

/// The story of both forms of mounting; `at`: where the plaintext is seen.
fn edit_and_scan(mut disk: Disk, at: Option<&Path>) {
    let store = disk.fixture.store();
    let root = at.unwrap_or(&store).to_owned();
    disk.fixture.mount_with(&store, at, &[]);
    for (name, content) in FILES {
        fs::write(root.join(name), content).expect(name);
    }
    for line in edits() {
        sh(&root, &line);
    }
    let seen = |name: &str| fs::read_to_string(root.join(name)).expect(name);
    assert!(seen("app.toml").contains("password = \"CANARY-toml-sed\" # prod"));
    assert_eq!(
        seen(".env"),
        "# env\nDB_PASSWORD=CANARY-env-sed\nDEBUG=1\nAPI_TOKEN=CANARY-env-tee\n"
    );
    assert_eq!(seen("app.json"), "{\"secret\": \"CANARY-json-redirect\"}");
    assert_eq!(seen("notes"), "remember: CANARY-notes-vim\nmore: CANARY-notes-tee\n");
    assert_eq!(seen("image.bin"), seen(".env"));

    // A daemon that dies while a file is half written takes that with it.
    let mut unsaved = File::create(root.join("app.toml")).expect("a file");
    unsaved.write_all(b"password = \"CANARY-unsaved\"\n").expect("in memory");
    disk.fixture.kill();
    drop(unsaved);
    // Over the store itself, what was bound for root lies there still.
    disk.fixture.mount_with(&store, at, &[]);
    assert!(fs::read_to_string(root.join("app.toml")).expect("a file").contains("CANARY-toml-sed"));
    fs::write(root.join("app.toml"), "password = \"CANARY-killed\"\n").expect("a file");
    disk.fixture.umount();
    disk.fixture.assert_sealed(&CANARIES);
    disk.detach();
    assert_eq!(disk.scan(&CANARIES), Vec::<String>::new());
}

#[test]
fn no_canary_stands_on_the_disk_after_real_programs_edited_through_a_mount() {
    let disk = Disk::new();
    let at = disk.fixture.mnt();
    edit_and_scan(disk, Some(&at));
}

#[test]
fn no_canary_stands_on_the_disk_after_edits_through_a_mount_over_the_store() {
    edit_and_scan(Disk::new(), None);
}

/// The control: the same scan does find what did reach the disk, also when it is deleted.
#[test]
fn the_scan_finds_what_was_written_into_the_store_and_deleted() {
    let disk = Disk::new();
    let file = disk.fixture.store().join("app.toml");
    fs::write(&file, "password = \"CANARY-toml-old\"\n").expect("a file");
    disk.sync();
    fs::remove_file(&file).expect("removed");
    disk.detach();
    assert_eq!(disk.scan(&CANARIES), ["CANARY-toml-old"]);
}
