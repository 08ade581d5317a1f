//! Names: what they may be, how they are made and removed, and what stands under them.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::PathBuf;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use crate::calls::{errno, names};
use crate::scene::{Class, alike, alike_in_each_class, facts, mounted, python, unmounted};
use crate::support::{Fixture, sh};

#[test]
fn names_are_made_and_removed_as_in_any_directory() {
    alike_in_each_class(|dir, class| {
        let at = |name: &str| dir.join(name);
        let (file, below) = (at(&class.name("a")), at("d").join(class.name("x")));
        let exclusive = || OpenOptions::new().write(true).create_new(true).open(&file);
        let seen = [
            errno(exclusive()),
            errno(exclusive()),
            errno(fs::create_dir(at("d"))),
            errno(fs::create_dir(at("d"))),
            errno(fs::create_dir(&file)),
            errno(fs::write(&below, class.document())),
            errno(fs::remove_dir(at("d"))),
            errno(fs::remove_dir(&file)),
            errno(fs::remove_file(at("d"))),
            errno(fs::remove_file(at("absent"))),
            errno(File::open(at("absent/x"))),
            errno(File::open(file.join("x"))),
            errno(fs::write(at("d"), "x")),
            errno(File::open(at("d")).and_then(|mut dir| dir.read(&mut [0; 9]))),
            errno(fs::remove_dir(at("d/."))),
            errno(fs::remove_dir(at("d/.."))),
            errno(fs::read(at("d/../").join(class.name("a")))),
            errno(fs::remove_file(below)),
            errno(fs::remove_dir(at("d"))),
        ];
        (seen, names(dir))
    });
}

#[test]
fn a_name_is_any_255_bytes() {
    alike_in_each_class(|dir, class| {
        let ending = class.name("");
        let long = |len: usize| [vec![b'n'; len - ending.len()], ending.clone().into()].concat();
        let odd = |start: &[u8]| [start, ending.as_bytes()].concat();
        let names = [
            odd(b"\xff\xfe not UTF-8 \xc3"),
            odd(b"two\nlines\t\x01\x7f"),
            odd(b"-rf * $(reboot) 'quoted\" \\"),
            odd("\u{202e}Gr\u{fc}\u{df}e".as_bytes()),
            odd(b" "),
            odd(b"..."),
            long(255),
            long(256),
        ];
        let each = names.map(|name| {
            let path = dir.join(OsStr::from_bytes(&name));
            let made = errno(fs::write(&path, class.document()));
            let renamed = errno(fs::rename(&path, dir.join(class.name("other"))));
            let back = errno(fs::rename(dir.join(class.name("other")), &path));
            (made, renamed, back, fs::read(&path).ok())
        });
        let mut listed: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        listed.sort();
        (each, listed)
    });
}

#[test]
fn a_path_is_as_long_as_the_kernel_allows() {
    alike_in_each_class(|dir, class| {
        // 4096 bytes with the NUL at their end.
        let mut deep = dir.to_owned();
        while deep.as_os_str().len() < 3800 {
            deep.push("d".repeat(200));
            fs::create_dir(&deep).unwrap();
        }
        let ending = class.name("");
        let name = |all: usize| "f".repeat(all - 1 - deep.as_os_str().len() - ending.len());
        let file = |all: usize| deep.join(format!("{}{ending}", name(all)));
        let seen = [4094, 4095, 4096].map(|all| {
            let written = errno(fs::write(file(all), class.document()));
            (written, fs::read_to_string(file(all)).ok())
        });
        // Beyond that, step by step.
        let mut at =
            rustix::fs::open(&deep, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        for _ in 0..5 {
            let name = "e".repeat(250);
            rustix::fs::mkdirat(&at, &name, Mode::from_raw_mode(0o755)).unwrap();
            at = rustix::fs::openat(&at, &name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .unwrap();
        }
        let (one, other) = (class.name("one"), class.name("other"));
        let open = |flags| {
            rustix::fs::openat(&at, &one, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))
        };
        let mut beyond = File::from(open(OFlags::CREATE | OFlags::WRONLY).unwrap());
        beyond.write_all(class.document().as_bytes()).unwrap();
        drop(beyond);
        let mut text = String::new();
        File::from(open(OFlags::RDONLY).unwrap()).read_to_string(&mut text).unwrap();
        rustix::fs::renameat(&at, &one, &at, &other).unwrap();
        let gone = open(OFlags::RDONLY).map(drop);
        rustix::fs::unlinkat(&at, &other, AtFlags::empty()).unwrap();
        drop(at);
        // What looks for secrets in the store would not get there.
        fs::remove_dir_all(dir.join("d".repeat(200))).unwrap();
        (seen, text, gone)
    });
}

#[test]
fn two_hundred_directories_deep() {
    alike_in_each_class(|dir, class| {
        let below: PathBuf = std::iter::repeat_n("d", 200).collect();
        fs::create_dir_all(dir.join(&below)).unwrap();
        let file = below.join(class.name("x"));
        fs::write(dir.join(&file), class.document()).unwrap();
        fs::rename(dir.join("d"), dir.join("e")).unwrap();
        let moved = dir.join("e").join(file.strip_prefix("d").unwrap());
        let seen = (fs::read_to_string(&moved).unwrap(), sh(dir, "find . | wc -l"));
        fs::remove_dir_all(dir.join("e")).unwrap();
        (seen, names(dir))
    });
}

#[test]
fn a_hundred_thousand_files_in_one_directory() {
    const MANY: usize = 100_000;
    let mut fixture = unmounted();
    let dir = fixture.store().join("many");
    fs::create_dir(&dir).unwrap();
    let at = File::open(&dir).unwrap();
    for n in 0..MANY {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&at, format!("{n}.toml"), flags, Mode::from_raw_mode(0o600)).unwrap();
    }
    fixture.mount();
    let dir = fixture.mnt().join("many");
    let listed: std::collections::HashSet<_> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(listed.len(), MANY);
    let (file, last) = (dir.join("50000.toml"), dir.join(format!("{MANY}.toml")));
    fs::write(&file, Class::Fields.document()).unwrap();
    fs::rename(&file, &last).unwrap();
    fs::remove_file(dir.join("0.toml")).unwrap();
    assert_eq!(fs::read_to_string(&last).unwrap(), Class::Fields.document());
    assert_eq!(names(&dir).len(), MANY - 1);
}

