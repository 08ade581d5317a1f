//! The instance `shop` on a machine: a store with a secret, and where its keys lie.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::machine::{Machine, put_at};
use crate::support::{CONFSEAL, FIRST, SECOND};

/// The unit.
pub const SERVICE: &str = "confseal@shop.service";
/// Where programs see plaintext.
pub const MOUNTPOINT: &str = "/etc/shop";
/// The secret in `app.toml`.
pub const SECRET: &str = "canary-hunter2";
/// The id of the master key.
pub const KEY_ID: &str = "00e98867";

/// The instance file, with the sources of its master key and legacy keys.
pub fn instance(master: &str, legacy: &[&str]) -> String {
    format!(
        "store = '/srv/shop'\nmountpoint = '{MOUNTPOINT}'\n\
         [keys]\nmaster = '{master}'\nlegacy = {legacy:?}\n"
    )
}

/// Puts on a machine that is not up yet: the store, sealed under [`FIRST`], the empty mount point, and
/// the instance, whose master key is the credential that the unit brings. The key is not there.
pub fn put_shop(root: &Path) {
    put_at(root, "/srv/shop/app.toml", format!("password = \"{SECRET}\"\n"), 0o640);
    put_at(root, "/srv/shop/plain.txt", "nothing to hide\n", 0o644);
    seal(root, "srv/shop", FIRST);
    fs::create_dir(root.join("etc/shop")).expect("the mount point");
    let text = instance("credential:confseal.shop.master", &[]);
    put_at(root, "/etc/confseal/shop.toml", text, 0o644);
}

/// The same with the key as a plain file, the simplest way there is.
pub fn put_shop_with_key(root: &Path) {
    put_shop(root);
    put_at(root, "/etc/confseal/shop.key", FIRST, 0o600);
    put_at(root, "/etc/confseal/other.key", SECOND, 0o600);
    let text = instance("file:/etc/confseal/shop.key", &[]);
    put_at(root, "/etc/confseal/shop.toml", text, 0o644);
}

/// Seals a directory of the machine under `key`, from outside.
pub fn seal(root: &Path, directory: &str, key: &str) {
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let sealed = Command::new(CONFSEAL)
        .args(["seal", "--key", "env:KEY"])
        .arg(root.join(directory))
        .env("KEY", key)
        .env("CONFSEAL_STATE_DIRECTORY", elsewhere.path())
        .output()
        .expect("confseal runs");
    assert!(sealed.status.success(), "{}", String::from_utf8_lossy(&sealed.stderr));
    let text = fs::read_to_string(root.join(directory).join("app.toml"));
    assert!(!text.is_ok_and(|text| text.contains(SECRET)), "{directory} is not sealed");
}

/// The block of docs/systemd.md in `language` that holds `text`.
pub fn documented(language: &str, text: &str) -> &'static str {
    let mut blocks = include_str!("../../docs/systemd.md").split("```").skip(1).step_by(2);
    let is_it = |block: &&str| block.starts_with(language) && block.contains(text);
    let block = blocks.find(is_it).and_then(|block| block.strip_prefix(language));
    block.expect("a block of docs/systemd.md")
}

/// Starts the service, and has it stand.
pub fn start(machine: &Machine) {
    machine.start(SERVICE);
}

/// What the mount shows of the secret.
pub fn secret(machine: &Machine) -> String {
    machine.ok(&["cat", "/etc/shop/app.toml"])
}

/// Whether something is mounted where the mount belongs.
pub fn is_mounted(machine: &Machine) -> bool {
    machine.run(&["mountpoint", "--quiet", MOUNTPOINT]).status.success()
}
