//! How the daemon ends: unmounted for good, or in the middle of a restart with its mount standing,
//! for the next daemon to take over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::exposed::Exposed;
use crate::fs::{Acceptance, Filesystem};
use crate::fuse::Stop;
use crate::fuse::mount::Attachment;
use crate::sys::process::{Signal, Signals};
use crate::systemd;

/// How long open descriptors are served after a SIGTERM took the mount away under them.
const GRACE: Duration = Duration::from_secs(10);

/// How long programs may finish with their open files when the daemon is restarted. What they want to
/// open waits for as long.
const FINISH: Duration = Duration::from_secs(1);

/// How long one request may take in the end, one that a slow store holds up for one.
const LAST_REQUEST: Duration = Duration::from_secs(5);

/// What the end of a daemon concerns.
pub(super) struct Ending {
    pub fs: Arc<Filesystem>,
    pub attachment: Attachment,
    /// Set before anything is unmounted: it was asked for.
    pub is_told: Arc<AtomicBool>,
    pub stop: Stop,
    /// The service manager has been given the connection.
    pub is_kept: bool,
    pub exposed: Exposed,
}

impl Ending {
    /// SIGTERM and SIGINT commit and end the daemon; SIGHUP reloads.
    pub(super) fn answer(&self, signals: &Signals) {
        loop {
            match signals.wait() {
                Ok(Signal::Hangup) => self.reload(),
                Ok(Signal::Terminate) => {
                    self.is_told.store(true, Ordering::Relaxed);
                    systemd::stopping();
                    self.fs.stop_jobs();
                    self.fs.commit_old(true);
                    if self.is_kept && systemd::is_restarting() {
                        self.hand_over();
                    }
                    self.unmount();
                }
                Err(error) => {
                    log::error!("signals can no longer be waited for: {error}");
                    return;
                }
            }
        }
    }

    fn reload(&self) {
        systemd::reloading();
        // How it went is in the log; the old keys and rules hold if it failed.
        let _ = self.fs.reload(&Acceptance::Waits);
        systemd::ready();
    }

    /// Ends the process with the mount standing. Programs that want something of it wait.
    fn hand_over(&self) -> ! {
        if !self.stop.wait_for_files(FINISH) {
            log::info!("files are still open: what is read or written there later fails with EIO");
        }
        let is_quiet = self.attachment.look_away(LAST_REQUEST);
        if !self.stop.hold_all(LAST_REQUEST) || !is_quiet {
            log::warn!("a request is not answered yet: it may be carried out twice");
        }
        self.fs.commit_old(true);
        self.fs.save_remembered();
        log::info!("the mount stays for the next daemon");
        std::process::exit(0);
    }

    /// Takes the mount away. While it is in use it goes out of sight, and open descriptors are served
    /// for a while.
    fn unmount(&self) {
        let busy = match self.attachment.unmount(false) {
            Ok(()) => false,
            Err(error) => {
                log::info!("the mount is in use ({error}): open files are served on");
                true
            }
        };
        if busy && let Err(error) = self.attachment.unmount(true) {
            log::error!("cannot unmount: {error}");
            return;
        }
        std::thread::sleep(GRACE);
        self.fs.commit_old(true);
        self.fs.save_remembered();
        let grace = GRACE.as_secs();
        log::warn!(event = "unmounted"; "files are still open after {grace} s: leaving them");
        self.exposed.withdraw();
        std::process::exit(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_leaves_time_for_the_longest_end() {
        let unit = include_str!("../../../systemd/confseal@.service");
        let limit = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec="));
        let limit = Duration::from_secs(limit.expect("a limit").parse().expect("seconds"));
        // And as much again for commits.
        assert!(limit >= 2 * GRACE.max(FINISH + LAST_REQUEST), "{limit:?}");
    }
}
