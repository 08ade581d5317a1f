//! Renames.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::fs::{CWD, RenameFlags};

use crate::calls::{errno, names};
use crate::scene::{Class, alike, alike_in_each_class, alike_in_each_class_of, facts, mounted};
use crate::support::sh;

#[test]
fn renames_obey_their_flags() {
    alike_in_each_class(|dir, class| {
        let at = |name: &str| dir.join(name);
        let rename = |from: &str, to: &str, flags| {
            let done = rustix::fs::renameat_with(CWD, at(from), CWD, at(to), flags);
            done.map_err(|error| error.raw_os_error())
        };
        let (a, b, deep) = (class.name("a"), class.name("b"), class.name("d/e/x"));
        for name in [&a, &b] {
            fs::write(at(name), format!("n = \"{name}\"\n")).unwrap();
        }
        fs::create_dir_all(at("d/e")).unwrap();
        fs::create_dir(at(&class.name("dir"))).unwrap();
        fs::write(at(&deep), class.document()).unwrap();
        let none = RenameFlags::empty();
        let mut seen = vec![
            rename(&a, &b, RenameFlags::NOREPLACE),
            rename(&a, &a, RenameFlags::NOREPLACE),
            rename(&a, &b, RenameFlags::EXCHANGE),
            rename(&a, &a, RenameFlags::EXCHANGE),
            rename(&a, "absent", RenameFlags::EXCHANGE),
            rename(&a, &b, RenameFlags::EXCHANGE | RenameFlags::NOREPLACE),
            rename("absent", "c", none),
            rename(&a, "d", none),
            rename("d", &a, none),
            rename("d", "d/e/f", none),
            rename("d/e", "d", none),
            rename("d", "d/e", RenameFlags::EXCHANGE),
            rename(&a, &class.name("dir"), RenameFlags::EXCHANGE),
            rename(&a, &class.name("dir"), RenameFlags::EXCHANGE),
        ];
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        let swapped = [read(&a), read(&b)];
        seen.push(rename(&a, &b, none));
        seen.push(rename("d", "g", RenameFlags::NOREPLACE));
        fs::create_dir(at("full")).unwrap();
        fs::write(at("full/y.toml"), "y = 1\n").unwrap();
        seen.push(rename("g", "full", none));
        fs::create_dir(at("empty")).unwrap();
        seen.push(rename("g", "empty", none));
        (seen, swapped, read(&b), read(&class.name("empty/e/x")), names(dir))
    });
}

#[test]
fn a_rename_keeps_the_file_and_what_is_open() {
    alike_in_each_class(|dir, class| {
        let (old, new) = (dir.join(class.name("old")), dir.join("d").join(class.name("new")));
        fs::create_dir(dir.join("d")).unwrap();
        fs::write(&old, class.document()).unwrap();
        let mut open = OpenOptions::new().read(true).write(true).open(&old).unwrap();
        let before = (facts(&old), fs::metadata(&old).unwrap().ino());
        open.write_all(b"PASSWORD").unwrap();
        fs::rename(&old, &new).unwrap();
        let after = (facts(&new), fs::metadata(&new).unwrap().ino());
        open.write_all(b" ").unwrap();
        let renamed_open = fs::read_to_string(&new).unwrap();
        fs::rename(dir.join("d"), dir.join("e")).unwrap();
        open.seek(SeekFrom::Start(0)).unwrap();
        let mut text = String::new();
        open.read_to_string(&mut text).unwrap();
        drop(open);
        let last = fs::read_to_string(dir.join("e").join(class.name("new"))).unwrap();
        (before == after, renamed_open, text, last, names(dir))
    });
}

