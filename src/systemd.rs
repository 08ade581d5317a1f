//! The service manager and the log: telling systemd how the daemon fares, and where log lines go.
//!
//! Without systemd every notification is a no-op: a failure to notify is never a reason to fail.

pub mod catalogue;
mod journal;
mod kept;

use std::time::Duration;

use sd_notify::NotifyState;

pub use journal::{LEVEL_VARIABLE, init_logging, is_in_a_unit, send_records_of};
pub use kept::{Kept, forget, is_restarting, keep, kept};

/// The mount stands; the service has started.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// A reload begins; [`ready`] ends it. systemd shows the service as reloading meanwhile, and waits for
/// that where it is of `Type=notify-reload`.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!("no monotonic clock for systemd: {error}"),
    }
}

/// The service is about to end.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// A line for `systemctl status`.
pub fn status(line: &str) {
    // A line break would begin another assignment.
    notify(&[NotifyState::Status(&line.replace(['\n', '\r'], " "))]);
}

/// Whether this very process is one that systemd started as a service, rather than one that such a
/// process started.
pub fn is_service() -> bool {
    let started = std::env::var("SYSTEMD_EXEC_PID").ok();
    started.and_then(|pid| pid.parse().ok()) == Some(std::process::id())
}

/// How often to call [`alive`]: half of what the service's `WatchdogSec=` allows. None when systemd
/// does not watch this process.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// The daemon answers.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::debug!("systemd was not notified: {error}");
    }
}
