//! Attributes: what `stat` says, and what changes it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use rustix::fs::XattrFlags;

use crate::calls::shell;
use crate::scene::{Class, alike_in_each_class, mounted, python, python_as_user};

#[test]
fn times_are_kept_to_the_nanosecond() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f = name('f')
write(f, doc, os.O_CREAT)
os.mkdir('d'); os.symlink('nowhere', 'l')
def times(n):
    seen = os.lstat(n)
    print(n, seen.st_size if n == f else '', seen.st_atime_ns, seen.st_mtime_ns)
for n in (f, 'd', 'l'):
    for at in (1000000000123456789, 0, 1, -1, -1500000001, -2147483648000000000,
               4294967296000000001, 15032385535999999999, 15032385536000000000, -2147483649000000000):
        t(os.utime, n, ns=(at, at + 5), follow_symlinks=False)
        times(n)
write(f, b'x', os.O_APPEND)
print(os.stat(f).st_mtime > 1e9, os.stat(f).st_atime_ns)
class Times(ctypes.Structure): _fields_ = [(n, ctypes.c_long) for n in ('as_', 'an', 'ms', 'mn')]
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
for at in (-(1 << 63), (1 << 63) - 1):
    print(libc.utimensat(-100, f.encode(), ctypes.byref(Times(at, 5, at, 7)), 0)); times(f)
for a, m in ((OMIT, OMIT), (NOW, OMIT), (OMIT, NOW), (11, OMIT), (OMIT, 13), (1000000000, 0)):
    os.utime(f, ns=(5, 7))
    done = libc.utimensat(-100, f.encode(), ctypes.byref(Times(0, a, 0, m)), 0)
    seen = os.stat(f)
    print(done, [x if x < 100 else 'now' for x in (seen.st_atime_ns, seen.st_mtime_ns)])
",
        )
    });
}

#[test]
fn a_time_that_a_program_set_outlives_the_mount() {
    let mut fixture = mounted();
    // As `cp -p` does: the time is set before the file is closed.
    let path = fixture.mnt().join("app.toml");
    let mut file = File::create(&path).unwrap();
    file.write_all(Class::Fields.document().as_bytes()).unwrap();
    let then = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 42);
    file.set_modified(then).unwrap();
    drop(file);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), then);
    fixture.umount().mount();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), then);
}

#[test]
fn modification_and_change_times_move_when_they_should() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f, g = name('f'), name('g')
write(f, doc, os.O_CREAT)
write(g, doc, os.O_CREAT)
os.mkdir('d')
import time
def moved(what, call, of=(f,), at=lambda n: os.stat(n)):
    before = [at(n) for n in of]
    # The kernel's clock for files is coarse: nothing is to happen within one tick of the last.
    edge = time.clock_gettime_ns(5)
    while time.clock_gettime_ns(5) == edge: time.sleep(0.001)
    call()
    after = [at(n) for n in of]
    print(what, [[n, 'mtime' * (b.st_mtime_ns < a.st_mtime_ns), 'ctime' * (b.st_ctime_ns < a.st_ctime_ns),
                  'back' * (b.st_ctime_ns > a.st_ctime_ns)] for n, b, a in zip(of, before, after)])
