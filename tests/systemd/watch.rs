//! A daemon that is killed, and one that is stuck.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::machine::{Machine, put_at};
use crate::shop::{SECRET, SERVICE, put_shop_with_key, secret, start};

/// Stops each thread of a process whose name begins as given, and those alone, until they have ended.
const STOPPER: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
SEIZE, INTERRUPT = 0x4206, 0x4207
pid, names = int(sys.argv[1]), tuple(sys.argv[2:])
stopped = 0
for thread in os.listdir(f"/proc/{pid}/task"):
    if open(f"/proc/{pid}/task/{thread}/comm").read().startswith(names):
        for request in SEIZE, INTERRUPT:
            if libc.ptrace(request, int(thread), None, None) != 0:
                sys.exit(os.strerror(ctypes.get_errno()))
        stopped += 1
print(stopped, flush=True)
# They end only when their end is taken note of.
WAIT_FOR_THREADS = 0x40000000
try:
    while True:
        os.waitpid(-1, WAIT_FOR_THREADS)
except ChildProcessError:
    pass
"#;

#[test]
fn a_killed_daemon_is_started_again_and_the_mount_is_whole() {
    let machine = Machine::boot(put_shop_with_key);
    start(&machine);
    machine.put("/etc/shop/more.toml", format!("token = \"{SECRET}-3\"\n"), 0o600);
    for round in 1..=2 {
        let pid = machine.property(SERVICE, "MainPID");
        machine.ok(&["kill", "-KILL", &pid]);
        machine.wait_for_another(SERVICE, &pid);
        assert!(secret(&machine).contains(SECRET));
        assert!(machine.ok(&["cat", "/etc/shop/more.toml"]).contains(&format!("{SECRET}-3")));
        machine.put("/etc/shop/more.toml", format!("token = \"{SECRET}-3\"\n# {round}\n"), 0o600);
    }
    // One mount, however often it was made.
    assert_eq!(machine.ok(&["grep", "-c", " /etc/shop fuse", "/proc/1/mounts"]), "1");
    assert!(!machine.sh("cat /srv/shop/*").contains(SECRET));
    machine.ok(&["systemctl", "stop", SERVICE]);
    assert_eq!(machine.ok(&["ls", "-A", "/etc/shop"]), "");
}

#[test]
fn a_daemon_whose_readers_are_stuck_is_replaced_though_its_other_threads_run() {
    let machine = Machine::boot(|root| {
        put_shop_with_key(root);
        let short = "[Service]\nWatchdogSec=4\n";
        put_at(root, "/etc/systemd/system/confseal@.service.d/short.conf", short, 0o644);
    });
    start(&machine);
    let pid = machine.property(SERVICE, "MainPID");
    // A mount that nobody uses lives on as long as it answers.
    machine.wait_until("a beat was heard", || {
        let started = machine.property(SERVICE, "ActiveEnterTimestampMonotonic");
        let beat = machine.property(SERVICE, "WatchdogTimestampMonotonic");
        let [started, beat] = [started, beat].map(|time| time.parse::<u64>().unwrap_or(0));
        beat > started + 1_000_000
    });
    assert_eq!(machine.property(SERVICE, "MainPID"), pid);

    let stopper = ["python3", "-c", STOPPER, &pid, "fuser"];
    let mut stopper = machine.enter(&stopper).stdout(Stdio::piped()).spawn().expect("nsenter");
    let mut stopped = String::new();
    BufReader::new(stopper.stdout.take().expect("its output")).read_line(&mut stopped).unwrap();
    assert!(stopped.trim().parse::<u32>().is_ok_and(|count| count >= 2), "stopped: {stopped:?}");
    machine.wait_for_another(SERVICE, &pid);
    assert!(secret(&machine).contains(SECRET));
    assert!(machine.journal(SERVICE).contains("Watchdog timeout"), "{}", machine.story());
    stopper.wait().expect("it ends");
}
