//! Mount namespaces in which a mount made here would not appear.
//!
//! What must stay true: nothing here touches a file system behind a mount; a namespace that cannot
//! be looked into is passed over, since nobody can tell what it shows.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::mount::unescape;

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

/// One line of `mountinfo` (proc_pid_mountinfo(5)): what stands where, and whom it follows.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    device: String,
    /// The directory of the file system that stands at `point`.
    root: PathBuf,
    point: PathBuf,
    /// Its peer group, and the one it receives from.
    shared: Option<u64>,
    master: Option<u64>,
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
    let all: Vec<&Line> = tables.iter().flat_map(|(_, table)| table).chain(&own).collect();
    let blind = tables.iter().filter(|(_, table)| is_blind(path, &own, table, &all));
    blind
        .map(|(pids, _)| {
            let comm = fs::read(format!("/proc/{}/comm", pids[0])).unwrap_or_default();
            let comm = String::from_utf8_lossy(comm.trim_ascii_end()).into_owned();
            Blind { pid: pids[0], comm, processes: pids.len() }
        })
        .collect()
}

fn table(process: &str) -> Option<Vec<Line>> {
    let text = fs::read(format!("/proc/{process}/mountinfo")).ok()?;
    Some(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

fn parse(line: &[u8]) -> Option<Line> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    let path = |field: &[u8]| PathBuf::from(OsString::from_vec(unescape(field)));
    let device = String::from_utf8_lossy(fields.next()?).into_owned();
    let (root, point) = (path(fields.next()?), path(fields.next()?));
    let (mut shared, mut master) = (None, None);
    for field in fields.skip(1).take_while(|field| *field != b"-") {
        let group = |name: &str| str::from_utf8(field).ok()?.strip_prefix(name)?.parse().ok();
        shared = shared.or_else(|| group("shared:"));
        master = master.or_else(|| group("master:"));
    }
    Some(Line { device, root, point, shared, master })
}

/// The mount on which `path` lies: of those around it the last, which covers the others.
fn mount_of<'a>(path: &Path, table: &'a [Line]) -> Option<&'a Line> {
    let around = |line: &&Line| path.starts_with(&line.point);
    table.iter().filter(around).max_by_key(|line| line.point.components().count())
}

/// Whether `theirs` shows the directory that is `path` in `own`, on a mount that neither belongs to
/// the same group nor receives from it.
fn is_blind(path: &Path, own: &[Line], theirs: &[Line], all: &[&Line]) -> bool {
    let Some(here) = mount_of(path, own) else { return false };
    let Ok(rest) = path.strip_prefix(&here.point) else { return false };
    let inside = here.root.join(rest);
    let mut showing = theirs.iter().filter(|line| {
        let Ok(rest) = inside.strip_prefix(&line.root) else { return false };
        let there = line.point.join(rest);
        // Seen, and not under something else that lies over it.
        line.device == here.device
            && mount_of(&there, theirs).is_some_and(|top| top.device == line.device)
    });
    let Some(group) = here.shared else { return showing.next().is_some() };
    showing.any(|line| !receives(line, group, all))
}

/// Whether what is mounted in `group` appears on `line`, by way of any other groups.
fn receives(line: &Line, group: u64, all: &[&Line]) -> bool {
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
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        text.lines().map(|line| parse(line.as_bytes()).unwrap()).collect()
    }

    fn blind(own: &str, theirs: &str) -> bool {
        let (own, theirs) = (lines(own), lines(theirs));
        let all: Vec<&Line> = own.iter().chain(&theirs).collect();
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

    #[test]
    fn the_live_table_is_understood_line_by_line() {
        let text = fs::read("/proc/self/mountinfo").unwrap();
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(table("self").unwrap().len(), lines);
    }
}
