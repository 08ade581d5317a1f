//! A tiny file system, and a daemon that serves it: one file that reports how the daemon sees the
//! world, one empty directory.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use confseal::fuse::mount::{Attachment, Host, MountError, MountOptions, SUBTYPE, mount};
use confseal::sys::mount::mounts;
use confseal::sys::process::{Failure, NotStarted, Ready, Signal, Signals, daemonize};
use confseal::systemd;
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, Request,
};

const FAILED: u8 = 9;
const DIED: u8 = 10;

/// The program `daemon MOUNTPOINT [--OPTION]...`.
pub fn daemon(arguments: &[OsString]) -> ExitCode {
    let (point, options) = arguments.split_first().expect("a mount point");
    let given = |name: &str| options.iter().any(|option| option == name);
    let toy = Toy {
        point: point.into(),
        apart: false,
        attached_during_init: None,
        stay: given("--stay"),
        refuse_init: given("--refuse-init"),
        die_at_init: given("--die-at-init"),
    };
    let options = MountOptions {
        source: "/the/store".to_owned(),
        allow_other: given("--allow-other"),
        read_only: given("--read-only"),
        no_exec: false,
        context: None,
        threads: 2,
    };
    let outcome = if given("--daemonize") {
        daemonize(|ready| serve(toy, &options, ready)).expect("a child")
    } else {
        serve(toy, &options, &mut Ready::foreground()).map_err(NotStarted::Failed)
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(NotStarted::Failed(failure)) => {
            println!("{}", failure.message);
            failure.code.into()
        }
        Err(NotStarted::Died(status)) => {
            println!("died: {:?}", status.terminating_signal());
            DIED.into()
        }
    }
}

/// The order of calls that every daemon follows.
fn serve(mut toy: Toy, options: &MountOptions, ready: &mut Ready) -> Result<(), Failure> {
    let signals = Signals::block().expect("signals");
    systemd::init_logging(true).expect("a log");
    let host = if toy.stay { Host::stay() } else { Host::enter_own_namespace() };
    let host = host.expect("a way to the host");
    toy.apart = host.is_apart();
    let point = toy.point.clone();
    let mounted = mount(toy, &point, options, &host).map_err(|error| failure(&error))?;
    let (on_signal, on_order) = (mounted.attachment(), mounted.attachment());
    thread::spawn(move || answer_signals(&signals, &on_signal));
    let order_under_way = Arc::new(Mutex::new(()));
    let under_way = Arc::clone(&order_under_way);
    thread::spawn(move || follow_orders(&on_order, &under_way));
    ready.ready().expect("a user who waits");
    systemd::status("serving\nthe store");
    systemd::ready();
    if let Some(interval) = systemd::watchdog() {
        println!("watched every {interval:?}");
        systemd::alive();
    }
    println!("mounted");
    let end = mounted.wait();
    systemd::stopping();
    // The session may end before the order that ended it has been answered.
    let _answered = order_under_way.lock();
    match end {
        Ok(()) => println!("ended: ok"),
        Err(error) => println!("ended: {error}"),
    }
    Ok(())
}

fn failure(error: &MountError) -> Failure {
    let hint = error.hint().unwrap_or_default();
    Failure { code: FAILED, message: format!("failed: {error} [{hint}]") }
}

fn answer_signals(signals: &Signals, attachment: &Attachment) {
    loop {
        let signal = signals.wait().expect("a signal");
        println!("signal: {signal:?}");
        if signal == Signal::Terminate {
            attachment.unmount(false).or_else(|_| attachment.unmount(true)).expect("unmounted");
        }
    }
}

fn follow_orders(attachment: &Attachment, under_way: &Mutex<()>) {
    for order in io::stdin().lock().lines().map_while(Result::ok) {
        let _answering = under_way.lock();
        match attachment.unmount(order == "detach") {
            Ok(()) => println!("{order}: ok"),
            Err(error) => println!("{order}: {:?}", error.kind()),
        }
    }
}

