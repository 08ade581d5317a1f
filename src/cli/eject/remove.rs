//! What an ejected directory leaves behind goes: the state in it, what this machine remembered of it,
//! its key, its instance.

use std::fs;
use std::io;
use std::path::Path;

use super::super::adopt::{Keeping, Subject, announce};
use super::super::error::Failure;
use super::super::open::{lock, open_store};
use super::super::{Result, pinned};
use crate::audit::Trail;
use crate::instance::Instance;
use crate::pins::Pins;
use crate::store::CONTROL_DIR;

/// The control directory in the store, and what this machine remembered but for the audit trail.
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
        forget(pins.path())?;
    }
    // What a daemon that was killed left.
    let covered = pinned::covered_at(&subject.name);
    if covered.exists() {
        crate::sys::mount::unbind_and_remove(&covered).map_err(Failure::io(&covered))?;
    }
    Ok(())
}

/// Removes what was accepted of the store. The trail stays: it says who gave what was secret back.
fn forget(dir: &Path) -> Result<()> {
    let mut is_recorded = false;
    for entry in fs::read_dir(dir).map_err(Failure::io(dir))? {
        let entry = entry.map_err(Failure::io(dir))?;
        let path = entry.path();
        if Trail::has(&entry.file_name().to_string_lossy()) {
            is_recorded = true;
            continue;
        }
        let removed = match entry.file_type().map_err(Failure::io(&path))?.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        gone(removed).map_err(Failure::io(&path))?;
    }
    let shown = dir.display();
    match is_recorded {
        true => {
            announce(&format!("removed what {shown} held but for the audit trail, which stays"))
        }
        false => {
            gone(fs::remove_dir(dir)).map_err(Failure::io(dir))?;
            announce(&format!("removed {shown}"))
        }
    }
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
