//! The file itself: what governs it, how it stands, and whether it opens.

use std::io;
use std::time::Duration;

use serde_json::Value;

use super::super::explain::{class_name, class_reason, form};
use super::super::offline::{keep_secrets_in_memory, read};
use super::super::open::{open_store, rules};
use super::super::probe::{self, What};
use super::super::{check, import};
use super::keys::Known;
use super::namespace::Victim;
use super::permission;
use super::place::Place;
use super::report::Report;
use crate::document::{Form, Imports, OpenError, Sealing, inspect_with, sealer, token_keys};
use crate::path::RelPath;
use crate::policy::Class;
use crate::store::{FileKind, Store};

/// How many fields or files are named one by one.
const NAMED: usize = 5;

/// What the file is looked at with.
pub(super) struct Context<'a> {
    pub place: &'a Place,
    pub status: Option<&'a Value>,
    pub known: &'a Known,
}

/// Looks at the file.
pub(super) fn look(
    context: &Context<'_>,
    victim: Option<&Victim>,
    patience: Duration,
    report: &mut Report,
) {
    let place = context.place;
    let Some(file) = &place.file else { return };
    if place.mount.is_some() && context.status.is_some() {
        reached(place, patience, report);
    }
    told_by_daemon(context, file, report);
    let at = place.readable_store(context.status);
    let Some(at) = at else {
        if place.store.is_some() {
            report.note("file", "its store cannot be reached from here, so it was not looked at");
        }
        return;
    };
    let store = match open_store(&at) {
        Ok(store) => store,
        Err(failure) => {
            report.wrong_with("store", failure.to_string());
            return;
        }
    };
    permission::look(place, &at, file, victim, report);
    let kind = if file.is_root() { Ok(FileKind::Dir) } else { kind(&store, file) };
    match kind {
        Ok(FileKind::File) => content(context, &store, file, report),
        Ok(FileKind::Dir) => report_directory(file, report),
        Ok(_) => {
            report.note("file", format!("{file}: no regular file: nothing in it is sealed"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            report.wrong_with("file", format!("{file}: there is no such file in the store")).todo(
                "see that the program has the right path; a file that was removed comes \
                 back from a backup of the store",
            );
        }
        Err(error) => {
            report.wrong_with("file", format!("{file}: {error}"));
        }
    }
}

fn kind(store: &Store, file: &RelPath) -> io::Result<FileKind> {
    Ok(store.dir(&file.parent())?.stat(file.name())?.kind)
}

fn report_directory(file: &RelPath, report: &mut Report) {
    let shown = if file.is_root() { "the store itself".to_owned() } else { file.to_string() };
    report
        .fine("file", format!("{shown}: a directory"))
        .todo("`confseal verify` opens all that is in it");
}

/// What reading it through the mount gives.
fn reached(place: &Place, patience: Duration, report: &mut Report) {
    let Ok(answer) = probe::ask(What::Reach, &place.path, patience) else { return };
    let Some(errno) = answer["errno"].as_i64().and_then(|errno| i32::try_from(errno).ok()) else {
        report.fine("file", "can be read through the mount by this user");
        return;
    };
    let error = answer["error"].as_str().unwrap_or_default();
    let (name, todo) = match errno {
        libc::ENOKEY => {
            ("ENOKEY", "a value in it is sealed under a key that is not there: see below")
        }
        libc::EBADMSG => ("EBADMSG", "something in it is damaged, or was moved there: see below"),
        libc::EKEYREJECTED => ("EKEYREJECTED", "a token in it is refused: see below"),
        libc::EFBIG => ("EFBIG", "raise `max_view` in [mount] of the instance"),
        libc::EACCES => (
            "EACCES",
            "see who may read it, below; version control works in the store: confseal with-store",
        ),
        libc::ENOENT => ("ENOENT", "see that the program has the right path"),
        _ => ("an error", "see the daemon's log"),
    };
    report
        .wrong_with("file", format!("reading it through the mount gives {name}: {error}"))
        .fact("errno", errno)
        .todo(todo);
}

/// What the daemon has met.
fn told_by_daemon(context: &Context<'_>, file: &RelPath, report: &mut Report) {
    let list = context.status.and_then(|status| status["trouble"].as_array());
    let is_meant = |trouble: &&Value| {
        let path = RelPath::new(trouble["file"].as_str().unwrap_or_default()).unwrap_or_default();
        file.is_root() || path.is_within(file)
    };
    for trouble in list.into_iter().flatten().filter(is_meant).take(NAMED) {
        let text = |name: &str| trouble[name].as_str().unwrap_or_default().to_owned();
        let key = text("key_id");
        let finding = report
            .wrong_with("last error", format!("{}: {}", text("file"), text("reason")))
            .fact("file", text("file"))
            .fact("field", trouble["field"].clone())
            .fact("key_id", trouble["key_id"].clone())
            .fact("kind", text("kind"));
        let todo = match &*text("kind") {
            "no-key" => {
                format!("give the key {key} as a legacy key, then reload; or restore the file")
            }
            "damaged" => {
                "restore the file in the store, from version control or a backup; if it was \
                 renamed there, `confseal rebind`"
                    .to_owned()
            }
            "sealed-whole" => {
                "correct the rule's pattern in .confseal/policy.toml, or the file".to_owned()
            }
            "too-large" => "raise `max_view` in [mount] of the instance".to_owned(),
            _ => "see the daemon's log; room on the disk?".to_owned(),
        };
        finding.todo(todo);
    }
}

/// The rule, and what stands in the store.
fn content(context: &Context<'_>, store: &Store, file: &RelPath, report: &mut Report) {
    let text = match read(store, file) {
        Ok(text) => text,
        Err(trouble) => {
            report.wrong_with("file", format!("{file}: {trouble}"));
            return;
        }
    };
    let (policy, ledger) = match rules(store) {
        Ok(rules) => rules,
        Err(failure) => {
            report.wrong_with("rule", failure.to_string()).todo("correct it, then reload");
            return;
        }
    };
    let imports = imports(context.known, report);
    let seen = inspect_with(&policy, &ledger, &imports, file, &text);
    let (class, by) = (class_name(&seen.class.class), class_reason(file, &seen.class));
    let stands = form(&seen);
    report
        .fine("rule", format!("{file}: {class}, by {by}; stands {stands}"))
        .fact("class", class)
        .fact("by", by)
        .fact("stands", stands);
    if seen.form == Form::Whole
        && matches!(seen.class.class, Class::Fields(_))
        && !seen.class.is_by_content()
    {
        report
            .note(
                "file",
                "sealed whole, though its fields were to be sealed: it could not be \
                 read in its format when it was saved, or a secret stood outside its field",
            )
            .todo("look at it through the mount, correct it and save it");
    }
    let exposed: Vec<String> = seen
        .fields
        .iter()
        .filter(|field| field.is_exposed())
        .map(|field| format!("`{}` (line {})", field.path, field.line))
        .collect();
    let whole = seen.exposed_whole.then(|| check::whole_reason(&policy, &seen, &text)).flatten();
    if !exposed.is_empty() || whole.is_some() {
        let more = exposed.len().saturating_sub(NAMED);
        let mut named: Vec<String> = exposed.into_iter().take(NAMED).chain(whole).collect();
        if more > 0 {
            named.push(format!("{more} more"));
        }
        report
            .wrong_with("file", format!("{file}: secrets stand in the clear: {}", named.join(", ")))
            .todo("save it through the mount, or run `confseal seal` while it is not mounted");
    }
    opened(context, (policy, ledger), imports, file, &text, report);
}

/// The tokens of other systems that are imported.
fn imports(known: &Known, report: &mut Report) -> Imports {
    let Some(sources) = &known.sources else { return Imports::default() };
    import::read(sources.imports(), &mut Default::default()).unwrap_or_else(|failure| {
        report.wrong_with("key", failure.to_string());
        Imports::default()
    })
}

/// Does it open, with the keys that are to be had here?
fn opened(
    context: &Context<'_>,
    (policy, ledger): (crate::policy::Policy, crate::policy::Ledger),
    imports: Imports,
    file: &RelPath,
    text: &[u8],
    report: &mut Report,
) {
    let known = context.known;
    let mut needed: Vec<String> = token_keys(text).map(|id| id.to_string()).collect();
    needed.sort();
    needed.dedup();
    let is_anything_known = known.keyring.is_some() || !known.daemon.is_empty();
    for id in needed.iter().filter(|id| is_anything_known && !known.has(id)) {
        report
            .wrong_with(
                "file",
                format!(
                    "{file}: holds values sealed under the key {id}, \
                     which is not among the keys"
                ),
            )
            .fact("key_id", id.as_str())
            .todo(format!(
                "give the key {id} as a legacy key (`legacy` in [keys] of the \
                 instance), then reload"
            ));
    }
    let Some(keyring) = &known.keyring else {
        if !needed.is_empty() && known.daemon.is_empty() {
            report
                .note("file", format!("{file}: to open it takes the key {}", needed.join(", ")))
                .fact("key_ids", needed);
        }
        return;
    };
    keep_secrets_in_memory();
    let sealing = Sealing {
        sealer: sealer(keyring.clone()),
        policy,
        ledger: ledger.into(),
        imports,
        binding: known.binding,
        keep_legacy_tokens: true,
    };
    match sealing.open(file, text) {
        Ok(_) => {
            report.fine("file", format!("{file}: opens with these keys"));
        }
        // Said above, key by key.
        Err(error) if error.key_id().is_some_and(|id| !known.has(&id.to_string())) => {
            refused(file, &error, report).todo("or restore the file as it was");
        }
        Err(error) => {
            refused(file, &error, report)
                .todo("restore it in the store, from version control or a backup")
                .todo("if it, or the field, was renamed in the store: confseal rebind");
        }
    }
}

fn refused<'a>(
    file: &RelPath,
    error: &OpenError,
    report: &'a mut Report,
) -> &'a mut super::report::Finding {
    report
        .wrong_with("file", format!("{file}: {error}"))
        .fact("field", error.field.as_ref().map(ToString::to_string))
        .fact("line", error.line)
        .fact("key_id", error.key_id().map(|id| id.to_string()))
}
