//! What of the daemon can be seen from outside: no key, and no way into its own mount.

use std::fs;
use std::path::Path;

use crate::support::{FIRST, Fixture, holds};

/// A file of `/proc/PID/`, as bytes.
fn proc(fixture: &Fixture, name: &str) -> Vec<u8> {
    fs::read(format!("/proc/{}/{name}", fixture.pid())).expect(name)
}

/// The number after `name:` in `/proc/PID/status`.
fn status(fixture: &Fixture, name: &str) -> u64 {
    let status = String::from_utf8(proc(fixture, "status")).expect("text");
    let line = status.lines().find(|line| line.starts_with(&format!("{name}:")));
    let value = line.and_then(|line| line.split_whitespace().nth(1)).expect(name);
    value.parse().expect("a number")
}

#[test]
fn a_key_from_a_variable_is_wiped_and_memory_stays_out_of_swap_and_dumps() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.variable("SHOP_KEY", FIRST).variable("SHOP_OTHER", "left-alone");
    let (store, mnt) = (fixture.store(), fixture.mnt());
    fixture.mount_with(&store, Some(&mnt), &["--key", "env:SHOP_KEY"]);
    fs::write(mnt.join("app.toml"), "password = \"CANARY\"\n").unwrap();
    let environment = proc(&fixture, "environ");
    assert!(holds(&environment, "left-alone"), "the environment can be seen");
    assert!(!holds(&environment, &FIRST[..16]), "the key is gone from it");
    assert!(!holds(&proc(&fixture, "cmdline"), &FIRST[..16]));
    assert!(status(&fixture, "VmLck") > 0, "memory is locked");
    let limits = String::from_utf8(proc(&fixture, "limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);

    // A reload takes the key from memory: the variable is not there a second time.
    let (done, answer) = fixture.control("reload");
    assert_eq!(done, Ok(()), "{answer}");
    assert_eq!(fixture.seen("app.toml"), "password = \"CANARY\"\n");
    assert!(!holds(fixture.log().as_bytes(), "CANARY"), "nor does the log say what is written");
    assert!(!holds(fixture.log().as_bytes(), &FIRST[..16]));
    fixture.umount();
}

#[test]
fn the_daemon_neither_holds_nor_sees_its_own_mount() {
    for over in [false, true] {
        crate::support::apart();
        let mut fixture = Fixture::new();
        let point = if over { fixture.store() } else { fixture.mnt() };
        if over {
            fixture.mount_over();
        } else {
            fixture.mount();
        }
        fs::write(point.join("app.toml"), "password = \"CANARY\"\n").unwrap();
        let name = point.to_str().unwrap().to_owned();
        let mount = |table: &[u8]| {
            let table = String::from_utf8_lossy(table).into_owned();
            table.lines().filter(|line| line.split(' ').nth(4) == Some(&name)).count()
        };
        assert_eq!(mount(&fs::read("/proc/thread-self/mountinfo").unwrap()), 1);
        assert_eq!(mount(&proc(&fixture, "mountinfo")), 0, "its namespace is without it");
        let ours = fs::read_link("/proc/thread-self/ns/mnt").unwrap();
        let its = fs::read_link(format!("/proc/{}/ns/mnt", fixture.pid())).unwrap();
        assert_ne!(ours, its);

        let device = device_of(&point);
        for entry in fs::read_dir(format!("/proc/{}/fd", fixture.pid())).unwrap() {
            let file = entry.unwrap().path();
            assert_ne!(device_of(&file), device, "{:?} is in the mount", fs::read_link(&file));
        }
        // Over the store, root has another way to it meanwhile.
        assert_eq!(crate::mounts_of(&fixture).len(), 1 + usize::from(over));
        fixture.umount();
        assert_eq!(crate::mounts_of(&fixture), Vec::<String>::new());
    }
}

fn device_of(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|metadata| metadata.dev())
}
