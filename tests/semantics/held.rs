//! What programs hold: locks, and files that have lost their name.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use crate::calls::{errno, names};
use crate::scene::{Class, alike_in_each_class, mounted, python};

#[test]
fn locks_keep_others_out() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f = name('f')
write(f, doc, os.O_CREAT)
fd = os.open(f, os.O_RDWR)
def other(what, call, *args):
    sys.stdout.flush()
    child = os.fork()
    if not child:
        print(what, end=' ')
        t(call, os.open(f, os.O_RDWR), *args)
        sys.stdout.flush(); os._exit(0)
    os.waitpid(child, 0)
EX, SH, NB, UN = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_NB, fcntl.LOCK_UN
fcntl.flock(fd, EX); other('flock held', fcntl.flock, EX | NB)
write(f, b'P'); other('flock held after a save', fcntl.flock, SH | NB)
fcntl.flock(fd, SH); other('flock shared', fcntl.flock, SH | NB); other('flock shared', fcntl.flock, EX | NB)
fcntl.flock(fd, UN); other('flock free', fcntl.flock, EX | NB)
fcntl.lockf(fd, EX, 10, 5)
other('range held', fcntl.lockf, EX | NB, 1, 14); other('before it', fcntl.lockf, EX | NB, 5, 0)
other('behind it', fcntl.lockf, EX | NB, 5, 15); other('flock beside it', fcntl.flock, EX | NB)
os.close(os.open(f, os.O_RDONLY)); other('any close lets go', fcntl.lockf, EX | NB, 1, 12)
fcntl.lockf(fd, SH, 10, 5); other('range shared', fcntl.lockf, SH | NB, 1, 12); other('range', fcntl.lockf, EX | NB, 1, 12)
fcntl.lockf(fd, UN, 10, 5)
import struct
own = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)
fcntl.fcntl(fd, 37, own); other('of the description', fcntl.lockf, EX | NB)
os.close(fd); other('closed', fcntl.lockf, EX | NB); other('closed', fcntl.flock, EX | NB)
",
        )
    });
}

#[test]
fn a_lock_that_is_waited_for_comes_with_the_unlock() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f = name('f')
write(f, doc, os.O_CREAT)
for lock in (fcntl.flock, fcntl.lockf):
    fd = os.open(f, os.O_RDWR)
    lock(fd, fcntl.LOCK_EX)
    r, w = os.pipe()
    child = os.fork()
    if not child:
        os.close(fd)
        mine = os.open(f, os.O_RDWR)
        os.write(w, b'waits')
        lock(mine, fcntl.LOCK_EX)
        os._exit(7 if os.path.exists('let-go') else 1)
    os.read(r, 9)
    write('let-go', b'', os.O_CREAT)
    lock(fd, fcntl.LOCK_UN)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.unlink('let-go'); os.close(fd)
",
        )
    });
}

#[test]
fn a_removed_file_lives_on_in_its_descriptors() {
    alike_in_each_class(|dir, class| {
        let path = dir.join(class.name("x"));
        fs::write(&path, class.document()).unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let (mut file, other) = (open(), open());
        fs::remove_file(&path).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(b"more = 1\n").unwrap();
        file.sync_all().unwrap();
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        let changed = [
            errno(file.set_len(8)),
            errno(file.set_permissions(PermissionsExt::from_mode(0o604))),
            errno(file.set_modified(std::time::UNIX_EPOCH)),
            errno(std::os::unix::fs::fchown(&file, Some(7), Some(8))),
        ];
        let seen = other.metadata().unwrap();
        let seen = (seen.size(), seen.nlink(), seen.mode(), seen.mtime(), seen.uid(), seen.gid());
        let mut rest = [0; 20];
        let len = other.read_at(&mut rest, 0).unwrap();
        fs::write(&path, "b = 1\n").unwrap();
        let again = fs::read_to_string(&path).unwrap();
        drop((file, other));
        let last = fs::read_to_string(&path).unwrap();
        (text, changed, seen, len, rest, again, last, names(dir))
    });
}

#[test]
fn attributes_of_a_removed_file() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f = name('f')
write(f, doc, os.O_CREAT)
os.setxattr(f, 'user.a', b'one')
fd = os.open(f, os.O_RDWR)
os.unlink(f)
t(os.getxattr, fd, 'user.a'); t(os.listxattr, fd)
t(os.setxattr, fd, 'user.b', b'two'); t(os.getxattr, fd, 'user.b'); t(os.removexattr, fd, 'user.a')
t(os.fchmod, fd, 0o600); t(os.posix_fallocate, fd, 0, 5000); print(os.fstat(fd).st_size)
t(os.link, f'/proc/self/fd/{fd}', name('g'))
print(len(os.read(os.open(f'/proc/self/fd/{fd}', os.O_RDONLY), 9999)))
os.mkdir('d'); d = os.open('d', os.O_RDONLY); os.rmdir('d')
print(os.fstat(d).st_nlink, os.listdir(d)); t(os.open, 'x', os.O_CREAT, dir_fd=d); t(os.mkdir, 'x', dir_fd=d)
t(os.fchmod, d, 0o700); t(os.fsync, d); print(oct(os.fstat(d).st_mode))
os.mkfifo('p'); p = os.open('p', os.O_RDWR | os.O_NONBLOCK); os.unlink('p')
os.symlink('x', 'l'); l = os.open('l', os.O_PATH | os.O_NOFOLLOW); os.unlink('l')
os.mkdir('e'); e = os.open('e', os.O_RDONLY); os.mkdir('new'); os.rename('new', 'e')
for fd in (p, l, e):
    s = os.fstat(fd); print(oct(s.st_mode), s.st_nlink)
t(os.fchmod, p, 0o640); print(oct(os.fstat(p).st_mode))
os.chdir('e'); os.rmdir('../e'); t(os.listdir, '.'); t(os.stat, '.'); t(os.open, 'x', os.O_CREAT)
",
        )
    });
    let fixture = mounted();
    let script = "
os.symlink('x', 'l'); l = os.open('l', os.O_PATH | os.O_NOFOLLOW); os.unlink('l')
t(os.readlink, '', dir_fd=l)
";
    assert_eq!(python(&fixture.mnt(), Class::Plain, script), "readlink  -> ESTALE\n");
}

#[test]
fn a_replaced_file_lives_on_in_its_descriptors() {
    alike_in_each_class(|dir, class| {
        let (path, new) = (dir.join(class.name("x")), dir.join(class.name("x") + ".tmp"));
        let older = class.document();
        fs::write(&path, &older).unwrap();
        let old = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        fs::write(&new, older.replace("5432", "5433")).unwrap();
        fs::rename(&new, &path).unwrap();
        let mut text = vec![0; older.len()];
        old.read_exact_at(&mut text, 0).unwrap();
        old.write_all_at(b"PASSWORD", 0).unwrap();
        drop(old);
        (text, fs::read_to_string(&path).unwrap(), names(dir))
    });
}
