//! A live directory is adopted, finished, and given back, under a program that reads and writes it
//! all the time.

use std::path::Path;
use std::process::{Child, Stdio};

use crate::machine::{Machine, put_at};
use crate::shop::SERVICE;

/// Secrets of the directory. Each stands in it once, and nowhere else.
const CANARIES: [&str; 3] = ["canary-hunter2", "canary-s3cr3t", "canary-envvar"];

/// What a program does with its configuration: reads it, checks it, saves its own state in each of the
/// usual ways. It ends when it is told to, and says what it saw amiss.
const PROGRAM: &str = r#"
import os
rounds, amiss = 0, []
path = '/etc/shop/'
while not os.path.exists('/run/stop'):
    rounds += 1
    try:
        text = open(path + 'app.toml').read()
        if 'ENC:' in text or 'canary-hunter2' not in text:
            amiss.append(text)
        if 'canary-envvar' not in open(path + 'conf.d/.env').read():
            amiss.append('.env: ' + open(path + 'conf.d/.env').read())
        for name in ['state.toml', 'again.toml']:
            line = 'token = "canary-state-%d"\n' % rounds
            with open(path + name + '.new', 'w') as file:
                file.write(line)
            try:
                os.rename(path + name + '.new', path + name)
            except OSError as error:
                # One name was looked up before the mount came or went, the other after: as with
                # any mount. `mv` would copy.
                if error.errno != 18:
                    raise
                os.rename(path + name + '.new', path + name)
            if open(path + name).read() != line:
                amiss.append(name)
        with open(path + 'inplace.toml', 'w') as file:
            file.write('token = "canary-inplace-%d"\n' % rounds)
        if open(path + 'inplace.toml').read() != 'token = "canary-inplace-%d"\n' % rounds:
            amiss.append('inplace')
    except OSError as error:
        amiss.append(str(error))
    if rounds == 20:
        open('/run/warm', 'w')
print(rounds, amiss)
"#;

/// Runs a verb, which is killed as soon as it says that a step is done.
const CUT: &str = r#"
import os, signal, subprocess, sys
child = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, text=True)
for text in child.stdout:
    if text.startswith(sys.argv[1]):
        child.send_signal(signal.SIGKILL)
        break
print(child.wait())
"#;

/// Runs a verb that may say so many bytes and no more, and is killed then: it waits at the end of the
/// next step if it gets there.
const CUT_AFTER: &str = r#"
import fcntl, os, struct, subprocess, sys, termios, time
reader, writer = os.pipe()
size = fcntl.fcntl(writer, 1031, 4096)
os.write(writer, b'.' * (size - int(sys.argv[1])))
child = subprocess.Popen(sys.argv[2:], stdout=writer)
said = lambda: struct.unpack('i', fcntl.ioctl(reader, termios.FIONREAD, bytes(4)))[0]
while said() < size and child.poll() is None:
    time.sleep(0.001)
child.kill()
print(child.wait())
"#;

fn put_directory(root: &Path) {
    let app = "title = \"shop\"\n[database]\npassword = \"canary-hunter2\"\n\
               url = \"postgres://app:canary-s3cr3t@db1/shop\"\n";
    put_at(root, "/etc/shop/app.toml", app, 0o640);
    put_at(root, "/etc/shop/conf.d/.env", "DB_PASSWORD=canary-envvar\n", 0o600);
    put_at(root, "/etc/shop/README", "nothing to hide\n", 0o644);
    put_at(root, "/root/program.py", PROGRAM, 0o644);
}

/// A machine with a directory that its program is at work in.
fn busy() -> (Machine, Child) {
    let machine = Machine::boot(put_directory);
    machine.sh(
        "touch -d '2024-01-02 03:04:05' /etc/shop/app.toml; chown daemon:daemon /etc/shop/app.toml
         ln /etc/shop/conf.d/.env /etc/shop/conf.d/hard.env",
    );
    let program = work(&machine);
    (machine, program)
}

