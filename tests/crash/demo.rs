//! The demo plays to its end, and leaves nothing behind, also when it is interrupted.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{CONFSEAL, Fixture, text};

fn demo(fixture: &Fixture) -> Command {
    let mut demo = Command::new(CONFSEAL);
    demo.arg("demo").env("TMPDIR", fixture.store()).stdin(Stdio::null());
    demo
}

fn assert_nothing_left(fixture: &Fixture) {
    assert_eq!(fs::read_dir(fixture.store()).unwrap().count(), 0);
    assert!(fixture.mounted().is_empty());
}

#[test]
fn it_shows_the_main_job_and_cleans_up() {
    crate::support::apart();
    let fixture = Fixture::new();
    let done = demo(&fixture).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let shown = String::from_utf8_lossy(&done.stdout);
    for part in [
        "7 encrypted fields re-wrapped with the current master key\n0 still using legacy keys",
        "0 encrypted fields re-wrapped with the current master key\n0 still using legacy keys",
        "+api_token = \"ENC:v1:",
        "5 files, 7 encrypted fields, 0 files in trouble",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert_nothing_left(&fixture);
}

#[test]
fn interrupted_at_any_moment_it_cleans_up_too() {
    crate::support::apart();
    let fixture = Fixture::new();
    for after in [5, 15, 25, 40, 60, 90] {
        let mut child = demo(&fixture).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        let sent = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).output();
        assert!(sent.is_ok());
        child.wait().unwrap();
        assert_nothing_left(&fixture);
    }
}
