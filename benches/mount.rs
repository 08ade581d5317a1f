//! The mount beside the plain directory, in one run: `cargo bench`.
//!
//! Each figure is taken in rounds that alternate between the two sides, so that a machine whose
//! speed drifts cheats both alike; printed are the medians and the median of the rounds' ratios.
//! Everything runs on one core: a wake-up that crosses cores costs more than all the rest, and
//! where it happens is chance.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::Fixture;

const ROUNDS: usize = 15;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let scale = if quick { 100 } else { 1 };
    on_one_core();
    println!("{:<44}{:>12}{:>12}{:>10}", "", "plain", "confseal", "ratio");
    hot(scale);
    cold(scale);
    rewrap(scale);
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

fn on_one_core() {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(0);
    rustix::thread::sched_setaffinity(None, &cpus).expect("a core of our own");
}

/// A sealed store, mounted, and a plain directory with the same content.
fn both(files: usize) -> (Fixture, PathBuf) {
    let mut fixture = Fixture::new();
    let plain = fixture.dir().join("plain");
    fs::create_dir(&plain).expect("the plain directory");
    for n in 0..files {
        fixture.put(&format!("app{n}.toml"), file(0));
        fs::write(plain.join(format!("app{n}.toml")), file(0)).expect("a plain file");
    }
    fixture.seal().mount_quietly();
    (fixture, plain)
}

fn hot(scale: usize) {
    let (mut fixture, plain) = both(1);
    let (left, right) = (plain.join("app0.toml"), fixture.mnt().join("app0.toml"));
    black_box(fs::read(&right).expect("a read"));
    // A young stamp is not trusted: let it age.
    std::thread::sleep(Duration::from_millis(2500));
    let times = 2000 / scale;
    let mut buffer = vec![0; 8192];
    pair("open, read, close (hot)", times, &left, &right, |path, _| {
        use std::io::Read;
        let mut file = fs::File::open(path).expect("open");
        black_box(file.read(&mut buffer).expect("read"));
    });
    pair("stat (hot)", times, &left, &right, |path, _| {
        black_box(fs::metadata(path).expect("stat"));
    });
    let mut version = 0;
    pair("save in place", 200 / scale, &left, &right, |path, _| {
        version += 1;
        fs::write(path, file(version)).expect("save");
    });
    pair("save in place, fsync", 50 / scale.min(50), &left, &right, |path, _| {
        version += 1;
        let mut file = fs::File::create(path).expect("create");
        file.write_all(self::file(version).as_bytes()).expect("write");
        file.sync_all().expect("fsync");
    });
    pair("save by temporary and rename", 100 / scale, &left, &right, |path, _| {
        version += 1;
        let temporary = path.with_extension("toml.tmp");
        fs::write(&temporary, file(version)).expect("write");
        fs::rename(&temporary, path).expect("rename");
    });
    fixture.umount();
}

/// Each file is read once after the mount was made anew.
fn cold(scale: usize) {
    let files = 200 / scale.min(20);
    let (mut fixture, plain) = both(files);
    let mut samples = Vec::new();
    for _ in 0..ROUNDS.min(5) {
        fixture.umount().mount_quietly();
        let read = |dir: &Path| {
            let start = Instant::now();
            for n in 0..files {
                black_box(fs::read(dir.join(format!("app{n}.toml"))).expect("a read"));
            }
            start.elapsed() / files as u32
        };
        samples.push((read(&plain), read(&fixture.mnt())));
    }
    report("first read of 4 KB with 10 secrets (cold)", samples);
    fixture.umount();
}

fn rewrap(scale: usize) {
    let files = 10_000 / scale;
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
    println!("{:<44}{:>12}{:>12}", format!("rewrap --all of {files} files, each"), "", time(each));
    fixture.umount();
}

/// Runs `act` on either side in turn, `times` a round.
fn pair(name: &str, times: usize, left: &Path, right: &Path, mut act: impl FnMut(&Path, usize)) {
    let mut run = |path: &Path| {
        let start = Instant::now();
        for n in 0..times.max(1) {
            act(path, n);
        }
        start.elapsed() / times.max(1) as u32
    };
    let samples = (0..ROUNDS).map(|_| (run(left), run(right))).collect();
    report(name, samples);
}

fn report(name: &str, samples: Vec<(Duration, Duration)>) {
    let ratios = samples.iter().map(|(a, b)| b.as_secs_f64() / a.as_secs_f64());
    let ratio = median(ratios.collect());
    let seconds = |side: fn(&(Duration, Duration)) -> Duration| {
        let all = samples.iter().map(|sample| side(sample).as_secs_f64()).collect();
        time(Duration::from_secs_f64(median(all)))
    };
    println!("{name:<44}{:>12}{:>12}{ratio:>9.2}x", seconds(|s| s.0), seconds(|s| s.1));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn time(duration: Duration) -> String {
    format!("{:.2} us", duration.as_secs_f64() * 1e6)
}
