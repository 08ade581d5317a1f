//! Where nothing may be mounted: a mount there would take from the machine what it needs to boot,
//! to let somebody log in, or to mount again.
//!
//! What must stay true: the question is asked of canonical paths, of the place itself, of what lies
//! below it and of what holds it. docs/mount-options.md lists the places; a test compares.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place and why it is left alone.
struct Place {
    path: &'static str,
    reach: Reach,
    why: &'static str,
}

/// How far a place reaches. What holds a place is refused with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The directory with all that is below it.
    Tree,
    /// The directory alone: below it are the directories of many.
    Itself,
    /// Below it all is well again, though it lies in a tree that is not.
    Free,
}

const PLACES: &[Place] = &[
    tree("/proc", "the kernel's"),
    tree("/sys", "the kernel's"),
    tree("/dev", "devices"),
    free("/dev/shm"),
    tree("/run/systemd", "the service manager's"),
    tree("/run/udev", "the device manager's"),
    tree("/run/dbus", "the system bus"),
    tree("/run/confseal", "stores under a mount"),
    tree("/run/credentials", "keys of services"),
    tree("/run/credstore", "keys of services"),
    tree("/run/credstore.encrypted", "keys of services"),
    tree("/usr", "programs and libraries"),
    free("/usr/local"),
    tree("/usr/local/bin", "programs"),
    tree("/usr/local/sbin", "programs"),
    tree("/usr/local/lib", "libraries"),
    tree("/bin", "programs"),
    tree("/sbin", "programs"),
    tree("/lib", "libraries"),
    tree("/lib32", "libraries"),
    tree("/lib64", "libraries"),
    tree("/libx32", "libraries"),
    tree("/boot", "what the machine boots from"),
    tree("/efi", "what the machine boots from"),
    tree("/etc/confseal", "instances and keys"),
    tree("/etc/credstore", "keys of services"),
    tree("/etc/credstore.encrypted", "keys of services"),
    tree("/etc/cryptsetup-keys.d", "keys of disks"),
    tree("/etc/systemd", "the service manager's"),
    tree("/etc/init.d", "how services start"),
    tree("/etc/udev", "the device manager's"),
    tree("/etc/dbus-1", "the system bus"),
    tree("/etc/polkit-1", "who may do what"),
    tree("/etc/pam.d", "how users log in"),
    tree("/etc/security", "how users log in"),
    tree("/etc/sudoers.d", "who may become root"),
    tree("/etc/ssh", "how users log in from afar"),
    tree("/root/.ssh", "how users log in from afar"),
    tree("/etc/selinux", "who may do what"),
    tree("/etc/apparmor", "who may do what"),
    tree("/etc/apparmor.d", "who may do what"),
    tree("/etc/alternatives", "which programs run"),
    tree("/etc/ld.so.conf.d", "which libraries load"),
    tree("/etc/modprobe.d", "which drivers load"),
    tree("/etc/modules-load.d", "which drivers load"),
    tree("/var/lib/confseal", "what was accepted of each store"),
    tree("/var/lib/systemd", "the service manager's, with the host's own key"),
    tree("/var/lib/dpkg", "which packages are installed"),
    tree("/var/lib/rpm", "which packages are installed"),
    itself("/home", "everybody's files"),
    itself("/tmp", "everybody's files"),
    itself("/var/tmp", "everybody's files"),
];

const fn tree(path: &'static str, why: &'static str) -> Place {
    Place { path, reach: Reach::Tree, why }
}

const fn itself(path: &'static str, why: &'static str) -> Place {
    Place { path, reach: Reach::Itself, why }
}

const fn free(path: &'static str) -> Place {
    Place { path, reach: Reach::Free, why: "" }
}

/// A directory that nothing may be mounted on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}: nothing may be mounted there: {lies} {} ({why})", .point.display(), .place.display())]
pub(super) struct Refused {
    /// The mount point that was asked for.
    point: PathBuf,
    /// The place that it would take away.
    place: PathBuf,
    /// How the two lie.
    lies: Lies,
    /// What the place is needed for.
    why: &'static str,
}

/// Where a mount point lies, seen from a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lies {
    At,
    Below,
    Above,
}

impl fmt::Display for Lies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lies::At => "it is",
            Lies::Below => "it lies in",
            Lies::Above => "it holds",
        })
    }
}

impl Refused {
    /// What to do instead.
    pub(super) fn hint(&self) -> &'static str {
        "mount over the directory of one application, such as /etc/shop, and nothing else"
    }
}

/// Whether the directory `point`, a canonical path, may be mounted on.
pub(super) fn admit(point: &Path) -> Result<(), Refused> {
    let canonical = |path: &Path| path.canonicalize().ok();
    // A program that lies under its own mount could not be started again.
    let program = std::env::current_exe().ok();
    judge(point, program.as_deref(), &canonical)
}

