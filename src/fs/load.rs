//! From the store into memory: is what we hold still what the store holds, and if not, open it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::sync::Arc;

use super::file::{Base, Broken, Content, FileState, Loaded, Stream, Trust};
use super::node::Node;
use super::{Error, Filesystem, Pace, Result};
use crate::document::{self, Existing, Form, Stock};
use crate::path::RelPath;
use crate::policy::Class;
use crate::store::{Access, Dir, Metadata, Snapshot, Time};

impl Filesystem {
    /// Where the store's object below `node` stands. Names under which it does not any more are
    /// forgotten; [`Error::Stale`] when none is left. For a regular file the caller holds its
    /// `state`: else a commit that is going on looks like a replacement.
    pub(super) fn locate(&self, node: &Node) -> Result<Located> {
        loop {
            let Some((dir, parent, name)) = self.place(node)? else { return Err(Error::Stale) };
            match dir.stat(&name) {
                Ok(metadata) if node.is(&metadata) => {
                    return Ok(Located { dir, parent, name, metadata });
                }
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                Ok(_) | Err(_) => self.lost_behind(node, &parent, &name),
            }
        }
    }

    /// Makes `state` agree with the store and returns the store's attributes. A buffer that is
    /// being written stays as it is. [`Error::Stale`] when another inode stands under the name.
    pub(super) fn refresh(
        &self,
        node: &Arc<Node>,
        state: &mut FileState,
        pace: Pace,
    ) -> Result<Metadata> {
        let at = self.locate(node)?;
        self.refresh_at(node, state, &at, pace)
    }

    /// The same for a file that has just been found in the store. An error here is about its
    /// content only: its attributes are known.
    pub(super) fn refresh_at(
        &self,
        node: &Arc<Node>,
        state: &mut FileState,
        at: &Located,
        pace: Pace,
    ) -> Result<Metadata> {
        if self.is_current(state, &at.metadata) {
            state.last_metadata = Some(at.metadata);
            return Ok(at.metadata);
        }
        if pace == Pace::Quick {
            return Err(Error::WouldBlock);
        }
        state.note_unseen_change(&at.metadata);
        let was_let_go = matches!(state.content, Content::Unloaded);
        state.last_metadata = Some(at.metadata);
        let file = at.parent.path().ok_or(Error::Stale)?.join(&at.name);
        let version = state.version;
        let told_len = state.told_len.take().filter(|_| matches!(state.content, Content::Unloaded));
        let metadata = self.load(node, state, &at.dir, &at.name, &file)?;
        state.last_metadata = Some(metadata);
        self.remember_view(state, &metadata);
        state.unannounced |= state.version != version && !was_let_go;
        // It was only let go, and nobody had it open: it is what the kernel was told it is.
        let is_as_told = told_len.is_some() && told_len == state.view_size();
        let is_told = state.version != version && !is_as_told;
        // Who has it open may have pages of it, whether or not the kernel still believes the rest.
        if is_told && (state.kernel_knows.take().is_some() || state.opens > 0) {
            self.tell(|kernel| {
                // The size at once: an open that comes before the queue is served would read only
                // as much as the file had before. The pages follow.
                kernel.attributes_now(node.ino);
                kernel.content(node.ino);
            });
        }
        Ok(metadata)
    }

    /// As [`Self::refresh`] for a file that is about to be emptied: a young stamp will do. What it
    /// may hide is a version that nobody will read any more, and that the commit finds and keeps.
    pub(super) fn refresh_to_empty(
        &self,
        node: &Arc<Node>,
        state: &mut FileState,
        pace: Pace,
    ) -> Result<Metadata> {
        let at = self.locate(node)?;
        if !self.is_same_inode(state, &at.metadata) {
            return self.refresh_at(node, state, &at, pace);
        }
        state.last_metadata = Some(at.metadata);
        Ok(at.metadata)
    }

