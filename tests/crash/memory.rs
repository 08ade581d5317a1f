//! What is held in memory: bounded, the least recently used first to go, wiped when it goes; and
//! files as large as a configuration will ever be.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;

use aho_corasick::AhoCorasick;

use crate::points::Points;
use crate::support::{Fixture, holds};

/// What the mounts of these tests keep of views that nobody has open, in bytes.
const KEPT: usize = 1 << 20;

/// A file of some 150 KiB, held twice, sealed and open: three of them fit into [`KEPT`].
fn content(name: &str) -> String {
    let secret = format!("password = \"CANARY-memory-{name}\"\n");
    secret + &"# nothing in particular, a hundred and fifty times\n".repeat(3000)
}

/// A mount of files with these names that keeps [`KEPT`] bytes, and counts what it reads.
fn mounted(names: &[String]) -> (Fixture, Points) {
    crate::support::apart();
    let mut fixture = Fixture::new();
    for name in names {
        fixture.put(name, content(name));
    }
    fixture.seal();
    let instance = fixture.dir().join("shop.toml");
    let text = format!(
        "store = \"{}\"\n[keys]\nmaster = \"{}\"\n[mount]\ncache = {}\n",
        fixture.store().display(),
        fixture.source("master"),
        KEPT >> 20,
    );
    fs::write(&instance, text).unwrap();
    let mut points = Points::of(&mut fixture);
    points.mount_with(&mut fixture, &["--instance", instance.to_str().unwrap()]);
    (fixture, points)
}

/// Whether opening `name` takes no look into the store.
fn is_held(fixture: &Fixture, points: &mut Points, name: &str) -> bool {
    points.count_reads();
    assert_eq!(fixture.seen(name), content(name));
    points.end().expect("the daemon lives").calls.is_empty()
}

/// Opens `name` until it is held and trusted: a young stamp has the content compared each time.
fn hold(fixture: &Fixture, points: &mut Points, name: &str) {
    crate::eventually("a view that is trusted", || is_held(fixture, points, name));
}

/// Whether the secret of `name` stands anywhere in the memory of the daemon.
fn is_in_memory(fixture: &Fixture, name: &str) -> bool {
    let secret = AhoCorasick::new([format!("CANARY-memory-{name}")]).expect("an automaton");
    let process = format!("/proc/{}", fixture.pid());
    let memory = File::open(format!("{process}/mem")).unwrap();
    let maps = BufReader::new(File::open(format!("{process}/maps")).unwrap());
    let mut found = false;
    for line in maps.lines().map(|line| line.unwrap()) {
        let mut fields = line.split(' ');
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        let (start, end) = range.split_once('-').unwrap();
        let number = |hex| u64::from_str_radix(hex, 16).unwrap();
        let (start, end) = (number(start), number(end));
        let mut bytes = vec![0; (end - start) as usize];
        // Of what is not the program's own (vvar), nothing can be read.
        if !rights.starts_with("rw") || memory.read_exact_at(&mut bytes, start).is_err() {
            continue;
        }
        found |= secret.is_match(&bytes);
    }
    found
}

#[test]
fn the_least_recently_used_view_goes_first_and_is_wiped() {
    let names: Vec<_> = (0..4).map(|n| format!("{n}.toml")).collect();
    let (mut fixture, mut points) = mounted(&names);
    for name in &names[..3] {
        hold(&fixture, &mut points, name);
    }
    assert!(is_in_memory(&fixture, &names[1]), "the search finds what is there");
    // The first one again; then one more than there is room for.
    assert!(is_held(&fixture, &mut points, &names[0]));
    hold(&fixture, &mut points, &names[3]);
    assert!(is_held(&fixture, &mut points, &names[0]), "it was used");
    assert!(!is_in_memory(&fixture, &names[1]));
    assert!(!is_held(&fixture, &mut points, &names[1]), "it was not");
    fixture.umount();
}

#[test]
fn what_is_held_is_bounded_however_many_files_are_read() {
    let names: Vec<_> = (0..24).map(|n| format!("{n}.toml")).collect();
    let (mut fixture, mut points) = mounted(&names);
    let last = names.last().expect("a name");
    hold(&fixture, &mut points, last);
    for name in &names {
        assert_eq!(fixture.seen(name), content(name));
    }
    // Backwards, so that what is read now pushes out what was asked already.
    let most = KEPT / content(last).len();
    let held = names.iter().rev().filter(|name| is_held(&fixture, &mut points, name)).count();
    assert!((1..=most).contains(&held), "{held} are held, {most} at the most");
    fixture.umount();
}

#[test]
fn a_configuration_file_of_sixteen_mebibytes_is_opened_edited_and_saved() {
    crate::support::apart();
    let mut fixture = Fixture::new();
    fixture.mount();
    let path = fixture.mnt().join("large.env");
    let mut text = String::with_capacity(17 << 20);
    text.push_str("DB_PASSWORD=CANARY-large\n");
    let line = "nothing in particular ".repeat(50);
    while text.len() < 16 << 20 {
        text.push_str(&format!("# {line}\n"));
    }
    fs::write(&path, &text).unwrap();
    assert!(fixture.stored("large.env").starts_with("DB_PASSWORD=ENC:v1:"));
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"PORT=1\n").unwrap();
    fixture.umount().mount();
    assert!(fs::read(&path).unwrap() == (text + "PORT=1\n").as_bytes(), "as it was written");
    fixture.umount();
    assert!(!holds(fixture.stored("large.env").as_bytes(), "CANARY"));
}
