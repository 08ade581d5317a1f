//! Nodes: what the kernel knows by number, and where it stands in the store.
//!
//! A node keeps its number while commits replace the inode below it. Numbers are those of the
//! store where they are free, so that they last over a remount for files that were not changed.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::Result;
use super::file::FileState;
use crate::path::RelPath;
use crate::store::{Dir, FileKind};

/// An inode number of the mount.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ino(pub u64);

/// The root of the mount.
pub const ROOT: Ino = Ino(1);

/// Numbers from here on are ours, given when the store's own is taken.
const OURS: u64 = 1 << 62;

/// From here on they belong to the control room.
pub(super) const CONTROL: u64 = 1 << 63;

/// One file, directory or other object of the mount.
pub(super) struct Node {
    pub ino: Ino,
    pub kind: FileKind,
    /// Content of a regular file. Store I/O on this file is done under it, so that commits,
    /// rewraps, renames and removals of one file never overlap.
    pub state: Mutex<FileState>,
    links: Mutex<Links>,
    dir: Mutex<Option<Dir>>,
    lookups: AtomicU64,
}

/// Where a node stands. Held for moments, never across I/O.
struct Links {
    store_ino: u64,
    names: Vec<(Arc<Node>, OsString)>,
}

impl Node {
    fn new(ino: Ino, kind: FileKind, store_ino: u64, names: Vec<(Arc<Node>, OsString)>) -> Self {
        Self {
            ino,
            kind,
            state: Mutex::default(),
            links: Mutex::new(Links { store_ino, names }),
            dir: Mutex::new(None),
            lookups: AtomicU64::new(0),
        }
    }

    /// Whether the store's inode `store_ino` is this node now.
    pub(super) fn is(&self, store_ino: u64, kind: FileKind) -> bool {
        self.kind == kind && self.store_ino() == store_ino
    }

    /// The number of the inode in the store that is this node now.
    pub(super) fn store_ino(&self) -> u64 {
        self.links.lock().store_ino
    }

    /// A directory and a name under which the node stands; `None` when it was removed.
    pub(super) fn first_link(&self) -> Option<(Arc<Node>, OsString)> {
        self.links.lock().names.first().cloned()
    }

    /// Whether the node has a name (the root has none and needs none).
    pub(super) fn is_linked(&self) -> bool {
        self.ino == ROOT || !self.links.lock().names.is_empty()
    }

    /// The path in the store by its first name.
    pub(super) fn path(&self) -> Option<RelPath> {
        if self.ino == ROOT {
            return Some(RelPath::root());
        }
        let (parent, name) = self.first_link()?;
        Some(parent.path()?.join(&name))
    }

    /// The open directory, opened by `open` the first time.
    pub(super) fn directory(
        &self,
        open: impl FnOnce(&Node, &OsStr) -> Result<(u64, Dir)>,
    ) -> Result<Dir> {
        if let Some(dir) = &*self.dir.lock() {
            return Ok(dir.clone());
        }
        let (parent, name) = self.first_link().ok_or(super::Error::Stale)?;
        let (ino, dir) = open(&parent, &name)?;
        if ino != self.store_ino() {
            return Err(super::Error::Stale);
        }
        *self.dir.lock() = Some(dir.clone());
        Ok(dir)
    }

    /// The kernel was given this node once more.
    pub(super) fn looked_up(&self) {
        self.lookups.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.ino.0)
    }
}

/// All nodes that the kernel knows or that work is going on with.
pub(super) struct NodeTable {
    tables: RwLock<Tables>,
}

/// Held for moments, never across I/O.
struct Tables {
    nodes: HashMap<Ino, Arc<Node>>,
    by_name: HashMap<(Ino, OsString), Ino>,
    by_store: HashMap<u64, Ino>,
    /// Numbers of forgotten nodes whose inode in the store has another one by now.
    numbers: HashMap<u64, Ino>,
    /// The values of `numbers`: not to be given to another inode.
    kept: HashSet<Ino>,
    /// Nodes that the kernel does not know (any more), and that were still at work.
    loose: HashSet<Ino>,
    next: u64,
}

impl NodeTable {
    pub(super) fn new(root: Dir, store_ino: u64) -> Self {
        let node = Node::new(ROOT, FileKind::Dir, store_ino, Vec::new());
        *node.dir.lock() = Some(root);
        node.looked_up();
        let tables = Tables {
            nodes: HashMap::from([(ROOT, Arc::new(node))]),
            by_name: HashMap::new(),
            by_store: HashMap::from([(store_ino, ROOT)]),
            numbers: HashMap::new(),
            kept: HashSet::new(),
            loose: HashSet::new(),
            next: OURS,
        };
        Self { tables: RwLock::new(tables) }
    }

