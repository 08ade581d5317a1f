//! What a judge says of a text, and whether that is what it has to say.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use confseal::document::{Binding, Existing, Form, Imports, Sealing, sealer};
use confseal::format::{CodecId, Context};
use confseal::keyring::{Key, Keyring};
use confseal::path::RelPath;
use confseal::policy::Policy;
use serde_json::Value;

/// A scalar as a judge sees it: under which keys, and its value. Anything but a string is what
/// the format makes of an unquoted word.
type Leaf = (Vec<String>, Value);

/// Debian's own, which finds the modules that its packages bring.
const PYTHON: &str = "/usr/bin/python3";

/// `secret` is sealed in every file, but for `names`: those tell list elements apart.
fn sealing(codec: CodecId, secret: &[&str], names: &[String]) -> Sealing {
    let rule = format!(
        "version = 1\n[[file]]\npath = \"*\"\nformat = \"{}\"\nsecret = {secret:?}\npublic = {names:?}\n",
        codec.name(),
    );
    let key = Key::parse(format!("{:064x}", 257).as_bytes()).expect("a key");
    Sealing {
        sealer: sealer(Keyring::new(key, vec![]).expect("a keyring")),
        policy: Policy::parse(&rule).expect("a policy"),
        ledger: Arc::default(),
        imports: Imports::default(),
        binding: Binding::Field,
        keep_legacy_tokens: true,
    }
}

/// Seals every value of `text`, and has `judge`, one of those that `judge.py` knows, read both.
/// Panics, saying where, unless it sees tokens in place of the values that confseal decodes, and
/// nothing else changed. Returns how many values it saw sealed.
///
/// `in_the_clear` are the values that the judge sees and confseal takes for none: an option
/// without a value, say.
pub fn agrees(judge: &str, codec: CodecId, text: &str, in_the_clear: &[&str]) -> usize {
    agrees_with(judge, codec, text, &["**"], |value| in_the_clear.contains(&value))
}

/// As [`agrees`], with only the values at the paths `secret` sealed: for a program that refuses a
/// token where it wants a number, or the path of a file that exists.
pub fn agrees_on(judge: &str, codec: CodecId, text: &str, secret: &[&str]) -> usize {
    agrees_with(judge, codec, text, secret, |_| true)
}

fn agrees_with(
    judge: &str,
    codec: CodecId,
    text: &str,
    secret: &[&str],
    in_the_clear: impl Fn(&str) -> bool,
) -> usize {
    let (stored, decoded) = sealed(codec, text.as_bytes(), secret);
    let plain = leaves(judge, text.as_bytes());
    let sealed = leaves(judge, &stored);
    match compare(&plain, &sealed, &decoded, in_the_clear) {
        Ok(count) => count,
        Err(what) => panic!(
            "{judge} on {}: {what}\n--- plain\n{text}\n--- sealed\n{}",
            codec.name(),
            String::from_utf8_lossy(&stored)
        ),
    }
}

/// Panics unless `judge` reads below `key` the values that confseal decodes at `path`. For
/// spellings that are sealed as they stand, name and all, so that a program gets nothing of them
/// from the sealed text.
pub fn reads(judge: &str, key: &str, codec: CodecId, path: &str, text: &str) -> usize {
    let sites = codec.codec().scan(text.as_bytes()).expect("sites");
    let here = sites.iter().filter(|site| site.path.to_string() == path);
    let here = here.filter(|site| site.context != Context::COMMENT);
    let ours: Vec<_> = here
        .map(|site| codec.codec().decode(site.span.of(text.as_bytes()), site.context))
        .map(|value| String::from_utf8_lossy(&value.expect("a scalar")).into_owned())
        .collect();
    let theirs = leaves(judge, text.as_bytes());
    let theirs = theirs.iter().filter(|(keys, _)| keys.last().is_some_and(|last| last == key));
    let theirs: Vec<_> = theirs.map(|(_, value)| value.as_str().unwrap_or_default()).collect();
    assert_eq!(theirs, ours, "{text}");
    ours.len()
}

/// `text` with what the built-in names take for secret sealed, and how many values that is. For
/// programs that refuse a token where they want a number.
pub fn seal_secrets(codec: CodecId, text: &str) -> (Vec<u8>, usize) {
    let mut sealing = sealing(codec, &["**"], &[]);
    let rule = format!("version = 1\n[[file]]\npath = \"*\"\nformat = \"{}\"\n", codec.name());
    sealing.policy = Policy::parse(&rule).expect("a policy");
    let file = RelPath::new("sample").expect("a name");
    let sealed = sealing.seal(&file, text.as_bytes(), &[], Existing::Sealed);
    assert_eq!(sealed.form, Form::Fields(codec), "{:?}", sealed.whole);
    (sealed.stored, sealed.stock.tokens().count())
}

