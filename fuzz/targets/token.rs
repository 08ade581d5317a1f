//! Any text, opened: an error or a view, never a panic; what parses as a token prints as the same
//! bytes; and nothing that we did not seal opens as if we had, nor as another system's.

#![no_main]

#[path = "common.rs"]
mod common;

use std::sync::LazyLock;

use common::{FILE, SEALING};
use confseal::document::Form;
use confseal::format::FieldPath;
use confseal::token::Token;
use confseal::token::foreign::{Encoding, ForeignKey, Scheme, Shape};
use libfuzzer_sys::fuzz_target;

/// Every scheme, told by its prefix or by the looks alone.
static FOREIGN: LazyLock<Vec<(Shape, ForeignKey)>> = LazyLock::new(|| {
    let one = |scheme| {
        let shape = Shape::new(scheme, None, Encoding::default()).expect("a shape");
        let key = format!("{:064x}", 258);
        (shape, ForeignKey::parse(scheme, key.as_bytes()).expect("a key"))
    };
    Scheme::ALL.map(one).into()
});

fuzz_target!(|text: &[u8]| {
    if let Ok(token) = Token::parse(text) {
        assert_eq!(token.to_string().as_bytes(), text, "a second spelling");
    }
    if let Ok(token) = Token::parse_whole(text) {
        assert_eq!(token.to_whole_text(), text, "a second spelling of a whole file");
    }
    for (shape, key) in &*FOREIGN {
        assert!(shape.open(key, text).is_err(), "a forged token of another system opens");
        assert!(shape.claims(text) || !shape.is_well_formed(text));
    }
    let field = FieldPath::root().key("password");
    assert!(SEALING.open_value(&FILE, &field, text).is_err(), "a forged value opens");
    assert!(SEALING.open_kept(text).is_err(), "a forged version opens");
    if let Ok(opened) = SEALING.open(&FILE, text) {
        assert_eq!(opened.form, Form::Plain, "a forged file opens");
        assert_eq!(&opened.view[..], text, "a plain file is seen otherwise");
    }
});
