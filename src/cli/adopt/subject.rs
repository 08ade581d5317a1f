//! What is adopted, finished or given back: a directory, and the instance that has it or will.

use std::path::{Path, PathBuf};

use super::super::error::Failure;
use super::super::offline::{each_file, places};
use super::super::open::{is_mount, open_store};
use super::super::{Result, pinned};
use crate::document::token_keys;
use crate::instance::Instance;
use crate::path::RelPath;
use crate::store::Store;

/// A directory with the name of its instance.
pub(in crate::cli) struct Subject {
    /// Where programs know it; without links.
    pub dir: PathBuf,
    /// The instance's name.
    pub name: String,
    /// The instance, if it has been written.
    pub instance: Option<Instance>,
}

/// A name that may stand in the name of a unit.
pub(super) fn parse_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    // A hyphen at its front would read as an option.
    match !text.is_empty() && text.chars().all(allowed) && !text.starts_with('-') {
        true => Ok(text.to_owned()),
        false => Err("a name is made of letters, digits, `_` and `-`".to_owned()),
    }
}

impl Subject {
    /// The directory `dir`, under the instance that has it, or under this name, or its own.
    pub(super) fn find(dir: &Path, name: Option<&str>) -> Result<Self> {
        // A finish that was cut off between two moves has left nothing at its name.
        let dir = match resolve(dir) {
            Ok(dir) => dir,
            Err(missing) => match unmade(dir) {
                Some(dir) if Self::known(&dir).is_some() => dir,
                _ => return Err(missing),
            },
        };
        if let Some(subject) = Self::known(&dir) {
            return match name.is_none_or(|name| name == subject.name) {
                true => Ok(subject),
                false => {
                    let what = format!("it belongs to the instance `{}` already", subject.name);
                    Err(Failure::Usage(format!("{}: {what}", dir.display())))
                }
            };
        }
        let own = || dir.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.map(str::to_owned).or_else(own).unwrap_or_default();
        let name = parse_name(&name).map_err(|error| {
            let shown = dir.display();
            Failure::Usage(format!("{shown}: {error}, and `{name}` is not; --name gives another"))
        })?;
        let file = Instance::file_of(&name);
        if file.exists() {
            let other = Instance::read(&file)?;
            let (file, store) = (file.display(), other.store.display());
            let what = format!("is the instance of {store}; --name gives this one another");
            return Err(Failure::Usage(format!("{file}: {what}")));
        }
        Ok(Self { dir, name, instance: None })
    }

    /// The same for a directory that an instance has: as its store, or as its mount point.
    pub(in crate::cli) fn known(dir: &Path) -> Option<Self> {
        let has = |instance: &Instance| {
            let points = [Some(&instance.store), instance.mountpoint.as_ref()];
            points.into_iter().flatten().any(|point| point == dir || same_place(point, dir))
        };
        let (name, instance) = Instance::all().into_iter().find(|(_, instance)| has(instance))?;
        let dir = instance.mountpoint.clone().unwrap_or_else(|| instance.store.clone());
        Some(Self { dir: dir.canonicalize().unwrap_or(dir), name, instance: Some(instance) })
    }

    /// The instance's file.
    pub(in crate::cli) fn file(&self) -> PathBuf {
        Instance::file_of(&self.name)
    }

    /// Its unit.
    pub(in crate::cli) fn unit(&self) -> String {
        format!("confseal@{}.service", self.name)
    }

    /// Whether a mount of ours stands there.
    pub(in crate::cli) fn is_mounted(&self) -> bool {
        is_mount(&self.dir)
    }

    /// Where the store lies by the instance: beside, or under its own mount.
    pub(in crate::cli) fn store(&self) -> PathBuf {
        let store = self.instance.as_ref().map(|instance| instance.store.clone());
        store.unwrap_or_else(|| self.dir.clone())
    }

    /// Whether the mount lies over the store itself.
    pub(in crate::cli) fn is_over_itself(&self) -> bool {
        self.store() == self.dir || same_place(&self.store(), &self.dir)
    }

    /// Where the store can be looked at now, mounted or not.
    pub(in crate::cli) fn reachable_store(&self) -> Result<PathBuf> {
        if !self.is_mounted() || !self.is_over_itself() {
            return Ok(self.store());
        }
        let place = pinned::covered_at(&self.name);
        match place.is_dir() {
            true => Ok(place),
            false => Err(Failure::Refused(format!(
                "{}: a mount stands there that the instance `{}` did not make; unmount it first",
                self.dir.display(),
                self.name
            ))),
        }
    }

    /// The store, open.
    pub(in crate::cli) fn open_store(&self) -> Result<Store> {
        open_store(&self.reachable_store()?)
    }
}

/// The path of a directory without links.
pub(super) fn resolve(dir: &Path) -> Result<PathBuf> {
    let path = dir.canonicalize().map_err(Failure::io(dir))?;
    match path.is_dir() {
        true => Ok(path),
        false => Err(Failure::Usage(format!("{}: not a directory", dir.display()))),
    }
}

/// The path, but for its end without links, of something that is missing.
fn unmade(dir: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(dir).ok().filter(|whole| !whole.exists())?;
    Some(whole.parent()?.canonicalize().ok()?.join(whole.file_name()?))
}

fn same_place(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| one == other)
}

/// The files of the store at `root`, which no mount covers, that hold tokens still.
pub(in crate::cli) fn tokens_left(root: &Path) -> Result<Vec<RelPath>> {
    let mut left = Vec::new();
    let Some(place) = places(&[root.to_owned()])?.pop() else { return Ok(left) };
    each_file(&place.store, &RelPath::root(), root, &mut |found| {
        if found.read().is_ok_and(|text| token_keys(&text).next().is_some()) {
            left.push(found.file.clone());
        }
        Ok(())
    })?;
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_stand_in_a_unit_and_on_a_command_line() {
        for name in ["shop", "Shop_2", "a-b", "7"] {
            assert_eq!(parse_name(name).as_deref(), Ok(name));
        }
        for name in ["", "a b", "a.b", "a/b", "-x", "ä", "a@b", "..", "%i"] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }
}