/// `text` with what is `secret` sealed, which opens to `text`; and for each value in it that holds
/// a token what confseal takes it for.
fn sealed(codec: CodecId, text: &[u8], secret: &[&str]) -> (Vec<u8>, HashMap<String, String>) {
    let id = codec;
    let codec = id.codec();
    let before = codec.scan(text).expect("sites");
    let names = before.iter().filter(|site| site.naming).map(|site| site.path.to_string());
    let sealing = sealing(id, secret, &names.collect::<Vec<_>>());
    let file = RelPath::new("sample").expect("a name");
    let sealed = sealing.seal(&file, text, &[], Existing::Sealed);
    assert_eq!(sealed.form, Form::Fields(id), "{:?}", sealed.whole);
    let opened = sealing.open(&file, &sealed.stored).expect("it opens");
    assert_eq!(&opened.view[..], text);

    let after = codec.scan(&sealed.stored).expect("sites");
    let decode = |text: &[u8], site: &confseal::format::Site| {
        let value = codec.decode(site.span.of(text), site.context).expect("a scalar");
        String::from_utf8_lossy(&value).into_owned()
    };
    let pairs = before.iter().zip(&after).filter(|(site, _)| site.context != Context::COMMENT);
    let decoded =
        pairs.map(|(plain, token)| (decode(&sealed.stored, token), decode(text, plain))).collect();
    (sealed.stored, decoded)
}

/// What `judge` sees in `text`.
fn leaves(judge: &str, text: &[u8]) -> Vec<Leaf> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("sample");
    std::fs::write(&path, text).expect("a sample");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/judge.py");
    let mut command = Command::new(PYTHON);
    command.arg(script).arg(judge).arg(&path).env("JUDGE_CACHE", env!("CARGO_TARGET_TMPDIR"));
    let output = command.output();
    let output = output.expect(PYTHON);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{judge}: {said}\n{}", String::from_utf8_lossy(text));
    serde_json::from_slice(&output.stdout).expect("what judge.py prints")
}

fn compare(
    plain: &[Leaf],
    sealed: &[Leaf],
    decoded: &HashMap<String, String>,
    in_the_clear: impl Fn(&str) -> bool,
) -> Result<usize, String> {
    if plain.len() != sealed.len() {
        return Err(format!("{} values became {}", plain.len(), sealed.len()));
    }
    let mut count = 0;
    for ((path, value), (sealed_path, token)) in plain.iter().zip(sealed) {
        let shown = path.join(" / ");
        if path != sealed_path {
            return Err(format!("{shown} became {}", sealed_path.join(" / ")));
        }
        // Not only in front: `NAME=VALUE` is one value, and its name stays.
        let Some(token) = token.as_str().filter(|token| token.contains("ENC:")) else {
            let expected = value.as_str().is_some_and(&in_the_clear) || value.is_null();
            match expected && value == token {
                true => continue,
                false => return Err(format!("{shown}: {value} is not sealed but {token}")),
            }
        };
        match decoded.get(token) {
            None => return Err(format!("{shown}: another token than was put there")),
            Some(ours) if value.as_str().is_some_and(|theirs| !is_same(theirs, ours)) => {
                return Err(format!("{shown}: the judge reads {value}, confseal {ours:?}"));
            }
            Some(_) => count += 1,
        }
    }
    Ok(count)
}

/// Whether two readers take a value for the same, line breaks within it aside: many formats leave
/// it to the reader whether CR LF is one.
fn is_same(theirs: &str, ours: &str) -> bool {
    theirs == ours || theirs == ours.replace("\r\n", "\n")
}

/// The control: none of these passes.
#[test]
fn the_judge_can_say_no() {
    let leaf = |path: &str, value: &str| (vec![path.to_owned()], Value::from(value));
    let plain = [leaf("a", "one"), leaf("b", "two")];
    let sealed = [leaf("a", "ENC:1"), leaf("b", "ENC:2")];
    let ours = |pairs: [(&str, &str); 2]| pairs.map(|(t, v)| (t.to_owned(), v.to_owned())).into();
    let none = |_: &str| false;
    let right: HashMap<String, String> = ours([("ENC:1", "one"), ("ENC:2", "two")]);
    assert_eq!(compare(&plain, &sealed, &right, none), Ok(2));

    let misread = ours([("ENC:1", "one"), ("ENC:2", "\"two\"")]);
    assert!(compare(&plain, &sealed, &misread, none).is_err());
    let swapped = [leaf("a", "ENC:2"), leaf("b", "ENC:1")];
    assert!(compare(&plain, &swapped, &right, none).is_err());
    let renamed = [leaf("a", "ENC:1"), leaf("c", "ENC:2")];
    assert!(compare(&plain, &renamed, &right, none).is_err());
    let in_part = [leaf("a", "ENC:1"), leaf("b", "two")];
    assert!(compare(&plain, &in_part, &right, none).is_err());
    assert_eq!(compare(&plain, &in_part, &right, |value| value == "two"), Ok(1));
    assert!(compare(&plain, &sealed[..1], &right, none).is_err());
}