fn work(machine: &Machine) -> Child {
    machine.sh("rm -f /run/stop /run/warm");
    let mut program = machine.enter(&["python3", "/root/program.py"]);
    let program = program.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("python3");
    machine.wait_until("the program is at work", || exists(machine, "/run/warm"));
    program
}

/// The program ends, and has seen nothing amiss.
fn rest(machine: &Machine, program: Child) {
    machine.sh("touch /run/stop");
    let said = program.wait_with_output().expect("it ends");
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.trim_end().ends_with("[]"), "{said}\n{}", machine.story());
}

fn exists(machine: &Machine, path: &str) -> bool {
    machine.run(&["test", "-e", path]).status.success()
}

/// Attributes and content of the files, as programs see them.
fn seen(machine: &Machine) -> String {
    machine.sh("cd /etc/shop; for f in app.toml conf.d/.env conf.d/hard.env README; do
         stat -c '%n %a %U %G %s %y %h' $f; cat $f; done; stat -c '%a %U' . conf.d")
}

/// No secret lies anywhere but in the mount and the memory of programs.
fn assert_no_canaries(machine: &Machine, store: &str) {
    machine.ok(&["journalctl", "--sync"]);
    for canary in CANARIES.iter().chain(&["canary-state", "canary-inplace"]) {
        let places = format!("{store} /etc/confseal /etc/credstore.encrypted /var/lib/confseal");
        let found = machine.sh(&format!("grep -rl {canary} {places} /run/log/journal || true"));
        assert_eq!(found, "", "{canary}");
    }
}

/// Nothing is left of confseal but the trail.
fn assert_no_traces(machine: &Machine) {
    let left = machine.sh(
        "for p in /etc/confseal/shop.toml /etc/credstore.encrypted/confseal.shop.master \
             /run/confseal/shop /etc/shop/.confseal /etc/shop.sealed; do
         test ! -e $p || ls -ld $p; done
         find /var/lib/confseal/shop -mindepth 1 ! -name audit
         grep fuse.confseal /proc/mounts || true; grep -rl ENC: /etc/shop || true
         find /etc/systemd/system -name 'confseal@shop*'; lsattr -d /etc/shop | grep i-- || true",
    );
    assert_eq!(left.trim(), "", "{}", machine.story());
    assert_ne!(machine.property(SERVICE, "ActiveState"), "active");
}

/// Action and outcome of the first and the last record.
fn recorded(machine: &Machine) -> [String; 2] {
    let text = machine.ok(&["cat", "/var/lib/confseal/shop/audit"]);
    let of = |line: Option<&str>| {
        let record: serde_json::Value = serde_json::from_str(line.unwrap()).expect("JSON");
        let word = |name: &str| record[name].as_str().expect(name).to_owned();
        format!("{} {}", word("action"), word("outcome"))
    };
    [of(text.lines().next()), of(text.lines().last())]
}

#[test]
fn a_directory_is_adopted_and_given_back_under_a_program_that_never_sees_a_token() {
    let (machine, program) = busy();
    let before = seen(&machine);
    let shown = machine.ok(&["confseal", "adopt", "/etc/shop", "--dry-run"]);
    for part in ["database.password", "/etc/credstore.encrypted/confseal.shop.master", SERVICE] {
        assert!(shown.contains(part), "{part} is missing in {shown}");
    }
    assert!(!exists(&machine, "/etc/shop/.confseal") && !exists(&machine, "/etc/confseal"));

    let told =
        machine.ok(&["confseal", "adopt", "/etc/shop", "--yes", "--escrow", "/root/escrow.key"]);
    for part in ["/etc/shop/app.toml: database.password", "/etc/shop/conf.d/.env: DB_PASSWORD"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert!(!CANARIES.iter().any(|canary| told.contains(canary)), "{told}");
    assert_eq!(machine.property(SERVICE, "ActiveState"), "active");
    assert_eq!(machine.property(SERVICE, "UnitFileState"), "enabled");
    assert_eq!(seen(&machine), before);
    assert_no_canaries(&machine, "/run/confseal/shop/store");
    let stored = machine.ok(&["cat", "/run/confseal/shop/store/app.toml"]);
    assert!(stored.contains("password = \"ENC:v1:"), "{stored}");
    // The copy opens everything.
    let verify = ["confseal", "verify", "--key", "file:/root/escrow.key"];
    machine.ok(&[&verify[..], &["/run/confseal/shop/store"]].concat());

    // Done again, it finds nothing to do, and says the same.
    let again = machine.ok(&["confseal", "adopt", "/etc/shop", "--yes"]);
    assert!(again.contains("/etc/shop/app.toml: database.password"), "{again}");

    let shown = machine.ok(&["confseal", "eject", "/etc/shop", "--dry-run"]);
    assert!(shown.contains("lay open"), "{shown}");
    assert_eq!(recorded(&machine), ["adopt begun", "adopt done"]);
    machine.ok(&["confseal", "eject", "/etc/shop", "--yes"]);
    rest(&machine, program);
    assert_eq!(seen(&machine), before);
    assert_no_traces(&machine);
    assert_eq!(recorded(&machine), ["adopt begun", "eject done"]);
}

#[test]
fn an_adoption_that_is_cut_off_anywhere_is_repeated_to_the_same_end() {
    let (machine, program) = busy();
    let before = seen(&machine);
    // Each step says that it is done: there it ends.
    let steps = [
        "wrote /etc/shop/.confseal/policy.toml",
        "made a key and kept it",
        "wrote a copy of the key",
        "wrote /etc/confseal/shop.toml",
        "started confseal@shop.service",
    ];
    machine.put("/root/cut.py", CUT, 0o644);
    // A kill that comes late ends it in a later step, whose own turn then finds nothing to do.
    let mut cut = 0;
    let adopt = ["confseal", "adopt", "/etc/shop", "--yes", "--escrow", "/root/escrow.key"];
    for step in steps {
        let ended = machine.ok(&[&["python3", "/root/cut.py", step], &adopt[..]].concat());
        assert!(ended == "-9" || ended == "0", "{step}: {ended}");
        cut += usize::from(ended == "-9");
        assert_eq!(seen(&machine), before, "{step}");
    }
    assert!(cut >= 2, "it was cut off {cut} times\n{}", machine.story());
    machine.ok(&adopt);
    assert_eq!(seen(&machine), before);
    assert_no_canaries(&machine, "/run/confseal/shop/store");
    rest(&machine, program);
    let fingerprint = machine.ok(&["confseal", "key", "fingerprint", "/root/escrow.key"]);
    assert_eq!(machine.ok(&["cat", "/etc/shop/.confseal/fingerprint"]), fingerprint);
}

#[test]
fn a_finished_directory_has_its_store_beside_and_is_given_back_whole() {
    let (machine, program) = busy();
    let before = seen(&machine);
    machine.ok(&["confseal", "adopt", "/etc/shop", "--yes"]);
    // Not under a program's feet.
    let mut user =
        machine.enter(&["sh", "-c", "exec 3< /etc/shop/app.toml; touch /run/held; read _"]);
    let mut user = user.stdin(Stdio::piped()).spawn().expect("a shell");
    machine.wait_until("the file is open", || exists(&machine, "/run/held"));
    let refused = machine.run(&["confseal", "adopt", "--finish", "/etc/shop", "--yes"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("(sh)"), "{told}");
    drop(user.stdin.take());
    user.wait().expect("it ends");
    rest(&machine, program);

    machine.ok(&["confseal", "adopt", "--finish", "/etc/shop", "--yes"]);
    assert_eq!(seen(&machine), before);
    assert_no_canaries(&machine, "/etc/shop.sealed");
    let again = machine.ok(&["confseal", "adopt", "--finish", "/etc/shop", "--yes"]);
    assert!(again.contains("finished already"), "{again}");
    machine.ok(&["systemctl", "stop", SERVICE]);
    assert_eq!(machine.sh("ls -A /etc/shop; stat -c '%a %U' /etc/shop"), "755 root");
    // What was accepted of the store went along: it is not taken for a new one.
    assert_eq!(machine.ok(&["cat", "/var/lib/confseal/shop/store"]), "/etc/shop.sealed");
    machine.ok(&["systemctl", "start", SERVICE]);
    assert_eq!(seen(&machine), before);

    let program = work(&machine);
    machine.ok(&["confseal", "eject", "/etc/shop", "--yes"]);
    rest(&machine, program);
    assert_eq!(seen(&machine), before);
    assert_no_traces(&machine);
}

#[test]
fn what_cannot_be_opened_is_not_given_back_and_nothing_is_touched() {
    let machine = Machine::boot(put_directory);
    machine.ok(&["confseal", "adopt", "/etc/shop", "--yes"]);
    machine.sh("cd /run/confseal/shop/store
         sed -i 's/\\(ENC:v1:........\\):./\\1:Q/' conf.d/.env; cp -a . /root/as-it-was");
    for arguments in [&["--dry-run"][..], &["--yes"]] {
        let refused = machine.run(&[&["confseal", "eject", "/etc/shop"], arguments].concat());
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && told.contains("conf.d/.env"), "{told}");
    }
    machine.ok(&["diff", "-r", "-x", "lock", "/root/as-it-was", "/run/confseal/shop/store"]);
    assert_eq!(machine.property(SERVICE, "ActiveState"), "active");
    assert!(machine.ok(&["cat", "/etc/shop/app.toml"]).contains("canary-hunter2"));
}

#[test]
fn a_finish_and_an_eject_that_are_cut_off_anywhere_are_repeated_to_the_same_end() {
    let machine = Machine::boot(put_directory);
    machine.sh("ln /etc/shop/conf.d/.env /etc/shop/conf.d/hard.env");
    let before = seen(&machine);
    machine.ok(&["confseal", "adopt", "/etc/shop", "--yes"]);
    machine.put("/root/cut.py", CUT_AFTER, 0o644);
    let finish = ["confseal", "adopt", "--finish", "/etc/shop", "--yes"];
    let eject = ["confseal", "eject", "/etc/shop", "--yes"];
    // What each says when nothing gets in its way.
    let said = [&finish[..], &eject].map(|verb| machine.ok(verb) + "\n");
    let steps = |said: &str| said.match_indices('\n').map(|(at, _)| at + 1).collect::<Vec<_>>();
    let first = |said: &str, word: &str| said[..said.find(word).expect(word)].lines().count();
    let [of_finish, of_eject] = said.each_ref().map(|said| steps(said));
    let cut_off = |verb: &[&str], room: usize| {
        let ended = machine.ok(&[&["python3", "/root/cut.py", &room.to_string()], verb].concat());
        assert_eq!(ended, "-9", "{verb:?} {room}\n{}", machine.story());
    };
    // The steps that systemd has a part in; tests/mount/adopting.rs has them all.
    let begin = first(&said[1], "laid open");
    for round in 0..4 {
        machine.ok(&["confseal", "adopt", "/etc/shop", "--yes"]);
        cut_off(&finish, of_finish[round]);
        machine.ok(&finish);
        assert_eq!(seen(&machine), before);
        assert_no_canaries(&machine, "/etc/shop.sealed");
        assert_eq!(machine.property(SERVICE, "UnitFileState"), "enabled");
        cut_off(&eject, of_eject[begin - 1 + round]);
        assert_eq!(seen(&machine), before);
        machine.ok(&eject);
        assert_eq!(seen(&machine), before);
        assert_no_traces(&machine);
    }
}

#[test]
fn a_kept_version_is_opened_with_a_legacy_key_of_the_credstore() {
    let machine = Machine::boot(put_directory);
    machine.ok(&["confseal", "adopt", "/etc/shop", "--yes"]);
    // Under a program that has the file open, somebody writes it in the store.
    let script = "
mine = open('/etc/shop/app.toml', 'a')
mine.write('mine = 1\\n')
mine.flush()
open('/run/confseal/shop/store/app.toml', 'w').write('password = \"canary-kept\"\\n')
mine.close()";
    machine.ok(&["python3", "-c", script]);
    assert!(exists(&machine, "/run/confseal/shop/store/.confseal/kept"));
    // Another master key; the old one is a legacy key in the credstore.
    machine.sh(
        "cd /etc/credstore.encrypted; umask 077; mkdir -p /etc/credstore
         systemd-creds decrypt --name=confseal.shop.master confseal.shop.master /etc/credstore/confseal.shop.old
         confseal key new /root/new.key
         systemd-creds encrypt --name=confseal.shop.master /root/new.key confseal.shop.new
         mv confseal.shop.new confseal.shop.master; rm /root/new.key
         echo 'legacy = [\"credential:confseal.shop.old\"]' >> /etc/confseal/shop.toml
         mkdir -p /run/systemd/system/confseal@shop.service.d
         printf '[Service]\\nLoadCredential=confseal.shop.old\\n' \
             > /run/systemd/system/confseal@shop.service.d/old.conf  # by itself from systemd 254 on
         systemctl daemon-reload; systemctl restart confseal@shop",
    );
    let refused = machine.run(&["confseal", "eject", "/etc/shop", "--yes"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("--kept DIR"), "{told}");
    machine.ok(&["confseal", "eject", "/etc/shop", "--yes", "--kept", "/root/kept"]);
    assert_eq!(machine.sh("cat /root/kept/app.toml.*"), "password = \"canary-kept\"");
    assert!(machine.ok(&["cat", "/etc/shop/app.toml"]).contains("mine = 1"));
    assert_no_traces(&machine);
}

#[test]
fn a_writer_is_waited_for_and_programs_that_need_the_mount_go_on() {
    let machine = Machine::boot(put_directory);
    let app = "[Unit]\nPartOf=confseal-apps@shop.target\n[Service]\nExecStart=sleep infinity\n";
    machine.put("/etc/systemd/system/app.service", app, 0o644);
    machine.sh("systemctl daemon-reload; systemctl start app");
    let hold = || {
        machine.sh("rm -f /run/held");
        let script = "exec 3>> /etc/shop/app.toml; touch /run/held; read _";
        let mut writer = machine.enter(&["sh", "-c", script]);
        let writer = writer.stdin(Stdio::piped()).spawn().expect("a shell");
        machine.wait_until("the file is open", || exists(&machine, "/run/held"));
        writer
    };
    let let_go = |mut writer: Child| {
        drop(writer.stdin.take());
        writer.wait().expect("it ends");
    };
    let writer = hold();
    let mut adopt = machine.enter(&["confseal", "adopt", "/etc/shop", "--yes"]);
    let mut adopt = adopt.stdout(Stdio::null()).spawn().expect("confseal");
    machine.wait_until("the instance is there", || exists(&machine, "/etc/confseal/shop.toml"));
    // Before the service is started at all.
    assert_eq!(machine.property(SERVICE, "ActiveState"), "inactive");
    let_go(writer);
    assert!(adopt.wait().expect("it ends").success(), "{}", machine.story());
    assert_eq!(machine.property(SERVICE, "ActiveState"), "active");

    // The service itself waits, too, for whoever comes in between.
    machine.sh("systemctl stop confseal@shop; systemctl start app");
    let writer = hold();
    machine.ok(&["systemctl", "start", "--no-block", SERVICE]);
    machine.wait_until("it says whom it waits for", || {
        machine.property(SERVICE, "StatusText").contains("not mounted yet: process")
    });
    let_go(writer);
    machine.wait_until("it stands", || machine.property(SERVICE, "ActiveState") == "active");
    assert_eq!(machine.property(SERVICE, "NRestarts"), "0");
    // What stops programs when the service has failed never ran.
    let gone = machine.property("confseal-gone@shop.service", "InactiveExitTimestampMonotonic");
    assert_eq!((&*gone, &*machine.property("app.service", "ActiveState")), ("0", "active"));
    assert!(machine.ok(&["cat", "/etc/shop/app.toml"]).contains("canary-hunter2"));
}
