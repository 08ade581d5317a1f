//! An ordinary user mounts: `fusermount3` does it for him, and nobody else may look in.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::MountFlags;

use crate::support::{CONFSEAL, FIRST, Fixture, holds, text};

const NOBODY: u32 = 65534;

/// A store, a mount point and a key of his; `/dev/fuse` open to him, in this test's namespace.
struct User {
    fixture: Fixture,
    daemon: Option<Child>,
}

impl User {
    fn new() -> Self {
        crate::support::apart();
        let fixture = Fixture::new();
        let user = Self { fixture, daemon: None };
        let dir = user.fixture.dir();
        fs::set_permissions(dir, Permissions::from_mode(0o755)).expect("a way in");
        for path in [dir.to_owned(), user.fixture.store(), user.fixture.mnt(), user.key()] {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("his own");
        }
        // The program may lie where he cannot go.
        fs::copy(CONFSEAL, dir.join("confseal")).expect("a copy of the program");
        let device = dir.join("fuse");
        make_device(&device, 10, 229);
        rustix::mount::mount_bind(&device, "/dev/fuse").expect("in place of the machine's");
        user
    }

    fn key(&self) -> PathBuf {
        self.fixture.dir().join("master.key")
    }

    /// A program run by him.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.uid(NOBODY).gid(NOBODY).current_dir("/").stdin(Stdio::null());
        command.env("HOME", self.fixture.dir());
        command
    }

    /// `confseal mount …` by him.
    fn mount_command(&self, at: &Path) -> Command {
        let mut command = self.command(self.fixture.dir().join("confseal"));
        command.arg("mount").arg(self.fixture.store());
        if at != self.fixture.store() {
            command.arg(at);
        }
        command
    }

    /// Mounts in the foreground, as a child of the test.
    fn mount(&mut self, at: &Path) {
        let log = fs::File::create(self.fixture.dir().join("user.log")).expect("a log");
        let mut command = self.mount_command(at);
        command.args(["-f", "--key", "env:SHOP_KEY"]).env("SHOP_KEY", FIRST);
        command.stdout(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().expect("confseal mount"));
        crate::eventually("his mount", || self.fixture.mounted() == [at]);
    }

    /// Runs a shell line as him, in `dir`; it has to succeed.
    fn sh(&self, dir: &Path, line: &str) -> String {
        let line = format!("cd '{}' && {line}", dir.display());
        let done = self.command("bash").args(["-ec", &line]).output().expect("bash");
        assert!(done.status.success(), "{line}: {}\n{}", text(&done), self.log());
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.fixture.dir().join("user.log")).unwrap_or_default()
    }

    fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("a daemon").id()
    }

    /// Unmounts as he would, and waits for the daemon.
    fn umount(&mut self, at: &Path) {
        let done = self.command("fusermount3").arg("-u").arg(at).output().expect("fusermount3");
        assert!(done.status.success(), "{}", text(&done));
        let status = self.daemon.take().expect("a daemon").wait().expect("its end");
        assert!(status.success(), "{status}\n{}", self.log());
    }
}

/// A character device that is open to all.
fn make_device(path: &Path, major: u32, minor: u32) {
    let number = rustix::fs::makedev(major, minor);
    let mode = Mode::empty();
    rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, mode, number).expect("a device");
    fs::set_permissions(path, Permissions::from_mode(0o666)).expect("its mode");
}

