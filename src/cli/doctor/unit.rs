//! The unit of the instance, where systemd runs.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::place::Place;
use super::report::Report;

const ABOUT: &str = "unit";

/// How long another program may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether systemd runs this machine (sd_booted(3)).
pub(super) fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// What a program prints, if it succeeds in time.
pub(super) fn bounded(program: &str, arguments: &[&str]) -> Option<String> {
    bounded_bytes(program, arguments).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

/// The same to the byte; or what it complains of.
pub(super) fn bounded_bytes(program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let (mut printed, mut complaint) = (Vec::new(), String::new());
        if let Some(out) = &mut out {
            let _ = out.read_to_end(&mut printed);
        }
        if let Some(err) = &mut err {
            let _ = err.read_to_string(&mut complaint);
        }
        let _ = tell.send((printed, complaint));
    });
    let Ok((printed, complaint)) = told.recv_timeout(PATIENCE) else {
        let _ = child.kill();
        return Err(format!("{program}: no answer within {PATIENCE:?}"));
    };
    match child.wait() {
        Ok(status) if status.success() => Ok(printed),
        _ => Err(complaint.trim().to_owned()),
    }
}

/// Looks at the unit.
pub(super) fn look(place: &Place, report: &mut Report) {
    let Some(name) = place.installed().filter(|_| has_systemd()) else { return };
    let unit = format!("confseal@{name}.service");
    let asked = "LoadState,ActiveState,SubState,Result,StatusText,ExecMainStartTimestamp";
    let arguments = ["show", "--timestamp=unix", "-p", asked, "--", &unit];
    let Some(answer) = bounded("systemctl", &arguments) else {
        report.note(ABOUT, format!("{unit}: systemd does not say how it is"));
        return;
    };
    let known: BTreeMap<&str, &str> =
        answer.lines().filter_map(|line| line.split_once('=')).collect();
    let property = |name| known.get(name).copied().unwrap_or_default();
    let status = property("StatusText");
    let status = if status.is_empty() { String::new() } else { format!(": {status}") };
    let (active, sub) = (property("ActiveState"), property("SubState"));
    match (property("LoadState"), active) {
        ("loaded", "active") => {
            report.fine(ABOUT, format!("{unit} is active ({sub}){status}")).fact("state", active);
        }
        ("loaded", "failed") => {
            let result = property("Result");
            let text = format!("{unit} has failed ({result}){status}");
            let said = last_words(name, property("ExecMainStartTimestamp"));
            let finding = report.wrong_with(ABOUT, text).fact("state", active);
            for line in said {
                finding.todo(format!("it said: {line}"));
            }
            finding.todo(format!(
                "put right what is wrong, then: systemctl restart {unit}; more: journalctl -u \
                 {unit}"
            ));
        }
        ("loaded", _) if place.mount.is_none() => {
            report
                .wrong_with(ABOUT, format!("{unit} is {active} ({sub}){status}"))
                .fact("state", active)
                .todo(format!("start it, now and at boot: systemctl enable --now {unit}"));
        }
        ("loaded", _) => {
            report
                .note(ABOUT, format!("{unit} is {active} ({sub}): mounted by other means"))
                .fact("state", active);
        }
        (load, _) => {
            report.note(ABOUT, format!("{unit} is not there ({load})")).fact("state", load);
        }
    }
}

/// The last warnings and errors of an instance since its daemon was started, as `@SECONDS`.
///
/// By our own field: what a process says in its last moment the journal may know no unit of.
fn last_words(name: &str, since: &str) -> Vec<String> {
    // What was said a moment ago may not be written yet; where it cannot be asked for, so be it.
    let _ = bounded("journalctl", &["--sync"]);
    let ours = format!("CONFSEAL_INSTANCE={name}");
    let since = format!("--since={}", if since.starts_with('@') { since } else { "-1h" });
    let arguments = ["-q", "--no-pager", "-o", "cat", "-p", "warning", "-n", "3", &since, &ours];
    let said = bounded("journalctl", &arguments).unwrap_or_default();
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}
