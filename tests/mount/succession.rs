//! A daemon that comes after one that was killed. The service manager, which keeps the connection
//! meanwhile, is played by the test; tests/systemd has the real one.

use std::fs::{self, File};
use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use confseal::sys::process::inheritable;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use crate::support::{Fixture, text};

const TEXT: &str = "password = \"CANARY-one\"\n";

/// How long something may take before it counts as something that never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A service manager that keeps one connection.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// The one whose socket the daemons of `fixture` are told of.
    fn of(fixture: &mut Fixture) -> Self {
        let path = fixture.dir().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        fixture.variable("NOTIFY_SOCKET", path.to_str().expect("a name"));
        Self { socket }
    }

    /// The next message that has `what` in it, and the descriptor that came with it.
    fn hear(&self, what: &str) -> (String, Option<OwnedFd>) {
        loop {
            let mut bytes = [0; 4096];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let message = rustix::net::recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            );
            let message = message.unwrap_or_else(|error| panic!("waiting for {what}: {error}"));
            let said = String::from_utf8_lossy(&bytes[..message.bytes]).into_owned();
            let descriptor = ancillary.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
                _ => None,
            });
            if said.contains(what) {
                return (said, descriptor);
            }
        }
    }

    /// The connection that a daemon hands over, with its name.
    fn kept(&self) -> (String, OwnedFd) {
        let (said, connection) = self.hear("FDSTORE=1");
        // Whoever polls a FUSE device is woken by each request.
        assert!(said.contains("FDPOLL=0"), "{said}");
        let name = said.lines().find_map(|line| line.strip_prefix("FDNAME="));
        (name.expect("a name").to_owned(), connection.expect("a descriptor"))
    }
}

/// Starts the next daemon as the manager does, with the connection that it kept.
fn start_next(fixture: &mut Fixture, name: &str, kept: OwnedFd, at: Option<&Path>) {
    let kept = inheritable(kept).expect("a duplicate");
    let script = format!(
        "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name}; exec 3<&{0} {0}<&-; exec \"$@\"",
        kept.as_raw_fd()
    );
    fixture.started_by(["sh", "-euc", &script, "sh"].map(Into::into).into());
    let store = fixture.store();
    fixture.start_mount(&store, at, &[]);
}

/// Mounts over the store, where a dead mount lies, and waits until the new one answers: of the dead one
/// the kernel may still have a few answers.
fn mount_over_dead(fixture: &mut Fixture) {
    let (store, file) = (fixture.store(), fixture.store().join("app.toml"));
    fixture.start_mount(&store, None, &[]);
    fixture
        .wait_for("the next mount", || fs::read(&file).is_ok_and(|read| read == TEXT.as_bytes()));
}

fn shell(line: &str, directory: &Path) -> Child {
    let mut command = Command::new("sh");
    command.args(["-euc", line, "sh"]).arg(directory).env("LC_ALL", "C").current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("a shell")
}

/// What goes by path, one program each; `$1` is the mount. Each ends well once somebody answers.
const BY_PATH: [&str; 17] = [
    "grep CANARY-one $1/app.toml",
    "stat $1/app.toml",
    "stat -f $1/app.toml",
    "test -r $1/app.toml && test -x $1/tool",
    "ls $1/dir | grep inside",
    "$1/tool",
    "cd $1/dir && pwd",
    "readlink $1/link",
    "echo 'password = 1' > $1/created.toml",
    "echo 'password = \"CANARY-two\"' >> $1/appended.toml",
    "rmdir $1/empty",
    "ln $1/linked $1/linked-too",
    "mv $1/moved $1/moved-away",
    "rm $1/removed",
    "chmod 600 $1/mode && chown nobody $1/owner && touch -d 2001-02-03 $1/time",
    "truncate -s 3 $1/cut",
    "setfattr -n user.note -v x $1/noted && getfattr -n user.note $1/noted",
];

