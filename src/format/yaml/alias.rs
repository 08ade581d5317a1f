//! Aliases: under which other paths a scalar shows.
//!
//! What must stay true: what this costs is bounded, whatever the text. Aliases of aliases of
//! aliases show more values than there are atoms (the "billion laughs"); a text whose aliases
//! show more than [`MOST_SHOWN`] is refused.

use std::collections::HashMap;
use std::ops::Range;

use super::walk::Refused;
use crate::format::{Context, FieldPath, Segment, Site};

/// How much the paths under which all aliases of a text show its scalars may take, in bytes.
const MOST_SHOWN: usize = 16 << 20;

/// What a step of such a path takes, and a path itself, without its keys.
const STEP: usize = 64;

/// Longest key, in bytes, that an alias of it repeats.
const LONGEST_KEY: usize = 1024;

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

impl Anchored {
    /// A node below `path`, whose last step may be its `name`. Its scalars, and what aliases show
    /// inside of it, are those found between `from` and `to`.
    pub(super) fn node(
        path: &FieldPath,
        name: Option<&str>,
        from: (usize, usize),
        to: (usize, usize),
    ) -> Self {
        let name = name.map(|name| name.as_bytes().into());
        Self::Node { path: path.clone(), name, sites: from.0..to.0, shown: from.1..to.1 }
    }
}

/// What the aliases of a text show.
#[derive(Default)]
pub(super) struct Shown {
    anchors: HashMap<usize, Anchored>,
    /// A site, and a further path of it.
    shown: Vec<(usize, FieldPath)>,
    /// What the paths take.
    bytes: usize,
}

impl Shown {
    pub(super) fn len(&self) -> usize {
        self.shown.len()
    }

    /// Anchor number `anchor` stands at this.
    pub(super) fn anchor(&mut self, anchor: usize, anchored: Anchored) {
        self.anchors.insert(anchor, anchored);
    }

    /// The text of the key at which anchor number `anchor` stands, unless it is longer than a key
    /// should be.
    pub(super) fn key(&self, anchor: usize) -> Option<&[u8]> {
        match self.anchors.get(&anchor)? {
            Anchored::Key(text) if text.len() <= LONGEST_KEY => Some(text),
            _ => None,
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
        let (own, shown, from) = (own.clone(), shown.clone(), from.clone());
        let from = from.segments();
        let base = match name {
            Some(name) if element => path.key(name),
            _ => path.clone(),
        };
        for at in own {
            if sites[at].context != Context::COMMENT {
                self.show(at, &sites[at].path, &from, &base)?;
            }
        }
        for at in shown {
            let (site, path) = self.shown[at].clone();
            self.show(site, &path, &from, &base)?;
        }
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
        for at in range {
            self.show(at, &sites[at].path, &from, to)?;
        }
        Ok(())
    }

    /// Site number `site`, seen at `path`, which begins with `from`, shows below `to` as well.
    fn show(
        &mut self,
        site: usize,
        path: &FieldPath,
        from: &[&Segment],
        to: &FieldPath,
    ) -> Result<(), Refused> {
        let segments = path.segments();
        // What does not begin so is the name of the list element `from`.
        let name = segments.len().saturating_sub(1);
        let rest = segments.strip_prefix(from).unwrap_or(&segments[name..]);
        let step = |segment: &&Segment| STEP + segment.key().map_or(0, <[u8]>::len);
        self.bytes += STEP + rest.iter().map(step).sum::<usize>();
        if self.bytes > MOST_SHOWN {
            return Err(Refused::Aliases);
        }
        let path = rest.iter().fold(to.clone(), |path, segment| path.child((*segment).clone()));
        self.shown.push((site, path));
        Ok(())
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
