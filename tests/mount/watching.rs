//! What a monitoring system is told: `health`, metrics, and the rules that go by them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use confseal::format::{Format, Scanned};
use regex::Regex;

use crate::support::{CONFSEAL, FIRST, Fixture, SECOND, holds, text};

const APP: &str = "password = \"hunter2-hunter2\"\nport = 1\n";

/// Exit code and line of `health` on what is mounted, or not, at the usual place.
fn health(fixture: &Fixture, more: &[&str]) -> (i32, String) {
    health_of(fixture, &fixture.mnt(), more)
}

fn health_of(fixture: &Fixture, dir: &Path, more: &[&str]) -> (i32, String) {
    let arguments = [&["health", dir.to_str().unwrap()], more].concat();
    let said = fixture.confseal(arguments);
    let line = String::from_utf8(said.stdout.clone()).unwrap();
    assert_eq!(line.lines().count(), 1, "one line: {}", text(&said));
    (said.status.code().unwrap(), line)
}

fn with_app() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", APP).seal().mount();
    fixture
}

/// The same with a new master key, under which nothing has come yet.
fn in_rotation() -> Fixture {
    let mut fixture = with_app();
    fixture.umount();
    fixture.key("next", SECOND);
    let (store, mnt) = (fixture.store(), fixture.mnt());
    let (next, master) = (fixture.source("next"), fixture.source("master"));
    fixture.mount_with(&store, Some(&mnt), &["--key", &next, "--legacy", &master]);
    fixture
}

#[test]
fn health_tells_each_state_by_its_exit_code() {
    let mut fixture = with_app();
    let (code, line) = health(&fixture, &[]);
    assert_eq!(code, 0, "{line}");
    assert!(
        line.starts_with("CONFSEAL OK - ") && line.contains(" | missing_key=0;;0;0 "),
        "{line}"
    );
    assert_eq!(health_of(&fixture, &fixture.store(), &[]).0, 0, "by its store");

    fs::write(fixture.store().join("clear.toml"), APP).unwrap();
    let (code, line) = health(&fixture, &[]);
    assert_eq!(code, 1, "{line}");
    assert!(line.contains("1 secrets in the clear") && line.contains(" exposed=1;0;;0"), "{line}");
    assert_eq!(health(&fixture, &["--warning", "exposed=1"]).0, 0);
    assert_eq!(health(&fixture, &["--critical", "exposed=0"]).0, 2);

    fs::write(fixture.store().join("app.toml"), "password = \"ENC:v1:00000000:AAAA\"\n").unwrap();
    assert_eq!(
        fs::read(fixture.mnt().join("app.toml")).unwrap_err().raw_os_error(),
        Some(libc::EBADMSG)
    );
    let (code, line) = health(&fixture, &[]);
    assert_eq!(code, 2, "{line}");
    assert!(
        line.contains("first app.toml: field `password`") && !line.contains("hunter2"),
        "{line}"
    );

    // Half a save: sealed whole, until the next good one.
    let mnt = fixture.mnt();
    for file in ["app.toml", "clear.toml"] {
        fs::remove_file(mnt.join(file)).unwrap();
    }
    fs::write(mnt.join("half.toml"), "password = \"hunter2-hun\nport").unwrap();
    let (code, line) = health(&fixture, &[]);
    assert_eq!((code, line.contains(" sealed_whole=1;0;;0 ")), (1, true), "{line}");
    fixture.umount().mount();
    assert_eq!(
        fixture.metric("sealed_whole", ""),
        1,
        "known by the store, not by the daemon alone"
    );
    fs::write(mnt.join("half.toml"), APP).unwrap();
    assert_eq!(health(&fixture, &[]).0, 0);
    let kept = fixture.store().join(".confseal/kept");
    fs::create_dir_all(&kept).unwrap();
    fs::write(kept.join("app.toml.20260102T030405Z.1"), "ENC:file:v1:00000000:AAAA\n").unwrap();
    let (code, line) = health(&fixture, &["--critical", "missing_key=9"]);
    assert_eq!((code, line.contains(" kept=1;0;;0 ")), (1, true), "{line}");

    fixture.kill_daemon();
    let (code, line) = health(&fixture, &[]);
    assert_eq!((code, line.contains("the mount is dead")), (2, true), "{line}");
    fixture.clear_mounts();
    let (code, line) = health_of(&fixture, &fixture.store(), &[]);
    assert_eq!((code, line.contains("a store that is not mounted")), (2, true), "{line}");
    let (code, line) = health_of(&fixture, &fixture.state(), &[]);
    assert_eq!((code, line.starts_with("CONFSEAL UNKNOWN - ")), (3, true), "{line}");
}

