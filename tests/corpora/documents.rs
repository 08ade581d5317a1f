//! Real sealing of whole corpora: every scalar under a rule, opened again to the byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use confseal::document::{Binding, Existing, Form, Imports, Sealing, WholeBecause, sealer};
use confseal::format::CodecId;
use confseal::keyring::{Key, Keyring};
use confseal::path::RelPath;
use confseal::policy::Policy;

use super::{corpus, files, name, yaml_files};

const EVERYTHING: &str = "version = 1\n[[file]]\npath = \"*\"\nsecret = [\"**\"]\n";

fn sealing() -> Sealing {
    let key = Key::parse(format!("{:064x}", 257).as_bytes()).unwrap();
    Sealing {
        sealer: sealer(Keyring::new(key, vec![]).unwrap()),
        policy: Policy::parse(EVERYTHING).unwrap(),
        ledger: Arc::default(),
        imports: Imports::default(),
        binding: Binding::Field,
        keep_legacy_tokens: true,
    }
}

/// Checks what `stored` makes of `view`: it opens to it, and no scalar of eight bytes or more is
/// left in it. Returns its form.
fn check(sealing: &Sealing, id: CodecId, view: &[u8], stored: &[u8]) -> Result<Form, String> {
    let file = RelPath::new(format!("x.{id}")).unwrap();
    let opened = sealing.open(&file, stored).map_err(|error| error.to_string())?;
    if *opened.view != *view {
        return Err("opens to other bytes".into());
    }
    for site in id.codec().scan(view).unwrap_or_default() {
        let source = site.span.of(view);
        let value = id.codec().decode(source, site.context).ok_or("no scalar")?;
        let inner = String::from_utf8_lossy(source);
        let inner = inner.trim_matches(['"', '\'']).as_bytes();
        for secret in [&value[..], inner].into_iter().filter(|secret| secret.len() >= 8) {
            if memchr::memmem::find(stored, secret).is_some() {
                return Err(format!("{} is left in the clear", site.path));
            }
        }
    }
    Ok(opened.form)
}

/// Seals each file, checks it, and seals it once more with its own tokens. Counts the forms.
fn seal_all(id: CodecId, files: &[(std::path::PathBuf, Vec<u8>)]) -> BTreeMap<&'static str, usize> {
    let sealing = sealing();
    let file = RelPath::new(format!("x.{id}")).unwrap();
    let mut forms = BTreeMap::new();
    for (path, view) in files {
        let sealed = sealing.seal(&file, view, &[], Existing::Sealed);
        let form = check(&sealing, id, view, &sealed.stored)
            .unwrap_or_else(|error| panic!("{}: {error}", name(path)));
        assert_eq!(form, sealed.form, "{}", name(path));
        let again = sealing.seal(&file, view, &[&sealed.stock], Existing::Sealed);
        assert_eq!(again.stored, sealed.stored, "{}", name(path));
        if id.codec().scan(view).is_err() && !view.is_empty() {
            assert_eq!(form, Form::Whole, "{}", name(path));
        }
        let form = match (form, sealed.whole) {
            (Form::Plain, _) => "nothing to seal",
            (Form::Fields(_), _) => "fields",
            (_, Some(WholeBecause::Unreadable(_))) => "whole: unreadable",
            (_, Some(WholeBecause::Leak)) => "whole: a value stands in a key or comment",
            // Sealing the name of a list element would change the paths beside it.
            (_, Some(WholeBecause::Inexact)) => "whole: a name",
            (_, because) => panic!("{}: whole, {because:?}", name(path)),
        };
        if form == "whole: a name" {
            let sites = id.codec().scan(view).unwrap();
            assert!(sites.iter().any(|site| site.naming), "{}", name(path));
        }
        *forms.entry(form).or_default() += 1;
    }
    forms
}

#[test]
fn every_valid_toml_file_is_sealed_and_nearly_all_field_by_field() {
    let Some(corpus) = corpus("toml/valid") else { return };
    let forms = seal_all(CodecId::Toml, &files(&corpus, "toml"));
    let expected = [
        ("fields", 190),
        ("nothing to seal", 23),
        ("whole: a name", 5),
        ("whole: a value stands in a key or comment", 2),
    ];
    assert_eq!(forms, BTreeMap::from(expected));
}

#[test]
fn every_invalid_toml_file_is_sealed_whole() {
    let Some(corpus) = corpus("toml/invalid") else { return };
    let forms = seal_all(CodecId::Toml, &files(&corpus, "toml"));
    assert_eq!(forms, BTreeMap::from([("whole: unreadable", 492)]));
}

#[test]
fn every_json_file_valid_or_not_is_sealed() {
    let Some(corpus) = corpus("json/test_parsing") else { return };
    let forms = seal_all(CodecId::Json, &files(&corpus, "json"));
    let expected = [("fields", 148), ("nothing to seal", 9), ("whole: unreadable", 161)];
    assert_eq!(forms, BTreeMap::from(expected));
}

#[test]
fn every_yaml_file_valid_or_not_is_sealed() {
    let (Some(valid), Some(invalid)) = (yaml_files(true), yaml_files(false)) else { return };
    let forms = seal_all(CodecId::Yaml, &valid);
    let expected = [
        ("fields", 280),
        ("nothing to seal", 26),
        ("whole: a name", 1),
        ("whole: a value stands in a key or comment", 1),
    ];
    assert_eq!(forms, BTreeMap::from(expected));
    let without =
        valid.iter().filter(|(_, text)| CodecId::Yaml.codec().scan(text).unwrap().is_empty());
    assert_eq!(without.count(), 26);
    let forms = seal_all(CodecId::Yaml, &invalid);
    let expected = [("fields", 1), ("whole: unreadable", 93)];
    assert_eq!(forms, BTreeMap::from(expected));
}

/// The control: a text that is wrong in any of these ways does not pass.
#[test]
fn the_check_finds_what_is_wrong() {
    let sealing = sealing();
    let view = b"user = 'somebody'\n[db]\npassword = \"hunter22222\"\nother = \"hunter33333\"\n";
    let file = RelPath::new("x.toml").unwrap();
    let stored = sealing.seal(&file, view, &[], Existing::Sealed).stored;
    assert_eq!(check(&sealing, CodecId::Toml, view, &stored), Ok(Form::Fields(CodecId::Toml)));
    let text = String::from_utf8(stored).unwrap();
    let tokens: Vec<&str> = text.split('"').filter(|part| part.starts_with("ENC:v1:")).collect();
    assert_eq!(tokens.len(), 3);

    let wrong = [
        String::from_utf8(view.to_vec()).unwrap(),
        text.replace(tokens[2], "hunter33333"),
        text.replace(tokens[1], "hunter44444"),
        text.replace(tokens[1], tokens[2]),
        text.replacen(&tokens[1][30..31], "!", 1),
        text.replace("user", "name"),
        format!("{text}# hunter22222\n"),
        text.trim_end().to_owned(),
    ];
    for wrong in wrong {
        assert!(check(&sealing, CodecId::Toml, view, wrong.as_bytes()).is_err(), "{wrong}");
    }
}
