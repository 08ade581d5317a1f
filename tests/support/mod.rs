//! A fresh store, mounted by the real program; unmounted, and its daemon gone, when the test ends,
//! also by a panic.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub const CONFSEAL: &str = env!("CARGO_BIN_EXE_confseal");

/// How long a mount may take to come or go.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two keys whose ids are known: `FIRST` is the master at first.
pub const FIRST: &str = "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf";
/// The second key.
pub const SECOND: &str = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf";

/// A directory of its own with a store, a mount point and key files.
pub struct Fixture {
    dir: tempfile::TempDir,
    store: PathBuf,
    daemon: Option<Child>,
    log_level: &'static str,
    variables: Vec<(String, String)>,
    open_files: Option<u32>,
    starter: Vec<OsString>,
}

impl Fixture {
    /// With an empty store, not mounted. Below `/var/tmp`: a disk, where the tests' answers count.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("confseal-test-").tempdir_in("/var/tmp");
        let dir = dir.expect("a temporary directory");
        let store = dir.path().join("store");
        let fixture = Self {
            dir,
            store,
            daemon: None,
            log_level: "debug",
            variables: Vec::new(),
            open_files: None,
            starter: Vec::new(),
        };
        for name in ["store", "mnt"] {
            fs::create_dir(fixture.dir.path().join(name)).expect("a directory");
        }
        fixture.key("master", FIRST);
        fixture
    }

    /// The same with this test's thread, and the programs it starts, in a mount namespace of their
    /// own: whoever copies the mounts of the machine meanwhile does not keep this one in use.
    pub fn apart() -> Self {
        apart();
        Self::new()
    }

    /// The directory that holds everything.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The store itself, sealed side. Not to be used while a mount covers it.
    pub fn store(&self) -> PathBuf {
        self.store.clone()
    }

    /// Takes the directory `store`, which lies below [`Fixture::dir`], for the store from here on.
    pub fn use_store(&mut self, store: PathBuf) {
        self.store = store;
    }

    /// The plaintext side, when mounted by [`Fixture::mount`].
    pub fn mnt(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// Writes a key file `NAME.key`.
    pub fn key(&self, name: &str, hex: &str) -> PathBuf {
        let path = self.dir.path().join(format!("{name}.key"));
        fs::write(&path, hex).expect("a key file");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("its mode");
        path
    }

    /// Sets an environment variable for the daemons started from here on.
    pub fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Limits how many files the daemons started from here on may have open.
    pub fn open_files(&mut self, most: u32) -> &mut Self {
        self.open_files = Some(most);
        self
    }

    /// Has the daemons from here on started by another program, which is given these arguments,
    /// then theirs, and becomes the daemon.
    pub fn started_by(&mut self, starter: Vec<OsString>) -> &mut Self {
        self.starter = starter;
        self
    }

    /// `file:…/NAME.key`, for `--key` and `--legacy`.
    pub fn source(&self, name: &str) -> String {
        format!("file:{}", self.dir.path().join(format!("{name}.key")).display())
    }

    /// Writes a file into the store, as an operator would before adopting it.
    pub fn put(&mut self, name: &str, content: impl AsRef<[u8]>) -> &mut Self {
        let path = self.store().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
        fs::write(path, content).expect("a file in the store");
        self
    }

    /// What the store holds under `name`.
    pub fn stored(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.store().join(name)).expect(name)).into_owned()
    }

    /// What the mount shows under `name`.
    pub fn seen(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.mnt().join(name)).expect(name)).into_owned()
    }

    /// The value of the metric `name` with `label` among its labels, if any is named.
    pub fn metric(&self, name: &str, label: &str) -> u64 {
        let text = self.seen(".confseal/metrics");
        let start = format!("confseal_{name}{{");
        let mut lines =
            text.lines().filter(|line| line.starts_with(&start) && line.contains(label));
        let line = lines.next().unwrap_or_else(|| panic!("{name} {label} is not in {text}"));
        assert_eq!(lines.next(), None, "several {name} {label}");
        line.rsplit(' ').next().expect("a value").parse().expect("a number")
    }

    /// Where this fixture's programs remember what was accepted of its store.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Runs the program with `arguments` to its end.
    pub fn confseal<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        Command::new(CONFSEAL)
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("CONFSEAL_MASTER_KEY")
            .env("CONFSEAL_STATE_DIRECTORY", self.state())
            .stdin(Stdio::null())
            .output()
            .expect("confseal runs")
    }

    /// `confseal seal STORE` under the master key; it has to succeed.
    pub fn seal(&mut self) -> &mut Self {
        let store = self.store();
        let done = self.confseal([
            OsStr::new("seal"),
            store.as_os_str(),
            OsStr::new("--key"),
            OsStr::new(&self.source("master")),
        ]);
        assert!(done.status.success(), "{}", text(&done));
        self
    }

    /// Mounts the store at `mnt` under the master key.
    pub fn mount(&mut self) -> &mut Self {
        let (store, mnt) = (self.store(), self.mnt());
        self.mount_with(&store, Some(&mnt), &[])
    }

    /// The same with hardly any log: for measuring.
    pub fn mount_quietly(&mut self) -> &mut Self {
        let (store, mnt) = (self.store(), self.mnt());
        self.log_level = "warn";
        self.mount_with(&store, Some(&mnt), &[])
    }

    /// Mounts over the store itself.
    pub fn mount_over(&mut self) -> &mut Self {
        let store = self.store();
        self.mount_with(&store, None, &[])
    }

    /// Mounts with further arguments, in the foreground as a child of the test, whose log goes to
    /// `daemon.log`. Returns when the mount stands.
    pub fn mount_with(&mut self, store: &Path, at: Option<&Path>, more: &[&str]) -> &mut Self {
        self.start_mount(store, at, more);
        let point = at.unwrap_or(store);
        self.wait_for("the mount", || point.join(".confseal/control").exists());
        self
    }

    /// The same without waiting for the mount.
    pub fn start_mount(&mut self, store: &Path, at: Option<&Path>, more: &[&str]) {
        assert!(self.daemon.is_none(), "one mount at a time");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path());
        let mut starter = self.starter.clone();
        if let Some(most) = self.open_files {
            starter.extend(["prlimit".into(), format!("--nofile={most}:{most}").into()]);
        }
        starter.push(CONFSEAL.into());
        let mut command = Command::new(&starter[0]);
        command.args(&starter[1..]);
        command.args(["mount", "-f"]).arg(store).args(at);
        if !more.contains(&"--key") && !more.contains(&"--instance") {
            command.args(["--key", &self.source("master")]);
        }
        command.args(more).current_dir(self.dir.path()).stdin(Stdio::null());
        command
            .env("CONFSEAL_STATE_DIRECTORY", self.state())
            .envs(self.variables.iter().cloned())
            .env("CONFSEAL_LOG", self.log_level)
            .stdout(Stdio::null())
            .stderr(log.expect("a log"));
        self.daemon = Some(command.spawn().expect("confseal mount"));
    }

    /// Whether the daemon has ended.
    pub fn has_ended(&mut self) -> bool {
        let daemon = self.daemon.as_mut().expect("a daemon");
        daemon.try_wait().expect("the daemon's state").is_some()
    }

    /// Waits until `there` says so; panics with the daemon's log when it ends first or takes too
    /// long.
    pub fn wait_for(&mut self, what: &str, there: impl Fn() -> bool) {
        let start = Instant::now();
        while !there() {
            if let Some(daemon) = &mut self.daemon
                && let Some(status) = daemon.try_wait().expect("the daemon's state")
            {
                panic!("waiting for {what}, but the daemon ended: {status}\n{}", self.log());
            }
            assert!(start.elapsed() < PATIENCE, "no {what} in time\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("daemon.log")
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("a daemon").id()
    }

    /// Sends the daemon a signal by name (`TERM`, `KILL`, `HUP`).
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Unmounts as an administrator would, and waits for the daemon; its exit must be clean.
    pub fn umount(&mut self) -> &mut Self {
        for point in self.mounted() {
            let umount = || Command::new("umount").arg(&point).output().expect("umount");
            let mut done = umount();
            let start = Instant::now();
            // What a test just closed may for a moment be open in a program that another test is
            // about to start.
            while !done.status.success() && start.elapsed() < PATIENCE / 10 {
                std::thread::sleep(Duration::from_millis(5));
                done = umount();
            }
            assert!(done.status.success(), "{}", text(&done));
        }
        self.expect_end();
        self
    }

    /// Waits for the daemon to end by itself, cleanly.
    pub fn expect_end(&mut self) {
        let status = self.wait_end();
        assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", self.log());
    }

    /// Waits for the daemon's end, however it comes; `None` if it does not.
    pub fn wait_end(&mut self) -> Option<std::process::ExitStatus> {
        let mut daemon = self.daemon.take().expect("a daemon");
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = daemon.try_wait().expect("the daemon's state") {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = daemon.kill();
        let _ = daemon.wait();
        None
    }

    /// SIGKILL, then the dead mount is taken away.
    pub fn kill(&mut self) -> &mut Self {
        self.kill_daemon();
        self.clear_mounts();
        self
    }

    /// SIGKILL; the dead mount stays, so that nobody writes to what lies beneath.
    pub fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a daemon");
        daemon.kill().expect("kill");
        daemon.wait().expect("its end");
    }

    /// Every FUSE mount of ours in this fixture, as far as this thread sees them.
    pub fn mounted(&self) -> Vec<PathBuf> {
        let dir = self.dir.path().to_string_lossy().into_owned();
        let mounts = fs::read_to_string("/proc/thread-self/mounts").expect("the mounts");
        let fields = mounts.lines().filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        });
        let ours = fields.filter(|(at, kind)| *kind == "fuse.confseal" && at.starts_with(&dir));
        ours.map(|(at, _)| PathBuf::from(at)).collect()
    }

    /// Takes every mount of this fixture away, dead or alive.
    pub fn clear_mounts(&self) {
        for point in self.mounted() {
            let _ = Command::new("umount").arg("-l").arg(point).output();
        }
    }

    /// Writes one command line to `control`, and reads the answer on the same descriptor. The
    /// errno of the write when it fails.
    pub fn control(&self, line: &str) -> (Result<(), i32>, String) {
        control_at(&self.mnt(), line)
    }

    /// No file of the store, nor its name, holds any of `canaries`.
    pub fn assert_sealed(&self, canaries: &[&str]) {
        let mut files = Vec::new();
        collect(&self.store(), &mut files);
        assert!(!files.is_empty(), "an empty store proves nothing");
        for file in files {
            let bytes = fs::read(&file).unwrap_or_default();
            for canary in canaries {
                let named = holds(file.as_os_str().as_encoded_bytes(), canary);
                assert!(!named && !holds(&bytes, canary), "{canary} stands in {}", file.display());
            }
        }
    }
}