#[test]
fn a_directory_moves_with_all_that_is_in_it() {
    alike_in_each_class(|dir, class| {
        for name in ["one/a", "one/two/b", "one/two/three/c"] {
            let path = dir.join(class.name(name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, class.document()).unwrap();
        }
        let inside = File::open(dir.join("one/two")).unwrap();
        fs::create_dir(dir.join("other")).unwrap();
        fs::rename(dir.join("one"), dir.join("other/four")).unwrap();
        fs::rename(dir.join("other/four/two"), dir.join("five")).unwrap();
        let parent = fs::metadata(dir.join("five/..")).unwrap().ino();
        let here = parent == fs::metadata(dir).unwrap().ino();
        let still = rustix::fs::statat(&inside, class.name("b"), rustix::fs::AtFlags::empty());
        (sh(dir, "find . | sort; cat five/b* five/three/c*"), here, still.is_ok())
    });
}

#[test]
fn a_rename_that_seals_differently() {
    let fixture = mounted();
    let at = |name: &str| fixture.mnt().join(name);
    let read = |name: &str| fs::read_to_string(at(name)).unwrap();
    // A file is sealed anew.
    alike(&fixture, |dir| {
        fs::write(dir.join("a.toml"), Class::Fields.document()).unwrap();
        let before = facts(&dir.join("a.toml"));
        fs::rename(dir.join("a.toml"), dir.join("a.key")).unwrap();
        let there = fs::read_to_string(dir.join("a.key")).unwrap();
        (there, facts(&dir.join("a.key")) == before, names(dir))
    });
    // Two names that change places, and all the files of a directory, are not.
    fs::write(at("b.toml"), Class::Fields.document()).unwrap();
    fs::write(at("b.key"), Class::Whole.document()).unwrap();
    let exchange = RenameFlags::EXCHANGE;
    let swapped = rustix::fs::renameat_with(CWD, at("b.toml"), CWD, at("b.key"), exchange);
    assert_eq!(swapped, Err(rustix::io::Errno::XDEV));
    assert_eq!(read("b.key"), Class::Whole.document());
    fixture.assert_sealed(&[Class::Fields.secret(), Class::Whole.secret()]);
}

#[test]
fn a_rename_leaves_the_names_of_a_file_together() {
    let mut fixture = mounted();
    alike_in_each_class_of(&fixture, |dir, class| {
        let at = |stem: &str| dir.join(class.name(stem));
        // With the secret of what it replaces, whose token a file that is sealed anew takes over.
        fs::write(at("replaced"), class.document() + "more = 1\n").unwrap();
        fs::write(at("one"), class.document()).unwrap();
        fs::hard_link(at("one"), at("other")).unwrap();
        let open = OpenOptions::new().write(true).open(at("one")).unwrap();
        fs::rename(at("one"), at("replaced")).unwrap();
        fs::write(at("other"), class.document().replace("5432", "5433")).unwrap();
        open.write_all_at(b"PASSWORD", 0).unwrap();
        drop(open);
        let read = |stem: &str| fs::read_to_string(at(stem)).unwrap();
        (read("replaced"), read("other"), facts(&at("replaced")), names(dir))
    });
    // Where it would have to be sealed differently, a copy has to do.
    for class in Class::ALL {
        let dir = fixture.mnt().join(class.directory());
        let other = class.name("other");
        let further = if class == Class::Whole { "further.toml" } else { "further.key" };
        let moved = errno(fs::rename(dir.join(&other), dir.join(further)));
        assert_eq!(moved, Err(libc::EXDEV), "{class:?}");
        assert_eq!(facts(&dir.join(other)).nlink, 2, "{class:?}");
    }
    // The store has it the same way.
    fixture.umount().mount();
    for class in Class::ALL {
        let expected = class.document().replace("5432", "5433").replace("password", "PASSWORD");
        for stem in ["replaced", "other"] {
            let path = fixture.mnt().join(class.directory()).join(class.name(stem));
            assert_eq!(fs::read_to_string(path).unwrap(), expected, "{class:?}: {stem}");
        }
    }
}

#[test]
fn whiteouts_are_not_offered() {
    let fixture = mounted();
    let at = |name: &str| fixture.mnt().join(name);
    fs::write(at("a.toml"), "a = 1\n").unwrap();
    let done = rustix::fs::renameat_with(CWD, at("a.toml"), CWD, at("b"), RenameFlags::WHITEOUT);
    assert_eq!(done, Err(rustix::io::Errno::INVAL));
    assert_eq!(names(&fixture.mnt()), ["a.toml"]);
}