    pub(super) fn get(&self, ino: Ino) -> Option<Arc<Node>> {
        self.tables.read().nodes.get(&ino).cloned()
    }

    pub(super) fn root(&self) -> Arc<Node> {
        self.tables.read().nodes[&ROOT].clone()
    }

    /// The node that is known under `name`.
    pub(super) fn child(&self, parent: Ino, name: &OsStr) -> Option<Arc<Node>> {
        self.tables.read().child(parent, name)
    }

    /// Every node that is known.
    pub(super) fn all(&self) -> Vec<Arc<Node>> {
        self.tables.read().nodes.values().cloned().collect()
    }

    /// The node of the inode `store_ino` that stands under `name`, made if it is new. `None` when
    /// a different node is known under this name: whether it was replaced, or is just being
    /// committed, only shows under its `state`.
    pub(super) fn adopt(
        &self,
        parent: &Arc<Node>,
        name: &OsStr,
        store_ino: u64,
        kind: FileKind,
        nlink: u64,
    ) -> Option<Arc<Node>> {
        if let Some(node) = self.child(parent.ino, name) {
            return node.is(store_ino, kind).then_some(node);
        }
        let mut tables = self.tables.write();
        if let Some(node) = tables.child(parent.ino, name) {
            return node.is(store_ino, kind).then_some(node);
        }
        let known = tables.by_store.get(&store_ino).and_then(|ino| tables.nodes.get(ino)).cloned();
        let link = (parent.clone(), name.to_owned());
        let mut known = known.filter(|node| node.kind == kind);
        if let Some(old) = known.take_if(|_| nlink == 1 || kind == FileKind::Dir) {
            // It has this name only. The node known by its number is of a file that is gone, whose
            // number it was given: what is written here must not go there.
            let names = old.links.lock().names.clone();
            for (parent, name) in names {
                tables.release_name(parent.ino, &name);
            }
        }
        let node = match known {
            Some(node) => {
                node.links.lock().names.push(link);
                node
            }
            None => {
                let ino = tables.number(store_ino);
                let node = Arc::new(Node::new(ino, kind, store_ino, vec![link]));
                tables.nodes.insert(ino, node.clone());
                tables.by_store.insert(store_ino, ino);
                node
            }
        };
        tables.by_name.insert((parent.ino, name.to_owned()), node.ino);
        Some(node)
    }

    /// The number that a directory listing shows for an inode of the store.
    pub(super) fn shown(&self, store_ino: u64) -> Ino {
        let tables = self.tables.read();
        match tables.by_store.get(&store_ino).or_else(|| tables.numbers.get(&store_ino)) {
            Some(ino) => *ino,
            None => Ino(store_ino),
        }
    }

    /// The node's content now lies in another inode of the store.
    pub(super) fn moved_to(&self, node: &Node, store_ino: u64) {
        let mut tables = self.tables.write();
        let old = std::mem::replace(&mut node.links.lock().store_ino, store_ino);
        if old != store_ino {
            if tables.by_store.get(&old) == Some(&node.ino) {
                tables.by_store.remove(&old);
            }
            if let Some(ino) = tables.numbers.remove(&old) {
                tables.kept.remove(&ino);
            }
            tables.by_store.insert(store_ino, node.ino);
        }
    }

    /// `name` is gone; its node lives on while the kernel knows it.
    pub(super) fn unlink(&self, parent: Ino, name: &OsStr) {
        self.tables.write().release_name(parent, name);
    }

    /// `node` stands under a new name instead of the old one, whose former owner loses it.
    pub(super) fn rename(&self, node: &Arc<Node>, from: (Ino, &OsStr), to: (&Arc<Node>, &OsStr)) {
        let mut tables = self.tables.write();
        tables.release_name(to.0.ino, to.1);
        tables.release_name(from.0, from.1);
        tables.give_name(node, to);
    }

    /// Two names have changed their nodes.
    pub(super) fn exchange(&self, one: (&Arc<Node>, &OsStr), other: (&Arc<Node>, &OsStr)) {
        let mut tables = self.tables.write();
        let key = |(parent, name): (&Arc<Node>, &OsStr)| (parent.ino, name.to_owned());
        let first = tables.by_name.get(&key(one)).copied();
        let second = tables.by_name.get(&key(other)).copied();
        tables.release_name(one.0.ino, one.1);
        tables.release_name(other.0.ino, other.1);
        for (ino, to) in [(first, other), (second, one)] {
            let Some(node) = ino.and_then(|ino| tables.nodes.get(&ino)).cloned() else { continue };
            tables.give_name(&node, to);
        }
    }

