//! The mount beside the plain directory and beside other encrypting FUSE file systems, in one run:
//! `cargo bench --bench mount`, as root. docs/performance.md has the goals and what was reached.
//!
//! Each figure is taken in short rounds in which all sides take turns, so that a machine whose speed
//! drifts cheats all alike; printed are the medians, and the medians of the rounds' ratios. Callers
//! and daemons share one core: a wake-up that crosses cores costs more than all the rest, and where
//! it happens is chance. `-- NAME ...` runs only the rows whose names contain one of the words.

#[path = "mount/floor.rs"]
mod floor;
#[path = "mount/report.rs"]
mod report;
#[path = "mount/sides.rs"]
mod sides;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use confseal::format::CodecId;

use report::{Goal, Row, heading, median, micros};
use sides::{OTHERS, Side, Sides};
use support::Fixture;

/// A stamp younger than this is not trusted, and a save moves it up to a second into the future.
const AGE: Duration = Duration::from_millis(3500);

/// How much is done. `cargo test --benches` only wants to know that it runs.
struct Scale {
    rounds: usize,
    divisor: usize,
}

fn main() {
    let (flags, words): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let scale = match flags.iter().any(|flag| flag == "--bench") {
        true => Scale { rounds: 45, divisor: 1 },
        false => Scale { rounds: 1, divisor: 100 },
    };
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(&**word));
    if !alone() {
        return;
    }
    on_one_core();
    let sides = Sides::new();
    let names: Vec<_> = sides.all.iter().map(|side| side.name).collect();
    for missing in OTHERS.iter().filter(|name| !names.contains(name)) {
        eprintln!(
            "MISSING: {missing} is not installed, its column and the goals beside it are left out (apt-get install {missing})"
        );
    }
    heading(&names);
    let mut missed = Vec::new();
    let mut judge = |row: Row, goals: &[Goal]| {
        if !row.print(goals) {
            missed.push(row.name);
        }
    };
    files(&sides, &scale, &wanted, &mut judge);
    walks(sides, &scale, &wanted, &mut judge);
    let own = [("first read", first_read as fn(&Scale)), ("mount", mounts), ("rewrap", rewrap)];
    for (_, measure) in own.into_iter().filter(|(name, _)| wanted(name)) {
        measure(&scale);
    }
    println!("goals missed: {}", if missed.is_empty() { "none".into() } else { missed.join(", ") });
}

/// A TOML file of four kilobytes with ten secrets.
fn file(version: usize) -> String {
    let mut text = format!("# shop\nversion = {version}\n");
    for n in 0..10 {
        text +=
            &format!("[service-{n}]\nhost = \"10.0.0.{n}\"\npassword = \"pass-{n}-word-{n}{n}\"\n");
        text += &format!("note = \"{}\"\n", "x".repeat(300));
    }
    text
}

/// Goes on in a mount namespace of its own, and says so there: whoever copied the host's meanwhile
/// would keep each mount that is being taken away, and its daemon, alive.
fn alone() -> bool {
    if std::env::var_os("CONFSEAL_BENCH_ALONE").is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]).args(std::env::args_os());
    let status = command.env("CONFSEAL_BENCH_ALONE", "1").status().expect("unshare");
    assert!(status.success(), "{status}");
    false
}

/// How long a daemon may go on with what its caller did not wait for.
const SETTLES: Duration = Duration::from_millis(10);

fn on_one_core() {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(0);
    rustix::thread::sched_setaffinity(None, &cpus).expect("a core of our own");
}

