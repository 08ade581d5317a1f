//! What a crash left in the store, put right while the mount serves already.
//!
//! Must stay true: nothing of it can be seen through the mount meanwhile. Torn files were mended
//! before ([`Store::mend`](crate::store::Store::mend)); the rest is hidden by its names, and shows
//! only where a directory is to be empty.

use std::ffi::OsStr;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::node::Node;
use super::{Error, Filesystem, Result};
use crate::path::RelPath;

/// Whether the whole store has been looked at.
#[derive(Default)]
pub(super) struct Recovered(AtomicBool);

impl Recovered {
    pub(super) fn is_done(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Filesystem {
    /// Looks for leftovers in every directory of the store; once, on a thread of its own, until
    /// `stop` says so.
    pub fn recover(&self, stop: impl Fn() -> bool) {
        let rules = self.rules();
        let seal = |_: &RelPath, bytes: &[u8]| Ok(rules.sealing.seal_kept(bytes));
        match self.store.recover_unless(&seal, &stop) {
            Ok(found) => found.log(),
            Err(error) => log::error!("what a crash left cannot be looked for: {error}"),
        }
        self.recovered.0.store(true, Ordering::Relaxed);
    }

    /// Runs `op`, which wants the directory `name` in `parent` to be empty. As long as leftovers
    /// may stand in it, it is rid of them first if need be.
    pub(super) fn once_empty(
        &self,
        parent: &Node,
        name: &OsStr,
        op: impl Fn() -> io::Result<()>,
    ) -> Result<()> {
        match op() {
            Err(error)
                if error.kind() == io::ErrorKind::DirectoryNotEmpty
                    && !self.recovered.is_done() => {}
            other => return Ok(other?),
        }
        let rules = self.rules();
        let seal = |_: &RelPath, bytes: &[u8]| Ok(rules.sealing.seal_kept(bytes));
        let path = parent.path().ok_or(Error::Stale)?.join(name);
        self.store.recover_in(&path, &seal)?.log();
        Ok(op()?)
    }
}
