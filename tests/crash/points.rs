//! The points at which a save can be cut off or fail: each system call by which the daemon changes
//! its store, or what it remembers of it, in the order in which it makes them, whatever thread
//! makes them. Enumerated, not drawn: `supervisor.c` is asked by the kernel about each.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Fixture, text};

/// How long the supervisor may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The variable with a supervisor's first order.
const ORDER: &str = "CONFSEAL_TEST_ORDER";

/// Orders to the supervisor of a fixture's daemon.
pub struct Points {
    listener: UnixListener,
    connection: Option<BufReader<UnixStream>>,
}

/// What was counted between an order and its end.
pub struct Counted {
    /// The names of the system calls, in their order.
    pub calls: Vec<String>,
}

impl Points {
    /// Has the fixture's daemons started under the supervisor from here on.
    pub fn of(fixture: &mut Fixture) -> Self {
        let (program, socket) = (fixture.dir().join("supervisor"), fixture.dir().join("socket"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/points/supervisor.c");
        let mut compiler = Command::new("gcc");
        let built = compiler.args(["-O1", "-o"]).arg(&program).arg(source).output();
        let built = built.expect("gcc, which tests/run installs");
        assert!(built.status.success(), "{}", text(&built));
        let listener = UnixListener::bind(&socket).expect("a socket");
        let watched = format!("{}:{}", fixture.store().display(), fixture.state().display());
        fixture.started_by(vec![program.into(), socket.into(), OsString::from(watched)]);
        Self { listener, connection: None }
    }

    /// Mounts, and takes the new daemon's supervisor for the one to give orders to.
    pub fn mount(&mut self, fixture: &mut Fixture) {
        self.mount_with(fixture, &[]);
    }

    /// The same with further arguments.
    pub fn mount_with(&mut self, fixture: &mut Fixture, more: &[&str]) {
        let (store, mnt) = (fixture.store(), fixture.mnt());
        fixture.mount_with(&store, Some(&mnt), more);
        self.take_over();
    }

    /// Starts a mount whose `n`th change from its very beginning ends it.
    pub fn start_mount_killed_at(&mut self, fixture: &mut Fixture, n: usize) {
        let (store, mnt) = (fixture.store(), fixture.mnt());
        fixture.variable(ORDER, &format!("kill {n}")).start_mount(&store, Some(&mnt), &[]);
        self.take_over();
        fixture.variable(ORDER, "");
        let mut answer = String::new();
        self.connection.as_mut().expect("a supervisor").read_line(&mut answer).expect("an answer");
        assert_eq!(answer, "ok\n");
    }

    fn take_over(&mut self) {
        let (connection, _) = self.listener.accept().expect("its supervisor");
        connection.set_read_timeout(Some(PATIENCE)).expect("a limit");
        self.connection = Some(BufReader::new(connection));
    }

    /// The `n`th change from here on ends the daemon instead; `n` counts from 1.
    pub fn kill_at(&mut self, n: usize) {
        self.order(&format!("kill {n}"));
    }

    /// The `n`th change from here on fails with `errno`; `on`: so does each that follows it.
    pub fn fail_at(&mut self, n: usize, errno: i32, on: bool) {
        self.order(&format!("{} {n} {errno}", if on { "fail-on" } else { "fail" }));
    }

    /// The same, reads counting too.
    pub fn fail_read_at(&mut self, n: usize, errno: i32) {
        self.order(&format!("read-fail {n} {errno}"));
    }

    /// Changes and reads are counted from here on.
    pub fn count_reads(&mut self) {
        self.fail_read_at(usize::MAX >> 1, libc::EIO);
    }

    /// The `n`th change from here on waits, and each that follows it.
    pub fn hold_at(&mut self, n: usize) {
        self.order(&format!("hold {n}"));
    }

    /// Returns when a change does wait: `true`. Or when it will not come to that any more.
    pub fn wait_for_hold(&mut self, mut is_over: impl FnMut() -> bool) -> bool {
        let mut held = false;
        crate::eventually("a change that waits, or the end", || {
            held = self.ask("held") == "yes";
            held || is_over()
        });
        // The last change may have come just before the end.
        held || self.ask("held") == "yes"
    }

    /// Back to normal; what waits goes on. Says what was counted, `None` if the daemon is gone.
    pub fn end(&mut self) -> Option<Counted> {
        let connection = self.connection.as_mut().expect("a supervisor").get_mut();
        // Nobody there, or an end instead of an answer: it left with the daemon.
        connection.write_all(b"end\n").ok()?;
        let mut answer = String::new();
        let read = self.connection.as_mut().expect("a supervisor").read_line(&mut answer);
        let mut words = answer.split_whitespace();
        match (read, words.next()) {
            (Ok(_), Some(_)) => Some(Counted { calls: words.map(str::to_owned).collect() }),
            _ => None,
        }
    }

    fn order(&mut self, line: &str) {
        assert_eq!(self.ask(line), "ok", "{line}");
    }

    fn ask(&mut self, line: &str) -> String {
        let connection = self.connection.as_mut().expect("a supervisor");
        connection.get_mut().write_all(format!("{line}\n").as_bytes()).expect("it listens");
        let mut answer = String::new();
        connection.read_line(&mut answer).expect("an answer in time");
        answer.trim_end().to_owned()
    }
}

/// A call that failed, of those that a program made.
#[derive(Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its name, as in the list.
    pub call: String,
    /// What the program saw.
    pub errno: i32,
}

/// `program.py`: makes lists of system calls in a mount. A process of its own, because it hears
/// what `close` answers, and because nobody else has a copy of its descriptors.
pub struct Program {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Started, in this thread's mount namespace.
    pub fn start() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/points/program.py");
        let mut python = Command::new("/usr/bin/python3");
        let python = python.arg(source).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = python.spawn().expect("python3, which tests/run installs");
        let input = process.stdin.take().expect("its input");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        Self { process, input, output }
    }

    /// Has it make `calls` in `mount`, up to the first that fails.
    pub fn run(&mut self, mount: &Path, calls: &[Value]) -> Result<(), Failed> {
        self.begin(mount, calls);
        self.outcome()
    }

    /// Has it begin: [`Program::outcome`] waits.
    pub fn begin(&mut self, mount: &Path, calls: &[Value]) {
        let order = serde_json::json!([mount, calls]);
        writeln!(self.input, "{order}").expect("it reads");
    }

    /// Whether it has made the calls that it was told to make.
    pub fn is_done(&mut self) -> bool {
        let mut ready =
            [rustix::event::PollFd::new(self.output.get_ref(), rustix::event::PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut ready, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// How the calls that it was told to make went.
    pub fn outcome(&mut self) -> Result<(), Failed> {
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("it answers");
        match serde_json::from_str(&answer).expect("an answer") {
            None => Ok(()),
            Some((call, errno)) => Err(Failed { call, errno }),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The leftovers of commits in the store.
pub fn leftovers(fixture: &Fixture) -> Vec<PathBuf> {
    let mut files = Vec::new();
    crate::support::collect(&fixture.store(), &mut files);
    let is_leftover = |file: &PathBuf| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".confseal-tmp."))
    };
    files.into_iter().filter(is_leftover).collect()
}

/// What was kept aside, by name.
pub fn kept(fixture: &Fixture) -> Vec<String> {
    let Ok(entries) = fs::read_dir(fixture.store().join(".confseal/kept")) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