    /// Whether the content held, if any, was read from the inode with these attributes; it may have
    /// been changed since within one tick of its clock.
    pub(super) fn is_same_inode(&self, state: &FileState, metadata: &Metadata) -> bool {
        let rules = self.rules().version;
        let same =
            |base: &Base, trust: &Trust| base.stamp == metadata.stamp() && trust.rules == rules;
        match &state.content {
            Content::Clean(loaded) => same(&loaded.base, &loaded.trust),
            Content::Broken(broken) => same(&broken.base, &broken.trust),
            Content::Unloaded | Content::Stream(_) | Content::TooLarge(_) | Content::Dirty(_) => {
                false
            }
        }
    }

    /// Whether the content held is that of the inode with these attributes.
    fn is_current(&self, state: &FileState, metadata: &Metadata) -> bool {
        let trusted = |base: &Base, trust: &Trust| {
            base.stamp == metadata.stamp() && !trust.young && trust.rules == self.rules().version
        };
        match &state.content {
            Content::Unloaded => false,
            Content::Clean(loaded) => trusted(&loaded.base, &loaded.trust),
            Content::Broken(broken) => trusted(&broken.base, &broken.trust),
            Content::Stream(stream) => stream.stamp == metadata.stamp(),
            Content::TooLarge(stamp) => *stamp == metadata.stamp(),
            Content::Dirty(_) => true,
        }
    }

    fn load(
        &self,
        node: &Arc<Node>,
        state: &mut FileState,
        dir: &Dir,
        name: &OsStr,
        file: &RelPath,
    ) -> Result<Metadata> {
        let rules = self.rules();
        let Snapshot { bytes, metadata } = match self.read_stored(dir, name, file) {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return self.load_stream(state, dir, name),
            Err(Error::TooLarge) => {
                let metadata = self.stat(dir, name)?;
                self.troubles.too_large(file, self.options.max_view);
                state.version += 1;
                state.content = Content::TooLarge(metadata.stamp());
                return Ok(metadata);
            }
            Err(error) => return Err(error),
        };
        let trust = Trust { young: metadata.stamp().is_young(Time::now()), rules: rules.version };
        let stamp = metadata.stamp();
        match &mut state.content {
            Content::Clean(Loaded { base, trust: old, .. })
            | Content::Broken(Broken { base, trust: old, .. })
                if *base.stored == *bytes && old.rules == rules.version =>
            {
                base.stamp = stamp;
                *old = trust;
                return Ok(metadata);
            }
            _ => {}
        }
        let stored: Arc<[u8]> = bytes.into();
        let content = match rules.sealing.open(file, &stored) {
            Ok(opened) if opened.view.len() as u64 > self.options.max_view => {
                self.troubles.too_large(file, self.options.max_view);
                Content::TooLarge(stamp)
            }
            Ok(opened) => {
                self.troubles.opened(file);
                self.enter_in_ledger(file, &opened.unruled);
                let base = Base { stored, form: opened.form, stock: Arc::new(opened.stock), stamp };
                Content::Clean(Loaded { view: Arc::new(opened.view), base, trust })
            }
            Err(error) => {
                self.troubles.found(file, &error);
                let stock = Arc::new(Stock::default());
                let base = Base { stored, form: Form::Plain, stock, stamp };
                Content::Broken(Broken { base, error, trust })
            }
        };
        let same_view = match (&state.content, &content) {
            (Content::Clean(old), Content::Clean(new)) => old.view == new.view,
            _ => false,
        };
        if !same_view {
            state.version += 1;
        }
        // Not written by us: it may lie on the disk for long.
        state.durable = true;
        state.content = content;
        self.cache.loaded(node, state);
        Ok(metadata)
    }

    /// What the store holds of `file`; `None` for a plain file too large to be held in memory,
    /// [`Error::TooLarge`] for a sealed one.
    pub(super) fn read_stored(
        &self,
        dir: &Dir,
        name: &OsStr,
        file: &RelPath,
    ) -> Result<Option<Snapshot>> {
        match dir.read(name, self.options.max_view) {
            Err(error) if error.raw_os_error() == Some(libc::EFBIG) => {}
            other => return Ok(Some(other?)),
        }
        let mut start = [0; 64];
        let read = dir.open_file(name, Access::Read)?.read(&mut start)?;
        if !document::is_whole(&start[..read]) && !self.is_ruled(file) {
            return Ok(None);
        }
        match dir.read(name, self.max_stored()) {
            Err(error) if error.raw_os_error() == Some(libc::EFBIG) => Err(Error::TooLarge),
            other => Ok(Some(other?)),
        }
    }