#[test]
fn health_knows_a_rotation_and_a_missing_key() {
    let fixture = in_rotation();
    let (code, line) = health(&fixture, &[]);
    assert_eq!(code, 1, "{line}");
    assert!(
        line.contains("1 sealed under a legacy key") && line.contains(" legacy=1;0;;0"),
        "{line}"
    );
    assert_eq!(fixture.metric("tokens", "role=\"legacy\""), 1);

    // A value of another store's: the key that it is under is not here.
    let other = "E0E1E2E3E4E5E6E7E8E9EAEBECEDEEEFF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF";
    assert_ne!(other, FIRST);
    fixture.key("other", other);
    let elsewhere = fixture.dir().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("api.toml"), APP).unwrap();
    let sealed = fixture.confseal(["seal", "elsewhere", "--key", &fixture.source("other")]);
    assert!(sealed.status.success(), "{}", text(&sealed));
    fs::copy(elsewhere.join("api.toml"), fixture.store().join("api.toml")).unwrap();
    let (code, line) = health(&fixture, &[]);
    assert_eq!(code, 2, "{line}");
    assert!(line.contains("1 sealed under a key that is not there"), "{line}");
    assert_eq!(fixture.metric("tokens", "role=\"missing\""), 1);
}

#[test]
fn in_the_foreground_of_a_terminal_the_level_is_coloured_unless_that_is_unwanted() {
    let lines = |no_color: &str| {
        let mut fixture = Fixture::new();
        fixture.variable("NO_COLOR", no_color).variable("TERM", "xterm");
        fixture.put("app.toml", APP);
        // `script` makes the terminal; its own output is what a reader would see.
        let said = fixture.dir().join("said");
        let wrapper = format!(
            "C=$(printf '%q ' \"$@\"); export C; exec script -qefc \"$C\" {}",
            said.display()
        );
        fixture.started_by(["bash", "-c", &wrapper, "-"].map(Into::into).to_vec());
        let (store, mnt) = (fixture.store(), fixture.mnt());
        let (master, absent) = (fixture.source("master"), "file:/nowhere/absent.key");
        fixture.mount_with(&store, Some(&mnt), &["--key", &master, "--legacy", absent]);
        fixture.umount();
        fs::read_to_string(said).unwrap()
    };
    let coloured = lines("");
    assert!(coloured.contains("\x1b[1;33mwarning\x1b[0m: legacy key: "), "{coloured:?}");
    let plain = lines("1");
    assert!(
        plain.contains("confseal: warning: legacy key: ") && !plain.contains('\x1b'),
        "{plain:?}"
    );
}

