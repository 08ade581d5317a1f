//! Every paragraph of docs/semantics.md has a test of its name, and every test a paragraph.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The headings of paragraphs, as names of tests.
fn paragraphs() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/semantics.md"));
    let text = text.expect("docs/semantics.md");
    let headings = text.lines().filter_map(|line| line.strip_prefix("### "));
    let word = |part: &str| part.to_lowercase();
    let parts = |heading: &str| -> Vec<String> {
        let parts = heading.split(|c: char| !c.is_ascii_alphanumeric());
        parts.filter(|part| !part.is_empty()).map(word).collect()
    };
    headings.map(|heading| parts(heading).join("_")).collect()
}

/// The tests of this program but those of this file.
fn tests() -> BTreeSet<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/semantics");
    let mut tests = BTreeSet::new();
    for entry in fs::read_dir(dir).expect("tests/semantics") {
        let path = entry.expect("an entry").path();
        if path.ends_with("paragraphs.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        let after = text.split("#[test]\nfn ").skip(1);
        tests.extend(after.map(|rest| rest.split('(').next().expect("a name").to_owned()));
    }
    tests
}

#[test]
fn each_paragraph_has_a_test_of_its_name_and_each_test_a_paragraph() {
    let (paragraphs, tests) = (paragraphs(), tests());
    assert!(tests.len() > 40, "the tests were not found: {tests:?}");
    let untested: Vec<_> = paragraphs.difference(&tests).collect();
    let unsaid: Vec<_> = tests.difference(&paragraphs).collect();
    assert!(
        untested.is_empty() && unsaid.is_empty(),
        "no test: {untested:?}; not said: {unsaid:?}"
    );
}
