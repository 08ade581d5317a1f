//! A sealed value of someone's choosing, put into any place of any text: it opens in that place
//! alone, or not at all.
//!
//! The input is a document and a value, parted by the first NUL byte; the value's first byte
//! chooses the place.

#![no_main]

#[path = "common.rs"]
mod common;

use common::{CODEC, FILE, SEALING};
use confseal::document::Binding;
use confseal::span::{Edit, splice};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(cut) = input.iter().position(|byte| *byte == 0) else { return };
    let (text, Some((choice, value))) = (&input[..cut], input[cut + 1..].split_first()) else {
        return;
    };
    let codec = CODEC.codec();
    // What holds tokens of its own is another target's.
    let Ok(sites) = codec.scan(text) else { return };
    if sites.is_empty() || memchr::memmem::find(text, b"ENC:").is_some() {
        return;
    }
    let at = usize::from(*choice) % sites.len();
    let site = &sites[at];
    let token = SEALING.seal_value(&FILE, &site.path, value, Binding::Field);
    let edit = Edit { span: site.span, text: codec.token(&token, site.context) };
    let (stored, _) = splice(text, &[edit]);
    let Ok(opened) = SEALING.open(&FILE, &stored) else { return };
    if opened.stock.is_empty() {
        return;
    }
    let seen = codec.scan(&opened.view).expect("an opened view can be read");
    assert_eq!(seen.len(), sites.len(), "values have come or gone");
    for (n, (before, after)) in sites.iter().zip(&seen).enumerate() {
        assert_eq!(before.context, after.context);
        let decoded = codec.decode(after.span.of(&opened.view), after.context);
        if n == at {
            assert_eq!(decoded.as_deref(), Some(value), "another value than was sealed");
        } else {
            assert_eq!(before.span.of(text), after.span.of(&opened.view), "a neighbour changed");
            assert!(site.naming || before.path == after.path, "a neighbour moved");
        }
    }
});
