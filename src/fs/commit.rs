//! From memory into the store: a buffer becomes sealed content, or the error says why not.

use std::sync::Arc;
use std::time::Instant;

use super::file::{Base, Content, FileState, Loaded, SealedBeside, Trust};
use super::node::Node;
use super::{Filesystem, Result};
use crate::document::{Existing, Form, Stock};
use crate::path::RelPath;
use crate::store::{Access, Commit, MtimeRule, OnConflict, SetTime, Step};

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
        if state.is_dirty()
            && let Ok(now) = dir.stat(&name)
        {
            // The commit moves the store's ctime, which says nothing to programs.
            state.changed = state.shown_ctime(now.ctime);
        }
        let Content::Dirty(buffer) = &mut state.content else {
            match &state.content {
                _ if !durable => return Ok(()),
                Content::Stream(stream) => stream.file.sync_all()?,
                _ => dir.open_file(&name, Access::Read)?.sync_all()?,
            }
            state.durable = true;
            return Ok(());
        };
        let file = parent.path().ok_or(super::Error::Stale)?.join(&name);
        let rules = self.rules();
        let sealing = &rules.sealing;
        let others = self.other_stocks(&file, &buffer.base);
        let mut stocks = vec![&*buffer.base.stock];
        stocks.extend(others.iter().map(|stock| &**stock));
        let existing = self.existing(&file, &buffer.base);
        let sealed = rules.seal(&file, &buffer.bytes, &stocks, existing);
        if let Some(because) = &sealed.whole {
            log::debug!("{file}: sealed whole: {because}");
        }
        if sealed.stored.len() as u64 > self.max_stored() {
            // It could not be read again.
            return Err(super::Error::TooLarge);
        }
        if buffer.bytes.is_empty() && !buffer.broken {
            // Whoever fills it again finds its tokens, and a plain file stays plain.
            self.recent.left(&file, buffer.base.form, buffer.base.stored.clone());
        }
        if buffer.broken {
            let kept = self.store.keep(&file, &sealing.seal_kept(&buffer.base.stored))?;
            log::warn!("{file}: the version that could not be opened is kept as {kept}");
            buffer.broken = false;
        }
        let metadata = if *sealed.stored == *buffer.base.stored {
            dir.set_times(&name, None, Some(SetTime::At(buffer.written)))?;
            if durable {
                dir.open_file(&name, Access::Read)?.sync_all()?;
            }
            self.stat(&dir, &name)?
        } else {
            let seal_kept = |displaced: &[u8]| Ok(sealing.seal_kept(displaced));
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
                seal_kept: &seal_kept,
            };
            let committed = match dir.commit(&name, &commit) {
                Err(error) if error.step == Step::Open && error.is_not_found() => {
                    // Removed in the store: as if it had been removed here.
                    self.lost_behind(node, &parent, &name);
                    // It may have another name, under which the content is still there.
                    return self.commit(node, state, durable);
                }
                Err(error) if error.took_place() => {
                    // It stands there, only not for certain on the disk: the next attempt has to
                    // expect it.
                    let metadata = self.stat(&dir, &name)?;
                    self.nodes.moved_to(node, metadata.ino);
                    buffer.base.stored = sealed.stored.into();
                    buffer.base.stamp = metadata.stamp();
                    return Err(error.into());
                }
                other => other?,
            };
            if let Some(kept) = committed.conflict {
                self.troubles.conflict(&file, &kept);
            }
            committed.metadata
        };
        self.enter_in_ledger(&file, &sealed.ledger);
        self.nodes.moved_to(node, metadata.ino);
        state.shown_mtime = Some((metadata.mtime, buffer.written));
        state.committed = Some(metadata.ctime);
        let view = std::mem::take(&mut buffer.bytes);
        let stored: Arc<[u8]> = sealed.stored.into();
        state.sealed_beside = match (&others[..], sealed.form, &sealed.whole) {
            ([stock], Form::Fields(_), None) if existing != Existing::Plain => Some(SealedBeside {
                stored: stored.clone(),
                stock: stock.clone(),
                existing,
                rules: rules.version,
            }),
            _ => None,
        };
        let base = Base {
            stored,
            form: sealed.form,
            stock: Arc::new(sealed.stock),
            stamp: metadata.stamp(),
        };
        let trust = Trust { young: true, rules: rules.version };
        state.content = Content::Clean(Loaded { view: Arc::new(view), base, trust });
        self.dirty.lock().remove(&node.ino);
        state.durable = durable;
        state.last_metadata = Some(metadata);
        // The close that brought this here says it.
        state.unannounced = false;
        match &sealed.whole {
            Some(because) if because.is_amiss() => self.troubles.sealed_whole(&file, because),
            _ => self.troubles.cleared(&file),
        }
        self.cache.loaded(node, state);
        if state.written_since {
            state.kernel_knows = state.kernel_knows.map(|known| known.with_stamp(metadata.stamp()));
        } else {
            // Sizes and times that the kernel was told while the buffer was open.
            state.kernel_knows = None;
            self.tell(|kernel| kernel.attributes(node.ino));
        }
        Ok(())
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
            log::warn!("{file}: gone from the store while it was written; that is kept as {kept}");
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
