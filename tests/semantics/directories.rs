//! Listing directories.

use std::fs::{self, File};

use crate::calls::names;
use crate::scene::{Class, alike, alike_in_each_class, mounted, python};
use crate::support::sh;

#[test]
fn a_big_directory_can_be_read_while_it_shrinks() {
    let fixture = mounted();
    let dir = fixture.mnt().join("many");
    fs::create_dir(&dir).unwrap();
    for n in 0..2000 {
        File::create(dir.join(format!("f{n:04}"))).unwrap();
    }
    assert_eq!(names(&dir).len(), 2000);
    let said = sh(&dir, "ls -a | head -2; ls -ia | awk '{print $1}' | sort | uniq -d | wc -l");
    assert_eq!(said, ".\n..\n0\n");
    let mut seen = 0;
    for entry in fs::read_dir(&dir).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
        seen += 1;
    }
    assert_eq!((seen, names(&dir).len()), (2000, 0));
}

/// Directory streams of the C library, for the scripts.
const STREAMS: &str = "
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
for f in ('readdir', 'telldir', 'rewinddir', 'closedir', 'dirfd'):
    getattr(libc, f).argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
def next_name(stream):
    entry = libc.readdir(stream)
    return ctypes.string_at(entry + 19).decode() if entry else None
def rest(stream):
    return list(iter(lambda: next_name(stream), None))
";

fn streams(script: &str) -> String {
    format!("{STREAMS}\n{script}")
}

#[test]
fn a_position_in_a_directory_can_be_returned_to() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        for n in 0..1000 {
            File::create(dir.join(format!("f{n:03}"))).unwrap();
        }
        let script = "
d = libc.opendir(b'.')
start = libc.telldir(d)
marks, all = [], []
while True:
    marks.append(libc.telldir(d))
    got = next_name(d)
    if not got: break
    all.append(got)
assert len(set(all)) == len(all) == 1002 and len(set(marks)) == len(marks)
for at in (999, 5, 500, 0, 1002, 777):
    libc.seekdir(d, marks[at])
    print(at, rest(d) == all[at:])
libc.seekdir(d, start)
print(rest(d) == all)
libc.closedir(d)
";
        python(dir, Class::Plain, &streams(script))
    });
}

#[test]
fn a_listing_shows_what_stays_once_and_a_rewind_shows_what_is() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let script = "
for n in range(2000): write(f'stays{n}', b'', os.O_CREAT)
for n in range(500): write(f'goes{n}', b'', os.O_CREAT)
d = libc.opendir(b'.')
seen = [next_name(d) for _ in range(10)]
for n in range(500): os.rename(f'goes{n}', f'gone{n}')
for n in range(500): write(f'new{n}', b'', os.O_CREAT)
for n in range(500): os.unlink(f'gone{n}')
mark = libc.telldir(d)
seen += rest(d)
stays = [n for n in seen if n.startswith('stays')]
print(len(stays), len(set(stays)))
libc.rewinddir(d)
after = rest(d)
print(len(after), len(set(after)), sum(n.startswith('new') for n in after))
libc.seekdir(d, mark)
print(len(rest(d)) > 0)
os.mkdir('d'); e = libc.opendir(b'd'); os.rmdir('d')
print(rest(e))
";
        python(dir, Class::Plain, &streams(script))
    });
}

#[test]
fn a_listing_tells_kind_and_number() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        sh(
            dir,
            "mkdir d; echo s=1 > f.toml; ln -s f.toml l; mkfifo p; mknod c c 1 3; ln f.toml g.toml",
        );
        let script = "
for e in sorted(os.scandir('.'), key=lambda e: e.name):
    print(e.name, e.is_dir(), e.is_file(), e.is_symlink(), e.inode() == os.lstat(e.name).st_ino)
print(os.lstat('.').st_ino == os.lstat('d/..').st_ino)
write('f.toml', b'password = \"hunter2-hunter2\"', os.O_TRUNC)
os.rename('f.toml', 'h.toml')
print([e.inode() == os.lstat(e.name).st_ino for e in os.scandir('.')])
";
        python(dir, Class::Plain, script)
    });
}

#[test]
fn a_watcher_in_the_mount_hears_what_it_would_hear() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
import struct
def events():
    try: seen = os.read(watch, 65536)
    except BlockingIOError: return []
    told, at = [], 0
    while at < len(seen):
        _, mask, _, length = struct.unpack_from('iIII', seen, at)
        told.append((hex(mask), seen[at + 16:at + 16 + length].rstrip(b'\\0').decode()))
        at += 16 + length
    return told
watch = libc.inotify_init1(os.O_NONBLOCK)
libc.inotify_add_watch(watch, b'.', 0xfff & ~0x31)
def then(what, *done): print(what, events())
f, g = name('f'), name('g')
then('create', write(f, doc, os.O_CREAT))
then('write', write(f, doc, os.O_TRUNC))
then('read', read(f))
then('rename', os.rename(f, g))
then('link', os.link(g, f))
then('chmod', os.chmod(g, 0o640))
then('replace', write('new', doc, os.O_CREAT), os.rename('new', g))
then('mkdir', os.mkdir('d'), os.rmdir('d'))
then('unlink', os.unlink(f), os.unlink(g))
",
        )
    });
}
