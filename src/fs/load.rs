//! From the store into memory: is what we hold still what the store holds, and if not, open it.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::sync::Arc;

use super::file::{Base, Broken, Content, FileState, Loaded, Trust};
use super::node::Node;
use super::{Error, Filesystem, Pace, Result};
use crate::document::{self, Form, Stock};
use crate::path::RelPath;
use crate::store::{Access, Dir, Metadata, Snapshot, Time};

impl Filesystem {
    /// Makes `state` agree with the store and returns the store's attributes. A buffer that is
    /// being written stays as it is. [`Error::Stale`] when another inode stands under the name.
    pub(super) fn refresh(
        &self,
        node: &Arc<Node>,
        state: &mut FileState,
        pace: Pace,
    ) -> Result<Metadata> {
        let Some((dir, parent, name)) = self.place(node)? else { return Err(Error::Stale) };
        let metadata = match dir.stat(&name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.nodes.unlink(parent.ino, &name);
                return Err(Error::Stale);
            }
            other => other?,
        };
        if metadata.ino != node.store_ino() || metadata.kind != node.kind {
            self.nodes.unlink(parent.ino, &name);
            return Err(Error::Stale);
        }
        state.last_metadata = Some(metadata);
        if self.is_current(state, &metadata) {
            return Ok(metadata);
        }
        if pace == Pace::Quick {
            return Err(Error::WouldBlock);
        }
        let file = parent.path().ok_or(Error::Stale)?.join(&name);
        self.load(node, state, &dir, &name, &file)
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
            Content::Stream(_) => metadata.size > self.options.max_view,
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
        let Snapshot { bytes, metadata } = match dir.read(name, self.options.max_view) {
            Err(error) if error.raw_os_error() == Some(libc::EFBIG) => {
                return self.load_stream(state, dir, name, file);
            }
            other => other?,
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
            Ok(opened) => {
                self.troubles.cleared(file);
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
        state.content = content;
        self.cache.loaded(node, state);
        Ok(metadata)
    }

    /// A file too large to hold: a plain one goes through to the store, a sealed one is refused.
    fn load_stream(
        &self,
        state: &mut FileState,
        dir: &Dir,
        name: &OsStr,
        file: &RelPath,
    ) -> Result<Metadata> {
        use crate::policy::Class;
        let stream = match dir.open_file(name, Access::ReadWrite) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EROFS)) => {
                dir.open_file(name, Access::Read)
            }
            other => other,
        }?;
        let mut start = [0; 64];
        let read = (&stream).read(&mut start)?;
        let class = self.rules().sealing.policy.classify(file).class;
        if document::is_whole(&start[..read]) || matches!(class, Class::Fields(_) | Class::Whole) {
            return Err(Error::TooLarge);
        }
        if !matches!(state.content, Content::Stream(_)) {
            state.version += 1;
            state.content = Content::Stream(Arc::new(stream));
        }
        self.stat(dir, name)
    }

    /// The error of a file that cannot be opened; `Ok` for any other.
    pub(super) fn openable(&self, node: &Node, state: &FileState) -> Result<()> {
        match &state.content {
            Content::Broken(broken) => Err(Error::Document {
                file: node.path().unwrap_or_default(),
                error: broken.error.clone(),
            }),
            _ => Ok(()),
        }
    }
}
