//! Where the service has its key from, and what it does without.

use crate::machine::{Machine, put_at};
use crate::shop::{MOUNTPOINT, SECRET, SERVICE, instance, is_mounted, put_shop, secret, start};
use crate::support::{FIRST, SECOND};

/// Has `start` fail at once and for good, with `reason` in `systemctl status`.
fn fails_at_once(machine: &Machine, code: &str, reason: &str) {
    let started = machine.systemctl(&["start", SERVICE]);
    assert!(!started.status.success(), "it started");
    assert_eq!(machine.property(SERVICE, "ActiveState"), "failed");
    assert_eq!(machine.property(SERVICE, "ExecMainStatus"), code, "{}", machine.story());
    assert_eq!(machine.property(SERVICE, "NRestarts"), "0");
    let status = String::from_utf8(machine.systemctl(&["status", SERVICE]).stdout).unwrap();
    let is_it = |line: &&str| line.trim_start().starts_with("Status: ") && line.contains(reason);
    assert_eq!(status.lines().filter(is_it).count(), 1, "{status}");
    // Neither locked nor open: there is no mount.
    assert!(!is_mounted(machine));
    assert_eq!(machine.ok(&["ls", "-A", MOUNTPOINT]), "");
}

#[test]
fn without_its_key_or_with_another_it_fails_at_once_and_says_why_in_a_line() {
    let machine = Machine::boot(put_shop);
    fails_at_once(&machine, "3", "credential:confseal.shop.master: ");

    machine.put("/etc/confseal/wrong.key", SECOND, 0o600);
    let text = instance("file:/etc/confseal/wrong.key", &[]);
    machine.put("/etc/confseal/shop.toml", text, 0o644);
    fails_at_once(&machine, "4", "/srv/shop: sealed under the key 00e98867");

    machine.put("/etc/confseal/shop.toml", "store = '/srv/shop'\nmountpont = '/x'\n", 0o644);
    fails_at_once(&machine, "5", "/etc/confseal/shop.toml: ");
}

#[test]
fn the_key_is_a_credential_encrypted_for_this_host_or_a_plain_one() {
    let machine = Machine::boot(|root| {
        put_shop(root);
        // The host's own key: a container has no TPM.
        put_at(root, "/etc/credstore.encrypted/.keep", "", 0o600);
    });
    let credential = "/etc/credstore.encrypted/confseal.shop.master";
    let encrypt = "systemd-creds encrypt --with-key=host --name=confseal.shop.master -";
    machine.sh(&format!("printf {FIRST} | {encrypt} {credential}"));
    assert!(!machine.ok(&["cat", credential]).contains(FIRST));
    start(&machine);
    assert!(secret(&machine).contains(SECRET));
    let pid = machine.property(SERVICE, "MainPID");
    let environment = machine.sh(&format!("tr '\\0' '\\n' < /proc/{pid}/environ"));
    assert!(!environment.contains(FIRST), "the key is in the environment");
    machine.ok(&["systemctl", "stop", SERVICE]);

    // Made for another name, or for another host: not this service's.
    machine.sh(&format!("printf {FIRST} | systemd-creds encrypt --name=other - {credential}"));
    assert!(!machine.systemctl(&["start", SERVICE]).status.success());
    assert_eq!(machine.property(SERVICE, "ExecMainStatus"), "243", "{}", machine.story());
    assert_eq!(machine.property(SERVICE, "NRestarts"), "0");
    assert!(!is_mounted(&machine));

    machine.ok(&["rm", credential]);
    machine.put("/etc/credstore/confseal.shop.master", FIRST, 0o600);
    let plain = "[Service]\nLoadCredential=confseal.shop.master\n";
    machine.put("/etc/systemd/system/confseal@shop.service.d/plain.conf", plain, 0o644);
    machine.ok(&["systemctl", "daemon-reload"]);
    start(&machine);
    assert!(secret(&machine).contains(SECRET));
}

#[test]
fn a_copy_of_the_key_in_escrow_is_proved_by_verify_and_another_fails() {
    let machine = Machine::boot(|root| {
        put_shop(root);
        put_at(root, "/root/escrow.key", FIRST, 0o600);
        put_at(root, "/root/wrong.key", SECOND, 0o600);
    });
    let verify = |key: &str| {
        machine.run(&["confseal", "verify", "--key", &format!("file:/root/{key}"), "/srv/shop"])
    };
    let right = verify("escrow.key");
    assert!(right.status.success(), "{right:?}");
    let wrong = verify("wrong.key");
    assert_eq!(wrong.status.code(), Some(4), "{wrong:?}");
    // It opens each value, rather than comparing names of keys.
    machine.sh("sed -i 's/\\(ENC:v1:........:....\\)./\\1_/' /srv/shop/app.toml");
    assert_eq!(verify("escrow.key").status.code(), Some(1));
}
