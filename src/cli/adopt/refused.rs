//! Directories that are not adopted, whatever is in them.

use std::path::Path;

use super::super::mount_point;
use crate::sys::mount::mounts;

/// Why nothing may be mounted over `dir`, an absolute path without links; `None` if it may.
pub(super) fn reason(dir: &Path) -> Option<String> {
    mount_point::admit(dir).err().map(|refused| refused.to_string())
}

/// What is mounted inside `dir`: a mount over the whole would hide it.
pub(super) fn mounted_inside(dir: &Path) -> Vec<String> {
    let inside = |point: &Path| point != dir && point.starts_with(dir);
    let points = mounts().unwrap_or_default().into_iter().map(|entry| entry.point);
    points.filter(|point| inside(point)).map(|point| point.display().to_string()).collect()
}
