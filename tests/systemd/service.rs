//! Start, status, reload and stop.

use crate::machine::{Machine, put_at};
use crate::shop::{
    KEY_ID, MOUNTPOINT, SECRET, SERVICE, documented, instance, is_mounted, put_shop_with_key,
    secret, start,
};

/// The key `other.key`.
const OTHER_ID: &str = "ec071e0a";

#[test]
fn the_service_is_ready_when_the_mount_stands_and_clean_when_it_is_stopped() {
    let machine = Machine::boot(put_shop_with_key);
    start(&machine);
    assert_eq!(secret(&machine), format!("password = \"{SECRET}\""));
    let status = machine.property(SERVICE, "StatusText");
    let expected =
        format!("/srv/shop is mounted at {MOUNTPOINT}, key {KEY_ID}; no file in trouble");
    assert_eq!(status, expected);
    let journal = machine.journal(SERVICE);
    assert!(!journal.contains("only keys are locked"), "{journal}");

    // Not only where the service is: to the first process, to another service, to one in a mount
    // namespace of its own, before and after.
    machine.ok(&["grep", "-q", " /etc/shop fuse.confseal ", "/proc/1/mounts"]);
    let apart = ["--property=ProtectSystem=strict", "--property=PrivateTmp=yes"];
    for options in [&[][..], &apart] {
        let run = ["systemd-run", "--quiet", "--wait", "--pipe"];
        let seen = machine.ok(&[&run, options, &["cat", "/etc/shop/app.toml"]].concat());
        assert!(seen.contains(SECRET), "{seen}");
    }
    machine.ok(&["systemctl", "stop", SERVICE]);
    assert!(!is_mounted(&machine));
    let early = ["--unit=early", "--property=ProtectSystem=strict", "sleep", "infinity"];
    machine.ok(&[&["systemd-run", "--quiet"], &early[..]].concat());
    let early = machine.property("early.service", "MainPID");
    start(&machine);
    machine.ok(&["grep", "-q", " /etc/shop fuse.confseal ", &format!("/proc/{early}/mounts")]);

    machine.ok(&["systemctl", "stop", SERVICE]);
    assert_eq!(machine.property(SERVICE, "Result"), "success", "{}", machine.story());
    assert!(!is_mounted(&machine));
    assert_eq!(machine.ok(&["ls", "-A", MOUNTPOINT]), "");
}

#[test]
fn the_status_names_files_in_trouble_and_a_mount_taken_away_is_a_failure() {
    let machine = Machine::boot(put_shop_with_key);
    start(&machine);
    machine.sh("sed -i 's/ENC:v1:......../ENC:v1:00000000/' /srv/shop/app.toml");
    assert!(!machine.run(&["cat", "/etc/shop/app.toml"]).status.success());
    machine.wait_until("the status tells of the file", || {
        machine.property(SERVICE, "StatusText").ends_with("; 1 file in trouble")
    });

    machine.ok(&["umount", MOUNTPOINT]);
    machine.wait_until("the service has ended", || {
        machine.property(SERVICE, "ActiveState") == "failed"
    });
    assert_eq!(machine.property(SERVICE, "ExecMainStatus"), "18");
    assert_eq!(machine.property(SERVICE, "NRestarts"), "0");
    let status = machine.property(SERVICE, "StatusText");
    assert_eq!(status, format!("{MOUNTPOINT}: somebody else took the mount away"));
}

#[test]
fn reload_brings_a_new_legacy_key_and_fails_visibly_when_it_cannot() {
    let machine = Machine::boot(put_shop_with_key);
    // A value under a key that is not there yet.
    let encrypt = "confseal encrypt-value --key file:/etc/confseal/other.key --field password";
    let token = machine.sh(&format!("printf {SECRET}-2 | {encrypt}"));
    machine.put("/srv/shop/old.toml", format!("password = \"{token}\"\n"), 0o644);
    start(&machine);
    assert!(!machine.run(&["cat", "/etc/shop/old.toml"]).status.success());

    let text = instance("file:/etc/confseal/shop.key", &["file:/etc/confseal/other.key"]);
    machine.put("/etc/confseal/shop.toml", text, 0o644);
    let before = machine.property(SERVICE, "MainPID");
    machine.ok(&["systemctl", "reload", SERVICE]);
    // No waiting: when the reload returns, it is done.
    let seen = machine.ok(&["cat", "/etc/shop/old.toml"]);
    assert!(seen.contains(&format!("{SECRET}-2")), "{seen}");
    machine.wait_until("the status names the legacy key", || {
        machine.property(SERVICE, "StatusText").contains("1 legacy key; no file")
    });
    assert!(machine.journal(SERVICE).contains(&format!("legacy keys: {OTHER_ID}")));

    machine.put("/srv/shop/.confseal/policy.toml", "version = 1\n[[file]]\npth = 'x'\n", 0o644);
    let refused = machine.systemctl(&["reload", SERVICE]);
    assert!(!refused.status.success(), "a broken policy was taken");
    assert!(machine.journal(SERVICE).contains("pth"), "{}", machine.journal(SERVICE));
    assert_eq!(machine.property(SERVICE, "ActiveState"), "active");
    assert_eq!(machine.property(SERVICE, "MainPID"), before);
    machine.ok(&["cat", "/etc/shop/old.toml"]);
    machine.wait_until("the status tells of the refusal", || {
        machine.property(SERVICE, "StatusText").ends_with("the last reload was refused")
    });
    machine.ok(&["rm", "/srv/shop/.confseal/policy.toml"]);
    machine.ok(&["systemctl", "reload", SERVICE]);
}

#[test]
fn the_first_use_of_the_documentation_works_as_it_is_written() {
    let machine = Machine::boot(|root| {
        put_at(root, "/etc/shop/app.toml", format!("password = \"{SECRET}\"\n"), 0o640);
    });
    machine.sh(documented("sh", "systemctl enable --now confseal@shop"));
    assert_eq!(secret(&machine), format!("password = \"{SECRET}\""));
    assert!(machine.ok(&["cat", "/srv/shop/app.toml"]).contains("ENC:v1:"));
    assert_eq!(machine.property(SERVICE, "UnitFileState"), "enabled");
    machine.sh("mkdir -p /media/stick; mv /root/shop.key /media/stick");
    machine.sh(documented("sh", "confseal verify"));
    machine.sh("rm /media/stick/shop.key");
    machine.sh(documented("sh", "systemd-creds decrypt"));
    machine.sh(documented("sh", "confseal verify"));

    machine.ok(&["systemctl", "stop", SERVICE]);
    assert!(!machine.run(&["touch", "/etc/shop/mistake"]).status.success());
    machine.ok(&["chattr", "-i", MOUNTPOINT]);
}
