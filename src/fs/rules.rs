//! The rules at work: keys, policy, ledger; replaced as one by a reload.

use std::sync::Arc;

use super::node::Node;
use super::{Filesystem, Ino};
use crate::document::{Existing, FieldPath, Sealed, Sealing, Stock};
use crate::path::RelPath;
use crate::pins::Pin;
use crate::policy::Ledger;
use crate::store::Store;

/// The sealing in force, numbered: content opened under other rules is opened again.
pub(super) struct Rules {
    pub version: u64,
    pub sealing: Sealing,
    /// The store is being given back: what is saved stays plain. Until the mount ends, or a `seal`
    /// takes the store into service again.
    pub gives_back: bool,
}

/// What the operator's files say now.
pub struct Reloaded {
    /// The new keys and rules.
    pub sealing: Sealing,
    /// What to answer: the key ids, mostly.
    pub summary: String,
}

/// What becomes of a policy that is not the accepted one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It holds together with the accepted one.
    Waits,
    /// It is accepted as it stands.
    Given,
    /// It is accepted if this stamp names it.
    GivenTo(String),
}

/// Reads keys and policy anew. An error says what is wrong, and the old rules stay.
pub type Reload = dyn Fn(&Store, &Acceptance) -> Result<Reloaded, String> + Send + Sync;

impl Rules {
    pub(super) fn first(sealing: Sealing) -> Self {
        Self { version: 1, sealing, gives_back: false }
    }

    /// See [`Sealing::seal`].
    pub(super) fn seal(
        &self,
        file: &RelPath,
        view: &[u8],
        stocks: &[&Stock],
        existing: Existing,
    ) -> Sealed {
        let plain = self.left_plain(file, view);
        plain.unwrap_or_else(|| self.sealing.seal(file, view, stocks, existing))
    }

    /// See [`Sealing::seal_renamed`].
    pub(super) fn seal_renamed(
        &self,
        file: &RelPath,
        view: &[u8],
        stocks: &[&Stock],
        existing: Existing,
        was: &Stock,
    ) -> Sealed {
        let plain = self.left_plain(file, view);
        plain.unwrap_or_else(|| self.sealing.seal_renamed(file, view, stocks, existing, was))
    }

    fn left_plain(&self, file: &RelPath, view: &[u8]) -> Option<Sealed> {
        if self.gives_back { self.sealing.leave_plain(file, view) } else { None }
    }
}

impl Filesystem {
    /// Reads keys and policy anew. What is open stays open; views are opened again under the new
    /// rules.
    pub fn reload(&self, acceptance: &Acceptance) -> Result<String, String> {
        let done = self.replace_by_reload(acceptance);
        match &done {
            Ok(summary) => log::info!(event = "reloaded"; "reloaded: {summary}"),
            Err(error) => log::error!(event = "not-reloaded"; "not reloaded: {error}"),
        }
        if self.rules().sealing.policy.accepted().is_some() {
            log::warn!(
                event = "policy-waits";
                "the policy is not the accepted one: both hold until `confseal policy accept`"
            );
        }
        done
    }

    fn replace_by_reload(&self, acceptance: &Acceptance) -> Result<String, String> {
        let before = self.rules().sealing.ledger.clone();
        let reloaded = (self.reload)(&self.store, acceptance);
        *self.refusal.lock() = reloaded.as_ref().err().cloned();
        let Reloaded { sealing, summary } = reloaded?;
        let turn = self.ledger_turn.lock();
        // Entered while the files were read: not in them, and not to be lost.
        let meanwhile = self.rules().sealing.ledger.without(&before);
        let ledger = (*sealing.ledger).clone().united_with(&meanwhile);
        if !meanwhile.is_empty() {
            self.write_ledger(&ledger.to_string());
        }
        self.replace_rules(|_| Sealing { ledger: Arc::new(ledger), ..sealing });
        drop(turn);
        self.remember_key();
        self.order_names_anew();
        self.drop_views();
        Ok(summary)
    }

    /// Writes down under which key the store is sealed, now that it is.
    fn remember_key(&self) {
        let fingerprint = self.rules().sealing.sealer.keyring().master().fingerprint();
        if let Err(error) =
            self.store.write_state("fingerprint", format!("{fingerprint}\n").as_bytes())
        {
            log::error!(".confseal/fingerprint: cannot be written: {error}");
        }
    }

