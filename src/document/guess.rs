//! What a file may be that no rule, no name and no extension tells: for proposing a rule to
//! somebody. It decides nothing by itself; such a file is sealed whole or stays plain.

use super::import::Imports;
use super::inspect::{Finding, fields};
use crate::format::{CodecId, Segment};
use crate::path::RelPath;
use crate::policy::{Ledger, Policy};

/// A format that a text reads as, and the fields it has then.
#[derive(Debug)]
pub struct Guess {
    /// The format.
    pub id: CodecId,
    /// Its fields.
    pub fields: Vec<Finding>,
}

/// A stricter grammar first: what it takes, it understands. Properties and directives take prose.
const CANDIDATES: [CodecId; 8] = [
    CodecId::Json,
    CodecId::Xml,
    CodecId::Toml,
    CodecId::Nginx,
    CodecId::Dotenv,
    CodecId::Ini,
    CodecId::Configparser,
    CodecId::Yaml,
];

/// The format that `text`, the content of `file`, most likely is of, if it is configuration at
/// all: nearly every line says something in it, and a secret stands in it.
pub fn guess(policy: &Policy, ledger: &Ledger, file: &RelPath, text: &[u8]) -> Option<Guess> {
    if text.contains(&0) {
        return None;
    }
    let rules = policy.fields(file, ledger);
    CANDIDATES.into_iter().find_map(|id| {
        let sites = id.codec().scan(text).ok()?;
        let fields = fields(&rules, &Imports::default().in_file(file), text, id, sites);
        // `NAME='value'` is TOML, too, but nobody's.
        if id == CodecId::Toml && fields.iter().all(is_variable) {
            return None;
        }
        let understood =
            !fields.iter().any(|field| field.path.is_root()) && says_much(text, &fields);
        (understood && fields.iter().any(Finding::is_exposed)).then_some(Guess { id, fields })
    })
}

/// Whether the field is named as variables of the environment are.
fn is_variable(field: &Finding) -> bool {
    let mut keys = field.path.inwards();
    let name = keys.next().and_then(Segment::key).unwrap_or_default();
    let capital = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
    keys.next().is_none() && name.iter().all(capital)
}

/// Whether at least half of the lines that are no comment and no heading hold a field.
fn says_much(text: &[u8], fields: &[Finding]) -> bool {
    let speaks = |line: &&[u8]| {
        let line = line.trim_ascii();
        !matches!(line, [] | [b'#' | b';' | b'[' | b'{' | b'}' | b']' | b'<', ..])
    };
    let lines = text.split(|b| *b == b'\n').filter(speaks).count();
    let mut held: Vec<usize> =
        fields.iter().filter(|field| !field.commented).map(|field| field.line).collect();
    held.dedup();
    held.len() * 2 >= lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(text: &str) -> Option<CodecId> {
        let file = RelPath::new("settings").unwrap();
        guess(&Policy::builtin(), &Ledger::new(), &file, text.as_bytes()).map(|guess| guess.id)
    }

    #[test]
    fn a_file_without_a_telling_name_is_known_by_what_stands_in_it() {
        for (text, id) in [
            ("{\"db\": {\"password\": \"hunter2\"}}", CodecId::Json),
            ("[db]\nhost = \"x\"\npassword = \"hunter2\"\n", CodecId::Toml),
            ("DB_PASSWORD='hunter2'\nDB_HOST='x'\n", CodecId::Dotenv),
            ("# for the unit\nDB_PASSWORD=hunter2\nDB_HOST=x\n", CodecId::Dotenv),
        ] {
            assert_eq!(guessed(text), Some(id), "{text}");
        }
    }

    #[test]
    fn prose_and_data_are_no_configuration() {
        for text in [
            "",
            "To change it, edit the file.\npassword = \"x\"\nThen restart the daemon.\nAnd wait.\n",
            "{\"db\": {\"port\": 5432}}",
            "password = \"x\"\0",
        ] {
            assert_eq!(guessed(text), None, "{text}");
        }
    }
}
