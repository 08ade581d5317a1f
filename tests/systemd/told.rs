//! What an operator is told: by the journal, by `doctor`, by `health`, by the weekly verify, by the
//! trail.

use serde_json::Value;

use confseal::systemd::catalogue;

use crate::machine::Machine;
use crate::shop::{
    KEY_ID, MOUNTPOINT, SECRET, SERVICE, put_shop, put_shop_with_key, secret, start,
};

const VERIFY: &str = "confseal-verify@shop.service";

/// What the journal holds of the event `name`, with all fields.
fn events(machine: &Machine, name: &str) -> Vec<Value> {
    let id = catalogue::find(name).expect(name).id;
    machine.ok(&["journalctl", "--sync"]);
    let matches = format!("MESSAGE_ID={id}");
    let lines = machine.ok(&["journalctl", "--no-pager", "-o", "json", &matches]);
    assert!(!lines.contains(SECRET), "a secret stands in the journal: {lines}");
    let lines = lines.lines().filter(|line| line.starts_with('{'));
    let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(events.iter().all(|event| event["CONFSEAL_INSTANCE"] == "shop"), "{events:#?}");
    events
}

/// Exit code and findings of `doctor`, which are wrong.
fn doctor(machine: &Machine, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let said = machine.run(&[&["confseal", "doctor", "--json"], arguments].concat());
    let findings: Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|error| {
        panic!("{error}: {said:?}");
    });
    assert!(!findings.to_string().contains(SECRET), "{findings}");
    let wrong = |finding: &&Value| finding["grade"] == "wrong";
    let findings = findings["findings"].as_array().unwrap();
    (said.status.code(), findings.iter().filter(wrong).cloned().collect())
}

fn about<'a>(findings: &'a [Value], what: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["about"] == what);
    found.unwrap_or_else(|| panic!("nothing about {what} in {findings:#?}"))
}

fn health(machine: &Machine) -> (Option<i32>, String) {
    let said = machine.run(&["confseal", "health", MOUNTPOINT]);
    (said.status.code(), String::from_utf8(said.stdout).unwrap())
}

/// Changes a letter of the token in the store: to A, or to B where it is A.
fn damage(machine: &Machine) {
    let before = r"\(ENC:v1:........:.\{20\}\)";
    let script = format!(
        "cp -p /srv/shop/app.toml /root/app.toml
         sed -i 's/{before}A/\\1B/; t; s/{before}./\\1A/' /srv/shop/app.toml
         ! cmp -s /srv/shop/app.toml /root/app.toml"
    );
    machine.sh(&script);
}

#[test]
fn a_unit_without_its_key_fails_and_doctor_says_which_key_and_where_it_belongs() {
    let machine = Machine::boot(put_shop);
    assert!(!machine.systemctl(&["start", SERVICE]).status.success());
    let (code, wrong) = doctor(&machine, &["/etc/shop/app.toml"]);
    assert_eq!(code, Some(1));
    assert!(about(&wrong, "mount")["text"].as_str().unwrap().contains("nothing is mounted there"));
    let unit = about(&wrong, "unit");
    assert_eq!(unit["state"], "failed", "{wrong:#?}");
    let said = unit["todo"][0].as_str().unwrap();
    assert!(said.starts_with("it said: not mounted: no key found"), "{said}");
    let missing = events(&machine, "key-missing");
    assert_eq!((missing.len(), &missing[0]["PRIORITY"]), (1, &"3".into()), "{missing:#?}");
    let key = about(&wrong, "key");
    assert_eq!(key["source"], "credential:confseal.shop.master", "{wrong:#?}");
    let todo = key["todo"][0].as_str().unwrap();
    assert!(todo.contains("/etc/credstore.encrypted/confseal.shop.master"), "{todo}");
    let (code, line) = health(&machine);
    assert_eq!(code, Some(2), "{line}");
    assert!(line.contains("instance shop is not mounted at /etc/shop"), "{line}");
}

