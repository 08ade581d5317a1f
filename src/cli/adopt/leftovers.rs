//! Where plaintext of the same secrets remains: backups in the directory, and copies near it.
//!
//! A copy is known by the lines on which secrets stand. What must stay true: of those lines nothing
//! is shown, and they are wiped; the search is bounded.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::super::survey::{Read as HowRead, Survey, Surveyed};
use crate::secret::SecretBytes;
use crate::store::{CONTROL_DIR, is_version_control};

/// A line that is shorter than this, without its blanks, proves no copy.
const SHORTEST: usize = 8;

/// The largest file that is searched, in bytes.
const LARGEST: u64 = 4 << 20;

/// How many files are searched, and how deep.
const MOST: usize = 5000;
const DEEPEST: usize = 5;

/// A file outside or inside the directory that holds what was to be sealed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leftover {
    pub path: PathBuf,
    pub what: What,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A backup in the directory: sealed with the rest, as far as rules and content tell.
    Backup,
    /// A file elsewhere in which a secret of this directory stands: it stays as it is.
    Copy,
}

/// Whether a file's name is that of a backup or of what an upgrade put aside.
pub(super) fn is_backup(name: &str) -> bool {
    const ENDS: [&str; 17] = [
        "~",
        ".bak",
        ".orig",
        ".old",
        ".save",
        ".saved",
        ".backup",
        ".copy",
        ".swp",
        ".swo",
        ".dpkg-old",
        ".dpkg-dist",
        ".dpkg-new",
        ".rpmsave",
        ".rpmorig",
        ".rpmnew",
        ".ucf-old",
    ];
    let emacs = name.starts_with('#') && name.ends_with('#');
    let numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let dated = name.rsplit_once(".bak").is_some_and(|(_, rest)| {
        let rest = rest.trim_start_matches(['.', '-', '_']);
        numbered(rest)
    });
    emacs || dated || ENDS.iter().any(|end| name.ends_with(end) && name.len() > end.len())
}

/// The backups among all files of `root`, with their paths in it.
pub(super) fn backups(root: &Path, shown: &Path) -> Vec<Leftover> {
    let mut found = Vec::new();
    let mut search = Search { left: MOST };
    search.files(root, DEEPEST, &mut |path| {
        if path.file_name().is_some_and(|name| is_backup(&name.to_string_lossy())) {
            let rest = path.strip_prefix(root).unwrap_or(path);
            found.push(Leftover { path: shown.join(rest), what: What::Backup });
        }
    });
    found
}

/// The files near `dir` in which a secret that `survey` found in the store at `root` stands: beside
/// it under names that begin alike, and where the system keeps backups.
pub(super) fn copies(survey: &Survey, root: &Path, dir: &Path) -> Vec<Leftover> {
    let needles: Vec<SecretBytes> =
        survey.files.iter().flat_map(|file| secret_lines(root, file)).collect();
    if needles.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut search = Search { left: MOST };
    let mut look = |path: &Path| {
        let text = read(path).unwrap_or_default();
        if needles.iter().any(|needle| memmem::find(&text, needle).is_some()) {
            found.push(Leftover { path: path.to_owned(), what: What::Copy });
        }
    };
    for place in near(dir) {
        match place.is_dir() {
            true => search.files(&place, DEEPEST, &mut look),
            false => look(&place),
        }
    }
    found
}

/// What may hold a copy: siblings whose names begin like the directory's, hidden ones too, and the
/// system's backups.
fn near(dir: &Path) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) {
        let stem = name.to_string_lossy().trim_end_matches(".d").to_owned();
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let other = entry.file_name().to_string_lossy().into_owned();
            let alike = other.trim_start_matches(['.', '#']).starts_with(&stem);
            let plain = entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_file());
            if alike && plain && entry.path() != dir {
                places.push(entry.path());
            }
        }
    }
    places.sort();
    places.push(PathBuf::from("/var/backups"));
    places
}

/// The lines of a file on which its secrets stand; for one that is secret as a whole, its longest.
fn secret_lines(root: &Path, file: &Surveyed) -> Vec<SecretBytes> {
    if matches!(file.read, HowRead::Sealed) {
        return Vec::new();
    }
    let Some(text) = read(&root.join(file.file.as_os_str())) else { return Vec::new() };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let long_enough = |line: &&&[u8]| line.len() >= SHORTEST;
    let exposed = file.rows.iter().filter(|row| row.kind.is_exposed());
    let mut found: Vec<&[u8]> =
        exposed.filter_map(|row| lines.get(row.line - 1)).filter(long_enough).copied().collect();
    if file.counts_as_one() {
        found.extend(lines.iter().max_by_key(|line| line.len()).filter(long_enough));
    }
    found.into_iter().map(|line| SecretBytes::from(line.to_vec())).collect()
}

fn read(path: &Path) -> Option<SecretBytes> {
    let file = File::open(path).ok().filter(|file| {
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST)
    })?;
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    Some(SecretBytes::from(text))
}

struct Search {
    /// How many files may still be looked at.
    left: usize,
}

impl Search {
    /// The regular files below `dir`, by name; no symlink is followed.
    fn files(&mut self, dir: &Path, depth: usize, visit: &mut dyn FnMut(&Path)) {
        let mut entries: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name();
            if self.left == 0 {
                return;
            }
            if kind.is_file() {
                self.left -= 1;
                visit(&entry.path());
            } else if kind.is_dir()
                && depth > 0
                && !is_version_control(&name)
                && name != CONTROL_DIR
            {
                self.files(&entry.path(), depth - 1, visit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_known_by_their_names() {
        for name in [
            "app.toml~",
            "app.bak",
            "app.toml.bak.2",
            "app.bak-20240102",
            "x.orig",
            "x.dpkg-old",
            "#app.toml#",
            ".app.toml.swp",
            "x.rpmsave",
        ] {
            assert!(is_backup(name), "{name}");
        }
        for name in ["app.toml", "bak", "backup.toml", "x.baker", "old.conf", "~", ".bak"] {
            assert!(!is_backup(name), "{name}");
        }
    }

    #[test]
    fn siblings_that_begin_alike_are_near() {
        let place = tempfile::tempdir().unwrap();
        for name in ["shop", "shop.bak", ".shop-old", "shopping", "other"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        let near = near(&place.path().join("shop"));
        let names: Vec<_> = near.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, [".shop-old", "shop.bak", "shopping", "backups"]);
    }
}
