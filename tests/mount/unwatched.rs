//! Stores whose changes nobody tells of: the mount finds out by itself, a little later.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{CONFSEAL, Fixture, sh, text};

const OLD: &str = "name = \"old\"\npassword = \"hunter2-hunter2\"\n";
const NEW: &str = "name = \"much newer\"\npassword = \"hunter3-hunter3\"\nport = 5432\n";

/// Waits until `seen`, as long as the kernel may believe what it was told, and much longer.
fn in_time(what: &str, seen: impl Fn() -> bool) {
    let start = Instant::now();
    while !seen() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} is not seen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_store_that_is_not_watched_is_asked_at_each_open_and_each_second() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", OLD).put("conf.d/app.toml", OLD);
    let (store, mnt) = (fixture.store(), fixture.mnt());
    fixture.mount_with(&store, Some(&mnt), &["--no-watch"]);
    for round in 0..20 {
        let text = format!("{}round = {round}\n", if round % 2 == 0 { NEW } else { OLD });
        for name in ["app.toml", "conf.d/app.toml"] {
            fs::write(store.join(name), &text).unwrap();
            assert_eq!(fixture.seen(name), text);
        }
    }
    let len = |name: &str| fs::metadata(mnt.join(name)).map(|found| found.len()).ok();
    fs::write(store.join("app.toml"), NEW).unwrap();
    fs::remove_file(store.join("conf.d/app.toml")).unwrap();
    in_time("a change", || len("app.toml") == Some(NEW.len() as u64));
    in_time("a removal", || len("conf.d/app.toml").is_none());
    let status: serde_json::Value =
        serde_json::from_str(&fixture.seen(".confseal/status")).unwrap();
    assert_eq!(status["unwatched"], "switched off");
    assert_eq!(fixture.metric("store_watched", ""), 0);
    assert!(fixture.log().contains("the store is not watched, switched off"));
    let told = fixture.confseal(["status".as_ref(), mnt.as_os_str()]);
    assert!(text(&told).contains("not watched   switched off"), "{}", text(&told));
    fixture.umount();
}

/// In a user namespace of its own the limit can be lowered for this daemon alone.
#[test]
fn where_watches_run_out_the_rest_is_asked_each_second() {
    let mut fixture = Fixture::new();
    for name in ["app.toml", "a/app.toml", "b/app.toml"] {
        fixture.put(name, OLD);
    }
    let script = format!(
        "echo 2 > /proc/sys/user/max_inotify_watches
         {CONFSEAL} mount -f store mnt --key {} 2> daemon.log & daemon=$!
         for n in $(seq 1000); do [ -e mnt/.confseal/status ] && break; sleep 0.02; done
         for file in app.toml a/app.toml b/app.toml; do cat mnt/$file > /dev/null; done
         cat mnt/.confseal/status > status
         for file in app.toml a/app.toml b/app.toml; do echo '# more' >> store/$file; done
         for file in app.toml a/app.toml b/app.toml; do
             for n in $(seq 1000); do
                 [ $(stat -c %s mnt/$file) -gt {} ] && echo $file && break; sleep 0.02
             done
         done
         umount mnt && wait $daemon && echo ended",
        fixture.source("master"),
        OLD.len()
    );
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--kill-child", "bash", "-ec", &script])
        .current_dir(fixture.dir())
        .env("CONFSEAL_STATE_DIRECTORY", fixture.state())
        .env("CONFSEAL_LOG", "info")
        .output()
        .expect("unshare");
    let log = sh(fixture.dir(), "cat daemon.log");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(said, "app.toml\na/app.toml\nb/app.toml\nended\n", "{}\n{log}", text(&done));
    let status = fs::read_to_string(fixture.dir().join("status")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["unwatched"], &status["unwatched_directories"]), (&().into(), &1.into()));
    assert!(log.contains("the directory cannot be watched"), "{log}");
    assert!(log.contains("fs.inotify.max_user_watches"), "{log}");
}
