//! What stands in the store, counted: tokens by key, files by form, secrets in the clear. A file
//! is looked at again only when its stamp has changed.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use super::{Filesystem, Result};
use crate::document::{Form, Scheme, inspect_with, token_keys};
use crate::keyring::KeyId;
use crate::path::RelPath;
use crate::policy::{Class, Classified};
use crate::store::{FileKind, Stamp, Walk, is_version_control};

/// How many secrets in the clear are told of one by one: a store that was never sealed has many.
const MOST_TOLD: usize = 20;

#[derive(Default)]
pub(super) struct Census {
    /// Held during a count, which waits for the store; nothing else needs it.
    known: Mutex<HashMap<RelPath, (Stamp, u64, Counted)>>,
}

/// One file, counted.
#[derive(Clone, Default)]
struct Counted {
    form: Option<Form>,
    keys: BTreeMap<KeyId, usize>,
    foreign: BTreeMap<Scheme, usize>,
    exposed: Vec<String>,
    is_fallback: bool,
}

/// The whole store, counted.
#[derive(Default)]
pub(super) struct Totals {
    pub plain: usize,
    pub fields: usize,
    pub whole: usize,
    pub unread: usize,
    pub keys: BTreeMap<KeyId, usize>,
    /// Tokens of other systems.
    pub foreign: BTreeMap<Scheme, usize>,
    /// File and field of each secret in the clear; the field is empty for a whole file.
    pub exposed: Vec<(RelPath, String)>,
    /// Files that stand sealed whole though their fields were to be sealed.
    pub fallback: Vec<RelPath>,
}

impl Filesystem {
    /// Counts the store. Takes a walk, and a look at each file that changed since the last count.
    pub(super) fn count(&self) -> Result<Totals> {
        let rules = self.rules();
        let (policy, ledger) = (&rules.sealing.policy, &rules.sealing.ledger);
        let imports = &rules.sealing.imports;
        let mut known = self.census.known.lock();
        let mut next = HashMap::with_capacity(known.len());
        let mut totals = Totals::default();
        let mut told = 0;
        self.store.walk(&RelPath::root(), &mut |dir, path, entry| {
            if entry.kind == FileKind::Dir && is_version_control(&entry.name) {
                return Ok(Walk::Skip);
            }
            if entry.kind != FileKind::File {
                return Ok(Walk::Continue);
            }
            let Ok(metadata) = dir.stat(&entry.name) else { return Ok(Walk::Continue) };
            let stamp = metadata.stamp();
            let before = known.remove(path);
            let counted = match &before {
                Some((old, version, counted)) if *old == stamp && *version == rules.version => {
                    counted.clone()
                }
                _ => match self.read_stored(dir, &entry.name, path) {
                    Ok(None) => Counted { form: Some(Form::Plain), ..Counted::default() },
                    Ok(Some(snapshot)) => {
                        let seen = inspect_with(policy, ledger, imports, path, &snapshot.bytes);
                        let mut keys = BTreeMap::new();
                        for key in token_keys(&snapshot.bytes) {
                            *keys.entry(key).or_default() += 1;
                        }
                        let mut foreign = BTreeMap::new();
                        for scheme in seen.foreign() {
                            *foreign.entry(scheme).or_default() += 1;
                        }
                        let fields = seen.fields.iter().filter(|field| field.is_exposed());
                        let mut exposed: Vec<_> =
                            fields.map(|field| field.path.to_string()).collect();
                        if seen.exposed_whole {
                            exposed.push(String::new());
                        }
                        let is_fallback = seen.form == Form::Whole && is_for_fields(&seen.class);
                        Counted { form: Some(seen.form), keys, foreign, exposed, is_fallback }
                    }
                    Err(_) => Counted::default(),
                },
            };
            let known_before = before.map(|(_, _, counted)| counted.exposed).unwrap_or_default();
            let news = counted.exposed.iter().filter(|field| !known_before.contains(field));
            news.for_each(|field| tell_exposed(path, field, &mut told));
            totals.add(path, &counted);
            next.insert(path.clone(), (stamp, rules.version, counted));
            Ok(Walk::Continue)
        })?;
        *known = next;
        if told > MOST_TOLD {
            let more = told - MOST_TOLD;
            log::warn!(event = "in-the-clear"; "{more} more secrets in the clear: see \
                                                `confseal check`");
        }
        for name in self.store.kept()? {
            for key in token_keys(&self.store.read_kept(&name)?) {
                *totals.keys.entry(key).or_default() += 1;
            }
        }
        Ok(totals)
    }
}

impl Totals {
    fn add(&mut self, path: &RelPath, counted: &Counted) {
        match counted.form {
            Some(Form::Plain) => self.plain += 1,
            Some(Form::Fields(_)) => self.fields += 1,
            Some(Form::Whole) => self.whole += 1,
            None => self.unread += 1,
        }
        for (key, count) in &counted.keys {
            *self.keys.entry(*key).or_default() += count;
        }
        for (scheme, count) in &counted.foreign {
            *self.foreign.entry(*scheme).or_default() += count;
        }
        if counted.is_fallback {
            self.fallback.push(path.clone());
        }
        self.exposed.extend(counted.exposed.iter().map(|field| (path.clone(), field.clone())));
    }
}

/// Whether a rule or a name, not what it holds, makes it a file whose fields are sealed.
fn is_for_fields(class: &Classified) -> bool {
    matches!(class.class, Class::Fields(_)) && !class.is_by_content()
}

/// A secret in the clear was not there, or not known, at the last count. An empty `field` stands
/// for the file as a whole.
fn tell_exposed(file: &RelPath, field: &str, told: &mut usize) {
    *told += 1;
    if *told > MOST_TOLD {
        return;
    }
    let what = match field.is_empty() {
        true => "the file".to_owned(),
        false => format!("field `{field}`"),
    };
    log::warn!(
        event = "in-the-clear", file:% = file, field = field;
        "{file}: {what} is secret and stands in the clear in the store; saving it through the \
         mount seals it"
    );
}
