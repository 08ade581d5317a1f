//! Stores that refuse for real: a disk that is full, files and directories that turned immutable
//! or append-only; and one that does not answer, because it is frozen.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::disk::Disk;
use crate::each_kill::assert_sealed;
use crate::points::{Failed, Program, leftovers};
use crate::saves::{BYSTANDER, CANARY, content};
use crate::support::{Fixture, sh};

/// Text of `size` bytes, with a secret.
fn large(version: u32, size: usize) -> String {
    let secret = content("app.toml", version);
    let filler = "# nothing in particular\n";
    secret + &filler.repeat(size / filler.len())
}

fn save(name: &str, text: &str) -> Vec<Value> {
    vec![json!(["open", name, "truncate"]), json!(["write", text]), json!(["close"])]
}

fn failed(call: &str, errno: i32) -> Result<(), Failed> {
    Err(Failed { call: call.into(), errno })
}

/// A mounted disk with a few files, and what the program does there.
struct Scene {
    disk: Disk,
    program: Program,
}

impl Scene {
    fn new() -> Self {
        let mut disk = Disk::new();
        disk.fixture.mount();
        let scene = Self { disk, program: Program::start() };
        for name in ["app.toml", "new.toml", BYSTANDER] {
            fs::write(scene.mnt().join(name), content(name, 1)).expect(name);
        }
        scene
    }

    fn mnt(&self) -> PathBuf {
        self.disk.fixture.mnt()
    }

    fn run(&mut self, calls: &[Value]) -> Result<(), Failed> {
        let mnt = self.mnt();
        self.program.run(&mnt, calls)
    }

    fn seen(&self, name: &str) -> String {
        self.disk.fixture.seen(name)
    }

    fn stored(&self, name: &str) -> String {
        self.disk.fixture.stored(name)
    }

    fn in_store(&self, line: &str) {
        sh(&self.disk.fixture.store(), line);
    }

    /// Mounts anew: what is seen then was saved.
    fn remount(&mut self) {
        self.disk.fixture.umount();
        assert_sealed(&self.disk.fixture);
        self.disk.fixture.mount();
        let is_clean = || leftovers(&self.disk.fixture).is_empty();
        crate::eventually("what was left is put right", is_clean);
    }
}

#[test]
fn a_full_disk_is_heard_of_at_close_and_what_was_written_is_saved_when_there_is_room() {
    let mut scene = Scene::new();
    let (old, new) = (content("app.toml", 1), large(2, 300_000));
    let stored = scene.stored("app.toml");
    // Down to the last block, but for what is set aside for root.
    sh(scene.disk.fixture.dir(), "dd if=/dev/zero of=disk/filler bs=64k status=none || true");
    sh(scene.disk.fixture.dir(), "dd if=/dev/zero bs=1k status=none >>disk/filler || true");
    assert_eq!(scene.run(&save("app.toml", &new)), failed("close", libc::ENOSPC));
    assert_eq!(scene.stored("app.toml"), stored, "the old version stays");
    assert_eq!(scene.seen("app.toml"), new, "what was written can be read");
    assert_eq!(leftovers(&scene.disk.fixture), Vec::<PathBuf>::new());
    let again = [json!(["open", "app.toml", "update"]), json!(["fsync"])];
    assert_eq!(scene.run(&again), failed("fsync", libc::ENOSPC));
    assert_sealed(&scene.disk.fixture);

    // Dropped: a shorter text is written instead, or the file is replaced.
    assert_eq!(scene.run(&[json!(["close"])]), failed("close", libc::ENOSPC));
    fs::remove_file(scene.disk.fixture.dir().join("disk/filler")).unwrap();
    assert_eq!(scene.run(&[json!(["open", "app.toml", "update"]), json!(["fsync"])]), Ok(()));
    assert_eq!(scene.run(&[json!(["close"])]), Ok(()));
    scene.remount();
    assert_eq!(scene.seen("app.toml"), new);
    assert_eq!(scene.run(&save("app.toml", &old)), Ok(()));
    scene.remount();
    assert_eq!(scene.seen("app.toml"), old);
}

