//! The ledger `<store>/.confseal/sealed`: which fields were found sealed though no rule names
//! them. They stay secret until someone makes them public on purpose.
//!
//! One line each, sorted: the file, a TAB, the field path. Control characters, `%` and what is
//! no UTF-8 are percent-encoded in the file, as they are in a field path. Two branches that add
//! lines merge like any sorted list, so order and repetition do not matter to the reader.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::format::FieldPath;
use crate::path::RelPath;

/// A set of (file, field).
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Ledger(BTreeMap<RelPath, BTreeSet<String>>);

/// Why a text is no ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ledger, line {line}: {kind}")]
pub struct LedgerError {
    /// 1-based.
    pub line: usize,
    /// What is wrong there.
    pub kind: &'static str,
}

impl Ledger {
    /// A ledger without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the lines; refused whole on any error, since a lost entry would show a secret.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let mut ledger = Self::new();
        for (n, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let fail = |kind| LedgerError { line: n + 1, kind };
            let (file, field) = line
                .split_once('\t')
                .ok_or_else(|| fail("a TAB is expected between file and field"))?;
            let file = decode(file).ok_or_else(|| fail("two hex digits follow a %"))?;
            let file = RelPath::new(&file).map_err(|_| fail("not a path inside the store"))?;
            if file.is_root() {
                return Err(fail("the file is missing"));
            }
            let field = FieldPath::parse(field).map_err(|_| fail("not a field path"))?;
            ledger.insert(&file, &field);
        }
        Ok(ledger)
    }

    /// Enters a field; whether it was not there before.
    pub fn insert(&mut self, file: &RelPath, field: &FieldPath) -> bool {
        self.0.entry(file.clone()).or_default().insert(field.to_string())
    }

    /// Strikes a field; whether it was there.
    pub fn remove(&mut self, file: &RelPath, field: &FieldPath) -> bool {
        let Some(fields) = self.0.get_mut(file) else { return false };
        let found = fields.remove(&field.to_string());
        if fields.is_empty() {
            self.0.remove(file);
        }
        found
    }

    /// What is entered here or in `other`.
    #[must_use]
    pub fn united_with(mut self, other: &Ledger) -> Self {
        for (file, fields) in &other.0 {
            self.0.entry(file.clone()).or_default().extend(fields.iter().cloned());
        }
        self
    }

    /// What is entered here and not in `other`, as the lines of a ledger.
    pub fn without(&self, other: &Ledger) -> Ledger {
        let rest = self.0.iter().filter_map(|(file, fields)| {
            let known = other.0.get(file);
            let is_new = |field: &&String| !known.is_some_and(|known| known.contains(*field));
            let fields: BTreeSet<String> = fields.iter().filter(is_new).cloned().collect();
            (!fields.is_empty()).then(|| (file.clone(), fields))
        });
        Ledger(rest.collect())
    }

    /// Every entry: the file, and the field in the textual grammar of field paths.
    pub fn iter(&self) -> impl Iterator<Item = (&RelPath, &str)> {
        self.0.iter().flat_map(|(file, fields)| fields.iter().map(move |field| (file, &**field)))
    }

    /// Whether the field is entered.
    pub fn contains(&self, file: &RelPath, field: &FieldPath) -> bool {
        self.0.get(file).is_some_and(|fields| fields.contains(&field.to_string()))
    }

    /// The entries of `from` hold for `to` as well. Those of either stay: a program that saves by
    /// renaming, or by moving its file aside first, has not made anything public.
    pub fn rename_file(&mut self, from: &RelPath, to: &RelPath) {
        if let Some(fields) = self.0.get(from).cloned() {
            self.0.entry(to.clone()).or_default().extend(fields);
        }
    }

    /// Moves the entries of every file below the directory `from` to below `to`.
    pub fn rename_dir(&mut self, from: &RelPath, to: &RelPath) {
        let below: Vec<RelPath> =
            self.0.keys().filter(|file| *file != from && file.is_within(from)).cloned().collect();
        for file in below {
            let rest = &file.as_bytes()[from.as_bytes().len()..];
            let moved = [to.as_bytes(), b"/", rest].concat();
            let moved = moved.iter().position(|b| *b != b'/').map(|at| &moved[at..]);
            if let Some(Ok(moved)) = moved.map(RelPath::new) {
                self.rename_file(&file, &moved);
                self.0.remove(&file);
            }
        }
    }

    /// The fields entered for `file`, in the textual grammar of field paths, sorted.
    pub fn for_file(&self, file: &RelPath) -> impl Iterator<Item = &str> {
        self.0.get(file).into_iter().flatten().map(String::as_str)
    }

    /// Whether nothing is entered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries of `file` as a set, for [`super::FieldRules`].
    pub(super) fn entries(&self, file: &RelPath) -> Option<&BTreeSet<String>> {
        self.0.get(file)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By their spelling, not by their bytes: `sort -u` on a merged file changes nothing.
        let mut lines = Vec::new();
        for (file, fields) in &self.0 {
            let file = encode(file.as_bytes());
            lines.extend(fields.iter().map(|field| format!("{file}\t{field}\n")));
        }
        lines.sort_unstable();
        lines.iter().try_for_each(|line| f.write_str(line))
    }
}

