//! `health`: one line and an exit code for a monitoring system, in the form of the Monitoring
//! Plugins (<https://www.monitoring-plugins.org/doc/guidelines.html>).
//!
//! Must stay true: it ends in bounded time, whatever the mount does; names and thresholds of the
//! figures are stable, docs/monitoring.md lists them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::error::Failure;
use super::output::{on_one_line, say};
use super::probe::{self, PATIENCE, Silence, What};
use super::{Outcome, Result, mounts};
use crate::instance::Instance;
use crate::store::CONTROL_DIR;
use crate::sys::mount::mounts as mount_table;

/// Tell a monitoring system how a mount fares: exit code 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
///
/// One line, with performance data. Critical: not mounted, dead, not answering, values under a key
/// that is not there, files that cannot be opened or saved. The figures have thresholds, which may be
/// set otherwise.
#[derive(Args)]
pub(super) struct Health {
    /// Where it is mounted, or its store.
    dir: PathBuf,
    /// Seconds until a mount that does not answer is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE.as_secs())]
    timeout: u64,
    /// Warn when the figure NAME is larger than COUNT; may be repeated.
    #[arg(long, value_name = "NAME=COUNT")]
    warning: Vec<Threshold>,
    /// Critical when it is; may be repeated.
    #[arg(long, value_name = "NAME=COUNT")]
    critical: Vec<Threshold>,
}

/// `NAME=COUNT`.
#[derive(Clone, Debug)]
struct Threshold {
    name: String,
    count: u64,
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, count) = text.split_once('=').ok_or("NAME=COUNT is expected")?;
        let known: Vec<&str> = Figure::KINDS.iter().map(|kind| kind.name).collect();
        if !known.contains(&name) {
            return Err(format!("the figures are {}", known.join(", ")));
        }
        let count = count.parse().map_err(|_| format!("`{count}` is no count"))?;
        Ok(Self { name: name.to_owned(), count })
    }
}

/// How it is, worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum State {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Warning => "WARNING",
            State::Critical => "CRITICAL",
            State::Unknown => "UNKNOWN",
        }
    }

    fn code(self) -> u8 {
        self as u8
    }
}

/// A kind of figure, and from where on it is bad: when it is larger.
struct Kind {
    name: &'static str,
    /// What it counts.
    what: &'static str,
    warning: Option<u64>,
    critical: Option<u64>,
    count: fn(&Value) -> u64,
}

/// One figure of one mount.
struct Figure {
    kind: &'static Kind,
    count: u64,
    warning: Option<u64>,
    critical: Option<u64>,
}

const CRITICAL: (Option<u64>, Option<u64>) = (None, Some(0));
const WARNING: (Option<u64>, Option<u64>) = (Some(0), None);

const fn kind(
    name: &'static str,
    what: &'static str,
    (warning, critical): (Option<u64>, Option<u64>),
    count: fn(&Value) -> u64,
) -> Kind {
    Kind { name, what, warning, critical, count }
}

impl Figure {
    const KINDS: [Kind; 10] = [
        kind("missing_key", "sealed under a key that is not there", CRITICAL, missing),
        kind("damaged", "files that cannot be opened", CRITICAL, |status| {
            troubles(status, "damaged")
        }),
        kind("not_saved", "files that could not be saved", CRITICAL, |status| {
            troubles(status, "not-saved")
        }),
        kind("too_large", "sealed files over the limit", WARNING, |status| {
            troubles(status, "too-large")
        }),
        kind("sealed_whole", "files sealed whole instead of by fields", WARNING, |status| {
            length(status, "sealed_whole")
        }),
        kind("kept", "versions kept aside", WARNING, |status| length(status, "kept")),
        kind("legacy", "sealed under a legacy key", WARNING, legacy),
        kind("exposed", "secrets in the clear", WARNING, |status| length(status, "in_the_clear")),
        kind("policy_waits", "changed policy that waits for acceptance", WARNING, |status| {
            u64::from(status["policy"] == "waits for acceptance")
        }),
        kind("reload_refused", "refused reload", WARNING, |status| {
            u64::from(!status["reload_refused"].is_null())
        }),
    ];

    fn state(&self) -> State {
        let over = |limit: Option<u64>| limit.is_some_and(|limit| self.count > limit);
        match () {
            () if over(self.critical) => State::Critical,
            () if over(self.warning) => State::Warning,
            () => State::Ok,
        }
    }
}

/// `LABEL=VALUE;WARNING;CRITICAL;MINIMUM`.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = |limit: Option<u64>| limit.map(|limit| limit.to_string()).unwrap_or_default();
        let (warning, critical) = (limit(self.warning), limit(self.critical));
        write!(f, "{}={};{warning};{critical};0", self.kind.name, self.count)
    }
}

