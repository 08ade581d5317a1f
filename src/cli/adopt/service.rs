//! What runs the daemon of an instance: its unit, or nobody but us.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::super::Result;
use super::super::error::Failure;
use super::super::open::{lock, open_store};
use super::subject::Subject;

/// See the head of this file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cli) enum Service {
    /// `confseal@NAME.service`.
    Unit,
    /// The daemon is started and stopped without one; nothing starts it at boot.
    Direct,
}

/// How long a daemon may take to end, and the service manager to see it; and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(30);
const PACE: Duration = Duration::from_millis(50);

/// The exit code of a daemon that somebody who writes keeps from mounting; docs/cli.md has the table.
const HELD: u8 = 11;

/// What systemctl(1) said.
struct Answer {
    is_success: bool,
    text: String,
}

impl Service {
    /// For a directory that is to be mounted; or why not.
    pub(super) fn choose(subject: &Subject, no_systemd: bool) -> Result<Self, String> {
        if no_systemd {
            return Ok(Self::Direct);
        }
        if !Path::new("/run/systemd/system").is_dir() {
            return Err("systemd does not run here: --no-systemd mounts without a service".into());
        }
        let unit = subject.unit();
        match systemctl(&["cat", &unit]) {
            Ok(answer) if answer.is_success => Ok(Self::Unit),
            Ok(_) => Err(format!(
                "there is no unit {unit}: install confseal@.service, or mount without one by \
                 --no-systemd"
            )),
            Err(failure) => Err(failure.to_string()),
        }
    }

    /// For one that is: by its unit if that is what holds or starts it.
    pub(in crate::cli) fn of(subject: &Subject) -> Self {
        let unit = subject.unit();
        let says =
            |verb| systemctl(&[verb, "--quiet", &unit]).is_ok_and(|answer| answer.is_success);
        let systemd = Path::new("/run/systemd/system").is_dir();
        if systemd && (says("is-active") || says("is-enabled")) { Self::Unit } else { Self::Direct }
    }

    /// What starting it is called.
    pub(super) fn step(self, subject: &Subject) -> String {
        let dir = subject.dir.display();
        match self {
            Self::Unit => format!("enable and start {}, which mounts over {dir}", subject.unit()),
            Self::Direct => {
                format!("mount over {dir}, until it is unmounted or the machine restarts")
            }
        }
    }

    /// Starts the daemon, now and at boot.
    pub(in crate::cli) fn start(self, subject: &Subject) -> Result<()> {
        let unit = subject.unit();
        let started = match self {
            Self::Unit => {
                demand(&["daemon-reload"])?;
                // One that failed before may not be counted against.
                let _ = systemctl(&["reset-failed", &unit]);
                demand(&["enable", &unit])?;
                demand(&["start", &unit]).map_err(|failure| match main_status(&unit) {
                    Some(HELD) => held(subject, failure.to_string()),
                    _ => failure,
                })
            }
            Self::Direct if settle(subject)? => Ok(()),
            Self::Direct => match mount(subject) {
                Err(_) if settle(subject)? => Ok(()),
                other => other,
            },
        };
        started?;
        match subject.is_mounted() {
            true => Ok(()),
            false => {
                let dir = subject.dir.display();
                Err(Failure::Refused(format!("{dir}: started, and yet no mount is to be seen")))
            }
        }
    }

    /// Ends the daemon; what is written is committed first. It starts again at boot.
    pub(in crate::cli) fn stop(self, subject: &Subject) -> Result<()> {
        match self {
            Self::Unit => demand(&["stop", &subject.unit()])?,
            Self::Direct => {
                while settle(subject)? {
                    unmount(&subject.dir)?;
                }
            }
        }
        match subject.is_mounted() {
            true => {
                let dir = subject.dir.display();
                Err(Failure::Refused(format!("{dir}: stopped, and yet a mount stands there")))
            }
            false => Ok(()),
        }
    }

    /// Takes it out of the next boot.
    pub(in crate::cli) fn disable(self, subject: &Subject) -> Result<()> {
        match self {
            Self::Unit => demand(&["disable", &subject.unit()]),
            Self::Direct => Ok(()),
        }
    }