/// What one file costs that is read, looked at and saved over and over.
fn files(
    sides: &Sides,
    scale: &Scale,
    wanted: &dyn Fn(&str) -> bool,
    judge: &mut dyn FnMut(Row, &[Goal]),
) {
    sides.put("app.toml", &file(0));
    let mut act = |name: &str, times: usize, goals: &[Goal], act: &mut dyn FnMut(usize, &Path)| {
        if wanted(name) {
            let times = (times / scale.divisor).max(1);
            judge(take_turns(sides, scale.rounds, name, times, act), goals);
        }
    };
    let read_all = |path: &Path| drop(black_box(fs::read(path).expect("a read")));
    sides.all.iter().for_each(|side| read_all(&side.root().join("app.toml")));
    std::thread::sleep(AGE);

    let mut buffer = vec![0; 8192];
    let goals = [Goal::Plain(12.0), Goal::Best(0.25)];
    act("open, read, close", 200, &goals, &mut |_, path| {
        let mut file = File::open(path).expect("open");
        black_box(file.read(&mut buffer).expect("read"));
    });
    act("stat", 1000, &[Goal::Plain(1.25)], &mut |_, path| {
        black_box(fs::metadata(path).expect("stat"));
    });
    let open = |side: &Side| File::open(side.root().join("app.toml")).expect("open");
    let open: Vec<_> = sides.all.iter().map(open).collect();
    act("pread on an open descriptor", 10_000, &[Goal::Plain(1.25)], &mut |side, _| {
        black_box(open[side].read_at(&mut buffer, 0).expect("pread"));
    });
    drop(open);

    let parses = 2.0 * parse();
    println!("{:<34}{:.2} us (by confseal's own scanner)", "two parses of the file", parses * 1e6);
    let goals = [Goal::PlainAnd(2.0, parses), Goal::Best(1.0)];
    let mut version = 0;
    let mut content = move || {
        version += 1;
        file(version)
    };
    let saves: [(&str, usize, Save); 4] = [
        ("save in place", 10, Save { renames: false, syncs: false }),
        ("save in place, fsync", 4, Save { renames: false, syncs: true }),
        ("save by rename", 10, Save { renames: true, syncs: false }),
        ("save by rename, fsync", 4, Save { renames: true, syncs: true }),
    ];
    for (name, times, save) in saves {
        act(name, times, &goals, &mut |_, path| save.make(path, &content()));
        if wanted(name) {
            save.floor(sides, scale.rounds, (times / scale.divisor).max(1), &mut content);
        }
    }
}

/// A way to save a file.
#[derive(Clone, Copy)]
struct Save {
    renames: bool,
    syncs: bool,
}

impl Save {
    fn make(self, path: &Path, content: &str) {
        let temporary = path.with_extension("toml.tmp");
        let target = if self.renames { &temporary } else { path };
        match self.syncs {
            true => write_synced(target, content),
            false => fs::write(target, content).expect("save"),
        }
        if self.renames {
            fs::rename(&temporary, path).expect("rename");
        }
    }

    /// What the system calls take that no careful commit can do without, beside ext4's own save.
    fn floor(
        self,
        sides: &Sides,
        rounds: usize,
        times: usize,
        content: &mut dyn FnMut() -> String,
    ) {
        let path = sides.all[0].root().join("app.toml");
        let sync = floor::Sync::of(&sides.all[0].root(), self.syncs);
        let mut commit = || {
            let temporary = path.with_extension("toml.tmp");
            let target = if self.renames { &temporary } else { &path };
            if self.renames {
                File::create(target).expect("create");
            }
            floor::commit(target, &content(), sync);
            if self.renames {
                fs::rename(&temporary, &path).expect("rename");
            }
        };
        let mut round = || {
            let start = Instant::now();
            (0..times).for_each(|_| commit());
            start.elapsed().as_secs_f64() / times as f64
        };
        let median = median((0..rounds).map(|_| round()).collect());
        println!("{:<34}{:>11.2}", "  its system calls alone, on ext4", median * 1e6);
    }
}

fn write_synced(path: &Path, content: &str) {
    let mut file = File::create(path).expect("create");
    file.write_all(content.as_bytes()).expect("write");
    file.sync_all().expect("fsync");
}

/// Seconds that one parse of the file takes.
fn parse() -> f64 {
    let text = file(0);
    let scan = || {
        let start = Instant::now();
        black_box(CodecId::Toml.codec().scan(text.as_bytes()).expect("a document"));
        start.elapsed().as_secs_f64()
    };
    median((0..200).map(|_| scan()).collect())
}

/// Runs `act` on the file of each side, given by its number and path, in turn, `times` a round.
fn take_turns(
    sides: &Sides,
    rounds: usize,
    name: &str,
    times: usize,
    act: &mut dyn FnMut(usize, &Path),
) -> Row {
    let paths: Vec<_> = sides.all.iter().map(|side| side.root().join("app.toml")).collect();
    let mut run = |(side, path): (usize, &PathBuf)| {
        // What the daemon before still does for closes that nobody waits for is not this one's.
        std::thread::sleep(SETTLES);
        let start = Instant::now();
        for _ in 0..times {
            act(side, path);
        }
        start.elapsed().as_secs_f64() / times as f64
    };
    let mut round = || paths.iter().enumerate().map(&mut run).collect();
    Row { name: name.to_owned(), rounds: (0..rounds).map(|_| round()).collect() }
}

