//! What a service manager is told of a mount that stands: a line on how it fares, and that its
//! requests are answered.
//!
//! What must stay true: only a request that went the way of every other, by the kernel and a thread
//! that reads requests, is a sign of life. That other threads of the daemon run says nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::super::Result;
use super::super::error::Failure;
use crate::fs::Filesystem;
use crate::fuse::mount::Attachment;
use crate::systemd;

/// The line that `systemctl status` shows.
pub(super) struct StatusLine {
    where_to: String,
    told: Option<String>,
}

impl StatusLine {
    pub(super) fn new(store: &Path, mountpoint: &Path) -> Self {
        let where_to = match store == mountpoint {
            true => format!("{} is mounted over itself", store.display()),
            false => format!("{} is mounted at {}", store.display(), mountpoint.display()),
        };
        Self { where_to, told: None }
    }

    /// Tells how `fs` fares, if it is not as was told last.
    pub(super) fn tell(&mut self, fs: &Filesystem) {
        let line = format!("{}, {}", self.where_to, fs.in_short());
        if self.told.as_ref() != Some(&line) {
            systemd::status(&line);
            self.told = Some(line);
        }
    }
}

/// Fails where what this process mounts would be seen by none of those that it is for: the service
/// manager, whose first process is number 1, has put it into a mount namespace of its own. To be
/// called before the process enters one by itself.
pub(super) fn must_be_seen(mountpoint: &Path) -> Result<()> {
    let [own, first] = ["self", "1"].map(|who| fs::read_link(format!("/proc/{who}/ns/mnt")));
    match (own, first) {
        (Ok(own), Ok(first)) if own != first => {
            Err(Failure::Unseen { mountpoint: mountpoint.to_owned() })
        }
        // The same, or not for us to know.
        _ => Ok(()),
    }
}

/// Tells the service manager every `beat` that the mount answers, for as long as it does, or until it
/// is gone. Where nobody watches, `beat` is `None` and nothing is done.
///
/// An unanswered question is waited for without end, by this thread alone: the manager, which then
/// hears nothing, ends the process.
pub(super) fn tell_of_life(
    attachment: &Attachment,
    beat: Option<Duration>,
    ended: &dyn Fn() -> bool,
) {
    let Some(beat) = beat else { return };
    let mut is_known = false;
    while !ended() {
        match attachment.ask() {
            Ok(()) => {}
            // Covered by another mount, or about to be gone.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // No reason to end a daemon that may well serve.
            Err(error) if !is_known => {
                log::warn!("the watchdog learns nothing: the mount cannot be asked ({error})");
                is_known = true;
            }
            Err(_) => {}
        }
        systemd::alive();
        std::thread::sleep(beat);
    }
}

#[cfg(test)]
mod tests {
    /// What gives a service a mount namespace of its own, in whatever release of systemd.
    const APART: [&str; 24] = [
        "BindPaths",
        "BindReadOnlyPaths",
        "ExecPaths",
        "ExtensionImages",
        "InaccessiblePaths",
        "LogNamespace",
        "MountFlags",
        "MountImages",
        "NoExecPaths",
        "PrivateBPF",
        "PrivateDevices",
        "PrivateIPC",
        "PrivatePIDs",
        "PrivateTmp",
        "ProcSubset",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectProc",
        "ProtectSystem",
        "ReadOnlyPaths",
        "TemporaryFileSystem",
    ];

    #[test]
    fn the_unit_leaves_the_daemon_where_its_mount_is_seen() {
        let unit = include_str!("../../../systemd/confseal@.service");
        let settings = || unit.lines().filter_map(|line| line.split_once('='));
        let apart: Vec<_> = settings().filter(|(name, _)| APART.contains(name)).collect();
        assert!(apart.is_empty(), "{apart:?}");
        // From release 254 on a network namespace brings a mount namespace, unless this is said.
        let has = |name, value| settings().any(|setting| setting == (name, value));
        assert!(!has("PrivateNetwork", "yes") || has("PrivateMounts", "no"));
    }
}
