//! `status` as JSON and `metrics` as Prometheus text.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::super::census::Totals;
use super::super::{Filesystem, Result};

impl Filesystem {
    /// How this mount fares, in a line: its key, and what an operator should look at.
    pub fn in_short(&self) -> String {
        let rules = self.rules();
        let keyring = rules.sealing.sealer.keyring();
        let mut line = format!("key {}", keyring.master().id());
        match keyring.legacy().len() {
            0 => {}
            1 => line += ", 1 legacy key",
            many => line += &format!(", {many} legacy keys"),
        }
        line += match self.troubles.len() {
            0 => "; no file in trouble".to_owned(),
            1 => "; 1 file in trouble".to_owned(),
            many => format!("; {many} files in trouble"),
        }
        .as_str();
        if rules.sealing.policy.accepted().is_some() {
            line += "; a changed policy waits for acceptance";
        }
        if self.refusal.lock().is_some() {
            line += "; the last reload was refused";
        }
        line
    }

    /// What this mount is doing, as JSON.
    pub(super) fn status_text(&self) -> Result<String> {
        let totals = self.count()?;
        let rules = self.rules();
        let keyring = rules.sealing.sealer.keyring();
        let legacy: Vec<_> = keyring.legacy().iter().map(|key| key.id().to_string()).collect();
        let trouble: Vec<Value> = self
            .troubles
            .all()
            .into_iter()
            .map(|(file, trouble)| {
                json!({
                    "file": file.to_string(),
                    "field": trouble.field,
                    "key_id": trouble.key_id,
                    "reason": trouble.reason,
                })
            })
            .collect();
        let jobs: Vec<Value> = self
            .control
            .jobs
            .lock()
            .iter()
            .map(|job| {
                let progress = &job.progress;
                json!({
                    "command": job.verb(),
                    "seconds": job.started.elapsed().as_secs(),
                    "done": job.is_done(),
                    "files": progress.files.load(Ordering::Relaxed),
                    "fields": progress.tokens.load(Ordering::Relaxed),
                })
            })
            .collect();
        let exposed: Vec<Value> = totals
            .exposed
            .iter()
            .map(|(file, field)| json!({ "file": file.to_string(), "field": field }))
            .collect();
        let policy = match (&self.options.pins, rules.sealing.policy.accepted()) {
            (_, Some(_)) => "waits for acceptance",
            (Some(_), None) => "accepted",
            (None, None) => "believed",
        };
        let status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "store": self.store.path().display().to_string(),
            "store_at": self.options.store_at.as_ref().map(|at| at.display().to_string()),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "master_key": keyring.master().id().to_string(),
            "legacy_keys": legacy,
            "policy": policy,
            "reload_refused": *self.refusal.lock(),
            "fingerprint": keyring.master().fingerprint().to_string(),
            "tokens": totals.keys.iter().map(|(key, n)| (key.to_string(), json!(n)))
                .collect::<serde_json::Map<_, _>>(),
            "foreign": totals.foreign.iter().map(|(scheme, n)| (scheme.to_string(), json!(n)))
                .collect::<serde_json::Map<_, _>>(),
            "files": {
                "plain": totals.plain,
                "fields": totals.fields,
                "whole": totals.whole,
                "unread": totals.unread,
            },
            "recovered": self.recovered.is_done(),
            "gives_back": rules.gives_back,
            "unsaved": self.dirty.lock().len(),
            "trouble": trouble,
            "in_the_clear": exposed,
            "conflicts": self.troubles.conflicts.load(Ordering::Relaxed),
            "kept": self.store.kept()?,
            "unwatched": self.watch.none(),
            "unwatched_directories": self.watch.refused(),
            "jobs": jobs,
        });
        let text = serde_json::to_string_pretty(&status).map_err(std::io::Error::other)?;
        Ok(text + "\n")
    }

    /// The same in numbers, for Prometheus.
    pub(super) fn metrics_text(&self) -> Result<String> {
        let totals = self.count()?;
        let rules = self.rules();
        let master = rules.sealing.sealer.keyring().master().id();
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, usize)]| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP confseal_{name} {help}\n# TYPE confseal_{name} {kind}");
            for (labels, value) in values {
                let _ = writeln!(text, "confseal_{name}{labels} {value}");
            }
        };
        let plain = |value: usize| [(String::new(), value)];
        let keys: Vec<_> = totals
            .keys
            .iter()
            .map(|(key, count)| {
                let role = if *key == master { "master" } else { "legacy" };
                (format!("{{key=\"{key}\",role=\"{role}\"}}"), *count)
            })
            .collect();
        let foreign: Vec<_> = totals
            .foreign
            .iter()
            .map(|(scheme, count)| (format!("{{scheme=\"{scheme}\"}}"), *count))
            .collect();
        let Totals { plain: as_is, fields, whole, unread, .. } = &totals;
        let forms = [("plain", as_is), ("fields", fields), ("whole", whole), ("unread", unread)]
            .map(|(form, count)| (format!("{{form=\"{form}\"}}"), *count));
        let uptime = self.started.elapsed().as_secs() as usize;
        let conflicts = self.troubles.conflicts.load(Ordering::Relaxed) as usize;
        let g = "gauge";
        metric("uptime_seconds", g, "Seconds since the mount was made.", &plain(uptime));
        metric("tokens", g, "Sealed values in the store, by key.", &keys);
        metric("foreign_tokens", g, "Tokens of other systems in the store.", &foreign);
        metric("files", g, "Files in the store, by the form they stand in.", &forms);
        let exposed = totals.exposed.len();
        metric("in_the_clear", g, "Secrets that stand in the clear.", &plain(exposed));
        let trouble = self.troubles.all().len();
        let help = "Files that cannot be opened or saved, or whose rule's pattern misses them.";
        metric("files_in_trouble", g, help, &plain(trouble));
        metric(
            "unsaved",
            g,
            "Files with writes not yet committed.",
            &plain(self.dirty.lock().len()),
        );
        metric("kept", g, "Versions kept aside.", &plain(self.store.kept()?.len()));
        metric("conflicts_total", "counter", "Versions displaced by a commit.", &plain(conflicts));
        let watched = usize::from(self.watch.none().is_none());
        metric("store_watched", g, "Whether changes in the store are heard of.", &plain(watched));
        let help = "Directories whose changes are not heard of.";
        metric("unwatched_directories", g, help, &plain(self.watch.refused()));
        metric("nodes", g, "Files and directories the kernel knows.", &plain(self.nodes.len()));
        let requests: Vec<_> = self
            .requests
            .all()
            .map(|(op, count)| (format!("{{op=\"{op}\"}}"), count as usize))
            .collect();
        metric("requests_total", "counter", "Requests of the kernel, by kind.", &requests);
        Ok(text)
    }
}
