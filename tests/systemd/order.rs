//! The programs that need the mount: when they start, and when they are stopped.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use crate::machine::{Machine, put_at};
use crate::shop::{
    SECRET, SERVICE, documented, is_mounted, put_shop, put_shop_with_key, seal, start,
};
use crate::support::FIRST;

/// What docs/systemd.md has an operator put beside the unit of a program that needs the mount.
fn drop_in() -> &'static str {
    documented("ini", "PartOf=confseal-apps@shop.target")
}

/// An app that fails unless it finds its secret, when it starts and when it has stopped, which takes a
/// while: whoever does not wait for that is too early.
const APP: &str = "
[Unit]
RequiresMountsFor=/etc/shop
[Service]
Type=exec
ExecStartPre=grep -q canary /etc/shop/app.toml
ExecStart=sleep infinity
ExecStopPost=sleep 0.3
ExecStopPost=grep -q canary /etc/shop/app.toml
ProtectSystem=strict
PrivateTmp=yes
[Install]
WantedBy=multi-user.target
";

/// Puts the app on a machine, with the drop-in, enabled; the service itself is not enabled.
fn put_app(root: &Path) {
    put_at(root, "/etc/systemd/system/app.service", APP, 0o644);
    put_at(root, "/etc/systemd/system/app.service.d/confseal.conf", drop_in(), 0o644);
    enable(root, "/etc/systemd/system/app.service");
}

/// What `systemctl enable` does.
fn enable(root: &Path, unit: &str) {
    let wants = root.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).expect("a directory");
    let name = Path::new(unit).file_name().expect("a name");
    symlink(unit, wants.join(name)).expect("a link");
}

fn app(machine: &Machine) -> String {
    machine.property("app.service", "ActiveState")
}

/// Whether the app has ended, whatever it found at its end.
fn is_over(machine: &Machine) -> bool {
    ["inactive", "failed"].contains(&app(machine).as_str())
}

#[test]
fn an_app_is_started_after_the_mount_stopped_before_it_and_left_alone_by_a_restart() {
    let machine = Machine::boot(|root| {
        put_shop_with_key(root);
        put_app(root);
        // So that whoever does not wait for the mount is too early.
        let slow = "[Service]\nExecStartPre=sleep 0.5\n";
        put_at(root, "/etc/systemd/system/confseal@.service.d/slow.conf", slow, 0o644);
    });
    assert_eq!(app(&machine), "active", "{}", machine.story());
    assert!(is_mounted(&machine));
    let running = machine.property("app.service", "MainPID");

    machine.ok(&["systemctl", "restart", SERVICE]);
    assert_eq!(machine.property("app.service", "MainPID"), running);
    let daemon = machine.property(SERVICE, "MainPID");
    machine.ok(&["kill", "-KILL", &daemon]);
    machine.wait_for_another(SERVICE, &daemon);
    assert_eq!(
        (app(&machine).as_str(), machine.property("app.service", "MainPID")),
        ("active", running)
    );
    machine.ok(&["grep", "-q", "canary", "/etc/shop/app.toml"]);

    machine.ok(&["systemctl", "stop", SERVICE]);
    assert_eq!(app(&machine), "inactive", "{}", machine.story());
    assert!(!is_mounted(&machine));

    // The app brings the mount.
    machine.ok(&["systemctl", "start", "app.service"]);
    assert!(is_mounted(&machine));
}

#[test]
fn an_app_is_not_started_without_the_mount_and_stopped_when_it_is_gone_for_good() {
    let machine = Machine::boot(|root| {
        put_shop(root);
        put_app(root);
    });
    assert_eq!(machine.property(SERVICE, "ActiveState"), "failed");
    assert_eq!(app(&machine), "inactive", "{}", machine.story());
    assert_eq!(machine.property("app.service", "ExecMainStartTimestampMonotonic"), "0");
    assert!(!machine.systemctl(&["start", "app.service"]).status.success());

    machine.put("/etc/confseal/shop.key", FIRST, 0o600);
    let text = crate::shop::instance("file:/etc/confseal/shop.key", &[]);
    machine.put("/etc/confseal/shop.toml", text, 0o644);
    start(&machine);
    machine.ok(&["systemctl", "start", "app.service"]);
    // Killed, and the key is gone: nothing that trying again would mend.
    machine.ok(&["rm", "/etc/confseal/shop.key"]);
    machine.ok(&["kill", "-KILL", &machine.property(SERVICE, "MainPID")]);
    machine.wait_until("it has failed for good", || {
        machine.property(SERVICE, "ActiveState") == "failed"
    });
    machine.wait_until("the app is stopped", || is_over(&machine));
    let gone = "confseal-gone@shop.service";
    assert_eq!(machine.property(gone, "ActiveState"), "active");

    machine.put("/etc/confseal/shop.key", FIRST, 0o600);
    machine.ok(&["systemctl", "reset-failed", SERVICE]);
    start(&machine);
    assert_eq!(machine.property(gone, "ActiveState"), "inactive");
    machine.ok(&["systemctl", "start", "app.service"]);
    machine.ok(&["umount", "--lazy", "/etc/shop"]);
    machine.wait_until("the app is stopped", || is_over(&machine));
}