#[test]
fn on_a_full_disk_what_was_written_can_be_dropped() {
    let mut scene = Scene::new();
    let new = large(2, 300_000);
    sh(scene.disk.fixture.dir(), "dd if=/dev/zero of=disk/filler bs=64k status=none || true");
    for drop_it in [json!(["rename", "new.toml", "app.toml"]), json!(["unlink", "app.toml"])] {
        assert_eq!(scene.run(&save("app.toml", &new)), failed("close", libc::ENOSPC));
        assert_eq!(scene.run(&[drop_it]), Ok(()));
        assert_ne!(fs::read_to_string(scene.mnt().join("app.toml")).ok(), Some(new.clone()));
    }
    assert_eq!(scene.seen(BYSTANDER), content(BYSTANDER, 1));
    fs::remove_file(scene.disk.fixture.dir().join("disk/filler")).unwrap();
    scene.remount();
    assert!(!scene.mnt().join("app.toml").exists());
}

#[test]
fn a_file_that_turns_immutable_keeps_its_version_until_it_turns_back() {
    let mut scene = Scene::new();
    for (attribute, errno) in [("i", libc::EPERM), ("a", libc::EPERM)] {
        let new = content("app.toml", 3);
        let stored = scene.stored("app.toml");
        scene.in_store(&format!("chattr +{attribute} app.toml"));
        assert_eq!(scene.run(&save("app.toml", &new)), failed("close", errno), "{attribute}");
        assert_eq!(scene.stored("app.toml"), stored);
        assert_eq!(scene.seen("app.toml"), new, "what was written can be read");
        let rename = [json!(["rename", "new.toml", "app.toml"])];
        assert_eq!(scene.run(&rename), failed("rename", errno));
        assert_eq!(scene.run(&[json!(["unlink", "app.toml"])]), failed("unlink", errno));
        let away = [json!(["rename", "app.toml", "app.key"])];
        assert_eq!(scene.run(&away), failed("rename", errno));
        assert!(!scene.mnt().join("app.key").exists());
        assert_eq!(scene.seen("new.toml"), content("new.toml", 1));
        assert_eq!(leftovers(&scene.disk.fixture), Vec::<PathBuf>::new());
        assert_sealed(&scene.disk.fixture);

        scene.in_store(&format!("chattr -{attribute} app.toml"));
        let again = [json!(["open", "app.toml", "update"]), json!(["fsync"]), json!(["close"])];
        assert_eq!(scene.run(&again), Ok(()), "{attribute}");
        scene.remount();
        assert_eq!(scene.seen("app.toml"), new);
        fs::write(scene.mnt().join("app.toml"), content("app.toml", 1)).unwrap();
    }
}

/// Where the old name cannot go, sealing anew under another one is undone.
#[test]
fn a_rename_out_of_a_directory_that_turned_immutable_changes_nothing() {
    let mut scene = Scene::new();
    fs::create_dir(scene.mnt().join("fixed")).unwrap();
    fs::write(scene.mnt().join("fixed/app.toml"), content("app.toml", 2)).unwrap();
    fs::write(scene.mnt().join("app.key"), content("app.key", 1)).unwrap();
    fs::set_permissions(
        scene.mnt().join("app.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o604),
    )
    .unwrap();
    let stored = scene.stored("app.key");
    scene.in_store("chattr +i fixed");
    for name in ["app.key", "none.key", "app.toml", "none.toml"] {
        let rename = [json!(["rename", "fixed/app.toml", name])];
        assert_eq!(scene.run(&rename), failed("rename", libc::EPERM), "{name}");
    }
    assert_eq!(scene.stored("app.key"), stored);
    sh(&scene.mnt(), "test $(stat -c %a app.key) = 604");
    assert!(!scene.mnt().join("none.key").exists() && !scene.mnt().join("none.toml").exists());
    assert_eq!(scene.seen("fixed/app.toml"), content("app.toml", 2));
    scene.in_store("chattr -i fixed");
    assert_eq!(scene.run(&[json!(["rename", "fixed/app.toml", "app.key"])]), Ok(()));
    scene.remount();
    assert_eq!(scene.seen("app.key"), content("app.toml", 2));
}

/// The longest that a filesystem stays frozen, in seconds.
const LONGEST: &str = "60";

/// A frozen filesystem: thawed when this goes, and in any case after a while, because nobody who
/// waits for it can be ended.
struct Frozen(Child);

impl Frozen {
    fn freeze(point: &Path) -> Self {
        let freeze = "fsfreeze -f \"$0\" && echo frozen && read -t \"$1\" _; fsfreeze -u \"$0\"";
        let mut shell = Command::new("bash");
        shell.args(["-c", freeze]).arg(point).arg(LONGEST);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash");
        let mut said = [0; 6];
        shell.stdout.as_mut().expect("its output").read_exact(&mut said).expect("it is frozen");
        Self(shell)
    }

    /// Thaws; it has to be frozen still.
    fn thaw(mut self) {
        assert!(self.0.try_wait().expect("its state").is_none(), "thawed before its time");
        assert!(self.end(), "fsfreeze");
    }

    fn end(&mut self) -> bool {
        // Its input ends, and with it the waiting.
        drop(self.0.stdin.take());
        self.0.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.end();
    }
}

/// Until so many threads of the daemon wait for the store.
fn wait_until_held_up(fixture: &Fixture, savers: usize) {
    let tasks = format!("/proc/{}/task", fixture.pid());
    crate::eventually("every save is held up by the store", || {
        let tasks = fs::read_dir(&tasks).unwrap().flatten();
        let state = |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).ok();
        tasks.filter_map(state).filter(|state| state.contains(") D ")).count() >= savers
    });
}

