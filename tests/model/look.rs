//! What both directories show, compared: everything that POSIX fixes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags, StatxFlags};

use crate::step::EPOCH;
use crate::world::{World, attributes, read_all};

/// How long ago [`EPOCH`] is at least.
const LONG_AGO: i64 = EPOCH + 1_000_000;

/// Who is looked at: by name, or by descriptor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Path(PathBuf),
    Slot(usize),
}

/// What is the same on both sides.
#[derive(Clone, Debug, PartialEq)]
struct Fixed {
    mode: u32,
    /// `None` for the root, in which the store has a directory of its own.
    nlink: Option<u32>,
    owner: (u32, u32),
    /// `None` for directories: theirs is the file system's own affair.
    size: Option<u64>,
    target: Option<PathBuf>,
    attributes: BTreeMap<OsString, Vec<u8>>,
    content: Option<Vec<u8>>,
}

/// Seconds and nanoseconds.
type Time = (i64, u32);

/// What is compared with the look before.
#[derive(Clone, Debug)]
struct Passing {
    is_dir: bool,
    mtime: Time,
    ctime: Time,
    ino: u64,
    /// Tells a file from an earlier one of the same number, where the file system says it.
    born: Time,
}

/// One side at one moment.
pub(crate) struct Look(BTreeMap<Who, (Fixed, Passing)>);

impl Look {
    /// Looks at everything in `world`; `into`: reads every file too.
    pub(crate) fn at(world: &World, into: bool) -> Self {
        let mut seen = BTreeMap::new();
        let mut paths = Vec::new();
        walk(&world.root, Path::new(""), &mut paths);
        for path in paths {
            let (mut fixed, passing) = look(&world.root.join(&path), &path);
            if into && fixed.size.is_some() && fixed.target.is_none() {
                fixed.content = content(&world.root.join(&path));
            }
            seen.insert(Who::Path(path), (fixed, passing));
        }
        for (slot, fd) in world.slots.iter().enumerate() {
            let Some(fd) = fd else { continue };
            let stat =
                rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::ALL).expect("fstat");
            seen.insert(Who::Slot(slot), (Fixed::of(&stat), Passing::of(&stat)));
        }
        Self(seen)
    }

    /// Every regular file, by path, with its content.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.0.iter().filter_map(|(who, (fixed, _))| match who {
            Who::Path(path) => Some((&**path, fixed.content.as_deref()?)),
            Who::Slot(_) => None,
        })
    }

    /// What is different `here` from `there`, a line each.
    pub(crate) fn differences(here: &Look, there: &Look) -> Vec<String> {
        let mut found = Vec::new();
        let whos: BTreeSet<&Who> = here.0.keys().chain(there.0.keys()).collect();
        for who in whos {
            let (one, other) = (here.0.get(who), there.0.get(who));
            let (one, other) = (one.map(|seen| &seen.0), other.map(|seen| &seen.0));
            if one != other {
                found.push(format!("{who:?}: {} but {} there", shown(one), shown(other)));
            }
        }
        if found.is_empty() && here.groups() != there.groups() {
            let (here, there) = (here.groups(), there.groups());
            found.push(format!("the same file: {here:?}, but {there:?} there"));
        }
        for (who, (_, here)) in &here.0 {
            let Some((_, there)) = there.0.get(who) else { continue };
            if there.mtime.0 < LONG_AGO && here.mtime != there.mtime && !here.is_dir {
                found.push(format!(
                    "{who:?}: modified {:?}, but {:?} there",
                    here.mtime, there.mtime
                ));
            }
        }
        found
    }

    /// What has changed otherwise `here` since `here_before` than it has `there`.
    pub(crate) fn changes(
        (here_before, here): (&Look, &Look),
        (there_before, there): (&Look, &Look),
    ) -> Vec<String> {
        let mut found = Vec::new();
        for who in there.0.keys() {
            let passing = |look: &Look| look.0.get(who).map(|(_, passing)| passing.clone());
            let (Some(here_before), Some(here), Some(there_before), Some(there)) =
                (passing(here_before), passing(here), passing(there_before), passing(there))
            else {
                continue;
            };
            if (there.ino, there.born) != (there_before.ino, there_before.born) {
                continue;
            }
            let mut say = |what: &str| {
                found.push(format!(
                    "{who:?}: {what}: {here_before:?} {here:?} but {there_before:?} {there:?} there"
                ))
            };
            if here.ino != here_before.ino {
                say("the number changed");
            }
            let (changed, changed_there) =
                (here.mtime != here_before.mtime, there.mtime != there_before.mtime);
            // A commit is an exchange of names: it moves the time of the directory.
            if changed != changed_there && !(here.is_dir && changed) {
                say("the modification time");
            }
            if here.ctime < here_before.ctime {
                say("ctime went back");
            }
            if there.ctime != there_before.ctime && here.ctime == here_before.ctime {
                say("ctime stayed");
            }
        }
        found
    }

    /// Who is the same file as whom.
    fn groups(&self) -> BTreeSet<Vec<&Who>> {
        let mut by_ino: HashMap<u64, Vec<&Who>> = HashMap::new();
        for (who, (_, passing)) in &self.0 {
            by_ino.entry(passing.ino).or_default().push(who);
        }
        by_ino.into_values().filter(|group| group.len() > 1).collect()
    }
}

