//! The file systems that are measured side by side: a plain directory, the mount, and three other
//! FUSE file systems that encrypt. Each is mounted over an empty store of its own, and filled through
//! its mount.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Fixture;

/// The other FUSE file systems, which are Debian packages of the same names.
pub const OTHERS: [&str; 3] = ["gocryptfs", "encfs", "securefs"];

const PASSWORD: &str = "a password of no consequence";

/// How long a mount of the others may take to come or go: they stretch their password.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of them, mounted until it is dropped.
pub struct Side {
    pub name: &'static str,
    kind: Kind,
}

enum Kind {
    Plain(PathBuf),
    Confseal(Box<Fixture>),
    Other(Other),
}

/// One that is run by its own program.
struct Other {
    program: &'static str,
    dir: PathBuf,
}

/// All that are installed, in a directory of `home`: the plain directory first, then confseal.
pub struct Sides {
    pub all: Vec<Side>,
    _home: tempfile::TempDir,
}

impl Sides {
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("confseal-bench-").tempdir_in("/var/tmp");
        let home = home.expect("a temporary directory");
        let plain = home.path().join("plain");
        fs::create_dir(&plain).expect("the plain directory");
        let mut fixture = Fixture::new();
        fixture.mount_quietly();
        let mut all = vec![
            Side { name: "ext4", kind: Kind::Plain(plain) },
            Side { name: "confseal", kind: Kind::Confseal(Box::new(fixture)) },
        ];
        for program in OTHERS.into_iter().filter(|program| is_installed(program)) {
            let other = Other { program, dir: home.path().join(program) };
            other.make();
            other.mount();
            all.push(Side { name: program, kind: Kind::Other(other) });
        }
        Self { all, _home: home }
    }

    /// Writes `content` as `name` into each of them.
    pub fn put(&self, name: &str, content: &str) {
        for side in &self.all {
            let path = side.root().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
            fs::write(path, content).expect(side.name);
        }
    }
}

impl Side {
    /// Where its plaintext is seen.
    pub fn root(&self) -> PathBuf {
        match &self.kind {
            Kind::Plain(path) => path.clone(),
            Kind::Confseal(fixture) => fixture.mnt(),
            Kind::Other(other) => other.mountpoint(),
        }
    }

    /// Mounts it anew: nothing is cached, in the kernel or in the daemon.
    pub fn remount(&mut self) {
        match &mut self.kind {
            Kind::Plain(_) => {}
            Kind::Confseal(fixture) => {
                fixture.umount().mount_quietly();
            }
            Kind::Other(other) => {
                other.umount();
                other.mount();
            }
        }
    }
}

impl Other {
    fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    fn mountpoint(&self) -> PathBuf {
        self.dir.join("mnt")
    }

    /// An empty store with the program's own defaults.
    fn make(&self) {
        fs::create_dir_all(self.store()).expect("a store");
        fs::create_dir_all(self.mountpoint()).expect("a mount point");
        fs::write(self.password(), PASSWORD).expect("a password");
        let (store, password) = (self.store(), self.password());
        match self.program {
            "gocryptfs" => run(
                "gocryptfs",
                &[
                    "-init".as_ref(),
                    "-q".as_ref(),
                    "-passfile".as_ref(),
                    password.as_os_str(),
                    store.as_os_str(),
                ],
            ),
            "securefs" => run(
                "securefs",
                &["create".as_ref(), "--pass".as_ref(), PASSWORD.as_ref(), store.as_os_str()],
            ),
            // Made by its first mount.
            _ => {}
        }
    }

    fn mount(&self) {
        let (store, mnt, password) = (self.store(), self.mountpoint(), self.password());
        let ask = format!("cat {}", password.display());
        let arguments: &[&OsStr] = match self.program {
            "gocryptfs" => &["-q".as_ref(), "-passfile".as_ref(), password.as_os_str()],
            "encfs" => &["--standard".as_ref(), "--extpass".as_ref(), ask.as_ref()],
            "securefs" => &["mount".as_ref(), "-b".as_ref(), "--pass".as_ref(), PASSWORD.as_ref()],
            other => panic!("{other} is not known here"),
        };
        run(self.program, &[arguments, &[store.as_os_str(), mnt.as_os_str()]].concat());
        wait_until(self.program, || is_mounted(&mnt));
    }

    fn umount(&self) {
        let mnt = self.mountpoint();
        wait_until(self.program, || {
            let _ = Command::new("umount").arg(&mnt).stderr(Stdio::null()).status();
            !is_mounted(&mnt)
        });
    }

    fn password(&self) -> PathBuf {
        self.dir.join("password")
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if is_mounted(&self.mountpoint()) {
            let _ = Command::new("umount").arg("-l").arg(self.mountpoint()).status();
        }
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn is_mounted(at: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("the mounts");
    mounts.lines().any(|line| line.split(' ').nth(1).is_some_and(|path| at == Path::new(path)))
}

fn run(program: &str, arguments: &[&OsStr]) {
    let mut command = Command::new(program);
    // Kept away from ours: a daemon that inherits a pipe would hold it open.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().expect(program);
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

fn wait_until(what: &str, there: impl Fn() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < PATIENCE, "{what} does not come, or go, in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}
