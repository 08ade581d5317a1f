//! Who holds the store open before it is covered by a mount.
//!
//! A process that has a file or directory of the store open, or works in it, goes on seeing the
//! sealed side after a mount over it; one that can write could put plaintext there.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, StatxFlags};

use super::Store;
use crate::sys::mount::{Device, mounts_in};

/// How long the kernel may take to tell what a process has mapped.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a process holds something of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// As its working directory.
    Cwd,
    /// As its root directory.
    Root,
    /// By an open descriptor.
    Fd {
        /// Whether it is open for writing.
        writable: bool,
    },
    /// Mapped into memory.
    Map {
        /// Whether writes to the memory reach the file.
        writable: bool,
    },
}

/// A process that holds something of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its name (`/proc/PID/comm`).
    pub comm: String,
    /// How.
    pub what: What,
    /// What, as the kernel names it.
    pub path: PathBuf,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.what {
            What::Cwd => "works in",
            What::Root => "has as its root",
            What::Fd { writable: true } => "may write",
            What::Fd { writable: false } => "has open",
            What::Map { writable: true } => "maps for writing",
            What::Map { writable: false } => "maps",
        };
        write!(f, "process {} ({}) {how} {}", self.pid, self.comm, self.path.display())
    }
}

impl Holder {
    /// Whether it could write to the store: reason enough to refuse a mount.
    pub fn can_write(&self) -> bool {
        matches!(self.what, What::Fd { writable: true } | What::Map { writable: true })
    }
}

impl Store {
    /// The processes that hold something of the store, this one excepted; as far as this user
    /// may look into them. Names in other mount namespaces are not seen through.
    pub fn holders(&self) -> Vec<Holder> {
        self.holders_by(self.path())
    }

    /// The same for a store that was opened as something else: processes know it as `root`.
    pub fn holders_by(&self, root: &Path) -> Vec<Holder> {
        let Ok(device) = self.root().metadata().map(|metadata| metadata.dev) else {
            return Vec::new();
        };
        let mut search = Search { root, device, maps: MapsReader::default() };
        let mut holders = Vec::new();
        for process in entries(Path::new("/proc")) {
            let name = process.file_name().map(|name| name.to_string_lossy().into_owned());
            let Some(pid) = name.and_then(|name| name.parse().ok()) else { continue };
            if pid != std::process::id() {
                search.process(pid, &process, &mut holders);
            }
        }
        holders
    }
}

struct Search<'a> {
    root: &'a Path,
    device: u64,
    maps: MapsReader,
}

/// Reads what processes have mapped, on a thread that may be left behind: the kernel does not tell it
/// of one that is being executed, and that one may be waiting for a file system that hangs.
#[derive(Default)]
struct MapsReader(Option<(Sender<PathBuf>, Receiver<Vec<u8>>)>);

impl MapsReader {
    /// What `maps` of a process says; nothing when the process has ended or the kernel does not answer.
    fn read(&mut self, maps: PathBuf) -> Vec<u8> {
        let (asked, answers) = self.0.get_or_insert_with(Self::start);
        if asked.send(maps.clone()).is_err() {
            return Vec::new();
        }
        answers.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            log::warn!("{}: no answer; what is mapped there stays unknown", maps.display());
            self.0 = None;
            Vec::new()
        })
    }

    fn start() -> (Sender<PathBuf>, Receiver<Vec<u8>>) {
        let ((asked, questions), (answer, answers)) = (channel::<PathBuf>(), channel());
        // It ends with its channels. Where no thread is to be had, none answers.
        let _ = std::thread::Builder::new().name("maps".into()).spawn(move || {
            while let Ok(maps) = questions.recv() {
                if answer.send(fs::read(maps).unwrap_or_default()).is_err() {
                    return;
                }
            }
        });
        (asked, answers)
    }
}

