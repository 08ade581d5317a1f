//! What an ejected directory leaves behind goes: the state in it, what this machine remembered of it,
//! its key, its instance.

use std::fs;
use std::io;
use std::path::Path;

use super::super::adopt::{Keeping, Subject, announce};
use super::super::error::Failure;
use super::super::open::{lock, open_store};
use super::super::{Result, pinned};
use crate::instance::Instance;
use crate::pins::Pins;
use crate::store::CONTROL_DIR;

/// The control directory in the store, and the pins.
pub(super) fn traces(subject: &Subject, instance: &Instance, elsewhere: bool) -> Result<()> {
    let root = if elsewhere { &instance.store } else { &subject.dir };
    let control = root.join(CONTROL_DIR);
    if control.is_dir() {
        // Nobody else may be at work in it.
        let store = open_store(root)?;
        let lock = lock(&store)?;
        gone(fs::remove_dir_all(&control)).map_err(Failure::io(&control))?;
        drop(lock);
        announce(&format!("removed {}", control.display()))?;
    }
    if let Some(pins) = Pins::find(&subject.name)? {
        let path = pins.path().to_owned();
        gone(fs::remove_dir_all(&path)).map_err(Failure::io(&path))?;
        announce(&format!("removed {}", path.display()))?;
    }
    // What a daemon that was killed left.
    let covered = pinned::covered_at(&subject.name);
    if covered.exists() {
        crate::sys::mount::unbind_and_remove(&covered).map_err(Failure::io(&covered))?;
    }
    Ok(())
}

/// The key, where it was kept.
pub(super) fn key(keeping: &Keeping) -> Result<()> {
    let Some(file) = keeping.file().filter(|file| file.exists()) else { return Ok(()) };
    remove(&file)
}

/// The instance; from then on there is nothing to repeat.
pub(super) fn instance(subject: &Subject) -> Result<()> {
    remove(&subject.file())
}

fn remove(file: &Path) -> Result<()> {
    gone(fs::remove_file(file)).map_err(Failure::io(file))?;
    announce(&format!("removed {}", file.display()))
}

/// What is gone already is no error.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
