//! The kinds of events that operators and their programs may wait for, each with its message id.
//!
//! A call of the log names the kind as `event = "NAME"`; here the name becomes the journal's
//! MESSAGE_ID. Must stay true: an id never changes and never serves a second kind, as scripts
//! filter by it; docs/monitoring.md and systemd/confseal.catalog list the same ones.

/// One kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What the code calls it.
    pub name: &'static str,
    /// Its MESSAGE_ID: 128 random bits, in hex.
    pub id: &'static str,
    /// What has happened, in a line.
    pub means: &'static str,
}

/// All of them.
pub const CATALOGUE: &[Event] = &[
    event("mounted", "94758e0912784081bc9e740888d97262", "The mount stands"),
    event("unmounted", "a1b0e5e69fc742b9955b274914e7f57f", "The mount is gone"),
    event("not-mounted", "5be42b1a13cb46f990ccea87ba5065e5", "The store could not be mounted"),
    event("key-missing", "7fbb811fe1eb4fb3b465a76d3c4d441c", "A key is not there, or is no key"),
    event("wrong-key", "4d07cec976b4451c82c41bf8081cff19", "The store is sealed under another key"),
    event("reloaded", "39f47beaecc94436919d7d2f829df667", "Keys and policy were read anew"),
    event("not-reloaded", "a01788cb31fa4e5a86455b2a09e17082", "Keys or policy were refused"),
    event(
        "policy-waits",
        "4344adf053fe4baca28bc0704ab89813",
        "A changed policy is not accepted yet",
    ),
    event(
        "file-in-trouble",
        "ef99f61a8467477d91f6496a3ea22c7f",
        "A file cannot be opened or saved",
    ),
    event("file-well", "c0367073beb9426a872003c1db90d0bd", "A file that was in trouble is well"),
    event(
        "sealed-whole",
        "d40f2ed9a39a4347bf500bff5813fc91",
        "A file was sealed whole, not by fields",
    ),
    event("kept", "b85d07307f8441ab8caf370cb39af1b7", "A version of a file was kept aside"),
    event(
        "in-the-clear",
        "c9fbe39f7aa345f0ad32edd90755771c",
        "A secret stands in the store in the clear",
    ),
    event(
        "verify-failed",
        "a711086fdf1b4cd499747cba9fcdd1a5",
        "A verify found a file that cannot be opened",
    ),
    event("audit", "bbbdb5cc69b84c1aacf1de248e42c069", "Somebody read or changed secrets"),
    event(
        "audit-failed",
        "8e98b690ed2f4fa6ad2924d9124abbf4",
        "What somebody did could not be recorded",
    ),
];

const fn event(name: &'static str, id: &'static str, means: &'static str) -> Event {
    Event { name, id, means }
}

/// The kind called `name`.
pub fn find(name: &str) -> Option<&'static Event> {
    CATALOGUE.iter().find(|event| event.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn text(path: impl AsRef<Path>) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
    }

    fn sources(dir: &Path, text: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path, text),
                false => *text += &std::fs::read_to_string(path).unwrap(),
            }
        }
    }

    #[test]
    fn message_ids_are_ids_and_no_two_are_alike() {
        let ids: BTreeSet<_> = CATALOGUE.iter().map(|event| event.id).collect();
        let names: BTreeSet<_> = CATALOGUE.iter().map(|event| event.name).collect();
        assert_eq!((ids.len(), names.len()), (CATALOGUE.len(), CATALOGUE.len()));
        let is_id =
            |id: &&str| id.len() == 32 && id.bytes().all(|b| b"0123456789abcdef".contains(&b));
        assert!(ids.iter().all(is_id));
    }

    #[test]
    fn the_code_names_exactly_the_events_of_the_catalogue() {
        let mut code = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
        let marker = "event = \"";
        let named = code.split(marker).skip(1).filter_map(|rest| rest.split('"').next());
        let named: BTreeSet<_> = named.filter(|name| !name.contains(['N', '\\', ';'])).collect();
        let known: BTreeSet<_> = CATALOGUE.iter().map(|event| event.name).collect();
        assert_eq!(named, known);
    }

    #[test]
    fn page_and_journal_catalogue_list_the_same_events() {
        let (page, catalog) = (text("docs/monitoring.md"), text("systemd/confseal.catalog"));
        let rows: Vec<String> = CATALOGUE
            .iter()
            .map(|event| format!("| `{}` | `{}` | {} |", event.name, event.id, event.means))
            .collect();
        let listed: Vec<&str> =
            page.lines().filter(|line| CATALOGUE.iter().any(|e| line.contains(e.id))).collect();
        let starts = |row: &String| listed.iter().any(|line| line.starts_with(&**row));
        let missing: Vec<_> = rows.iter().filter(|row| !starts(row)).collect();
        assert!(missing.is_empty(), "not in docs/monitoring.md: {missing:#?}");
        let heads = catalog.lines().filter_map(|line| line.strip_prefix("-- "));
        let heads: BTreeSet<_> = heads.collect();
        let ids: BTreeSet<_> = CATALOGUE.iter().map(|event| event.id).collect();
        assert_eq!(heads, ids);
        for event in CATALOGUE {
            let entry = format!("-- {}\nSubject: {}\n", event.id, event.means);
            assert!(catalog.contains(&entry), "{entry}");
        }
    }
}
