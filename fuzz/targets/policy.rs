//! Any text as a policy, as a ledger, as a field path, as a file's name: an error with its place,
//! or something that answers every question, and never a panic.

#![no_main]

use confseal::format::FieldPath;
use confseal::path::RelPath;
use confseal::policy::{Ledger, Policy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(path) = FieldPath::parse(text) {
        assert_eq!(FieldPath::parse(&path.to_string()), Ok(path));
    }
    let ledger = Ledger::parse(text).unwrap_or_default();
    match Policy::parse(text) {
        Err(error) => {
            assert!((1..=text.lines().count().max(1) + 1).contains(&error.line), "{error}");
            assert!(error.column >= 1, "{error}");
        }
        Ok(policy) => {
            let words: Vec<&str> = text.split_whitespace().collect();
            for name in words.iter().filter_map(|word| RelPath::new(word).ok()) {
                let _ = policy.classify(&name);
                let rules = policy.fields(&name, &ledger);
                for word in &words {
                    let _ = rules.judge(&FieldPath::root().key(word), input);
                }
            }
        }
    }
});
