//! From memory into the store: a buffer becomes sealed content, or the error says why not.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use super::file::{Base, Buffer, Content, FileState, Loaded, SealedBeside, Trust};
use super::node::Node;
use super::rules::Rules;
use super::{Filesystem, Result};
use crate::document::{Existing, Form, Sealed, Stock, WholeBecause};
use crate::path::RelPath;
use crate::store::{Access, Commit, Dir, Metadata, MtimeRule, OnConflict, SetTime, Step};

/// Where a commit goes, and by which rules.
struct Target<'a> {
    dir: &'a Dir,
    name: &'a OsStr,
    file: &'a RelPath,
    rules: &'a Rules,
}

/// The tokens of another file by which a new one was sealed.
struct Beside {
    stock: Arc<Stock>,
    existing: Existing,
}

impl Filesystem {
    /// Commits the buffer of `node`, if there is one. `durable`: on return it has reached the
    /// disk. On an error the buffer stays, readable, to be tried again.
    pub(super) fn commit(
        &self,
        node: &Arc<Node>,
        state: &mut FileState,
        durable: bool,
    ) -> Result<()> {
        let Some((dir, parent, name)) = self.place(node)? else {
            // Removed while open: what is written to it goes with its last descriptor.
            self.keep_lost(node, state)?;
            self.dirty.lock().remove(&node.ino);
            return Ok(());
        };
        if !state.is_dirty() {
            return if durable { sync_stored(state, &dir, &name) } else { Ok(()) };
        }
        if let Ok(now) = dir.stat(&name) {
            // The commit moves the store's ctime, which says nothing to programs.
            state.changed = state.shown_ctime(now.ctime);
        }
        let Content::Dirty(buffer) = &mut state.content else { return Ok(()) };
        let file = parent.path().ok_or(super::Error::Stale)?.join(&name);
        let rules = self.rules();
        let (sealed, beside) = self.seal(&rules, &file, buffer)?;
        if buffer.broken {
            self.keep_broken(&rules, &file, buffer)?;
        }
        let target = Target { dir: &dir, name: &name, file: &file, rules: &rules };
        let Some(metadata) = self.bring_out(node, buffer, &sealed, &target, durable)? else {
            // Removed in the store: as if it had been removed here.
            self.lost_behind(node, &parent, &name);
            // It may have another name, under which the content is still there.
            return self.commit(node, state, durable);
        };
        self.enter_in_ledger(&file, &sealed.ledger);
        match &sealed.whole {
            Some(because) if because.is_amiss() => self.troubles.sealed_whole(&file, because),
            _ => self.troubles.cleared(&file),
        }
        state.durable = durable;
        self.settle(node, state, sealed, beside, &metadata, rules.version);
        Ok(())
    }

    /// The buffer as it is to stand in the store, and by which tokens of another file, if that is
    /// how it was sealed. [`Error::TooLarge`](super::Error::TooLarge) when it could not be read
    /// again.
    fn seal(
        &self,
        rules: &Rules,
        file: &RelPath,
        buffer: &Buffer,
    ) -> Result<(Sealed, Option<Beside>)> {
        let others = self.other_stocks(file, &buffer.base);
        let mut stocks = vec![&*buffer.base.stock];
        stocks.extend(others.iter().map(|stock| &**stock));
        let existing = self.existing(file, &buffer.base);
        let sealed = rules.seal(file, &buffer.bytes, &stocks, existing);
        if let Some(because) = &sealed.whole {
            tell_whole(file, because, buffer.base.form);
        }
        if sealed.stored.len() as u64 > self.max_stored() {
            return Err(super::Error::TooLarge);
        }
        if buffer.bytes.is_empty() && !buffer.broken {
            // Whoever fills it again finds its tokens, and a plain file stays plain.
            self.recent.left(file, buffer.base.form, buffer.base.stored.clone());
        }
        let beside = match (&others[..], sealed.form, &sealed.whole) {
            ([stock], Form::Fields(_), None) if existing != Existing::Plain => {
                Some(Beside { stock: stock.clone(), existing })
            }
            _ => None,
        };
        Ok((sealed, beside))
    }

    /// Keeps the stored content that could not be opened, before it is replaced.
    fn keep_broken(&self, rules: &Rules, file: &RelPath, buffer: &mut Buffer) -> Result<()> {
        let kept = self.store.keep(file, &rules.sealing.seal_kept(&buffer.base.stored))?;
        log::warn!(
            event = "kept", file:% = file, kept = kept.as_str();
            "{file}: the version that could not be opened is kept as {kept}"
        );
        buffer.broken = false;
        Ok(())
    }