#[test]
fn the_names_of_confseal_are_refused() {
    let fixture = mounted();
    let mnt = fixture.mnt();
    let at = |name: &str| mnt.join(name);
    fs::write(at("a.toml"), "a = 1\n").unwrap();
    fs::create_dir(at("d")).unwrap();
    let temporary = ".confseal-tmp.0.1";
    let inside = at("d").join(temporary);
    for (call, done) in [
        ("remove_dir", fs::remove_dir(at(".confseal"))),
        ("remove_file", fs::remove_file(at(".confseal/control"))),
        ("rename away", fs::rename(at(".confseal"), at("x"))),
        ("rename onto", fs::rename(at("d"), at(".confseal"))),
        ("rename into", fs::rename(at("a.toml"), at(".confseal/a.toml"))),
        ("create inside", fs::write(at(".confseal/new"), "")),
        ("mkdir inside", fs::create_dir(at(".confseal/new"))),
        ("symlink inside", symlink("x", at(".confseal/new"))),
        ("link inside", fs::hard_link(at("a.toml"), at(".confseal/new"))),
        ("create a temporary", fs::write(at(temporary), "")),
        ("mkdir a temporary", fs::create_dir(&inside)),
        ("symlink a temporary", symlink("x", &inside)),
        ("rename to a temporary", fs::rename(at("a.toml"), &inside)),
        ("link to a temporary", fs::hard_link(at("a.toml"), &inside)),
    ] {
        assert_eq!(errno(done), Err(libc::EPERM), "{call}");
    }
    // One that stands in the store is not seen.
    fs::write(fixture.store().join(temporary), "x").unwrap();
    assert_eq!(errno(fs::read(at(temporary))), Err(libc::ENOENT));
    assert_eq!(names(&mnt), ["a.toml", "d"]);
    // Only the one at the root is the control room.
    fs::create_dir(at("d/.confseal")).unwrap();
    assert_eq!(names(&at("d")), [".confseal"]);
}

#[test]
fn version_control_is_not_entered() {
    let mut fixture = Fixture::new();
    fixture.put(".git/HEAD", "ref: refs/heads/main\n").put("sub/.hg/x", "x").mount();
    let mnt = fixture.mnt();
    for dir in [".git", "sub/.hg"] {
        assert_eq!(errno(fs::read_dir(mnt.join(dir))), Err(libc::EACCES));
        assert!(fs::metadata(mnt.join(dir)).unwrap().is_dir());
    }
    assert_eq!(errno(File::open(mnt.join(".git/HEAD"))), Err(libc::EACCES));
    assert_eq!(errno(File::create(mnt.join(".git/new"))), Err(libc::EACCES));
    assert_eq!(errno(fs::create_dir(mnt.join(".svn"))), Err(libc::EACCES));
    assert_eq!(errno(fs::rename(mnt.join(".git"), mnt.join("x"))), Err(libc::EACCES));
    assert_eq!(names(&mnt), [".git", "sub"]);
}

