//! Renaming. Most renames are one system call in the store; one that changes how the content has
//! to be sealed writes it anew under the new name first, and removes the old name after that. A
//! crash between leaves both names, each with a whole file.

use std::ffi::OsStr;
use std::sync::Arc;

use super::file::{Base, Content, FileState, Loaded, Trust};
use super::node::Node;
use super::{Error, Filesystem, Ino, Pace, Result};
use crate::document::Binding;
use crate::document::{Existing, Form, Sealed};
use crate::path::RelPath;
use crate::policy::Class;
use crate::store::{
    Commit, Dir, FileKind, MtimeRule, OnConflict, RenameFlags, Walk, is_version_control,
};

/// One end of a rename.
struct End<'a> {
    parent: Arc<Node>,
    dir: Dir,
    name: &'a OsStr,
    path: RelPath,
    node: Option<Arc<Node>>,
}

impl Filesystem {
    /// Renames. EXDEV when a directory, two names to be exchanged, or one of several names of a
    /// file would have to be sealed differently; a file of one name is sealed anew.
    pub fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), flags: RenameFlags) -> Result<()> {
        let from = self.end(from)?;
        let to = self.end(to)?;
        let node = from.node.clone().ok_or(Error::NotFound)?;
        if to.node.as_ref().is_some_and(|target| target.ino == node.ino) {
            // Two names of one file: POSIX has nothing happen.
            return Ok(());
        }
        if [from.name, to.name].iter().any(|name| is_version_control(name)) {
            return Err(Error::VersionControl);
        }
        match flags {
            RenameFlags::NoReplace if to.node.is_some() => Err(Error::Exists),
            RenameFlags::Exchange => self.exchange(&from, &to),
            RenameFlags::Plain | RenameFlags::NoReplace if node.kind == FileKind::File => {
                self.rename_file(&from, &to, &node, flags)
            }
            RenameFlags::Plain | RenameFlags::NoReplace => {
                if node.kind == FileKind::Dir && !self.tree_seals_alike(&from.path, &to.path)? {
                    return Err(Error::WouldReseal);
                }
                let mut target = to.node.as_ref().map(|target| (target, target.state.lock()));
                if let Some((target, state)) = &mut target {
                    self.about_to_be_replaced(&to, target, state)?;
                }
                self.move_name(&from, &to, &node, flags)?;
                if let Some((_, state)) = &mut target {
                    state.lost_a_name();
                }
                Ok(())
            }
        }
    }

    fn end<'a>(&self, (parent, name): (Ino, &'a OsStr)) -> Result<End<'a>> {
        let parent = self.writable_directory(parent, name)?;
        let dir = self.dir(&parent)?;
        let node = self.child(&parent, &dir, name, Pace::Patient)?;
        let path = parent.path().ok_or(Error::Stale)?.join(name);
        Ok(End { parent, dir, name, path, node })
    }

    fn rename_file(
        &self,
        from: &End<'_>,
        to: &End<'_>,
        node: &Arc<Node>,
        flags: RenameFlags,
    ) -> Result<()> {
        let target = to.node.as_ref().filter(|target| target.kind != FileKind::Dir);
        let (mut state, mut replaced) = lock_both(node, target);
        if let (Some(target), Some(replaced)) = (target, &mut replaced)
            && self.is_sealed_for(from, node, &state, to, (target, replaced))?
        {
            self.remember(&to.path, &replaced.content);
            self.remember(&from.path, &state.content);
            replaced.last_metadata = Some(self.stat(&to.dir, to.name)?);
            replaced.hold_on(&to.dir, to.name);
            self.move_name(from, to, node, flags)?;
            self.seal_by_the_strictest_name(node, &mut state);
            replaced.lost_a_name();
            return Ok(());
        }
        let readable = match self.refresh(node, &mut state, Pace::Patient) {
            // Else what is sealed for the one name would stand under the other.
            Err(Error::Store(error)) if self.seals_alike(&from.path, &to.path) => {
                log::debug!("{}: renamed as it is, for it cannot be read: {error}", from.path);
                false
            }
            other => other.map(|_| true)?,
        };
        self.commit(node, &mut state, false)?;
        if let (Some(target), Some(replaced)) = (target, &mut replaced) {
            self.about_to_be_replaced(to, target, replaced)?;
        }
        self.rename_as_sealed(from, to, node, &mut state, &replaced, (readable, flags))?;
        self.seal_by_the_strictest_name(node, &mut state);
        if let Some(replaced) = &mut replaced {
            replaced.lost_a_name();
        }
        Ok(())
    }

    /// Gets ready for the end of `target`, which stands at `to`.
    fn about_to_be_replaced(
        &self,
        to: &End<'_>,
        target: &Arc<Node>,
        state: &mut FileState,
    ) -> Result<()> {
        if target.kind != FileKind::File {
            state.last_metadata = Some(self.stat(&to.dir, to.name)?);
            return Ok(());
        }
        // Its view must be in memory for those who have it open; its tokens for the newcomer.
        let _ = self.refresh(target, state, Pace::Patient);
        self.keep_if_broken(&to.path, state)?;
        self.remember(&to.path, &state.content);
        state.hold_on(&to.dir, to.name);
        Ok(())
    }

    /// The rename itself, in the way that the content needs.
    fn rename_as_sealed(
        &self,
        from: &End<'_>,
        to: &End<'_>,
        node: &Arc<Node>,
        state: &mut FileState,
        replaced: &Option<parking_lot::MutexGuard<'_, FileState>>,
        (readable, flags): (bool, RenameFlags),
    ) -> Result<()> {
        if matches!(state.content, Content::Stream(_)) && self.is_ruled(&to.path) {
            // Its secrets would have to be sealed there.
            return Err(Error::TooLarge);
        }
        let (Content::Clean(loaded), true) = (&state.content, readable) else {
            // A file that cannot be opened, or is too large to be sealed, moves as it is.
            return self.move_name(from, to, node, flags);
        };
        let sealed = self.seal_for(&from.path, &loaded.base, &loaded.view, &to.path, replaced);
        let has_others = state.last_metadata.is_some_and(|metadata| metadata.nlink > 1);
        if has_others && !self.seals_alike(&from.path, &to.path) {
            // Written anew it would be another file than that of its other names; moved as it
            // stands, it would have two names that ask for different things, now or at a save.
            return Err(Error::WouldReseal);
        }
        // One of several names moves as it is sealed: rightly, if not with the tokens of the file
        // that it replaces.
        if has_others || *sealed.stored == *loaded.base.stored {
            self.remember(&from.path, &state.content);
            return self.move_name(from, to, node, flags);
        }
        self.write_under(from, to, node, state, replaced, sealed)
    }

    /// Whether sealing the file for its new name would bring what is stored: it was sealed under
    /// the same rules, with the tokens of the file that it replaces. So most saves by rename are
    /// sealed once. What either file became within the tick of a clock makes no difference: the
    /// one moves as it stands in the store, the other goes.
    fn is_sealed_for(
        &self,
        from: &End<'_>,
        node: &Node,
        state: &FileState,
        to: &End<'_>,
        (target, replaced): (&Node, &FileState),
    ) -> Result<bool> {
        let rules = self.rules();
        let (Some(made), Content::Clean(loaded), Content::Clean(other)) =
            (&state.sealed_beside, &state.content, &replaced.content)
        else {
            return Ok(false);
        };
        let is_known = made.rules == rules.version
            && Arc::ptr_eq(&made.stored, &loaded.base.stored)
            && Arc::ptr_eq(&made.stock, &other.base.stock)
            && !other.base.stock.is_empty();
        Ok(is_known
            && self.is_same_inode(state, &self.locate(node)?.metadata)
            && self.is_same_inode(replaced, &self.locate(target)?.metadata)
            && self.seals_alike_as(&from.path, made.existing, &to.path))
    }

    /// How the view of `from` is stored under the name `to`.
    fn seal_for(
        &self,
        from: &RelPath,
        base: &Base,
        view: &[u8],
        to: &RelPath,
        replaced: &Option<parking_lot::MutexGuard<'_, FileState>>,
    ) -> Sealed {
        let target = match replaced.as_deref().map(|state| &state.content) {
            Some(Content::Clean(loaded)) => Some(&loaded.base),
            _ => None,
        };
        let mut stocks: Vec<_> = target.iter().map(|base| &*base.stock).collect();
        let others = self.other_stocks(to, target.unwrap_or(base));
        stocks.extend(others.iter().map(|stock| &**stock));
        stocks.push(&base.stock);
        let existing = self.existing_after_rename(from, base, to, target);
        self.rules().seal_renamed(to, view, &stocks, existing, &base.stock)
    }

    /// A file that no rule names stays plain under a new name that no rule names either, if it was
    /// plain, or was sealed only for its name and replaces a plain one.
    fn existing_after_rename(
        &self,
        from: &RelPath,
        base: &Base,
        to: &RelPath,
        target: Option<&Base>,
    ) -> Existing {
        let policy = &self.rules().sealing.policy;
        let unruled = |file: &RelPath| policy.classify(file).class == Class::Unknown;
        let source_plain = base.form == Form::Plain && !base.stored.is_empty();
        let there = match target {
            Some(target) => self.existing(to, target),
            None => Existing::of(self.recent.form(to)),
        };
        match there {
            _ if source_plain && unruled(from) && unruled(to) => Existing::Plain,
            // Its secrets came from a name with a rule, or from several names before.
            Existing::Plain if !unruled(from) || base.stock.holds_fields() => Existing::Sealed,
            there => there,
        }
    }

    /// Writes `sealed` under the new name, with the attributes of the old one, which goes.
    fn write_under(
        &self,
        from: &End<'_>,
        to: &End<'_>,
        node: &Arc<Node>,
        state: &mut FileState,
        replaced: &Option<parking_lot::MutexGuard<'_, FileState>>,
        sealed: Sealed,
    ) -> Result<()> {
        let rules = self.rules();
        let seal_kept = |displaced: &[u8]| Ok(rules.sealing.seal_kept(displaced));
        let expected: Option<&[u8]> = match replaced.as_deref().map(|state| &state.content) {
            Some(Content::Clean(Loaded { base, .. })) => Some(&base.stored),
            Some(Content::Broken(broken)) => Some(&broken.base.stored),
            Some(Content::Dirty(buffer)) => Some(&buffer.base.stored),
            Some(Content::Unloaded | Content::Stream(_) | Content::TooLarge(_)) | None => None,
        };
        let shown = match state.shown_mtime {
            Some((_, shown)) => shown,
            None => self.stat(&from.dir, from.name)?.mtime,
        };
        let commit = Commit {
            content: &sealed.stored,
            expected,
            moved_from: Some((&from.dir, from.name)),
            // A link, or a file too large to be held: no content of it is known.
            on_conflict: match expected.is_none() && to.node.is_some() {
                true => OnConflict::Replace,
                false => OnConflict::Keep,
            },
            durable: state.durable,
            mtime: MtimeRule::Exactly(shown),
            seal_kept: &seal_kept,
        };
        if replaced.is_none() {
            self.nodes.announce(node, &to.parent, to.name);
        }
        let (metadata, conflict) = match to.dir.commit(to.name, &commit) {
            Ok(committed) => (committed.metadata, committed.conflict),
            // The names have changed, only not for certain on the disk, where the content is under
            // either: no rename promises more, and one that fails has changed nothing.
            Err(error) if error.took_place() => {
                log::warn!("{}: renamed, but not yet on the disk: {error}", to.path);
                (self.stat(&to.dir, to.name)?, None)
            }
            Err(error) => {
                if replaced.is_none() {
                    self.nodes.unlink(to.parent.ino, to.name);
                }
                return Err(error.into());
            }
        };
        if let Some(kept) = conflict {
            self.troubles.conflict(&to.path, &kept);
        }
        self.remember(&from.path, &state.content);
        self.nodes.rename(node, (from.parent.ino, from.name), (&to.parent, to.name));
        self.nodes.moved_to(node, metadata.ino);
        self.troubles.renamed(&from.path, &to.path);
        self.enter_in_ledger(&to.path, &sealed.ledger);
        let Content::Clean(loaded) = std::mem::take(&mut state.content) else {
            return Err(Error::Stale);
        };
        let base = Base {
            stored: sealed.stored.into(),
            form: sealed.form,
            stock: Arc::new(sealed.stock),
            stamp: metadata.stamp(),
        };
        let trust = Trust { young: true, rules: rules.version };
        state.content = Content::Clean(Loaded { view: loaded.view, base, trust });
        state.last_metadata = Some(metadata);
        state.kernel_knows = None;
        self.tell(|kernel| kernel.attributes(node.ino));
        Ok(())
    }

    /// A rename that leaves every stored byte as it is.
    fn move_name(
        &self,
        from: &End<'_>,
        to: &End<'_>,
        node: &Arc<Node>,
        flags: RenameFlags,
    ) -> Result<()> {
        let rename = || from.dir.rename(from.name, &to.dir, to.name, flags);
        self.once_empty(&to.parent, to.name, rename)?;
        self.nodes.rename(node, (from.parent.ino, from.name), (&to.parent, to.name));
        self.troubles.renamed(&from.path, &to.path);
        if node.kind == FileKind::Dir {
            self.change_ledger(|ledger| ledger.rename_dir(&from.path, &to.path));
        } else {
            self.change_ledger(|ledger| ledger.rename_file(&from.path, &to.path));
        }
        Ok(())
    }

    fn exchange(&self, from: &End<'_>, to: &End<'_>) -> Result<()> {
        let (Some(one), Some(other)) = (&from.node, &to.node) else { return Err(Error::NotFound) };
        let (mut first, mut second) = lock_both(one, Some(other));
        if one.kind == FileKind::File {
            self.commit(one, &mut first, false)?;
        }
        if let (FileKind::File, Some(second)) = (other.kind, &mut second) {
            self.commit(other, second, false)?;
        }
        if !self.tree_seals_alike(&from.path, &to.path)?
            || !self.tree_seals_alike(&to.path, &from.path)?
        {
            return Err(Error::WouldReseal);
        }
        from.dir.rename(from.name, &to.dir, to.name, RenameFlags::Exchange)?;
        self.nodes.exchange((&from.parent, from.name), (&to.parent, to.name));
        self.seal_by_the_strictest_name(one, &mut first);
        if let Some(second) = &mut second {
            self.seal_by_the_strictest_name(other, second);
        }
        Ok(())
    }

    /// Whether the same stored bytes are right under both names.
    pub(super) fn seals_alike(&self, one: &RelPath, other: &RelPath) -> bool {
        self.seals_alike_as(one, Existing::Sealed, other)
    }

    /// The same, where `existing` is what `one` was sealed as.
    fn seals_alike_as(&self, one: &RelPath, existing: Existing, other: &RelPath) -> bool {
        let sealing = &self.rules().sealing;
        let (a, b) = (sealing.policy.classify(one), sealing.policy.classify(other));
        sealing.binding < Binding::File
            && a.class == b.class
            && sealing.imports.are_alike(one, other)
            && match existing {
                Existing::Nothing => sealing.policy.fields_of_newcomer(one, &sealing.ledger),
                Existing::Sealed | Existing::Plain => sealing.policy.fields(one, &sealing.ledger),
            }
            .is_same(&sealing.policy.fields(other, &sealing.ledger))
    }

    /// The same for everything below a directory, or for the file itself.
    fn tree_seals_alike(&self, from: &RelPath, to: &RelPath) -> Result<bool> {
        let mut alike = true;
        let moved = |path: &RelPath| {
            let below = &path.as_bytes()[from.as_bytes().len()..];
            RelPath::new([to.as_bytes(), below].concat()).ok()
        };
        let mut look = |path: &RelPath, kind: FileKind| {
            if kind == FileKind::File {
                alike &= moved(path).is_some_and(|other| self.seals_alike(path, &other));
            }
            alike
        };
        let kind = self.store.dir(&from.parent())?.stat(from.name())?.kind;
        if kind != FileKind::Dir {
            look(from, kind);
            return Ok(alike);
        }
        self.store.walk(from, &mut |_, path, entry| {
            Ok(if look(path, entry.kind) { Walk::Continue } else { Walk::Stop })
        })?;
        Ok(alike)
    }

    /// A file that cannot be opened is about to be replaced: it is kept aside first.
    fn keep_if_broken(&self, path: &RelPath, state: &FileState) -> Result<()> {
        let base = match &state.content {
            Content::Broken(broken) => &broken.base,
            Content::Dirty(buffer) if buffer.broken => &buffer.base,
            _ => return Ok(()),
        };
        let sealed = self.rules().sealing.seal_kept(&base.stored);
        let kept = self.store.keep(path, &sealed)?;
        log::warn!(
            event = "kept", file:% = path, kept = kept.as_str();
            "{path}: the version that could not be opened is kept as {kept}"
        );
        Ok(())
    }
}

/// The states of two different nodes, locked in the order of their numbers.
fn lock_both<'a>(
    node: &'a Arc<Node>,
    other: Option<&'a Arc<Node>>,
) -> (parking_lot::MutexGuard<'a, FileState>, Option<parking_lot::MutexGuard<'a, FileState>>) {
    match other {
        Some(other) if other.ino < node.ino => {
            let second = other.state.lock();
            (node.state.lock(), Some(second))
        }
        other => {
            let first = node.state.lock();
            (first, other.map(|other| other.state.lock()))
        }
    }
}
