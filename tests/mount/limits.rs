//! What the mount does not open: version control, and sealed files that are too large.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;

use crate::calls::{errno, mounted, names, shell};
use crate::support::{Fixture, sh};

/// Above `max_view`, 64 MiB.
const LARGE: u64 = 70 << 20;

#[test]
fn a_large_plain_file_goes_through_to_the_store() {
    let mut fixture = Fixture::new();
    fixture.put("README", "x");
    File::create(fixture.store().join("README")).unwrap().set_len(LARGE).unwrap();
    fixture.mount();
    let path = fixture.mnt().join("README");
    let mut file = OpenOptions::new().read(true).append(true).open(&path).unwrap();
    file.write_all(b"the end").unwrap();
    let mut end = [9; 10];
    file.read_exact_at(&mut end, LARGE - 3).unwrap();
    assert_eq!(&end, b"\0\0\0the end");
    assert_eq!(fs::metadata(&path).unwrap().len(), LARGE + 7);
    file.sync_all().unwrap();
    drop(file);
    // Changed behind the mount, in place.
    let store = OpenOptions::new().write(true).open(fixture.store().join("README")).unwrap();
    store.write_all_at(b"THE", LARGE).unwrap();
    File::open(&path).unwrap().read_exact_at(&mut end, LARGE - 3).unwrap();
    assert_eq!(&end, b"\0\0\0THE end");
    sh(&fixture.mnt(), "truncate -s 5 README; echo small > README");
    assert_eq!(fixture.seen("README"), "small\n");
    assert_eq!(fixture.stored("README"), "small\n");
}

#[test]
fn a_plain_file_may_outgrow_memory() {
    let mut fixture = Fixture::new();
    fixture.put("README", "start\n").mount();
    let file = OpenOptions::new().write(true).open(fixture.mnt().join("README")).unwrap();
    file.write_all_at(b"far out", LARGE).unwrap();
    file.set_len(LARGE + 3).unwrap();
    drop(file);
    let stored = File::open(fixture.store().join("README")).unwrap();
    assert_eq!(stored.metadata().unwrap().len(), LARGE + 3);
    let mut piece = [0; 3];
    stored.read_exact_at(&mut piece, LARGE).unwrap();
    assert_eq!(&piece, b"far");
}

#[test]
fn a_sealed_file_does_not_outgrow_memory() {
    let fixture = mounted();
    let path = fixture.mnt().join("app.toml");
    fs::write(&path, "password = \"hunter2-hunter2\"\n").unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    assert_eq!(errno(file.write_all_at(b"x", LARGE)), Err(libc::EFBIG));
    assert_eq!(errno(file.set_len(LARGE)), Err(libc::EFBIG));
    drop(file);
    assert_eq!(fixture.seen("app.toml"), "password = \"hunter2-hunter2\"\n");
}

/// It may be anything, so it is sealed whole, and all of it at once: the operator is told.
#[test]
fn a_new_file_of_an_unknown_name_does_not_outgrow_memory() {
    let fixture = mounted();
    let file = File::create(fixture.mnt().join("dump")).unwrap();
    file.write_all_at(b"hunter2-hunter2", 0).unwrap();
    for _ in 0..2 {
        assert_eq!(errno(file.write_all_at(b"x", LARGE)), Err(libc::EFBIG));
    }
    let reason = "not grown beyond 64 MiB (max_view): it is sealed, as no rule knows its name \
                  (`seal = \"none\"` in a rule leaves it plain)";
    let told = format!("confseal: warning: dump: {reason}\n");
    assert_eq!(fixture.log().matches(&told).count(), 1, "{}", fixture.log());
    let status: serde_json::Value =
        serde_json::from_str(&fixture.seen(".confseal/status")).unwrap();
    assert_eq!(status["trouble"][0]["reason"], reason);
    // What it has is saved, and the next save ends the matter.
    file.write_all_at(b"!", 0).unwrap();
    file.sync_all().unwrap();
    let status: serde_json::Value =
        serde_json::from_str(&fixture.seen(".confseal/status")).unwrap();
    assert_eq!(status["trouble"], serde_json::json!([]));
    fixture.assert_sealed(&["unter2-hunter2"]);
}

#[test]
fn a_sealed_file_that_is_too_large_is_not_opened_but_can_be_dealt_with() {
    let mut fixture = Fixture::new();
    for name in ["a.toml", "b.toml"] {
        fixture.put(name, "");
        File::create(fixture.store().join(name)).unwrap().set_len(LARGE).unwrap();
    }
    fixture.mount();
    let mnt = fixture.mnt();
    for name in ["a.toml", "b.toml"] {
        assert_eq!(errno(File::open(mnt.join(name))), Err(libc::EFBIG));
        let told = format!("{name}: sealed, and larger than 64 MiB (max_view)");
        assert!(fixture.log().contains(&told), "{}", fixture.log());
        assert_eq!(fs::metadata(mnt.join(name)).unwrap().len(), LARGE);
    }
    assert_eq!(shell(&mnt, "mv a.toml c.toml; rm c.toml; echo x = 1 > n; mv n b.toml").0, Some(0));
    assert_eq!((names(&mnt), fixture.seen("b.toml")), (vec!["b.toml".into()], "x = 1\n".into()));
}

#[test]
fn more_directories_than_descriptors() {
    let mut fixture = Fixture::new();
    for n in 0..1500 {
        fs::create_dir_all(fixture.store().join(format!("d{n}"))).unwrap();
    }
    fixture.put("d1499/app.toml", "a = 1\n").mount();
    sh(fixture.dir(), &format!("prlimit --pid {} --nofile=400:400", fixture.pid()));
    assert_eq!(
        sh(&fixture.mnt(), "find . -type d | wc -l; find . -type f"),
        "1501\n./d1499/app.toml\n"
    );
}
