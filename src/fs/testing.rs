//! A filesystem without a mount, for tests of what no program can bring about at will.

use std::path::Path;
use std::sync::Arc;

use super::{Caller, Filesystem, OpenMode, Options};
use crate::document::{Binding, Imports, Sealing, sealer};
use crate::keyring::{Key, Keyring};
use crate::policy::Policy;
use crate::store::Store;

pub(super) const CALLER: Caller = Caller { uid: 0, gid: 0, pid: 0 };

pub(super) const READ: OpenMode = OpenMode { write: false, truncate: false, exclusive: false };

/// Over the store in `dir`, with a key of its own and the rules that are built in.
pub(super) fn over(dir: &Path) -> Filesystem {
    let sealing = Sealing {
        sealer: sealer(Keyring::new(Key::generate().unwrap(), vec![]).unwrap()),
        policy: Policy::builtin(),
        ledger: Arc::default(),
        imports: Imports::default(),
        binding: Binding::Field,
        keep_legacy_tokens: true,
    };
    let reload = Box::new(|_: &Store, _: &_| Err("no other rules".to_owned()));
    let store = Store::open(dir).unwrap();
    Filesystem::new(store, sealing, Options::default(), reload).unwrap()
}
