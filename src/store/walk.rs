//! Visiting a tree of the store: sorted, one mount only, no symlink followed.

use std::ffi::OsStr;
use std::io;
use std::vec::IntoIter;

use rustix::io::Errno;

use super::dir::{Dir, Entry};
use super::metadata::FileKind;
use super::{CONTROL_DIR, Store, is_reserved};
use crate::path::RelPath;

/// How a walk goes on after an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// With what is in it, if it is a directory, then with the next.
    Continue,
    /// With the next one beside it.
    Skip,
    /// Not at all.
    Stop,
}

/// Called with each entry: the directory it stands in, its path, itself.
pub(super) type Visit<'a> = dyn FnMut(&Dir, &RelPath, &Entry) -> io::Result<Walk> + 'a;

/// Whether `name` is a version-control directory, whose content a walk for secrets or a mount
/// must leave alone.
pub fn is_version_control(name: &OsStr) -> bool {
    [".git", ".hg", ".svn", ".bzr"].iter().any(|known| name == *known)
}

impl Store {
    /// Visits everything below `from`, a directory before its content, names in byte order. If
    /// `from` is no directory, it alone is visited.
    ///
    /// Left out: the control directory, temporaries, what is mounted into the store, and what
    /// vanishes on the way. Version-control directories are visited; the visitor may answer
    /// [`Walk::Skip`], see [`is_version_control`]. A directory that cannot be listed ends the
    /// walk with its error, like an error of the visitor.
    pub fn walk(&self, from: &RelPath, visit: &mut Visit<'_>) -> io::Result<()> {
        let mut visible = |dir: &Dir, path: &RelPath, entry: &Entry| {
            if is_reserved(&entry.name) { Ok(Walk::Skip) } else { visit(dir, path, entry) }
        };
        self.walk_all(from, &mut visible, &mut |_, error| Err(error))
    }

    /// As [`Store::walk`], with temporaries, and with a say in what an unlistable directory means.
    pub(super) fn walk_all(
        &self,
        from: &RelPath,
        visit: &mut Visit<'_>,
        unlistable: &mut dyn FnMut(&RelPath, io::Error) -> io::Result<()>,
    ) -> io::Result<()> {
        let top = match self.dir(from) {
            Err(error) if is(&error, Errno::NOTDIR) || is(&error, Errno::LOOP) => {
                return self.visit_one(from, visit);
            }
            other => other?,
        };
        // A stack of our own: how deep a tree is, others decide.
        let mut stack: Vec<(Dir, RelPath, IntoIter<Entry>)> = Vec::new();
        stack.push((top.clone(), from.clone(), sorted(&top)?));
        while let Some((dir, path, entries)) = stack.last_mut() {
            let Some(entry) = entries.next() else {
                stack.pop();
                continue;
            };
            if path.is_root() && entry.name == CONTROL_DIR {
                continue;
            }
            let path = path.join(&entry.name);
            match visit(dir, &path, &entry)? {
                Walk::Stop => return Ok(()),
                Walk::Skip => continue,
                Walk::Continue if entry.kind != FileKind::Dir => continue,
                Walk::Continue => {}
            }
            match dir.open_dir(&entry.name).and_then(|dir| Ok((sorted(&dir)?, dir))) {
                Ok((entries, dir)) => stack.push((dir, path, entries)),
                Err(error) if is_no_longer_ours(&error) => {}
                Err(error) => unlistable(&path, error)?,
            }
        }
        Ok(())
    }

    fn visit_one(&self, path: &RelPath, visit: &mut Visit<'_>) -> io::Result<()> {
        let (dir, name) = (self.dir(&path.parent())?, path.name().to_owned());
        let metadata = dir.stat(&name)?;
        let entry = Entry { name, ino: metadata.ino, kind: metadata.kind };
        visit(&dir, path, &entry).map(drop)
    }
}

fn sorted(dir: &Dir) -> io::Result<IntoIter<Entry>> {
    let mut entries = dir.all_entries()?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries.into_iter())
}

fn is(error: &io::Error, code: Errno) -> bool {
    error.raw_os_error() == Some(code.raw_os_error())
}

/// Removed, replaced by something else, or covered by a mount since it was listed.
fn is_no_longer_ours(error: &io::Error) -> bool {
    [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::XDEV].iter().any(|code| is(error, *code))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn seen(fresh: &Fresh, from: &str, answer: impl Fn(&str) -> Walk) -> Vec<String> {
        let mut seen = Vec::new();
        let from = RelPath::new(from).unwrap();
        let mut visit = |dir: &Dir, path: &RelPath, entry: &Entry| {
            assert_eq!(dir.stat(&entry.name).unwrap().ino, entry.ino);
            seen.push(path.to_string());
            Ok(answer(&path.to_string()))
        };
        fresh.store.walk(&from, &mut visit).unwrap();
        seen
    }

    #[test]
    fn a_walk_is_sorted_and_leaves_out_what_is_ours() {
        let fresh = Fresh::new();
        for name in ["b/2", "b/1", "a.toml", "c", ".confseal/policy.toml", ".git/config"] {
            fresh.put(name, "");
        }
        fresh.put("b/.confseal-tmp.0.0", "");
        fresh.put("b/.confseal/deeper", "");
        std::os::unix::fs::symlink("b", fresh.path("link")).unwrap();
        let all = seen(&fresh, "", |_| Walk::Continue);
        let expected = [
            ".git",
            ".git/config",
            "a.toml",
            "b",
            "b/.confseal",
            "b/.confseal/deeper",
            "b/1",
            "b/2",
            "c",
            "link",
        ];
        assert_eq!(all, expected);
        assert_eq!(seen(&fresh, "b", |_| Walk::Skip), ["b/.confseal", "b/1", "b/2"]);
        assert_eq!(seen(&fresh, "a.toml", |_| Walk::Continue), ["a.toml"]);
        assert_eq!(seen(&fresh, "link", |_| Walk::Continue), ["link"]);
        let stopped = seen(&fresh, "", |path| if path == "b" { Walk::Stop } else { Walk::Skip });
        assert_eq!(stopped, [".git", "a.toml", "b"]);
        assert!(is_version_control(os(".git")) && !is_version_control(os(".gitignore")));
    }

    #[test]
    fn a_directory_removed_on_the_way_is_no_error() {
        let fresh = Fresh::new();
        fresh.put("a/x", "");
        fresh.put("b", "");
        let seen = seen(&fresh, "", |path| {
            if path == "a" {
                std::fs::remove_dir_all(fresh.path("a")).unwrap();
            }
            Walk::Continue
        });
        assert_eq!(seen, ["a", "b"]);
    }

    #[test]
    fn an_error_of_the_visitor_ends_the_walk() {
        let fresh = Fresh::new();
        fresh.put("a", "");
        let walked =
            fresh.store.walk(&RelPath::root(), &mut |_, _, _| Err(io::Error::from(Errno::IO)));
        assert_eq!(errno(walked), Some(libc::EIO));
    }
}