#[test]
fn a_mount_that_hangs_does_not_make_the_check_hang() {
    let fixture = with_app();
    fixture.signal("STOP");
    let begun = Instant::now();
    let (code, line) = health(&fixture, &["--timeout", "1"]);
    let doctor = fixture.confseal([
        "doctor".as_ref(),
        fixture.mnt().join("app.toml").as_os_str(),
        "--timeout".as_ref(),
        "1".as_ref(),
    ]);
    let waited = begun.elapsed();
    fixture.signal("CONT");
    assert_eq!((code, line.contains("does not answer within 1s")), (2, true), "{line}");
    assert_eq!(doctor.status.code(), Some(1), "{}", text(&doctor));
    assert!(text(&doctor).contains("does not answer within 1s"), "{}", text(&doctor));
    // Generous: hanging would be for ever.
    assert!(waited < Duration::from_secs(60), "{waited:?}");
    // Those who were left behind end when the mount answers.
    let mnt = fixture.mnt();
    let left = || {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let is = |path: &Path, what: &str, text: &str| {
            fs::read(path.join(what)).is_ok_and(|bytes| holds(&bytes, text))
        };
        // By their name first: to ask for the arguments of a stranger may take for ever.
        let mut ours = processes.filter(|path| is(path, "comm", "exe"));
        ours.any(|path| {
            is(&path, "cmdline", "probe") && is(&path, "cmdline", mnt.to_str().unwrap())
        })
    };
    while left() {
        assert!(begun.elapsed() < Duration::from_secs(60), "a probe stays");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn arguments_that_make_no_sense_are_unknown_to_a_monitoring_system_not_critical() {
    let fixture = Fixture::new();
    for arguments in [vec!["health"], vec!["health", "/x", "--warning", "nonsense=1"]] {
        let said = fixture.confseal(arguments.clone());
        assert_eq!(said.status.code(), Some(3), "{arguments:?}: {}", text(&said));
    }
    assert_eq!(fixture.confseal(["status"]).status.code(), Some(2));
    assert_eq!(fixture.confseal(["health", "--help"]).status.code(), Some(0));
}

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/confseal.rules.yml")
}

/// The fields of the rules, read as YAML: path and value.
fn rule_fields() -> Vec<(String, String)> {
    let text = fs::read(rules()).unwrap();
    let format = Format::by_file_name(b"confseal.rules.yml").expect("YAML");
    let Scanned { id, sites } = format.scan(&text).expect("well-formed YAML");
    let values = sites.into_iter().filter(|site| !id.codec().is_comment(site.context));
    values
        .map(|site| {
            let value = id.codec().decode(site.span.of(&text), site.context).expect("a value");
            (site.path.to_string(), String::from_utf8(value.to_vec()).unwrap())
        })
        .collect()
}

#[test]
fn every_metric_of_the_alert_rules_is_exported() {
    let fixture = in_rotation();
    let exported = fixture.seen(".confseal/metrics");
    let fields = rule_fields();
    let of = |name: &'static str| fields.iter().filter(move |(path, _)| path.ends_with(name));
    let alerts: BTreeSet<&str> = of(".alert").map(|(_, alert)| alert.as_str()).collect();
    let needed = [
        "ConfsealUnmounted",
        "ConfsealWrongKey",
        "ConfsealFileDamaged",
        "ConfsealSealedWhole",
        "ConfsealVersionsKept",
        "ConfsealLegacyKeysLeft",
        "ConfsealSecretsInTheClear",
    ];
    assert!(needed.iter().all(|name| alerts.contains(name)), "{alerts:?}");
    let counts = [".expr", ".for", ".labels.severity", ".annotations.summary"];
    let counts = counts.map(|name| of(name).count());
    assert_eq!(counts, [alerts.len(); 4], "each alert has all of it: {fields:#?}");

    let metric = Regex::new(r"confseal_[a-z_]+").unwrap();
    let label = Regex::new(r#"([a-z]+)=~?"([^"]*)""#).unwrap();
    for (_, expression) in of(".expr") {
        let names: BTreeSet<&str> =
            metric.find_iter(expression).map(|found| found.as_str()).collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            let sample = format!("\n{name}{{store=\"");
            assert!(exported.contains(&sample), "{name} of `{expression}` is not in {exported}");
            // The values that it goes by are those that there can be.
            for found in label.captures_iter(expression) {
                for value in found[2].split('|').filter(|value| *value != "missing") {
                    let pair = format!("{}=\"{value}\"", &found[1]);
                    let has = |line: &str| line.starts_with(name) && line.contains(&pair);
                    assert!(exported.lines().any(has), "{pair} of `{expression}`: {exported}");
                }
            }
        }
    }
    // The manual names what is exported, and nothing else.
    let page = fs::read_to_string(rules().with_file_name("../docs/monitoring.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `confseal_")).collect::<String>();
    let listed: BTreeSet<&str> = metric.find_iter(&rows).map(|found| found.as_str()).collect();
    let types = exported.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types: BTreeSet<&str> = types.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(listed, types);
    if let Ok(checked) = Command::new("promtool").arg("check").arg("rules").arg(rules()).output() {
        assert!(checked.status.success(), "{}", text(&checked));
    }
}

/// The script of docs/monitoring.md, in another directory.
#[test]
fn the_scrape_of_the_manual_gives_zero_for_a_mount_that_is_gone() {
    let mut fixture = with_app();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring.md");
    let page = fs::read_to_string(page).unwrap();
    let script = page.split("```sh\n").find(|block| block.starts_with("cd /var/lib/")).unwrap();
    let script = script.split("```").next().unwrap();
    for dir in ["etc", "out"] {
        fs::create_dir(fixture.dir().join(dir)).unwrap();
    }
    let (etc, out) = (fixture.dir().join("etc"), fixture.dir().join("out"));
    let script = script
        .replace("/var/lib/prometheus/node-exporter", out.to_str().unwrap())
        .replace("/etc/confseal/", &format!("{}/", etc.display()));
    let instance = format!(
        "store = \"{}\"\nmountpoint = \"{}\"\n[keys]\nmaster = \"env:K\"\n",
        fixture.store().display(),
        fixture.mnt().display()
    );
    fs::write(etc.join("shop.toml"), instance).unwrap();
    let scrape = || {
        let done =
            Command::new("sh").args(["-euc", &script]).stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        fs::read_to_string(out.join("confseal-shop.prom")).unwrap()
    };
    let well = scrape();
    assert!(well.contains("\nconfseal_up{store=") && well.contains("confseal_tokens{"), "{well}");
    fixture.umount();
    assert_eq!(scrape(), "confseal_up{store=\"shop\"} 0\n");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
}

#[test]
fn what_the_control_file_is_told_is_recorded_under_the_name_of_who_told_it() {
    let mut fixture = with_app();
    // The page of the caller's user: the mode of `control` is for the daemon's alone.
    assert_eq!(fixture.control("rewrap --all").0, Ok(()));
    assert_eq!(fixture.control("rewrap --dry-run").0, Ok(()));
    assert_eq!(fixture.control("reload").0, Ok(()));
    assert_eq!(fixture.control("verify").0, Ok(()));
    let records = audit(&fixture, &[]);
    let told: Vec<(&str, &str)> = records
        .iter()
        .map(|record| (record["action"].as_str().unwrap(), record["outcome"].as_str().unwrap()))
        .collect();
    let expected =
        [("rewrap", "begun"), ("rewrap", "done"), ("reload", "begun"), ("reload", "done")];
    assert_eq!(told, expected);
    assert!(records.iter().all(|record| record["pid"] == std::process::id() && record["uid"] == 0));
    // What loosens is not accepted where that cannot be recorded.
    let trail = find_trail(&fixture);
    fs::set_permissions(&trail, PermissionsExt::from_mode(0o666)).unwrap();
    let (done, answer) = fixture.control("reload --accept");
    assert_eq!(done, Err(libc::EINVAL));
    assert!(answer.contains("Nothing is accepted that cannot be recorded"), "{answer}");
    assert_eq!(fixture.control("reload").0, Ok(()), "this goes on");
    assert!(fixture.log().contains("could not be recorded"), "{}", fixture.log());
    fixture.umount();
}

#[test]
fn looking_at_a_file_through_the_mount_by_view_is_recorded_in_the_stores_trail() {
    let fixture = with_app();
    let file = fixture.mnt().join("app.toml");
    let shown = fixture.confseal(["view".as_ref(), file.as_os_str(), "password".as_ref()]);
    assert_eq!(shown.stdout, b"hunter2-hunter2", "{}", text(&shown));
    let records = audit(&fixture, &[]);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(
        (&records[0]["file"], &records[0]["field"]),
        (&"app.toml".into(), &"password".into())
    );
    assert!(!records[0].to_string().contains("hunter2"));
}

fn audit(fixture: &Fixture, more: &[&str]) -> Vec<serde_json::Value> {
    let mnt = fixture.mnt();
    let told = fixture.confseal([&["audit", mnt.to_str().unwrap(), "--json"], more].concat());
    assert!(told.status.success(), "{}", text(&told));
    let lines = String::from_utf8(told.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn find_trail(fixture: &Fixture) -> PathBuf {
    let mut found = fs::read_dir(fixture.state()).unwrap();
    let trail = found.next().expect("a state directory").unwrap().path().join("audit");
    assert!(trail.is_file() && Path::new(CONFSEAL).is_file());
    trail
}