    /// Has the store hold `sealed`, and says what the file is then; `None` when its name is gone
    /// from the store.
    fn bring_out(
        &self,
        node: &Node,
        buffer: &mut Buffer,
        sealed: &Sealed,
        target: &Target<'_>,
        durable: bool,
    ) -> Result<Option<Metadata>> {
        let Target { dir, name, file, rules } = *target;
        if *sealed.stored == *buffer.base.stored {
            dir.set_times(name, None, Some(SetTime::At(buffer.written)))?;
            if durable {
                dir.open_file(name, Access::Read)?.sync_all()?;
            }
            return Ok(Some(self.stat(dir, name)?));
        }
        let commit = Commit {
            content: &sealed.stored,
            expected: Some(&buffer.base.stored),
            moved_from: None,
            on_conflict: OnConflict::Keep,
            durable,
            mtime: match buffer.time_is_set {
                true => MtimeRule::Exactly(buffer.written),
                false => MtimeRule::NotBefore(buffer.written),
            },
            seal_kept: &|displaced| Ok(rules.sealing.seal_kept(displaced)),
        };
        match dir.commit(name, &commit) {
            Ok(committed) => {
                if let Some(kept) = committed.conflict {
                    self.troubles.conflict(file, &kept);
                }
                Ok(Some(committed.metadata))
            }
            Err(error) if error.step == Step::Open && error.is_not_found() => Ok(None),
            Err(error) => {
                if error.took_place() {
                    // It stands there, only not for certain on the disk: the next attempt has to
                    // expect it.
                    let metadata = self.stat(dir, name)?;
                    self.nodes.moved_to(node, metadata.ino);
                    buffer.base.stored = sealed.stored.as_slice().into();
                    buffer.base.stamp = metadata.stamp();
                }
                Err(error.into())
            }
        }
    }

    /// The buffer stands in the store as `sealed`, with `metadata`: from here on it is a view.
    fn settle(
        &self,
        node: &Arc<Node>,
        state: &mut FileState,
        sealed: Sealed,
        beside: Option<Beside>,
        metadata: &Metadata,
        rules: u64,
    ) {
        let Content::Dirty(buffer) = &mut state.content else { return };
        self.nodes.moved_to(node, metadata.ino);
        state.shown_mtime = Some((metadata.mtime, buffer.written));
        state.committed = Some(metadata.ctime);
        let view = Arc::new(std::mem::take(&mut buffer.bytes));
        let stored: Arc<[u8]> = sealed.stored.into();
        state.sealed_beside = beside.map(|Beside { stock, existing }| SealedBeside {
            stored: stored.clone(),
            stock,
            existing,
            rules,
        });
        let (form, stock) = (sealed.form, Arc::new(sealed.stock));
        let base = Base { stored, form, stock, stamp: metadata.stamp() };
        state.content = Content::Clean(Loaded { view, base, trust: Trust { young: true, rules } });
        self.dirty.lock().remove(&node.ino);
        state.last_metadata = Some(*metadata);
        // The close that brought this here says it.
        state.unannounced = false;
        self.cache.loaded(node, state);
        if state.written_since {
            state.kernel_knows = state.kernel_knows.map(|known| known.with_stamp(metadata.stamp()));
        } else {
            // Sizes and times that the kernel was told while the buffer was open.
            state.kernel_knows = None;
            self.tell(|kernel| kernel.attributes(node.ino));
        }
    }

    /// What was written to a file that was replaced or removed behind the mount meanwhile is kept
    /// aside: to the program it looks saved.
    fn keep_lost(&self, node: &Node, state: &mut FileState) -> Result<()> {
        let (Some(file), Content::Dirty(buffer)) = (node.lost_path(), &mut state.content) else {
            return Ok(());
        };
        if !buffer.bytes.is_empty() {
            let sealing = &self.rules().sealing;
            let kept = self.store.keep(&file, &sealing.seal_kept(&buffer.bytes))?;
            log::warn!(
                event = "kept", file:% = file, kept = kept.as_str();
                "{file}: gone from the store while it was written; that is kept as {kept}"
            );
        }
        let trust = Trust { young: true, rules: self.rules().version };
        let view = Arc::new(std::mem::take(&mut buffer.bytes));
        state.content = Content::Clean(Loaded { view, base: buffer.base.clone(), trust });
        Ok(())
    }

