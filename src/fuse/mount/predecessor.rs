//! Taking the place of a mount whose daemon is gone, so that nobody ever sees what lies beneath.
//!
//! What must stay true:
//! - the new mount is in its place before the old one leaves it: beneath it where the kernel can
//!   (Linux 6.5), else on top;
//! - no file system is asked anything: the old one has nobody to answer;
//! - whoever calls this holds the lock of the store, so its daemon is known to be gone.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::KIND;
use super::direct::Unattached;
use crate::sys::mount::{self, Attach, MountEntry, MountId};

/// A mount of ours that stands where another is wanted.
#[derive(Clone, Debug)]
pub struct Predecessor {
    point: PathBuf,
    source: OsString,
}

/// What came of taking its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Succession {
    /// The new mount.
    pub(super) mount: MountId,
    /// The old one, if it could not be taken away: it lies beneath.
    pub(super) buried: Option<MountId>,
}

impl Predecessor {
    /// The mount of ours that is seen at `point`, a path without links, by the calling thread.
    pub fn find(point: &Path) -> io::Result<Option<Self>> {
        let found = mount::topmost(point, KIND)?;
        Ok(found.map(|entry| Self { point: entry.point, source: entry.source }))
    }

    /// The store that it showed, as its daemon wrote it down.
    pub fn source(&self) -> &OsStr {
        &self.source
    }

    /// Takes what is left of it away from the namespace of the calling thread, which is to be one of
    /// its own.
    pub(super) fn detach(&self) -> io::Result<()> {
        while let Some(entry) = self.topmost()? {
            mount::unmount(entry.mount, true)?;
        }
        Ok(())
    }

    /// Of several that lie one on the other, leaves the lowest: dead or not, it hides the store.
    pub(super) fn reduce(&self) -> io::Result<()> {
        while let Some(entry) = self.topmost()?
            && mount::same_beneath(&entry)?.is_some()
        {
            mount::unmount(entry.mount, true)?;
        }
        Ok(())
    }

    /// Attaches `new` in its place.
    pub(super) fn succeed(&self, new: Unattached) -> Result<Succession, (Unattached, io::Error)> {
        let old = match self.topmost() {
            Ok(old) => old.map(|entry| entry.mount),
            Err(error) => return Err((new, error)),
        };
        // Unmounted meanwhile, by somebody who may.
        let Some(old) = old else { return plainly(new, None) };
        match new.attach(Attach::Beneath) {
            Ok(mount) => {
                // Should it stay, it is seen on; the next start tries again.
                if let Err(error) = mount::unmount(old, true) {
                    log::error!("the old mount cannot be taken away: {error}");
                }
                Ok(Succession { mount, buried: None })
            }
            Err((new, error)) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                log::warn!(
                    "this kernel cannot mount beneath another mount (Linux 6.5 can): the old mount \
                     stays under the new one until that is unmounted"
                );
                plainly(new, Some(old))
            }
            Err(refused) => Err(refused),
        }
    }

    fn topmost(&self) -> io::Result<Option<MountEntry>> {
        let found = mount::topmost(&self.point, KIND)?;
        Ok(found.filter(|entry| entry.source == self.source))
    }
}

fn plainly(
    new: Unattached,
    buried: Option<MountId>,
) -> Result<Succession, (Unattached, io::Error)> {
    new.attach(Attach::OnTop).map(|mount| Succession { mount, buried })
}
