//! The service manager and the log: telling systemd how the daemon fares, and where log lines go.
//!
//! Without systemd every notification is a no-op: a failure to notify is never a reason to fail.

mod kept;

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use env_logger::{Builder, Env, Target};
use log::{Level, LevelFilter, Record, SetLoggerError};
use sd_notify::NotifyState;
use systemd_journal_logger::{JournalLog, connected_to_journal};

pub use kept::{Kept, forget, is_restarting, keep, kept};

/// Variable that sets how much is logged: `error`, `warn`, `info` (the default), `debug`, `trace`,
/// or a list of `module=level`.
pub const LEVEL_VARIABLE: &str = "CONFSEAL_LOG";

/// The mount stands; the service has started.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// A reload begins; [`ready`] ends it. For services of `Type=notify-reload`.
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

/// Ending takes longer than usual: up to `duration` from now.
pub fn extend_timeout(duration: Duration) {
    let microseconds = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
}

/// Whether a service manager wants to be told how this process fares.
pub fn is_supervised() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
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

/// Sends log lines to the journal if standard error leads there, or if the daemon is about to lose
/// its standard error (not `foreground`) and there is a journal; else to standard error.
///
/// Fails when there is a logger already.
pub fn init_logging(foreground: bool) -> Result<(), SetLoggerError> {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Info);
    builder.parse_env(Env::new().filter(LEVEL_VARIABLE));
    match journal(foreground) {
        // The journal keeps level and text apart: nothing is left to write to the stream.
        Some(journal) => builder.format(move |_, record| match is_of_a_killed_caller(record) {
            true => Ok(()),
            false => journal.journal_send(record),
        }),
        None => {
            builder.target(Target::Stderr).format(|stream, record| {
                match is_of_a_killed_caller(record) {
                    true => Ok(()),
                    false => writeln!(stream, "{}", line(record.level(), record.args())),
                }
            })
        }
    };
    builder.try_init()
}

fn journal(foreground: bool) -> Option<JournalLog> {
    if foreground && !connected_to_journal() {
        return None;
    }
    // An error means that no journal listens.
    JournalLog::empty().ok().map(|log| log.with_syslog_identifier("confseal".to_owned()))
}

/// Whether the library complains that nobody waits for a reply: a caller that is killed takes its
/// request back, so the kernel knows it no more (ENOENT). That is no error of anyone's.
fn is_of_a_killed_caller(record: &Record<'_>) -> bool {
    record.target().starts_with("fuser")
        && record.args().to_string()
            == format!("Failed to send FUSE reply: {}", io::Error::from_raw_os_error(libc::ENOENT))
}

fn line(level: Level, message: &fmt::Arguments<'_>) -> String {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    format!("confseal: {level}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_killed_caller_waits_for_no_reply_is_not_told() {
        let is_told = |target, text: &str| {
            let mut record = Record::builder();
            !is_of_a_killed_caller(&record.target(target).args(format_args!("{text}")).build())
        };
        let gone = "Failed to send FUSE reply: No such file or directory (os error 2)";
        assert!(!is_told("fuser::reply", gone));
        assert!(is_told("confseal::fuse", gone));
        assert!(is_told(
            "fuser::reply",
            "Failed to send FUSE reply: Invalid argument (os error 22)"
        ));
    }

    #[test]
    fn a_log_line_names_the_program_and_the_level() {
        let text = line(Level::Warn, &format_args!("{} is gone", "it"));
        assert_eq!(text, "confseal: warning: it is gone");
    }
}