    /// Waits, for a while, until the service manager has done with a daemon that ended by itself: it
    /// makes the directories of a unit anew until then.
    pub(in crate::cli) fn wait_until_ended(self, subject: &Subject) {
        let until = Instant::now() + PATIENCE;
        let has_ended = || {
            let unit = subject.unit();
            let answer = systemctl(&["show", "--value", "-p", "ActiveState", &unit]);
            answer.is_ok_and(|answer| matches!(answer.text.trim(), "inactive" | "failed"))
        };
        while self == Self::Unit && !has_ended() && Instant::now() < until {
            std::thread::sleep(PACE);
        }
    }

    /// The units that were told to need it: that want it, or stop with it.
    pub(in crate::cli) fn dependents(self, subject: &Subject) -> Vec<String> {
        if self == Self::Direct {
            return Vec::new();
        }
        let apps = format!("confseal-apps@{}.target", subject.name);
        let mut arguments = vec!["show", "--value"];
        for property in ["WantedBy", "RequiredBy", "BoundBy", "ConsistsOf"] {
            arguments.extend(["-p", property]);
        }
        let unit = subject.unit();
        arguments.extend([&*unit, &*apps]);
        let text = systemctl(&arguments).map(|answer| answer.text).unwrap_or_default();
        let mut units: Vec<_> = text.split_ascii_whitespace().map(str::to_owned).collect();
        // Its own enablement is a dependency too, and so are its helpers.
        units.retain(|unit| !unit.ends_with(".target") && !unit.starts_with("confseal-"));
        units.sort();
        units.dedup();
        units
    }
}

/// Waits until the mount stands, or no daemon has the store: one that is about to mount, left by an
/// adoption that was cut off, or about to end, has it without a mount for a moment. Whether it stands.
fn settle(subject: &Subject) -> Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        // A store that is missing is about to be moved to its place.
        if subject.is_mounted() || !subject.store().is_dir() {
            return Ok(subject.is_mounted());
        }
        match open_store(&subject.store()).and_then(|store| lock(&store)) {
            Ok(_) => return Ok(false),
            Err(Failure::Locked { .. }) if Instant::now() < until => std::thread::sleep(PACE),
            Err(_) if subject.is_mounted() => return Ok(true),
            Err(failure) => return Err(failure),
        }
    }
}

/// Our own program, as it is installed or was called.
fn mount(subject: &Subject) -> Result<()> {
    let program = std::env::current_exe().map_err(Failure::io("/proc/self/exe"))?;
    let output = Command::new(program)
        .args(["mount", "--instance", &subject.name])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(Failure::io("confseal mount"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim_start_matches("confseal: ").trim_end().to_owned();
            match output.status.code() == Some(HELD.into()) {
                true => Err(held(subject, said)),
                false => Err(Failure::Refused(said)),
            }
        }
    }
}

fn held(subject: &Subject, list: String) -> Failure {
    Failure::Held { store: subject.store(), list }
}

/// By umount(8), which refuses what is in use.
fn unmount(dir: &Path) -> Result<()> {
    let status = Command::new("umount").arg("--").arg(dir).status();
    match status.map_err(Failure::io("umount"))?.success() {
        true => Ok(()),
        false => {
            let what = "cannot be unmounted, as umount says above";
            Err(Failure::Refused(format!("{}: {what}", dir.display())))
        }
    }
}

/// With what the main process of a unit ended last.
fn main_status(unit: &str) -> Option<u8> {
    let answer = systemctl(&["show", "--value", "-p", "ExecMainStatus", unit]).ok()?;
    answer.text.trim().parse().ok()
}

fn demand(arguments: &[&str]) -> Result<()> {
    let answer = systemctl(arguments)?;
    match answer.is_success {
        true => Ok(()),
        false => {
            let verb = arguments.join(" ");
            Err(Failure::Refused(format!("systemctl {verb}: {}", answer.text.trim_end())))
        }
    }
}

fn systemctl(arguments: &[&str]) -> Result<Answer> {
    let output = Command::new("systemctl")
        .args(["--no-pager", "--no-ask-password"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(Failure::io("systemctl"))?;
    let is_success = output.status.success();
    let text = if is_success { output.stdout } else { output.stderr };
    Ok(Answer { is_success, text: String::from_utf8_lossy(&text).into_owned() })
}
