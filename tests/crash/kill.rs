//! The daemon is killed at random moments of a save loop: every file is wholly the old or wholly
//! the new version, nothing stands in the clear (raw blocks of the disk included), and the next
//! mount cleans up.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::disk::Disk;
use crate::support::{Fixture, collect};

const ROUNDS: u64 = 200;

/// The longest that a save loop is left alone.
const LONGEST: Duration = Duration::from_millis(30);

/// In every secret of every version.
const CANARY: &str = "CANARY-kill";

/// Where the second part of the story is told to save: see [`save_until_the_mount_dies`].
const SAVER: &str = "CONFSEAL_TEST_SAVER";

/// How a program saves.
#[derive(Clone, Copy)]
enum How {
    /// Empties the file and writes it in pieces.
    InPieces,
    /// As a shell's redirect: the first descriptor is closed before anything is written.
    Redirect,
    /// Writes another file and renames it.
    Rename,
    /// As before, with an fsync.
    RenameDurably,
    /// Adds one record.
    Append,
}

const FILES: [(&str, How); 8] = [
    ("app.toml", How::InPieces),
    ("app.json", How::Rename),
    (".env", How::Redirect),
    // A second name makes it one that is rewritten in place.
    ("linked.toml", How::InPieces),
    ("records.env", How::Append),
    ("durable.toml", How::RenameDurably),
    ("notes", How::Redirect),
    ("pieces.json", How::InPieces),
];
const SECOND_NAME: &str = "linked-too.toml";
const RECORDS: &str = "records.env";

/// A version of a file; for [`How::Append`] one record.
fn content(name: &str, version: u64) -> String {
    let filler = "# nothing in particular\n".repeat(40);
    if name == RECORDS {
        return format!("TOKEN_{version}={CANARY}-{version}\n");
    }
    match name.rsplit('.').next() {
        Some("toml") => format!(
            "version = {version}\n{filler}[database]\npassword = \"{CANARY}-{version}\"\n\
             {filler}api_key = \"{CANARY}-too-{version}\"\n"
        ),
        Some("json") => format!(
            "{{\"version\": {version}, \"password\": \"{CANARY}-{version}\",\n\"list\": \
             [{}1], \"token\": \"{CANARY}-too-{version}\"}}\n",
            "1, ".repeat(300)
        ),
        Some("env") => format!("VERSION={version}\n{filler}DB_PASSWORD={CANARY}-{version}\n"),
        _ => format!("version {version}\n{filler}{CANARY}-{version}\n"),
    }
}

fn save(mount: &Path, name: &str, how: How, version: u64) -> io::Result<()> {
    let path = mount.join(name);
    let content = content(name, version);
    let emptied = || OpenOptions::new().write(true).create(true).truncate(true).open(&path);
    match how {
        How::InPieces => {
            let mut file = emptied()?;
            for piece in content.as_bytes().chunks(content.len() / 3 + 1) {
                file.write_all(piece)?;
            }
        }
        How::Redirect => {
            let first = emptied()?;
            let mut second = first.try_clone()?;
            drop(first);
            second.write_all(content.as_bytes())?;
        }
        How::Rename | How::RenameDurably => {
            let new = mount.join(format!("{name}.tmp"));
            let mut file = File::create(&new)?;
            file.write_all(content.as_bytes())?;
            if matches!(how, How::RenameDurably) {
                file.sync_all()?;
            }
            drop(file);
            fs::rename(&new, &path)?;
        }
        How::Append => OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)?
            .write_all(content.as_bytes())?,
    }
    // What close answered is lost; but if the daemon answers now, it did then.
    rustix::fs::statfs(mount)?;
    Ok(())
}

