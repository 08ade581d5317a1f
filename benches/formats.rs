//! What each format costs: `cargo bench --bench formats`, or `-- xml json` for some of them.
//!
//! For a document of one megabyte: the bare parser where there is one, the codec's scan, sealing,
//! opening and resealing what is unchanged. Then whether ten times the size costs ten times the
//! time: ten megabytes and a hundred thousand secrets. Each figure is a median over rounds in
//! which all take turns; ratios are medians of the rounds' ratios. One core, and processor time:
//! whatever else the machine does is left out.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use confseal::document::{Binding, Existing, Form, Imports, Sealing, sealer};
use confseal::format::CodecId;
use confseal::keyring::{Key, Keyring};
use confseal::path::RelPath;
use confseal::policy::Policy;
use rustix::time::{ClockId, clock_gettime};

#[path = "formats/documents.rs"]
mod documents;
#[path = "formats/parsers.rs"]
mod parsers;

const ROUNDS: usize = 9;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let (size, rounds) = if quick { (20_000, 1) } else { (1_000_000, ROUNDS) };
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(0);
    rustix::thread::sched_setaffinity(None, &cpus).expect("a core of our own");

    println!(
        "{:<14}{:>9}{:>9}{:>7}{:>9}{:>9}{:>9}{:>12}{:>12}",
        "MB/s", "parser", "scan", "ratio", "seal", "open", "reseal", "tokens", "tokens/s"
    );
    for codec in codecs() {
        speed(codec, size, rounds);
    }
    println!(
        "\n{:<14}{:>9}{:>9}{:>12}{:>14}",
        "ten times", "scan", "seal", "tokens", "seal of all"
    );
    for codec in codecs() {
        growth(codec, size, rounds.min(5));
    }
}

/// What finds fields by itself: a pattern is as fast as its regular expression. All of it, or what
/// the command line names.
fn codecs() -> impl Iterator<Item = CodecId> {
    let named: Vec<CodecId> =
        std::env::args().filter_map(|argument| CodecId::from_name(&argument)).collect();
    let is_wanted = move |codec: &CodecId| named.is_empty() || named.contains(codec);
    CodecId::ALL.into_iter().filter(|codec| *codec != CodecId::Pattern).filter(is_wanted)
}

fn sealing(codec: CodecId) -> Sealing {
    let policy = format!("version = 1\n[[file]]\npath = '*'\nformat = '{codec}'\n");
    let key = Key::parse(format!("{:064x}", 257).as_bytes()).expect("a key");
    Sealing {
        sealer: sealer(Keyring::new(key, vec![]).expect("a keyring")),
        policy: Policy::parse(&policy).expect("a policy"),
        ledger: Arc::default(),
        binding: Binding::Field,
        keep_legacy_tokens: true,
        imports: Imports::default(),
    }
}

/// The processor time that `action` takes, and that its result takes to be dropped.
fn time<T>(action: impl FnOnce() -> T) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(time).expect("a time since the thread began")
    };
    let started = now();
    drop(black_box(action()));
    now() - started
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn speed(codec: CodecId, size: usize, rounds: usize) {
    let text = documents::of(codec, size);
    let sealing = sealing(codec);
    let file = RelPath::new("sample").expect("a name");
    let sealed = sealing.seal(&file, text.as_bytes(), &[], Existing::Plain);
    assert_eq!(sealed.form, Form::Fields(codec), "{codec}: {:?}", sealed.whole);
    let tokens = sealed.stock.tokens().count();
    let parse = parsers::of(codec);

    let mut times: [Vec<f64>; 5] = Default::default();
    for _ in 0..rounds {
        let taken = [
            parse.map_or(Duration::ZERO, |parse| time(|| parse(&text))),
            time(|| codec.codec().scan(text.as_bytes()).expect("sites")),
            time(|| sealing.seal(&file, text.as_bytes(), &[], Existing::Plain)),
            time(|| sealing.open(&file, &sealed.stored).expect("it opens")),
            time(|| sealing.seal(&file, text.as_bytes(), &[&sealed.stock], Existing::Sealed)),
        ];
        for (all, taken) in times.iter_mut().zip(taken) {
            all.push(taken.as_secs_f64());
        }
    }
    let ratios = times[0].iter().zip(&times[1]).map(|(bare, ours)| bare / ours).collect();
    let [bare, scan, seal, open, reseal] = times.map(median);
    let speed = |seconds: f64| format!("{:.1}", text.len() as f64 / seconds / 1e6);
    let (bare, ratio) = match parse {
        Some(_) => (speed(bare), format!("{:.2}", median(ratios))),
        None => ("-".to_owned(), "-".to_owned()),
    };
    println!(
        "{:<14}{bare:>9}{:>9}{ratio:>7}{:>9}{:>9}{:>9}{tokens:>12}{:>12.0}",
        codec.name(),
        speed(scan),
        speed(seal),
        speed(open),
        speed(reseal),
        tokens as f64 / seal
    );
}

/// Ten times the size: how much more than ten times the time.
fn growth(codec: CodecId, size: usize, rounds: usize) {
    let (small, large) = (documents::of(codec, size), documents::of(codec, 10 * size));
    let sealing = sealing(codec);
    let file = RelPath::new("sample").expect("a name");
    let seal = |text: &str| sealing.seal(&file, text.as_bytes(), &[], Existing::Plain);
    let scan = |text: &str| codec.codec().scan(text.as_bytes()).expect("sites");
    let (mut scans, mut seals, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (few, many) = (time(|| scan(&small)), time(|| scan(&large)));
        scans.push(many.as_secs_f64() / few.as_secs_f64() / 10.0);
        let (few, many) = (time(|| seal(&small)), time(|| seal(&large)));
        seals.push(many.as_secs_f64() / few.as_secs_f64() / 10.0);
        all.push(many.as_secs_f64());
    }
    let tokens = seal(&large).stock.tokens().count();
    println!(
        "{:<14}{:>8.2}x{:>8.2}x{tokens:>12}{:>12.2} s",
        codec.name(),
        median(scans),
        median(seals),
        median(all)
    );
}