#[test]
fn an_app_runs_on_when_its_directory_is_given_back() {
    let machine = Machine::boot(|root| {
        put_at(root, "/etc/shop/app.toml", format!("password = \"{SECRET}\"\n"), 0o640);
        put_at(root, "/etc/systemd/system/app.service", APP, 0o644);
        put_at(root, "/etc/systemd/system/app.service.d/confseal.conf", drop_in(), 0o644);
    });
    machine.ok(&["confseal", "adopt", "/etc/shop", "--yes"]);
    machine.ok(&["systemctl", "start", "app.service"]);
    let running = machine.property("app.service", "MainPID");
    machine.ok(&["confseal", "eject", "/etc/shop", "--yes"]);
    machine.wait_until("the service has ended", || {
        machine.property(SERVICE, "ActiveState") == "inactive"
    });
    assert!(!is_mounted(&machine));
    let now = (app(&machine), machine.property("app.service", "MainPID"));
    assert_eq!(now, ("active".to_owned(), running), "{}", machine.story());
}

#[test]
fn redis_boots_with_its_password_sealed_on_disk() {
    const PASSWORD: &str = "canary-redis-7d1f";
    let configuration = format!(
        "bind 127.0.0.1\nport 6379\nsupervised systemd\ndir /var/lib/redis\nsave \"\"\n\
         logfile \"\"\nrequirepass {PASSWORD}\n"
    );
    let mut machine = Machine::boot(|root| {
        // Adopted where it is: the mount lies over the store.
        fs::remove_dir_all(root.join("etc/redis")).expect("Debian's configuration");
        put_at(root, "/etc/redis/redis.conf", &configuration, 0o640);
        seal(root, "etc/redis", FIRST);
        let owner = fs::metadata("/etc/redis/redis.conf").expect("package redis-server");
        let (user, group) = {
            use std::os::unix::fs::MetadataExt;
            (Some(owner.uid()), Some(owner.gid()))
        };
        chown(root.join("etc/redis"), user, group).expect("its owner");
        chown(root.join("etc/redis/redis.conf"), user, group).expect("its owner");
        put_at(root, "/etc/confseal/shop.key", FIRST, 0o600);
        let instance = "store = '/etc/redis'\n[keys]\nmaster = 'file:/etc/confseal/shop.key'\n";
        put_at(root, "/etc/confseal/redis.toml", instance, 0o644);
        let drop_in = drop_in().replace("@shop", "@redis").replace("/etc/shop", "/etc/redis");
        let place = "/etc/systemd/system/redis-server.service.d/confseal.conf";
        put_at(root, place, drop_in, 0o644);
        enable(root, "/usr/lib/systemd/system/redis-server.service");
        let slow = "[Service]\nExecStartPre=sleep 0.5\n";
        put_at(root, "/etc/systemd/system/confseal@.service.d/slow.conf", slow, 0o644);
    });
    for boot in ["first", "second"] {
        let state = machine.property("redis-server.service", "ActiveState");
        assert_eq!(state, "active", "{boot} boot\n{}", machine.story());
        let ask = |password: &str| {
            machine.sh(&format!("redis-cli --no-auth-warning -a {password} ping 2>&1 || true"))
        };
        assert_eq!(ask(PASSWORD), "PONG");
        assert!(ask("guessed").contains("NOAUTH"), "{}", ask("guessed"));
        let stored = machine.ok(&["cat", "/run/confseal/redis/store/redis.conf"]);
        assert!(stored.contains("requirepass ENC:v1:") && !stored.contains(PASSWORD), "{stored}");
        // A copy of the key is proved while the store is covered.
        let verify = "confseal verify --key file:/etc/confseal/shop.key";
        machine.sh(&format!("{verify} /run/confseal/redis/store"));
        if boot == "first" {
            machine.reboot();
        }
    }
}