    /// Tokens that an unchanged value of `file` may keep besides those of its own content: of what
    /// was last seen under its name, then of the file whose name it derives from.
    pub(super) fn other_stocks(&self, file: &RelPath, base: &Base) -> Vec<Arc<Stock>> {
        if !base.stock.is_empty() {
            return Vec::new();
        }
        let sealing = &self.rules().sealing;
        let open = |file: &RelPath, stored: &Arc<[u8]>| {
            sealing.open(file, stored).ok().map(|opened| Arc::new(opened.stock))
        };
        let last_seen = self.recent.stored(file);
        let original = sealing.policy.classify(file).base;
        if original == *file {
            return last_seen.and_then(|stored| open(file, &stored)).into_iter().collect();
        }
        let (its_content, its_stock) = match self.held(&original) {
            Some((stored, stock)) => (Some(stored), Some(stock)),
            None => {
                let stored = self
                    .store
                    .dir(&original.parent())
                    .and_then(|dir| dir.read(original.name(), self.max_stored()))
                    .map(|snapshot| Arc::from(snapshot.bytes))
                    .ok()
                    .or_else(|| self.recent.stored(&original));
                let stock = stored.as_ref().and_then(|stored| open(&original, stored));
                (stored, stock)
            }
        };
        // What a program saved by a rename last time stands there now, with the same tokens.
        let other = last_seen.filter(|seen| its_content.as_ref() != Some(seen));
        other.and_then(|stored| open(file, &stored)).into_iter().chain(its_stock).collect()
    }

    /// The stored content of `file` and its tokens, as far as they are in memory: at worst a little
    /// out of date, which tokens do not mind.
    fn held(&self, file: &RelPath) -> Option<(Arc<[u8]>, Arc<Stock>)> {
        let node = self.known(file)?;
        // Only tried: the caller holds the state of another file.
        let state = node.state.try_lock()?;
        let base = match &state.content {
            Content::Clean(loaded) if loaded.trust.rules == self.rules().version => &loaded.base,
            _ => return None,
        };
        Some((base.stored.clone(), base.stock.clone()))
    }

    /// The node at `path`, if the kernel has asked for it.
    fn known(&self, path: &RelPath) -> Option<Arc<Node>> {
        if path.is_root() {
            return Some(self.nodes.root());
        }
        self.nodes.child(self.known(&path.parent())?.ino, path.name())
    }

    /// What stands under the name of `file` so far: its base, or what was seen there last.
    pub(super) fn existing(&self, file: &RelPath, base: &Base) -> Existing {
        let empty = base.stored.is_empty();
        Existing::of(if empty { self.recent.form(file) } else { Some(base.form) })
    }

    /// Commits every buffer that was last written more than `commit_after` ago; `all`: every one.
    /// Errors are noted; the buffers stay.
    pub fn commit_old(&self, all: bool) {
        self.nodes.sweep(Self::is_needed);
        let due: Vec<_> = self.dirty.lock().keys().copied().collect();
        for ino in due {
            let Some(node) = self.nodes.get(ino) else {
                self.dirty.lock().remove(&ino);
                continue;
            };
            let mut state = node.state.lock();
            let Content::Dirty(buffer) = &state.content else {
                self.dirty.lock().remove(&ino);
                continue;
            };
            if !all && buffer.touched.elapsed() < self.options.commit_after {
                continue;
            }
            if let Err(error) = self.commit(&node, &mut state, all) {
                let path = node.path().unwrap_or_default();
                self.troubles.not_saved(&path, &error);
                // Sealing it anew every moment would not help.
                if let Content::Dirty(buffer) = &mut state.content {
                    buffer.touched = Instant::now();
                }
            }
        }
    }
}

/// Makes the stored content durable, as it is the view's.
fn sync_stored(state: &mut FileState, dir: &Dir, name: &OsStr) -> Result<()> {
    match &state.content {
        Content::Stream(stream) => stream.file.sync_all()?,
        _ => dir.open_file(name, Access::Read)?.sync_all()?,
    }
    state.durable = true;
    Ok(())
}

/// Says that a file which was sealed by fields, or is new, had to be sealed whole. What a rule
/// wants, and what a name makes so, is nothing to tell.
fn tell_whole(file: &RelPath, because: &WholeBecause, before: Form) {
    let is_meant = matches!(because, WholeBecause::Rule | WholeBecause::UnknownName);
    // What is amiss is told as a trouble, until it ends.
    if is_meant || because.is_amiss() || before == Form::Whole {
        log::debug!("{file}: sealed whole: {because}");
    } else {
        // No warning: a save that is seen half-way is an everyday thing.
        log::info!(
            event = "sealed-whole", file:% = file;
            "{file}: sealed whole until it can be sealed by fields again: {because}"
        );
    }
}
