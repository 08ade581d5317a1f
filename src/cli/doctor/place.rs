//! What the path belongs to: mount, instance, store, and the file in it. Found without touching a
//! mount: what has to be asked of one, another process asks.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::super::open::KeyArguments;
use super::super::probe::{self, Silence, What};
use super::super::{mounts, pinned};
use super::report::Report;
use crate::instance::{DIRECTORY, Instance};
use crate::path::RelPath;
use crate::store::CONTROL_DIR;
use crate::sys::mount::{MountEntry, mounts as mount_table};

/// See the head of this file.
pub(super) struct Place {
    /// The path that was asked for, absolute.
    pub path: PathBuf,
    /// The mount of ours that it is on.
    pub mount: Option<MountEntry>,
    /// The instance, with its name.
    pub instance: Option<(String, Instance)>,
    /// Its file, as the user named it or as it was found.
    pub instance_file: Option<PathBuf>,
    /// The store.
    pub store: Option<PathBuf>,
    /// Where the store is mounted, or should be.
    pub mountpoint: Option<PathBuf>,
    /// The file, or directory, in the store.
    pub file: Option<RelPath>,
}

impl Place {
    /// Finds out what `path`, an absolute one, belongs to.
    pub(super) fn find(
        path: &Path,
        keys: &KeyArguments,
        patience: Duration,
        report: &mut Report,
    ) -> Self {
        let instances = instances(keys, report);
        let mut place = Self {
            path: path.to_owned(),
            mount: None,
            instance: None,
            instance_file: None,
            store: None,
            mountpoint: None,
            file: None,
        };
        let table = mount_table().unwrap_or_else(|error| {
            report.note("mount", format!("the table of mounts cannot be read: {error}"));
            Vec::new()
        });
        if place.is_on_mount(&table, path) {
            place.name_instance(&instances);
            return place;
        }
        let real = match probe::ask(What::Reach, path, patience) {
            Ok(answer) => PathBuf::from(answer["path"].as_str().unwrap_or_default()),
            Err(Silence::TimedOut) => {
                let text = format!("{}: no answer within {patience:?}", path.display());
                report.wrong_with("path", text).todo(
                    "a file system on the way to it hangs: see `findmnt -T` and the kernel log",
                );
                path.to_owned()
            }
            Err(Silence::Failed) => path.to_owned(),
        };
        if real != *path && place.is_on_mount(&table, &real) {
            report.fine("path", format!("leads to {}", real.display()));
            place.name_instance(&instances);
            return place;
        }
        place.belongs_by_its_name(&instances, &table, &[path, &real]);
        if place.store.is_none() {
            let text = "belongs to no mount, no store and no instance of confseal";
            report.wrong_with("path", text).todo(format!(
                "`confseal init` and `seal` make a store of a directory; \
                 instances are read from {DIRECTORY}/NAME.toml"
            ));
        }
        place
    }

    /// Where its store can be read, if it can: beside the mount, or below it where it is kept.
    pub(super) fn readable_store(&self, status: Option<&Value>) -> Option<PathBuf> {
        let store = self.store.as_ref()?;
        let is_covered = self.mount.as_ref().is_some_and(|mount| store.starts_with(&mount.point));
        if !is_covered {
            return store.is_dir().then(|| store.clone());
        }
        let told = status.and_then(|status| status["store_at"].as_str()).map(PathBuf::from);
        told.or_else(|| Some(pinned::covered_at(&self.name()?))).filter(|at| at.is_dir())
    }

    /// What this machine calls the store.
    pub(super) fn name(&self) -> Option<String> {
        self.installed().map(str::to_owned).or_else(|| self.store.as_deref().map(pinned::name_of))
    }

    /// The name of the instance, if it is one that units go by, and not a file elsewhere.
    pub(super) fn installed(&self) -> Option<&str> {
        let file = self.instance_file.as_ref()?;
        let is_there = file.parent() == Some(Path::new(DIRECTORY));
        self.instance.as_ref().filter(|_| is_there).map(|(name, _)| name.as_str())
    }

    /// How it is mounted here.
    pub(super) fn start(&self) -> String {
        match (self.installed(), &self.instance_file) {
            (Some(name), _) if super::unit::has_systemd() => {
                format!("start it: systemctl start confseal@{name}.service")
            }
            (_, Some(file)) => format!("mount it: confseal mount --instance {}", file.display()),
            (_, None) => {
                let store = self.store.as_deref().unwrap_or(&self.path).display();
                let point =
                    self.mountpoint.as_deref().filter(|at| Some(*at) != self.store.as_deref());
                let point = point.map(|at| format!(" {}", at.display())).unwrap_or_default();
                format!("mount it: confseal mount {store}{point}")
            }
        }
    }

    fn is_on_mount(&mut self, table: &[MountEntry], path: &Path) -> bool {
        let over = mounts::covering(table, path).filter(|mount| mounts::is_ours(mount));
        let Some(mount) = over else { return false };
        self.store = Some(mount.source.clone().into());
        self.mountpoint = Some(mount.point.clone());
        self.file = below(path, &mount.point);
        self.mount = Some(mount.clone());
        true
    }

    /// The instance of the store that is mounted.
    fn name_instance(&mut self, instances: &[(String, PathBuf, Instance)]) {
        let store = self.store.as_ref();
        if let Some((name, file, instance)) =
            instances.iter().find(|(_, _, instance)| Some(&instance.store) == store)
        {
            self.instance = Some((name.clone(), instance.clone()));
            self.instance_file = Some(file.clone());
        }
    }

    /// Without a mount: what the instances say, or the nearest store.
    fn belongs_by_its_name(
        &mut self,
        instances: &[(String, PathBuf, Instance)],
        table: &[MountEntry],
        paths: &[&Path; 2],
    ) {
        for path in paths {
            for (name, file, instance) in instances {
                let point = instance.mountpoint.as_ref().unwrap_or(&instance.store);
                let Some(root) =
                    [point, &instance.store].into_iter().find(|at| path.starts_with(at))
                else {
                    continue;
                };
                self.store = Some(instance.store.clone());
                self.mountpoint = Some(point.clone());
                self.file = below(path, root);
                self.instance = Some((name.clone(), instance.clone()));
                self.instance_file = Some(file.clone());
                return;
            }
        }
        let has_control = |dir: &&Path| dir.join(CONTROL_DIR).is_dir();
        let [_, real] = paths;
        if let Some(store) = real.ancestors().find(has_control) {
            self.store = Some(store.to_owned());
            self.file = below(real, store);
            let from = |mount: &&MountEntry| mounts::is_ours(mount) && mount.source == store;
            self.mountpoint = table.iter().find(from).map(|mount| mount.point.clone());
        }
    }
}

fn below(path: &Path, root: &Path) -> Option<RelPath> {
    RelPath::new(path.strip_prefix(root).ok()?.as_os_str().as_bytes()).ok()
}

/// The instance that was named, or all, with their files; one that is refused is told of.
fn instances(keys: &KeyArguments, report: &mut Report) -> Vec<(String, PathBuf, Instance)> {
    let mut files: Vec<PathBuf> = match &keys.instance {
        Some(name) => vec![Instance::file_of(name)],
        None => {
            let entries = std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
            let files = entries.map(|entry| entry.path());
            files.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect()
        }
    };
    files.sort();
    let mut found = Vec::new();
    for file in files {
        match Instance::read(&file) {
            Ok(instance) => {
                let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                found.push((name, file, instance));
            }
            Err(error) => {
                report
                    .wrong_with("instance", error.to_string())
                    .todo("correct the file; until then its unit does not start");
            }
        }
    }
    found
}
