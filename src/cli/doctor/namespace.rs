//! The process that has the trouble: which mounts it sees, and as whom it reads.

use std::path::{Path, PathBuf};

use super::super::mounts;
use super::place::Place;
use super::report::Report;
use super::unit::bounded;
use crate::sys::mount::{MountEntry, mounts_in};

const ABOUT: &str = "process";

/// A process as whom files are read.
pub(super) struct Victim {
    /// Which one.
    pub pid: u32,
    /// As whom it reads: its file-system user, and its groups.
    pub uid: u32,
    /// See there.
    pub groups: Vec<u32>,
}

/// Looks at the process `pid`; as whom it reads.
pub(super) fn look(pid: u32, place: &Place, report: &mut Report) -> Option<Victim> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let Ok(status) = std::fs::read_to_string(process.join("status")) else {
        report.wrong_with(ABOUT, format!("there is no process {pid}"));
        return None;
    };
    let comm = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    let called = format!("process {pid} ({})", comm.trim_end());
    if let Some(mountpoint) = &place.mountpoint {
        match mounts_in(&process) {
            Ok(table) => compare(pid, &called, place, mountpoint, &table, report),
            Err(error) => {
                report.note(ABOUT, format!("{called}: its mounts cannot be seen: {error}"));
            }
        }
    }
    let numbers = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    // Real, effective, saved, file system.
    let uid = *numbers("Uid:").get(3)?;
    let mut groups = numbers("Groups:");
    groups.extend(numbers("Gid:").get(3));
    report.fine(ABOUT, format!("{called} reads files as user {uid}")).fact("uid", uid);
    Some(Victim { pid, uid, groups })
}

/// Is what it sees at the mount point the mount that is seen from here?
fn compare(
    pid: u32,
    called: &str,
    place: &Place,
    mountpoint: &Path,
    table: &[MountEntry],
    report: &mut Report,
) {
    // As it sees paths: below its own root.
    let root = std::fs::read_link(format!("/proc/{pid}/root")).unwrap_or_else(|_| "/".into());
    let seen = match mountpoint.strip_prefix(&root) {
        Ok(inside) => Path::new("/").join(inside),
        Err(_) => mountpoint.to_owned(),
    };
    let theirs = mounts::covering(table, &seen).filter(|mount| mounts::is_ours(mount));
    let point = mountpoint.display();
    let restart = |finding: &mut super::report::Finding| {
        match unit_of(pid) {
            Some(unit) => finding.todo(format!(
                "restart it: systemctl restart {unit}; and let it be started after the mount \
                 (After= and Requires=)"
            )),
            None => finding.todo("restart it, now that the mount is there"),
        };
    };
    match (&place.mount, theirs) {
        (Some(ours), Some(theirs)) if ours.mount.device == theirs.mount.device => {
            report.fine(ABOUT, format!("{called} has the mount at {point} in its namespace"));
        }
        (Some(_), Some(_)) => {
            let text =
                format!("{called} has an older mount at {point} in its namespace, not this one");
            let finding = report.wrong_with(ABOUT, text);
            finding.fact("in_namespace", false);
            restart(finding);
        }
        (Some(_), None) => {
            let text = format!(
                "{called} does not have the mount at {point} in its namespace: that is a \
                 private one, \
                 made before the mount, and shows what lies beneath"
            );
            let finding = report.wrong_with(ABOUT, text);
            finding.fact("in_namespace", false);
            restart(finding);
        }
        (None, Some(_)) => {
            let text = format!("{called} has a mount at {point} that is not seen from here");
            report
                .note(ABOUT, text)
                .todo(format!("look from there: nsenter -t {pid} -m confseal doctor …"));
        }
        (None, None) => {
            report.note(ABOUT, format!("{called} has no mount at {point} either"));
        }
    }
}

/// The unit that a process belongs to.
fn unit_of(pid: u32) -> Option<String> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let names = groups.lines().flat_map(|line| line.rsplit('/'));
    let named = names.map(str::trim).find(|name| name.ends_with(".service"))?;
    let known = bounded("systemctl", &["show", "-P", "Id", "--", named])?;
    Some(known.trim().to_owned()).filter(|id| !id.is_empty())
}
