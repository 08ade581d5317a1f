//! Plays a case in a mount and in a plain directory beside it, and says where they differ.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use confseal::policy::{Ledger, Policy};

use crate::documents::{POLICY, document, marks};
use crate::expect::{Documents, Expected, Rules};
use crate::look::Look;
use crate::step::{At, Case, DIR, Step};
use crate::support::{Fixture, collect};
use crate::world::World;

/// The places that hold a document from the beginning, and the seeds of their marks.
const FIRST: [(At, u32); 6] =
    [(At(0), 1), (At(1), 2), (At(5), 3), (At(8), 4), (At(2), 5), (At(6), 6)];

/// What the steps came to: a case of nothing but refusals would prove little.
#[derive(Default)]
pub(crate) struct Tally {
    pub taken: Cell<u32>,
    pub done: Cell<u32>,
    /// As a documented deviation.
    pub refused: Cell<u32>,
}

/// Plays `case`; the error says what was different, and where.
pub(crate) fn play(case: &Case, tally: &Tally) -> Result<(), String> {
    let mut fixture = Fixture::new();
    let plain = fixture.dir().join("plain");
    fixture.put(".confseal/policy.toml", POLICY);
    for root in [fixture.store(), plain.clone()] {
        fs::create_dir_all(root.join(DIR).join("e")).expect("directories");
        for (at, seed) in FIRST {
            let content = case.bytes(&crate::step::Content::Own(seed), at);
            fs::write(root.join(case.path(at)), content).expect("a document");
        }
    }
    fixture.seal().mount_quietly();

    let (mut here, mut there) = (World::new(fixture.mnt()), World::new(plain.clone()));
    let mut before = (Look::at(&here, true), Look::at(&there, true));
    compare("at the beginning", Look::differences(&before.0, &before.1))?;
    for (number, step) in case.steps.iter().enumerate() {
        take(&fixture, case, step, (&mut here, &mut there), tally)
            .map_err(|different| format!("step {number}, {step:?}: {different}"))?;
        if let Step::Look | Step::LookInto = step {
            let into = matches!(step, Step::LookInto);
            let now = (Look::at(&here, into), Look::at(&there, into));
            let at = format!("before step {number}, {step:?}");
            compare(&at, Look::differences(&now.0, &now.1))?;
            compare(&at, Look::changes((&before.0, &now.0), (&before.1, &now.1)))?;
            before = now;
        }
    }
    for world in [&mut here, &mut there] {
        world.slots.fill_with(|| None);
    }
    let end = Look::at(&there, true);
    compare("at the end", Look::differences(&Look::at(&here, true), &end))?;
    fixture.umount();
    search(&fixture, case, &plain, &end)?;

    fixture.mount_quietly();
    let again = Look::at(&here, true);
    compare("mounted again", Look::differences(&again, &end))?;
    fixture.umount();
    Ok(())
}

/// Takes a step on both sides, and compares what they answer.
fn take(
    fixture: &Fixture,
    case: &Case,
    step: &Step,
    (here, there): (&mut World, &mut World),
    tally: &Tally,
) -> Result<(), String> {
    let count = |counter: &Cell<u32>| counter.set(counter.get() + 1);
    let expected = rules(fixture).expected(case, step, &there.root);
    next_tick();
    let answer = here.take(case, step);
    count(&tally.taken);
    match expected {
        Expected::Refused(errno) | Expected::Perhaps(errno) if answer == Err(errno) => {
            count(&tally.refused);
            return Ok(());
        }
        Expected::Refused(errno) if answer.is_ok() => return Err(format!("should be {errno:?}")),
        _ => {}
    }
    let other = there.take(case, step);
    if answer.is_ok() {
        count(&tally.done);
    }
    if answer == other {
        return Ok(());
    }
    Err(format!("{answer:?}, but {other:?} there"))
}

/// Times of files are those of a coarse clock: what is to be told apart falls into two of its ticks.
fn next_tick() {
    let now = || rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let before = now();
    while now() == before {
        std::hint::spin_loop();
    }
}