/// Walks of a tree of small sealed files, after a mount and again.
fn walks(
    mut sides: Sides,
    scale: &Scale,
    wanted: &dyn Fn(&str) -> bool,
    judge: &mut dyn FnMut(Row, &[Goal]),
) {
    if !wanted("walk, cold") && !wanted("walk, warm") {
        return;
    }
    let files = 10_000 / scale.divisor;
    for n in 0..files {
        let text = format!("# {n}\n[db]\nhost = \"10.0.0.1\"\npassword = \"hunter-{n}\"\n");
        sides.put(&format!("tree/d{}/app{n}.toml", n % 100), &text);
    }
    std::thread::sleep(AGE);
    // What the stores' daemons learn of their files, they have learned here.
    sides.all.iter().for_each(|side| _ = walk(&side.root().join("tree")));
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds.min(7) {
        sides.all.iter_mut().for_each(|side| side.remount());
        let all = || sides.all.iter().map(|side| walk(&side.root().join("tree")) / files as f64);
        cold.push(all().collect());
        warm.push(all().collect());
    }
    judge(Row { name: "walk, cold, each file".into(), rounds: cold }, &[Goal::Best(3.0)]);
    judge(Row { name: "walk, warm, each file".into(), rounds: warm }, &[Goal::Plain(1.5)]);
}

/// Seconds that listing the tree and asking for each file's attributes takes.
fn walk(root: &Path) -> f64 {
    let start = Instant::now();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a listing") {
            let entry = entry.expect("an entry");
            if entry.metadata().expect("its attributes").is_dir() {
                directories.push(entry.path());
            }
        }
    }
    start.elapsed().as_secs_f64()
}

/// Each file is read once after the mount was made anew.
fn first_read(scale: &Scale) {
    let files = (200 / scale.divisor).max(10);
    let mut fixture = Fixture::new();
    for n in 0..files {
        fixture.put(&format!("app{n}.toml"), file(0));
    }
    fixture.seal().mount_quietly();
    let mut samples = Vec::new();
    for _ in 0..scale.rounds.min(5) {
        fixture.umount().mount_quietly();
        let start = Instant::now();
        for n in 0..files {
            black_box(fs::read(fixture.mnt().join(format!("app{n}.toml"))).expect("a read"));
        }
        samples.push(start.elapsed().as_secs_f64() / files as f64);
    }
    let each = micros(Duration::from_secs_f64(median(samples)));
    println!("{:<34}{each:>22}", "first read after a mount");
    fixture.umount();
}

/// How long `confseal mount` takes, with few files and with many.
fn mounts(scale: &Scale) {
    let (few, many) = (10, 100_000 / scale.divisor);
    let stores = [few, many].map(|files| {
        let mut fixture = Fixture::new();
        for n in 0..files {
            fixture.put(&format!("d{}/app{n}.toml", n % 1000), "[db]\nhost = \"10.0.0.1\"\n");
        }
        fixture.put("app.toml", file(0)).seal();
        fixture
    });
    let mut samples = Vec::new();
    for _ in 0..scale.rounds.min(9) {
        samples.push(stores.each_ref().map(time_of_mount));
    }
    for (at, files) in [few, many].into_iter().enumerate() {
        let each = median(samples.iter().map(|sample| sample[at]).collect());
        let goal = if each < 0.05 { "met" } else { "MISSED" };
        println!("{:<34}{:>19.2} ms  50 ms {goal}", format!("mount, {files} files"), each * 1e3);
    }
}

/// Seconds until the program has returned and the mount stands, which is then taken away.
fn time_of_mount(fixture: &Fixture) -> f64 {
    let mut command = Command::new(support::CONFSEAL);
    command.arg("mount").arg(fixture.store()).arg(fixture.mnt());
    command.args(["--key", &fixture.source("master")]);
    command.env("CONFSEAL_STATE_DIRECTORY", fixture.state()).env("CONFSEAL_LOG", "warn");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    assert!(command.status().expect("confseal mount").success());
    let taken = start.elapsed().as_secs_f64();
    assert!(fixture.mnt().join(".confseal/control").exists());
    assert!(Command::new("umount").arg(fixture.mnt()).status().expect("umount").success());
    // The daemon gives the lock up when it ends.
    let lock = File::open(fixture.store().join(".confseal/lock")).expect("the lock");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("its end");
    taken
}

fn rewrap(scale: &Scale) {
    let files = 10_000 / scale.divisor;
    let mut fixture = Fixture::new();
    for n in 0..files {
        let directory = n % 100;
        fixture.put(&format!("d{directory}/app{n}.toml"), "[db]\npassword = \"hunter2\"\n");
    }
    fixture.seal().mount_quietly();
    let start = Instant::now();
    let (done, mut answer) = fixture.control("rewrap --all");
    assert_eq!(done, Ok(()), "{answer}");
    while answer.contains("goes on") {
        std::thread::sleep(Duration::from_millis(20));
        answer = fs::read_to_string(fixture.mnt().join(".confseal/control")).expect("an answer");
    }
    let each = start.elapsed() / u32::try_from(files).expect("a number");
    println!("{:<34}{:>22}", format!("rewrap --all, {files} files, each"), micros(each));
    fixture.umount();
}
