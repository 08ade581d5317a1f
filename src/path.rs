//! A path inside a store: relative, normal, bytes.
//!
//! Invariant: components are non-empty, none is `.` or `..`, none holds `/` or NUL. So a
//! [`RelPath`] can name nothing outside the store, whatever it was made from.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// A normal path relative to the store's root; the empty path is the root itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RelPath(Vec<u8>);

/// A byte string that is no normal relative path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a path inside the store: {0:?}")]
pub struct NotInside(String);

impl RelPath {
    /// The store's root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Takes `path` if it is relative and normal; a leading `./`, doubled and trailing slashes
    /// are dropped.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, NotInside> {
        let path = path.as_ref();
        let refuse = || NotInside(String::from_utf8_lossy(path).into_owned());
        if path.first() == Some(&b'/') || path.contains(&0) {
            return Err(refuse());
        }
        let mut normal = Vec::with_capacity(path.len());
        for part in path.split(|b| *b == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return Err(refuse()),
                part => {
                    if !normal.is_empty() {
                        normal.push(b'/');
                    }
                    normal.extend_from_slice(part);
                }
            }
        }
        Ok(Self(normal))
    }

    /// The entry `name` of this directory. `name` is one component, as the kernel hands it over.
    pub fn join(&self, name: &OsStr) -> Self {
        debug_assert!(!name.is_empty() && !name.as_bytes().contains(&b'/'));
        let mut path = self.0.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        Self(path)
    }

    /// The directory that holds this entry; the root's parent is the root.
    pub fn parent(&self) -> Self {
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(at) => Self(self.0[..at].to_vec()),
            None => Self::root(),
        }
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &OsStr {
        let from = self.0.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        OsStr::from_bytes(&self.0[from..])
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is `other` or stands below it.
    pub fn is_within(&self, other: &RelPath) -> bool {
        other.is_root()
            || self
                .0
                .strip_prefix(&other.0[..])
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|part| !part.is_empty())
    }

    /// The path as bytes, without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path for the operating system; `.` for the root.
    pub fn as_os_str(&self) -> &OsStr {
        if self.0.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(&self.0) }
    }
}

/// Fit for one line of a log: control characters are escaped, what is no UTF-8 is replaced.
impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.as_os_str().to_string_lossy().chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_os_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_inside_are_taken() {
        for (given, normal) in [("a/b", "a/b"), ("./a//b/", "a/b"), ("", ""), ("a/./b", "a/b")] {
            assert_eq!(RelPath::new(given).unwrap().as_bytes(), normal.as_bytes());
        }
        for outside in ["/etc", "a/../b", "..", "a\0b"] {
            assert!(RelPath::new(outside).is_err(), "{outside:?}");
        }
    }

    #[test]
    fn no_name_breaks_a_line_of_the_log() {
        assert_eq!(RelPath::new("a\nb\u{1b}[1m/é").unwrap().to_string(), "a\\nb\\u{1b}[1m/é");
    }

    #[test]
    fn parent_and_name_take_a_path_apart() {
        let path = RelPath::new("conf.d/db.toml").unwrap();
        assert_eq!(path.parent().as_bytes(), b"conf.d");
        assert_eq!(path.name(), "db.toml");
        assert!(path.is_within(&path.parent()));
        assert!(!path.is_within(&RelPath::new("conf").unwrap()));
    }
}