impl Fixture {
    /// Takes mounts and daemon away, whatever state they are in.
    pub fn stop(&mut self) {
        self.clear_mounts();
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop();
        let dir = self.dir.path().to_string_lossy().into_owned();
        let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap_or_default();
        let left = mounts.lines().any(|line| line.contains(&dir));
        if left && !std::thread::panicking() {
            panic!("a mount was left behind in {dir}");
        }
    }
}

/// Moves this thread, and the programs that it starts, into a mount namespace of its own, which
/// keeps as few mounts of other tests in use as the kernel permits.
pub fn apart() {
    use confseal::sys::mount::{detach_stranded, enter_own_mount_namespace};
    enter_own_mount_namespace().expect("a mount namespace: run as root");
    let _ = detach_stranded("fuse.confseal");
}

/// See [`Fixture::control`].
pub fn control_at(mount: &Path, line: &str) -> (Result<(), i32>, String) {
    use std::io::Write;
    let path = mount.join(".confseal/control");
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).expect("control");
    let done = file
        .write(format!("{line}\n").as_bytes())
        .map(|_| ())
        .map_err(|error| error.raw_os_error().expect("an errno"));
    let mut answer = String::new();
    file.read_to_string(&mut answer).expect("an answer");
    (done, answer)
}

/// Whether `bytes` hold `text`.
pub fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Every regular file below `dir`. One that goes while this looks is left out: the release after a
/// close that failed commits once more, and nothing waits for it.
pub fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let kind = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata.expect("its type").file_type(),
        };
        if kind.is_dir() {
            collect(&path, files);
        } else if kind.is_file() {
            files.push(path);
        }
    }
}

/// What a program said, for messages.
pub fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// Runs a shell line in `dir`; it has to succeed.
pub fn sh(dir: &Path, line: &str) -> String {
    let done = Command::new("bash").args(["-ec", line]).current_dir(dir).output().expect("bash");
    assert!(done.status.success(), "{line}\n{}", text(&done));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