fd = os.open(f, os.O_RDWR)
by_fd = lambda n: os.fstat(fd)
moved('nothing', lambda: None)
moved('read', lambda: os.read(fd, 99))
moved('write', lambda: os.pwrite(fd, b'#', 0), at=by_fd)
moved('write nothing', lambda: os.pwrite(fd, b'', 0), at=by_fd)
moved('write again', lambda: os.pwrite(fd, b'#', 0), at=by_fd)
moved('fsync', lambda: os.fsync(fd), at=by_fd)
moved('ftruncate', lambda: os.ftruncate(fd, 5), at=by_fd)
moved('ftruncate to the same', lambda: os.ftruncate(fd, 5), at=by_fd)
moved('fallocate', lambda: os.posix_fallocate(fd, 0, 9), at=by_fd)
moved('write before', lambda: os.pwrite(fd, b'#', 0), at=by_fd)
moved('setxattr', lambda: os.setxattr(fd, 'user.y', b'y'), at=by_fd)
moved('close', lambda: os.close(fd))
moved('truncate', lambda: os.truncate(f, 3))
moved('truncate to the same', lambda: os.truncate(f, 3))
moved('open with O_TRUNC', lambda: write(f, b'', os.O_TRUNC))
moved('open an empty one with O_TRUNC', lambda: os.close(os.open(f, os.O_WRONLY | os.O_TRUNC)))
moved('open O_WRONLY', lambda: os.close(os.open(f, os.O_WRONLY)))
moved('chmod', lambda: os.chmod(f, 0o600))
moved('chown', lambda: os.chown(f, 7, 7))
moved('chown to nobody else', lambda: os.chown(f, -1, -1))
moved('utime', lambda: os.utime(f, ns=(5, 5)))
moved('setxattr', lambda: os.setxattr(f, 'user.x', b'y'))
moved('removexattr', lambda: os.removexattr(f, 'user.x'))
moved('link', lambda: os.link(f, 'd/' + f), of=(f, '.', 'd'))
h = name('h')
moved('rename', lambda: os.rename(f, h), of=('.', 'd/' + f))
moved('rename back', lambda: os.rename(h, f), of=('.', 'd/' + f, 'd'))
moved('unlink', lambda: os.unlink('d/' + f), of=(f, '.', 'd'))
moved('create', lambda: write('d/x', b'', os.O_CREAT), of=('.', 'd'))
moved('move', lambda: os.rename('d/x', 'x'), of=('.', 'd', 'x'), at=lambda n: os.stat(n if os.path.exists(n) else 'd/x'))
moved('replace', lambda: os.rename(g, f), of=('.',))
moved('mkdir', lambda: os.mkdir('d/e'), of=('.', 'd'))
moved('rmdir', lambda: os.rmdir('d/e'), of=('.', 'd'))
moved('symlink', lambda: os.symlink('x', 'l'), of=('.',))
moved('chmod of a directory', lambda: os.chmod('d', 0o700), of=('.', 'd'))
",
        )
    });
}

#[test]
fn reading_leaves_the_access_time() {
    let fixture = mounted();
    for class in [Class::Fields, Class::Whole, Class::Plain] {
        let path = fixture.mnt().join(class.name("f"));
        fs::write(&path, class.document()).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
        let times = fs::FileTimes::new().set_accessed(long_ago);
        File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), class.document());
        assert_eq!(fs::metadata(&path).unwrap().accessed().unwrap(), long_ago);
    }
}

#[test]
fn blocks_are_those_of_the_view() {
    alike_in_each_class(|dir, class| {
        [0, 1, 500, 4095, 4096, 4097, 100_000].map(|len| {
            let path = dir.join(class.name(&format!("f{len}")));
            // ext4 has nothing to say of blocks that it has not chosen yet.
            let mut file = File::create(&path).unwrap();
            file.write_all(&vec![b'#'; len]).unwrap();
            file.sync_all().unwrap();
            let seen = file.metadata().unwrap();
            (seen.size(), seen.blocks(), seen.blksize())
        })
    });
}

#[test]
fn owners_and_modes_change() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f = name('f')
write(f, doc, os.O_CREAT)
os.symlink(f, 'l'); os.mkdir('d')
def seen(n):
    s = os.lstat(n)
    print(n, oct(s.st_mode), s.st_uid, s.st_gid)
for m in (0o640, 0, 0o7777, 0o4711, 0o2770, 0o1644):
    for n in (f, 'd'): t(os.chmod, n, m); seen(n)
for u, g in ((65534, 65533), (-1, 5), (6, -1), (-1, -1), (4294967294, 4294967294)):
    t(os.chown, f, u, g); seen(f)
    t(os.chown, 'l', u, g, follow_symlinks=False); seen('l')
    t(os.chown, 'd', u, g); seen('d')
os.chmod(f, 0o6755)
for n in (f, 'd'): t(os.chown, n, 3, 4); seen(n)
write(f, doc, os.O_TRUNC)
seen(f)
os.chmod(f, 0o6755); write(f, doc); seen(f)
",
        )
    });
}

