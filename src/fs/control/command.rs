//! The commands of `control`, and their answers.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::super::rewrap::{Progress, RewrapOrder};
use super::super::service::SealOrder;
use super::super::{Acceptance, Error, Filesystem, Result};
use crate::path::RelPath;

/// How long a write waits for its command.
const PATIENCE: Duration = Duration::from_secs(10);

const HELP: &str = "\
rewrap [--all] [--dry-run] [PATH]   seal what is not under the master key under it
reload [--accept [STAMP]]           read keys and policy anew; accept the policy as it stands
seal [--dry-run] [PATH]             seal the secrets that stand in the clear
give-back [--dry-run]               lay everything open, and leave plain what is saved from now on
verify [PATH]                       open every file and name those that fail
status                              what this mount is doing
help                                this text
";

/// What a read of `control` gives.
#[derive(Clone)]
pub(super) enum Answer {
    Text(Arc<str>),
    /// A job's progress, or its result once it is done.
    Job(Arc<Job>),
}

impl Answer {
    pub(super) fn help() -> Self {
        Answer::Text(HELP.into())
    }

    pub(super) fn text(&self) -> Arc<str> {
        match self {
            Answer::Text(text) => text.clone(),
            Answer::Job(job) => job.text().into(),
        }
    }
}

/// A walk over the store that goes on by itself.
pub(super) struct Job {
    pub order: Order,
    pub progress: Progress,
    pub started: Instant,
    /// Whether tokens of other systems are opened here.
    imports: bool,
    /// How it ended; when early, with which errno and why.
    done: Mutex<Option<Result<(), (i32, String)>>>,
    finished: Condvar,
}

/// What a job does.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Rewrap(RewrapOrder),
    Seal(SealOrder),
    GiveBack { dry_run: bool },
    Verify(RelPath),
}

impl Job {
    pub(super) fn is_done(&self) -> bool {
        self.done.lock().is_some()
    }

    pub(super) fn verb(&self) -> &'static str {
        match self.order {
            Order::Rewrap(_) => "rewrap",
            Order::Seal(_) => "seal",
            Order::GiveBack { .. } => "give-back",
            Order::Verify(_) => "verify",
        }
    }

    /// What is to be read of the job now.
    fn text(&self) -> String {
        let count = |counter: &std::sync::atomic::AtomicUsize| counter.load(Ordering::Relaxed);
        let progress = &self.progress;
        let (files, tokens) = (count(&progress.files), count(&progress.tokens));
        let (legacy, failed) = (count(&progress.legacy), count(&progress.failed));
        let (imported, changed) = (count(&progress.imported), count(&progress.changed));
        // Nobody who imports nothing need read of it.
        let of_others =
            |line: String| if self.imports || imported > 0 { line } else { String::new() };
        let mut text = match (&*self.done.lock(), &self.order) {
            (None, _) => {
                let verb = self.verb();
                return format!("{verb} goes on: {files} files, {tokens} fields so far\n");
            }
            (Some(_), Order::Rewrap(order)) if order.dry_run => {
                let line = of_others(format!("{imported} would be imported from other systems\n"));
                format!(
                    "{tokens} encrypted fields would be re-wrapped with the current master key\n\
                     {line}"
                )
            }
            (Some(_), Order::Rewrap(_)) => {
                let line = of_others(format!("{imported} imported from other systems\n"));
                format!(
                    "{tokens} encrypted fields re-wrapped with the current master key\n\
                     {line}{legacy} still using legacy keys\n"
                )
            }
            (Some(_), Order::Seal(SealOrder { dry_run, .. })) => {
                let would = if *dry_run { "would be sealed" } else { "sealed" };
                format!("{tokens} secrets in {changed} files {would}\n")
            }
            (Some(_), Order::GiveBack { dry_run }) => {
                let would = if *dry_run { "would be laid open" } else { "laid open" };
                format!("{tokens} secrets in {changed} files {would}\n")
            }
            (Some(_), Order::Verify(_)) => {
                let line = of_others(format!("{imported} encrypted by other systems\n"));
                format!(
                    "{files} files, {tokens} encrypted fields, {failed} files in trouble\n{line}"
                )
            }
        };
        if let Some(Err((_, error))) = &*self.done.lock() {
            text += &format!("ended early: {error}\n");
        }
        for failure in &*progress.failures.lock() {
            text += &format!("failed: {failure}\n");
        }
        let unnamed = failed.saturating_sub(progress.failures.lock().len());
        if unnamed > 0 {
            text += &format!("failed: {unnamed} more\n");
        }
        text
    }

    fn result(&self) -> Result<()> {
        match &*self.done.lock() {
            Some(Err((errno, _))) => Err(Error::Store(std::io::Error::from_raw_os_error(*errno))),
            Some(Ok(())) if self.progress.failed.load(Ordering::Relaxed) > 0 => {
                Err(Error::Store(std::io::Error::from_raw_os_error(libc::EBADMSG)))
            }
            Some(Ok(())) | None => Ok(()),
        }
    }
}

