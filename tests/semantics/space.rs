//! Space: setting it aside, giving it back, and how much there is.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::FallocateFlags;

use crate::calls::errno;
use crate::scene::{Class, alike_in_each_class, mounted, python};

#[test]
fn space_is_set_aside_and_punched_out() {
    alike_in_each_class(|dir, class| {
        let path = dir.join(class.name("x"));
        fs::write(&path, "0123456789").unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let allocate = |flags, at, len| {
            let done = rustix::fs::fallocate(&file, flags, at, len);
            let seen = fs::read(&path).unwrap();
            (done.map_err(|error| error.raw_os_error()), seen)
        };
        let (none, keep) = (FallocateFlags::empty(), FallocateFlags::KEEP_SIZE);
        let (punch, zero) = (FallocateFlags::PUNCH_HOLE, FallocateFlags::ZERO_RANGE);
        [
            allocate(none, 0, 16),
            allocate(keep, 0, 64),
            allocate(punch | keep, 2, 3),
            allocate(punch | keep, 12, 300),
            allocate(punch | keep, 100, 300),
            allocate(punch, 2, 3),
            allocate(zero, 6, 1),
            allocate(zero, 8, 30),
            allocate(zero | keep, 30, 30),
            allocate(none, 0, 0),
            allocate(none, 1, u64::MAX / 2),
            allocate(zero | punch | keep, 0, 1),
        ]
    });
}

#[test]
fn ranges_are_not_collapsed_or_inserted() {
    let fixture = mounted();
    for class in [Class::Fields, Class::Whole, Class::Plain] {
        let path = fixture.mnt().join(class.name("x"));
        fs::write(&path, vec![b'#'; 8192]).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        for flags in [FallocateFlags::COLLAPSE_RANGE, FallocateFlags::INSERT_RANGE] {
            let done = rustix::fs::fallocate(&file, flags, 0, 4096);
            assert_eq!(done, Err(rustix::io::Errno::OPNOTSUPP), "{flags:?}");
        }
        assert_eq!(file.metadata().unwrap().len(), 8192);
    }
}

#[test]
fn a_large_plain_file_has_its_space_on_the_disk() {
    let fixture = mounted();
    let path = fixture.mnt().join(Class::Plain.name("large"));
    let file = OpenOptions::new().write(true).create_new(true).open(path).unwrap();
    let large = 65 << 20;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, large).unwrap();
    let seen = file.metadata().unwrap();
    assert!(seen.len() == large && seen.blocks() * 512 >= large);
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&file, punch, 0, large).unwrap();
    assert!(file.metadata().unwrap().blocks() < 1000);
}

#[test]
fn a_seek_for_data_or_a_hole_finds_one() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f = name('f')
write(f, doc, os.O_CREAT)
fd, size = os.open(f, os.O_RDWR), len(doc)
for at in (0, 3, size - 1):
    print(os.lseek(fd, at, os.SEEK_DATA) == at, os.lseek(fd, at, os.SEEK_HOLE) == size)
for at in (size, size + 5): t(os.lseek, fd, at, os.SEEK_DATA); t(os.lseek, fd, at, os.SEEK_HOLE)
",
        )
    });
}

#[test]
fn temporary_files_without_a_name_are_not_offered() {
    let fixture = mounted();
    let open = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(fixture.mnt());
    assert_eq!(errno(open), Err(libc::EOPNOTSUPP));
    // What programs do then.
    let mut file = tempfile::tempfile_in(fixture.mnt()).unwrap();
    file.write_all(b"password = \"hunter2-hunter2\"\n").unwrap();
    let named = tempfile::NamedTempFile::new_in(fixture.mnt()).unwrap();
    assert_eq!(fs::read_dir(fixture.mnt()).unwrap().count(), 1);
    drop(named);
    fixture.assert_sealed(&["hunter2-hunter2"]);
}