struct Toy {
    point: PathBuf,
    apart: bool,
    stay: bool,
    attached_during_init: Option<bool>,
    refuse_init: bool,
    die_at_init: bool,
}

const ROOT: INodeNo = INodeNo::ROOT;
const REPORT: INodeNo = INodeNo(2);
const ROOM: INodeNo = INodeNo(3);
const TTL: Duration = Duration::from_secs(1);

impl Toy {
    /// Walks the path of the mount itself, which must never come back to this very thread.
    fn report(&self) -> String {
        let mut names: Vec<_> = fs::read_dir(&self.point)
            .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
            .unwrap_or_default();
        names.sort();
        let names = names.join(OsStr::new(" "));
        let here = mounts().unwrap();
        let here = here.iter().filter(|entry| is_ours(&entry.kind) && entry.point == self.point);
        let here = here.count();
        let link = |path: &str| fs::read_link(path).unwrap().display().to_string();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap().trim();
        let session = session();
        let mut report = String::new();
        let mut say = |what: &str, value: &dyn std::fmt::Display| {
            writeln!(report, "{what}: {value}").unwrap();
        };
        say("attached during init", &self.attached_during_init.unwrap());
        say("apart", &self.apart);
        say("listing at the mount point", &names.display());
        say("mounts at the mount point", &here);
        say("pid", &std::process::id());
        say("session", &session);
        say("working directory", &link("/proc/self/cwd"));
        say("standard output", &link("/proc/self/fd/1"));
        say("umask", &u32::from_str_radix(umask, 8).unwrap());
        report
    }

    fn attributes(&self, ino: INodeNo) -> Option<FileAttr> {
        let (kind, perm) = match ino {
            ROOT | ROOM => (FileType::Directory, 0o755),
            REPORT => (FileType::RegularFile, 0o644),
            _ => return None,
        };
        Some(FileAttr {
            ino,
            size: 0,
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

/// The session this process belongs to, as the kernel writes it: 0 is one whose leader this process
/// namespace does not show, as where a container's tests were started from outside.
fn session() -> i32 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    after_name.split(' ').nth(3).unwrap().parse().unwrap()
}

fn is_ours(kind: &str) -> bool {
    kind.strip_prefix("fuse.") == Some(SUBTYPE)
}

/// What the test that started this daemon sees: it stayed in the namespace of the host.
fn attached(point: &Path) -> bool {
    let host = rustix::process::getppid().unwrap();
    let table = fs::read_to_string(format!("/proc/{host}/mountinfo")).unwrap_or_default();
    table.lines().any(|line| line.split(' ').nth(4) == point.to_str())
}

impl Filesystem for Toy {
    fn init(&mut self, _: &Request, _: &mut KernelConfig) -> io::Result<()> {
        self.attached_during_init = Some(attached(&self.point));
        if self.die_at_init {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL)?;
        }
        if self.refuse_init {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let ino = match name.to_str() {
            Some("report") => REPORT,
            Some("room") => ROOM,
            _ => INodeNo(0),
        };
        match self.attributes(ino) {
            Some(attributes) if parent == ROOT => reply.entry(&TTL, &attributes, Generation(0)),
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(ino) {
            Some(attributes) => reply.attr(&TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Not cached, as the size is not known beforehand.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let text = self.report();
        let rest = usize::try_from(offset).ok().and_then(|offset| text.as_bytes().get(offset..));
        let rest = rest.unwrap_or_default();
        reply.data(&rest[..rest.len().min(size as usize)]);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let names =
            [(REPORT, FileType::RegularFile, "report"), (ROOM, FileType::Directory, "room")];
        let names = if ino == ROOT { &names[..] } else { &[] };
        for (next, (ino, kind, name)) in (1..).zip(names) {
            if next > offset && reply.add(*ino, next, *kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
