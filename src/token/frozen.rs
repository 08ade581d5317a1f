//! What the frozen vectors in `tests/vectors/` are made of. Sealing must give their bytes for ever;
//! `tests/vectors.rs` opens them through the public interface.
//!
//! `CONFSEAL_WRITE_VECTORS=1 cargo test --lib frozen` writes a file that is absent. One that is
//! there is never written again: tokens like it stand in people's stores. A vector that comes
//! later goes into a file of its own.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::keyring::{Key, Keyring};

/// One step of a field path, as [`path`] writes it.
#[derive(Clone, Copy)]
enum Step {
    Key(&'static [u8]),
    Element,
    Repeated(&'static [u8]),
}
use Step::{Element, Key as K, Repeated};

struct Case {
    name: &'static str,
    whole: bool,
    purpose: Purpose,
    file: &'static [u8],
    path: &'static [Step],
    binding: Binding,
    kind: Kind,
    codec: u8,
    context: u8,
    column: u16,
    bytes: &'static [u8],
    bucket: usize,
}

/// What most cases have in common: the worked example of docs/format.md.
const PLAIN: Case = Case {
    name: "a TOML string",
    whole: false,
    purpose: Purpose::Field,
    file: b"shop/app.toml",
    path: &[K(b"database"), K(b"password")],
    binding: Binding::Field,
    kind: Kind::Source,
    codec: 1,
    context: 0,
    column: 0,
    bytes: b"\"hunter2\"",
    bucket: 16,
};

const THREE_BLOCKS: &[u8] = b"\"sixteen bytes and some more\"";

const CASES: &[Case] = &[
    PLAIN,
    Case { name: "an empty value", bytes: b"", ..PLAIN },
    Case { name: "an empty string in quotes", bytes: b"\"\"", ..PLAIN },
    Case { name: "the longest value of one block", bytes: b"0123456789", ..PLAIN },
    Case { name: "the shortest value of two blocks", bytes: b"0123456789a", ..PLAIN },
    Case { name: "three blocks", bytes: THREE_BLOCKS, ..PLAIN },
    Case { name: "a bucket of 64", bucket: 64, ..PLAIN },
    Case { name: "a bucket of 64, exceeded", bucket: 64, bytes: &[b'x'; 59], ..PLAIN },
    Case { name: "a value that looks like padding", bytes: b"\x80\0\0\x80\0", ..PLAIN },
    Case { name: "bytes that are no UTF-8", bytes: b"\xff\xfe\0\n\r\xc3", ..PLAIN },
    Case { name: "bound to the file", binding: Binding::File, ..PLAIN },
    Case { name: "bound to a file at the root", binding: Binding::File, file: b"x", ..PLAIN },
    Case {
        name: "bound to a file whose name is no UTF-8",
        binding: Binding::File,
        file: b"\xff/\n.toml",
        ..PLAIN
    },
    Case { name: "bound to nothing", binding: Binding::None, ..PLAIN },
    Case { name: "a path of one key with a dot", path: &[K(b"a.b")], ..PLAIN },
    Case { name: "a path of two keys", path: &[K(b"a"), K(b"b")], ..PLAIN },
    Case {
        name: "a path with list elements",
        path: &[K(b"a"), Element, Element, K(b"b")],
        ..PLAIN
    },
    Case { name: "a path with a repeated key", path: &[K(b"a"), Repeated(b"b")], ..PLAIN },
    Case { name: "a path with odd bytes", path: &[K(b""), K(b"\0\xff\"%\n.[]")], ..PLAIN },
    Case { name: "the path of the document itself", path: &[], codec: 2, ..PLAIN },
    Case { name: "a JSON string", codec: 2, bytes: b"\"hunter2\\u0021\"", ..PLAIN },
    Case { name: "a bare dotenv value", codec: 3, path: &[K(b"DB_PASSWORD")], ..PLAIN },
    Case { name: "a commented-out value", context: 1, ..PLAIN },
    Case { name: "all of a header", codec: 0xfe, context: 0xfd, column: 0x1234, ..PLAIN },
    Case {
        name: "a value to be spelled for its place",
        kind: Kind::Value,
        codec: 0,
        bytes: b"hunter2",
        ..PLAIN
    },
    Case { name: "a part of a value", purpose: Purpose::Part, bytes: b"hunter2", ..PLAIN },
    Case {
        name: "a whole file",
        whole: true,
        purpose: Purpose::Whole,
        path: &[],
        binding: Binding::File,
        kind: Kind::File,
        codec: 0,
        bytes: b"\0\0\0\0[database]\npassword = \"hunter2\"\n",
        ..PLAIN
    },
    Case {
        name: "a whole file of several lines",
        whole: true,
        purpose: Purpose::Whole,
        path: &[],
        kind: Kind::File,
        codec: 0,
        bytes: &[b'k'; 200],
        ..PLAIN
    },
    Case {
        name: "an empty whole file",
        whole: true,
        purpose: Purpose::Whole,
        path: &[],
        kind: Kind::File,
        codec: 0,
        bytes: b"\0\0\0\0",
        ..PLAIN
    },
    Case {
        name: "a kept version",
        whole: true,
        purpose: Purpose::Kept,
        path: &[],
        binding: Binding::File,
        kind: Kind::File,
        codec: 0,
        bytes: b"\0\0\0\0PASSWORD=hunter2\n",
        ..PLAIN
    },
];

fn path(steps: &[Step]) -> Vec<u8> {
    let mut path = Vec::new();
    for step in steps {
        let (kind, bytes): (u8, &[u8]) = match step {
            K(key) => (1, key),
            Element => (2, b""),
            Repeated(key) => (3, key),
        };
        path.push(kind);
        path.extend((bytes.len() as u32).to_be_bytes());
        path.extend(bytes);
    }
    path
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn path_json(steps: &[Step]) -> Value {
    let step = |step: &Step| match step {
        K(key) => format!("key:{}", hex(key)),
        Element => "element".to_owned(),
        Repeated(key) => format!("repeated:{}", hex(key)),
    };
    steps.iter().map(step).collect()
}

fn name_of(binding: Binding) -> &'static str {
    match binding {
        Binding::None => "none",
        Binding::Field => "field",
        Binding::File => "file",
    }
}

/// Bytes `first`, `first` + 1, …
fn key(first: u8) -> Key {
    let bytes: [u8; 32] = std::array::from_fn(|n| first + n as u8);
    Key::parse(hex(&bytes).as_bytes()).unwrap()
}

fn sealer(first: u8) -> Sealer {
    Sealer::new(Keyring::new(key(first), vec![]).unwrap())
}

fn nonce(name: &str) -> [u8; 12] {
    let hash: [u8; 32] = Sha256::digest(format!("confseal vector: {name}")).into();
    *hash.first_chunk().unwrap()
}

impl Case {
    fn inner(&self) -> Inner {
        let (kind, codec, context, column) = (self.kind, self.codec, self.context, self.column);
        Inner { kind, codec, context, column, bytes: self.bytes.into() }
    }

    fn seal(&self) -> Token {
        let path = path(self.path);
        let place = Place { purpose: self.purpose, file: self.file, path: &path };
        let nonce = nonce(self.name);
        sealer(0).seal_with_nonce(&place, &self.inner(), self.binding, self.bucket, nonce)
    }

    fn text(&self) -> String {
        match self.whole {
            true => String::from_utf8(self.seal().to_whole_text()).unwrap(),
            false => self.seal().to_string(),
        }
    }

    /// The vector in which `text`, standing where this case stands, is refused.
    fn refused(&self, name: &str, text: impl Into<String>, error: &str) -> Value {
        json!({
            "name": name,
            "form": if self.whole { "whole" } else { "field" },
            "token": text.into(),
            "purpose": self.purpose.name(),
            "file": hex(self.file),
            "path": path_json(self.path),
            "demanded": name_of(self.binding),
            "error": error,
        })
    }
}

fn open_vectors() -> Value {
    let vectors = CASES.iter().map(|case| {
        json!({
            "name": case.name,
            "form": if case.whole { "whole" } else { "field" },
            "token": case.text(),
            "purpose": case.purpose.name(),
            "file": hex(case.file),
            "path": path_json(case.path),
            "path_aad": hex(&path(case.path)),
            "binding": name_of(case.binding),
            "kind": case.kind as u8,
            "codec": case.codec,
            "context": case.context,
            "column": case.column,
            "bytes": hex(case.bytes),
            "bucket": case.bucket,
            "nonce": hex(&nonce(case.name)),
        })
    });
    json!({
        "about": "Tokens that open, and what comes out; docs/format.md. Bytes are in hex.",
        "key": hex(key(0).bytes()),
        "key_line": String::from_utf8(key(0).to_line().to_vec()).unwrap(),
        "fingerprint": key(0).fingerprint().to_string(),
        "vectors": vectors.collect::<Value>(),
    })
}

fn refuse_vectors() -> Value {
    let vectors = [misplaced(), damaged(), misspelled(), misspelled_whole(), unreadable()].concat();
    json!({
        "about": "Tokens that must not open where they stand, and why; docs/format.md.",
        "key": hex(key(0).bytes()),
        "vectors": vectors,
    })
}

/// Sealed for another place, for another purpose, under another key, or bound to too little.
fn misplaced() -> Vec<Value> {
    let text = PLAIN.text();
    let mut all = Vec::new();
    for (name, purpose) in [
        ("a field where a part is expected", Purpose::Part),
        ("a field where a whole file is expected", Purpose::Whole),
        ("a field where a kept version is expected", Purpose::Kept),
    ] {
        all.push(Case { purpose, ..PLAIN }.refused(name, &text, "tampered"));
    }
    let (dotted, apart) = (&[K(b"a.b")][..], &[K(b"a"), K(b"b")][..]);
    let placed: [(&str, &'static [Step], &'static [Step]); 9] = [
        ("another key", PLAIN.path, &[K(b"database"), K(b"user")]),
        ("a key above", PLAIN.path, &[K(b"database")]),
        ("the document itself", PLAIN.path, &[]),
        ("a key with a dot at two keys", dotted, apart),
        ("two keys at a key with a dot", apart, dotted),
        ("a key at a list element", &[K(b"a")], &[K(b"a"), Element]),
        ("an element of a list at a list of lists", &[Element], &[Element, Element]),
        ("a key at a repeated key", &[K(b"a")], &[Repeated(b"a")]),
        ("an element at an empty key", &[Element], &[K(b"")]),
    ];
    for (name, from, to) in placed {
        let text = Case { path: from, ..PLAIN }.text();
        all.push(Case { path: to, ..PLAIN }.refused(name, text, "tampered"));
    }
    let in_file = Case { binding: Binding::File, ..PLAIN };
    for (name, file) in [("another file", &b"shop/other.toml"[..]), ("no file", b"")] {
        all.push(Case { file, ..in_file }.refused(name, in_file.text(), "tampered"));
    }
    // The length in front of the file keeps what is bound of file and path apart.
    let (long, short): (&[u8], &[u8]) = (b"ab\x01\0\0\0\0", b"ab");
    let shifted = Case { file: long, path: &[], ..in_file };
    let other = Case { file: short, path: &[K(b"")], ..in_file };
    all.push(other.refused("a path that was the end of the file", shifted.text(), "tampered"));

    let weak = Case { binding: Binding::None, ..PLAIN }.text();
    all.push(PLAIN.refused("bound to nothing, field demanded", &weak, "weak-binding"));
    all.push(in_file.refused("bound to nothing, file demanded", &weak, "weak-binding"));
    all.push(in_file.refused("bound to a field, file demanded", &text, "weak-binding"));

    let place = Place { purpose: Purpose::Field, file: PLAIN.file, path: &path(PLAIN.path) };
    let foreign = sealer(0x20).seal_with_nonce(&place, &PLAIN.inner(), Binding::Field, 16, [9; 12]);
    all.push(PLAIN.refused("sealed under another key", foreign.to_string(), "no-key"));
    let claimed = Token { key_id: key(0).id(), ..foreign };
    let name = "sealed under another key, with this key's id";
    all.push(PLAIN.refused(name, claimed.to_string(), "tampered"));
    all
}

/// A bit flipped in each part, parts exchanged, parts missing.
fn damaged() -> Vec<Value> {
    let case = Case { name: "three blocks", bytes: THREE_BLOCKS, ..PLAIN };
    // The place demands nothing, so that it is the cipher that has to notice.
    let place = Case { binding: Binding::None, ..PLAIN };
    let tampered = |name: &str, change: &dyn Fn(&mut Token)| {
        let mut token = case.seal();
        change(&mut token);
        place.refused(name, token.to_string(), "tampered")
    };
    let other = PLAIN.seal();
    let mut all = vec![
        tampered("flags say bound to nothing", &|token| token.binding = Binding::None),
        tampered("flags say bound to the file", &|token| token.binding = Binding::File),
        tampered("the first bit of the nonce", &|token| token.nonce[0] ^= 0x80),
        tampered("the last bit of the nonce", &|token| token.nonce[11] ^= 1),
        tampered("the first bit of the ciphertext", &|token| token.sealed[0] ^= 0x80),
        tampered("a bit in the padding", &|token| token.sealed[47] ^= 1),
        tampered("the first bit of the tag", &|token| token.sealed[48] ^= 0x80),
        tampered("the last bit of the tag", &|token| token.sealed[63] ^= 1),
        tampered("a block less", &|token| drop(token.sealed.drain(16..32))),
        tampered("a block of zeros more", &|token| drop(token.sealed.splice(48..48, [0; 16]))),
        tampered("its blocks exchanged", &|token| token.sealed[..32].rotate_left(16)),
        tampered("another token's nonce", &|token| token.nonce = other.nonce),
        tampered("another token's tag", &|token| {
            token.sealed[48..].copy_from_slice(&other.sealed[16..])
        }),
    ];
    let text = case.text();
    let id = case.seal().key_id().to_string();
    let flipped =
        text.replace(&id, &format!("{}{}", &id[..7], if &id[7..] == "0" { 1 } else { 0 }));
    all.push(place.refused("a digit of the key id", flipped, "no-key"));
    all
}

/// Texts that would decode to the right bytes, or nearly, in another spelling than the one.
fn misspelled() -> Vec<Value> {
    let text = PLAIN.text();
    let id = PLAIN.seal().key_id().to_string();
    let (head, body) = text.split_at("ENC:v1:".len() + id.len() + 1);
    // 45 bytes fill their characters; three blocks, 77 bytes, leave loose bits in the last one.
    let longer = Case { name: "three blocks", bytes: THREE_BLOCKS, ..PLAIN }.text();
    let (front, last) = longer.split_at(longer.len() - 1);
    let loose = char::from(last.as_bytes()[0] + 1);
    let reserved = format!("{head}B{}", &body[1..]);
    [
        ("flags with a reserved bit", reserved),
        ("trailing characters", format!("{text}AAAA")),
        ("a trailing line end", format!("{text}\n")),
        ("a leading blank", format!(" {text}")),
        ("a blank inside", format!("{head}{} {}", &body[..8], &body[8..])),
        ("quotes", format!("\"{text}\"")),
        ("padding where none is due", format!("{text}=")),
        ("padding where base64 would have it", format!("{longer}=")),
        ("loose bits in the last character", format!("{front}{loose}")),
        ("a character less", text[..text.len() - 1].to_owned()),
        ("a group of characters less", text[..text.len() - 4].to_owned()),
        ("a character of standard base64", format!("{head}{}+{}", &body[..8], &body[9..])),
        ("no body", head.to_owned()),
        ("flags alone", format!("{head}AQ")),
        ("an upper-case key id", text.replace(&id, &id.to_uppercase())),
        ("a short key id", text.replace(&id, &id[1..])),
        ("no colon behind the key id", text.replace(&format!("{id}:"), &id)),
        ("a later version", text.replace("ENC:v1:", "ENC:v2:")),
        ("a lower-case prefix", text.replace("ENC:", "enc:")),
        ("nothing", String::new()),
        ("the prefix of all forms", "ENC:".to_owned()),
        ("the form of a whole file", String::from_utf8(PLAIN.seal().to_whole_text()).unwrap()),
    ]
    .into_iter()
    .map(|(name, text)| PLAIN.refused(name, text, "malformed"))
    .collect()
}

fn misspelled_whole() -> Vec<Value> {
    let case = CASES.iter().find(|case| case.name == "a whole file").unwrap();
    let text = case.text();
    let (head, lines) = text.split_once('\n').unwrap();
    let joined = lines.replace('\n', "");
    let mut all: Vec<Value> = [
        ("whole: CRLF", text.replace('\n', "\r\n")),
        ("whole: no final line end", text.trim_end().to_owned()),
        ("whole: two final line ends", format!("{text}\n")),
        ("whole: an empty line", format!("{head}\n\n{lines}")),
        ("whole: one long line", format!("{head}\n{joined}\n")),
        ("whole: a short line first", format!("{head}\n{}\n{}\n", &joined[..60], &joined[60..])),
        ("whole: no line end behind the key id", format!("{head}{lines}")),
        ("whole: text behind the key id", format!("{head} \n{lines}")),
        ("whole: no lines", format!("{head}\n")),
        ("whole: text in front", format!("\n{text}")),
        ("whole: a byte order mark in front", format!("\u{feff}{text}")),
        ("whole: the form of a field", case.seal().to_string()),
    ]
    .into_iter()
    .map(|(name, text)| case.refused(name, text, "malformed"))
    .collect();
    let name = "whole: a whole file where a kept version is expected";
    all.push(Case { purpose: Purpose::Kept, ..*case }.refused(name, &text, "tampered"));
    let name = "whole: another file";
    all.push(Case { file: b"shop/other.toml", ..*case }.refused(name, &text, "tampered"));
    all
}

/// Authentic, with content that this version does not know.
fn unreadable() -> Vec<Value> {
    let place = Place { purpose: Purpose::Field, file: PLAIN.file, path: &path(PLAIN.path) };
    let contents: [(&str, &[u8; 16]); 6] = [
        ("kind 0", b"\x00\x01\0\0\0value\x80\0\0\0\0\0"),
        ("kind 4", b"\x04\x01\0\0\0value\x80\0\0\0\0\0"),
        ("padding without its first byte", b"\x01\x01\0\0\0value\0\0\0\0\0\0"),
        ("padding with another first byte", b"\x01\x01\0\0\0value\x81\0\0\0\0\0"),
        ("nothing but zeros", &[0; 16]),
        ("padding that begins in the header", b"\x01\x01\0\0\x80\0\0\0\0\0\0\0\0\0\0\0"),
    ];
    contents
        .into_iter()
        .map(|(name, plain)| {
            let plain = SecretBytes::from(&plain[..]);
            let token = sealer(0).seal_padded(&place, plain, Binding::Field, nonce(name));
            PLAIN.refused(name, token.to_string(), "unreadable")
        })
        .collect()
}

fn assert_frozen(file: &str, made: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    if !path.exists() && std::env::var_os("CONFSEAL_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(made).unwrap() + "\n";
        std::fs::write(&path, text).unwrap();
    }
    let frozen: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let (frozen_vectors, vectors) = (&frozen["vectors"], made["vectors"].as_array().unwrap());
    assert_eq!(frozen_vectors.as_array().unwrap().len(), vectors.len());
    for (n, vector) in vectors.iter().enumerate() {
        assert_eq!(&frozen_vectors[n], vector, "{file}");
    }
    assert_eq!(&frozen, made);
}

#[test]
fn sealing_still_gives_the_frozen_bytes() {
    assert_frozen("open.json", &open_vectors());
}

#[test]
fn what_must_be_refused_is_still_made_alike() {
    assert_frozen("refuse.json", &refuse_vectors());
}
