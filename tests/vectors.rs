//! The frozen vectors, through the public interface alone; and the worked example of
//! docs/format.md, computed from the parts that the document names, so that neither can drift
//! from the other.

use std::collections::HashMap;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use base64ct::{Base64UrlUnpadded, Encoding};
use confseal::format::{FieldPath, Segment};
use confseal::keyring::{Key, Keyring};
use confseal::token::{Binding, Place, Purpose, Sealer, Token, TokenError};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct OpenVectors {
    key: String,
    key_line: String,
    fingerprint: String,
    vectors: Vec<OpenVector>,
}

#[derive(Deserialize)]
struct OpenVector {
    name: String,
    form: Form,
    token: String,
    purpose: PurposeName,
    file: String,
    path: Vec<String>,
    path_aad: String,
    binding: BindingName,
    kind: u8,
    codec: u8,
    context: u8,
    column: u16,
    bytes: String,
}

#[derive(Deserialize)]
struct RefuseVectors {
    key: String,
    vectors: Vec<RefuseVector>,
}

#[derive(Deserialize)]
struct RefuseVector {
    name: String,
    form: Form,
    token: String,
    purpose: PurposeName,
    file: String,
    path: Vec<String>,
    demanded: BindingName,
    error: ErrorClass,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Form {
    Field,
    Whole,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum PurposeName {
    Field,
    Part,
    Whole,
    Kept,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum BindingName {
    None,
    Field,
    File,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[serde(rename_all = "kebab-case")]
enum ErrorClass {
    Malformed,
    NoKey,
    WeakBinding,
    Tampered,
    Unreadable,
}

impl From<PurposeName> for Purpose {
    fn from(name: PurposeName) -> Self {
        match name {
            PurposeName::Field => Purpose::Field,
            PurposeName::Part => Purpose::Part,
            PurposeName::Whole => Purpose::Whole,
            PurposeName::Kept => Purpose::Kept,
        }
    }
}

impl From<BindingName> for Binding {
    fn from(name: BindingName) -> Self {
        match name {
            BindingName::None => Binding::None,
            BindingName::Field => Binding::Field,
            BindingName::File => Binding::File,
        }
    }
}

impl From<TokenError> for ErrorClass {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Malformed(_) => ErrorClass::Malformed,
            TokenError::NoKey(_) => ErrorClass::NoKey,
            TokenError::WeakBinding => ErrorClass::WeakBinding,
            TokenError::Tampered(_) => ErrorClass::Tampered,
            TokenError::Unreadable(_) => ErrorClass::Unreadable,
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn field_path(steps: &[String]) -> FieldPath {
    steps.iter().fold(FieldPath::root(), |path, step| {
        path.child(match step.split_once(':') {
            Some(("key", key)) => Segment::Key(unhex(key).into()),
            Some(("repeated", key)) => Segment::Repeated(unhex(key).into()),
            _ if step == "element" => Segment::Element,
            _ => panic!("no step of a path: {step}"),
        })
    })
}

fn sealer(key: &str) -> Sealer {
    Sealer::new(Keyring::new(Key::parse(key.as_bytes()).unwrap(), vec![]).unwrap())
}

fn parse(form: Form, text: &str) -> Result<Token, TokenError> {
    match form {
        Form::Field => Token::parse(text.as_bytes()),
        Form::Whole => Token::parse_whole(text.as_bytes()),
    }
}

#[test]
fn frozen_tokens_open() {
    let frozen: OpenVectors = serde_json::from_str(include_str!("vectors/open.json")).unwrap();
    let sealer = sealer(&frozen.key);
    let key = Key::parse(frozen.key_line.as_bytes()).unwrap();
    assert_eq!(key.fingerprint(), sealer.keyring().master().fingerprint());
    assert_eq!(key.fingerprint().to_string(), frozen.fingerprint);
    assert_eq!(key.to_line()[..], *frozen.key_line.as_bytes());

    for vector in &frozen.vectors {
        let name = &vector.name;
        let token = parse(vector.form, &vector.token).unwrap();
        match vector.form {
            Form::Field => assert_eq!(token.to_string(), vector.token, "{name}"),
            Form::Whole => assert_eq!(token.to_whole_text(), vector.token.as_bytes(), "{name}"),
        }
        let (file, path) = (unhex(&vector.file), field_path(&vector.path).to_aad());
        assert_eq!(path, unhex(&vector.path_aad), "{name}");
        let place = Place { purpose: vector.purpose.into(), file: &file, path: &path };
        let binding = vector.binding.into();
        assert_eq!(token.binding(), binding, "{name}");
        assert!(sealer.is_current(&token), "{name}");
        let opened = sealer.open(&place, &token, binding).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            (opened.kind as u8, opened.codec, opened.context, opened.column),
            (vector.kind, vector.codec, vector.context, vector.column),
            "{name}"
        );
        assert_eq!(opened.bytes[..], unhex(&vector.bytes), "{name}");
    }
    assert!(frozen.vectors.len() >= 30);
}

#[test]
fn what_must_not_open_is_refused_for_its_reason() {
    let frozen: RefuseVectors = serde_json::from_str(include_str!("vectors/refuse.json")).unwrap();
    let sealer = sealer(&frozen.key);
    let mut classes: HashMap<ErrorClass, usize> = HashMap::new();
    for vector in &frozen.vectors {
        let (file, path) = (unhex(&vector.file), field_path(&vector.path).to_aad());
        let place = Place { purpose: vector.purpose.into(), file: &file, path: &path };
        let refused = parse(vector.form, &vector.token)
            .and_then(|token| sealer.open(&place, &token, vector.demanded.into()))
            .map(|_| "it opens")
            .expect_err(&vector.name);
        assert_eq!(ErrorClass::from(refused), vector.error, "{}: {refused}", vector.name);
        *classes.entry(vector.error).or_default() += 1;
    }
    assert_eq!(classes.len(), 5, "every class of error has its vectors: {classes:?}");
}

/// The `name = value` lines of the worked example; three blanks divide a value from a remark.
fn example() -> HashMap<&'static str, &'static str> {
    let document = include_str!("../docs/format.md");
    let (_, example) = document.split_once("<!-- worked example -->").unwrap();
    let (_, example) = example.split_once("```text\n").unwrap();
    let (example, _) = example.split_once("\n```").unwrap();
    example
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .map(|(name, value)| (name, value.split("   ").next().unwrap()))
        .collect()
}

#[test]
fn the_worked_example_of_the_document_is_right() {
    let example = example();
    let text = |name: &str| example[name];
    let bytes = |name: &str| unhex(&text(name).replace(' ', ""));

    // The keys.
    let (key, fingerprint) = (bytes("master key"), bytes("fingerprint"));
    assert_eq!(Sha256::digest(&key)[..], fingerprint);
    assert_eq!(unhex(text("key id")), fingerprint[..4]);
    let mut derived = [0; 32];
    let info = text("info").trim_matches('"');
    hkdf::Hkdf::<Sha256>::new(None, &key).expand(info.as_bytes(), &mut derived).unwrap();
    assert_eq!(derived[..], bytes("derived key"));

    // What is authenticated, and what stands inside.
    let path = FieldPath::parse(text("field path")).unwrap().to_aad();
    assert_eq!(path, bytes("path"));
    let head = [bytes("purpose"), bytes("version"), fingerprint, bytes("flags")].concat();
    let aad = [head, bytes("file length"), path.clone()].concat();
    assert_eq!(aad, bytes("AAD"));
    let header = [bytes("kind"), bytes("codec"), bytes("context"), bytes("column")].concat();
    let value = text("value").as_bytes();
    assert_eq!(value, bytes("value bytes"));
    let plain = [&header, value, &bytes("padding")].concat();
    assert_eq!(plain, bytes("plaintext"));

    // The cipher, and the text.
    let nonce = bytes("nonce");
    let sealed = Aes256Gcm::new_from_slice(&derived)
        .unwrap()
        .encrypt(nonce.as_slice().try_into().unwrap(), Payload { msg: &plain, aad: &aad })
        .unwrap();
    assert_eq!(sealed, [bytes("ciphertext"), bytes("tag")].concat());
    let body = [bytes("flags"), nonce, sealed].concat();
    assert_eq!(body, bytes("body"));
    let token = format!("ENC:v1:{}:{}", text("key id"), Base64UrlUnpadded::encode_string(&body));
    assert_eq!(token, text("token"));

    // And this is what the program makes of it.
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        Key::parse(hex.as_bytes()).unwrap().to_line()[..],
        *text("key file line").as_bytes()
    );
    let place = Place { purpose: Purpose::Field, file: b"app.toml", path: &path };
    let token = Token::parse(token.as_bytes()).unwrap();
    let opened = sealer(&hex).open(&place, &token, Binding::Field).unwrap();
    assert_eq!(opened.bytes[..], *value);
    assert_eq!(String::from_utf8(token.to_whole_text()).unwrap(), whole_example());
}

/// The second block: the same token as a whole file would stand.
fn whole_example() -> &'static str {
    let document = include_str!("../docs/format.md");
    let (_, example) = document.split_once("<!-- in lines -->").unwrap();
    let (_, example) = example.split_once("```text\n").unwrap();
    example.split_once("```").unwrap().0
}
