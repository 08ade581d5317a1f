//! Aliases: under which other paths a scalar shows.
//!
//! What must stay true: what this costs is bounded, whatever the text. Aliases of aliases of
//! aliases show more values than there are atoms (the "billion laughs"); a text that shows more
//! than [`MOST_SHOWN`] is refused.

use std::collections::HashMap;
use std::ops::Range;

use super::walk::Refused;
use crate::format::{Context, FieldPath, Segment, Site};

/// How many times all aliases of a text together may show a scalar.
const MOST_SHOWN: usize = 1 << 16;

/// What an anchor stands at.
pub(super) enum Anchored {
    /// A key, with this text.
    Key(Box<[u8]>),
    /// A node.
    Node {
        /// The path below which its scalars stand.
        path: FieldPath,
        /// The last step of that path, if it is the name of a list element.
        name: Option<Box<[u8]>>,
        /// Its scalars.
        sites: Range<usize>,
        /// What aliases show inside of it.
        shown: Range<usize>,
    },
}

/// What the aliases of a text show.
#[derive(Default)]
pub(super) struct Shown {
    anchors: HashMap<usize, Anchored>,
    /// A site, and a further path of it.
    shown: Vec<(usize, FieldPath)>,
}

impl Shown {
    pub(super) fn len(&self) -> usize {
        self.shown.len()
    }

    /// Anchor number `anchor` stands at this.
    pub(super) fn anchor(&mut self, anchor: usize, anchored: Anchored) {
        self.anchors.insert(anchor, anchored);
    }

    /// The text of the key at which anchor number `anchor` stands.
    pub(super) fn key(&self, anchor: usize) -> Option<&[u8]> {
        match self.anchors.get(&anchor)? {
            Anchored::Key(text) => Some(text),
            Anchored::Node { .. } => None,
        }
    }

    /// An alias of anchor number `anchor` stands at `path`, as an `element` of a list or else.
    pub(super) fn alias(
        &mut self,
        anchor: usize,
        path: &FieldPath,
        element: bool,
        sites: &[Site],
    ) -> Result<(), Refused> {
        // An alias of what it stands in itself has no end; nothing is shown by it.
        let Some(Anchored::Node { path: from, name, sites: own, shown }) =
            self.anchors.get(&anchor)
        else {
            return Ok(());
        };
        let (own, shown, from) = (own.clone(), shown.clone(), from.segments());
        let base = match name {
            Some(name) if element => path.key(name),
            _ => path.clone(),
        };
        let mut more = Vec::new();
        for at in own {
            if sites[at].context != Context::COMMENT {
                more.push((at, moved(&sites[at].path, &from, &base)));
            }
        }
        for at in shown {
            let (site, path) = &self.shown[at];
            more.push((*site, moved(path, &from, &base)));
            self.check(more.len())?;
        }
        self.check(more.len())?;
        self.shown.extend(more);
        Ok(())
    }

    /// The `sites` in `range`, which stand below `from`, show below `to` as well.
    pub(super) fn also(
        &mut self,
        range: Range<usize>,
        from: &FieldPath,
        to: &FieldPath,
        sites: &[Site],
    ) -> Result<(), Refused> {
        let from = from.segments();
        self.check(range.len())?;
        self.shown.extend(range.map(|at| (at, moved(&sites[at].path, &from, to))));
        Ok(())
    }

    fn check(&self, more: usize) -> Result<(), Refused> {
        if self.shown.len() + more > MOST_SHOWN { Err(Refused::Aliases) } else { Ok(()) }
    }

    /// Gives each site its further paths.
    pub(super) fn give(&mut self, sites: &mut [Site]) {
        let mut also: HashMap<usize, Vec<FieldPath>> = HashMap::new();
        for (site, path) in self.shown.drain(..) {
            also.entry(site).or_default().push(path);
        }
        for (site, paths) in also {
            sites[site].also = paths.into();
        }
    }
}

/// `path`, which begins with `from`, as it is below `to`. What does not begin so is the name of
/// the list element `from`.
fn moved(path: &FieldPath, from: &[&Segment], to: &FieldPath) -> FieldPath {
    let segments = path.segments();
    let rest = segments.strip_prefix(from).unwrap_or(&segments[segments.len().saturating_sub(1)..]);
    rest.iter().fold(to.clone(), |path, segment| path.child((*segment).clone()))
}
