//! What encloses a token, and what may come next in it.

use crate::format::outline::{FoundId, PlaceId};
use crate::format::sibling::{Naming, Role};

/// What encloses a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Body,
    /// The value of an attribute, up to the end of the line.
    Attribute,
    Object,
    Tuple,
    /// Parentheses, with one value in them or with arguments.
    Group,
    Call,
    /// What selects an element.
    Index,
    /// `for` in an object or a tuple.
    For,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Operand,
    Operator,
    /// A name behind a dot.
    Member,
}

/// How far an item of an object is read. Elsewhere all is value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Begin,
    /// A key that begins here.
    Key(usize),
    Value,
}

pub(super) struct Frame {
    pub kind: Kind,
    /// The mark that closes it.
    pub close: u8,
    /// Where comments are read, and in objects and bodies the parent of the items.
    pub place: PlaceId,
    /// The place of the value that is read.
    pub item: PlaceId,
    /// Whether what stands here is a key.
    pub silent: bool,
    pub want: Want,
    /// Conditionals whose `:` is yet to come.
    pub conditions: usize,
    pub stage: Stage,
    /// Whether the value has just begun.
    pub fresh: bool,
    /// The literal that is the whole item so far, if it is one.
    pub sole: Option<Sole>,
    /// Whether the token before was a name that may be a function's.
    pub callable: bool,
    /// What the items tell of the frame's name; `None` where there is none to tell.
    pub naming: Option<Naming<FoundId>>,
    pub role: Option<Role>,
}

#[derive(Clone, Copy)]
pub(super) struct Sole {
    pub found: FoundId,
    /// A string is a value also as a part of an expression.
    pub text: bool,
}

impl Frame {
    pub fn new(kind: Kind, close: u8, place: PlaceId, item: PlaceId) -> Self {
        Self {
            kind,
            close,
            place,
            item,
            silent: false,
            want: Want::Operand,
            conditions: 0,
            stage: if kind == Kind::Object { Stage::Begin } else { Stage::Value },
            fresh: true,
            sole: None,
            callable: false,
            naming: None,
            role: None,
        }
    }

    /// Whether a literal here belongs to a key.
    pub fn is_silent(&self) -> bool {
        self.silent || self.stage != Stage::Value
    }
}
