//! Where the mount is meant to differ from a plain directory, and what may stand in the clear in
//! its store.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use confseal::document::{CodecId, inspect};
use confseal::path::RelPath;
use confseal::policy::{Class, Ledger, Policy, Secret};
use rustix::io::Errno;

use crate::documents::{FORMATS, document, marks};
use crate::step::{At, Case, Content, How, RESERVED, Step};

/// What a step may answer through the mount.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Expected {
    /// What the plain directory answers.
    Same,
    /// This errno where the plain directory has nothing against the step.
    Refused(Errno),
    /// The one or the other: it depends on what stands in the file.
    Perhaps(Errno),
}

/// What is known of the rules in force.
pub(crate) struct Rules {
    pub policy: Policy,
    pub ledger: Ledger,
}

impl Rules {
    /// The deviations that docs/semantics.md lists, for `step`, from the state of `plain`.
    pub(crate) fn expected(&self, case: &Case, step: &Step, plain: &Path) -> Expected {
        if made(step).is_some_and(|at| case.path(at).ends_with(RESERVED)) {
            return Expected::Refused(Errno::PERM);
        }
        let is_alike = |from: &Path, to: &Path| {
            let below = entries(plain, from);
            below.iter().all(|path| {
                let moved = path.strip_prefix(from).expect("below");
                let moved = if moved == Path::new("") { to.to_owned() } else { to.join(moved) };
                self.seals_alike(path, &moved)
            })
        };
        let end = |at: At| real(plain, &case.path(at));
        match *step {
            Step::Link { from, to } => match (end(from), end(to)) {
                (Some(from), Some(to)) if !is_alike(&from, &to) => Expected::Refused(Errno::XDEV),
                _ => Expected::Same,
            },
            Step::Rename { from, to, how } => {
                let (Some(from), Some(to)) = (end(from), end(to)) else { return Expected::Same };
                let [one, other] =
                    [&from, &to].map(|path| fs::symlink_metadata(plain.join(path)).ok());
                let Some(one) = one else { return Expected::Same };
                if other.is_some_and(|other| other.ino() == one.ino()) {
                    return Expected::Same;
                }
                match how {
                    How::Exchange if !is_alike(&from, &to) || !is_alike(&to, &from) => {
                        Expected::Refused(Errno::XDEV)
                    }
                    How::Exchange => Expected::Same,
                    _ if is_alike(&from, &to) => Expected::Same,
                    _ if one.is_dir() => Expected::Refused(Errno::XDEV),
                    // Sealed anew it would be another file than that of its other names.
                    _ if one.nlink() > 1 => Expected::Perhaps(Errno::XDEV),
                    _ => Expected::Same,
                }
            }
            _ => Expected::Same,
        }
    }

    /// Whether the same stored bytes are right under both names.
    fn seals_alike(&self, one: &Path, other: &Path) -> bool {
        let [one, other] = [one, other].map(relative);
        self.policy.classify(&one).class == self.policy.classify(&other).class
            && self
                .policy
                .fields(&one, &self.ledger)
                .is_same(&self.policy.fields(&other, &self.ledger))
    }

    /// How often each mark in `view`, the content of `file`, may stand in the store in the clear:
    /// not at all where a rule, a name or the form of a value makes it secret.
    pub(crate) fn shown(
        &self,
        file: &Path,
        view: &[u8],
        documents: &Documents,
    ) -> BTreeMap<Vec<u8>, usize> {
        let file = relative(file);
        let mut shown = BTreeMap::new();
        if documents.is_one(&self.policy, &file, view) {
            return shown;
        }
        let seen = inspect(&self.policy, &self.ledger, &file, view);
        if seen.exposed_whole {
            return shown;
        }
        for (at, mark) in marks(view) {
            let is_secret = seen.fields.iter().any(|field| {
                field.verdict.secret == Secret::All
                    && (field.span.start..field.span.end).contains(&at)
            });
            *shown.entry(mark.to_vec()).or_default() += usize::from(!is_secret);
        }
        shown
    }
}

/// The documents that a case writes.
pub(crate) struct Documents(HashSet<(usize, Vec<u8>)>);

impl Documents {
    pub(crate) fn of(case: &Case, further: impl IntoIterator<Item = u32>) -> Self {
        let seeds = case.steps.iter().filter_map(|step| match step {
            Step::Write { content, .. }
            | Step::WriteAt { content, .. }
            | Step::Save { content, .. }
            | Step::Append { content, .. }
            | Step::SaveByRename { content, .. } => match content {
                Content::Own(seed) | Content::Of(_, seed) => Some(*seed),
                Content::Part(..) | Content::Text(_) | Content::Binary(_) => None,
            },
            _ => None,
        });
        let each = |seed| {
            (0..FORMATS.len()).map(move |format| (format, document(format, seed).into_bytes()))
        };
        Self(seeds.chain(further).flat_map(each).collect())
    }

    /// Whether `view` is a document as it was written, under a name that says how it is read.
    fn is_one(&self, policy: &Policy, file: &RelPath, view: &[u8]) -> bool {
        let Class::Fields(format) = policy.classify(file).class else { return false };
        let Ok(scanned) = format.scan(view) else { return false };
        let is_read = |id: CodecId| id == scanned.id;
        (0..FORMATS.len()).any(|at| is_read(FORMATS[at].1) && self.0.contains(&(at, view.to_vec())))
    }
}

/// The name that `step` makes.
fn made(step: &Step) -> Option<At> {
    match *step {
        Step::Open { at, flags, .. } if flags & libc::O_CREAT != 0 => Some(at),
        Step::Save { at, .. }
        | Step::Symlink { at, .. }
        | Step::MakeDir { at, .. }
        | Step::MakeFifo { at, .. } => Some(at),
        Step::Rename { to, .. } | Step::Link { to, .. } => Some(to),
        _ => None,
    }
}

/// `path` without symbolic links on the way to its last name; `None` where there is no such way.
fn real(plain: &Path, path: &str) -> Option<PathBuf> {
    let path = plain.join(path);
    let parent = fs::canonicalize(path.parent()?).ok()?;
    let below = parent.strip_prefix(fs::canonicalize(plain).ok()?).ok()?;
    Some(below.join(path.file_name()?))
}

/// The regular files at and below `path`.
fn entries(plain: &Path, path: &Path) -> Vec<PathBuf> {
    let Ok(metadata) = fs::symlink_metadata(plain.join(path)) else { return Vec::new() };
    if metadata.is_file() {
        return vec![path.to_owned()];
    }
    if !metadata.is_dir() {
        return Vec::new();
    }
    let below = fs::read_dir(plain.join(path)).expect("a directory");
    below
        .flat_map(|entry| entries(plain, &path.join(entry.expect("an entry").file_name())))
        .collect()
}

fn relative(path: &Path) -> RelPath {
    RelPath::new(path.as_os_str().as_bytes()).expect("a path below the root")
}
