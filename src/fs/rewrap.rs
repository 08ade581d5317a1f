//! Rewrap and verify: walks over the store that go on beside everything else, a file at a time.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::file::{Base, Content, FileState};
use super::load::Located;
use super::node::Node;
use super::{Error, Filesystem, Pace, Result};
use crate::document;
use crate::path::RelPath;
use crate::store::{Commit, FileKind, Metadata, MtimeRule, OnConflict, Walk, is_version_control};

/// How far a walk has come; read while it goes on.
#[derive(Default, Debug)]
pub struct Progress {
    /// Files looked at.
    pub files: AtomicUsize,
    /// Tokens sealed anew, or that would be; in giving back, opened for good.
    pub tokens: AtomicUsize,
    /// Files that stand otherwise than before, or would.
    pub changed: AtomicUsize,
    /// Tokens of other systems that were turned into ours, or would be; in a verify, that stand.
    pub imported: AtomicUsize,
    /// Tokens that are still under a legacy key.
    pub legacy: AtomicUsize,
    /// Files that could not be done.
    pub failed: AtomicUsize,
    /// Set to end the walk early.
    pub stop: AtomicBool,
    /// The first failures, in words.
    pub failures: parking_lot::Mutex<Vec<String>>,
}

/// What a rewrap is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct RewrapOrder {
    pub all: bool,
    pub dry_run: bool,
    pub below: RelPath,
}

/// How a stored text is replaced.
#[derive(Clone, Copy)]
pub(super) struct Means {
    /// Whether it is to survive a power failure at once.
    pub durable: bool,
    /// The modification time of the stored file afterwards.
    pub mtime: Mtime,
}

/// See [`Means::mtime`]; that of the view stays what it was.
#[derive(Clone, Copy)]
pub(super) enum Mtime {
    /// Just another one, for backups that compare times.
    JustLater,
    /// The view's: the file comes from the programs' hands, or goes back into them.
    OfTheView,
}

/// How many failures are named; all are counted.
const NAMED_FAILURES: usize = 20;

/// How often a file is tried that somebody else writes to in the store.
const ATTEMPTS: usize = 8;

/// Whether a commit gave way to a version that it did not expect.
fn gave_way(error: &Error) -> bool {
    matches!(error, Error::Store(error) if error.raw_os_error() == Some(libc::ESTALE))
}

/// Has `work` done again while somebody else writes the file.
pub(super) fn patiently(mut work: impl FnMut() -> Result<()>) -> Result<()> {
    let mut done = work();
    for _ in 1..ATTEMPTS {
        if !done.as_ref().is_err_and(gave_way) {
            break;
        }
        done = work();
    }
    done
}

impl Progress {
    fn rewrapped(&self, tokens: usize, imported: usize) {
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
        self.imported.fetch_add(imported, Ordering::Relaxed);
    }

    fn failed(&self, file: &RelPath, error: &Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.failures.lock();
        if failures.len() < NAMED_FAILURES {
            failures.push(match error {
                Error::Document { .. } => error.to_string(),
                other => format!("{file}: {other}"),
            });
        }
    }
}

impl Filesystem {
    /// Seals under the master key what is not, file by file. Readers and writers of a file wait
    /// for its own commit at most.
    pub(super) fn rewrap(&self, order: &RewrapOrder, progress: &Progress) -> Result<()> {
        if !order.dry_run {
            self.stop_keeping_legacy_tokens();
            self.recent.clear();
        }
        // What is written in the store at that very moment may hold legacy tokens too.
        self.each_file(&order.below, progress, |node| {
            patiently(|| self.rewrap_file(node, order, progress))
        })?;
        if order.below.is_root() {
            self.rewrap_kept(order, progress)?;
        }
        Ok(())
    }

