//! A directory is adopted, finished and given back where no systemd runs: nothing but the program, and
//! a machine of its own as far as files go.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::{self, CONFSEAL, sh, text};

const APP: &str = "title = \"shop\"\n[database]\npassword = \"canary-hunter2\"\n";
const KEPT: &str = "password = \"canary-kept\"\n";
const ENV: &str = "DB_PASSWORD=canary-envvar\n";

/// A directory `shop`, with an /etc and a /run that nobody else sees: this thread is in a mount
/// namespace of its own, and all of it lies in memory.
struct Place {
    base: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        support::apart();
        let base = tempfile::Builder::new().prefix("confseal-test-").tempdir_in("/var/tmp");
        let place = Self { base: base.expect("a temporary directory") };
        sh(
            place.base.path(),
            "mount -t tmpfs -o mode=755 place . && cd \"$PWD\" && mkdir upper work run state
             mount -t overlay -o lowerdir=/etc,upperdir=upper,workdir=work etc /etc
             rm -rf /etc/confseal
             mount --bind run /run",
        );
        place.fill();
        place
    }

    /// The directory as it was before.
    fn fill(&self) {
        let dir = self.dir();
        fs::create_dir_all(dir.join("conf.d")).expect("a directory");
        for (name, content) in [("app.toml", APP), ("conf.d/.env", ENV), ("README", "shop\n")] {
            fs::write(dir.join(name), content).expect(name);
        }
        fs::set_permissions(&dir, PermissionsExt::from_mode(0o750)).expect("its mode");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    fn dir(&self) -> PathBuf {
        self.path("shop")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(CONFSEAL);
        command.args(arguments).current_dir(self.base.path()).stdin(Stdio::null());
        command.env("CONFSEAL_STATE_DIRECTORY", self.path("state"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("confseal runs")
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert!(done.status.success(), "{arguments:?}: {}", text(&done));
        String::from_utf8(done.stdout).expect("text")
    }

    fn adopt(&self) -> String {
        self.ok(&["adopt", "shop", "--no-systemd", "--yes"])
    }

    /// Runs it until it has said `told`, and no more, and kills it: there is no room for another word, so
    /// that it waits at the end of the next step if it gets there.
    fn cut_off(&self, arguments: &[&str], told: &str) {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        let size = rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("its size");
        let mut filler = fs::File::from(writer.try_clone().expect("a descriptor"));
        filler.write_all(&vec![b'.'; size - told.len()]).expect("room");
        drop(filler);
        let mut child = self.command(arguments).stdout(writer).spawn().expect("confseal");
        let is_full = || rustix::io::ioctl_fionread(&reader).expect("a pipe") == size as u64;
        while !is_full() {
            let ended = child.try_wait().expect("its state");
            assert_eq!(ended, None, "{arguments:?} never says {told}");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("a kill");
        let ended = child.wait().expect("it ends");
        assert_eq!(ended.signal(), Some(9), "{arguments:?} after {told}");
    }

    fn is_mounted(&self) -> bool {
        let mounts = fs::read_to_string("/proc/thread-self/mounts").expect("mounts");
        mounts.contains(&format!("{} fuse.confseal", self.dir().display()))
    }

    /// What programs see is what was there before.
    fn assert_seen(&self) {
        let read = |name: &str| fs::read_to_string(self.dir().join(name)).expect(name);
        assert_eq!((read("app.toml"), read("conf.d/.env")), (APP.to_owned(), ENV.to_owned()));
        let mode = fs::metadata(self.dir()).expect("the directory").permissions().mode();
        assert_eq!(mode & 0o7777, 0o750);
    }

    fn assert_finished(&self) {
        assert!(self.is_mounted());
        self.assert_seen();
        let stored = fs::read_to_string(self.path("shop.sealed/app.toml")).expect("the store");
        assert!(stored.contains("password = \"ENC:v1:") && !stored.contains("canary"), "{stored}");
        assert!(!self.path("shop.mountpoint").exists());
    }

    /// An ordinary directory, and nothing of confseal but the trail.
    fn assert_given_back(&self) {
        assert!(!self.is_mounted());
        self.assert_seen();
        let left = ["shop/.confseal", "shop.sealed", "shop.mountpoint", "run/confseal/shop"];
        let left: Vec<_> = left.iter().filter(|name| self.path(name).exists()).collect();
        assert!(left.is_empty(), "{left:?}");
        let names = |dir: &Path| crate::calls::names(dir);
        assert_eq!(names(&self.path("state/shop")), ["audit"]);
        assert_eq!(names(Path::new("/etc/confseal")), [] as [String; 0]);
        sh(&self.dir(), "touch new; rm new");
    }

    /// Action and outcome of each record so far.
    fn trail(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("state/shop/audit")).expect("a trail");
        assert!(!text.contains("canary"), "{text}");
        let word = |line: &str, name: &str| {
            let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            record[name].as_str().expect(name).to_owned()
        };
        text.lines().map(|it| format!("{} {}", word(it, "action"), word(it, "outcome"))).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for place in [self.dir(), PathBuf::from("/run"), PathBuf::from("/etc")] {
            let _ = Command::new("umount").arg("--lazy").arg(place).output();
        }
        let _ = Command::new("umount").args(["-R", "-l"]).arg(self.base.path()).output();
    }
}

#[test]
fn a_directory_is_adopted_finished_and_given_back_without_systemd() {
    let place = Place::new();
    let told = place.adopt();
    assert!(told.contains("mounted over"), "{told}");
    place.assert_seen();
    let stored = fs::read_to_string("/run/confseal/shop/store/app.toml").expect("the store");
    assert!(stored.contains("password = \"ENC:v1:"), "{stored}");
    place.ok(&["adopt", "--finish", "shop", "--no-systemd", "--yes"]);
    place.assert_finished();

    // Somebody changes a file of the store under a program that writes it: one version is kept aside.
    let mut file = fs::File::options().append(true).open(place.dir().join("app.toml")).unwrap();
    file.write_all(b"mine = 1\n").unwrap();
    fs::write(place.path("shop.sealed/app.toml"), KEPT).unwrap();
    drop(file);
    fs::write(place.dir().join("app.toml"), APP).unwrap();
    let refused = place.run(&["eject", "shop", "--yes"]);
    assert_eq!(refused.status.code(), Some(12), "{}", text(&refused));
    assert!(text(&refused).contains("1 kept version would be lost"), "{}", text(&refused));
    place.assert_finished();
    let inside = place.run(&["eject", "shop", "--yes", "--kept", "shop/kept"]);
    assert_eq!(inside.status.code(), Some(2), "{}", text(&inside));
    place.ok(&["eject", "shop", "--yes", "--kept", "kept"]);
    place.assert_given_back();
    let kept = crate::calls::names(&place.path("kept"));
    assert_eq!(kept.len(), 1, "{kept:?}");
    let path = place.path("kept").join(&kept[0]);
    assert_eq!(fs::read_to_string(&path).unwrap(), KEPT);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);

    let both = |action: &str| [format!("{action} begun"), format!("{action} done")];
    let [eject, ejected] = both("eject");
    // What the verb does, and, within it, the mount.
    let expected =
        [both("adopt"), both("adopt-finish"), [eject.clone(), eject], [ejected.clone(), ejected]];
    assert_eq!(place.trail(), expected.concat());
}

#[test]
fn what_is_cut_off_at_any_step_is_repeated_to_the_same_end() {
    let place = Place::new();
    let finish = ["adopt", "--finish", "shop", "--no-systemd", "--yes"];
    let eject = ["eject", "shop", "--yes"];
    // What each says when nothing gets in its way.
    place.adopt();
    let [of_finish, of_eject] = [place.ok(&finish), place.ok(&eject)];
    let steps = |said: &str| said.match_indices('\n').map(|(at, _)| at + 1).collect::<Vec<_>>();
    let (finish_steps, eject_steps) = (steps(&of_finish), steps(&of_eject));
    assert!(finish_steps.len() >= 4 && eject_steps.len() >= 6, "{of_finish}{of_eject}");
    // It has come to its end when it says its last line.
    for round in 0..eject_steps.len() - 1 {
        place.adopt();
        place.cut_off(&finish, &of_finish[..finish_steps[round % (finish_steps.len() - 1)]]);
        place.ok(&finish);
        place.assert_finished();
        place.cut_off(&eject, &of_eject[..eject_steps[round]]);
        let again = place.run(&eject);
        // After the instance there is nothing left but to say so.
        let nothing = text(&again).contains("there is nothing to give back");
        assert!(again.status.success() || nothing, "{}", text(&again));
        place.assert_given_back();
    }

    // Nothing is said between the two moves of a finish.
    place.adopt();
    place.ok(&finish);
    sh(
        place.base.path(),
        "umount shop && { chattr -i shop 2> /dev/null || true; } && mv shop shop.mountpoint",
    );
    place.ok(&finish);
    place.assert_finished();
    place.ok(&eject);
    place.assert_given_back();
}

#[test]
fn nothing_is_taken_over_or_laid_open_that_cannot_be_recorded() {
    let place = Place::new();
    let spoil = |mode| {
        let trail = place.path("state/shop/audit");
        fs::create_dir_all(trail.parent().unwrap()).unwrap();
        fs::File::options().create(true).append(true).open(&trail).unwrap();
        fs::set_permissions(&trail, PermissionsExt::from_mode(mode)).unwrap();
    };
    let refused = |arguments: &[&str]| {
        let done = place.run(arguments);
        assert_eq!(done.status.code(), Some(17), "{}", text(&done));
    };
    spoil(0o666);
    refused(&["adopt", "shop", "--no-systemd", "--yes"]);
    assert!(!place.is_mounted() && !place.dir().join(".confseal").exists());
    assert!(!Path::new("/etc/confseal").exists());
    spoil(0o600);
    place.adopt();
    spoil(0o666);
    refused(&["adopt", "--finish", "shop", "--yes"]);
    refused(&["eject", "shop", "--yes"]);
    assert!(place.is_mounted() && !place.path("shop.sealed").exists());
    let stored = fs::read_to_string("/run/confseal/shop/store/app.toml").expect("the store");
    assert!(stored.contains("password = \"ENC:v1:"), "{stored}");
    // Looking changes nothing, and is not recorded.
    place.ok(&["eject", "shop", "--dry-run"]);
    spoil(0o600);
    place.ok(&["eject", "shop", "--yes"]);
    place.assert_given_back();
}
