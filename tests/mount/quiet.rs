//! What programs ask of a file beside its content, which a configuration has no use for: each gets
//! an answer that programs know, and the log of the daemon, where an operator looks for trouble,
//! stays clean.

use std::fs;
use std::process::Command;

use crate::support::{Fixture, text};

/// Each line names the call and what came of it.
const QUESTIONS: &str = r#"
import ctypes, errno, fcntl, os, select, sys, termios
libc = ctypes.CDLL(None, use_errno=True)
def t(what, call, *given):
    try: got = call(*given)
    except OSError as e: got = errno.errorcode[e.errno]
    print(what, got if isinstance(got, (str, int, list)) else 'done')
def c(what, call, *given):
    t(what, lambda: errno.errorcode[ctypes.get_errno()] if call(*given) < 0 else 'done')
fd = os.open('app.toml', os.O_RDWR)
size = os.fstat(fd).st_size
ready = select.poll()
ready.register(fd, select.POLLIN | select.POLLOUT)
t('poll', lambda: [events for _, events in ready.poll(0)])
t('select', lambda: [len(x) for x in select.select([fd], [fd], [], 0)])
t('data', os.lseek, fd, 0, os.SEEK_DATA)
t('hole', lambda: os.lseek(fd, 0, os.SEEK_HOLE) == size)
copy = os.open('copy.toml', os.O_RDWR | os.O_CREAT)
t('copy_file_range', lambda: os.copy_file_range(fd, copy, size, 0) == size)
t('sendfile', lambda: os.sendfile(copy, fd, 0, size) == size)
for name, number in (('FIBMAP', 1), ('FIGETBSZ', 2), ('TCGETS', termios.TCGETS),
                     ('chattr', 0x80086601), ('xfs_io', 0x801c581f), ('fstrim', 0xc0185879)):
    t(name, fcntl.ioctl, fd, number, bytes(64))
c('syncfs', libc.syncfs, fd)
c('readahead', libc.readahead, fd, 0, 4096)
t('fadvise', os.posix_fadvise, fd, 0, 0, os.POSIX_FADV_DONTNEED)
t('access', os.access, 'app.toml', os.R_OK | os.W_OK)
t('lease', fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
t('flock', fcntl.flock, fd, fcntl.LOCK_EX)
t('lockf', fcntl.lockf, fd, fcntl.LOCK_EX)
t('listxattr', os.listxattr, 'app.toml')
t('no name', os.open, '.', os.O_TMPFILE | os.O_RDWR)
dir = os.open('.', os.O_RDONLY)
t('fsync', os.fsync, dir)
t('notify', fcntl.fcntl, dir, fcntl.F_NOTIFY, 0)
c('swapon', libc.swapon, b'app.toml', 0)
os.close(copy)
print('copied', open('copy.toml').read() == open('app.toml').read() * 2)
"#;

#[test]
fn questions_that_no_configuration_answers_leave_no_warning_in_the_log() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", "password = \"hunter2-hunter2\"\n").seal().mount();
    let ask = |dir| {
        let mut python = Command::new("/usr/bin/python3");
        let done = python.args(["-I", "-c", QUESTIONS]).current_dir(dir).output().expect("python3");
        assert!(done.status.success(), "{}", text(&done));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let seen = ask(fixture.mnt());
    let plain = fixture.dir().join("plain");
    fs::create_dir(&plain).unwrap();
    fs::write(plain.join("app.toml"), "password = \"hunter2-hunter2\"\n").unwrap();
    // What docs/semantics.md says is not offered: the flags of ext4, files without a name.
    let offered = |answers: String| -> Vec<String> {
        let elsewhere = ["chattr", "xfs_io", "fstrim", "no name"];
        let of_ext4 = |line: &&str| elsewhere.iter().any(|question| line.starts_with(question));
        answers.lines().filter(|line| !of_ext4(line)).map(str::to_owned).collect()
    };
    assert_eq!(offered(seen), offered(ask(plain)));
    let born = Command::new("stat").args(["-c", "%w"]).arg(fixture.mnt().join("app.toml")).output();
    assert!(born.expect("stat").status.success());
    fixture.umount();
    let log = fixture.log();
    let marks = ["confseal: warning: ", "confseal: error: "];
    let bad = log.lines().filter(|line| marks.iter().any(|mark| line.starts_with(mark)));
    assert_eq!(bad.collect::<Vec<_>>(), Vec::<&str>::new());
}