    /// Opens every file, and notes those that fail.
    pub(super) fn verify(&self, below: &RelPath, progress: &Progress) -> Result<()> {
        self.each_file(below, progress, |node| {
            let _state = node.state.lock();
            let at = self.locate(node)?;
            let path = at.parent.path().ok_or(Error::Stale)?.join(&at.name);
            let Some(snapshot) = self.read_stored(&at.dir, &at.name, &path)? else {
                return Ok(());
            };
            let stored = snapshot.bytes;
            self.count_legacy(&stored, progress);
            match self.rules().sealing.open(&path, &stored) {
                Ok(opened) => {
                    let foreign = opened.stock.foreign().count();
                    progress.imported.fetch_add(foreign, Ordering::Relaxed);
                    progress.tokens.fetch_add(opened.stock.len() - foreign, Ordering::Relaxed);
                    self.troubles.opened(&path);
                    Ok(())
                }
                Err(error) => {
                    self.troubles.found(&path, &error);
                    Err(Error::Document { file: path, error })
                }
            }
        })
    }

    pub(super) fn each_file(
        &self,
        below: &RelPath,
        progress: &Progress,
        mut work: impl FnMut(&Arc<Node>) -> Result<()>,
    ) -> Result<()> {
        let mut visit = |path: &RelPath| {
            let result = self.resolve(path).and_then(|node| {
                let result = work(&node);
                self.nodes.drop_if_unknown(node, Self::is_needed);
                result
            });
            match result {
                // Gone or replaced while we walked: then it was written after we began.
                Ok(()) | Err(Error::Stale | Error::NotFound) => {}
                Err(Error::Store(error)) if error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => progress.failed(path, &error),
            }
            progress.files.fetch_add(1, Ordering::Relaxed);
        };
        if !below.is_root() {
            let kind = self.store.dir(&below.parent())?.stat(below.name())?.kind;
            if kind != FileKind::Dir {
                visit(below);
                return Ok(());
            }
        }
        self.store.walk(below, &mut |_, path, entry| {
            if progress.stop.load(Ordering::Relaxed) {
                return Ok(Walk::Stop);
            }
            Ok(match entry.kind {
                FileKind::Dir if is_version_control(&entry.name) => Walk::Skip,
                FileKind::File => {
                    visit(path);
                    Walk::Continue
                }
                _ => Walk::Continue,
            })
        })?;
        Ok(())
    }

    /// The node of a path, known to the kernel or not.
    fn resolve(&self, path: &RelPath) -> Result<Arc<Node>> {
        let mut node = self.nodes.root();
        for name in path.components() {
            let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
            let dir = self.dir(&node)?;
            node = self.child(&node, &dir, name, Pace::Patient)?.ok_or(Error::NotFound)?;
        }
        Ok(node)
    }

    fn rewrap_file(
        &self,
        node: &Arc<Node>,
        order: &RewrapOrder,
        progress: &Progress,
    ) -> Result<()> {
        let mut state = node.state.lock();
        // It may have been renamed since the walk saw it.
        let Located { dir, parent, name, metadata } = self.locate(node)?;
        let path = &parent.path().ok_or(Error::Stale)?.join(&name);
        // Plain and too large to be sealed: it holds no tokens.
        let Some(snapshot) = self.read_stored(&dir, &name, path)? else { return Ok(()) };
        let stored = snapshot.bytes;
        let rules = self.rules();
        let rewrapped = match rules.sealing.rewrap(path, &stored, order.all) {
            Ok(rewrapped) => rewrapped,
            Err(error) => {
                self.count_legacy(&stored, progress);
                self.troubles.found(path, &error);
                return Err(Error::Document { file: path.clone(), error });
            }
        };
        let Some(new) = rewrapped.stored else { return Ok(()) };
        if order.dry_run {
            progress.rewrapped(rewrapped.tokens, rewrapped.imported);
            return Ok(());
        }
        let means = Means { durable: false, mtime: Mtime::JustLater };
        let at = Located { dir, parent, name, metadata };
        self.replace_stored(node, &mut state, &at, snapshot.metadata, (&stored, new), means)?;
        progress.rewrapped(rewrapped.tokens, rewrapped.imported);
        Ok(())
    }

