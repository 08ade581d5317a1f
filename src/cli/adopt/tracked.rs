//! Version control around a directory: what it has recorded of its secrets, and what it would record
//! when it looks through the mount.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A working copy that holds the directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WorkingCopy {
    /// Its root.
    pub root: PathBuf,
    /// Which system: the name of its directory, `.git` say.
    pub system: &'static str,
    /// Whether etckeeper commits it by itself.
    pub etckeeper: bool,
    /// What keeps it from recording what it reads through the mount; nothing when the directory is
    /// itself the root.
    pub ignore: Option<Ignore>,
}

/// A line, and the file it belongs into.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ignore {
    pub file: PathBuf,
    pub line: String,
    /// Whether it stands there already.
    pub there: bool,
}

/// How often a file with secrets was recorded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub root: PathBuf,
    pub file: PathBuf,
    /// `None`: the history could not be read.
    pub commits: Option<usize>,
}

/// The working copies around `dir`, the nearest first.
pub(super) fn around(dir: &Path) -> Vec<WorkingCopy> {
    const SYSTEMS: [&str; 4] = [".git", ".hg", ".bzr", ".svn"];
    let mut found = Vec::new();
    for root in dir.ancestors() {
        for system in SYSTEMS.into_iter().filter(|system| root.join(system).exists()) {
            let etckeeper = root == Path::new("/etc") && Path::new("/etc/etckeeper").is_dir();
            let ignore = ignore_line(root, dir, system);
            found.push(WorkingCopy { root: root.to_owned(), system, etckeeper, ignore });
        }
    }
    found
}

fn ignore_line(root: &Path, dir: &Path, system: &str) -> Option<Ignore> {
    let rest = dir.strip_prefix(root).ok().filter(|rest| !rest.as_os_str().is_empty())?;
    let rest = rest.to_string_lossy();
    let (file, line) = match system {
        ".git" => (".gitignore", format!("/{}/", escape(&rest, "*?[\\ "))),
        ".hg" => (".hgignore", format!("re:^{}/", escape(&rest, ".*+?()[]{}|^$\\"))),
        ".bzr" => (".bzrignore", format!("./{}", escape(&rest, "*?[\\"))),
        _ => return None,
    };
    let file = root.join(file);
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let there = text.lines().any(|known| known.trim_end() == line);
    Some(Ignore { file, line, there })
}

fn escape(text: &str, special: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if special.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// What the git working copies among `copies` have recorded of `files`.
///
/// Asked of git as it is: one that belongs to somebody else is not trusted, and says nothing.
pub(super) fn recorded(copies: &[WorkingCopy], files: &[PathBuf]) -> Vec<Recorded> {
    let mut found = Vec::new();
    for copy in copies.iter().filter(|copy| copy.system == ".git") {
        for file in files {
            match commits(&copy.root, file) {
                Some(0) => {}
                commits => {
                    let (root, file) = (copy.root.clone(), file.clone());
                    found.push(Recorded { root, file, commits });
                    // It will not say more of the next.
                    if commits.is_none() {
                        break;
                    }
                }
            }
        }
    }
    found
}

fn commits(root: &Path, file: &Path) -> Option<usize> {
    let rest = file.strip_prefix(root).ok()?;
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["--literal-pathspecs", "-c", "core.fsmonitor=false"])
        .args(["rev-list", "--all", "--count", "--"])
        .arg(rest)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_ignore_names_the_directory_alone() {
        let line = |dir: &str, system: &str| {
            ignore_line(Path::new("/etc"), Path::new(dir), system).map(|ignore| ignore.line)
        };
        assert_eq!(line("/etc/shop", ".git").as_deref(), Some("/shop/"));
        assert_eq!(line("/etc/a b/[x]", ".git").as_deref(), Some("/a\\ b/\\[x]/"));
        assert_eq!(line("/etc/shop.d", ".hg").as_deref(), Some("re:^shop\\.d/"));
        assert_eq!(line("/etc/shop", ".bzr").as_deref(), Some("./shop"));
        assert_eq!(line("/etc/shop", ".svn"), None);
        assert_eq!(line("/etc", ".git"), None);
    }

    #[test]
    fn a_working_copy_above_is_found_and_whether_it_ignores_the_directory() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("etc/shop");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::create_dir(place.path().join("etc/.git")).unwrap();
        let at = |dir: &Path| {
            let mut found = around(dir);
            found.retain(|copy| copy.root.starts_with(place.path()));
            found.pop().unwrap()
        };
        assert!(!at(&dir).ignore.unwrap().there);
        std::fs::write(place.path().join("etc/.gitignore"), "*.o\n/shop/\n").unwrap();
        assert!(at(&dir).ignore.unwrap().there);
        assert_eq!(at(&place.path().join("etc")).ignore, None);
    }
}