#[test]
fn the_journal_tells_what_happens_with_file_field_and_key_and_health_follows() {
    let machine = Machine::boot(put_shop_with_key);
    assert_eq!(health(&machine).0, Some(2));
    start(&machine);
    assert_eq!(health(&machine).0, Some(0), "{}", health(&machine).1);
    let (code, wrong) = doctor(&machine, &["/etc/shop/app.toml"]);
    assert_eq!((code, wrong.len()), (Some(0), 0), "{wrong:#?}");
    let mounted = events(&machine, "mounted");
    assert_eq!(mounted.len(), 1);
    assert_eq!(mounted[0]["CONFSEAL_MOUNTPOINT"], MOUNTPOINT);
    assert_eq!(
        (&mounted[0]["PRIORITY"], &mounted[0]["_SYSTEMD_UNIT"]),
        (&"5".into(), &SERVICE.into())
    );

    damage(&machine);
    assert!(!machine.run(&["cat", "/etc/shop/app.toml"]).status.success());
    let trouble = events(&machine, "file-in-trouble");
    assert_eq!(trouble.len(), 1, "{trouble:#?}");
    assert_eq!(
        (&trouble[0]["CONFSEAL_FILE"], &trouble[0]["CONFSEAL_FIELD"]),
        (&"app.toml".into(), &"password".into())
    );
    assert_eq!(
        (&trouble[0]["CONFSEAL_KEY_ID"], &trouble[0]["PRIORITY"]),
        (&KEY_ID.into(), &"3".into())
    );
    let (code, line) = health(&machine);
    assert_eq!(code, Some(2), "{line}");
    let (code, wrong) = doctor(&machine, &["/etc/shop/app.toml"]);
    assert_eq!((code, &about(&wrong, "last error")["field"]), (Some(1), &"password".into()));

    // The weekly verify fails visibly, and says of what.
    machine.ok(&["systemctl", "enable", "--now", "confseal-verify@shop.timer"]);
    assert_eq!(machine.property("confseal-verify@shop.timer", "ActiveState"), "active");
    assert!(!machine.systemctl(&["start", VERIFY]).status.success());
    assert_eq!(machine.property(VERIFY, "ActiveState"), "failed");
    let failed = events(&machine, "verify-failed");
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(
        (&failed[0]["CONFSEAL_FILE"], &failed[0]["CONFSEAL_FIELD"]),
        (&"app.toml".into(), &"password".into())
    );
    assert_eq!(failed[0]["_SYSTEMD_UNIT"], VERIFY);

    machine.sh("cp -p /root/app.toml /srv/shop/app.toml");
    machine.wait_until("the file is well", || {
        machine.run(&["cat", "/etc/shop/app.toml"]).status.success()
    });
    assert_eq!(events(&machine, "file-well")[0]["CONFSEAL_FILE"], "app.toml");
    let done = machine.systemctl(&["start", VERIFY]);
    assert!(done.status.success(), "{}", machine.journal(VERIFY));
    assert_eq!(machine.property(VERIFY, "Result"), "success");
    assert_eq!(health(&machine).0, Some(0));

    // A secret that is written past the mount is found by the next count.
    machine.put("/srv/shop/clear.toml", format!("password = \"{SECRET}\"\n"), 0o644);
    let (code, line) = health(&machine);
    assert_eq!(code, Some(1), "{line}");
    let clear = events(&machine, "in-the-clear");
    assert_eq!((clear.len(), &clear[0]["CONFSEAL_FILE"]), (1, &"clear.toml".into()), "{clear:#?}");

    machine.put("/srv/shop/.confseal/policy.toml", "version = 1\nnonsense = 1\n", 0o644);
    assert!(!machine.systemctl(&["reload", SERVICE]).status.success());
    assert_eq!(events(&machine, "not-reloaded")[0]["PRIORITY"], "3");
    machine.put("/srv/shop/.confseal/policy.toml", "version = 1\n", 0o644);
    machine.ok(&["systemctl", "reload", SERVICE]);
    assert!(!events(&machine, "reloaded").is_empty());
    machine.ok(&["systemctl", "stop", SERVICE]);
    assert_eq!(events(&machine, "unmounted").len(), 1);
    assert!(!machine.systemctl(&["start", VERIFY]).status.success(), "not mounted: not verified");
}

#[test]
fn who_looks_at_secrets_stands_in_the_trail_and_in_the_journal() {
    let machine = Machine::boot(put_shop_with_key);
    start(&machine);
    assert!(secret(&machine).contains(SECRET));
    let shown = machine.ok(&["confseal", "view", "/etc/shop/app.toml", "password"]);
    assert_eq!(shown, SECRET);
    machine.ok(&["systemctl", "reload", SERVICE]);
    let told = machine.ok(&["confseal", "audit", MOUNTPOINT, "--json"]);
    let records: Vec<Value> =
        told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let actions: Vec<&str> = records.iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["view", "reload", "reload"], "{told}");
    assert_eq!((&records[0]["uid"], &records[0]["field"]), (&0.into(), &"password".into()));
    machine.sh("test \"$(stat -c '%a %u' /var/lib/confseal/shop/audit)\" = '600 0'");
    let events = events(&machine, "audit");
    assert_eq!(events.len(), 3, "{events:#?}");
    assert_eq!(
        (&events[0]["CONFSEAL_ACTION"], &events[0]["CONFSEAL_OUTCOME"]),
        (&"view".into(), &"shown".into())
    );
    assert_eq!(events[0]["CONFSEAL_UID"], "0");

    // The instance may do without.
    machine.sh("printf '[audit]\\nenabled = false\\n' >> /etc/confseal/shop.toml");
    assert_eq!(machine.ok(&["confseal", "view", "/etc/shop/app.toml", "password"]), SECRET);
    assert_eq!(machine.ok(&["confseal", "audit", MOUNTPOINT, "--json"]), told);
}

#[test]
fn a_service_that_is_older_than_the_mount_and_lives_apart_is_named_with_its_unit() {
    let machine = Machine::boot(put_shop_with_key);
    // Mounts made later reach a private namespace of systemd's, unless it is told otherwise.
    let apart = ["--property=PrivateMounts=yes", "--property=MountFlags=private"];
    let older = [&["systemd-run", "--quiet", "--unit=older"], &apart[..], &["sleep", "infinity"]];
    machine.ok(&older.concat());
    let pid = machine.property("older.service", "MainPID");
    start(&machine);
    let (code, wrong) = doctor(&machine, &["/etc/shop/app.toml", "--pid", &pid]);
    assert_eq!((code, wrong.len()), (Some(1), 1), "{wrong:#?}");
    assert_eq!(wrong[0]["in_namespace"], false);
    let todo = wrong[0]["todo"][0].as_str().unwrap();
    assert!(todo.contains("systemctl restart older.service"), "{todo}");
    machine.ok(&["systemctl", "stop", "older.service"]);
}
