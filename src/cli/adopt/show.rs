//! The preflight, for eyes and for scripts. Names files and fields, never a value.

use std::path::Path;

use serde_json::{Value, json};

use super::super::Result;
use super::super::output::{count, on_one_line, say};
use super::leftovers::What;
use super::preflight::Preflight;
use super::tracked::WorkingCopy;

fn shown(path: &Path) -> String {
    on_one_line(&path.to_string_lossy())
}

impl Preflight {
    /// Shows it, section by section; what there is nothing to say of is left out.
    pub(super) fn say(&self) -> Result<()> {
        say(format_args!("secrets in {}:", shown(&self.subject.dir)))?;
        self.survey.say(false)?;
        self.say_who_sees_the_store()?;
        self.say_where_plaintext_remains()?;
        self.say_version_control()?;
        if !self.too_open.is_empty() {
            say(format_args!("\nevery user may read them, through the mount too (`chmod o-r`):"))?;
            for (path, mode) in &self.too_open {
                say(format_args!("  {} (mode {mode:04o})", shown(path)))?;
            }
        }
        say(format_args!("\nwhat would be done:"))?;
        for step in self.steps() {
            say(format_args!("  {step}"))?;
        }
        Ok(())
    }

    fn say_who_sees_the_store(&self) -> Result<()> {
        if !self.holders.is_empty() {
            say(format_args!(
                "\nopen now; they go on seeing the store until they open anew, and writers are \
                 waited for:"
            ))?;
            for holder in &self.holders {
                say(format_args!("  {}", on_one_line(&holder.to_string())))?;
            }
        }
        if !self.blind.is_empty() {
            say(format_args!(
                "\nin mount namespaces of their own that the mount does not reach; to be restarted \
                 afterwards:"
            ))?;
            for blind in &self.blind {
                let others = match blind.processes {
                    1 => String::new(),
                    more => format!(" and {} more", more - 1),
                };
                let comm = on_one_line(&blind.comm);
                say(format_args!("  process {} ({comm}){others}", blind.pid))?;
            }
        }
        Ok(())
    }

    fn say_where_plaintext_remains(&self) -> Result<()> {
        let of = |what| self.leftovers.iter().filter(move |leftover| leftover.what == what);
        if of(What::Backup).next().is_some() {
            say(format_args!("\nbackups in it, sealed with the rest where their content tells:"))?;
            of(What::Backup).try_for_each(|left| say(format_args!("  {}", shown(&left.path))))?;
        }
        if of(What::Copy).next().is_some() {
            say(format_args!("\ncopies of these secrets elsewhere, which stay as they are:"))?;
            of(What::Copy).try_for_each(|left| say(format_args!("  {}", shown(&left.path))))?;
        }
        if !self.recorded.is_empty() {
            say(format_args!("\nrecorded in git, and readable there for good:"))?;
            for recorded in &self.recorded {
                let what = match recorded.commits {
                    Some(commits) => {
                        format!("{} of {}", count(commits, "commit"), shown(&recorded.file))
                    }
                    None => "its history could not be read".to_owned(),
                };
                say(format_args!("  {}: {what}", shown(&recorded.root)))?;
            }
        }
        Ok(())
    }

    fn say_version_control(&self) -> Result<()> {
        for copy in &self.copies {
            say(format_args!("\n{}", advice(copy, &self.subject.dir)))?;
        }
        Ok(())
    }

    /// What an adoption does from here, in order.
    pub(super) fn steps(&self) -> Vec<String> {
        let subject = &self.subject;
        let mut steps = Vec::new();
        if self.policy.is_some() {
            steps.push(format!("write {}/.confseal/policy.toml", shown(&subject.dir)));
        }
        steps.extend(self.keeping.step());
        if let Some(escrow) = &self.escrow {
            steps.push(match escrow.as_os_str() == "-" {
                true => "print a copy of the key".to_owned(),
                false => format!("write a copy of the key to {}", shown(escrow)),
            });
        }
        if subject.instance.is_none() {
            steps.push(format!("write {}", shown(&subject.file())));
        }
        if !subject.is_mounted() {
            steps.push(self.service.step(subject));
        }
        let secrets = count(self.survey.exposed(), "secret");
        let files = count(self.exposed_files().count(), "file");
        steps.push(format!("seal {secrets} in {files}, file by file, while programs go on"));
        steps
    }

    /// The same as JSON.
    pub(super) fn to_json(&self) -> Value {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        json!({
            "dir": path(&self.subject.dir),
            "name": self.subject.name,
            "mounted": self.subject.is_mounted(),
            "repeated": self.repeated,
            "refused": self.refusals,
            "secrets": self.survey.to_json(),
            "holders": self.holders.iter().map(|holder| json!({
                "pid": holder.pid,
                "comm": holder.comm,
                "path": path(&holder.path),
                "writes": holder.can_write(),
            })).collect::<Vec<_>>(),
            "namespaces": self.blind.iter().map(|blind| json!({
                "pid": blind.pid, "comm": blind.comm, "processes": blind.processes,
            })).collect::<Vec<_>>(),
            "leftovers": self.leftovers.iter().map(|left| json!({
                "path": path(&left.path),
                "kind": match left.what { What::Backup => "backup", What::Copy => "copy" },
            })).collect::<Vec<_>>(),
            "recorded": self.recorded.iter().map(|recorded| json!({
                "root": path(&recorded.root),
                "file": path(&recorded.file),
                "commits": recorded.commits,
            })).collect::<Vec<_>>(),
            "version_control": self.copies.iter().map(|copy| json!({
                "root": path(&copy.root),
                "system": copy.system,
                "etckeeper": copy.etckeeper,
                "ignore_file": copy.ignore.as_ref().map(|ignore| path(&ignore.file)),
                "ignore_line": copy.ignore.as_ref().map(|ignore| &ignore.line),
                "ignored": copy.ignore.as_ref().map(|ignore| ignore.there),
            })).collect::<Vec<_>>(),
            "too_open": self.too_open.iter().map(|(file, mode)| json!({
                "file": path(file), "mode": format!("{mode:04o}"),
            })).collect::<Vec<_>>(),
            "steps": self.steps(),
        })
    }
}

/// What to do about a working copy that holds `dir`.
fn advice(copy: &WorkingCopy, dir: &Path) -> String {
    let (root, dir) = (shown(&copy.root), shown(dir));
    let who = match copy.etckeeper {
        true => format!("etckeeper commits {root}"),
        false => format!("{root} is under version control ({})", copy.system),
    };
    match &copy.ignore {
        None if copy.root.to_string_lossy() == dir.as_str() => format!(
            "{who}: `{}` is out of reach through the mount; use `confseal with-store {dir} -- ...`, \
             which works on the sealed side",
            copy.system
        ),
        None => {
            format!("{who}: it would record what it reads through the mount; take {dir} out of it")
        }
        Some(ignore) if ignore.there => format!("{who}, and leaves {dir} out already"),
        Some(ignore) => {
            let untrack = match copy.system {
                ".git" => format!("; then, once: git -C {root} rm -r --cached {dir}"),
                _ => String::new(),
            };
            format!(
                "{who}, and would record the plaintext that it reads through the mount.\nAdd this \
                 line to {}{untrack}\n  {}",
                shown(&ignore.file),
                ignore.line
            )
        }
    }
}
