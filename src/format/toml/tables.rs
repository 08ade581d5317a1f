//! Which tables a document has and what stands in them: TOML refuses to define anything twice, in
//! five ways.
//!
//! What must stay true: whether a text is taken does not depend on its values, only on keys.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::format::outline::{FoundId, Outline, PlaceId, Step};
use crate::format::sibling::{Naming, Role};

/// A key, decoded.
pub(super) type Key<'t> = Cow<'t, [u8]>;

/// A table, an inline one too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct TableId(u32);

/// A key that cannot stand where it stands.
pub(super) struct Taken(pub(super) &'static str);

const TWICE: Taken = Taken("a key or table that is already defined");
const VALUE: Taken = Taken("a key below one that is a value");

struct Table<'t> {
    place: PlaceId,
    /// Whether only deeper headers or dotted keys imply it.
    implied: bool,
    /// Whether a dotted key does.
    dotted: bool,
    /// Of a list element: what may name it.
    naming: Option<Box<Naming<Name<'t>>>>,
}

/// The value that names a list element, and its text.
type Name<'t> = (FoundId, Key<'t>);

/// What stands under a key.
#[derive(Clone, Copy)]
enum Entry {
    Value,
    Table(TableId),
    /// `[[key]]`: the place of the list and its last element.
    List(PlaceId, TableId),
}

/// The tables of a document.
pub(super) struct Tables<'t> {
    tables: Vec<Table<'t>>,
    entries: HashMap<(TableId, Key<'t>), Entry>,
}

impl<'t> Tables<'t> {
    /// The document itself.
    pub const ROOT: TableId = TableId(0);

    /// None but the document itself, a text of `len` bytes.
    pub fn new(len: usize) -> Self {
        let root = Table { place: Outline::ROOT, implied: false, dotted: false, naming: None };
        // Few texts have more; growing would place them all anew.
        Self { tables: vec![root], entries: HashMap::with_capacity(len / 64) }
    }

    /// Where `table` stands.
    pub fn place(&self, table: TableId) -> PlaceId {
        self.tables[table.0 as usize].place
    }

    /// An inline table at `place`.
    pub fn inline(&mut self, place: PlaceId, is_element: bool) -> TableId {
        let naming = is_element.then(|| Box::new(Naming::new()));
        self.add(Table { place, implied: false, dotted: false, naming })
    }

    fn add(&mut self, table: Table<'t>) -> TableId {
        let id = u32::try_from(self.tables.len()).expect("fewer than 2^32 tables");
        self.tables.push(table);
        TableId(id)
    }

    /// Whether something stood there already.
    fn insert(&mut self, table: TableId, key: Key<'t>, entry: Entry) -> bool {
        if let Some(naming) = &mut self.tables[table.0 as usize].naming
            && Role::of(&key) == Some(Role::Value)
        {
            naming.see_value();
        }
        self.entries.insert((table, key), entry).is_some()
    }

    /// The table under `key` in `table`, on the way to something deeper.
    fn descend(
        &mut self,
        outline: &mut Outline<'t>,
        table: TableId,
        key: Key<'t>,
        dotted: bool,
    ) -> Result<TableId, Taken> {
        let entry = (table, key);
        match self.entries.get(&entry) {
            None => {
                let key = entry.1;
                let place = outline.enter(self.place(table), Step::Key(key.clone()));
                let id = self.add(Table { place, implied: true, dotted, naming: None });
                self.insert(table, key, Entry::Table(id));
                Ok(id)
            }
            Some(Entry::Table(id)) => {
                let below = &mut self.tables[id.0 as usize];
                if dotted && !below.implied {
                    return Err(TWICE);
                }
                below.dotted |= dotted;
                Ok(*id)
            }
            Some(Entry::List(_, last)) => Ok(*last),
            Some(Entry::Value) => Err(VALUE),
        }
    }

