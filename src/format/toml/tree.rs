//! The values of a parsed TOML text: the sites of its scalars, and the places of its tables and
//! arrays, so that a comment can be told where it stands.

use toml_edit::{Item, Table, TableLike, Value};

use crate::format::sibling::{Naming, Role};
use crate::format::{Context, FieldPath, Front, Site};
use crate::span::Span;

/// Where a table or an array begins.
pub(super) struct Place {
    /// Offset of its opening bracket.
    pub(super) start: usize,
    /// What kind of thing begins here.
    pub(super) kind: PlaceKind,
    /// The path of what stands directly inside: of the table, or of the array's elements.
    pub(super) path: Front,
}

/// The kinds of [`Place`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PlaceKind {
    /// `[table]` or `[[table]]`.
    Header,
    /// `{ … }`.
    InlineTable,
    /// `[ … ]`.
    Array,
}

/// A value that the parser gives no span for; there is none in a parsed text. An error, because a
/// value that is not listed would stay in the clear.
pub(super) struct Lost(pub(super) &'static str);

/// The walk through a parsed text, and what it has found; in the order of the tree.
pub(super) struct Tree {
    pub(super) sites: Vec<Site>,
    pub(super) places: Vec<Place>,
    context: Context,
    cut: usize,
    shift: usize,
}

impl Tree {
    /// A walk through a part of the text that begins at `shift` and was parsed with `cut` bytes
    /// in front of it.
    pub(super) fn new(context: Context, cut: usize, shift: usize) -> Self {
        Self { sites: Vec::new(), places: Vec::new(), context, cut, shift }
    }

    /// Walks the table at `path`; `name` is the one it has as a list element.
    pub(super) fn table(
        &mut self,
        table: &dyn TableLike,
        path: &Front,
        name: Option<Name<'_>>,
    ) -> Result<(), Lost> {
        let inside = named(path, name);
        for (key, item) in table.iter() {
            let naming = name.is_some_and(|name| name.key == key);
            let path = if naming { path } else { &inside }.key(key);
            match item {
                Item::None => {}
                Item::Value(value) => self.value(value, path, naming)?,
                Item::Table(table) => {
                    let path = Front::from(path);
                    self.header(table, &path);
                    self.table(table, &path, None)?;
                }
                Item::ArrayOfTables(tables) => {
                    let path = Front::from(path.element());
                    for table in tables {
                        let name = name_of(table);
                        self.header(table, &named(&path, name));
                        self.table(table, &path, name)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Walks the value at `path`.
    pub(super) fn value(
        &mut self,
        value: &Value,
        path: FieldPath,
        naming: bool,
    ) -> Result<(), Lost> {
        match value {
            Value::Array(array) => {
                let path = Front::from(path.element());
                self.place(array.span(), PlaceKind::Array, &path);
                self.elements(array, &path)
            }
            Value::InlineTable(table) => {
                let path = Front::from(path);
                if !table.is_dotted() {
                    self.place(table.span(), PlaceKind::InlineTable, &path);
                }
                self.table(table, &path, None)
            }
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => {
                let span = value.span().ok_or(Lost("a value without a place"))?;
                let span = Span::from(span.start - self.cut..span.end - self.cut);
                self.sites.push(Site {
                    span: span.shifted(self.shift),
                    path,
                    context: self.context,
                    column: 0,
                    naming,
                    also: Box::default(),
                });
                Ok(())
            }
        }
    }

    /// Walks the elements of an array; `path` is theirs.
    pub(super) fn elements(&mut self, array: &toml_edit::Array, path: &Front) -> Result<(), Lost> {
        for element in array {
            match element {
                Value::InlineTable(table) => {
                    let name = name_of(table);
                    self.place(table.span(), PlaceKind::InlineTable, &named(path, name));
                    self.table(table, path, name)?;
                }
                other => self.value(other, path.path(), false)?,
            }
        }
        Ok(())
    }

    fn header(&mut self, table: &Table, path: &Front) {
        // A table that only dotted keys or deeper headers imply has no header of its own.
        if !table.is_dotted() {
            self.place(table.span(), PlaceKind::Header, path);
        }
    }

    fn place(&mut self, span: Option<std::ops::Range<usize>>, kind: PlaceKind, path: &Front) {
        if let Some(span) = span {
            self.places.push(Place { start: span.start, kind, path: path.clone() });
        }
    }
}

/// The name of a list element, and the key it stands under.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    key: &'a str,
    text: &'a str,
}

/// `path`, extended by the name of the list element that it leads to.
pub(super) fn named(path: &Front, name: Option<Name<'_>>) -> Front {
    name.map_or_else(|| path.clone(), |name| path.key(name.text).into())
}

/// The name of a list element.
pub(super) fn name_of(table: &dyn TableLike) -> Option<Name<'_>> {
    let mut naming = Naming::new();
    for (key, item) in table.iter() {
        if let Some(role) = Role::of(key.as_bytes()) {
            let text = item.as_str();
            let name = Name { key, text: text.unwrap_or_default() };
            naming.see(role, text.map(str::as_bytes), name);
        }
    }
    naming.chosen()
}
