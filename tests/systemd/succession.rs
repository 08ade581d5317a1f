//! Restart, upgrade, kill -9: the store is never seen, and programs that open files by path notice a
//! short wait at most.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::machine::{Machine, put_at};
use crate::shop::{SECRET, seal};
use crate::support::{CONFSEAL, FIRST};

/// An instance that is mounted over its own store: there is nothing beneath to hide it.
const SERVICE: &str = "confseal@own.service";
const STORE: &str = "/srv/own";

/// How often a daemon is killed under load.
const KILLS: u64 = 4;

/// A program that reads a file again and again by its path, and counts what it meets.
const READER: &str = r#"
import json, os, signal, sys
path, told, ended = sys.argv[1], sys.argv[2], []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
met = {"rounds": 0, "tokens": 0, "torn": 0, "errors": {}}
def attempt(name, call):
    try:
        return call()
    except OSError as error:
        key = f"{name}: {error.strerror}"
        met["errors"][key] = met["errors"].get(key, 0) + 1
def tell():
    with open(told + ".new", "w") as out:
        json.dump(met, out)
    os.rename(told + ".new", told)
while not ended:
    attempt("stat", lambda: os.stat(path))
    attempt("access", lambda: os.access(path, os.R_OK))
    attempt("list", lambda: os.listdir(os.path.dirname(path)))
    fd = attempt("open", lambda: os.open(path, os.O_RDONLY))
    if fd is not None:
        text = attempt("read", lambda: os.read(fd, 4096))
        attempt("close", lambda: os.close(fd))
        if text is not None:
            met["tokens"] += b"ENC:" in text
            met["torn"] += not (text.startswith(b"begin = ") and text.endswith(b"end = 1\n"))
    met["rounds"] += 1
    if met["rounds"] % 20 == 0:
        tell()
tell()
"#;