impl Health {
    pub(super) fn run(self) -> Result {
        let (state, text) = self.look();
        say(format_args!("CONFSEAL {} - {}", state.word(), on_one_line(&text)))?;
        Ok(Outcome::Code(state.code()))
    }

    fn look(&self) -> (State, String) {
        let patience = Duration::from_secs(self.timeout.max(1));
        let point = match self.mountpoint(patience) {
            Ok(point) => point,
            Err(answer) => return answer,
        };
        let shown = point.display();
        match probe::ask(What::Status, &point, patience) {
            Err(Silence::TimedOut) => {
                let text = format!("{shown}: the mount does not answer within {patience:?}");
                (State::Critical, text)
            }
            Err(Silence::Failed) => (State::Unknown, "the mount could not be asked".to_owned()),
            Ok(status) => match (status["errno"].as_i64(), status["error"].as_str()) {
                (None, _) => self.judge(&point, &status),
                // The second when the daemon dies just now.
                (Some(errno), _)
                    if [libc::ENOTCONN, libc::ECONNABORTED].map(i64::from).contains(&errno) =>
                {
                    (State::Critical, format!("{shown}: the mount is dead: its daemon is gone"))
                }
                (Some(errno), _) if errno == i64::from(libc::EACCES) => {
                    let who = "only the user of the daemon may ask it";
                    (State::Unknown, format!("{shown}: {who}"))
                }
                (Some(_), error) => {
                    (State::Critical, format!("{shown}: {}", error.unwrap_or("no answer")))
                }
            },
        }
    }

    /// Where what was given is mounted; or what is to be said where it is not.
    fn mountpoint(&self, patience: Duration) -> Result<PathBuf, (State, String)> {
        let unknown = |error: &dyn fmt::Display| (State::Unknown, error.to_string());
        let given = std::path::absolute(&self.dir).map_err(|error| unknown(&error))?;
        let table = mount_table().map_err(|error| unknown(&error))?;
        let on = |path: &Path| {
            let over = mounts::covering(&table, path).filter(|mount| mounts::is_ours(mount));
            let from = || table.iter().find(|mount| mounts::is_ours(mount) && mount.source == path);
            over.or_else(from).map(|mount| mount.point.clone())
        };
        if let Some(point) = on(&given) {
            return Ok(point);
        }
        // By another name, perhaps; what has no mount of ours may hang as well as one.
        let reached = probe::ask(What::Reach, &given, patience)
            .map_err(|_| (State::Unknown, format!("{}: no answer", given.display())))?;
        let real = PathBuf::from(reached["path"].as_str().unwrap_or_default());
        if let Some(point) = on(&real) {
            return Ok(point);
        }
        let is_of = |instance: &Instance| {
            let point = instance.mountpoint.as_ref().unwrap_or(&instance.store);
            [&given, &real].into_iter().any(|path| *path == instance.store || path == point)
        };
        let shown = given.display();
        let instance = Instance::all().into_iter().find(|(_, instance)| is_of(instance));
        Err(match instance {
            Some((name, instance)) => {
                let point = instance.mountpoint.as_ref().unwrap_or(&instance.store).display();
                let text = format!("instance {name} is not mounted at {point}");
                (State::Critical, format!("{text}; see `confseal doctor {point}`"))
            }
            None if real.join(CONTROL_DIR).is_dir() => {
                (State::Critical, format!("{shown}: a store that is not mounted"))
            }
            None => (State::Unknown, format!("{shown}: no mount, no store and no instance")),
        })
    }

    fn judge(&self, point: &Path, status: &Value) -> (State, String) {
        let set = |thresholds: &[Threshold], kind: &Kind, default| {
            let set = thresholds.iter().rfind(|threshold| threshold.name == kind.name);
            set.map(|threshold| threshold.count).or(default)
        };
        let figures = Figure::KINDS.iter().map(|kind| Figure {
            kind,
            count: (kind.count)(status),
            warning: set(&self.warning, kind, kind.warning),
            critical: set(&self.critical, kind, kind.critical),
        });
        let figures: Vec<Figure> = figures.collect();
        let state = figures.iter().map(Figure::state).max().unwrap_or(State::Ok);
        let bad = figures.iter().filter(|figure| figure.state() != State::Ok);
        let mut bad: Vec<String> =
            bad.map(|figure| format!("{} {}", figure.count, figure.kind.what)).collect();
        if let Some(first) = status["trouble"].as_array().and_then(|list| list.first())
            && state != State::Ok
        {
            let text = |name: &str| first[name].as_str().unwrap_or_default();
            bad.push(format!("first {}: {}", text("file"), text("reason")));
        }
        let text = match bad.is_empty() {
            true => format!("mounted, master key {}", status["master_key"].as_str().unwrap_or("-")),
            false => bad.join(", "),
        };
        // What follows the bar is read by programs: none may stand before it.
        let text = text.replace('|', "/");
        let data: Vec<String> = figures.iter().map(Figure::to_string).collect();
        (state, format!("{}: {text} | {}", point.display(), data.join(" ")))
    }
}