fn encode(file: &[u8]) -> String {
    let mut text = String::with_capacity(file.len());
    let percent = |text: &mut String, byte: u8| text.push_str(&format!("%{byte:02X}"));
    for chunk in file.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' || c.is_control() {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| percent(&mut text, byte));
            } else {
                text.push(c);
            }
        }
        chunk.invalid().iter().for_each(|byte| percent(&mut text, *byte));
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.as_bytes().split(|b| *b == b'%');
    let mut file = parts.next()?.to_vec();
    for part in parts {
        let hex = part.get(..2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))?;
        file.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
        file.extend_from_slice(&part[2..]);
    }
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: impl AsRef<[u8]>) -> RelPath {
        RelPath::new(path).unwrap()
    }

    fn field(text: &str) -> FieldPath {
        FieldPath::parse(text).unwrap()
    }

    #[test]
    fn odd_names_come_back_and_lines_are_sorted() {
        let mut ledger = Ledger::new();
        let odd = file(b"d/a\tb\n%\xff\xc3\xa9 x.toml");
        let odd_field = FieldPath::root().key("a\tb\n").element().key(b"\xff");
        assert!(ledger.insert(&odd, &odd_field));
        assert!(!ledger.insert(&odd, &odd_field));
        ledger.insert(&file("z.toml"), &field("a"));
        ledger.insert(&file("a.toml"), &field("users[].b"));
        ledger.insert(&file("a.toml"), &field("b"));
        let text = ledger.to_string();
        assert_eq!(
            text,
            "a.toml\tb\na.toml\tusers[].b\n\
             d/a%09b%0A%25%FF\u{e9} x.toml\t\"a%09b%0A\"[].\"%FF\"\nz.toml\ta\n"
        );
        let again = Ledger::parse(&text).unwrap();
        assert_eq!(again, ledger);
        assert!(again.contains(&odd, &odd_field));
    }

    #[test]
    fn ledgers_are_united_and_told_apart() {
        let one = Ledger::parse("a\tx\nb\ty\n").unwrap();
        let two = Ledger::parse("a\tx\na\tz\n").unwrap();
        assert_eq!(one.without(&two).to_string(), "b\ty\n");
        let both = one.clone().united_with(&two);
        assert_eq!(both.to_string(), "a\tx\na\tz\nb\ty\n");
        assert_eq!(both.iter().count(), 3);
        assert!(one.without(&both).is_empty());
    }

    #[test]
    fn merged_text_reads_in_any_order() {
        let merged = Ledger::parse("b\tx\r\n\na\ty\nb\tx\n").unwrap();
        assert_eq!(merged.to_string(), "a\ty\nb\tx\n");
    }

    #[test]
    fn what_is_no_ledger_is_refused_with_its_line() {
        for (text, line) in [
            ("a\tx\n<<<<<<< HEAD\n", 2),
            ("a x\n", 1),
            ("a\tx\nb%0\ty\n", 2),
            ("a\tx\nb%+1\ty\n", 2),
            ("/etc/x\ty\n", 1),
            ("../x\ty\n", 1),
            ("\ty\n", 1),
            ("a\tx..y\n", 1),
        ] {
            assert_eq!(Ledger::parse(text).unwrap_err().line, line, "{text:?}");
        }
    }

    #[test]
    fn a_renamed_file_keeps_its_entries_and_those_of_its_target() {
        let mut ledger = Ledger::parse("new\ta\nold\tb\n").unwrap();
        ledger.rename_file(&file("new"), &file("old"));
        ledger.rename_file(&file("missing"), &file("old"));
        assert_eq!(ledger.for_file(&file("old")).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(ledger.for_file(&file("new")).collect::<Vec<_>>(), ["a"]);
        assert!(ledger.remove(&file("new"), &field("a")));
        ledger.rename_file(&file("old"), &file("old"));
        assert!(ledger.remove(&file("old"), &field("a")));
        assert!(!ledger.remove(&file("old"), &field("a")));
        assert!(ledger.remove(&file("old"), &field("b")));
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_renamed_directory_takes_its_files_along() {
        let mut ledger = Ledger::parse("d/e/x\ta\nd/y\tb\nde/z\tc\n").unwrap();
        ledger.rename_dir(&file("d"), &file("n/m"));
        assert_eq!(ledger.to_string(), "de/z\tc\nn/m/e/x\ta\nn/m/y\tb\n");
        ledger.rename_dir(&file("n/m"), &RelPath::root());
        assert_eq!(ledger.to_string(), "de/z\tc\ne/x\ta\ny\tb\n");
    }
}