/// Saves one file after the other, a version after the other, and says each that is done.
fn save_until_the_mount_dies(order: &str) {
    let (first, mount) = order.split_once(' ').expect("a number and a path");
    let first: u64 = first.parse().expect("a number");
    let said = std::env::var(format!("{SAVER}_SAYS")).expect("a file to say it in");
    let mut said = OpenOptions::new().append(true).open(said).expect("that file");
    for version in first.. {
        for (name, how) in FILES {
            if save(Path::new(mount), name, how, version).is_err() {
                return;
            }
            said.write_all(format!("{name} {version}\n").as_bytes()).expect("it is said");
        }
    }
}

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let given = std::env::var("CONFSEAL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
        Self(given.unwrap_or_else(|| now() as u64 | 1))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What is known to be in the store.
struct Known {
    /// The version of each file.
    versions: HashMap<&'static str, u64>,
    /// The records in [`RECORDS`].
    records: Vec<u64>,
}

impl Known {
    /// Takes what the saver said it did; the store may be one save ahead of that.
    fn check(&mut self, fixture: &Fixture, first: u64, said: &str, seed: u64) {
        for (name, _) in FILES {
            let done: Vec<u64> = said
                .lines()
                .filter_map(|line| line.split_once(' '))
                .filter(|(file, version)| *file == name && !version.is_empty())
                .map(|(_, version)| version.parse().expect("a version"))
                .collect();
            let next = done.last().map_or(first, |last| last + 1);
            let seen = fixture.seen(name);
            if name == RECORDS {
                self.records.extend(done);
                let text = |records: &[u64]| -> String {
                    records.iter().map(|version| content(name, *version)).collect()
                };
                if seen != text(&self.records) {
                    self.records.push(next);
                    assert_eq!(seen, text(&self.records), "{name}, seed {seed}");
                }
                continue;
            }
            let last = done.last().copied().unwrap_or(self.versions[name]);
            let version = if seen == content(name, last) { last } else { next };
            assert_eq!(
                seen,
                content(name, version),
                "{name} is neither version {last} nor {next}; seed {seed}"
            );
            self.versions.insert(name, version);
        }
    }
}

#[test]
fn killed_at_two_hundred_random_moments_no_file_is_torn_and_nothing_stands_in_the_clear() {
    if let Ok(order) = std::env::var(SAVER) {
        return save_until_the_mount_dies(&order);
    }
    let mut disk = Disk::new();
    let fixture = &mut disk.fixture;
    let mut random = Random::seeded();
    let seed = random.0;
    let said = fixture.dir().join("said");
    fixture.mount();
    let mut known = Known { versions: HashMap::new(), records: vec![0] };
    for (name, how) in FILES {
        save(&fixture.mnt(), name, how, 0).expect(name);
        known.versions.insert(name, 0);
    }
    fs::hard_link(fixture.mnt().join("linked.toml"), fixture.mnt().join(SECOND_NAME)).unwrap();
    let (mut saves, mut leftovers) = (0, 0);
    for round in 1..=ROUNDS {
        let first = round * 1000;
        fs::write(&said, "").unwrap();
        let mut saver = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "kill::killed_at_two_hundred_random_moments_no_file_is_torn_and_nothing_stands_in_the_clear"])
            .env(SAVER, format!("{first} {}", fixture.mnt().display()))
            .env(format!("{SAVER}_SAYS"), &said)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the saver");
        crate::eventually("a first save", || fs::metadata(&said).unwrap().len() > 0);
        let moment = random.below(LONGEST.as_micros() as u64);
        std::thread::sleep(Duration::from_micros(moment));
        fixture.kill_daemon();
        // Only a dead mount ends it: what lies beneath would take what it writes.
        assert!(saver.wait().expect("the saver").success(), "seed {seed}");
        fixture.clear_mounts();

        fixture.assert_sealed(&[CANARY]);
        leftovers += temporaries(fixture);
        let said = fs::read_to_string(&said).unwrap();
        saves += said.lines().count();
        fixture.mount();
        let status = fixture.mnt().join(".confseal/status");
        fixture.wait_for("the end of the recovery", || {
            fs::read_to_string(&status).is_ok_and(|status| status.contains("\"recovered\": true"))
        });
        assert_eq!(temporaries(fixture), 0, "the next mount cleans up; seed {seed}");
        known.check(fixture, first, &said, seed);
        assert_eq!(fixture.seen(SECOND_NAME), fixture.seen("linked.toml"), "seed {seed}");
        fixture.assert_sealed(&[CANARY]);
        if known.records.len() > 40 {
            fs::remove_file(fixture.mnt().join(RECORDS)).unwrap();
            known.records.clear();
            fs::write(fixture.mnt().join(RECORDS), "").unwrap();
        }
    }
    fixture.umount();
    assert!(saves as u64 > 2 * ROUNDS, "{saves} saves are no save loop; seed {seed}");
    assert!(leftovers > 0, "no commit was ever cut off; seed {seed}");
    for name in kept(fixture) {
        // Only a rewrite in place can be cut off in the middle; what it tore is kept.
        assert!(name.starts_with("linked"), "{name} was kept; seed {seed}");
    }
    disk.detach();
    assert_eq!(disk.scan(&[CANARY]), Vec::<String>::new(), "in the raw blocks; seed {seed}");
}

fn temporaries(fixture: &Fixture) -> usize {
    let mut files = Vec::new();
    collect(&fixture.store(), &mut files);
    let ours = |file: &&std::path::PathBuf| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".confseal-tmp."))
    };
    files.iter().filter(ours).count()
}

fn kept(fixture: &Fixture) -> Vec<String> {
    let Ok(entries) = fs::read_dir(fixture.store().join(".confseal/kept")) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