    /// The kernel gave `count` references back. The node goes when none is left, unless
    /// `still_needed` (it holds unsaved content).
    pub(super) fn forget(&self, ino: Ino, count: u64, still_needed: impl Fn(&Node) -> bool) {
        let mut tables = self.tables.write();
        let Some(node) = tables.nodes.get(&ino).cloned() else { return };
        // In one step: a lookup that is going on counts without the table's lock.
        let taken = |held: u64| Some(held.saturating_sub(count));
        let _ = node.lookups.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        tables.let_go(&node, &still_needed);
    }

    /// Drops a node that the kernel does not know, as soon as nobody works with it.
    pub(super) fn drop_if_unknown(&self, node: Arc<Node>, still_needed: impl Fn(&Node) -> bool) {
        self.tables.write().let_go(&node, &still_needed);
    }

    /// Drops the nodes that were still at work when the kernel forgot them and are not any more.
    pub(super) fn sweep(&self, still_needed: impl Fn(&Node) -> bool) {
        if self.tables.read().loose.is_empty() {
            return;
        }
        let mut tables = self.tables.write();
        for ino in std::mem::take(&mut tables.loose) {
            if let Some(node) = tables.nodes.get(&ino).cloned() {
                tables.let_go(&node, &still_needed);
            }
        }
    }

    /// Closes every directory that can be opened again by its name.
    pub(super) fn close_directories(&self) {
        let tables = self.tables.read();
        for node in tables.nodes.values().filter(|node| node.first_link().is_some()) {
            // One that is being opened right now is none to be closed.
            if let Some(mut dir) = node.dir.try_lock() {
                *dir = None;
            }
        }
    }

    /// How many nodes are known.
    pub(super) fn len(&self) -> usize {
        self.tables.read().nodes.len()
    }
}

impl Tables {
    fn child(&self, parent: Ino, name: &OsStr) -> Option<Arc<Node>> {
        let ino = self.by_name.get(&(parent, name.to_owned()))?;
        self.nodes.get(ino).cloned()
    }

    /// `node` stands under `name` first of all.
    fn give_name(&mut self, node: &Arc<Node>, (parent, name): (&Arc<Node>, &OsStr)) {
        let mut links = node.links.lock();
        links.names.insert(0, (parent.clone(), name.to_owned()));
        self.by_name.insert((parent.ino, name.to_owned()), node.ino);
        self.by_store.insert(links.store_ino, node.ino);
    }

    /// Drops `node`, which the caller holds once, unless the kernel knows it or it is at work.
    fn let_go(&mut self, node: &Arc<Node>, still_needed: impl Fn(&Node) -> bool) {
        if node.ino == ROOT || node.lookups.load(Ordering::Relaxed) > 0 {
            return;
        }
        // The table's own reference, and the caller's. A lookup that is going on has one more.
        if Arc::strong_count(node) > 2 || still_needed(node) {
            self.loose.insert(node.ino);
            return;
        }
        self.drop_node(node);
    }

    fn release_name(&mut self, parent: Ino, name: &OsStr) {
        let Some(ino) = self.by_name.remove(&(parent, name.to_owned())) else { return };
        let Some(node) = self.nodes.get(&ino) else { return };
        let mut links = node.links.lock();
        links.names.retain(|(at, known)| at.ino != parent || known != name);
        if links.names.is_empty() && self.by_store.get(&links.store_ino) == Some(&ino) {
            self.by_store.remove(&links.store_ino);
        }
    }

    fn number(&mut self, store_ino: u64) -> Ino {
        if let Some(ino) = self.numbers.remove(&store_ino) {
            self.kept.remove(&ino);
            return ino;
        }
        let own = Ino(store_ino);
        let free = !self.nodes.contains_key(&own) && !self.kept.contains(&own);
        if store_ino > ROOT.0 && store_ino < OURS && free {
            return own;
        }
        self.next += 1;
        Ino(self.next)
    }

    fn drop_node(&mut self, node: &Arc<Node>) {
        self.nodes.remove(&node.ino);
        let links = node.links.lock();
        for (parent, name) in &links.names {
            self.by_name.remove(&(parent.ino, name.clone()));
            if parent.lookups.load(Ordering::Relaxed) == 0 {
                // Made on the way to this one, by a walk.
                self.loose.insert(parent.ino);
            }
        }
        if self.by_store.get(&links.store_ino) == Some(&node.ino) {
            self.by_store.remove(&links.store_ino);
            if node.ino.0 != links.store_ino && !links.names.is_empty() {
                self.numbers.insert(links.store_ino, node.ino);
                self.kept.insert(node.ino);
            }
        }
    }
}
