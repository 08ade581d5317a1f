//! Content: reading, writing, mapping, locking.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

use crate::calls::{errno, shell};
use crate::scene::{Class, alike_in_each_class, mounted, python};
use crate::support::sh;

#[test]
fn a_file_grows_with_zeros_and_shrinks() {
    alike_in_each_class(|dir, class| {
        let path = dir.join(class.name("data"));
        fs::write(&path, "abcdef").unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        file.set_len(10).unwrap();
        let grown = fs::read(&path).unwrap();
        file.write_all_at(b"Z", 20).unwrap();
        let hole = fs::read(&path).unwrap();
        file.set_len(3).unwrap();
        let shrunk = fs::read(&path).unwrap();
        drop(file);
        let name = class.name("data");
        sh(dir, &format!("truncate -s 8 {name}; truncate -s 5 {name}"));
        let read_only = File::open(&path).unwrap();
        let refused = [
            errno(read_only.set_len(1)),
            errno(rustix::fs::ftruncate(&read_only, u64::MAX).map_err(Into::into)),
            errno(OpenOptions::new().write(true).open(dir)),
        ];
        (
            grown,
            hole,
            shrunk,
            fs::read(&path).unwrap(),
            refused,
            fs::metadata(&path).unwrap().size(),
        )
    });
}

#[test]
fn reads_and_writes_at_positions() {
    alike_in_each_class(|dir, class| {
        let path = dir.join(class.name("x"));
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let mut file = open.unwrap();
        file.write_all_at(b"0123456789", 0).unwrap();
        file.write_all_at(b"ab", 4).unwrap();
        let mut piece = [0; 4];
        file.read_exact_at(&mut piece, 3).unwrap();
        let past = file.read_at(&mut [0; 4], 100).unwrap();
        file.seek(SeekFrom::End(-2)).unwrap();
        let mut end = String::new();
        file.read_to_string(&mut end).unwrap();
        file.sync_all().unwrap();
        file.sync_data().unwrap();
        let vectors = python(
            dir,
            class,
            "
fd = os.open(name('x'), os.O_RDWR)
print(os.writev(fd, [b'one', b'', b'two']), os.preadv(fd, [bytearray(2), bytearray(9)], 1))
print(os.pwritev(fd, [b'x' * 5000, b'y' * 200000], 3), os.lseek(fd, 0, os.SEEK_CUR), os.fstat(fd).st_size)
print(os.pread(fd, 10, 4998), len(os.pread(fd, 1 << 20, 0)))
t(os.lseek, fd, -1, os.SEEK_SET); t(os.pread, fd, 1, 1 << 62)
r, w = os.pipe()
print(os.splice(fd, w, 100, offset_src=0), os.sendfile(w, fd, 0, 50), len(os.read(r, 999)))
os.write(w, b'spliced'); print(os.splice(r, fd, 7, offset_dst=1), os.pread(fd, 9, 0))
",
        );
        (piece, past, end, vectors)
    });
}

#[test]
fn what_is_written_is_read_at_once_everywhere() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f = name('f')
write(f, doc, os.O_CREAT)
one, two = os.open(f, os.O_RDWR), os.open(f, os.O_RDONLY)
view = mmap.mmap(two, 0, prot=mmap.PROT_READ)
os.pwrite(one, b'PASS', 0)
print(os.pread(two, 8, 0), view[:8], read(f)[:8], os.stat(f).st_size)
os.ftruncate(one, 5); print(os.pread(two, 99, 0), os.fstat(two).st_size)
os.pwrite(one, b'end', 10); print(os.pread(two, 99, 0), view[:13])
child = os.fork()
if not child:
    os.lseek(one, 2, 0); os.write(one, b'child'); os._exit(0)
os.waitpid(child, 0)
print(os.lseek(one, 0, 1), read(f))
os.write(one, b'parent'); print(read(f))
",
        )
    });
}

#[test]
fn appenders_never_overwrite_each_other() {
    alike_in_each_class(|dir, class| {
        let path = dir.join(class.name("log"));
        fs::write(&path, class.document()).unwrap();
        let append = |n: usize| {
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            for line in 0..50 {
                file.write_all(format!("line{n}_{line:02} = 1\n").as_bytes()).unwrap();
            }
        };
        std::thread::scope(|threads| {
            for n in 0..4 {
                threads.spawn(move || append(n));
            }
        });
        // Processes, and a position that counts for nothing.
        sh(
            dir,
            &format!(
                "for n in a b c; do (seq -f 'x%g = 1' 20 >> {0}) & done; wait",
                class.name("log")
            ),
        );
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(b"last = 1\n").unwrap();
        let at = file.stream_position().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        (at, text.ends_with("last = 1\n"), lines)
    });
}

