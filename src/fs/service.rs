//! Taking a store into service while programs use it, and giving it back: what stands in the clear
//! is sealed, or what is sealed laid open, file by file below views that stay the same.
//!
//! What must stay true: no program ever sees a token; a file that cannot be done is named, and the
//! others go on; run again, each does what is left to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::node::Node;
use super::rewrap::{Means, Mtime, Progress, patiently};
use super::{Error, Filesystem, Result};
use crate::document::{SealStoredError, WholeBecause};
use crate::path::RelPath;

/// What sealing is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct SealOrder {
    pub dry_run: bool,
    pub below: RelPath,
}

impl Filesystem {
    /// Seals every secret that stands in the clear. A store that was being given back is in service
    /// again from here on.
    pub(super) fn seal_clear(&self, order: &SealOrder, progress: &Progress) -> Result<()> {
        if !order.dry_run {
            self.give_back_from_now_on(false);
        }
        self.each_file(&order.below, progress, |node| {
            patiently(|| self.seal_file(node, order, progress))
        })
    }

    fn seal_file(&self, node: &Arc<Node>, order: &SealOrder, progress: &Progress) -> Result<()> {
        let mut state = node.state.lock();
        let at = self.locate(node)?;
        let path = &at.parent.path().ok_or(Error::Stale)?.join(&at.name);
        // Plain, too large to be sealed, and no rule asks for it.
        let Some(snapshot) = self.read_stored(&at.dir, &at.name, path)? else { return Ok(()) };
        let stored = snapshot.bytes;
        let done = match self.rules().sealing.seal_stored(path, &stored) {
            Ok(done) => done,
            Err(SealStoredError::Sealed(error)) => {
                self.troubles.found(path, &error);
                return Err(Error::Document { file: path.clone(), error });
            }
            Err(laid_open @ SealStoredError::LaidOpen(_)) => {
                return Err(Error::Command(laid_open.to_string()));
            }
        };
        if !done.changed {
            return Ok(());
        }
        if !order.dry_run {
            // A backup that compares sees the other length; the plain file's time may stay.
            let means = Means { durable: true, mtime: Mtime::OfTheView };
            let texts = (&*stored, done.sealed.stored);
            self.replace_stored(node, &mut state, &at, snapshot.metadata, texts, means)?;
            self.enter_in_ledger(path, &done.ledger);
            match &done.sealed.whole {
                Some(because) if because.is_amiss() => self.troubles.sealed_whole(path, because),
                _ => self.troubles.cleared(path),
            }
        }
        if let Some(because) = done.sealed.whole.filter(|because| *because != WholeBecause::Rule) {
            log::info!("{path}: sealed whole: {because}");
        }
        add(&progress.tokens, done.fresh);
        add(&progress.changed, 1);
        Ok(())
    }

    /// Lays every sealed value open. From here on what programs save stays plain too; a `seal`, or
    /// the next mount, ends that.
    pub(super) fn give_back(&self, dry_run: bool, progress: &Progress) -> Result<()> {
        if !dry_run {
            self.give_back_from_now_on(true);
        }
        self.each_file(&RelPath::root(), progress, |node| {
            patiently(|| self.give_file_back(node, dry_run, progress))
        })
    }

    fn give_file_back(&self, node: &Arc<Node>, dry_run: bool, progress: &Progress) -> Result<()> {
        let mut state = node.state.lock();
        let at = self.locate(node)?;
        let path = &at.parent.path().ok_or(Error::Stale)?.join(&at.name);
        let Some(snapshot) = self.read_stored(&at.dir, &at.name, path)? else { return Ok(()) };
        let stored = snapshot.bytes;
        let sealing = &self.rules().sealing;
        let opened = sealing.open(path, &stored).map_err(|error| {
            self.troubles.found(path, &error);
            Error::Document { file: path.clone(), error }
        })?;
        let plain = sealing.leave_plain(path, &opened.view).ok_or_else(|| {
            Error::Command("a value in it begins like a token, and would be taken for one".into())
        })?;
        if *plain.stored == *stored {
            return Ok(());
        }
        if !dry_run {
            // The key may be gone a moment later.
            let means = Means { durable: true, mtime: Mtime::OfTheView };
            let texts = (&*stored, plain.stored);
            self.replace_stored(node, &mut state, &at, snapshot.metadata, texts, means)?;
            self.troubles.cleared(path);
        }
        add(&progress.tokens, opened.stock.len().max(1));
        add(&progress.changed, 1);
        Ok(())
    }
}

fn add(counter: &AtomicUsize, number: usize) {
    counter.fetch_add(number, Ordering::Relaxed);
}
