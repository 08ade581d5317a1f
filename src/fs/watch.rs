//! Changes made behind the mount: seen by inotify on the store's directories, and made known to
//! the kernel. Runs on a thread of its own; what it tells is queued, so it never waits for the
//! kernel, and it holds no lock while it tells.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::RwLock;

use super::file::{Content, Told};
use super::node::Node;
use super::{Error, Filesystem, Ino, Pace};
use crate::store::{Event, EventKind, FileKind, Watcher};

/// How long events are let gather after some were dealt with: a save makes several, and each
/// wake-up would take the processor from whoever saves. The first after a pause does not wait.
const GATHER: Duration = Duration::from_millis(4);

#[derive(Default)]
pub(super) struct Watch {
    watcher: OnceLock<Watcher>,
    /// Directories whose changes we hear of.
    covered: RwLock<HashSet<Ino>>,
    /// Directories that could not be watched.
    refused: RwLock<HashSet<Ino>>,
    /// Why nothing is watched, if nothing is.
    none: OnceLock<String>,
}

impl Watch {
    /// Whether changes in `directory` are heard of.
    pub(super) fn covers(&self, directory: Ino) -> bool {
        self.covered.read().contains(&directory)
    }

    /// How many directories could not be watched.
    pub(super) fn refused(&self) -> usize {
        self.refused.read().len()
    }

    /// Why nothing is watched, if nothing is.
    pub(super) fn none(&self) -> Option<&str> {
        self.none.get().map(String::as_str)
    }

    /// Whether it has been tried to watch `directory`.
    fn knows(&self, directory: Ino) -> bool {
        self.covers(directory) || self.refused.read().contains(&directory)
    }
}

impl Filesystem {
    /// Hears of changes in the store from now on, if it can be watched: to be called before anybody
    /// sees the mount, for no change may go unheard that a program could know of.
    pub fn watch_store(&self) {
        let why = match Watcher::new() {
            _ if !self.options.watch => "switched off".to_owned(),
            _ if !self.store.tells_changes() => "its filesystem tells of no changes".to_owned(),
            Ok(watcher) => {
                self.watch.watcher.get_or_init(|| watcher);
                return self.watch(&self.nodes.root());
            }
            Err(error) => format!("{error} (see fs.inotify.max_user_instances)"),
        };
        log::warn!("the store is not watched, {why}: names and sizes are believed for 1 s");
        let _ = self.watch.none.set(why);
    }

    /// Follows the changes that [`Filesystem::watch_store`] hears of until `stop` says so; `stop` is
    /// asked about once a second.
    pub fn follow_store(&self, stop: impl Fn() -> bool) {
        let Some(watcher) = self.watch.watcher.get() else { return };
        while !stop() {
            match watcher.wait(Some(Duration::from_secs(1))) {
                Ok(events) if events.is_empty() => self.announcements.rest(),
                Ok(events) => {
                    let mut told = HashSet::new();
                    events.iter().for_each(|event| self.changed(event, &mut told));
                    std::thread::sleep(GATHER);
                }
                Err(error) => {
                    log::error!("the store is no longer watched: {error}");
                    self.watch.covered.write().clear();
                    let _ = self.watch.none.set(error.to_string());
                    // It was told that it may believe all that for long.
                    self.doubt_everything();
                    return;
                }
            }
        }
    }

    /// Hears of changes in a directory from now on, if it can be watched at all.
    pub(super) fn watch(&self, node: &Arc<Node>) {
        let Some(watcher) = self.watch.watcher.get() else { return };
        if self.watch.knows(node.ino) {
            return;
        }
        let Ok(dir) = self.dir(node) else { return };
        match watcher.add(node.ino.0, &dir) {
            Ok(()) => {
                self.watch.covered.write().insert(node.ino);
            }
            // Out of watches, or a file system without them: a short TTL does, a little slower.
            Err(error) => {
                let mut refused = self.watch.refused.write();
                let path = node.path().unwrap_or_default();
                let hint = "see fs.inotify.max_user_watches";
                if refused.is_empty() {
                    let but = "what is in it is believed for 1 s, and so for all that follow";
                    log::warn!("{path}: the directory cannot be watched, {error} ({hint}): {but}");
                } else {
                    log::debug!("{path}: the directory cannot be watched: {error}");
                }
                refused.insert(node.ino);
            }
        }
    }

    /// Whether every change of `node` under its name is heard of.
    pub(super) fn hears_of(&self, node: &Node) -> bool {
        node.first_link().is_some_and(|(parent, _)| self.watch.covers(parent.ino))
    }

    /// Whether changes in `directory` could be heard of and are not yet.
    pub(super) fn wants_watch(&self, directory: Ino) -> bool {
        self.watch.watcher.get().is_some() && !self.watch.knows(directory)
    }

    /// Tells the kernel what came of `event`; of the directories in `told` it has been told.
    fn changed(&self, event: &Event, told: &mut HashSet<Ino>) {
        let Some(name) = &event.name else {
            match event.kind {
                EventKind::Overflow => {
                    log::info!("changes in the store came faster than they could be followed");
                    self.doubt_everything();
                }
                EventKind::SelfGone => {
                    self.watch.covered.write().remove(&Ino(event.tag));
                }
                _ => self.tell(|kernel| kernel.attributes(Ino(event.tag))),
            }
            return;
        };
        let Some(parent) = self.nodes.get(Ino(event.tag)) else { return };
        let Some(node) = self.nodes.child(parent.ino, name) else {
            // Unknown to the kernel too: but the directory's times have changed.
            if told.insert(parent.ino) {
                self.tell(|kernel| kernel.attributes(parent.ino));
            }
            return self.announce(event.kind, &parent, name);
        };
        let looked_again = self
            .look_at_further_name(&node, &parent, name)
            .and_then(|()| self.look_again(&node, event.kind));
        match looked_again {
            Ok(Seen::Same) => {}
            Ok(Seen::Attributes) => self.tell(|kernel| kernel.attributes(node.ino)),
            Err(_) => self.tell(|kernel| {
                kernel.name(parent.ino, name);
                kernel.attributes(node.ino);
                kernel.attributes(parent.ino);
            }),
        }
        self.announce(event.kind, &parent, name);
    }

