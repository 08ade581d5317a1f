//! Any piece of text, over and over, behind any other: a codec takes it apart in a time that grows
//! with its length alone. A quadratic one would take minutes; `-timeout` says what is too long.
//!
//! The input is the front, a NUL, and the piece.

#![no_main]

#[path = "common.rs"]
mod common;

use common::CODEC;
use libfuzzer_sys::fuzz_target;

const LENGTH: usize = 200_000;

fuzz_target!(|input: &[u8]| {
    let Some(cut) = memchr::memchr(0, input) else { return };
    let (front, piece) = (&input[..cut], &input[cut + 1..]);
    if piece.is_empty() || piece.len() > 64 {
        return;
    }
    let text = [front, &piece.repeat(LENGTH / piece.len())].concat();
    let codec = CODEC.codec();
    for site in codec.scan(&text).unwrap_or_default() {
        let _ = codec.decode(site.span.of(&text), site.context);
    }
});
