//! Names and attributes: making, moving, removing, and what `stat` says.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, RenameFlags, Timespec, Timestamps, XattrFlags};

use crate::alike::{alike, errno, mounted, names, shell};
use crate::support::sh;

/// What `stat` says of a file, as far as two directories can agree on it.
fn facts(path: &Path) -> (u64, u32, u64, u32, u32, i64, i64) {
    let seen = fs::symlink_metadata(path).unwrap();
    let (uid, gid) = (seen.uid(), seen.gid());
    (seen.size(), seen.mode(), seen.nlink(), uid, gid, seen.mtime(), seen.mtime_nsec())
}

fn time(sec: i64, nsec: i64) -> Timespec {
    Timespec { tv_sec: sec, tv_nsec: nsec as _ }
}

fn set_times(path: &Path, atime: Timespec, mtime: Timespec) {
    let times = Timestamps { last_access: atime, last_modification: mtime };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn names_are_made_and_removed_as_in_any_directory() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let at = |name: &str| dir.join(name);
        let mut seen = Vec::new();
        let exclusive = || OpenOptions::new().write(true).create_new(true).open(at("a.toml"));
        seen.push(errno(exclusive()));
        seen.push(errno(exclusive()));
        seen.push(errno(fs::create_dir(at("d"))));
        seen.push(errno(fs::create_dir(at("d"))));
        seen.push(errno(fs::write(at("d/x.toml"), "x = 1\n")));
        seen.push(errno(fs::remove_dir(at("d"))));
        seen.push(errno(fs::remove_dir(at("a.toml"))));
        seen.push(errno(fs::remove_file(at("d"))));
        seen.push(errno(fs::remove_file(at("absent"))));
        seen.push(errno(File::open(at("absent/x"))));
        seen.push(errno(File::open(at("a.toml/x"))));
        seen.push(errno(fs::write(at("d"), "x")));
        seen.push(errno(fs::write(at(&"n".repeat(255)), "x")));
        seen.push(errno(fs::write(at(&"n".repeat(256)), "x")));
        seen.push(errno(fs::remove_file(at("d/x.toml"))));
        seen.push(errno(fs::remove_dir(at("d"))));
        (seen, names(dir))
    });
}

#[test]
fn a_umask_counts_and_a_mode_is_kept() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let said = shell(dir, "umask 027; touch f; mkdir d; mkfifo p; stat -c '%n %a %F' f d p");
        OpenOptions::new().append(true).create(true).mode(0o4711).open(dir.join("s")).unwrap();
        fs::set_permissions(dir.join("f"), PermissionsExt::from_mode(0o6750)).unwrap();
        let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().mode();
        fs::write(dir.join("f"), "x").unwrap();
        (said, mode("s"), mode("f"))
    });
}

#[test]
fn stat_shows_the_view_and_its_times_to_the_nanosecond() {
    let fixture = mounted();
    let app = "password = \"hunter2-hunter2\"\n";
    alike(&fixture, |dir| {
        let file = dir.join("app.toml");
        fs::write(&file, app).unwrap();
        set_times(&file, time(1_000_000_000, 123_456_789), time(1_100_000_000, 987_654_321));
        let omit = time(0, rustix::fs::UTIME_OMIT);
        set_times(&file, time(1_200_000_000, 5), omit);
        let seen = fs::metadata(&file).unwrap();
        assert_eq!(seen.size(), app.len() as u64);
        (facts(&file), seen.atime(), seen.atime_nsec())
    });
}

#[test]
fn a_time_that_a_program_set_outlives_the_mount() {
    let mut fixture = mounted();
    // As `cp -p` does: the time is set before the file is closed.
    let path = fixture.mnt().join("app.toml");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"password = \"hunter2-hunter2\"\n").unwrap();
    let then = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 42);
    file.set_modified(then).unwrap();
    drop(file);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), then);
    fixture.umount().mount();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), then);
}

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

