//! Mount namespaces in which a mount made here would not appear.
//!
//! What must stay true: nothing here touches a file system behind a mount; a namespace that cannot
//! be looked into is passed over, since nobody can tell what it shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::mount::{MountEntry, mounts_in};

/// A mount namespace that would go on showing what is beneath.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blind {
    /// The oldest process in it, by number.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// How many processes there are in it.
    pub processes: usize,
}

/// The namespaces that show the directory `path`, an absolute path without links as the calling
/// process sees it, and in which a mount over it would not appear.
pub fn blind_to(path: &Path) -> Vec<Blind> {
    let Ok(own) = fs::read_link("/proc/self/ns/mnt") else { return Vec::new() };
    let mut others: BTreeMap<PathBuf, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end at any point: then there is nothing to see.
        match fs::read_link(entry.path().join("ns/mnt")) {
            Ok(namespace) if namespace != own => others.entry(namespace).or_default().push(pid),
            _ => {}
        }
    }
    let Some(own) = table("self") else { return Vec::new() };
    let tables: Vec<_> = others
        .into_values()
        .filter_map(|mut pids| {
            pids.sort_unstable();
            let table = pids.iter().find_map(|pid| table(&pid.to_string()))?;
            Some((pids, table))
        })
        .collect();
    let all: Vec<&MountEntry> = tables.iter().flat_map(|(_, table)| table).chain(&own).collect();
    let blind = tables.iter().filter(|(_, table)| is_blind(path, &own, table, &all));
    blind
        .map(|(pids, _)| {
            let comm = fs::read(format!("/proc/{}/comm", pids[0])).unwrap_or_default();
            let comm = String::from_utf8_lossy(comm.trim_ascii_end()).into_owned();
            Blind { pid: pids[0], comm, processes: pids.len() }
        })
        .collect()
}

fn table(process: &str) -> Option<Vec<MountEntry>> {
    mounts_in(&Path::new("/proc").join(process)).ok()
}

/// The mount on which `path` lies: of those around it the last, which covers the others.
fn mount_of<'a>(path: &Path, table: &'a [MountEntry]) -> Option<&'a MountEntry> {
    let around = |line: &&MountEntry| path.starts_with(&line.point);
    table.iter().filter(around).max_by_key(|line| line.point.components().count())
}

/// Whether `theirs` shows the directory that is `path` in `own`, on a mount that neither belongs to
/// the same group nor receives from it.
fn is_blind(path: &Path, own: &[MountEntry], theirs: &[MountEntry], all: &[&MountEntry]) -> bool {
    let Some(here) = mount_of(path, own) else { return false };
    let Ok(rest) = path.strip_prefix(&here.point) else { return false };
    let inside = here.root.join(rest);
    let mut showing = theirs.iter().filter(|line| {
        let Ok(rest) = inside.strip_prefix(&line.root) else { return false };
        let there = line.point.join(rest);
        // Seen, and not under something else that lies over it.
        line.mount.device == here.mount.device
            && mount_of(&there, theirs).is_some_and(|top| top.mount.device == line.mount.device)
    });
    let Some(group) = here.shared else { return showing.next().is_some() };
    showing.any(|line| !receives(line, group, all))
}

/// Whether what is mounted in `group` appears on `line`, by way of any other groups.
fn receives(line: &MountEntry, group: u64, all: &[&MountEntry]) -> bool {
    if line.shared == Some(group) {
        return true;
    }
    let mut from = line.master;
    for _ in 0..all.len() {
        match from {
            None => return false,
            Some(master) if master == group => return true,
            Some(master) => {
                let next = all.iter().find(|other| other.shared == Some(master));
                from = next.and_then(|next| next.master);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::mount::parse_entry;
    use super::*;

    fn lines(text: &str) -> Vec<MountEntry> {
        text.lines().map(|line| parse_entry(line.as_bytes()).unwrap()).collect()
    }

    fn blind(own: &str, theirs: &str) -> bool {
        let (own, theirs) = (lines(own), lines(theirs));
        let all: Vec<&MountEntry> = own.iter().chain(&theirs).collect();
        is_blind(Path::new("/etc/shop"), &own, &theirs, &all)
    }

    const HOST: &str = "27 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw";

    #[test]
    fn who_receives_our_mounts_sees_them() {
        assert!(!blind(HOST, "90 80 8:1 / / rw shared:1 - ext4 /dev/sda1 rw"));
        assert!(!blind(HOST, "90 80 8:1 / / rw master:1 - ext4 /dev/sda1 rw"));
        let by_way = "90 80 8:1 / / rw master:9 - ext4 /dev/sda1 rw\n\
                      91 90 8:1 / /else rw shared:9 master:1 - ext4 /dev/sda1 rw";
        assert!(!blind(HOST, by_way));
    }

    #[test]
    fn a_private_copy_of_the_directory_stays_as_it_is() {
        assert!(blind(HOST, "90 80 8:1 / / rw - ext4 /dev/sda1 rw"));
        assert!(blind(HOST, "90 80 8:1 /etc/shop /srv/config rw shared:7 - ext4 /dev/sda1 rw"));
        assert!(blind(HOST, "90 80 8:1 / / rw master:7 - ext4 /dev/sda1 rw"));
        assert!(blind(&HOST.replace("shared:1 ", ""), "9 8 8:1 / / rw master:1 - ext4 x rw"));
    }

    #[test]
    fn who_does_not_show_the_directory_is_not_meant() {
        assert!(!blind(HOST, "90 80 8:2 / / rw - ext4 /dev/sdb1 rw"));
        assert!(!blind(HOST, "90 80 8:1 /var/x / rw - ext4 /dev/sda1 rw"));
        let covered = "90 80 8:1 / / rw - ext4 /dev/sda1 rw\n91 90 0:40 / /etc rw - tmpfs tmpfs rw";
        assert!(!blind(HOST, covered));
    }
}