/// Saves that wait are more than there are threads for them.
#[test]
fn while_the_store_is_frozen_reads_and_status_go_on_and_saves_wait() {
    let mut scene = Scene::new();
    let point = scene.disk.fixture.dir().join("disk");
    let mnt = scene.mnt();
    let mut savers = Vec::new();
    for n in 0..12 {
        fs::write(mnt.join(format!("waits-{n}.toml")), content("app.toml", 1)).unwrap();
        savers.push(Program::start());
    }
    assert_eq!(scene.seen("app.toml"), content("app.toml", 1));
    let frozen = Frozen::freeze(&point);
    for (n, saver) in savers.iter_mut().enumerate() {
        let name = format!("waits-{n}.toml");
        saver.begin(&mnt, &save(&name, &content("app.toml", 2)));
    }
    wait_until_held_up(&scene.disk.fixture, savers.len());
    for _ in 0..3 {
        assert_eq!(scene.seen("app.toml"), content("app.toml", 1), "read while others wait");
        assert_eq!(scene.seen(BYSTANDER), content(BYSTANDER, 1));
        let status = scene.seen(".confseal/status");
        assert!(status.contains("\"store\""), "{status}");
        sh(&mnt, "ls -f >/dev/null && stat app.toml >/dev/null");
    }
    frozen.thaw();
    for saver in &mut savers {
        assert_eq!(saver.outcome(), Ok(()));
    }
    scene.remount();
    for n in 0..12 {
        assert_eq!(scene.seen(&format!("waits-{n}.toml")), content("app.toml", 2));
    }
    scene.disk.fixture.assert_sealed(&[CANARY]);
}

/// What the daemon tells a service manager, line by line.
fn told_to_a_manager(fixture: &mut Fixture) -> Receiver<String> {
    let socket = fixture.dir().join("manager");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    fixture.variable("NOTIFY_SOCKET", socket.to_str().expect("UTF-8"));
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut message = [0; 4096];
        while let Ok(length) = manager.recv(&mut message) {
            let message = String::from_utf8_lossy(&message[..length]).into_owned();
            if message.lines().any(|line| tell.send(line.to_owned()).is_err()) {
                return;
            }
        }
    });
    told
}

#[test]
fn while_the_store_is_frozen_the_daemon_gives_signs_of_life() {
    const LONG_ENOUGH: Duration = Duration::from_secs(30);
    let mut disk = Disk::new();
    let told = told_to_a_manager(&mut disk.fixture);
    disk.fixture.variable("WATCHDOG_USEC", "200000").mount();
    let (point, mnt) = (disk.fixture.dir().join("disk"), disk.fixture.mnt());
    let mut savers = Vec::new();
    for n in 0..8 {
        fs::write(mnt.join(format!("waits-{n}.toml")), content("app.toml", 1)).unwrap();
        savers.push(Program::start());
    }
    let frozen = Frozen::freeze(&point);
    for (n, saver) in savers.iter_mut().enumerate() {
        saver.begin(&mnt, &save(&format!("waits-{n}.toml"), &content("app.toml", 2)));
    }
    wait_until_held_up(&disk.fixture, savers.len());
    // What was told before the store froze says nothing.
    while told.try_recv().is_ok() {}
    for _ in 0..5 {
        while told.recv_timeout(LONG_ENOUGH).expect("a sign of life") != "WATCHDOG=1" {}
    }
    frozen.thaw();
    for saver in &mut savers {
        assert_eq!(saver.outcome(), Ok(()));
    }
    disk.fixture.signal("TERM");
    disk.fixture.expect_end();
}
