//! Any text, read by one codec (`CONFSEAL_FUZZ_CODEC`): no panic; tokens in place of values change
//! nothing else; what is sealed opens to the byte, leaves no value in the clear, and is sealed the
//! same way again; and what is decoded can be spelled so that it is decoded the same.

#![no_main]

#[path = "common.rs"]
mod common;
#[path = "../../tests/corpora/shape.rs"]
mod shape;

use common::{CODEC, FILE, SEALING};
use confseal::document::{Existing, Form};
use confseal::format::{Codec, CodecId, Site};
use confseal::token::{FIELD_PREFIX, FILE_PREFIX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let codec = CODEC.codec();
    if *CODEC != CodecId::Pattern {
        let mask = text.iter().fold(0u64, |mask, byte| mask.rotate_left(7) ^ u64::from(*byte));
        for mask in [!0, mask] {
            let chosen = |n: usize, site: &Site| mask >> (n % 64) & 1 == 1 && !site.naming;
            if let Err(what) = shape::check_seals(codec, text, chosen) {
                panic!("tokens change the document: {what}");
            }
        }
        for site in codec.scan(text).unwrap_or_default() {
            respelled(codec, text, &site);
        }
    }
    sealed(text);
});

fn respelled(codec: &dyn Codec, text: &[u8], site: &Site) {
    let value = codec.decode(site.span.of(text), site.context).expect("one scalar");
    if let Some(source) = codec.encode(&value, site.context, site.column) {
        let again = codec.decode(&source, site.context);
        assert_eq!(again.as_deref(), Some(&value[..]), "{} is spelled otherwise", site.path);
    }
}

fn sealed(text: &[u8]) {
    let sealed = SEALING.seal(&FILE, text, &[], Existing::Sealed);
    let opened = SEALING.open(&FILE, &sealed.stored).expect("what was sealed opens");
    assert_eq!(&opened.view[..], text);
    let again = SEALING.seal(&FILE, text, &[&opened.stock], Existing::Sealed);
    assert_eq!(again.stored, sealed.stored, "an unchanged text is sealed otherwise");
    if matches!(sealed.form, Form::Plain) {
        return;
    }
    // What every token and every sealed file begins with holds no secret.
    let key = SEALING.sealer.keyring().master().id();
    let heads = [FIELD_PREFIX, FILE_PREFIX].map(|prefix| format!("{prefix}{key}:"));
    for item in CODEC.codec().scan(text).unwrap_or_default() {
        let value = CODEC.codec().decode(item.span.of(text), item.context).expect("one scalar");
        if value.len() < 8 || heads.iter().any(|head| holds(head.as_bytes(), &value)) {
            continue;
        }
        assert!(!holds(&sealed.stored, &value), "{} is left in the clear", item.path);
    }
}

fn holds(text: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(text, what).is_some()
}
