//! The places of a document and what was found in them, collected in one pass over the text: the
//! name of a list element may stand behind the values that it names, so paths are made last.
//!
//! What must stay true: a place is entered behind its parent, and no place lies deeper than the
//! codec's bound: paths are as deep, and deep ones are dropped recursively.

use std::borrow::Cow;

use super::{Context, FieldPath, Front, Name, Segment, Site};
use crate::span::Span;

/// A place that was entered: a table, a list element, an element of XML.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PlaceId(u32);

/// A value that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FoundId(u32);

/// What leads from a place to one below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step<'t> {
    Key(Cow<'t, [u8]>),
    Element,
}

impl Step<'_> {
    fn segment(&self) -> Segment {
        match self {
            Step::Key(key) => Segment::Key(Name::from(key)),
            Step::Element => Segment::Element,
        }
    }
}

struct Place<'t> {
    parent: PlaceId,
    step: Option<Step<'t>>,
    name: Option<Name>,
}

struct Found<'t> {
    span: Span,
    place: PlaceId,
    key: Option<&'t [u8]>,
    context: Context,
    /// Beside which values it is a name.
    names: Option<PlaceId>,
    dropped: bool,
}

/// See the head of this file.
pub(super) struct Outline<'t> {
    /// What the document stands in.
    base: Front,
    places: Vec<Place<'t>>,
    found: Vec<Found<'t>>,
}

impl<'t> Outline<'t> {
    /// The document itself.
    pub const ROOT: PlaceId = PlaceId(0);

    /// An outline of a text of `len` bytes.
    pub fn new(len: usize) -> Self {
        Self::within(Front::ROOT, len)
    }

    /// An outline of a text of `len` bytes that stands in `base`.
    pub fn within(base: Front, len: usize) -> Self {
        // Few texts have more of either; growing would copy them all.
        let (mut places, found) = (Vec::with_capacity(len / 32), Vec::with_capacity(len / 32));
        places.push(Place { parent: Self::ROOT, step: None, name: None });
        Self { base, places, found }
    }

    /// Enters a place below `parent`.
    pub fn enter(&mut self, parent: PlaceId, step: Step<'t>) -> PlaceId {
        let id = PlaceId(index(self.places.len()));
        self.places.push(Place { parent, step: Some(step), name: None });
        id
    }

    /// Takes note of a value in `place`, under `key` there if it has one. Values come in the order
    /// of the text.
    pub fn add(
        &mut self,
        span: Span,
        place: PlaceId,
        key: Option<&'t [u8]>,
        context: Context,
    ) -> FoundId {
        let id = FoundId(index(self.found.len()));
        self.found.push(Found { span, place, key, context, names: None, dropped: false });
        id
    }

    /// It was no value after all.
    pub fn drop(&mut self, id: FoundId) {
        self.found[id.0 as usize].dropped = true;
    }

    /// What was found so far, for [`Outline::drop_since`].
    pub fn mark(&self) -> FoundId {
        FoundId(index(self.found.len()))
    }

    /// None of what was found since was a value.
    pub fn drop_since(&mut self, mark: FoundId) {
        self.found.truncate(mark.0 as usize);
    }

    /// `found` names `place`: its `text` becomes a segment of what stands in `place`. The name
    /// stands in the place itself or in a place directly below.
    pub fn name(&mut self, place: PlaceId, found: FoundId, text: &[u8]) {
        self.places[place.0 as usize].name = Some(text.into());
        self.names_beside(place, found);
    }

    /// `found`, in `place` or directly below, names something in `place`.
    pub fn names_beside(&mut self, place: PlaceId, found: FoundId) {
        self.found[found.0 as usize].names = Some(place);
    }

    /// Whether `place` has a name.
    pub fn is_named(&self, place: PlaceId) -> bool {
        self.places[place.0 as usize].name.is_some()
    }

    /// Where `found` stands.
    pub fn span(&self, found: FoundId) -> Span {
        self.found[found.0 as usize].span
    }

    /// The sites.
    pub fn into_sites(self) -> Vec<Site> {
        self.finish().0
    }

    /// The sites, and the paths of the places.
    pub fn finish(self) -> (Vec<Site>, Paths<'t>) {
        let mut fronts = vec![None; self.places.len()];
        fronts[0] = Some(self.base.clone());
        let mut paths = Paths { base: self.base, places: self.places, fronts };
        let mut sites = Vec::with_capacity(self.found.len());
        for Found { span, place, key, context, names, dropped } in self.found {
            if dropped {
                continue;
            }
            let path = match (names, key) {
                (None, None) => paths.of(place),
                (None, Some(key)) => paths.front(place).key(key),
                (Some(named), None) => paths.beside_name(named, place),
                (Some(named), Some(key)) => paths.beside_name(named, place).key(key),
            };
            let (naming, also) = (names.is_some(), Box::default());
            sites.push(Site { span, path, context, column: 0, naming, also });
        }
        (sites, paths)
    }
}

/// The paths of places; those that others go on from are made once.
pub(super) struct Paths<'t> {
    base: Front,
    places: Vec<Place<'t>>,
    fronts: Vec<Option<Front>>,
}

impl Paths<'_> {
    /// The path of `place`.
    pub fn of(&mut self, place: PlaceId) -> FieldPath {
        match &self.places[place.0 as usize].name {
            None => self.unnamed(place),
            Some(name) => {
                let segment = Segment::Key(name.clone());
                self.unnamed(place).child(segment)
            }
        }
    }

    /// The path of `place`, for others to go on from.
    pub fn front(&mut self, place: PlaceId) -> &Front {
        let at = place.0 as usize;
        let front = match self.fronts[at].take() {
            Some(front) => front,
            None => self.of(place).into(),
        };
        self.fronts[at].insert(front)
    }

    /// The path of `place` without its name.
    fn unnamed(&mut self, place: PlaceId) -> FieldPath {
        let Place { parent, step, .. } = &self.places[place.0 as usize];
        match step.as_ref().map(Step::segment) {
            Some(segment) => {
                let parent = *parent;
                self.front(parent).child(segment)
            }
            None => self.base.path(),
        }
    }

    /// The path of `place` as it would be if `named`, itself or its parent, had no name.
    fn beside_name(&mut self, named: PlaceId, place: PlaceId) -> FieldPath {
        let unnamed = self.unnamed(named);
        match &self.places[place.0 as usize].step {
            Some(step) if place != named => unnamed.child(step.segment()),
            _ => unnamed,
        }
    }
}

fn index(len: usize) -> u32 {
    // Each takes a byte of the text at least, and texts are far smaller than that.
    u32::try_from(len).expect("fewer than 2^32 places and values")
}
