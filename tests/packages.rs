//! Configuration as it is shipped: every file of some sixty Debian packages whose name says that it
//! is configuration, each of its scalars sealed, and restored to the byte.
//!
//! The packages are fetched when the test runs and unpacked below the target directory; nothing of
//! them is part of the project. Without a Debian archive the test says so and passes, except under
//! `CI=true`.

#[path = "packages/archive.rs"]
mod archive;
#[path = "corpora/shape.rs"]
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use archive::Shipped;
use confseal::document::{Binding, Existing, Form, Imports, Sealing, WholeBecause, sealer};
use confseal::format::{CodecId, Format};
use confseal::keyring::{Key, Keyring};
use confseal::path::RelPath;
use confseal::policy::Policy;

fn sealing(policy: &str) -> Sealing {
    let key = Key::parse(format!("{:064x}", 257).as_bytes()).unwrap();
    Sealing {
        sealer: sealer(Keyring::new(key, vec![]).unwrap()),
        policy: Policy::parse(policy).unwrap(),
        ledger: Arc::default(),
        binding: Binding::Field,
        keep_legacy_tokens: true,
        imports: Imports::default(),
    }
}

/// Which codec reads the file, and how many scalars of it were sealed and restored; `None` when its
/// name tells nothing or its content is of no known format.
fn sealed_and_restored(file: &Shipped) -> Option<Result<(CodecId, usize), String>> {
    let format = Format::by_file_name(file.name())?;
    let id = format.scan(&file.content).ok()?.id;
    let sealed = shape::check_seals(id.codec(), &file.content, |_, site| !site.naming);
    Some(match sealed {
        Ok(sites) => Ok((id, sites?)),
        Err(error) => Err(format!("{} as {id}: {error}", file.path.display())),
    })
}

#[test]
fn every_scalar_of_shipped_configuration_can_be_sealed_and_restored() {
    let Some(files) = archive::files() else { return };
    let mut packages = BTreeSet::new();
    let mut counts: BTreeMap<CodecId, (usize, usize)> = BTreeMap::new();
    let (mut unread, mut wrong) = (Vec::new(), Vec::new());
    for file in files.iter().filter(|file| Format::by_file_name(file.name()).is_some()) {
        match sealed_and_restored(file) {
            Some(Err(error)) => wrong.push(error),
            Some(Ok((id, sites))) => {
                packages.insert(file.package.clone());
                let count = counts.entry(id).or_default();
                *count = (count.0 + 1, count.1 + sites);
            }
            None => unread.push(file.path.display().to_string()),
        }
    }
    for (id, (files, sites)) in &counts {
        println!("{id}: {files} files, {sites} scalars");
    }
    println!("not read: {}\n  {}", unread.len(), unread.join("\n  "));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let files: usize = counts.values().map(|(files, _)| files).sum();
    assert!(files >= 60 && packages.len() >= 30, "{files} files of {} packages", packages.len());
    assert!(unread.len() * 20 <= files, "{} of {files} files cannot be read", unread.len());
}

/// By the built-in lists, and with everything secret: what comes back is what went in, and no
/// file is sealed for want of exactness.
#[test]
fn shipped_configuration_is_sealed_and_opens_to_the_byte() {
    let Some(files) = archive::files() else { return };
    let everything = "version = 1\n[[file]]\npath = \"*\"\nsecret = [\"**\"]\n";
    for policy in ["version = 1\n", everything] {
        let sealing = sealing(policy);
        let mut forms: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut inexact, mut outside) = (Vec::new(), Vec::new());
        for file in &files {
            let name = RelPath::new(file.name()).unwrap();
            let sealed = sealing.seal(&name, &file.content, &[], Existing::Plain);
            let path = file.path.display();
            let opened =
                sealing.open(&name, &sealed.stored).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert!(*opened.view == file.content[..], "{path}");
            let form = match (sealed.form, &sealed.whole) {
                (Form::Plain, _) => "plain",
                (Form::Fields(_), _) => "fields",
                (_, Some(WholeBecause::Inexact)) if !names_something(file) => {
                    inexact.push(path.to_string());
                    "whole: inexact"
                }
                (_, Some(because)) => match because {
                    WholeBecause::Leak => "whole: a value stands in a comment too",
                    WholeBecause::Inexact => "whole: a name",
                    WholeBecause::Unreadable(_) => "whole: unreadable",
                    WholeBecause::Outside(what) => {
                        outside.push(format!("{path}: {what}"));
                        "whole: a credential outside every value"
                    }
                    _ => "whole: by its name",
                },
                (_, None) => unreachable!("sealed whole for a reason"),
            };
            *forms.entry(form).or_default() += 1;
        }
        println!("{forms:#?}");
        // What is shipped has no secrets: where one is seen, documentation was taken for it.
        assert!(outside.len() <= 2, "sealed whole for their comments:\n{}", outside.join("\n"));
        assert!(inexact.is_empty(), "sealed whole for want of exactness:\n{}", inexact.join("\n"));
        assert!(forms.get("fields").is_some_and(|count| *count >= 20), "{forms:?}");
    }
}

/// Whether a scalar of the file is part of its neighbours' paths: sealing it moves them.
fn names_something(file: &Shipped) -> bool {
    let format = Format::by_file_name(file.name());
    let scanned = format.and_then(|format| format.scan(&file.content).ok());
    scanned.is_some_and(|scanned| scanned.sites.iter().any(|site| site.naming))
}
