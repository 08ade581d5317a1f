//! What a service manager is told of a mount that stands: a line on how it fares, and that its
//! requests are answered.
//!
//! What must stay true: only a request that went the way of every other, by the kernel and a thread
//! that reads requests, is a sign of life. That other threads of the daemon run says nothing.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

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
    while !ended() {
        match attachment.ask() {
            Ok(()) => {}
            // Nothing to ask: covered by another mount, or about to be gone.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound) => {}
            // An answer as well.
            Err(error) => log::debug!("asked for a sign of life, the mount answered: {error}"),
        }
        systemd::alive();
        std::thread::sleep(beat);
    }
}
