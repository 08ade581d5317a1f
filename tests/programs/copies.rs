//! Programs that copy trees, into the mount and out of it: what arrives is what left, down to its
//! times, and a second run finds nothing to do.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::scene::{finish, need};
use crate::support::{Fixture, sh};

/// A small tree with secrets of several kinds below `dir`.
fn plant(dir: &Path) {
    fs::create_dir_all(dir.join("conf.d")).unwrap();
    for (name, content) in [
        ("app.toml", "port = 1\npassword = \"CANARY-toml\"\n"),
        ("conf.d/.env", "DB_PASSWORD='CANARY-env'\nDEBUG=1\n"),
        ("conf.d/plain.toml", "colour = \"blue\"\n"),
        ("tls.key", "-----BEGIN PRIVATE KEY-----\nCANARY-pem\n-----END PRIVATE KEY-----\n"),
        ("notes", "remember: CANARY-notes\n"),
        ("empty", ""),
    ] {
        fs::write(dir.join(name), content).unwrap();
    }
    symlink("conf.d/.env", dir.join("link")).unwrap();
    fs::set_permissions(dir.join("tls.key"), PermissionsExt::from_mode(0o400)).unwrap();
    sh(dir, "touch -d '2020-02-03 04:05:06.789012345' app.toml; chown 65534:65534 tls.key");
    sh(dir, "touch -d '2021-02-03 04:05:06' conf.d; touch -h -d '2019-01-01' link");
}

/// Both trees have the same names, contents, modes, owners and times.
#[track_caller]
fn assert_same(one: &Path, other: &Path) {
    let list = "find . -mindepth 1 -printf '%y %#m %U:%G %T@ %l %P\\n' | sort; \
                find . -type f | sort | xargs sha256sum";
    assert_eq!(sh(one, list), sh(other, list));
}

#[test]
fn rsync_copies_in_and_out() {
    need("rsync");
    let mut fixture = Fixture::apart();
    let dir = fixture.dir().to_owned();
    fixture.mount();
    let (mnt, here) = (fixture.mnt(), dir.join("here"));
    plant(&here);
    sh(&dir, "rsync -aHAX here/ mnt/");
    assert_same(&here, &mnt);
    // It goes by size and time, then by content: no reason to send anything again.
    assert_eq!(sh(&dir, "rsync -aHAXi here/ mnt/; rsync -aHAXci here/ mnt/"), "");
    assert!(fixture.stored("conf.d/.env").starts_with("DB_PASSWORD=ENC:v1:"));

    // A change goes by a temporary name beside the old file, in place, or with the old one kept.
    for (how, old, new) in
        [("", "toml", "rename"), ("--inplace", "rename", "place"), ("--backup", "place", "backup")]
    {
        sh(&here, &format!("sed -i s/CANARY-{old}/CANARY-{new}/ app.toml"));
        sh(&dir, &format!("rsync -a --no-whole-file {how} here/app.toml mnt/"));
        assert_eq!(fixture.seen("app.toml"), format!("port = 1\npassword = \"CANARY-{new}\"\n"));
        assert!(fixture.stored("app.toml").starts_with("port = 1\npassword = \"ENC:v1:"), "{how}");
    }
    assert!(fixture.seen("app.toml~").contains("CANARY-place"));
    // What was taken away goes away.
    fs::remove_file(here.join("notes")).unwrap();
    sh(&dir, "rsync -a --delete here/ mnt/");
    assert_same(&here, &mnt);

    sh(&dir, "rsync -aHAX mnt/ out/");
    assert_same(&mnt, &dir.join("out"));
    assert_eq!(sh(&dir, "rsync -aHAXci mnt/ out/"), "");
    finish(fixture, &["CANARY"]);
}

#[test]
fn tar_packs_and_unpacks() {
    need("tar");
    let mut fixture = Fixture::apart();
    let dir = fixture.dir().to_owned();
    fixture.mount();
    let (mnt, here) = (fixture.mnt(), dir.join("here"));
    plant(&here);
    sh(&dir, "tar --format=posix -cf in.tar -C here . && tar -xpf in.tar -C mnt");
    assert_same(&here, &mnt);
    assert_eq!(sh(&dir, "tar --compare -f in.tar -C mnt 2>&1"), "");
    // Over what is there: renewed, written over, unlinked first.
    for how in ["", "--overwrite", "--recursive-unlink"] {
        sh(&dir, &format!("tar -xpf in.tar -C mnt {how}"));
        assert_same(&here, &mnt);
    }
    sh(&dir, "mkdir out; tar --format=posix -cf out.tar -C mnt . && tar -xpf out.tar -C out");
    assert_same(&mnt, &dir.join("out"));
    for sealed in ["app.toml", "conf.d/.env", "tls.key", "notes"] {
        assert!(fixture.stored(sealed).contains("ENC:"), "{sealed}");
    }
    assert_eq!(fixture.stored("conf.d/plain.toml"), "colour = \"blue\"\n");
    finish(fixture, &["CANARY"]);
}
