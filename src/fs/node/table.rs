//! The table of all nodes: by number, by name, and by the inode in the store.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use parking_lot::RwLock;

use super::{Identity, Ino, Node, OURS, ROOT};
use crate::store::{Dir, FileKind, Metadata};

/// All nodes that the kernel knows or that work is going on with.
pub(in crate::fs) struct NodeTable {
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
    pub(in crate::fs) fn new(root: Dir, store_ino: u64) -> Self {
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

    pub(in crate::fs) fn get(&self, ino: Ino) -> Option<Arc<Node>> {
        self.tables.read().nodes.get(&ino).cloned()
    }

    pub(in crate::fs) fn root(&self) -> Arc<Node> {
        self.tables.read().nodes[&ROOT].clone()
    }

    /// The node that is known under `name`.
    pub(in crate::fs) fn child(&self, parent: Ino, name: &OsStr) -> Option<Arc<Node>> {
        self.tables.read().child(parent, name)
    }

    /// Every node that is known.
    pub(in crate::fs) fn all(&self) -> Vec<Arc<Node>> {
        self.tables.read().nodes.values().cloned().collect()
    }

    /// The node that has, or had a moment ago, the inode `store_ino`.
    pub(in crate::fs) fn by_store(&self, store_ino: u64) -> Option<Arc<Node>> {
        let tables = self.tables.read();
        tables.by_store.get(&store_ino).and_then(|ino| tables.nodes.get(ino)).cloned()
    }

    /// The node of the inode `found` that stands under `name`, made if it is new. `None` when
    /// a different node is known under this name, or by this inode where `identity` does not say
    /// so: whether that one was replaced, or is just being committed, only shows under its `state`.
    pub(in crate::fs) fn adopt(
        &self,
        parent: &Arc<Node>,
        name: &OsStr,
        found: &Metadata,
        identity: Identity<'_>,
    ) -> Option<Arc<Node>> {
        let (store_ino, kind) = (found.ino, found.kind);
        if let Some(node) = self.child(parent.ino, name) {
            return node.is(found).then_some(node);
        }
        let mut tables = self.tables.write();
        if let Some(node) = tables.child(parent.ino, name) {
            return node.is(found).then_some(node);
        }
        let known = tables.by_store.get(&store_ino).and_then(|ino| tables.nodes.get(ino)).cloned();
        let link = (parent.clone(), name.to_owned());
        let known = match (known, identity) {
            // What a commit displaced is free for others before the node is told of its new one.
            (_, Identity::Newborn) => None,
            (Some(known), Identity::Same(node)) if known.ino == node.ino => Some(known),
            (Some(_), _) => return None,
            (None, _) => None,
        };
        let node = match known.filter(|node| node.kind == kind) {
            Some(node) => {
                *node.lost.lock() = None;
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

    /// The inode `found` is not `node`, whose `state` is held, unless it says so itself.
    pub(in crate::fs) fn forget_store_ino(&self, node: &Node, found: &Metadata) {
        let mut tables = self.tables.write();
        if !node.is(found) && tables.by_store.get(&found.ino) == Some(&node.ino) {
            tables.by_store.remove(&found.ino);
        }
    }

    /// The number that a directory listing shows for an inode of the store.
    pub(in crate::fs) fn shown(&self, store_ino: u64) -> Ino {
        let tables = self.tables.read();
        match tables.by_store.get(&store_ino).or_else(|| tables.numbers.get(&store_ino)) {
            Some(ino) => *ino,
            None => Ino(store_ino),
        }
    }

    /// The node's content now lies in another inode of the store.
    pub(in crate::fs) fn moved_to(&self, node: &Node, store_ino: u64) {
        let mut tables = self.tables.write();
        let mut links = node.links.lock();
        let old = std::mem::replace(&mut links.store_ino, store_ino);
        if old != store_ino {
            links.born = None;
            if tables.by_store.get(&old) == Some(&node.ino) {
                tables.by_store.remove(&old);
            }
            if let Some(ino) = tables.numbers.remove(&old) {
                tables.kept.remove(&ino);
            }
            tables.by_store.insert(store_ino, node.ino);
        }
    }

    /// `node`, whose `state` is held, is about to stand under `name` too: whoever finds something
    /// there from now on has to wait for that state.
    pub(in crate::fs) fn announce(&self, node: &Arc<Node>, parent: &Arc<Node>, name: &OsStr) {
        let mut tables = self.tables.write();
        tables.release_name(parent.ino, name);
        node.links.lock().names.push((parent.clone(), name.to_owned()));
        tables.by_name.insert((parent.ino, name.to_owned()), node.ino);
    }

    /// `name` is gone; its node lives on while the kernel knows it.
    pub(in crate::fs) fn unlink(&self, parent: Ino, name: &OsStr) {
        self.tables.write().release_name(parent, name);
    }

    /// `node` does not stand under `name` any more, whoever else may: done behind the mount.
    pub(in crate::fs) fn lose_link(&self, node: &Node, parent: Ino, name: &OsStr) {
        let mut tables = self.tables.write();
        let links = node.links.lock();
        let lost = links.names.iter().find(|(at, known)| at.ino == parent && known == name);
        if let Some(lost) = lost {
            *node.lost.lock() = Some(lost.clone());
        }
        drop(links);
        if tables.by_name.get(&(parent, name.to_owned())) == Some(&node.ino) {
            tables.release_name(parent, name);
        }
        node.links.lock().names.retain(|(at, known)| at.ino != parent || known != name);
    }

    /// `node` stands under a new name instead of the old one, whose former owner loses it.
    pub(in crate::fs) fn rename(
        &self,
        node: &Arc<Node>,
        from: (Ino, &OsStr),
        to: (&Arc<Node>, &OsStr),
    ) {
        let mut tables = self.tables.write();
        tables.release_name(to.0.ino, to.1);
        tables.release_name(from.0, from.1);
        tables.give_name(node, to);
    }

    /// Two names have changed their nodes.
    pub(in crate::fs) fn exchange(&self, one: (&Arc<Node>, &OsStr), other: (&Arc<Node>, &OsStr)) {
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
    pub(in crate::fs) fn forget(&self, ino: Ino, count: u64, still_needed: impl Fn(&Node) -> bool) {
        let mut tables = self.tables.write();
        let Some(node) = tables.nodes.get(&ino).cloned() else { return };
        // In one step: a lookup that is going on counts without the table's lock.
        let taken = |held: u64| Some(held.saturating_sub(count));
        let _ = node.lookups.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        tables.let_go(&node, &still_needed);
    }

    /// Drops a node that the kernel does not know, as soon as nobody works with it.
    pub(in crate::fs) fn drop_if_unknown(
        &self,
        node: Arc<Node>,
        still_needed: impl Fn(&Node) -> bool,
    ) {
        self.tables.write().let_go(&node, &still_needed);
    }

    /// Drops the nodes that were still at work when the kernel forgot them and are not any more.
    pub(in crate::fs) fn sweep(&self, still_needed: impl Fn(&Node) -> bool) {
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

    /// How many nodes are known.
    pub(in crate::fs) fn len(&self) -> usize {
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
        *node.lost.lock() = None;
        let mut links = node.links.lock();
        links.names.insert(0, (parent.clone(), name.to_owned()));
        self.by_name.insert((parent.ino, name.to_owned()), node.ino);
        self.by_store.insert(links.store_ino, node.ino);
    }

    /// Drops `node`, which the caller holds once, unless the kernel knows it or it is at work.
    fn let_go(&mut self, node: &Arc<Node>, still_needed: impl Fn(&Node) -> bool) {
        // The table's own reference, and the caller's. A lookup that is going on has one more, and
        // counts before it gives it back: so this is asked first. Nobody gets one meanwhile, for
        // the table is locked.
        let at_work = Arc::strong_count(node) > 2 || still_needed(node);
        fence(Ordering::Acquire);
        match node.lookups.load(Ordering::Relaxed) {
            0 if node.ino == ROOT => {}
            0 if at_work => drop(self.loose.insert(node.ino)),
            0 => self.drop_node(node),
            _ => {}
        }
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
