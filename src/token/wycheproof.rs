//! The primitives against Project Wycheproof's vectors, through the types that `cipher` uses.
//!
//! The corpora are not part of this repository: `../shared/corpora`, or `CONFSEAL_CORPORA`.

use std::path::PathBuf;

use aes_gcm::aead::{Payload, consts::U16};
use aes_gcm::{AesGcm, KeyInit, aes::Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use serde_json::Value;
use sha2::{Sha256, Sha512};

use super::cipher::{Aead, Kdf};
use super::foreign::fernet::Cbc;

/// The suites' 128-bit nonces, which the tokens of other systems have.
type LongNonceAead = AesGcm<Aes256, U16>;

/// The test groups of a corpus; `None`, with a line that says so, where the corpora are absent.
fn groups(file: &str) -> Option<Vec<Value>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpora");
    let corpora = std::env::var_os("CONFSEAL_CORPORA").map_or(beside.into(), PathBuf::from);
    let path = corpora.join("wycheproof").join(file);
    if !path.exists() {
        let absent = format!("{} is absent; CONFSEAL_CORPORA names another place", path.display());
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{absent}");
        eprintln!("skipped: {absent}");
        return None;
    }
    let corpus: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    Some(corpus["testGroups"].as_array().unwrap().clone())
}

fn cases(group: &Value) -> impl Iterator<Item = &Value> {
    group["tests"].as_array().unwrap().iter()
}

fn hex(case: &Value, field: &str) -> Vec<u8> {
    let text = case[field].as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Seals and opens with `A`; whether the case came out as it should.
fn aead_case<A: KeyInit + aes_gcm::aead::Aead>(case: &Value) -> bool {
    let cipher = A::new_from_slice(&hex(case, "key")).unwrap();
    let nonce = hex(case, "iv");
    let nonce = nonce.as_slice().try_into().unwrap();
    let (aad, msg) = (hex(case, "aad"), hex(case, "msg"));
    let sealed = [hex(case, "ct"), hex(case, "tag")].concat();
    let opened = cipher.decrypt(nonce, Payload { msg: &sealed, aad: &aad });
    match case["result"].as_str().unwrap() {
        "valid" => {
            opened.as_ref() == Ok(&msg)
                && cipher.encrypt(nonce, Payload { msg: &msg, aad: &aad }) == Ok(sealed)
        }
        "invalid" => opened.is_err(),
        other => panic!("a result that this test does not know: {other}"),
    }
}

#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    let Some(groups) = groups("aes_gcm_test.json") else { return };
    let (mut short, mut long, mut refused, mut skipped) = (0, 0, 0, 0);
    for group in &groups {
        for case in cases(group) {
            let fine = match (group["keySize"].as_u64(), group["ivSize"].as_u64()) {
                (Some(256), Some(96)) => {
                    short += 1;
                    aead_case::<Aead>(case)
                }
                (Some(256), Some(128)) => {
                    long += 1;
                    aead_case::<LongNonceAead>(case)
                }
                _ => {
                    skipped += 1;
                    continue;
                }
            };
            assert!(fine, "case {}: {}", case["tcId"], case["comment"]);
            refused += usize::from(case["result"] == "invalid");
        }
    }
    eprintln!(
        "AES-256-GCM: {short} with 96-bit nonces, {long} with 128-bit nonces, {refused} of these \
         refused as they should be; {skipped} of other sizes skipped"
    );
    assert!(short >= 66 && long >= 19 && refused >= 27, "the corpus has shrunk");
}

#[test]
fn hkdf_sha256_agrees_with_wycheproof() {
    let Some(groups) = groups("hkdf_sha256_test.json") else { return };
    let (mut ran, mut refused) = (0, 0);
    for case in groups.iter().flat_map(cases) {
        let mut okm = vec![0; case["size"].as_u64().unwrap() as usize];
        let derived = Kdf::new(Some(&hex(case, "salt")), &hex(case, "ikm"))
            .expand(&hex(case, "info"), &mut okm);
        match case["result"].as_str().unwrap() {
            "valid" => assert!(derived.is_ok() && okm == hex(case, "okm"), "case {}", case["tcId"]),
            "invalid" => {
                assert!(derived.is_err(), "case {}", case["tcId"]);
                refused += 1;
            }
            other => panic!("a result that this test does not know: {other}"),
        }
        ran += 1;
    }
    eprintln!("HKDF-SHA256: {ran} ran, {refused} of these refused as they should be");
    assert!(ran >= 86 && refused >= 3, "the corpus has shrunk");
}

/// Fernet's cipher. What it gives for a wrong padding is an error; whether the text was authentic is
/// known before.
#[test]
fn aes_128_cbc_agrees_with_wycheproof() {
    let Some(groups) = groups("aes_cbc_pkcs5_test.json") else { return };
    let (mut ran, mut refused) = (0, 0);
    let of_128_bits = groups.iter().filter(|group| group["keySize"].as_u64() == Some(128));
    for case in of_128_bits.flat_map(cases) {
        let cipher = Cbc::new_from_slices(&hex(case, "key"), &hex(case, "iv")).unwrap();
        let mut text = hex(case, "ct");
        let opened = cipher.decrypt_padded::<Pkcs7>(&mut text);
        match case["result"].as_str().unwrap() {
            "valid" => assert_eq!(opened.unwrap(), hex(case, "msg"), "case {}", case["tcId"]),
            "invalid" => {
                assert!(opened.is_err(), "case {}", case["tcId"]);
                refused += 1;
            }
            other => panic!("a result that this test does not know: {other}"),
        }
        ran += 1;
    }
    eprintln!("AES-128-CBC: {ran} ran, {refused} of these refused as they should be");
    assert!(ran >= 72 && refused >= 36, "the corpus has shrunk");
}

#[test]
fn pbkdf2_agrees_with_wycheproof() {
    type Derive = fn(&[u8], &[u8], u32, &mut [u8]);
    let of: [(&str, Derive); 2] = [
        ("pbkdf2_hmacsha256_test.json", pbkdf2::pbkdf2_hmac::<Sha256>),
        ("pbkdf2_hmacsha512_test.json", pbkdf2::pbkdf2_hmac::<Sha512>),
    ];
    for (file, derive) in of {
        let Some(groups) = groups(file) else { return };
        let mut ran = 0;
        // The costly ones take minutes in a debug build and try nothing else.
        let cheap = |case: &&Value| case["iterationCount"].as_u64().unwrap() <= 10_000;
        for case in groups.iter().flat_map(cases).filter(cheap) {
            let rounds = case["iterationCount"].as_u64().unwrap() as u32;
            let mut key = vec![0; case["dkLen"].as_u64().unwrap() as usize];
            derive(&hex(case, "password"), &hex(case, "salt"), rounds, &mut key);
            assert_eq!(case["result"], "valid");
            assert_eq!(key, hex(case, "dk"), "{file} case {}", case["tcId"]);
            ran += 1;
        }
        eprintln!("{file}: {ran} ran");
        assert!(ran >= 50, "the corpus has shrunk");
    }
}
