//! From a file system to a mount that stands: attached, in the place of an earlier daemon's if there
//! is one, and told to those who have to know of its connection.

use std::sync::Arc;

use super::super::Result;
use super::{Plan, succession};
use crate::fs::Filesystem;
use crate::fuse::mount::{Host, MountOptions, Mounted, succeed};
use crate::fuse::{Announcer, KernelNotifier, Stop, Survivor, Wire};
use crate::systemd::Kept;

/// Threads for what has to wait for the store.
const WORKERS: usize = 4;

/// A mount that stands.
pub(super) struct Standing {
    pub mounted: Mounted,
    /// Stops the answering of requests.
    pub stop: Stop,
    /// The service manager has been given the connection.
    pub is_kept: bool,
}

impl Plan {
    /// Mounts `fs`. From here on it is seen and served.
    pub(super) fn attach(
        &self,
        fs: &Arc<Filesystem>,
        (host, is_root): (&Host, bool),
        survivor: &Survivor,
        kept: Vec<Kept>,
    ) -> Result<Standing> {
        let options = self.mount_options(is_root);
        let wire = Wire::new(fs.clone(), options.threads, WORKERS).map_err(self.here())?;
        let (own_opens, stop) = (wire.own_opens(), wire.stop());
        let mounted = succeed(wire, &self.mountpoint, &options, host, self.old.as_ref())?;
        mounted.fuse_fd().and_then(|device| survivor.watch(device)).map_err(self.here())?;
        let is_kept = is_root && succession::keep_connection(&mounted);
        succession::attend_all(kept);
        let announcer = Announcer::start(mounted.attachment(), own_opens).map_err(self.here())?;
        let notifier = KernelNotifier::start(mounted.notifier(), announcer).map_err(self.here())?;
        fs.set_invalidate(Box::new(notifier));
        Ok(Standing { mounted, stop, is_kept })
    }

    fn mount_options(&self, is_root: bool) -> MountOptions {
        MountOptions {
            source: succession::source_of(&self.store),
            allow_other: self.options.allow_other.unwrap_or(is_root),
            read_only: self.options.read_only,
            no_exec: self.options.no_exec,
            context: self.options.context.clone(),
            threads: self.options.threads.max(1),
        }
    }
}