#[test]
fn a_synchronous_write_has_reached_the_store_when_it_returns() {
    let fixture = mounted();
    for flags in [libc::O_SYNC, libc::O_DSYNC] {
        let path = fixture.mnt().join("app.toml");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(flags)
            .open(path)
            .unwrap();
        file.write_all(b"password = \"hunter2-hunter2\"\n").unwrap();
        assert!(fixture.stored("app.toml").starts_with("password = \"ENC:v1:"));
        file.write_all(b"port = 1\n").unwrap();
        assert!(fixture.stored("app.toml").ends_with("port = 1\n"));
    }
    let mut file = OpenOptions::new().append(true).open(fixture.mnt().join("app.toml")).unwrap();
    file.write_all(b"host = 1\n").unwrap();
    assert!(fixture.stored("app.toml").ends_with("port = 1\n"));
    file.sync_data().unwrap();
    assert!(fixture.stored("app.toml").ends_with("host = 1\n"));
}

#[test]
fn mappings_share_what_is_written() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f = name('f')
write(f, doc, os.O_CREAT)
fd = os.open(f, os.O_RDWR)
shared, private = mmap.mmap(fd, 0), mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE)
private[0:4] = b'only'
shared[0:4] = b'PASS'
print(os.pread(fd, 9, 0), private[:9])
other = mmap.mmap(os.open(f, os.O_RDONLY), 0, prot=mmap.PROT_READ)
print(other[:9])
shared.flush()
os.close(fd)
print(read(f))
shared[4:8] = b'WORD'
del shared
print(read(f))
t(mmap.mmap, os.open(f, os.O_RDONLY), 0)
big = os.open(name('big'), os.O_RDWR | os.O_CREAT)
os.ftruncate(big, 100000)
m = mmap.mmap(big, 100000)
for at in range(0, 100000, 5000): m[at:at + 4] = b'page'
m.close(); os.close(big)
print(read(name('big')).count(b'page'), os.stat(name('big')).st_size)
",
        )
    });
}

#[test]
fn direct_and_copied_reads_and_writes_arrive() {
    alike_in_each_class(|dir, class| {
        let (a, b) = (class.name("a"), class.name("b"));
        fs::write(dir.join(&a), class.document()).unwrap();
        sh(dir, &format!("cp --reflink=auto {a} {b}; cp -a {a} {b}.bak; cmp {a} {b}"));
        let (from, to) =
            (File::open(dir.join(&a)).unwrap(), File::create(dir.join(class.name("d"))).unwrap());
        let copied = rustix::fs::copy_file_range(&from, None, &to, None, 100).unwrap();
        drop(to);
        let dd = shell(dir, &format!(
            "yes '# line' | head -c 8192 | dd of={b} bs=4096 oflag=direct iflag=fullblock status=none
             dd if={b} bs=4096 iflag=direct status=none | cksum; stat -c %s {b}"
        ));
        (copied, dd, fs::read_to_string(dir.join(class.name("d"))).unwrap())
    });
}

#[test]
fn a_limit_on_file_sizes_counts() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
fd = os.open(name('f'), os.O_RDWR | os.O_CREAT)
print(os.write(fd, b'#' * 2000)); t(os.write, fd, b'#'); t(os.ftruncate, fd, 1001)
t(os.posix_fallocate, fd, 0, 1001); print(os.fstat(fd).st_size)
",
        )
    });
}

#[test]
fn a_sealed_file_has_a_largest_size() {
    let fixture = mounted();
    let large = 70 << 20;
    for class in [Class::Fields, Class::Whole] {
        let path = fixture.mnt().join(class.name("f"));
        fs::write(&path, class.document()).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        assert_eq!(errno(file.write_all_at(b"x", large)), Err(libc::EFBIG));
        assert_eq!(errno(file.set_len(large)), Err(libc::EFBIG));
        let allocated = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, large);
        assert_eq!(errno(allocated.map_err(Into::into)), Err(libc::EFBIG));
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), class.document());
    }
    // A plain file has none but that of the disk.
    let path = fixture.mnt().join(Class::Plain.name("f"));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    let far = (2 << 30) + 1;
    file.write_all_at(b"x", far).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, far).unwrap();
    assert_eq!((byte, file.metadata().unwrap().len()), (*b"x", far + 1));
    assert!(file.metadata().unwrap().blocks() < 1000);
}
