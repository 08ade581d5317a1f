//! What the stories share: programs that have to be there, servers that end with their test, and
//! the search at a story's end.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use aho_corasick::AhoCorasick;

use crate::support::Fixture;

/// How long a program may take to begin, or to end, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the tests need, as pairs `program:package`.
const LIST: &str = include_str!("../run");

/// Where `program` is. No test passes for want of its program, nor because the list in `tests/run`
/// forgot it.
#[track_caller]
pub fn need(program: &str) -> PathBuf {
    let pairs = LIST.split(|c: char| c.is_whitespace() || "()".contains(c));
    let package = pairs
        .filter_map(|pair| pair.split_once(':'))
        .find_map(|(listed, package)| {
            let name = listed.rsplit('/').next();
            (listed == program || name == Some(program)).then_some(package)
        })
        .unwrap_or_else(|| panic!("{program} is not on the list in tests/run"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.extend(["/usr/sbin".into(), "/sbin".into()]);
    // Debian keeps each version of PostgreSQL in a directory of its own.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    places.extend(versions.map(|version| version.path().join("bin")));
    places
        .iter()
        .map(|place| place.join(program))
        .find(|there| there.is_file())
        .unwrap_or_else(|| panic!("{program} is missing: install Debian's package `{package}`"))
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A server in the foreground; what it says goes to `server.log` of the fixture. It ends with the
/// test, whatever becomes of that.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it; returns when `ready` says that it serves.
    #[track_caller]
    pub fn start(
        mut command: Command,
        fixture: &Fixture,
        mut ready: impl FnMut(&str) -> bool,
    ) -> Self {
        let log = fixture.dir().join("server.log");
        let said = || File::options().create(true).append(true).open(&log).expect("its log");
        let before = fs::metadata(&log).map_or(0, |log| log.len() as usize);
        command.stdin(Stdio::null()).stdout(said()).stderr(said()).current_dir(fixture.dir());
        let child = command.spawn().expect("a server");
        let mut server = Self { child, log };
        let start = Instant::now();
        while !ready(&server.log()[before..]) {
            let ended = server.child.try_wait().expect("its state");
            assert!(ended.is_none(), "the server ended: {ended:?}\n{}", server.log());
            assert!(start.elapsed() < PATIENCE, "it does not serve\n{}", server.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// What it and those before it said.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("its log")).into_owned()
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Ends it as an administrator would; it has to take that well.
    #[track_caller]
    pub fn stop(mut self) {
        let status = self.end();
        assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", self.log());
    }

    /// SIGTERM, by which it ends its own children too; `None` if it does not.
    fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(status);
        }
        self.signal("TERM");
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.end().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The end of a story: nothing is wrong with the mount, nor was; it goes; what is left (store,
/// state directory and the daemon's log) holds none of `canaries`. The fixture comes back for who
/// wants to look at its store.
#[track_caller]
pub fn finish(mut fixture: Fixture, canaries: &[&str]) -> Fixture {
    for point in fixture.mounted() {
        assert_content(&point);
    }
    fixture.umount();
    let log = fixture.log();
    let bad = ["confseal: warning: ", "confseal: error: "];
    let complaints: Vec<_> =
        log.lines().filter(|line| bad.iter().any(|level| line.starts_with(level))).collect();
    assert_eq!(complaints, Vec::<&str>::new());
    assert_no_canary(&fixture, canaries);
    fixture
}

/// The daemon has nothing to complain of: each file can be read, was saved, met no conflict, and
/// holds no secret in the clear.
#[track_caller]
fn assert_content(point: &Path) {
    let status = fs::read(point.join(".confseal/status")).expect("a status");
    let status: serde_json::Value = serde_json::from_slice(&status).expect("JSON");
    for (name, good) in [
        ("conflicts", serde_json::json!(0)),
        ("unsaved", serde_json::json!(0)),
        ("trouble", serde_json::json!([])),
        ("kept", serde_json::json!([])),
        ("in_the_clear", serde_json::json!([])),
    ] {
        assert_eq!(status[name], good, "{name}");
    }
}

/// The search alone, also while the fixture is mounted, though not over its store.
#[track_caller]
pub fn assert_no_canary(fixture: &Fixture, canaries: &[&str]) {
    let (store, state) = (fixture.store(), fixture.state());
    assert!(!found_in(&store, &["ENC:"]).is_empty(), "a store without a secret proves nothing");
    assert!(fs::read_dir(&state).is_ok_and(|mut state| state.next().is_some()), "no state");
    for place in [store, state, fixture.dir().join("daemon.log")] {
        assert_eq!(found_in(&place, canaries), Vec::<String>::new());
    }
}

/// Where `words` stand at or below `place`: in the bytes of files, in names, in what symbolic
/// links point to.
pub fn found_in(place: &Path, words: &[&str]) -> Vec<String> {
    let searched = AhoCorasick::new(words).expect("an automaton");
    let mut found = Vec::new();
    let mut open = vec![place.to_owned()];
    while let Some(path) = open.pop() {
        let kind = fs::symlink_metadata(&path).expect("what it is").file_type();
        let mut bytes = path.file_name().map(OsStr::as_bytes).unwrap_or_default().to_vec();
        bytes.push(b'\n');
        if kind.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if kind.is_symlink() {
            bytes.extend(fs::read_link(&path).expect("a link").as_os_str().as_bytes());
        } else if kind.is_file() {
            bytes.extend(fs::read(&path).expect("a file"));
        }
        if let Some(hit) = searched.find(&bytes) {
            found.push(format!("{} in {}", words[hit.pattern()], path.display()));
        }
    }
    found
}

#[test]
#[should_panic(expected = "vim-huge is not on the list in tests/run")]
fn a_program_that_nobody_installs_fails_its_test() {
    need("vim-huge");
}

/// The control: the search does find what it is there for.
#[test]
fn the_search_finds_contents_names_and_links() {
    let dir = tempfile::tempdir().unwrap();
    let sub = dir.path().join("sub");
    fs::create_dir(&sub).unwrap();
    fs::write(sub.join("binary"), b"\0\xffCANARY-a").unwrap();
    fs::write(sub.join("CANARY-b"), "").unwrap();
    std::os::unix::fs::symlink("CANARY-c", sub.join("link")).unwrap();
    fs::write(sub.join("harmless"), "CANAR").unwrap();
    let mut found = found_in(dir.path(), &["CANARY-a", "CANARY-b", "CANARY-c", "CANARY-d"]);
    found.sort();
    let names: Vec<_> = found.iter().map(|hit| hit.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["CANARY-a", "CANARY-b", "CANARY-c"]);
}