#[test]
fn a_position_in_a_directory_can_be_returned_to() {
    let fixture = mounted();
    for n in 0..300 {
        File::create(fixture.mnt().join(format!("f{n:03}"))).unwrap();
    }
    let script = "
import ctypes, ctypes.util, os
c = ctypes.CDLL(None, use_errno=True)
c.opendir.restype = ctypes.c_void_p
c.readdir.restype = ctypes.c_void_p
for f in ('readdir', 'telldir', 'rewinddir', 'closedir'):
    getattr(c, f).argtypes = [ctypes.c_void_p]
c.telldir.restype = ctypes.c_long
c.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
def name(entry):
    return ctypes.string_at(entry + 19).decode()
d = c.opendir(b'.')
first = []
for n in range(100): first.append(name(c.readdir(d)))
mark = c.telldir(d)
rest = []
while (e := c.readdir(d)): rest.append(name(e))
c.seekdir(d, mark)
again = []
while (e := c.readdir(d)): again.append(name(e))
assert rest == again and len(first) + len(rest) == 302, (len(first), len(rest), len(again))
os.mkdir('new')
c.rewinddir(d)
every = []
while (e := c.readdir(d)): every.append(name(e))
assert len(every) == 303 and 'new' in every
";
    sh(&fixture.mnt(), &format!("python3 - <<'END'\n{script}\nEND"));
}

#[test]
fn renames_obey_their_flags() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let at = |name: &str| dir.join(name);
        let rename = |from: &str, to: &str, flags| {
            let done = rustix::fs::renameat_with(CWD, at(from), CWD, at(to), flags);
            done.map_err(|error| error.raw_os_error())
        };
        for name in ["a.toml", "b.toml"] {
            fs::write(at(name), format!("n = \"{name}\"\n")).unwrap();
        }
        fs::create_dir_all(at("d/e")).unwrap();
        fs::write(at("d/e/x.toml"), "password = \"deep-and-secret\"\n").unwrap();
        let none = RenameFlags::empty();
        let mut seen = vec![
            rename("a.toml", "b.toml", RenameFlags::NOREPLACE),
            rename("a.toml", "b.toml", RenameFlags::EXCHANGE),
            rename("a.toml", "absent", RenameFlags::EXCHANGE),
            rename("absent", "c", none),
            rename("a.toml", "d", none),
            rename("d", "a.toml", none),
            rename("d", "d/e/f", none),
        ];
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        let swapped = [read("a.toml"), read("b.toml")];
        seen.push(rename("a.toml", "b.toml", none));
        seen.push(rename("d", "g", none));
        fs::create_dir(at("full")).unwrap();
        fs::write(at("full/y"), "y").unwrap();
        seen.push(rename("g", "full", none));
        (seen, swapped, read("b.toml"), read("g/e/x.toml"), names(dir))
    });
}

#[test]
fn owners_and_modes_change() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let path = dir.join("x.toml");
        fs::write(&path, "a = 1\n").unwrap();
        sh(dir, "chmod 640 x.toml; chown 65534:65533 x.toml; ln -s x.toml l; chown -h 1:2 l");
        sh(dir, "mkdir d; chmod 1777 d; chown 3:4 d");
        fs::write(&path, "a = 2\n").unwrap();
        let (file, link) = (facts(&path), facts(&dir.join("l")));
        let folder = facts(&dir.join("d"));
        ((file.1, file.3, file.4), (link.0, link.1, link.3, link.4), (folder.1, folder.3))
    });
}

#[test]
fn symbolic_links_are_given_back_as_they_are() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        for (name, target) in
            [("a", "/etc/hostname"), ("b", "nowhere/at/all"), ("c", "../../../.."), ("e", "b")]
        {
            symlink(target, dir.join(name)).unwrap();
        }
        let target = |name: &str| fs::read_link(dir.join(name)).unwrap();
        fs::rename(dir.join("a"), dir.join("a2")).unwrap();
        let followed = errno(fs::read(dir.join("e")));
        (target("a2"), target("b"), target("c"), facts(&dir.join("b")).0, followed)
    });
}