impl Search<'_> {
    /// A process may end, or be another user's, at any point: then there is nothing to see.
    fn process(&mut self, pid: u32, process: &Path, holders: &mut Vec<Holder>) {
        let comm = fs::read(process.join("comm")).unwrap_or_default();
        let comm = String::from_utf8_lossy(comm.trim_ascii_end()).into_owned();
        let mut add = |what, path| holders.push(Holder { pid, comm: comm.clone(), what, path });
        for (link, what) in [("cwd", What::Cwd), ("root", What::Root)] {
            if let Some(path) = self.held(&process.join(link)) {
                add(what, path);
            }
        }
        for fd in entries(&process.join("fd")) {
            let Some(info) = fd.file_name().map(|number| process.join("fdinfo").join(number))
            else {
                continue;
            };
            if let Some(path) = self.held(&fd).or_else(|| self.mounted(&fd, &info, process)) {
                add(What::Fd { writable: is_writable(&info) }, path);
            }
        }
        let maps = self.maps.read(process.join("maps"));
        for (path, writable) in maps.split(|b| *b == b'\n').filter_map(|line| self.mapped(line)) {
            add(What::Map { writable }, path);
        }
    }

    /// Where a link of `/proc` leads, if that is in the store. The name is looked at first: to
    /// look at the thing itself may block on a dead network filesystem.
    fn held(&self, link: &Path) -> Option<PathBuf> {
        let path = fs::read_link(link).ok().filter(|path| self.is_within(path))?;
        // By what the kernel knows: the mount that is about to be succeeded answers no question.
        let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
        let stat = rustix::fs::statx(CWD, link, flags, StatxFlags::empty()).ok()?;
        let device = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor);
        (device == self.device).then_some(path)
    }

    /// The same by the mount that the descriptor belongs to: of a file on overlayfs, `stat` tells the
    /// device of the layer that it lies in.
    fn mounted(&self, link: &Path, info: &Path, process: &Path) -> Option<PathBuf> {
        let path = fs::read_link(link).ok().filter(|path| self.is_within(path))?;
        let info = fs::read_to_string(info).ok()?;
        let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim();
        let id: u64 = id.parse().ok()?;
        let entry = mounts_in(process).ok()?.into_iter().find(|entry| entry.mount.id == id)?;
        let Device { major, minor } = entry.mount.device;
        let device = rustix::fs::makedev(major, minor);
        (device == self.device).then_some(path)
    }

    /// Paths of removed files end in ` (deleted)`, which changes nothing here.
    fn is_within(&self, path: &Path) -> bool {
        let deleted = path.as_os_str().as_bytes().strip_suffix(b" (deleted)");
        path.starts_with(self.root) || deleted == Some(self.root.as_os_str().as_bytes())
    }

    /// A line of `maps`: `from-to perms offset major:minor inode path`, see proc_pid_maps(5).
    /// Its device is that of the filesystem, which on btrfs is not the one that `stat` tells; so
    /// the path alone decides, and a namesake in another mount namespace is reported too.
    fn mapped(&self, line: &[u8]) -> Option<(PathBuf, bool)> {
        let mut rest = line;
        let mut field = || {
            let end = rest.iter().position(|b| *b == b' ')?;
            let (field, after) = rest.split_at(end);
            rest = after.trim_ascii_start();
            Some(field)
        };
        let (_range, perms) = (field()?, field()?);
        let (_offset, _device, _inode) = (field()?, field()?, field()?);
        let path = PathBuf::from(OsStr::from_bytes(rest));
        let writable = perms.get(1) == Some(&b'w') && perms.get(3) == Some(&b's');
        self.is_within(&path).then_some((path, writable))
    }
}

