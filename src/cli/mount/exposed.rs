//! A store that its own mount covers, shown at another place (`/run/confseal/NAME/store`) for root's
//! tools.

use std::path::{Path, PathBuf};

use super::super::pinned;
use super::Plan;
use crate::fuse::mount::Host;

/// Where the store is shown, if it is, and the way there.
#[derive(Clone)]
pub(super) struct Exposed {
    host: Host,
    place: Option<PathBuf>,
}

impl Plan {
    /// Shows the store at its other place, if it will be covered, by a daemon that may mount.
    pub(super) fn expose(&self, host: &Host, is_root: bool) -> Exposed {
        let mut exposed = Exposed { host: host.clone(), place: None };
        if !is_root || !self.is_over_itself() {
            return exposed;
        }
        let place = pinned::covered_at(&self.name);
        match host.expose(&self.store, &place) {
            Ok(true) => exposed.place = Some(place),
            Ok(false) => {}
            Err(error) => {
                log::warn!("{}: {error}: the covered store cannot be reached", place.display());
            }
        }
        exposed
    }
}

impl Exposed {
    pub(super) fn place(&self) -> Option<&Path> {
        self.place.as_deref()
    }

    /// Takes it away again.
    pub(super) fn withdraw(&self) {
        if let Some(place) = &self.place
            && let Err(error) = self.host.withdraw(place)
        {
            log::warn!("{}: {error}", place.display());
        }
    }
}