#[test]
fn the_size_of_the_disk_is_that_of_the_store() {
    let fixture = mounted();
    let of = |path: &Path| {
        let fs = rustix::fs::statvfs(path).unwrap();
        (fs.f_blocks, fs.f_bsize, fs.f_frsize, fs.f_files, fs.f_namemax)
    };
    fs::write(fixture.mnt().join("x.toml"), "x = 1\n").unwrap();
    assert_eq!(of(&fixture.mnt()), of(&fixture.store()));
    assert_eq!(of(&fixture.mnt().join("x.toml")), of(&fixture.store()));
}

#[test]
fn what_the_disk_alone_knows_is_not_offered() {
    let fixture = mounted();
    let path = fixture.mnt().join("x.toml");
    fs::write(&path, "x = 1\n").unwrap();
    let mut file = File::open(&path).unwrap();
    let flags = rustix::fs::ioctl_getflags(&file);
    assert_eq!(flags.err(), Some(rustix::io::Errno::NOTTY));
    let wanted = rustix::fs::StatxFlags::BTIME;
    let born = rustix::fs::statx(&file, "", rustix::fs::AtFlags::EMPTY_PATH, wanted).unwrap();
    assert_eq!(born.stx_mask & wanted.bits(), 0);
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "x = 1\n");
}

#[test]
fn what_the_kernel_answers_by_itself() {
    let fixture = mounted();
    let outside = fixture.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    let errno_of_read =
        |flags: libc::c_int| format!("e(lambda: os.preadv(fd, [bytearray(4)], 0, {flags}))");
    let script = format!(
        "
import select
def e(call):
    try: print(call())
    except OSError as error: print(errno.errorcode[error.errno])
f = name('f')
write(f, doc, os.O_CREAT)
fd = os.open(f, os.O_RDWR)
out = '../../outside/'
for call in (os.rename, os.link): e(lambda: call(f, out + f))
other = os.open(out + 'x', os.O_RDWR | os.O_CREAT)
for way in ((fd, other), (other, fd)): e(lambda: os.copy_file_range(*way, 9))
poll = select.epoll(); e(lambda: poll.register(fd, select.EPOLLIN)); e(lambda: len(poll.poll(0)))
{nowait}; {uncached}
e(lambda: fcntl.ioctl(fd, 0xC020660B, bytes(32)))
e(lambda: fcntl.ioctl(fd, 0x80087601, bytes(8)))
e(lambda: os.lseek(fd, (1 << 63) - 1, os.SEEK_SET) == (1 << 63) - 1)
e(lambda: os.pathconf(f, 'PC_LINK_MAX'))
mark = libc.fanotify_mark
mark.argtypes = [ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p]
group = libc.fanotify_init(0x202, 0)
for how in (0x101, 0x1):
    print(mark(group, how, 8, -100, b'.') and errno.errorcode[ctypes.get_errno()])
small = os.open(name('small'), os.O_RDWR | os.O_CREAT)
os.write(small, b'abc')
mapped = mmap.mmap(small, 3)
page = (ctypes.c_char * 4096).from_address(ctypes.addressof(ctypes.c_char.from_buffer(mapped)))
page[4] = b'Z'
os.ftruncate(small, 6)
print(os.pread(small, 9, 0))
os.mkfifo('p'); os.utime('p', (5, 5))
os.write(os.open('p', os.O_RDWR), b'x'); print(os.stat('p').st_mtime)
",
        nowait = errno_of_read(8),
        uncached = errno_of_read(128),
    );
    for class in Class::ALL {
        let dir = fixture.mnt().join(format!("{class:?}"));
        fs::create_dir(&dir).unwrap();
        let said = python(&dir, class, &script);
        let expected = "EXDEV\nEXDEV\nEXDEV\nEXDEV\nNone\n1\nENOTSUP\nENOTSUP\nENOTSUP\nENOTTY\n\
                        True\n127\nENODEV\n0\nb'abc\\x00Z\\x00'\n5.0\n";
        assert_eq!(said, expected, "{class:?}");
    }
}