    /// A second look finds a file by its first name: whether another of its names is gone, or has
    /// become another file's, is looked up here.
    fn look_at_further_name(
        &self,
        node: &Arc<Node>,
        parent: &Arc<Node>,
        name: &OsStr,
    ) -> Result<(), Error> {
        if node.several_links().is_none() {
            return Ok(());
        }
        let dir = self.dir(parent)?;
        let _state = node.state.lock();
        self.lose_if_gone(node, parent, &dir, name)
    }

    fn look_again(&self, node: &Arc<Node>, kind: EventKind) -> Result<Seen, Error> {
        if node.kind != FileKind::File {
            let metadata = self.locate(node)?.metadata;
            let before = node.state.lock().last_metadata.replace(metadata);
            return Ok(if before == Some(metadata) { Seen::Same } else { Seen::Attributes });
        }
        let mut state = node.state.lock();
        let is_let_go = matches!(state.content, Content::Unloaded) && state.opens == 0;
        // A name that came or went changes no content: our own commits end here.
        let is_name =
            !matches!(kind, EventKind::Changed | EventKind::Closed | EventKind::Attributes);
        let metadata = match self.locate(node)? {
            at if is_let_go => {
                state.note_unseen_change(&at.metadata);
                state.last_metadata = Some(at.metadata);
                at.metadata
            }
            at if is_name && self.is_same_inode(&state, &at.metadata) => at.metadata,
            // A change of the content is told when it is loaded.
            at => self.refresh_at(node, &mut state, &at, Pace::Patient)?,
        };
        Ok(match state.kernel_knows {
            Some(known) if known != Told::of(&metadata) => {
                // Under the lock: no open may take it for told before it is.
                state.kernel_knows = None;
                self.tell(|kernel| kernel.attributes_now(node.ino));
                Seen::Same
            }
            Some(_) | None => Seen::Same,
        })
    }

    /// The mount is seen and asked a moment before there is a way to tell the kernel anything: what
    /// changed in the store meanwhile was noticed, and the kernel believes what it was told before.
    /// It keeps the names that still are: what it forgets is not announced when it changes.
    pub(super) fn tell_what_was_not_told(&self) {
        for node in self.nodes.all() {
            self.tell(|kernel| {
                kernel.content(node.ino);
                if let Some((parent, name)) = node.lost_name() {
                    kernel.name(parent.ino, &name);
                }
            });
        }
    }

    /// Events were lost: every name and every content may have changed.
    fn doubt_everything(&self) {
        for node in self.nodes.all() {
            for (parent, name) in node.several_links().into_iter().flatten() {
                self.tell(|kernel| kernel.name(parent.ino, &name));
                // What cannot be looked at is looked up when it is asked for.
                let _ = self.look_at_further_name(&node, &parent, &name);
            }
            let link = node.first_link();
            if let Some((parent, name)) = &link {
                self.tell(|kernel| kernel.name(parent.ino, name));
            }
            self.tell(|kernel| kernel.content(node.ino));
            // As if its last writer had just been heard of.
            if let (FileKind::File, Some((parent, name))) = (node.kind, &link) {
                // What cannot be looked at is as lost as what is gone: the next open says it.
                let _ = self.look_again(&node, EventKind::Closed);
                self.announce(EventKind::Closed, parent, name);
            }
        }
    }
}

/// What a second look found.
enum Seen {
    Same,
    Attributes,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsStr;
    use std::os::unix::fs::PermissionsExt;

    use parking_lot::Mutex;

    use super::*;
    use crate::fs::testing::{CALLER, READ, over};
    use crate::fs::{Invalidate, ROOT};
    use crate::path::RelPath;

    /// Notes which nodes the kernel is told to look at again.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<BTreeSet<Ino>>>);

    impl Invalidate for Told {
        fn content(&self, ino: Ino) {
            self.0.lock().insert(ino);
        }
        fn attributes(&self, ino: Ino) {
            self.0.lock().insert(ino);
        }
        fn attributes_now(&self, ino: Ino) {
            self.0.lock().insert(ino);
        }
        fn name(&self, _: Ino, _: &OsStr) {}
        fn removed(&self, _: Ino, _: &OsStr, _: Ino) {}
        fn changed(&self, _: RelPath) {}
    }

    #[test]
    fn what_changed_before_the_kernel_could_be_told_is_told_then() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("app.toml");
        std::fs::write(&file, "port = 1\n").unwrap();
        let fs = over(dir.path());
        let ino = fs.lookup(ROOT, OsStr::new("app.toml"), Pace::Patient).unwrap().attr.ino;
        // Noticed by an open, and nobody there to pass it on.
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o604)).unwrap();
        fs.open(CALLER, ino, READ, Pace::Patient).unwrap();
        let told = Told::default();
        fs.set_invalidate(Box::new(told.clone()));
        assert!(told.0.lock().contains(&ino));
    }
}