#[test]
fn both_names_of_a_file_see_a_write() {
    let fixture = mounted();
    let secret = "password = \"hunter2-hunter2\"\n";
    alike(&fixture, |dir| {
        let (one, two) = (dir.join("one.toml"), dir.join("two.toml"));
        fs::write(&one, "n = 1\n").unwrap();
        fs::hard_link(&one, &two).unwrap();
        let same = fs::metadata(&one).unwrap().ino() == fs::metadata(&two).unwrap().ino();
        fs::write(&two, secret).unwrap();
        let seen = (fs::read_to_string(&one).unwrap(), facts(&one).2, same);
        // A name that the file got by a rename counts as much.
        fs::rename(&one, dir.join("three.toml")).unwrap();
        fs::hard_link(dir.join("three.toml"), dir.join("four.toml")).unwrap();
        let ino = |name: &str| fs::metadata(dir.join(name)).unwrap().ino();
        let all = ino("two.toml") == ino("three.toml") && ino("four.toml") == ino("two.toml");
        fs::remove_file(&two).unwrap();
        let rest = fs::read_to_string(dir.join("four.toml")).unwrap();
        (seen, all, rest, facts(&dir.join("four.toml")).2)
    });
    assert_eq!(fixture.stored("three.toml"), fixture.stored("four.toml"));
    assert!(fixture.stored("three.toml").starts_with("password = \"ENC:v1:"));
    let ino = |name: &str| fs::metadata(fixture.store().join(name)).unwrap().ino();
    assert_eq!(ino("three.toml"), ino("four.toml"));
}

#[test]
fn extended_attributes_are_kept_through_saves() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let path = dir.join("x.toml");
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
        ];
        fs::write(&path, "password = \"hunter2-hunter2\"\n").unwrap();
        let values = (get("user.a", 10), get("user.c", 10), get("user.a", 1), get("user.b", 0));
        seen.push(rustix::fs::removexattr(&path, "user.a").map_err(error));
        seen.push(rustix::fs::removexattr(&path, "user.a").map_err(error));
        let mut list = vec![0; 100];
        let len = rustix::fs::listxattr(&path, &mut list[..]).unwrap();
        list.truncate(len);
        let short = rustix::fs::listxattr(&path, &mut [0u8; 3][..]).map_err(error);
        (seen, values, list, short)
    });
}

#[test]
fn access_control_lists_are_kept_and_inherited() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let said = shell(
            dir,
            "umask 022; mkdir d; setfacl -d -m u:65534:rwx,g::r-x,o::- d; touch d/f; mkdir d/e
             echo 'password = \"hunter2-hunter2\"' > f.toml; setfacl -m u:65534:r f.toml
             echo 'password = \"hunter2-hunter3\"' > f.toml; chmod 640 f.toml
             getfacl -n d d/f d/e f.toml; stat -c '%n %a' d/f d/e f.toml",
        );
        assert!(said.1.contains("user:65534:r--"), "{said:?}");
        said
    });
    let own = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    assert_eq!(shell(&fixture.mnt(), &format!("{own} cat f.toml")).0, Some(0));
    assert_eq!(
        shell(&fixture.mnt(), "setpriv --reuid=7 --regid=7 --clear-groups cat f.toml").0,
        Some(1)
    );
}

#[test]
fn files_of_other_users_belong_to_them_and_are_theirs_alone() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let own = "setpriv --reuid=65534 --regid=65533 --clear-groups bash -c";
        let line = format!(
            "chmod 755 .; mkdir open; chmod 1777 open; echo s = 1 > root.toml; chmod 600 root.toml
             {own} 'cd open; umask 077; echo \"password = \\\"mine-and-mine\\\"\" > a.toml; mkdir d
                    ln -s x l; mkfifo p; cat a.toml; cat ../root.toml; touch ../new; rm ../root.toml
                    chown 0 a.toml; sed -i s/mine/thine/ a.toml; cat a.toml'
             stat -c '%n %u:%g %a' open/*"
        );
        shell(dir, &line)
    });
}

#[test]
fn pipes_hold_what_goes_through_them() {
    let fixture = mounted();
    alike(&fixture, |dir| shell(dir, "mkfifo p; (echo through > p &) ; cat p; stat -c %F p; rm p"));
}

#[test]
fn the_size_of_the_disk_is_that_of_the_store() {
    let fixture = mounted();
    let of = |path: &Path| {
        let fs = rustix::fs::statvfs(path).unwrap();
        (fs.f_blocks, fs.f_frsize, fs.f_files, fs.f_namemax)
    };
    assert_eq!(of(&fixture.mnt()), of(&fixture.store()));
}