impl Fixed {
    fn of(stat: &rustix::fs::Statx) -> Self {
        let mode = u32::from(stat.stx_mode);
        Self {
            mode,
            nlink: Some(stat.stx_nlink),
            owner: (stat.stx_uid, stat.stx_gid),
            size: (mode & libc::S_IFMT != libc::S_IFDIR).then_some(stat.stx_size),
            target: None,
            attributes: BTreeMap::new(),
            content: None,
        }
    }
}

impl Passing {
    fn of(stat: &rustix::fs::Statx) -> Self {
        let time = |time: rustix::fs::StatxTimestamp| (time.tv_sec, time.tv_nsec);
        Self {
            is_dir: u32::from(stat.stx_mode) & libc::S_IFMT == libc::S_IFDIR,
            mtime: time(stat.stx_mtime),
            ctime: time(stat.stx_ctime),
            ino: stat.stx_ino,
            born: time(stat.stx_btime),
        }
    }
}

fn look(path: &Path, relative: &Path) -> (Fixed, Passing) {
    let stat = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::ALL);
    let stat = stat.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut fixed = Fixed::of(&stat);
    if relative == Path::new("") {
        fixed.nlink = None;
    }
    if fixed.mode & libc::S_IFMT == libc::S_IFLNK {
        fixed.target = Some(fs::read_link(path).expect("a symbolic link"));
    }
    for name in attributes(path).expect("extended attributes") {
        let mut value = vec![0; 300];
        let len = rustix::fs::lgetxattr(path, &*name, &mut value[..]).expect("an attribute");
        fixed.attributes.insert(name, value[..len].to_vec());
    }
    (fixed, Passing::of(&stat))
}

/// The content of a regular file.
fn content(path: &Path) -> Option<Vec<u8>> {
    if !fs::symlink_metadata(path).expect("an entry").is_file() {
        return None;
    }
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty());
    let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(read_all(&file).expect("a file is read"))
}

/// Every path below, the root included.
fn walk(root: &Path, at: &Path, paths: &mut Vec<PathBuf>) {
    paths.push(at.to_owned());
    for entry in fs::read_dir(root.join(at)).expect("a directory") {
        let entry = entry.expect("an entry");
        let path = at.join(entry.file_name());
        let kind = fs::symlink_metadata(root.join(&path)).expect("its type").file_type();
        assert_eq!(kind, entry.file_type().expect("its type"), "{}", path.display());
        if kind.is_dir() {
            walk(root, &path, paths);
        } else {
            paths.push(path);
        }
    }
}

fn shown(fixed: Option<&Fixed>) -> String {
    let Some(fixed) = fixed else { return "nothing".into() };
    let content = fixed.content.as_ref().map(|content| content.escape_ascii().to_string());
    let Fixed { mode, nlink, owner, size, target, attributes, .. } = fixed;
    format!(
        "{mode:o}, {nlink:?} names, owner {owner:?}, size {size:?}, target {target:?}, {} attributes, {content:?}",
        attributes.len()
    )
}
