//! The namespace that the daemon was started in, where its mounts are attached, seen from the one
//! that it works in.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::direct::{MountPoint, Unattached};
use super::fusermount::Fusermount;
use super::predecessor::{Predecessor, Succession};
use super::{KIND, MountError, MountOptions};
use crate::sys::mount::{self, Attach, MountId, SavedNamespace};
use crate::sys::process::try_in_child;

/// A way back to the namespace that the daemon was started in, and to the right to mount there.
#[derive(Clone, Debug)]
pub struct Host {
    way: Arc<Way>,
    apart: bool,
}

#[derive(Debug)]
enum Way {
    /// With CAP_SYS_ADMIN: a thread goes there for a moment.
    Visit(SavedNamespace),
    /// Without: a child lives there.
    Fusermount(Fusermount),
}

/// A file system that the kernel has created, and whose INIT is under way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) device: OwnedFd,
    pub(super) place: Place,
}

/// How far a pending file system has come.
#[derive(Debug)]
pub(super) enum Place {
    /// Not attached yet.
    Nowhere(Unattached),
    /// `fusermount3` knows only file systems that are attached at once.
    Attached(MountId),
}

impl Host {
    /// Moves the process into a mount namespace of its own, in which its mounts will not appear.
    ///
    /// To be called early in `main`: before the process starts any thread (which would stay
    /// outside), opens the store, or reads a key (as an ordinary user, a child is left behind). The
    /// process must still be dumpable. Where the host forbids such namespaces, all works without
    /// one, and a warning is logged.
    ///
    /// As an ordinary user this takes a user namespace, in which every user and group but his own
    /// looks like 65534 and cannot be given to a file. Where the store holds files of others, or of
    /// his other groups, [`stay`](Self::stay) shows them as they are.
    pub fn enter_own_namespace() -> io::Result<Self> {
        let mut host = Self::stay()?;
        host.apart = match &*host.way {
            Way::Visit(home) => {
                let apart = possible(|| {
                    mount::enter_own_mount_namespace()?;
                    home.enter()
                })?;
                if apart {
                    mount::enter_own_mount_namespace()?;
                }
                apart
            }
            Way::Fusermount(_) => {
                let apart = possible(mount::enter_own_user_and_mount_namespace)?;
                if apart {
                    mount::enter_own_user_and_mount_namespace()?;
                }
                apart
            }
        };
        Ok(host)
    }

    /// Leaves the process where it is: by path it meets its own mount, and must not go there. To be
    /// called just as early.
    pub fn stay() -> io::Result<Self> {
        let way = if mount::may_mount() {
            Way::Visit(SavedNamespace::current()?)
        } else {
            Way::Fusermount(Fusermount::leave_behind()?)
        };
        Ok(Self { way: Arc::new(way), apart: false })
    }

    /// Whether the process has a mount namespace of its own.
    pub fn is_apart(&self) -> bool {
        self.apart
    }

    /// Makes what `old` covers visible to this process, at its own path; nobody else sees anything
    /// of it. EOPNOTSUPP where the process has no namespace of its own to do that in.
    pub fn uncover(&self, old: &Predecessor) -> io::Result<()> {
        match &*self.way {
            Way::Visit(_) if self.apart => old.detach(),
            Way::Visit(_) | Way::Fusermount(_) => Err(Errno::OPNOTSUPP.into()),
        }
    }

    pub(super) fn prepare(
        &self,
        mountpoint: &Path,
        options: &MountOptions,
        old: Option<&Predecessor>,
    ) -> Result<Pending, MountError> {
        match &*self.way {
            Way::Visit(home) => {
                let find = || {
                    old.map_or(Ok(()), Predecessor::reduce).map_err(|source| {
                        MountError::MountPoint { path: mountpoint.to_owned(), source }
                    })?;
                    MountPoint::find(mountpoint)
                };
                let point = self.visit(home, find)??;
                let (device, unattached) = Unattached::create(point, options)?;
                Ok(Pending { device, place: Place::Nowhere(unattached) })
            }
            Way::Fusermount(child) => {
                let (device, mount) = child.mount(mountpoint, options)?;
                Ok(Pending { device, place: Place::Attached(mount) })
            }
        }
    }

    pub(super) fn attach(
        &self,
        place: Place,
        old: Option<&Predecessor>,
    ) -> Result<Succession, MountError> {
        let new = match place {
            Place::Attached(mount) => return Ok(Succession { mount, buried: None }),
            Place::Nowhere(new) => new,
        };
        let path = new.point().to_owned();
        let attach = || match old {
            Some(old) => old.succeed(new),
            None => new.attach(Attach::OnTop).map(|mount| Succession { mount, buried: None }),
        };
        let attached = match &*self.way {
            Way::Visit(home) => self.visit(home, attach)?,
            Way::Fusermount(_) => attach(),
        };
        attached.map_err(|(_, source)| MountError::Attach { path, source })
    }

