//! Is the mount there, and does it answer?

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::super::mounts;
use super::super::probe::{self, Silence, What};
use super::place::Place;
use super::report::Report;
use crate::sys::mount::MountEntry;

const ABOUT: &str = "mount";

/// Looks at the mount; its status, if it answers.
pub(super) fn look(place: &Place, patience: Duration, report: &mut Report) -> Option<Value> {
    let Some(mount) = &place.mount else {
        is_not_mounted(place, report);
        return None;
    };
    let (point, store) = (mount.point.display(), Path::new(&mount.source).display());
    match probe::ask(What::Status, &mount.point, patience) {
        Err(Silence::TimedOut) => {
            hangs(place, mount, patience, report);
            None
        }
        Err(Silence::Failed) => {
            report.note(ABOUT, format!("{point}: could not be asked"));
            None
        }
        Ok(status) if status["errno"].is_null() => {
            let up = status["uptime_seconds"].as_u64().unwrap_or_default();
            let text = format!("{point}: {store} is mounted there and answers, for {up} s");
            report.fine(ABOUT, text).fact("mounted", true);
            let version = status["version"].as_str().unwrap_or_default();
            if version != env!("CARGO_PKG_VERSION") {
                let own = env!("CARGO_PKG_VERSION");
                report.note(ABOUT, format!("its daemon is version {version}, this is {own}"));
            }
            if let Some(refused) = status["reload_refused"].as_str() {
                let first = refused.lines().next().unwrap_or_default();
                report.wrong_with(ABOUT, format!("the last reload was refused: {first}")).todo(
                    "put that right and reload again; until then the old keys and rules hold",
                );
            }
            if status["policy"] == "waits for acceptance" {
                report
                    .note(
                        ABOUT,
                        "a changed policy waits: it holds together with the accepted \
                         one",
                    )
                    .todo(format!("look at it and accept it: confseal policy accept {point}"));
            }
            Some(status)
        }
        Ok(answer) => {
            does_not_tell(place, mount, &answer, report);
            None
        }
    }
}

fn is_not_mounted(place: &Place, report: &mut Report) {
    let Some(store) = &place.store else { return };
    let store = store.display();
    match (&place.instance, &place.mountpoint) {
        (Some((name, _)), Some(point)) if place.path.starts_with(point) => {
            let text = format!("{}: nothing is mounted there (instance {name})", point.display());
            report.wrong_with(ABOUT, text).fact("mounted", false).todo(place.start());
        }
        (_, Some(point)) => {
            let text = format!("{store} is the store, where secrets stand sealed");
            report
                .wrong_with(ABOUT, text)
                .todo(format!("let the program read {} instead", point.display()));
        }
        (_, None) => {
            report
                .wrong_with(
                    ABOUT,
                    format!("{store}: a store that is not mounted: programs see tokens"),
                )
                .fact("mounted", false)
                .todo(place.start());
        }
    }
}

fn hangs(place: &Place, mount: &MountEntry, patience: Duration, report: &mut Report) {
    let number = mount.mount.device.minor;
    let waiting = std::fs::read_to_string(format!("/sys/fs/fuse/connections/{number}/waiting"));
    let waiting = waiting.map(|text| format!(", {} requests wait", text.trim()));
    let point = mount.point.display();
    let text =
        format!("{point}: does not answer within {patience:?}{}", waiting.unwrap_or_default());
    let finding = report.wrong_with(ABOUT, text);
    finding.fact("mounted", true).fact("answers", false);
    if let Some(name) = place.installed() {
        finding.todo(format!(
            "see what its daemon does: systemctl status \
             confseal@{name}.service"
        ));
    }
    finding.todo(format!(
        "end it: kill the daemon, or write 1 to /sys/fs/fuse/connections/{number}/abort, then \
         umount {point} and mount again"
    ));
}

fn does_not_tell(place: &Place, mount: &MountEntry, answer: &Value, report: &mut Report) {
    let point = mount.point.display();
    let only = mounts::only_for(mount);
    let error = answer["error"].as_str().unwrap_or("no answer");
    match answer["errno"].as_i64().and_then(|errno| i32::try_from(errno).ok()) {
        Some(libc::ENOTCONN | libc::ECONNABORTED) => {
            let text = format!("{point}: the mount is dead: its daemon is gone");
            let finding = report.wrong_with(ABOUT, text);
            finding.fact("mounted", true).fact("answers", false);
            finding.todo(format!("{}; it takes the dead mount's place", place.start()));
            finding.todo(format!("to do without it: umount {point}"));
        }
        Some(libc::EACCES | libc::EPERM) => match only {
            Some(uid) => {
                let text = format!("{point}: only user {uid}, who mounted it, is let in");
                report.wrong_with(ABOUT, text).fact("only_for", uid).todo(
                    "let others in: mount with --allow-other (as an ordinary user \
                     that takes `user_allow_other` in /etc/fuse.conf)",
                );
            }
            None => {
                let text = format!("{point}: mounted; its status is for the daemon's user alone");
                report.note(ABOUT, text).todo("ask again as that user, root most likely");
            }
        },
        _ => {
            let text = format!("{point}: its status cannot be read: {error}");
            report.wrong_with(ABOUT, text).todo("see the daemon's log");
        }
    }
}
