//! Any text under any name, with no rule but the built-in ones: what is sealed, be it a part of a
//! value, opens to the byte, is sealed the same way again, and leaves nothing in the clear that
//! those rules would seal.
//!
//! The input is the file's name, a line feed, and the text.

#![no_main]

use std::sync::{Arc, LazyLock};

use confseal::document::{Binding, Existing, Imports, Sealing, guess, inspect, sealer};
use confseal::keyring::{Key, Keyring};
use confseal::path::RelPath;
use confseal::policy::Policy;
use libfuzzer_sys::fuzz_target;

static SEALING: LazyLock<Sealing> = LazyLock::new(|| {
    let key = Key::parse(format!("{:064x}", 257).as_bytes()).expect("a key");
    Sealing {
        sealer: sealer(Keyring::new(key, vec![]).expect("a keyring")),
        policy: Policy::parse("version = 1\n").expect("a policy"),
        ledger: Arc::default(),
        imports: Imports::default(),
        binding: Binding::File,
        keep_legacy_tokens: true,
    }
});

fuzz_target!(|input: &[u8]| {
    let Some(end) = memchr::memchr(b'\n', input) else { return };
    let Ok(file) = RelPath::new(&input[..end]) else { return };
    let text = &input[end + 1..];
    let Sealing { policy, ledger, .. } = &*SEALING;
    let _ = guess(policy, ledger, &file, text);

    let sealed = SEALING.seal(&file, text, &[], Existing::Plain);
    let opened = SEALING.open(&file, &sealed.stored).expect("what was sealed opens");
    assert_eq!(&opened.view[..], text);
    assert_eq!(opened.form, sealed.form);
    let again = SEALING.seal(&file, text, &[&opened.stock], Existing::of(Some(sealed.form)));
    assert_eq!(again.stored, sealed.stored, "an unchanged text is sealed otherwise");
    let seen = inspect(policy, ledger, &file, &sealed.stored);
    assert!(!seen.is_exposed(), "a secret is left in the clear: {:?}", seen.fields);
});
