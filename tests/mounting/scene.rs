//! A place for one test: a directory of its own with a mount point, and the daemons started there.
//! All is taken away again when it is dropped.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::iter::once;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use tempfile::TempDir;

const NOBODY: u32 = 65534;
const PATIENCE: Duration = Duration::from_secs(10);

/// What becomes of mounts below the scene in the namespace of a daemon.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They appear there too, as on a host with systemd.
    Shared,
    /// They do not.
    Private,
}

/// See the head of this file.
pub struct Scene {
    /// Where all of it lies; a mount of its own.
    pub root: PathBuf,
    /// The mount point, an absolute path; one file lies beneath.
    pub point: PathBuf,
    covered: Vec<&'static str>,
    _directory: TempDir,
}

impl Scene {
    /// For daemons of root.
    pub fn new(propagation: Propagation) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        rustix::mount::mount_bind(&root, &root).unwrap();
        let how = match propagation {
            Propagation::Shared => MountPropagationFlags::SHARED,
            Propagation::Private => MountPropagationFlags::PRIVATE,
        };
        let point = root.join("above/a point, with blank");
        let scene = Self { root, point, covered: Vec::new(), _directory: directory };
        rustix::mount::mount_change(&scene.root, how).unwrap();
        fs::set_permissions(&scene.root, Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(&scene.point).unwrap();
        fs::write(scene.point.join("beneath"), "").unwrap();
        scene
    }

    /// For daemons of an ordinary user: the mount point is his, and the device open to him.
    pub fn for_nobody(propagation: Propagation) -> Self {
        let mut scene = Self::new(propagation);
        chown(&scene.point, Some(NOBODY), Some(NOBODY)).unwrap();
        // The program may lie where he cannot go.
        fs::copy(std::env::current_exe().unwrap(), scene.root.join("daemon")).unwrap();
        let device = scene.root.join("fuse");
        let number = rustix::fs::makedev(10, 229);
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(CWD, &device, FileType::CharacterDevice, mode, number).unwrap();
        fs::set_permissions(&device, Permissions::from_mode(0o666)).unwrap();
        scene.cover(&device, "/dev/fuse");
        let configuration = scene.root.join("fuse.conf");
        fs::write(&configuration, "").unwrap();
        scene.cover(&configuration, "/etc/fuse.conf");
        scene
    }

    fn cover(&mut self, with: &Path, path: &'static str) {
        rustix::mount::mount_bind(with, path).unwrap();
        self.covered.push(path);
    }

    /// What `/etc/fuse.conf` says.
    pub fn fuse_conf(&self, text: &str) {
        fs::write(self.root.join("fuse.conf"), text).unwrap();
    }

    /// Keeps ordinary users from the device.
    pub fn close_device(&self) {
        fs::set_permissions(self.root.join("fuse"), Permissions::from_mode(0o600)).unwrap();
    }

    /// A daemon to be started on the mount point.
    pub fn daemon(&self) -> Plan<'_> {
        Plan { scene: self, nobody: false, missing: None, arguments: vec![], variables: vec![] }
    }

    /// A program run by an ordinary user.
    pub fn as_nobody(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.uid(NOBODY).gid(NOBODY);
        command
    }

    /// The names at the mount point, as the host sees them.
    pub fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.point);
        let entries = entries.unwrap_or_else(|_| panic!("cannot list {}", self.point.display()));
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The report of the daemon, read through the mount.
    pub fn report(&self) -> String {
        fs::read_to_string(self.point.join("report")).unwrap()
    }

    /// Runs `umount PATH`.
    pub fn umount(&self, path: &Path) {
        assert!(Command::new("umount").arg(path).status().unwrap().success());
    }

    /// Runs `umount -l PATH`.
    pub fn umount_lazily(&self, path: &Path) {
        assert!(Command::new("umount").arg("-l").arg(path).status().unwrap().success());
    }

    /// Mounts something else.
    pub fn tmpfs(&self, path: &Path) {
        rustix::mount::mount("other", path, "tmpfs", MountFlags::empty(), None).unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for path in &self.covered {
            let _ = rustix::mount::unmount(*path, UnmountFlags::DETACH);
        }
        let _ = rustix::mount::unmount(&self.root, UnmountFlags::DETACH);
    }
}