/// A program that saves a file again and again: beside it, then over it. What fails is done anew.
const SAVER: &str = r#"
import json, os, signal, sys
path, told, ended = sys.argv[1], sys.argv[2], []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
met = {"rounds": 0, "errors": {}}
def save(number):
    text = f'begin = {number}\npassword = "canary-hunter2-{number}"\nend = 1\n'
    fd = os.open(path + "~", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        os.write(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(path + "~", path)
while not ended:
    try:
        save(met["rounds"])
        met["rounds"] += 1
    except OSError as error:
        met["errors"][error.strerror] = met["errors"].get(error.strerror, 0) + 1
    with open(told + ".new", "w") as out:
        json.dump(met, out)
    os.rename(told + ".new", told)
"#;

fn put_own(root: &Path) {
    let text = format!("begin = 0\npassword = \"{SECRET}\"\nend = 1\n");
    put_at(root, &format!("{STORE}/app.toml"), text, 0o640);
    seal(root, "srv/own", FIRST);
    put_at(root, "/etc/confseal/own.key", FIRST, 0o600);
    let text = "store = '/srv/own'\n[keys]\nmaster = 'file:/etc/confseal/own.key'\n";
    put_at(root, "/etc/confseal/own.toml", text, 0o644);
    put_at(root, "/usr/local/bin/reader.py", READER, 0o644);
    put_at(root, "/usr/local/bin/saver.py", SAVER, 0o644);
}

/// One of the programs above, at work on `app.toml`.
struct Load<'a> {
    machine: &'a Machine,
    name: &'static str,
}

impl<'a> Load<'a> {
    fn start(machine: &'a Machine, name: &'static str) -> Self {
        let unit = format!("--unit={name}");
        let (script, told) = (format!("/usr/local/bin/{name}.py"), format!("/run/{name}.json"));
        let run = ["systemd-run", "--quiet", &unit, "python3", &script];
        machine.ok(&[&run[..], &["/srv/own/app.toml", &told]].concat());
        let load = Self { machine, name };
        load.goes_on();
        load
    }

    fn met(&self) -> Value {
        let told = self.machine.run(&["cat", &format!("/run/{}.json", self.name)]);
        serde_json::from_slice(&told.stdout).unwrap_or_default()
    }

    /// Waits until it has gone round a few times from now on.
    fn goes_on(&self) {
        let rounds = |met: Value| met["rounds"].as_u64().unwrap_or(0);
        let before = rounds(self.met());
        self.machine.wait_until(&format!("the {} goes on", self.name), || {
            rounds(self.met()) >= before + 40
        });
    }

    /// What it met until now, when it has been stopped.
    fn stop(self) -> Value {
        self.machine.ok(&["systemctl", "stop", &format!("{}.service", self.name)]);
        self.met()
    }
}

/// How many mounts stand over the store.
fn mounts(machine: &Machine) -> usize {
    let table = machine.ok(&["cat", "/proc/1/mounts"]);
    table.lines().filter(|line| line.split(' ').nth(1) == Some(STORE)).count()
}

/// Nothing is left of the service but the store.
fn assert_gone(machine: &Machine) {
    assert_eq!(mounts(machine), 0, "{}", machine.story());
    let table = machine.ok(&["cat", "/proc/1/mounts"]);
    assert!(!table.contains("/run/confseal"), "{table}");
    assert!(machine.ok(&["cat", "/srv/own/app.toml"]).contains("ENC:v1:"));
}

fn main_pid(machine: &Machine) -> String {
    machine.property(SERVICE, "MainPID")
}

#[test]
fn a_restart_and_an_upgrade_under_load_are_not_noticed() {
    let machine = Machine::boot(put_own);
    machine.start(SERVICE);
    let (reader, saver) = (Load::start(&machine, "reader"), Load::start(&machine, "saver"));
    for verb in ["restart", "try-restart", "reload-or-restart"] {
        let before = main_pid(&machine);
        let done = machine.systemctl(&[verb, SERVICE]);
        assert!(done.status.success(), "{verb}: {}", machine.story());
        assert_eq!(main_pid(&machine) != before, verb != "reload-or-restart", "{verb}");
        reader.goes_on();
        saver.goes_on();
    }

    // As a package does it: the program is replaced, and then the service is restarted.
    let version = env!("CARGO_PKG_VERSION");
    let next = version.replace('0', "9");
    let mut program = fs::read(CONFSEAL).expect("the program");
    let places: Vec<_> = find_all(&program, version.as_bytes());
    for at in places {
        program[at..at + version.len()].copy_from_slice(next.as_bytes());
    }
    machine.put("/usr/bin/confseal.dpkg-new", program, 0o755);
    machine.ok(&["mv", "/usr/bin/confseal.dpkg-new", "/usr/bin/confseal"]);
    let told = || machine.ok(&["cat", "/srv/own/.confseal/status"]);
    assert!(told().contains(&format!("\"version\": \"{version}\"")), "{}", told());
    machine.ok(&["systemctl", "restart", SERVICE]);
    assert!(told().contains(&format!("\"version\": \"{next}\"")), "{}", told());
    reader.goes_on();
    saver.goes_on();

    assert_eq!(saver.stop()["errors"].to_string(), "{}", "{}", machine.story());
    let met = reader.stop();
    let noticed = (met["tokens"].as_u64(), met["torn"].as_u64(), met["errors"].to_string());
    assert_eq!(noticed, (Some(0), Some(0), "{}".to_owned()), "{met}\n{}", machine.story());
    assert_eq!(mounts(&machine), 1);
    assert_eq!(machine.property(SERVICE, "NRestarts"), "0");
    machine.wait_until("old connections are let go of", || {
        machine.property(SERVICE, "NFileDescriptorStore") == "1"
    });
    machine.ok(&["systemctl", "stop", SERVICE]);
    assert_gone(&machine);
}

#[test]
fn a_daemon_killed_under_load_never_uncovers_the_store() {
    let machine = Machine::boot(put_own);
    machine.start(SERVICE);
    let (reader, saver) = (Load::start(&machine, "reader"), Load::start(&machine, "saver"));
    for _ in 0..KILLS {
        let before = main_pid(&machine);
        machine.ok(&["systemctl", "kill", "--signal=KILL", "--kill-who=main", SERVICE]);
        machine.wait_for_another(SERVICE, &before);
        reader.goes_on();
        saver.goes_on();
        // Four in a short time are not what the limit is for.
        machine.ok(&["systemctl", "reset-failed", SERVICE]);
    }
    // A save that was under way may fail, and is whole all the same: the old one or the new one.
    let saved = saver.stop();
    let met = reader.stop();
    assert_eq!((&met["tokens"], &met["torn"]), (&0.into(), &0.into()), "{met}");
    // What was being read of an open file or directory at that moment may fail, once for each kill at
    // most. What goes by path does not.
    let errors = met["errors"].as_object().expect("errors");
    let may_fail = ["read: Input/output error", "list: Stale file handle"];
    let only_those = errors.keys().all(|what| may_fail.contains(&what.as_str()));
    let count: u64 = errors.values().filter_map(Value::as_u64).sum();
    assert!(only_those && count <= KILLS, "{met}\nsaver: {saved}\n{}", machine.story());

    assert_eq!(mounts(&machine), 1);
    machine.ok(&["systemctl", "stop", SERVICE]);
    assert_gone(&machine);
}

#[test]
fn a_restart_that_fails_leaves_an_error_and_not_the_store() {
    let machine = Machine::boot(put_own);
    machine.start(SERVICE);
    let reader = Load::start(&machine, "reader");
    machine.ok(&["mv", "/etc/confseal/own.key", "/root"]);
    assert!(!machine.systemctl(&["restart", SERVICE]).status.success());
    assert_eq!(machine.property(SERVICE, "ActiveState"), "failed");
    // Nobody is kept waiting.
    reader.goes_on();
    let seen = machine.run(&["cat", "/srv/own/app.toml"]);
    let said = String::from_utf8_lossy(&seen.stderr).into_owned();
    assert!(said.contains("not connected") && seen.stdout.is_empty(), "{said}");

    machine.ok(&["mv", "/root/own.key", "/etc/confseal"]);
    machine.start(SERVICE);
    assert!(machine.ok(&["cat", "/srv/own/app.toml"]).contains(SECRET));
    assert_eq!(mounts(&machine), 1);
    assert_eq!(reader.stop()["tokens"], 0);

    // Stopped between a crash and the next attempt: the dead mount stays until the next start.
    let slow = "[Service]\nRestartSec=1h\n";
    machine.put("/etc/systemd/system/confseal@own.service.d/slow.conf", slow, 0o644);
    machine.ok(&["systemctl", "daemon-reload"]);
    machine.ok(&["systemctl", "kill", "--signal=KILL", "--kill-who=main", SERVICE]);
    machine.wait_until("it is to be restarted", || {
        machine.property(SERVICE, "SubState") == "auto-restart"
    });
    machine.ok(&["systemctl", "stop", SERVICE]);
    assert!(!machine.run(&["cat", "/srv/own/app.toml"]).status.success());
    machine.start(SERVICE);
    assert!(machine.ok(&["cat", "/srv/own/app.toml"]).contains(SECRET));
    machine.ok(&["systemctl", "stop", SERVICE]);
    assert_gone(&machine);
}

/// The control: were the store uncovered for an instant, the reader would say so.
#[test]
fn a_stop_and_a_start_under_load_show_the_store() {
    let machine = Machine::boot(put_own);
    machine.start(SERVICE);
    let reader = Load::start(&machine, "reader");
    machine.ok(&["systemctl", "stop", SERVICE]);
    machine.ok(&["systemctl", "start", SERVICE]);
    reader.goes_on();
    assert!(reader.stop()["tokens"].as_u64() > Some(0));
}

fn find_all(bytes: &[u8], what: &[u8]) -> Vec<usize> {
    let places = bytes.windows(what.len()).enumerate();
    places.filter(|(_, window)| *window == what).map(|(at, _)| at).collect()
}
