//! Before a store is covered: who has it open would go on seeing the sealed side.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::{Fixture, text};

/// A shell that does something in the store and stays.
struct Shell(Child);

impl Shell {
    fn doing(fixture: &Fixture, script: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{script}; echo; read _")])
            .current_dir(fixture.store())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        Self(child)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take()); // its read ends
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_that_may_write_to_the_store_refuses_the_mount_unless_forced() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.put("app.log", "started\n");
    let shell = Shell::doing(&fixture, "exec 3>>app.log; cd /");
    let (store, key) = (fixture.store(), fixture.source("master"));
    let done =
        fixture.confseal(["mount".as_ref(), store.as_os_str(), "--key".as_ref(), key.as_ref()]);
    assert_eq!(done.status.code(), Some(11), "{}", text(&done));
    let said = String::from_utf8_lossy(&done.stderr);
    let holder =
        format!("process {} (sh) may write {}", shell.0.id(), store.join("app.log").display());
    assert!(said.contains(&holder), "{said}");
    assert!(said.contains("--force"), "{said}");
    assert!(fixture.mounted().is_empty());

    // Beside the store nothing is covered.
    fixture.mount().umount();
    fixture.mount_with(&store, None, &["--force"]);
    assert!(fixture.log().contains(&format!("{holder} goes on seeing the sealed store")));
    fs::write(store.join("app.toml"), "password = \"CANARY\"\n").unwrap();
    fixture.umount();
    fixture.assert_sealed(&["CANARY"]);
    drop(shell);
    fixture.mount_over().umount();
}

#[test]
fn one_that_works_or_reads_there_is_only_warned_of() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.put("app.toml", "port = 1\n");
    let shell = Shell::doing(&fixture, "exec 3<app.toml");
    fixture.mount_over();
    let (log, pid) = (fixture.log(), shell.0.id());
    assert!(log.contains(&format!("process {pid} (sh) works in ")), "{log}");
    assert!(log.contains(&format!("process {pid} (sh) has open ")), "{log}");
    fixture.umount();
}
