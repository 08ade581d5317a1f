//! What the targets share: a key, a policy under which everything is secret, and which codec a run
//! is about.

#![allow(dead_code, reason = "not every target needs all of it")]

use std::sync::{Arc, LazyLock};

use confseal::document::{Binding, Imports, Sealing, sealer};
use confseal::format::CodecId;
use confseal::keyring::{Key, Keyring};
use confseal::path::RelPath;
use confseal::policy::Policy;

/// The codec of `CONFSEAL_FUZZ_CODEC`. One program serves all: a build takes a minute.
pub static CODEC: LazyLock<CodecId> = LazyLock::new(|| {
    let name = std::env::var("CONFSEAL_FUZZ_CODEC").expect("CONFSEAL_FUZZ_CODEC names a codec");
    CodecId::from_name(&name).unwrap_or_else(|| panic!("no codec is called {name}"))
});

/// The file that everything is about.
pub static FILE: LazyLock<RelPath> = LazyLock::new(|| RelPath::new("sample").expect("a name"));

/// Everything in every file is secret, and is read by [`CODEC`].
pub static SEALING: LazyLock<Sealing> = LazyLock::new(|| {
    let how = match *CODEC {
        CodecId::Pattern => "format = 'regex'\npattern = '(?m)^pass:(?P<value>.*)$'\n".to_owned(),
        codec => format!("format = '{codec}'\nsecret = ['**']\n"),
    };
    let policy = format!("version = 1\n[[file]]\npath = '*'\n{how}");
    let key = Key::parse(format!("{:064x}", 257).as_bytes()).expect("a key");
    Sealing {
        sealer: sealer(Keyring::new(key, vec![]).expect("a keyring")),
        policy: Policy::parse(&policy).expect("a policy"),
        ledger: Arc::default(),
        imports: Imports::default(),
        binding: Binding::Field,
        keep_legacy_tokens: true,
    }
});