fn judge(
    point: &Path,
    program: Option<&Path>,
    canonical: &dyn Fn(&Path) -> Option<PathBuf>,
) -> Result<(), Refused> {
    let refused = |lies, place: &Path, why| {
        Err(Refused { point: point.to_owned(), place: place.to_owned(), lies, why })
    };
    if point == Path::new("/") {
        return refused(Lies::At, point, "everything");
    }
    // Links lead to many of them (/bin, /lib): both spellings count.
    let places = PLACES.iter().flat_map(|place| {
        let written = Path::new(place.path);
        let meant = canonical(written).filter(|meant| meant != written);
        [Some(written.to_owned()), meant].into_iter().flatten().map(move |path| (path, place))
    });
    let mut around: Option<(PathBuf, &Place)> = None;
    for (path, place) in places {
        if point == path && place.reach != Reach::Free {
            return refused(Lies::At, &path, place.why);
        }
        if path.starts_with(point) && path != point && place.reach != Reach::Free {
            return refused(Lies::Above, &path, place.why);
        }
        // The innermost decides.
        let inner = |(known, _): &(PathBuf, &Place)| path.starts_with(known);
        if point.starts_with(&path) && around.as_ref().is_none_or(inner) {
            around = Some((path, place));
        }
    }
    match around {
        Some((path, place)) if place.reach == Reach::Tree => {
            return refused(Lies::Below, &path, place.why);
        }
        _ => {}
    }
    match program {
        Some(program) if program.starts_with(point) => {
            refused(Lies::Above, program, "the program that mounts it")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of the refusal; none, if there is none.
    fn judged(point: &str) -> String {
        let program = Path::new("/opt/seal/bin/confseal");
        let refused = judge(Path::new(point), Some(program), &|_| None);
        refused.map_or_else(|refused| refused.to_string(), |()| String::new())
    }

    #[test]
    fn the_directory_of_an_application_may_be_mounted_on() {
        for point in [
            "/etc/shop",
            "/etc/redis",
            "/etc/systemd-shop",
            "/srv/shop/conf",
            "/opt/seal/conf",
            "/usr/local/etc/shop",
            "/usr/local/tomcat/conf",
            "/home/anna/.config/shop",
            "/root/.config/shop",
            "/tmp/x/store",
            "/dev/shm/x",
            "/run/shop",
            "/var/lib/shop",
            "/mnt",
        ] {
            assert_eq!(judged(point), "", "{point}");
        }
    }

    #[test]
    fn what_the_machine_needs_is_refused_with_what_it_is() {
        for (point, lies) in [
            ("/", "it is / (everything)"),
            ("/etc", "it holds /etc/"),
            ("/etc/pam.d", "it is /etc/pam.d (how users log in)"),
            ("/etc/systemd", "it is /etc/systemd"),
            ("/etc/systemd/system/x.service.d", "it lies in /etc/systemd"),
            ("/etc/confseal", "it is /etc/confseal (instances and keys)"),
            ("/etc/credstore.encrypted", "it is /etc/credstore.encrypted"),
            ("/proc/1", "it lies in /proc"),
            ("/sys", "it is /sys"),
            ("/dev/x", "it lies in /dev (devices)"),
            ("/run", "it holds /run/"),
            ("/run/systemd/system", "it lies in /run/systemd"),
            ("/usr", "it is /usr"),
            ("/usr/share/shop", "it lies in /usr (programs and libraries)"),
            ("/usr/local", "it holds /usr/local/"),
            ("/usr/local/bin", "it is /usr/local/bin"),
            ("/boot/efi", "it lies in /boot"),
            ("/var", "it holds /var/lib/"),
            ("/var/lib", "it holds /var/lib/"),
            ("/var/lib/confseal/shop", "it lies in /var/lib/confseal"),
            ("/root", "it holds /root/.ssh"),
            ("/home", "it is /home"),
            ("/opt/seal", "it holds /opt/seal/bin/confseal (the program that mounts it)"),
        ] {
            let words = judged(point);
            let begin = format!("{point}: nothing may be mounted there: {lies}");
            assert!(words.starts_with(&begin), "{begin:?}: {words}");
        }
    }

    #[test]
    fn a_place_that_is_a_link_counts_where_it_leads() {
        let lead = |path: &Path| {
            (path == Path::new("/etc/pam.d")).then(|| PathBuf::from("/srv/machine/pam"))
        };
        for point in ["/srv/machine/pam", "/srv/machine", "/etc/pam.d"] {
            assert!(judge(Path::new(point), None, &lead).is_err(), "{point}");
        }
        assert_eq!(judge(Path::new("/srv/shop"), None, &lead), Ok(()));
    }

    #[test]
    fn this_machine_is_judged_by_its_own_links() {
        assert!(admit(&Path::new("/bin").canonicalize().unwrap()).is_err());
        assert_eq!(admit(Path::new("/srv/shop")), Ok(()));
    }

    #[test]
    fn the_page_lists_every_place() {
        let page = include_str!("../../docs/mount-options.md");
        for place in PLACES {
            assert!(page.contains(&format!("`{}`", place.path)), "{}", place.path);
        }
    }
}