    /// Puts another stored text below a file, whose view stays the same; gives way (ESTALE) to
    /// whoever writes the file in the store. `texts`: as it stood, with these attributes, and as it
    /// is to stand.
    pub(super) fn replace_stored(
        &self,
        node: &Arc<Node>,
        state: &mut FileState,
        at: &Located,
        stood: Metadata,
        (old, new): (&[u8], Vec<u8>),
        means: Means,
    ) -> Result<()> {
        let path = &at.parent.path().ok_or(Error::Stale)?.join(&at.name);
        // What an earlier mount showed, where this one has not looked yet.
        let _ = self.remembered_attr(node, state, &stood);
        let shown = match state.shown_mtime {
            Some((stored, shown)) if stored == stood.mtime => shown,
            _ => stood.mtime,
        };
        let rules = self.rules();
        let seal_kept = |displaced: &[u8]| Ok(rules.sealing.seal_kept(displaced));
        let commit = Commit {
            content: &new,
            expected: Some(old),
            moved_from: None,
            on_conflict: OnConflict::GiveWay,
            durable: means.durable,
            mtime: match means.mtime {
                Mtime::JustLater => MtimeRule::JustLater,
                Mtime::OfTheView => MtimeRule::Exactly(shown),
            },
            seal_kept: &seal_kept,
        };
        let committed = at.dir.commit(&at.name, &commit)?;
        if let Some(kept) = committed.conflict {
            self.troubles.conflict(path, &kept);
        }
        self.nodes.moved_to(node, committed.metadata.ino);
        state.shown_mtime = Some((committed.metadata.mtime, shown));
        state.last_metadata = Some(committed.metadata);
        self.rebase(&mut state.content, path, old, new, committed.metadata.stamp());
        Ok(())
    }

    /// The stored bytes below a view or buffer have new tokens; the view is the same.
    fn rebase(
        &self,
        content: &mut Content,
        path: &RelPath,
        old: &[u8],
        new: Vec<u8>,
        stamp: crate::store::Stamp,
    ) {
        let base = match content {
            Content::Clean(loaded) => {
                loaded.trust.young = true;
                &mut loaded.base
            }
            Content::Dirty(buffer) => &mut buffer.base,
            Content::Unloaded | Content::Broken(_) | Content::Stream(_) | Content::TooLarge(_) => {
                *content = Content::Unloaded;
                return;
            }
        };
        if *base.stored != *old {
            // Changed behind us since it was loaded: the stamp will show it.
            return;
        }
        match self.rules().sealing.open(path, &new) {
            Ok(opened) => {
                let stored = Arc::from(new);
                *base = Base { stored, form: opened.form, stock: Arc::new(opened.stock), stamp };
            }
            Err(error) => self.troubles.found(path, &error),
        }
    }

    fn rewrap_kept(&self, order: &RewrapOrder, progress: &Progress) -> Result<()> {
        for name in self.store.kept()? {
            let stored = self.store.read_kept(&name)?;
            let rules = self.rules();
            match rules.sealing.rewrap_kept(&stored, order.all) {
                Ok(rewrapped) => {
                    if let Some(new) = rewrapped.stored {
                        progress.tokens.fetch_add(rewrapped.tokens, Ordering::Relaxed);
                        if !order.dry_run {
                            self.store.write_kept(&name, &new)?;
                        }
                    }
                }
                Err(error) => {
                    self.count_legacy(&stored, progress);
                    let file = RelPath::new(format!(".confseal/kept/{name}")).unwrap_or_default();
                    progress.failed(&file.clone(), &Error::Document { file, error });
                }
            }
        }
        Ok(())
    }

    fn count_legacy(&self, stored: &[u8], progress: &Progress) {
        let rules = self.rules();
        let master = rules.sealing.sealer.keyring().master().id();
        let legacy = document::token_keys(stored).filter(|key| *key != master).count();
        progress.legacy.fetch_add(legacy, Ordering::Relaxed);
    }
}
