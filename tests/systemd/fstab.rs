//! Mounts that `/etc/fstab` and `.mount` units ask for, by mount(8) and its helper.

use std::path::Path;
use std::process::{Command, Output};

use crate::machine::{Machine, put_at};
use crate::support::CONFSEAL;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
const STORE: &str = "/srv/shop.sealed";
const POINT: &str = "/etc/shop";
const PLAIN: &str = "name = \"shop\"\npassword = \"hunter2\"\n";

/// A store, sealed under a key that lies at `key`, and a directory to mount it on.
fn shop(root: &Path, key: &str) {
    let inside = |path: &str| root.join(path.trim_start_matches('/'));
    put_at(root, key, KEY, 0o600);
    put_at(root, &format!("{STORE}/app.toml"), PLAIN, 0o644);
    std::fs::create_dir_all(inside(POINT)).expect("a mount point");
    let state = tempfile::tempdir().expect("a directory");
    let sealed = Command::new(CONFSEAL)
        .args(["seal", "--key", &format!("file:{}", inside(key).display())])
        .arg(inside(STORE))
        .env("CONFSEAL_STATE_DIRECTORY", state.path())
        .output()
        .expect("confseal runs");
    assert!(sealed.status.success(), "{sealed:?}");
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

impl Machine {
    /// What mount(8) ends with, and says.
    #[track_caller]
    fn mount_ends(&self, arguments: &[&str], code: i32, said: &str) {
        let output = self.run(&[&["mount"], arguments].concat());
        let told = words(&output);
        assert_eq!(output.status.code(), Some(code), "mount {arguments:?}: {told}");
        assert!(told.contains(said), "mount {arguments:?}: {told}");
    }

    fn mounted(&self, columns: &str) -> String {
        self.ok(&["findmnt", "--noheadings", "--raw", "--output", columns, POINT])
    }

    fn no_daemon_is_left(&self) {
        self.wait_until("the daemon has ended", || {
            !self.run(&["pgrep", "-x", "mount.confseal|confseal"]).status.success()
        });
    }
}

#[test]
fn a_line_in_fstab_mounts_at_boot_and_is_undone_by_systemctl_and_umount() {
    let machine = Machine::boot(|root| {
        shop(root, "/root/shop.key");
        // The key comes from elsewhere, by a service that the line names.
        let bring = "[Unit]\nDefaultDependencies=no\nBefore=local-fs.target\n[Service]\nType=oneshot\n\
                     RemainAfterExit=yes\nExecStart=install -m 600 /root/shop.key /run/shop.key\n";
        put_at(root, "/etc/systemd/system/bring-key.service", bring, 0o644);
        let app = "[Unit]\nRequiresMountsFor=/etc/shop\n[Service]\nType=oneshot\n\
                   RemainAfterExit=yes\nExecStart=cp /etc/shop/app.toml /run/seen-at-boot\n";
        put_at(root, "/etc/systemd/system/app.service", app, 0o644);
        let wants = root.join("etc/systemd/system/multi-user.target.wants");
        std::fs::create_dir_all(&wants).unwrap();
        std::os::unix::fs::symlink("../app.service", wants.join("app.service")).unwrap();
        let options = "key=file:/run/shop.key,nofail,_netdev,x-systemd.requires=bring-key.service";
        let broken = "key=file:/run/none.key,nofail";
        let fstab = format!(
            "{STORE} {POINT} confseal {options} 0 0\n/srv/other /srv/point fuse.confseal {broken} 0 0\n"
        );
        put_at(root, "/etc/fstab", fstab, 0o644);
        put_at(root, "/srv/other/app.toml", PLAIN, 0o644);
        std::fs::create_dir_all(root.join("srv/point")).unwrap();
    });
    assert_eq!(machine.property("etc-shop.mount", "ActiveState"), "active", "{}", machine.story());
    assert_eq!(machine.sh("cat /run/seen-at-boot"), PLAIN.trim_end(), "the app came after it");
    assert_eq!(machine.mounted("SOURCE,TARGET,FSTYPE"), format!("{STORE} {POINT} fuse.confseal"));
    let options = machine.mounted("OPTIONS");
    assert!(options.starts_with("rw,nosuid,nodev,relatime,"), "{options}");
    assert!(!options.contains("key"), "{options}");

    // One that has no key says so, and the machine is up all the same.
    assert_eq!(machine.property("srv-point.mount", "Result"), "exit-code");
    let journal = machine.journal("srv-point.mount");
    assert!(
        journal.contains("confseal: no key found: file:/run/none.key")
            || journal.contains("file:/run/none.key: there is no such file"),
        "{journal}"
    );
    assert_eq!(machine.sh("cat /srv/point/app.toml 2>/dev/null || echo empty"), "empty");

    // What stands already is not mounted again.
    machine.sh("umount /srv/point 2>/dev/null || true; mount --all --types confseal");
    assert_eq!(machine.sh("findmnt --types fuse.confseal --noheadings | wc -l"), "1");

    machine.put("/etc/shop/db.toml", "password = \"swordfish\"\n", 0o600);
    machine.ok(&["systemctl", "stop", "etc-shop.mount"]);
    machine.no_daemon_is_left();
    assert!(machine.sh(&format!("cat {STORE}/db.toml")).starts_with("password = \"ENC:v1:"));
    assert_eq!(machine.sh("ls -A /etc/shop"), "");

    machine.ok(&["mount", POINT]);
    assert_eq!(machine.sh("cat /etc/shop/db.toml"), "password = \"swordfish\"");
    machine.wait_until("systemd knows of it", || {
        machine.property("etc-shop.mount", "ActiveState") == "active"
    });
    machine.ok(&["umount", POINT]);
    machine.no_daemon_is_left();
    machine.wait_until("systemd knows that it is gone", || {
        machine.property("etc-shop.mount", "ActiveState") == "inactive"
    });
}

#[test]
fn a_mount_unit_may_be_read_only_and_root_still_commands_it() {
    let machine = Machine::boot(|root| {
        shop(root, "/etc/confseal/shop.key");
        let unit = format!(
            "[Mount]\nWhat={STORE}\nWhere={POINT}\nType=confseal\n\
             Options=ro,key=file:/etc/confseal/shop.key\n"
        );
        put_at(root, "/etc/systemd/system/etc-shop.mount", unit, 0o644);
        let first_look = "key=file:/etc/confseal/shop.key,noauto,x-systemd.automount";
        put_at(root, "/etc/fstab", format!("/srv/2 /srv/auto confseal {first_look} 0 0\n"), 0o644);
        put_at(root, "/srv/2/app.toml", PLAIN, 0o644);
        std::fs::create_dir(root.join("srv/auto")).unwrap();
    });
    let started = machine.systemctl(&["start", "etc-shop.mount"]);
    assert!(started.status.success(), "{}", machine.story());
    assert_eq!(machine.sh("cat /etc/shop/app.toml"), PLAIN.trim_end());
    assert!(machine.mounted("OPTIONS").starts_with("ro,nosuid,nodev,"));
    let write = "echo x >> /etc/shop/app.toml";
    let refused = machine.run(&["sh", "-c", write]);
    assert!(words(&refused).contains("Read-only file system"), "{refused:?}");

    // Programs may not command it either; root's own verbs may.
    let refused = machine.run(&["sh", "-c", "echo status > /etc/shop/.confseal/control"]);
    assert!(words(&refused).contains("Read-only file system"), "{refused:?}");
    assert!(machine.ok(&["confseal", "rewrap", POINT]).contains("0 still using legacy keys"));

    // What is announced of a change in the store is no write of a program.
    machine.ok(&["mount", "-o", "remount,rw", POINT]);
    machine.sh("echo '# more' >> /etc/shop/app.toml");
    machine.ok(&["mount", "-o", "remount,ro", POINT]);
    assert!(words(&machine.run(&["sh", "-c", write])).contains("Read-only file system"));
    machine.mount_ends(
        &["-o", "remount,rw", "-t", "confseal", "none", "/srv"],
        32,
        "no confseal mount",
    );

    machine.ok(&["systemctl", "stop", "etc-shop.mount"]);
    machine.no_daemon_is_left();

    // What waits for the first look is told no, and does not hang.
    assert!(
        !machine.run(&["timeout", "20", "systemctl", "start", "srv-auto.mount"]).status.success()
    );
    let journal = machine.journal("srv-auto.mount");
    assert!(journal.contains("/srv/auto: an automount stands there"), "{journal}");
}

#[test]
fn mount_says_what_it_does_not_do_and_ends_as_mount_does() {
    let machine = Machine::boot(|root| shop(root, "/etc/confseal/master.key"));
    let t = ["-t", "confseal", STORE];
    let with = |more: &[&'static str]| [&t[..], more].concat();
    for place in ["/", "/etc", "/etc/pam.d", "/etc/systemd", "/usr/share", "/proc/1"] {
        let said = format!("{place}: nothing may be mounted there");
        machine.mount_ends(&["-t", "confseal", STORE, place], 32, &said);
    }
    machine.sh("ln -s /etc/pam.d /srv/link");
    machine.mount_ends(&with(&["/srv/link"]), 32, "/etc/pam.d: nothing may be mounted there");
    machine.mount_ends(&with(&[POINT, "-o", "kee=file:/x"]), 1, "`kee`: there is no such option");
    machine.mount_ends(&with(&[POINT, "-o", "sync"]), 1, "`sync`: what is written is committed");
    machine.mount_ends(&with(&[POINT, "-o", "key=file:/none"]), 32, "there is no such file");
    machine.mount_ends(&["-t", "confseal", "/srv/none", POINT], 32, "/srv/none: No such file");
    machine.mount_ends(&with(&["-f", POINT]), 0, "");
    assert_eq!(machine.run(&["findmnt", POINT]).status.code(), Some(1), "nothing was mounted");

    machine.mount_ends(
        &with(&["-s", "-v", POINT, "-o", "kee=1,noexec,nofail"]),
        0,
        "without effect:",
    );
    assert!(machine.mounted("OPTIONS").starts_with("rw,nosuid,nodev,noexec,"));
    machine.mount_ends(&with(&[POINT]), 1, "a confseal mount stands there already");
    machine.ok(&["umount", POINT]);
    machine.no_daemon_is_left();
}