    /// Puts new rules in force. `make` gets those in force and must not take long.
    pub(super) fn replace_rules(&self, make: impl FnOnce(&Sealing) -> Sealing) {
        let mut rules = self.rules.write();
        let sealing = make(&rules.sealing);
        let Rules { version, gives_back, .. } = **rules;
        *rules = Arc::new(Rules { version: version + 1, sealing, gives_back });
    }

    /// Whether the store is being given back, so that what is saved stays plain.
    pub fn gives_back(&self) -> bool {
        self.rules().gives_back
    }

    /// From now on what is saved stays plain, or is sealed again.
    pub(super) fn give_back_from_now_on(&self, gives_back: bool) {
        let mut rules = self.rules.write();
        if rules.gives_back != gives_back {
            let Rules { version, sealing, .. } = &**rules;
            let sealing = sealing.clone();
            *rules = Arc::new(Rules { version: version + 1, sealing, gives_back });
        }
    }

    /// A rewrap begins: from now on nothing is written under a legacy key. Views stay valid.
    pub(super) fn stop_keeping_legacy_tokens(&self) {
        let mut rules = self.rules.write();
        if rules.sealing.keep_legacy_tokens {
            let sealing = Sealing { keep_legacy_tokens: false, ..rules.sealing.clone() };
            let Rules { version, gives_back, .. } = **rules;
            *rules = Arc::new(Rules { version, sealing, gives_back });
        }
    }

    /// Of a file's names another may be the strictest now.
    fn order_names_anew(&self) {
        for node in self.nodes.all().into_iter().filter(|node| node.several_links().is_some()) {
            self.order_names(&node, &mut node.state.lock());
        }
    }

    /// The kernel forgets what it knows of every file: it may read otherwise now.
    fn drop_views(&self) {
        let files: Vec<Arc<Node>> = self.nodes.all();
        for node in files {
            self.tell(|kernel| kernel.content(node.ino));
        }
    }

    /// Notes that `fields` of `file` are sealed though no rule names them.
    pub(super) fn enter_in_ledger(&self, file: &RelPath, fields: &[FieldPath]) {
        if fields.is_empty() {
            return;
        }
        self.change_ledger(|ledger| {
            for field in fields {
                ledger.insert(file, field);
            }
        });
    }

    /// Changes the ledger and writes it down. That it cannot be written is reported and no reason
    /// to fail: the fields stay sealed as long as this mount lives, and the tokens in the store
    /// bring them back afterwards.
    pub(super) fn change_ledger(&self, change: impl Fn(&mut Ledger)) {
        // Held over the writing: two changes reach the disk in the order they were made. The rules
        // themselves are not: everybody needs them.
        let _turn = self.ledger_turn.lock();
        let changed = |ledger: &Ledger| {
            let mut ledger = ledger.clone();
            change(&mut ledger);
            ledger
        };
        let before = self.rules().sealing.ledger.clone();
        if changed(&before) == *before {
            return;
        }
        let pulled = self.pulled_into_ledger();
        let mut rules = self.rules.write();
        let ledger = changed(&rules.sealing.ledger).united_with(&pulled);
        if ledger == *rules.sealing.ledger {
            return;
        }
        let text = ledger.to_string();
        let sealing = Sealing { ledger: Arc::new(ledger), ..rules.sealing.clone() };
        let Rules { version, gives_back, .. } = **rules;
        *rules = Arc::new(Rules { version, sealing, gives_back });
        drop(rules);
        self.write_ledger(&text);
    }

    fn write_ledger(&self, text: &str) {
        if let Err(error) = self.store.write_state("sealed", text.as_bytes()) {
            log::error!(".confseal/sealed: cannot be written: {error}");
        }
        // At once: whoever strikes a line from the store's copy lays nothing open by it.
        if let Some(pins) = &self.options.pins
            && let Err(error) = pins.write(Pin::Ledger, text)
        {
            log::error!("{error}: the ledger is not remembered");
        }
    }

    /// What has come into the store's ledger since it was read, with a `git pull` say. Writing ours
    /// must not strike it.
    fn pulled_into_ledger(&self) -> Ledger {
        let text = self.store.read_state("sealed").ok().flatten();
        let text = text.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
        let there = Ledger::parse(&text).unwrap_or_default();
        there.without(&self.rules().sealing.ledger)
    }

    /// Whether `ino` belongs to a directory of a version-control system.
    pub(super) fn is_version_control(&self, ino: Ino) -> bool {
        self.nodes
            .get(ino)
            .and_then(|node| node.first_link())
            .is_some_and(|(_, name)| crate::store::is_version_control(&name))
    }
}