impl Filesystem {
    /// Runs one command line: what is to be read afterwards, and whether the write succeeds.
    pub(super) fn run(self: &Arc<Self>, line: &[u8]) -> (Answer, Result<()>) {
        let refuse = |sentence: String| {
            let answer = Answer::Text(format!("{sentence}\n\n{HELP}").into());
            (answer, Err(Error::Command(sentence)))
        };
        let (verb, mut rest) = word(line.trim_ascii());
        let verb = String::from_utf8_lossy(verb).into_owned();
        let (allowed, takes_more): (&[&str], bool) = match verb.as_str() {
            "rewrap" => (&["--all", "--dry-run"], true),
            "reload" => (&["--accept"], true),
            "seal" => (&["--dry-run"], true),
            "give-back" => (&["--dry-run"], false),
            "verify" => (&[], true),
            "status" | "help" => (&[], false),
            "" => return refuse("A command is expected.".into()),
            _ => return refuse(format!("There is no command `{}`.", printable(&verb))),
        };
        let mut flags = Vec::new();
        while rest.starts_with(b"-") {
            let (flag, further) = word(rest);
            match allowed.iter().find(|known| known.as_bytes() == flag) {
                Some(known) => flags.push(*known),
                None => {
                    let flag = String::from_utf8_lossy(flag);
                    return refuse(format!("`{verb}` has no option `{}`.", printable(&flag)));
                }
            }
            rest = further;
        }
        let has = |flag| flags.contains(&flag);
        let too_much = !takes_more || (verb == "reload" && !has("--accept"));
        if too_much && !rest.is_empty() {
            return refuse(format!("`{verb}` was given too much."));
        }
        if verb == "reload" {
            return self.run_reload(match (has("--accept"), rest) {
                (false, _) => Acceptance::Waits,
                (true, b"") => Acceptance::Given,
                (true, stamp) => Acceptance::GivenTo(String::from_utf8_lossy(stamp).into_owned()),
            });
        }
        // The rest of the line, blanks and all: names may hold them.
        let below = match RelPath::new(rest) {
            Ok(below) => below,
            Err(_) => return refuse("PATH is relative to the root of the mount.".into()),
        };
        match verb.as_str() {
            "rewrap" => self.start(Order::Rewrap(RewrapOrder {
                all: has("--all"),
                dry_run: has("--dry-run"),
                below,
            })),
            "seal" => self.start(Order::Seal(SealOrder { dry_run: has("--dry-run"), below })),
            "give-back" => self.start(Order::GiveBack { dry_run: has("--dry-run") }),
            "verify" => self.start(Order::Verify(below)),
            "status" => match self.status_text() {
                Ok(text) => (Answer::Text(text.into()), Ok(())),
                Err(error) => (Answer::Text(format!("{error}\n").into()), Err(error)),
            },
            _ => (Answer::help(), Ok(())),
        }
    }

    fn run_reload(&self, acceptance: Acceptance) -> (Answer, Result<()>) {
        match self.reload(&acceptance) {
            Ok(summary) => (Answer::Text(format!("{summary}\n").into()), Ok(())),
            Err(sentence) => {
                let answer = format!("{sentence}\nThe old keys and rules stay in force.\n");
                (Answer::Text(answer.into()), Err(Error::Command(sentence)))
            }
        }
    }

    fn start(self: &Arc<Self>, order: Order) -> (Answer, Result<()>) {
        let job = Arc::new(Job {
            order,
            progress: Progress::default(),
            started: Instant::now(),
            imports: !self.rules().sealing.imports.is_empty(),
            done: Mutex::new(None),
            finished: Condvar::new(),
        });
        self.control.jobs.lock().push(job.clone());
        let (fs, work) = (self.clone(), job.clone());
        let thread = std::thread::Builder::new().name(job.verb().into()).spawn(move || {
            let run = std::panic::AssertUnwindSafe(|| {
                let _turn = fs.control.walking.lock();
                match &work.order {
                    Order::Rewrap(order) => fs.rewrap(order, &work.progress),
                    Order::Seal(order) => fs.seal_clear(order, &work.progress),
                    Order::GiveBack { dry_run } => fs.give_back(*dry_run, &work.progress),
                    Order::Verify(below) => fs.verify(below, &work.progress),
                }
            });
            let result = match std::panic::catch_unwind(run) {
                Ok(result) => result.map_err(|error| (error.errno(), error.to_string())),
                Err(_) => Err((libc::EIO, "a fault in confseal itself; see the log".to_owned())),
            };
            *work.done.lock() = Some(result);
            work.finished.notify_all();
            fs.control.jobs.lock().retain(|other| !Arc::ptr_eq(other, &work));
        });
        if let Err(error) = thread {
            self.control.jobs.lock().retain(|other| !Arc::ptr_eq(other, &job));
            return (
                Answer::Text(format!("no thread for it: {error}\n").into()),
                Err(error.into()),
            );
        }
        let mut done = job.done.lock();
        job.finished.wait_while_for(&mut done, |done| done.is_none(), PATIENCE);
        drop(done);
        let result = job.result();
        (Answer::Job(job), result)
    }

    /// Ends all jobs early; called before unmounting.
    pub fn stop_jobs(&self) {
        for job in &*self.control.jobs.lock() {
            job.progress.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// The first word of a line, and what follows it, without the blanks between.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    (&line[..end], line[end..].trim_ascii_start())
}

/// What came in, fit to be shown: a control file may be written anything.
fn printable(word: &str) -> String {
    let shown: String = word.chars().take(40).collect();
    OsStr::from_bytes(shown.as_bytes()).to_string_lossy().escape_default().to_string()
}