#[test]
fn symbolic_links_are_given_back_as_they_are() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let longest = "t".repeat(4095);
        let targets = [
            ("a", "/etc/hostname"),
            ("b", "nowhere/at/all"),
            ("c", "../../../.."),
            ("e", "b"),
            ("loop", "loop"),
            ("long", &longest),
            ("short", "x"),
        ];
        let made = targets.map(|(name, target)| errno(symlink(target, dir.join(name))));
        let target = |name: &str| fs::read_link(dir.join(name)).unwrap();
        fs::rename(dir.join("a"), dir.join("a2")).unwrap();
        let links = [target("a2"), target("b"), target("c"), target("e"), target("long")];
        let odd = OsStr::from_bytes(b"\xff\n");
        symlink(odd, dir.join("odd")).unwrap();
        let refused = [
            errno(symlink("x", dir.join("b"))),
            errno(symlink("t".repeat(4096), dir.join("too-long"))),
            errno(symlink("", dir.join("empty"))),
            errno(fs::read(dir.join("e"))),
            errno(fs::read(dir.join("loop"))),
            errno(fs::read_link(dir)),
        ];
        let not_followed = OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(dir.join("short"), not_followed, Mode::empty()).map(drop);
        let facts = ["b", "long", "odd"].map(|name| facts(&dir.join(name)));
        (made, links, target("odd"), refused, opened, facts)
    });
}

#[test]
fn special_files_are_made_and_used() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        let said = python(
            dir,
            Class::Plain,
            "
for n, kind in enumerate([stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFREG]):
    t(os.mknod, f'n{n}', kind | 0o640, os.makedev(259, 70000))
    t(os.mknod, f'n{n}', kind | 0o640, os.makedev(1, 3))
    seen = os.lstat(f'n{n}')
    print(oct(seen.st_mode), os.major(seen.st_rdev), os.minor(seen.st_rdev), seen.st_size)
t(os.mknod, 'd', stat.S_IFDIR | 0o755)
t(os.open, 'n0', os.O_WRONLY | os.O_NONBLOCK)
t(os.open, 'n1', os.O_RDONLY)
r, w = os.open('n0', os.O_RDONLY | os.O_NONBLOCK), os.open('n0', os.O_WRONLY)
os.write(w, b'through the pipe')
print(os.read(r, 99), os.fstat(r).st_size)
server = socket.socket(socket.AF_UNIX)
server.bind('s'); server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect('s')
client.send(b'through the socket')
print(server.accept()[0].recv(99), oct(os.lstat('s').st_mode))
os.rename('n0', 'p'); os.link('p', 'q'); os.chmod('q', 0o600); os.unlink('p')
print(oct(os.lstat('q').st_mode), os.lstat('q').st_nlink)
",
        );
        (said, names(dir))
    });
    // Mounted nodev: a device can be made and looked at, not opened.
    rustix::fs::mknodat(
        CWD,
        fixture.mnt().join("null"),
        rustix::fs::FileType::CharacterDevice,
        Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    assert_eq!(errno(File::open(fixture.mnt().join("null"))), Err(libc::EACCES));
}

#[test]
fn both_names_of_a_file_see_a_write() {
    alike_in_each_class(|dir, class| {
        let at = |stem: &str| dir.join(class.name(stem));
        fs::write(at("one"), "n = 1\n").unwrap();
        fs::hard_link(at("one"), at("two")).unwrap();
        let ino = |stem: &str| fs::metadata(at(stem)).unwrap().ino();
        let same = ino("one") == ino("two");
        fs::write(at("two"), class.document()).unwrap();
        let seen = (fs::read_to_string(at("one")).unwrap(), facts(&at("one")), same);
        // A name that the file got by a rename counts as much.
        fs::rename(at("one"), at("three")).unwrap();
        fs::hard_link(at("three"), at("four")).unwrap();
        let all = ino("two") == ino("three") && ino("four") == ino("two");
        fs::remove_file(at("two")).unwrap();
        let open = OpenOptions::new().write(true).open(at("four")).unwrap();
        open.write_all_at(b"PASSWORD", 0).unwrap();
        let while_open = fs::read_to_string(at("three")).unwrap();
        drop(open);
        fs::create_dir(dir.join("d")).unwrap();
        let refused = [
            errno(fs::hard_link(at("three"), at("four"))),
            errno(fs::hard_link(at("absent"), at("five"))),
            errno(fs::hard_link(dir.join("d"), at("five"))),
            errno(fs::rename(at("three"), at("four"))),
        ];
        (seen, all, while_open, fs::read_to_string(at("four")).unwrap(), refused, names(dir))
    });
}

#[test]
fn a_link_that_would_seal_differently_is_refused() {
    let fixture = mounted();
    let at = |name: &str| fixture.mnt().join(name);
    fs::write(at("a.toml"), Class::Fields.document()).unwrap();
    for other in ["a.key", "a.txt"] {
        assert_eq!(errno(fs::hard_link(at("a.toml"), at(other))), Err(libc::EXDEV), "{other}");
    }
    fs::create_dir(at("d")).unwrap();
    fs::hard_link(at("a.toml"), at("d/b.toml")).unwrap();
    // `cp -l` gives up on that, `ln` says so, and a copy works.
    sh(&fixture.mnt(), "cp a.toml a.key");
    assert_eq!(fixture.seen("a.key"), Class::Fields.document());
    fixture.assert_sealed(&[Class::Fields.secret()]);
}
