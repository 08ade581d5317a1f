//! The layers of the crate, as an allow-list: a module may import what its row names, and nothing
//! else. Paths in code count, not in comments or tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Layer, and the layers it may use. What serves all stands in `SERVES_ALL`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "fuse", "fs", "document", "policy", "keyring", "store", "instance", "pins", "audit",
            "systemd",
        ],
    ),
    ("fuse", &["fs"]),
    ("fs", &["document", "store", "policy", "keyring", "pins", "audit"]),
    ("document", &["format", "policy", "token", "keyring"]),
    ("policy", &["format"]),
    ("format", &[]),
    ("token", &["keyring"]),
    ("keyring", &["sys"]),
    ("store", &["sys"]),
    ("pins", &[]),
    ("audit", &["sys"]),
    ("instance", &[]),
    ("systemd", &[]),
    ("linear", &[]),
    ("path", &[]),
    ("span", &[]),
    ("secret", &[]),
    ("sys", &[]),
];

/// `linear` is there for tests alone.
const SERVES_ALL: &[&str] = &["path", "span", "secret", "sys", "linear"];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the source directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The layer that a source file belongs to.
fn layer(root: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(root).expect("below the root");
    let first = inside.components().next().expect("a component").as_os_str();
    first.to_str().expect("UTF-8").trim_end_matches(".rs").to_owned()
}

/// The code of a file: without comments, and without its test module, which stands last.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = text.lines().map(|line| match line.find("//") {
        Some(at) => &line[..at],
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every layer named by a `crate::…` or `confseal::…` path, with groups taken apart.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for marker in ["crate::", "confseal::"] {
        for (at, _) in code.match_indices(marker) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + marker.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(group_heads(group)),
                None => found.push(head(rest)),
            }
        }
    }
    found.retain(|name| ALLOWED.iter().any(|(layer, _)| layer == name));
    found
}

fn head(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first names of the paths in `{…}`, whose opening brace has been taken off.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut start) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && !c.is_whitespace() => {
                heads.push(head(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    heads
}

/// What a file imports against the table: nothing, if all is well.
fn violations(layer: &str, code: &str) -> Vec<String> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("the layer `{layer}` is not in the table")];
    };
    let fine = |name: &String| {
        name == layer || allowed.contains(&&**name) || SERVES_ALL.contains(&&**name)
    };
    imports(code).into_iter().filter(|name| !fine(name)).collect()
}

#[test]
fn every_import_is_on_the_allow_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the source files were found");
    let mut wrong = BTreeMap::new();
    for file in files {
        let layer = layer(&root, &file);
        if layer == "lib" {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file");
        let violations = violations(&layer, &code(&text));
        if !violations.is_empty() {
            wrong.insert(file, violations);
        }
    }
    assert!(wrong.is_empty(), "imports that the layers do not allow: {wrong:#?}");
}

#[test]
fn unsafe_code_stands_in_sys_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files.iter().filter(|file| layer(&root, file) != "sys") {
        let text = fs::read_to_string(file).expect("a source file");
        let found = code(&text).lines().any(|line| {
            line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("allow(unsafe")
        });
        assert!(!found, "unsafe code in {}", file.display());
    }
}

#[test]
fn the_check_sees_a_forbidden_import_in_every_spelling() {
    for code in [
        "use crate::fuse::mount;",
        "use crate::{path::RelPath, fuse};",
        "use crate::{\n    document::{self, Form},\n    fuse::Wire,\n};",
        "let x = crate::fuse::Wire::new();",
    ] {
        assert_eq!(violations("store", code).last().map(String::as_str), Some("fuse"), "{code}");
    }
    assert!(violations("store", "use crate::sys::file; use crate::path::RelPath;").is_empty());
    assert!(violations("store", super_comment()).is_empty());
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("tests"), &mut files);
    let texts = files.iter().map(|file| fs::read_to_string(file).expect("a source file"));
    let code: String = texts.collect();
    let model = fs::read_to_string(root.join("docs/threat-model.md")).expect("the threat model");
    let quoted = model.split('`').skip(1).step_by(2);
    let named: Vec<_> = quoted.filter(|name| name.matches('_').count() > 3).collect();
    assert!(named.len() > 20, "the names were found");
    let missing: Vec<_> =
        named.iter().filter(|name| !code.contains(&format!("fn {name}()"))).collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

fn super_comment() -> &'static str {
    "fn mycrate() { let intercrate::fuse = 1; }"
}
