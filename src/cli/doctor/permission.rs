//! Who may read the file: who is let into the mount, and mode and owner of all that lies on the way.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::mounts;
use super::namespace::Victim;
use super::place::Place;
use super::report::Report;
use crate::path::RelPath;

/// Who may read it: mode and owner on the way to it and of itself.
pub(super) fn look(
    place: &Place,
    store: &Path,
    file: &RelPath,
    victim: Option<&Victim>,
    report: &mut Report,
) {
    if let (Some(mount), Some(victim)) = (&place.mount, victim)
        && let Some(only) = mounts::only_for(mount).filter(|only| *only != victim.uid)
    {
        report
            .wrong_with(
                "permission",
                format!(
                    "only user {only}, who mounted it, is let in; \
                     process {} is user {}",
                    victim.pid, victim.uid
                ),
            )
            .todo(
                "mount with --allow-other (as an ordinary user that takes \
                 `user_allow_other` in /etc/fuse.conf)",
            );
    }
    // Through the mount each has the mode that it has in the store; above it lies the mount point.
    let point = place.mountpoint.as_deref().unwrap_or(store);
    let outside = point.ancestors().skip(1).map(|dir| (dir.to_owned(), dir.to_owned()));
    let inside = file.components().scan(PathBuf::new(), |at, name| {
        at.push(OsStr::from_bytes(name));
        Some((store.join(&*at), point.join(&*at)))
    });
    let root = std::iter::once((store.to_owned(), point.to_owned()));
    for (at, shown) in outside.chain(root).chain(inside) {
        let Ok(metadata) = std::fs::metadata(&at) else { continue };
        let (mode, uid, gid) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
        let shown = shown.display();
        let about = format!("{shown}: mode {mode:04o}, user {uid}, group {gid}");
        if at == store.join(Path::new(&*file.to_string())) && metadata.is_file() {
            report
                .fine("permission", about.clone())
                .fact("mode", mode)
                .fact("uid", uid)
                .fact("gid", gid);
        }
        let Some(victim) = victim.filter(|victim| victim.uid != 0) else { continue };
        let bits = match () {
            () if victim.uid == uid => mode >> 6,
            () if victim.groups.contains(&gid) => mode >> 3,
            () => mode,
        };
        let (needed, what) = if metadata.is_dir() { (0o1, "pass") } else { (0o4, "read") };
        if bits & needed != 0 {
            continue;
        }
        let may_not = format!("{about}: user {} may not {what} it", victim.uid);
        if has_acl(&at) {
            report
                .note(
                    "permission",
                    format!("{may_not} by its mode; but it has an ACL, which decides"),
                )
                .todo(format!("see for yourself: getfacl {shown}"));
            continue;
        }
        report.wrong_with("permission", may_not).fact("denied_uid", victim.uid).todo(format!(
            "give it to that user or his group (chown, chmod), or an ACL (setfacl): {shown}"
        ));
    }
}

/// Whether more than the mode says who may do what.
fn has_acl(path: &Path) -> bool {
    rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0; 0]).is_ok_and(|len| len > 0)
}
