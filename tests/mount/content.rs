//! Content: reading, writing, growing, mapping, locking.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};

use rustix::fs::FallocateFlags;

use crate::alike::{alike, errno, mounted, names, shell};
use crate::support::sh;

#[test]
fn a_file_grows_with_zeros_and_shrinks() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let path = dir.join("data.toml");
        fs::write(&path, "abcdef").unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        file.set_len(10).unwrap();
        let grown = fs::read(&path).unwrap();
        file.write_all_at(b"Z", 20).unwrap();
        let hole = fs::read(&path).unwrap();
        file.set_len(3).unwrap();
        let shrunk = fs::read(&path).unwrap();
        drop(file);
        sh(dir, "truncate -s 8 data.toml; truncate -s 5 data.toml");
        let read_only = File::open(&path).unwrap();
        (
            grown,
            hole,
            shrunk,
            fs::read(&path).unwrap(),
            errno(read_only.set_len(1)),
            fs::metadata(&path).unwrap().size(),
        )
    });
}

#[test]
fn two_appenders_never_overwrite_each_other() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let path = dir.join("log.toml");
        let open = || OpenOptions::new().append(true).create(true).open(&path).unwrap();
        let (mut one, mut two) = (open(), open());
        for n in 0..20 {
            writeln!(one, "a{n} = 1").unwrap();
            writeln!(two, "b{n} = 2").unwrap();
        }
        fs::read_to_string(&path).unwrap()
    });
}

#[test]
fn reads_and_writes_at_positions() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let path = dir.join("x.toml");
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
        (piece, past, end)
    });
}

#[test]
fn a_synchronous_write_has_reached_the_store_when_it_returns() {
    let fixture = mounted();
    let path = fixture.mnt().join("app.toml");
    let flags = libc::O_SYNC;
    let mut file =
        OpenOptions::new().write(true).create(true).custom_flags(flags).open(path).unwrap();
    file.write_all(b"password = \"hunter2-hunter2\"\n").unwrap();
    assert!(fixture.stored("app.toml").starts_with("password = \"ENC:v1:"));
    file.write_all(b"port = 1\n").unwrap();
    file.sync_all().unwrap();
    assert!(fixture.stored("app.toml").ends_with("port = 1\n"));
}

#[test]
fn space_is_set_aside_and_punched_out() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let path = dir.join("x.toml");
        fs::write(&path, "0123456789").unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let allocate = |flags, at, len| {
            rustix::fs::fallocate(&file, flags, at, len).map_err(|error| error.raw_os_error())
        };
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let seen = [
            allocate(FallocateFlags::empty(), 0, 16),
            allocate(FallocateFlags::KEEP_SIZE, 0, 64),
            allocate(punch, 2, 3),
            allocate(FallocateFlags::PUNCH_HOLE, 2, 3),
        ];
        (seen, fs::read(&path).unwrap())
    });
}

#[test]
fn a_shared_mapping_is_written_back() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        fs::write(dir.join("x.toml"), "password = \"hunter2-hunter2\"\n").unwrap();
        let script = "import mmap\nf = open('x.toml', 'r+b')\nm = mmap.mmap(f.fileno(), 0)\n\
                      f.close()\nm[12:19] = b'HUNTER1'\nm.flush()\nm.close()";
        sh(dir, &format!("python3 - <<'END'\n{script}\nEND"));
        fs::read_to_string(dir.join("x.toml")).unwrap()
    });
    fixture.assert_sealed(&["HUNTER1-hunter2", "hunter2-hunter2"]);
}

#[test]
fn locks_keep_others_out() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let path = dir.join("x.toml");
        fs::write(&path, "a = 1\n").unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        file.lock().unwrap();
        let flock = shell(dir, "flock -n x.toml true").0;
        file.unlock().unwrap();
        rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let posix = "import fcntl\nf = open('x.toml', 'r+')\ntry: fcntl.lockf(f, fcntl.LOCK_EX | \
                     fcntl.LOCK_NB); print('free')\nexcept OSError as e: print(e.errno)";
        (flock, shell(dir, &format!("python3 - <<'END'\n{posix}\nEND")).1)
    });
}

#[test]
fn a_removed_file_lives_on_in_its_descriptors() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let path = dir.join("x.toml");
        fs::write(&path, "password = \"hunter2-hunter2\"\n").unwrap();
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
        ];
        let seen = other.metadata().unwrap();
        let mut rest = [0; 20];
        let len = other.read_at(&mut rest, 0).unwrap();
        fs::write(&path, "b = 1\n").unwrap();
        let again = fs::read_to_string(&path).unwrap();
        (text, changed, (seen.size(), seen.nlink(), seen.mode(), seen.mtime()), len, rest, again)
    });
    fixture.assert_sealed(&["hunter2-hunter2"]);
}

#[test]
fn a_replaced_file_lives_on_in_its_descriptors() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let (path, new) = (dir.join("x.toml"), dir.join("x.toml.tmp"));
        fs::write(&path, "password = \"the-older-one\"\n").unwrap();
        let old = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        fs::write(&new, "password = \"the-newer-one\"\n").unwrap();
        fs::rename(&new, &path).unwrap();
        let mut text = [0; 27];
        old.read_exact_at(&mut text, 0).unwrap();
        old.write_all_at(b"PASSWORD", 0).unwrap();
        drop(old);
        (text.to_vec(), fs::read_to_string(&path).unwrap(), names(dir))
    });
    fixture.assert_sealed(&["the-older-one", "the-newer-one"]);
}

#[test]
fn copies_and_seeks_for_holes_work() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        fs::write(dir.join("a.toml"), "password = \"hunter2-hunter2\"\n").unwrap();
        sh(dir, "cp --reflink=auto a.toml b.toml; cp -a a.toml c.toml; cmp a.toml c.toml");
        let (from, to) =
            (File::open(dir.join("a.toml")).unwrap(), File::create(dir.join("d")).unwrap());
        let copied = rustix::fs::copy_file_range(&from, None, &to, None, 100).unwrap();
        drop(to);
        let mut from = from;
        from.seek(SeekFrom::Start(3)).unwrap();
        let data = rustix::fs::seek(&from, rustix::fs::SeekFrom::Data(3)).unwrap();
        let hole = rustix::fs::seek(&from, rustix::fs::SeekFrom::Hole(3)).unwrap();
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        (copied, data, hole, read("b.toml"), read("d"))
    });
    fixture.assert_sealed(&["hunter2-hunter2"]);
}