    /// The largest sealed text, in bytes: what stands in the store is longer than its view.
    pub(super) fn max_stored(&self) -> u64 {
        self.options.max_view.saturating_mul(2)
    }

    /// Whether secrets of `file` are sealed because of its name.
    pub(super) fn is_ruled(&self, file: &RelPath) -> bool {
        let class = self.rules().sealing.policy.classify(file).class;
        matches!(class, Class::Fields(_) | Class::Whole)
    }

    /// Whether nothing of `file` would be sealed for its name, whatever it holds: by a rule, or
    /// because it is plain so far and no rule names it.
    fn stays_plain(&self, file: &RelPath, base: &Base) -> bool {
        match self.rules().sealing.policy.classify(file).class {
            Class::Plain => true,
            Class::Unknown => self.existing(file, base) == Existing::Plain,
            Class::Fields(_) | Class::Whole => false,
        }
    }

    /// A plain file too large to hold goes through to the store.
    fn load_stream(&self, state: &mut FileState, dir: &Dir, name: &OsStr) -> Result<Metadata> {
        let stream = open_stream(dir, name)?;
        let metadata = Metadata::of(&stream)?;
        state.version += 1;
        state.content = Content::Stream(Stream {
            file: Arc::new(stream),
            stamp: metadata.stamp(),
            refused: false,
        });
        Ok(metadata)
    }

    /// A plain file outgrows what is held in memory: from now on it goes through to the store.
    /// [`Error::TooLarge`] for one that is, or would be, sealed.
    pub(super) fn outgrow(&self, node: &Arc<Node>, state: &mut FileState) -> Result<()> {
        if !node.is_linked() {
            return Err(Error::TooLarge);
        }
        self.commit(node, state, false)?;
        let at = self.locate(node)?;
        let file = at.parent.path().ok_or(Error::Stale)?.join(&at.name);
        match &state.content {
            Content::Clean(loaded) if self.stays_plain(&file, &loaded.base) => {}
            _ => {
                let unruled = self.rules().sealing.policy.classify(&file).class == Class::Unknown;
                self.troubles.not_grown(&file, self.options.max_view, unruled);
                return Err(Error::TooLarge);
            }
        }
        let stream = open_stream(&at.dir, &at.name)?;
        let stamp = Metadata::of(&stream)?.stamp();
        state.content = Content::Stream(Stream { file: Arc::new(stream), stamp, refused: false });
        Ok(())
    }

    /// The stored content of a file that is too large to be opened, because it is about to be
    /// emptied: what is replaced has to be known.
    pub(super) fn load_at_any_size(&self, node: &Arc<Node>, state: &mut FileState) -> Result<()> {
        let at = self.locate(node)?;
        let Snapshot { bytes, metadata } = at.dir.read(&at.name, u64::MAX)?;
        let stock = Arc::new(Stock::default());
        let stamp = metadata.stamp();
        let base = Base { stored: bytes.into(), form: Form::Whole, stock, stamp };
        let trust = Trust { young: true, rules: self.rules().version };
        state.content = Content::Clean(Loaded { view: Arc::default(), base, trust });
        Ok(())
    }

    /// The error of a file that cannot be opened; `Ok` for any other.
    pub(super) fn openable(&self, node: &Node, state: &FileState) -> Result<()> {
        match &state.content {
            Content::Broken(broken) => Err(Error::Document {
                file: node.path().unwrap_or_default(),
                error: broken.error.clone(),
            }),
            Content::TooLarge(_) => Err(Error::TooLarge),
            _ => Ok(()),
        }
    }
}

/// Where a node stands in the store.
pub(super) struct Located {
    pub dir: Dir,
    pub parent: Arc<Node>,
    pub name: OsString,
    pub metadata: Metadata,
}

/// Open for writing too, where this process may.
fn open_stream(dir: &Dir, name: &OsStr) -> std::io::Result<File> {
    match dir.open_file(name, Access::ReadWrite) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EROFS)) => {
            dir.open_file(name, Access::Read)
        }
        other => other,
    }
}