/// Every mark that stands in the store in the clear may do so.
fn search(fixture: &Fixture, case: &Case, plain: &Path, end: &Look) -> Result<(), String> {
    let documents = Documents::of(case, FIRST.map(|(_, seed)| seed));
    let rules = rules(fixture);
    let views: BTreeMap<PathBuf, &[u8]> =
        end.files().map(|(path, view)| (fixture.store().join(path), view)).collect();
    let mut files = Vec::new();
    collect(fixture.dir(), &mut files);
    for file in files.iter().filter(|file| !file.starts_with(plain)) {
        let shown = match (file.strip_prefix(fixture.store()), views.get(file)) {
            (Ok(relative), Some(view)) => rules.shown(relative, view, &documents),
            _ => BTreeMap::new(),
        };
        let stored = fs::read(file).expect("a file of the store");
        let mut found: BTreeMap<&[u8], usize> = BTreeMap::new();
        for (_, mark) in marks(&stored) {
            *found.entry(mark).or_default() += 1;
        }
        for (mark, count) in found {
            if count > shown.get(mark).copied().unwrap_or_default() {
                let text = stored.escape_ascii();
                return Err(format!("{} holds {}: {text}", file.display(), mark.escape_ascii()));
            }
        }
    }
    Ok(())
}

fn rules(fixture: &Fixture) -> Rules {
    let ledger = fs::read_to_string(fixture.store().join(".confseal/sealed")).unwrap_or_default();
    Rules {
        policy: Policy::parse(POLICY).expect("the policy"),
        ledger: Ledger::parse(&ledger).expect("the ledger"),
    }
}

fn compare(when: &str, differences: Vec<String>) -> Result<(), String> {
    match differences.is_empty() {
        true => Ok(()),
        false => Err(format!("{when}:\n  {}", differences.join("\n  "))),
    }
}

/// The control: each document is sealed field by field, and no mark of it is left.
#[test]
fn every_document_is_sealed_field_by_field() {
    use crate::documents::FORMATS;
    let mut fixture = Fixture::new();
    fixture.put(".confseal/policy.toml", POLICY);
    for (at, (name, ..)) in FORMATS.iter().enumerate() {
        fixture.put(name, document(at, 7));
    }
    fixture.seal().mount();
    for (at, (name, id, _)) in FORMATS.iter().enumerate() {
        let (text, stored) = (document(at, 7), fixture.stored(name));
        assert!(
            !marks(text.as_bytes()).is_empty() && marks(stored.as_bytes()).is_empty(),
            "{stored}"
        );
        assert!(stored.contains("ENC:v1:") && !stored.starts_with("ENC:"), "{id}: {stored}");
        assert_eq!(fixture.seen(name), text);
    }
    fixture.umount();
}

/// From each format to each other, in whatever way the other reads it.
#[test]
fn no_rename_across_formats_lays_a_secret_open() {
    use crate::documents::FORMATS;
    let mut fixture = Fixture::new();
    fixture.put(".confseal/policy.toml", POLICY).mount_quietly();
    let mut views = Vec::new();
    for (from, (old, ..)) in FORMATS.iter().enumerate() {
        for (to, (new, ..)) in FORMATS.iter().enumerate().filter(|(to, _)| *to != from) {
            let dir = fixture.mnt().join(format!("{from}-{to}"));
            fs::create_dir(&dir).expect("a directory");
            fs::write(dir.join(old), document(from, 9)).expect("a document");
            fs::rename(dir.join(old), dir.join(new)).expect("it is sealed anew");
            views.push((dir.join(new), document(from, 9)));
        }
    }
    for (path, view) in views {
        assert_eq!(fs::read_to_string(&path).expect("a file"), view, "{}", path.display());
    }
    fixture.umount();
    let mut files = Vec::new();
    collect(&fixture.store(), &mut files);
    let shown = files.iter().filter(|file| !marks(&fs::read(file).expect("a file")).is_empty());
    let shown: Vec<_> =
        shown.map(|file| file.strip_prefix(fixture.store()).expect("below")).collect();
    assert!(shown.is_empty(), "{} files: {shown:?}", shown.len());
}