impl Drop for User {
    fn drop(&mut self) {
        self.fixture.stop();
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Reading, saving, asking and unmounting, at a place of its own or over the store.
fn use_a_mount(over: bool) {
    let mut user = User::new();
    let at = if over { user.fixture.store() } else { user.fixture.mnt() };
    user.mount(&at);
    user.sh(&at, "printf 'password = \"CANARY-one\"\\nport = 1\\n' > app.toml");
    user.sh(
        &at,
        "sed -i 's/port = 1/port = 2/' app.toml && echo 'token = \"CANARY-two\"' >> app.toml",
    );
    let whole = "password = \"CANARY-one\"\nport = 2\ntoken = \"CANARY-two\"\n";
    assert_eq!(user.sh(&at, "cat app.toml"), whole);
    let answer = user.sh(&at, "exec 3<>.confseal/control && echo 'rewrap --all' >&3 && cat <&3");
    assert!(answer.starts_with("2 encrypted fields re-wrapped"), "{answer}");
    assert_eq!(user.sh(&at, "stat -c %u .confseal/control"), format!("{NOBODY}\n"));
    // Nobody else, not even root, unless that is asked for.
    let error = fs::read(at.join("app.toml")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    user.umount(&at);
    user.fixture.assert_sealed(&["CANARY"]);
    assert_eq!(fs::metadata(user.fixture.store().join("app.toml")).unwrap().uid(), NOBODY);
    user.mount(&at);
    assert_eq!(user.sh(&at, "cat app.toml"), whole);
    user.umount(&at);
}

#[test]
fn an_ordinary_user_mounts_saves_asks_and_unmounts() {
    use_a_mount(false);
}

#[test]
fn an_ordinary_user_does_so_over_the_store_itself() {
    use_a_mount(true);
}

#[test]
fn neither_his_daemon_nor_the_child_it_leaves_behind_shows_the_key() {
    let mut user = User::new();
    let at = user.fixture.mnt();
    user.mount(&at);
    let daemon = user.pid();
    let children = fs::read_to_string(format!("/proc/{daemon}/task/{daemon}/children")).unwrap();
    let children: Vec<u32> =
        children.split_whitespace().map(|id| id.parse().expect("an id")).collect();
    assert!(!children.is_empty(), "one runs fusermount3 for it");
    for id in children.into_iter().chain([daemon]) {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap();
        assert!(holds(&environment, "PATH="), "process {id}: it can be seen");
        assert!(!holds(&environment, &FIRST[..16]), "process {id}: the key stands in it");
        // What the kernel says of a process that may not be dumped: its files are root's.
        assert_eq!(fs::metadata(format!("/proc/{id}/mem")).unwrap().uid(), 0, "process {id}");
        let looked = user.command("cat").arg(format!("/proc/{id}/environ")).output().unwrap();
        assert!(!looked.status.success(), "he himself may not look into process {id}");
    }
    user.umount(&at);
}

/// It fails, says each of `words`, and leaves nothing mounted.
#[track_caller]
fn refused(user: &User, output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(10), "{}", text(output));
    let said = String::from_utf8_lossy(&output.stderr);
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    assert!(user.fixture.mounted().is_empty());
}

#[test]
fn what_he_lacks_is_named() {
    let user = User::new();
    let mount = |path: &str| {
        let source = user.fixture.source("master");
        let mut command = user.mount_command(&user.fixture.mnt());
        command.args(["--key", &source]).env("PATH", path).output().expect("confseal")
    };
    let path = std::env::var("PATH").expect("a path");
    refused(&user, &mount("/nowhere"), &["fusermount3", "hint: install package fuse3"]);

    let device = user.fixture.dir().join("fuse");
    fs::set_permissions(&device, Permissions::from_mode(0o600)).unwrap();
    refused(&user, &mount(&path), &["/dev/fuse", "chmod 666 /dev/fuse"]);

    // No device at all.
    rustix::mount::mount("none", "/dev", "tmpfs", MountFlags::empty(), None).unwrap();
    for (name, minor) in [("null", 3), ("urandom", 9)] {
        make_device(&Path::new("/dev").join(name), 1, minor);
    }
    refused(&user, &mount(&path), &["fuse", "modprobe fuse"]);
}

#[test]
fn he_edits_a_file_in_a_private_room_without_a_mount() {
    let user = User::new();
    let (dir, store) = (user.fixture.dir().to_owned(), user.fixture.store());
    user.sh(&store, "printf 'password = \"CANARY-one\"\\nport = 1\\n' > app.toml");
    let confseal = |words: &[&str], editor: &str| {
        let mut command = user.command(dir.join("confseal"));
        command.args(words).args(["--key", &user.fixture.source("master")]).current_dir(&store);
        command.env("EDITOR", editor).output().expect("confseal")
    };
    assert!(confseal(&["seal", "."], "").status.success());
    // Not even where anybody may write.
    let editor =
        "f() { sed -i s/CANARY-one/CANARY-two/ \"$1\" && ! cp \"$1\" /var/tmp/ 2>/dev/null; }; f";
    let done = confseal(&["edit", "app.toml"], editor);
    assert!(done.status.success(), "{}", text(&done));
    let done = confseal(&["view", "app.toml"], "");
    assert_eq!(done.stdout, b"password = \"CANARY-two\"\nport = 1\n");
    user.fixture.assert_sealed(&["CANARY"]);
}
