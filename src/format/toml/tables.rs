//! Which tables a document has and what stands in them: TOML refuses to define anything twice, in
//! five ways.
//!
//! What must stay true: whether a text is taken does not depend on its values, only on keys.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::{Hash, Hasher};

use crate::format::outline::{FoundId, Outline, PlaceId, Step};
use crate::format::sibling::{Naming, Role};

/// A key, decoded.
pub(super) type Key<'t> = Cow<'t, [u8]>;

/// A table, an inline one too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

/// A key in a table.
#[derive(PartialEq, Eq)]
struct Under<'t>(TableId, Key<'t>);

/// Two pieces for the hasher; derived, there would be a third, the key's length.
impl Hash for Under<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.1);
        state.write_u32(self.0.0);
    }
}

/// The tables of a document.
pub(super) struct Tables<'t> {
    tables: Vec<Table<'t>>,
    entries: HashMap<Under<'t>, Entry>,
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
        add(&mut self.tables, Table { place, implied: false, dotted: false, naming })
    }

    /// Takes note that something stands under `key` in `table`.
    fn see_key(&mut self, table: TableId, key: &[u8]) {
        if let Some(naming) = &mut self.tables[table.0 as usize].naming
            && Role::of(key) == Some(Role::Value)
        {
            naming.see_value();
        }
    }

    /// The table under `key` in `table`, on the way to something deeper.
    fn descend(
        &mut self,
        outline: &mut Outline<'t>,
        table: TableId,
        key: Key<'t>,
        dotted: bool,
    ) -> Result<TableId, Taken> {
        self.see_key(table, &key);
        match self.entries.entry(Under(table, key)) {
            Slot::Vacant(slot) => {
                let below = below(&mut self.tables, outline, slot.key());
                self.tables[below.0 as usize].dotted = dotted;
                slot.insert(Entry::Table(below));
                Ok(below)
            }
            Slot::Occupied(slot) => match *slot.get() {
                Entry::Table(id) => {
                    let below = &mut self.tables[id.0 as usize];
                    if dotted && !below.implied {
                        return Err(TWICE);
                    }
                    below.dotted |= dotted;
                    Ok(id)
                }
                Entry::List(_, last) => Ok(last),
                Entry::Value => Err(VALUE),
            },
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
            self.see_key(table, &key);
            let taken = self.entries.insert(Under(table, key.clone()), Entry::Value);
            if is_closed || taken.is_some() {
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
        self.see_key(table, &key);
        let id = match self.entries.entry(Under(table, key)) {
            Slot::Vacant(slot) => {
                let below = below(&mut self.tables, outline, slot.key());
                slot.insert(Entry::Table(below));
                below
            }
            Slot::Occupied(slot) => match *slot.get() {
                Entry::Table(id) => id,
                Entry::Value | Entry::List(..) => return Err(TWICE),
            },
        };
        let below = &mut self.tables[id.0 as usize];
        if !below.implied || below.dotted {
            return Err(TWICE);
        }
        below.implied = false;
        Ok(id)
    }

    fn element(
        &mut self,
        outline: &mut Outline<'t>,
        table: TableId,
        key: Key<'t>,
    ) -> Result<TableId, Taken> {
        self.see_key(table, &key);
        let place = self.place(table);
        let (list, slot) = match self.entries.entry(Under(table, key)) {
            Slot::Vacant(slot) => {
                let list = outline.enter(place, Step::Key(slot.key().1.clone()));
                (list, Slot::Vacant(slot))
            }
            Slot::Occupied(slot) => match *slot.get() {
                Entry::List(list, _) => (list, Slot::Occupied(slot)),
                Entry::Value | Entry::Table(_) => return Err(TWICE),
            },
        };
        let place = outline.enter(list, Step::Element);
        let naming = Some(Box::new(Naming::new()));
        let id = add(&mut self.tables, Table { place, implied: false, dotted: false, naming });
        slot.insert_entry(Entry::List(list, id));
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
            table = match self.entries.get(&Under(table, Cow::Borrowed(&**key))) {
                Some(Entry::Table(id)) => *id,
                Some(Entry::List(_, last)) if !is_last => *last,
                _ => return (self.place(table), n),
            };
        }
        (self.place(table), keys.len())
    }
}

fn add<'t>(tables: &mut Vec<Table<'t>>, table: Table<'t>) -> TableId {
    let id = u32::try_from(tables.len()).expect("fewer than 2^32 tables");
    tables.push(table);
    TableId(id)
}

/// A new table at this key, implied so far.
fn below<'t>(
    tables: &mut Vec<Table<'t>>,
    outline: &mut Outline<'t>,
    Under(table, key): &Under<'t>,
) -> TableId {
    let place = outline.enter(tables[table.0 as usize].place, Step::Key(key.clone()));
    add(tables, Table { place, implied: true, dotted: false, naming: None })
}
