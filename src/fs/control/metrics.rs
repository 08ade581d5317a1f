//! `metrics`: the mount in numbers, as Prometheus text.
//!
//! Names, and the label `store` on each, are stable: docs/monitoring.md lists them, and the rules
//! in systemd/confseal.rules.yml go by them. A kind that may be counted is there from the start
//! with 0: a rule cannot tell a missing series from a well one.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::super::census::Totals;
use super::super::{Filesystem, Result, TroubleKind};

/// What a metric is.
#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

/// The text as it grows.
struct Page {
    text: String,
    store: String,
}

impl Page {
    /// Adds a metric with one value for each pair of labels, written `name="value"`.
    fn labelled(&mut self, kind: Kind, name: &str, help: &str, values: &[(String, usize)]) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            self.text,
            "# HELP confseal_{name} {help}\n# TYPE confseal_{name} \
         {kind}"
        );
        for (labels, value) in values {
            let comma = if labels.is_empty() { "" } else { "," };
            let store = &self.store;
            let _ = writeln!(
                self.text,
                "confseal_{name}{{store=\"{store}\"{comma}{labels}}} \
                 {value}"
            );
        }
    }

    /// Adds one that has a single value.
    fn gauge(&mut self, name: &str, help: &str, value: usize) {
        self.labelled(Kind::Gauge, name, help, &[(String::new(), value)]);
    }
}

impl Filesystem {
    /// What this mount is doing, in numbers.
    pub(super) fn metrics_text(&self) -> Result<String> {
        let totals = self.count()?;
        let rules = self.rules();
        let keyring = rules.sealing.sealer.keyring();
        let mut page = Page { text: String::new(), store: escaped(&self.options.name) };

        page.gauge("up", "Whether the mount answers.", 1);
        let uptime = self.started.elapsed().as_secs() as usize;
        page.gauge("uptime_seconds", "Seconds since the mount was made.", uptime);
        let keys: Vec<_> = totals
            .keys
            .iter()
            .map(|(key, count)| {
                let role = match () {
                    () if *key == keyring.master().id() => "master",
                    () if keyring.legacy().iter().any(|legacy| legacy.id() == *key) => "legacy",
                    () => "missing",
                };
                (format!("key=\"{key}\",role=\"{role}\""), *count)
            })
            .collect();
        page.labelled(Kind::Gauge, "tokens", "Sealed values in the store, by key.", &keys);
        let foreign: Vec<_> = totals
            .foreign
            .iter()
            .map(|(scheme, count)| (format!("scheme=\"{scheme}\""), *count))
            .collect();
        let help = "Tokens of other systems in the store.";
        page.labelled(Kind::Gauge, "foreign_tokens", help, &foreign);
        let legacy = keyring.legacy().len();
        page.gauge("legacy_keys", "Keys that only open, as configured.", legacy);

        let Totals { plain, fields, whole, unread, exposed, fallback, .. } = &totals;
        let forms = [("plain", plain), ("fields", fields), ("whole", whole), ("unread", unread)]
            .map(|(form, count)| (format!("form=\"{form}\""), *count));
        let help = "Files in the store, by the form they stand in.";
        page.labelled(Kind::Gauge, "files", help, &forms);
        page.gauge("in_the_clear", "Secrets that stand in the clear.", exposed.len());
        let help = "Files that stand sealed whole though their fields were to be sealed.";
        page.gauge("sealed_whole", help, fallback.len());
        let troubles = self.troubles.all();
        let kinds = TroubleKind::ALL.map(|kind| {
            let count = troubles.values().filter(|trouble| trouble.kind == kind).count();
            (format!("kind=\"{}\"", kind.name()), count)
        });
        let help = "Files that cannot be opened or saved, or whose rule's pattern misses them.";
        page.labelled(Kind::Gauge, "files_in_trouble", help, &kinds);
        let unsaved = self.dirty.lock().len();
        page.gauge("unsaved", "Files with writes not yet committed.", unsaved);
        page.gauge("kept", "Versions kept aside.", self.store.kept()?.len());
        let conflicts = self.troubles.conflicts.load(Ordering::Relaxed) as usize;
        let conflicts = [(String::new(), conflicts)];
        let help = "Versions displaced by a commit.";
        page.labelled(Kind::Counter, "conflicts_total", help, &conflicts);

        let waits = usize::from(rules.sealing.policy.accepted().is_some());
        page.gauge("policy_waits", "Whether a changed policy waits for acceptance.", waits);
        let refused = usize::from(self.refusal.lock().is_some());
        page.gauge("reload_refused", "Whether the last reload was refused.", refused);
        let watched = usize::from(self.watch.none().is_none());
        page.gauge("store_watched", "Whether changes in the store are heard of.", watched);
        let help = "Directories whose changes are not heard of.";
        page.gauge("unwatched_directories", help, self.watch.refused());
        page.gauge("nodes", "Files and directories the kernel knows.", self.nodes.len());
        let requests: Vec<_> = self
            .requests
            .all()
            .map(|(op, count)| (format!("op=\"{op}\""), count as usize))
            .collect();
        let help = "Requests of the kernel, by kind.";
        page.labelled(Kind::Counter, "requests_total", help, &requests);
        Ok(page.text)
    }
}

/// A label's value, as the text format has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