fn length(status: &Value, list: &str) -> u64 {
    status[list].as_array().map_or(0, |list| list.len() as u64)
}

fn troubles(status: &Value, kind: &str) -> u64 {
    let list = status["trouble"].as_array().into_iter().flatten();
    list.filter(|trouble| trouble["kind"] == kind).count() as u64
}

/// Tokens by key, of the keys that `is_wanted`.
fn tokens(status: &Value, is_wanted: impl Fn(&str) -> bool) -> u64 {
    let keys = status["tokens"].as_object().into_iter().flatten();
    keys.filter(|(key, _)| is_wanted(key)).filter_map(|(_, count)| count.as_u64()).sum()
}

fn is_legacy(status: &Value, key: &str) -> bool {
    status["legacy_keys"].as_array().is_some_and(|keys| keys.iter().any(|legacy| legacy == key))
}

fn legacy(status: &Value) -> u64 {
    tokens(status, |key| is_legacy(status, key))
}

fn missing(status: &Value) -> u64 {
    tokens(status, |key| status["master_key"] != key && !is_legacy(status, key))
}

/// The exit code for arguments that do not go together: 2, everybody else's, would be CRITICAL.
pub(super) const USAGE: u8 = State::Unknown as u8;

/// What went wrong, as a plugin says it.
pub(super) fn unknown(failure: &Failure) -> u8 {
    println!("CONFSEAL UNKNOWN - {}", on_one_line(&failure.to_string()));
    USAGE
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn health(arguments: &[&str]) -> Health {
        use clap::FromArgMatches;
        let command = Health::augment_args(clap::Command::new("health"));
        let arguments = [&["health", "/etc/shop"], arguments].concat();
        Health::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
    }

    fn status(more: Value) -> Value {
        let mut status = json!({
            "master_key": "aaaaaaaa", "legacy_keys": ["bbbbbbbb"], "tokens": {"aaaaaaaa": 3},
            "trouble": [], "kept": [], "in_the_clear": [], "sealed_whole": [],
            "policy": "accepted", "reload_refused": null,
        });
        for (name, value) in more.as_object().unwrap() {
            status[name] = value.clone();
        }
        status
    }

    fn judged(arguments: &[&str], more: Value) -> (State, String) {
        health(arguments).judge(Path::new("/etc/shop"), &status(more))
    }

    #[test]
    fn a_well_mount_is_ok_and_all_figures_are_there() {
        let (state, text) = judged(&[], json!({}));
        assert_eq!(state, State::Ok);
        let data = text.split(" | ").nth(1).unwrap();
        assert_eq!(data.split(' ').count(), Figure::KINDS.len());
        assert!(data.starts_with("missing_key=0;;0;0 damaged=0;;0;0 "), "{data}");
        assert!(data.contains(" legacy=0;0;;0 "), "{data}");
    }

    #[test]
    fn the_worst_figure_decides() {
        let (state, text) = judged(&[], json!({"tokens": {"aaaaaaaa": 3, "bbbbbbbb": 2}}));
        assert_eq!(state, State::Warning, "{text}");
        assert!(text.contains("2 sealed under a legacy key"), "{text}");
        let trouble = json!([{"file": "a|b", "kind": "damaged", "reason": "cut off"}]);
        let (state, text) = judged(&[], json!({"kept": ["x"], "trouble": trouble}));
        assert_eq!(state, State::Critical);
        assert!(text.contains("first a/b: cut off | "), "{text}");
        let (state, _) = judged(&[], json!({"tokens": {"cccccccc": 1}}));
        assert_eq!(state, State::Critical);
    }

    #[test]
    fn thresholds_are_the_largest_count_that_is_well() {
        let two = json!({"kept": ["x", "y"]});
        assert_eq!(judged(&["--warning", "kept=2"], two.clone()).0, State::Ok);
        let (state, text) = judged(&["--critical", "kept=1"], two);
        assert_eq!(state, State::Critical);
        assert!(text.contains(" kept=2;0;1;0 "), "{text}");
        assert!("nonsense=1".parse::<Threshold>().is_err());
        assert!("kept=-1".parse::<Threshold>().is_err());
    }
}
