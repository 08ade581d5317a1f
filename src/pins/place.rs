//! Where the pins of a store lie.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A directory that holds the pins of every store, each in a directory of its own: for containers
/// and tests, and wherever the usual place will not do.
pub const STATE_VARIABLE: &str = "CONFSEAL_STATE_DIRECTORY";

/// Where root's pins lie.
const SYSTEM: &str = "/var/lib/confseal";

/// The directory for the pins of the store called `name`; `None` when nothing says where this user
/// keeps state.
pub(super) fn directory(name: &str) -> Option<PathBuf> {
    let is_root = rustix::process::geteuid().is_root();
    directory_by(name, is_root, &|variable| std::env::var_os(variable))
}

fn directory_by(
    name: &str,
    is_root: bool,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    // A relative path would mean another place wherever the program is started.
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(base) = absolute(STATE_VARIABLE) {
        return Some(base.join(name));
    }
    if let Some(own) = variable("STATE_DIRECTORY").and_then(|list| unit_directory(&list)) {
        return Some(own);
    }
    if is_root {
        return Some(Path::new(SYSTEM).join(name));
    }
    let base = absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local").join("state")))?;
    Some(base.join("confseal").join(name))
}

/// What `StateDirectory=confseal/NAME` of a systemd unit gives. Another unit's, which happens to
/// run us, is not ours.
fn unit_directory(list: &OsStr) -> Option<PathBuf> {
    let is_ours = |path: &PathBuf| {
        path.is_absolute()
            && path.parent().and_then(Path::file_name) == Some(OsStr::new("confseal"))
    };
    std::env::split_paths(list).find(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(is_root: bool, variables: &[(&str, &str)]) -> Option<PathBuf> {
        directory_by("shop", is_root, &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn root_and_users_have_their_usual_places() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(place(true, &[("HOME", "/root")]), path("/var/lib/confseal/shop"));
        assert_eq!(place(false, &[("HOME", "/h")]), path("/h/.local/state/confseal/shop"));
        let set = [("HOME", "/h"), ("XDG_STATE_HOME", "/s")];
        assert_eq!(place(false, &set), path("/s/confseal/shop"));
        assert_eq!(place(false, &[]), None);
        assert_eq!(place(false, &[("XDG_STATE_HOME", "rel"), ("HOME", "")]), None);
        assert_eq!(place(true, &[(STATE_VARIABLE, "/c")]), path("/c/shop"));
    }

    #[test]
    fn the_state_directory_of_a_unit_is_taken_if_it_is_for_confseal() {
        let of = |list: &str| place(true, &[("STATE_DIRECTORY", list)]);
        assert_eq!(of("/var/lib/x:/var/lib/confseal/web"), Some("/var/lib/confseal/web".into()));
        assert_eq!(of("/var/lib/shop"), Some("/var/lib/confseal/shop".into()));
    }
}
