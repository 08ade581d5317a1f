//! The machine that the stories run on.

use crate::machine::{Machine, put_at};

#[test]
fn a_machine_boots_with_what_was_put_in_it_and_nothing_of_the_one_below() {
    let unit = "[Service]\nType=oneshot\nExecStart=touch /run/was-here\n\
                [Install]\nWantedBy=multi-user.target\n";
    let mut machine = Machine::boot(|root| {
        put_at(root, "/etc/systemd/system/hello.service", unit, 0o644);
        let wants = "etc/systemd/system/multi-user.target.wants";
        std::fs::create_dir(root.join(wants)).unwrap();
        std::os::unix::fs::symlink("../hello.service", root.join(wants).join("hello.service"))
            .unwrap();
    });
    assert_eq!(machine.ok(&["systemctl", "is-system-running"]), "running", "{}", machine.story());
    assert_eq!(machine.ok(&["cat", "/proc/1/comm"]), "systemd");
    machine.wait_until("it was there", || {
        machine.run(&["test", "-e", "/run/was-here"]).status.success()
    });
    assert_eq!(machine.property("hello.service", "Result"), "success");
    let services = "systemctl list-units --type service --state running --plain --no-legend";
    let services = machine.sh(&format!("{services} | cut -d' ' -f1"));
    let expected = ["dbus.service", "systemd-journald.service"];
    assert_eq!(services.lines().collect::<Vec<_>>(), expected);

    let other = Machine::boot(|_| ());
    other.put("/etc/only/here", "x\n", 0o600);
    assert_eq!(other.sh("stat -c %a /etc/only/here; cat /etc/only/here"), "600\nx");
    assert!(!machine.run(&["test", "-e", "/etc/only"]).status.success());
    assert_eq!(other.ok(&["env"]).lines().count(), 5);
    drop(other);

    machine.put("/etc/stays", "", 0o644);
    machine.reboot();
    machine.ok(&["test", "-e", "/etc/stays"]);
    assert!(machine.journal("hello.service").contains("Finished"), "{}", machine.story());
    assert_eq!(machine.journal_fields("hello.service")[0]["UNIT"], "hello.service");
}