/// What makes a name that is not there, other than by opening it: the kernel looks the name up, and
/// does not walk anew when that fails.
const MAKES_A_NAME: [&str; 3] =
    ["mkdir $1/made", "mkfifo $1/pipe", "ln -s app.toml $1/second-link"];

fn furnish(store: &Path) {
    let make = |name: &str, content: &str| fs::write(store.join(name), content).unwrap();
    make("app.toml", TEXT);
    make("appended.toml", "host = 1\n");
    for name in ["linked", "moved", "removed", "mode", "owner", "time", "cut", "noted"] {
        make(&format!("{name}.txt"), "plain text\n");
        fs::rename(store.join(format!("{name}.txt")), store.join(name)).unwrap();
    }
    make("tool", "#!/bin/sh\necho run\n");
    fs::set_permissions(store.join("tool"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::create_dir_all(store.join("dir")).unwrap();
    fs::create_dir(store.join("empty")).unwrap();
    make("dir/inside", "");
    std::os::unix::fs::symlink("app.toml", store.join("link")).unwrap();
    let policy = "version = 1\n[[file]]\npath = \"*\"\nseal = \"none\"\n\
                  [[file]]\npath = \"*.toml\"\nseal = \"fields\"\n";
    fs::create_dir(store.join(".confseal")).unwrap();
    make(".confseal/policy.toml", policy);
}

fn what_goes_by_path_waits_for_the_next_daemon(over: bool) {
    let mut fixture = Fixture::apart();
    let manager = Manager::of(&mut fixture);
    furnish(&fixture.store());
    fixture.seal();
    let (store, mnt) = (fixture.store(), fixture.mnt());
    let fixture_dir = fixture.dir().to_owned();
    let at = (!over).then_some(mnt.as_path());
    let point: PathBuf = at.unwrap_or(&store).to_owned();
    fixture.mount_with(&store, at, &[]);
    let (name, kept) = manager.kept();
    // Known to the kernel, so that its cache plays a part; and open files and a working directory.
    assert_eq!(fs::read_to_string(point.join("app.toml")).unwrap(), TEXT);
    let read = File::open(point.join("app.toml")).unwrap();
    let mut unread = File::open(point.join("appended.toml")).unwrap();
    // Not in this process: whoever starts a program waits until that has closed what it inherited,
    // and to close what can be written waits for the daemon.
    let writer = shell("exec 3>>$1/mode; touch $1/../open; read _ || echo x >&3", &point);
    fixture.wait_for("the writer", || fixture_dir.join("open").exists());
    fixture.kill_daemon();

    let begin = |line: &&'static str| (*line, shell(line, &point));
    let mut waiting: Vec<_> = BY_PATH.iter().map(begin).collect();
    let mut made: Vec<_> = MAKES_A_NAME.iter().map(begin).collect();
    for (line, child) in waiting.iter_mut().chain(&mut made) {
        assert!(child.try_wait().unwrap().is_none(), "{line}: did not wait");
    }
    start_next(&mut fixture, &name, kept, at);
    manager.hear("READY=1");
    for (line, child) in waiting {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{line}: {}\n{}", text(&done), fixture.log());
    }
    for (line, child) in made {
        let done = child.wait_with_output().unwrap();
        if done.status.success() {
            // It came after the next daemon.
            continue;
        }
        assert!(text(&done).contains("Stale file handle"), "{line}: {}", text(&done));
        let again = shell(line, &point).wait_with_output().unwrap();
        assert!(again.status.success(), "{line}: {}", text(&again));
    }
    assert!(fs::read_to_string(point.join("appended.toml")).unwrap().contains("CANARY-two"));

    // What the kernel has cached may be there; the rest went with the daemon, and says so.
    let mut bytes = vec![0; TEXT.len()];
    match read.read_exact_at(&mut bytes, 0) {
        Ok(()) => assert_eq!(bytes, TEXT.as_bytes()),
        // The kernel asked whether the file has changed since.
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EIO)),
    }
    let errno = |result: std::io::Result<usize>| result.unwrap_err().raw_os_error();
    assert_eq!(errno(unread.read(&mut bytes)), Some(libc::EIO));
    drop((read, unread));
    let wrote = writer.wait_with_output().unwrap();
    assert!(!wrote.status.success() && text(&wrote).contains("I/O error"), "{}", text(&wrote));
    let (gone, _) = manager.hear("FDSTOREREMOVE=1");
    assert!(gone.contains(&format!("FDNAME={name}\n")), "{gone}");
    assert_eq!(fixture.mounted(), [point]);
    // The manager's way, and no restart.
    fixture.signal("TERM");
    fixture.expect_end();
    assert!(fixture.mounted().is_empty());
    fixture.assert_sealed(&["CANARY"]);
}