    /// Defines a value under the dotted key `keys` in `table`; returns its table and last key. At
    /// the error is the number of the key that is wrong.
    pub fn value(
        &mut self,
        outline: &mut Outline<'t>,
        mut table: TableId,
        keys: impl Iterator<Item = Key<'t>>,
    ) -> Result<Option<(TableId, Key<'t>)>, (usize, Taken)> {
        let mut keys = keys.enumerate().peekable();
        while let Some((n, key)) = keys.next() {
            if keys.peek().is_some() {
                table = self.descend(outline, table, key, true).map_err(|taken| (n, taken))?;
                continue;
            }
            // Through a list is fine for `toml_edit`, and so for who reads with it; into it is not.
            let is_closed = n > 0 && !self.tables[table.0 as usize].implied;
            if is_closed || self.insert(table, key.clone(), Entry::Value) {
                return Err((n, TWICE));
            }
            return Ok(Some((table, key)));
        }
        Ok(None)
    }

    /// Defines the table with the header `keys`, or the next of a list of such tables.
    pub fn header(
        &mut self,
        outline: &mut Outline<'t>,
        keys: impl Iterator<Item = Key<'t>>,
        is_element: bool,
    ) -> Result<TableId, (usize, Taken)> {
        let mut table = Self::ROOT;
        let mut keys = keys.enumerate().peekable();
        while let Some((n, key)) = keys.next() {
            let next = match keys.peek() {
                Some(_) => self.descend(outline, table, key, false),
                None if is_element => self.element(outline, table, key),
                None => self.define(outline, table, key),
            };
            table = next.map_err(|taken| (n, taken))?;
        }
        Ok(table)
    }

    fn define(
        &mut self,
        outline: &mut Outline<'t>,
        table: TableId,
        key: Key<'t>,
    ) -> Result<TableId, Taken> {
        let entry = (table, key);
        match self.entries.get(&entry) {
            None => {
                let id = self.descend(outline, table, entry.1, false)?;
                self.tables[id.0 as usize].implied = false;
                Ok(id)
            }
            Some(Entry::Table(id)) => {
                let below = &mut self.tables[id.0 as usize];
                if !below.implied || below.dotted {
                    return Err(TWICE);
                }
                below.implied = false;
                Ok(*id)
            }
            Some(Entry::Value | Entry::List(..)) => Err(TWICE),
        }
    }

    fn element(
        &mut self,
        outline: &mut Outline<'t>,
        table: TableId,
        key: Key<'t>,
    ) -> Result<TableId, Taken> {
        let entry = (table, key);
        let list = match self.entries.get(&entry) {
            None => outline.enter(self.place(table), Step::Key(entry.1.clone())),
            Some(Entry::List(list, _)) => *list,
            Some(Entry::Value | Entry::Table(_)) => return Err(TWICE),
        };
        let id = self.inline(outline.enter(list, Step::Element), true);
        self.insert(table, entry.1, Entry::List(list, id));
        Ok(id)
    }

    /// Whether the text of a value under `key` may name `table`.
    pub fn role(&self, table: TableId, key: &[u8]) -> Option<Role> {
        self.tables[table.0 as usize].naming.as_ref().and_then(|_| Role::of(key))
    }

    /// Takes note of a value that may name `table`.
    pub fn see(&mut self, table: TableId, role: Role, text: Key<'t>, found: FoundId) {
        if let Some(naming) = &mut self.tables[table.0 as usize].naming {
            naming.see(role, Some(&text.clone()), (found, text));
        }
    }

    /// Names the list elements, once all is read.
    pub fn name(&mut self, outline: &mut Outline<'t>) {
        for table in &mut self.tables {
            if let Some((found, text)) = table.naming.take().and_then(|naming| naming.chosen()) {
                outline.name(table.place, found, &text);
            }
        }
    }

    /// The place that a table with the header `keys` would have, as far as there is one, and how
    /// many of the keys lead there. Of a list, the last element is meant; but a last key that is
    /// one leads nowhere.
    pub fn nearest(&self, keys: &[Key<'_>]) -> (PlaceId, usize) {
        let mut table = Self::ROOT;
        for (n, key) in keys.iter().enumerate() {
            let is_last = n + 1 == keys.len();
            table = match self.entries.get(&(table, Cow::Borrowed(&**key))) {
                Some(Entry::Table(id)) => *id,
                Some(Entry::List(_, last)) if !is_last => *last,
                _ => return (self.place(table), n),
            };
        }
        (self.place(table), keys.len())
    }
}