#[test]
fn inode_numbers_stay_through_saves() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f = name('f')
write(f, doc, os.O_CREAT)
first = os.stat(f).st_ino
fd = os.open(f, os.O_RDONLY)
def same(what): print(what, os.stat(f).st_ino == first, os.fstat(fd).st_ino == first)
write(f, doc + b'# more', os.O_TRUNC); same('written')
os.truncate(f, 20); same('truncated')
os.rename(f, name('g')); os.rename(name('g'), f); same('renamed')
os.chmod(f, 0o600); same('chmod')
write('new', doc, os.O_CREAT); os.rename('new', f); same('replaced')
",
        )
    });
}

#[test]
fn extended_attributes_are_kept_through_saves() {
    alike_in_each_class(|dir, class| {
        let path = dir.join(class.name("x"));
        fs::write(&path, "a = 1\n").unwrap();
        let error = |error: rustix::io::Errno| error.raw_os_error();
        let get = |name: &str, room: usize| {
            let mut value = vec![0; room];
            let len = rustix::fs::getxattr(&path, name, &mut value[..]).map_err(error)?;
            value.truncate(len);
            Ok::<_, i32>(value)
        };
        let set = |name: &str, value: &str, flags| {
            rustix::fs::setxattr(&path, name, value.as_bytes(), flags).map_err(error)
        };
        let mut seen = vec![
            set("user.a", "one", XattrFlags::CREATE),
            set("user.a", "two", XattrFlags::CREATE),
            set("user.b", "three", XattrFlags::REPLACE),
            set("user.b", "four", XattrFlags::empty()),
            set("user.empty", "", XattrFlags::empty()),
            set("trusted.c", "five", XattrFlags::empty()),
            set("nonsense.d", "x", XattrFlags::empty()),
            set("user.", "x", XattrFlags::empty()),
            set(&format!("user.{}", "n".repeat(250)), "x", XattrFlags::empty()),
            set(&format!("user.{}", "n".repeat(251)), "x", XattrFlags::empty()),
            set("user.long", &"v".repeat(3000), XattrFlags::empty()),
            set("user.longer", &"v".repeat(65537), XattrFlags::empty()),
        ];
        fs::write(&path, class.document()).unwrap();
        let renamed = dir.join(class.name("y"));
        fs::rename(&path, &renamed).unwrap();
        fs::rename(&renamed, &path).unwrap();
        let values = (get("user.a", 10), get("user.c", 10), get("user.a", 1), get("user.b", 0));
        let more = (get("user.empty", 9), get("trusted.c", 9), get("user.long", 4000));
        seen.push(rustix::fs::removexattr(&path, "user.a").map_err(error));
        seen.push(rustix::fs::removexattr(&path, "user.a").map_err(error));
        let mut list = vec![0; 1000];
        let len = rustix::fs::listxattr(&path, &mut list[..]).unwrap();
        list.truncate(len);
        let short = rustix::fs::listxattr(&path, &mut [0u8; 3][..]).map_err(error);
        let listed = "print(sorted(os.listxattr(name('x'))))";
        let by_user = python_as_user(dir, class, &[], listed);
        assert!(by_user.contains("user.b") && !by_user.contains("trusted"), "{by_user}");
        (seen, values, more, list, short, by_user)
    });
}

#[test]
fn access_control_lists_are_kept_and_inherited() {
    alike_in_each_class(|dir, class| {
        let (file, secret) = (class.name("f"), class.secret());
        let said = shell(
            dir,
            &format!(
                "umask 022; mkdir d; setfacl -d -m u:65534:rwx,g::r-x,o::- d
                 touch d/{file}; mkdir d/e; mkfifo d/p
                 echo 'password = \"{secret}\"' > {file}; setfacl -m u:65534:r,m::rw {file}
                 echo 'password = \"{secret}-\"' > {file}; getfacl -n {file}
                 chmod 640 {file}; setfacl -m u:65533:rw {file}; chmod g-w {file}; mv {file} d/g
                 setfacl -m u:1:r l 2>&1; cp -a d e; setfacl -b d/g; setfacl -k d
                 getfacl -n d d/* e e/*; stat -c '%n %a' d/* e/*",
            ),
        );
        assert!(said.1.contains("user:65534:r--"), "{said:?}");
        said
    });
}