/// How to start a daemon.
pub struct Plan<'a> {
    scene: &'a Scene,
    nobody: bool,
    missing: Option<&'static str>,
    arguments: Vec<&'static str>,
    variables: Vec<(&'static str, OsString)>,
}

impl Plan<'_> {
    /// By an ordinary user.
    pub fn by_nobody(mut self) -> Self {
        self.nobody = true;
        self
    }

    /// By root without one of its capabilities.
    pub fn without_capability(mut self, name: &'static str) -> Self {
        self.missing = Some(name);
        self
    }

    /// With an option more.
    pub fn argument(mut self, argument: &'static str) -> Self {
        self.arguments.push(argument);
        self
    }

    /// With an environment variable.
    pub fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// The command line.
    pub fn command(&self) -> Command {
        let own = std::env::current_exe().unwrap();
        let mut command = match self.missing {
            _ if self.nobody => {
                self.scene.as_nobody(self.scene.root.join("daemon").to_str().unwrap())
            }
            Some(name) => {
                let mut command = Command::new("setpriv");
                let without = format!("-{name}");
                command.args(["--inh-caps", &without, "--bounding-set", &without]).arg(own);
                command
            }
            None => Command::new(own),
        };
        command.arg("daemon").arg(&self.scene.point).args(&self.arguments);
        command.envs(self.variables.iter().cloned());
        command
    }

    /// The same, word by word.
    pub fn command_line(&self) -> Vec<OsString> {
        let command = self.command();
        let words = once(command.get_program()).chain(command.get_args());
        words.map(OsStr::to_owned).collect()
    }

    /// Starts it.
    pub fn spawn(self) -> Daemon {
        let complaints = self.scene.root.join("complaints");
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(File::create(&complaints).unwrap()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Daemon { child, lines, complaints }
    }

    /// Starts it and waits for its mount.
    pub fn start(self) -> Daemon {
        let mut daemon = self.spawn();
        daemon.expect("mounted");
        daemon
    }
}

/// A daemon at work. Killed when dropped.
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    complaints: PathBuf,
}

impl Daemon {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to do something.
    pub fn order(&mut self, order: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{order}").unwrap();
    }

    /// What it says next.
    pub fn next_line(&mut self) -> String {
        self.lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("{error}; it complains: {}", self.complaints()))
    }

    /// It says just that.
    #[track_caller]
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.next_line(), line, "it complains: {}", self.complaints());
    }

    /// It says nothing, and goes on.
    #[track_caller]
    pub fn expect_silence(&mut self, duration: Duration) {
        assert_eq!(self.lines.recv_timeout(duration), Err(RecvTimeoutError::Timeout));
    }

    /// What it wrote to standard error.
    pub fn complaints(&self) -> String {
        fs::read_to_string(&self.complaints).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        send_signal(name, &self.pid().to_string());
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of the host's table of mounts about one place.
pub fn mount_lines(point: &Path) -> Vec<String> {
    let point = point.to_str().unwrap().replace(' ', "\\040");
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let lines = table.lines().filter(|line| line.split(' ').nth(4) == Some(&point));
    lines.map(str::to_owned).collect()
}

/// Descriptors of a process that it would hand on to a program that it starts.
pub fn inheritable_descriptors(pid: &str) -> Vec<u32> {
    const CLOEXEC: u32 = 0o2_000_000;
    let mut numbers = vec![];
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap() {
        let entry = entry.unwrap();
        // The listing's own descriptor is gone by now.
        let Ok(info) = fs::read_to_string(entry.path()) else { continue };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        if u32::from_str_radix(flags.trim(), 8).unwrap() & CLOEXEC == 0 {
            numbers.push(entry.file_name().to_str().unwrap().parse().unwrap());
        }
    }
    numbers.sort();
    numbers
}

/// Runs `kill -s NAME PID`.
pub fn send_signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args(["-s", name, pid]).status().unwrap().success());
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "it did not come about");
        thread::sleep(Duration::from_millis(5));
    }
}