/// `flags:` in fdinfo: octal, as `open(2)` took them. One that cannot be read counts as
/// writable, since that is what must not be missed.
fn is_writable(fdinfo: &Path) -> bool {
    let flags = || {
        let text = fs::read_to_string(fdinfo).ok()?;
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
        u32::from_str_radix(flags.trim(), 8).ok()
    };
    flags().is_none_or(|flags| flags & libc::O_ACCMODE as u32 != libc::O_RDONLY as u32)
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use std::io::BufRead;
    use std::process::{Child, Command, Stdio};

    /// A shell that does `script`, says so, and waits until it is dropped.
    struct Shell(Child);

    impl Shell {
        fn doing(fresh: &Fresh, script: &str) -> Self {
            let mut child = Command::new("sh")
                .args(["-c", &format!("{script}; echo; read _")])
                .env("STORE", fresh.store.path())
                .current_dir("/")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut ready = String::new();
            let out = child.stdout.as_mut().unwrap();
            std::io::BufReader::new(out).read_line(&mut ready).unwrap();
            Self(child)
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            drop(self.0.stdin.take()); // its read ends
            let _ = self.0.wait();
        }
    }

    /// What the shell alone holds; other tests of this process have stores of their own.
    fn held(fresh: &Fresh, script: &str) -> Vec<(What, String)> {
        let shell = Shell::doing(fresh, script);
        let mut held: Vec<_> = fresh
            .store
            .holders()
            .into_iter()
            .filter(|holder| holder.pid == shell.0.id())
            .inspect(|holder| assert_eq!(holder.comm, "sh"))
            .map(|h| {
                let below = h.path.strip_prefix(fresh.store.path()).unwrap();
                (h.what, below.to_str().unwrap().to_owned())
            })
            .collect();
        held.sort_by(|a, b| a.1.cmp(&b.1));
        held
    }

    #[test]
    fn open_files_and_directories_are_found() {
        let fresh = Fresh::new();
        fresh.put("sub/a", "");
        fresh.put("b", "");
        let script = "cd $STORE/sub; exec 3<a 4>>../b 5<.";
        let found = held(&fresh, script);
        let expected = [
            (What::Fd { writable: true }, "b"),
            (What::Cwd, "sub"),
            (What::Fd { writable: false }, "sub"),
            (What::Fd { writable: false }, "sub/a"),
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (what, path) in expected {
            assert!(found.contains(&(what, path.to_owned())), "{what:?} {path} in {found:?}");
        }
    }

    #[test]
    fn a_neighbour_with_a_longer_name_is_not_the_store() {
        let fresh = Fresh::new();
        fresh.put("conf/a", "");
        fresh.put("conf2/a", "");
        let store = Store::open(&fresh.path("conf")).unwrap();
        let shell = Shell::doing(&fresh, "exec 3<$STORE/conf2/a");
        assert!(store.holders().iter().all(|holder| holder.pid != shell.0.id()));
    }

    #[test]
    fn a_removed_file_still_counts() {
        let fresh = Fresh::new();
        fresh.put("a", "");
        let found = held(&fresh, "exec 3>>$STORE/a; rm $STORE/a");
        assert_eq!(found, [(What::Fd { writable: true }, "a (deleted)".to_owned())]);
    }

    #[test]
    fn maps_are_read_with_their_rights() {
        let search =
            Search { root: Path::new("/etc/shop"), device: 0, maps: MapsReader::default() };
        let line = |perms: &str, device: &str, path: &str| {
            let line = format!("7f00-7f01 {perms} 00000000 {device} 1234        {path}");
            search.mapped(line.as_bytes())
        };
        let path = || PathBuf::from("/etc/shop/a b");
        assert_eq!(line("rw-s", "fd:01", "/etc/shop/a b"), Some((path(), true)));
        assert_eq!(line("rw-p", "fd:01", "/etc/shop/a b"), Some((path(), false)));
        assert_eq!(line("r--s", "fd:01", "/etc/shop/a b"), Some((path(), false)));
        assert_eq!(line("rw-s", "00:1f", "/etc/shop/a b"), Some((path(), true)));
        assert_eq!(line("rw-s", "fd:01", "/etc/shopping"), None);
        assert_eq!(search.mapped(b"7f00-7f01 rw-p 00000000 00:00 0 "), None);
        assert_eq!(search.mapped(b""), None);
    }

    #[test]
    fn what_does_not_answer_is_passed_over_and_the_next_is_asked() {
        let fresh = Fresh::new();
        let pipe = fresh.path("maps");
        rustix::fs::mkfifoat(CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        fresh.put("other", "mapped");
        let mut maps = MapsReader::default();
        assert!(maps.read(pipe.clone()).is_empty());
        assert_eq!(maps.read(fresh.path("other")), b"mapped");
        // Lets the one that was left behind end.
        fs::OpenOptions::new().write(true).open(pipe).unwrap();
    }

    #[test]
    fn only_what_can_write_refuses_a_mount() {
        let holder = |what| Holder { pid: 1, comm: String::new(), what, path: PathBuf::new() };
        assert!(holder(What::Fd { writable: true }).can_write());
        assert!(holder(What::Map { writable: true }).can_write());
        for what in [What::Cwd, What::Root, What::Fd { writable: false }] {
            assert!(!holder(what).can_write());
        }
    }
}
