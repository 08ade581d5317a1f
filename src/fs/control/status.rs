//! `status`: what the mount is doing, as JSON.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

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
        if rules.gives_back {
            // The unit looks for these words when the daemon has ended.
            line += "; its files are given back";
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
                    "kind": trouble.kind.name(),
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
            "instance": self.options.name,
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
            "sealed_whole": totals.fallback.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "conflicts": self.troubles.conflicts.load(Ordering::Relaxed),
            "kept": self.store.kept()?,
            "unwatched": self.watch.none(),
            "unwatched_directories": self.watch.refused(),
            "jobs": jobs,
        });
        let text = serde_json::to_string_pretty(&status).map_err(std::io::Error::other)?;
        Ok(text + "\n")
    }
}