#[test]
fn what_goes_by_path_waits_for_the_next_daemon_over_the_store() {
    what_goes_by_path_waits_for_the_next_daemon(true);
}

#[test]
fn what_goes_by_path_waits_for_the_next_daemon_at_a_mount_point() {
    what_goes_by_path_waits_for_the_next_daemon(false);
}

/// Has move_mount(2) refuse what it did not know before Linux 6.5, and then becomes the daemon.
const OLDER_KERNEL: &str = r#"
import ctypes, os, struct, sys
MOVE_MOUNT, BENEATH, EINVAL = 429, 0x200, 22
code = [(0x20, 0, 0, 0), (0x15, 0, 3, MOVE_MOUNT), (0x20, 0, 0, 48), (0x45, 0, 1, BENEATH),
        (0x06, 0, 0, 0x50000 | EINVAL), (0x06, 0, 0, 0x7fff0000)]
code = b"".join(struct.pack("HBBI", *line) for line in code)
buffer = ctypes.create_string_buffer(code, len(code))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 6, ctypes.addressof(buffer)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn where_the_kernel_mounts_beneath_nothing_the_new_mount_goes_on_top_and_both_go_together() {
    let mut fixture = Fixture::apart();
    fixture.put("app.toml", TEXT).seal().mount_over();
    fixture.kill_daemon();
    fixture.started_by(["python3", "-c", OLDER_KERNEL].map(Into::into).into());
    let store = fixture.store();
    for _ in 0..2 {
        mount_over_dead(&mut fixture);
        // No more than two, however often it happens.
        assert_eq!(fixture.mounted(), [store.clone(), store.clone()]);
        assert!(fixture.log().contains("Linux 6.5"), "{}", fixture.log());
        fixture.kill_daemon();
    }
    mount_over_dead(&mut fixture);
    let umount = Command::new("umount").arg(&store).status().unwrap();
    assert!(umount.success());
    fixture.expect_end();
    assert!(fixture.mounted().is_empty());
    assert!(fixture.stored("app.toml").contains("ENC:v1:"));
}

#[test]
fn what_a_killed_daemon_left_below_run_is_gone_after_the_next_one() {
    let mut fixture = Fixture::apart();
    fixture.put("app.toml", TEXT).seal().mount_over();
    let store = fixture.store();
    let binds = || {
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let name = store.display().to_string();
        let lines = mounts.lines().filter(|line| line.contains(" /run/confseal/"));
        lines.filter(|line| line.contains(&name)).count()
    };
    assert_eq!(binds(), 1);
    fixture.kill_daemon();
    assert_eq!(binds(), 1, "the store can be reached by root");
    mount_over_dead(&mut fixture);
    assert_eq!(binds(), 1);
    fixture.umount();
    assert_eq!(binds(), 0);
}

#[test]
fn a_daemon_that_lives_is_not_succeeded() {
    let mut fixture = Fixture::apart();
    fixture.put("app.toml", TEXT).seal().mount_over();
    let (store, key) = (fixture.store(), fixture.source("master"));
    let again = fixture.confseal(["mount", store.to_str().unwrap(), "--key", &key]);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));
    assert!(text(&again).contains("stands there already"), "{}", text(&again));
    assert_eq!(fs::read_to_string(store.join("app.toml")).unwrap(), TEXT);
    assert_eq!(fixture.mounted(), [store]);
    fixture.umount();
}
