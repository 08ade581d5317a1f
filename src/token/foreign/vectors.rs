//! Foreign tokens against vectors made elsewhere: those of the Fernet specification, and those made
//! with another implementation after each system's own code.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    scheme: String,
    key: String,
    plaintext: String,
    value: String,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
}

impl Vector {
    fn shape(&self) -> Shape {
        let encoding = self.encoding.as_deref().unwrap_or("base64").parse().unwrap();
        Shape::new(self.scheme(), self.prefix.as_deref(), encoding).unwrap()
    }

    fn scheme(&self) -> Scheme {
        self.scheme.parse().unwrap()
    }

    fn key(&self) -> ForeignKey {
        ForeignKey::parse(self.scheme(), self.key.as_bytes()).unwrap()
    }
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../../../tests/vectors/foreign.json");
    serde_json::from_str::<Vectors>(text).unwrap().vectors
}

#[test]
fn every_scheme_opens_what_its_own_system_sealed() {
    let mut schemes = std::collections::BTreeSet::new();
    for vector in vectors() {
        let (shape, value) = (vector.shape(), vector.value.as_bytes());
        assert!(shape.claims(value) && shape.is_well_formed(value), "{}", vector.value);
        let opened = shape.open(&vector.key(), value).unwrap();
        assert_eq!(opened[..], *vector.plaintext.as_bytes(), "{}", vector.value);
        schemes.insert(shape.scheme());
    }
    assert_eq!(Vec::from_iter(schemes), Scheme::ALL);
}

#[test]
fn another_key_opens_nothing() {
    for vector in vectors() {
        let other = match vector.scheme() {
            Scheme::Fernet | Scheme::Fiestaboard | Scheme::AesGcm => format!("{:064x}", 0x1234),
            Scheme::Liberty | Scheme::DjangoSysconfig | Scheme::Airis => vector.key.clone() + " ",
        };
        let other = ForeignKey::parse(vector.scheme(), other.as_bytes()).unwrap();
        let opened = vector.shape().open(&other, vector.value.as_bytes());
        assert_eq!(opened.unwrap_err(), ForeignError::Rejected(vector.scheme()));
    }
}

/// Whatever one character is changed to that changes a byte, the token is refused; cut off
/// anywhere, it is refused too.
#[test]
fn a_token_changed_in_any_place_is_refused() {
    for vector in vectors() {
        let (shape, key) = (vector.shape(), vector.key());
        let front = shape.prefix().len();
        for at in front..vector.value.len() {
            let mut value = vector.value.clone().into_bytes();
            if value[at] == b'=' {
                continue;
            }
            value[at] = if value[at] == b'1' { b'2' } else { b'1' };
            assert!(shape.open(&key, &value).is_err(), "{} at {at}", vector.value);
            assert!(shape.open(&key, &vector.value.as_bytes()[..at]).is_err());
        }
    }
}

#[test]
fn liberty_reads_its_key_as_text_and_tolerates_folded_lines() {
    let vector = vectors().into_iter().find(|v| v.scheme == "liberty").unwrap();
    let (shape, key) = (vector.shape(), vector.key());
    let folded = format!("{}\n  {}\r\n", &vector.value[..70], &vector.value[70..]);
    assert_eq!(shape.open(&key, folded.as_bytes()).unwrap()[..], *b"hunter2");
    // The same 32 bytes in another spelling are another password.
    let upper = vector.key.to_uppercase();
    let upper = ForeignKey::parse(Scheme::Liberty, upper.as_bytes()).unwrap();
    assert!(shape.open(&upper, vector.value.as_bytes()).is_err());
    // The line end of a key file is no part of it.
    let line = ForeignKey::parse(Scheme::Liberty, format!("{}\n", vector.key).as_bytes()).unwrap();
    assert!(shape.open(&line, vector.value.as_bytes()).is_ok());
}

#[derive(Deserialize)]
struct SpecVector {
    #[serde(default)]
    desc: String,
    #[serde(default)]
    src: String,
    token: String,
    secret: String,
}

fn spec(text: &str) -> Vec<(SpecVector, Result<SecretBytes, ForeignError>)> {
    let shape = Shape::new(Scheme::Fernet, None, Encoding::default()).unwrap();
    let vectors: Vec<SpecVector> = serde_json::from_str(text).unwrap();
    let open = |vector: SpecVector| {
        let key = ForeignKey::parse(Scheme::Fernet, vector.secret.as_bytes()).unwrap();
        let opened = shape.open(&key, vector.token.as_bytes());
        (vector, opened)
    };
    vectors.into_iter().map(open).collect()
}

#[test]
fn the_tokens_of_the_fernet_specification_open() {
    let verify = spec(include_str!("../../../tests/vectors/fernet/verify.json"));
    let generate = spec(include_str!("../../../tests/vectors/fernet/generate.json"));
    assert!(!verify.is_empty() && !generate.is_empty());
    for (vector, opened) in verify.into_iter().chain(generate) {
        assert_eq!(opened.unwrap()[..], *vector.src.as_bytes());
    }
}

#[test]
fn its_invalid_tokens_are_refused_unless_they_are_only_old_or_early() {
    let invalid = spec(include_str!("../../../tests/vectors/fernet/invalid.json"));
    assert_eq!(invalid.len(), 8);
    for (vector, opened) in invalid {
        match vector.desc.as_str() {
            "far-future TS (unacceptable clock skew)" | "expired TTL" => {
                assert_eq!(opened.unwrap()[..], *b"", "{}", vector.desc);
            }
            _ => assert!(opened.is_err(), "{}", vector.desc),
        }
    }
}