    /// Lets go of a file system that will not be served.
    pub(super) fn give_up(&self, place: Place) {
        if let Place::Attached(mount) = place
            && let Err(error) = self.unmount(mount, true)
        {
            log::warn!("a mount that nobody serves was left behind: {error}");
        }
    }

    /// Undoes, in our own namespace, what propagation from the host brought in. (Where the parent
    /// mount is private, nothing comes in. What is mounted there later does come in again: the
    /// store is reached by descriptors, not by path.)
    pub(super) fn hide_from_us(&self, mount: MountId) {
        if self.apart
            && let Err(error) = mount::detach_copies(mount.device)
        {
            log::warn!("the mount can be seen from inside the daemon: {error}");
        }
    }

    /// Lets go of the copies of other mounts of ours that our namespace began with: where nothing
    /// propagates, each would keep its daemon alive after `umount`, until this one ends.
    ///
    /// To be called when the store is open and the keys are read, which may lie in such a mount. (An
    /// ordinary user's namespace cannot let go: the kernel lends him what others mounted in one
    /// piece only.)
    pub(super) fn let_go_of_others(&self) {
        if self.apart
            && let Way::Visit(_) = &*self.way
            && let Err(error) = mount::detach_stranded(KIND)
        {
            log::warn!("other mounts of confseal stay in use until this one ends: {error}");
        }
    }

    pub(super) fn unmount(&self, mount: MountId, lazy: bool) -> io::Result<()> {
        match &*self.way {
            Way::Visit(home) if self.apart => home.run(|| mount::unmount(mount, lazy))?,
            Way::Visit(_) => mount::unmount(mount, lazy),
            Way::Fusermount(child) => child.unmount(mount, lazy),
        }
    }

    /// Whether the mount is still where it was attached.
    pub(super) fn stands(&self, mount: MountId) -> io::Result<bool> {
        let look = || Ok(mount::mounts()?.iter().any(|entry| entry.mount == mount));
        match &*self.way {
            Way::Visit(home) if self.apart => home.run(look)?,
            Way::Visit(_) | Way::Fusermount(_) => look(),
        }
    }

    /// Runs `act` on a thread of its own, in the namespace where `mount` is attached, with a copy of
    /// it that keeps nobody from unmounting. EOPNOTSUPP for an ordinary user, ENOENT when the mount
    /// is gone or covered.
    pub(super) fn look_in<T: Send>(
        &self,
        mount: MountId,
        act: impl FnOnce(BorrowedFd<'_>) -> T + Send,
    ) -> io::Result<T> {
        match &*self.way {
            Way::Visit(home) => {
                home.run(|| mount::loose_copy(mount).map(|copy| act(copy.as_fd())))?
            }
            Way::Fusermount(_) => Err(Errno::OPNOTSUPP.into()),
        }
    }

    /// Makes `store`, as this process sees it, reachable at `place` too, for root alone: what a mount
    /// over the store covers. `false` for an ordinary user, who cannot. A leftover of a daemon that
    /// was killed is replaced.
    pub fn expose(&self, store: &Path, place: &Path) -> io::Result<bool> {
        let copy = match &*self.way {
            Way::Visit(_) => mount::copy_of(store)?,
            Way::Fusermount(_) => return Ok(false),
        };
        match &*self.way {
            Way::Visit(home) if self.apart => home.run(|| mount::show(copy, place))?,
            Way::Visit(_) | Way::Fusermount(_) => mount::show(copy, place),
        }?;
        Ok(true)
    }

    /// Undoes [`expose`](Self::expose).
    pub fn withdraw(&self, place: &Path) -> io::Result<()> {
        match &*self.way {
            Way::Visit(home) if self.apart => home.run(|| mount::unbind_and_remove(place))?,
            Way::Visit(_) => mount::unbind_and_remove(place),
            Way::Fusermount(_) => Ok(()),
        }
    }

    fn visit<T: Send>(
        &self,
        home: &SavedNamespace,
        act: impl FnOnce() -> T + Send,
    ) -> Result<T, MountError> {
        if self.apart {
            home.run(act).map_err(|source| MountError::Host { source })
        } else {
            Ok(act())
        }
    }
}

/// Whether `act` succeeds, tried in a child: half of it would be worse than nothing (a user
/// namespace without a mapping, for one), and there is no way back.
fn possible(act: impl FnOnce() -> io::Result<()>) -> io::Result<bool> {
    let code = try_in_child(|| match act() {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().and_then(|errno| errno.try_into().ok()).unwrap_or(255),
    })?;
    if code != 0 {
        log::warn!(
            "no mount namespace of our own ({}): serving from the namespace of the host. The store \
             is reached by descriptors and all works, but a program that the daemon starts could \
             wait for the daemon itself if it uses the mount",
            io::Error::from_raw_os_error(code.into())
        );
    }
    Ok(code == 0)
}
