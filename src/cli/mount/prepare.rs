//! The daemon's process before it has a second thread: what is its own of signals, limits, log and
//! namespace.

use super::super::Result;
use super::super::open;
use super::supervised::must_be_seen;
use super::{Plan, succession};
use crate::fuse::mount::Host;
use crate::sys;
use crate::sys::process::Signals;
use crate::systemd::{self, Kept};

/// What is settled of the process from here on.
pub(super) struct Process {
    /// Blocked in every thread, for the one that will wait for them.
    pub signals: Signals,
    /// The connections of earlier daemons of this service.
    pub kept: Vec<Kept>,
    /// Whether it may mount by itself.
    pub is_root: bool,
    pub host: Host,
}

impl Plan {
    /// Makes the process a daemon's. To be called while it has one thread: others would start with
    /// signals unblocked, and stay in the host's namespace.
    pub(super) fn prepare_process(&self) -> Result<Process> {
        let signals = Signals::block().map_err(self.here())?;
        // A program's umask comes with its request; that of whoever started us is nobody's business.
        rustix::process::umask(rustix::fs::Mode::empty());
        let kept = succession::kept_connections();
        // A second logger would only mean that somebody else set one up: keep theirs.
        let _ = systemd::init_logging(self.foreground, &self.name);
        if let Err(error) = sys::file::allow_many_open() {
            log::warn!("the limit of open files stays as it is ({error})");
        }
        let is_root = sys::mount::may_mount();
        if is_root && self.foreground && systemd::is_service() {
            must_be_seen(&self.mountpoint)?;
        }
        let host = self.enter_namespace(is_root).map_err(self.here())?;
        Ok(Process { signals, kept, is_root, host })
    }

    /// A namespace of our own. An ordinary user's makes everybody else look like nobody: where the
    /// store holds files of others or of other groups, the host's is the better one.
    fn enter_namespace(&self, is_root: bool) -> std::io::Result<Host> {
        if is_root || open::is_all_ours(&self.store) {
            Host::enter_own_namespace()
        } else {
            Host::stay()
        }
    }
}
