//! An adoption, step by step. Each step looks first whether it has been done.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::super::error::Failure;
use super::super::open::lock;
use super::super::output::{on_one_line, say};
use super::super::{Outcome, Result, control, pinned};
use super::key::{Keeping, make_directory, put_copy};
use super::leftovers::What;
use super::preflight::Preflight;
use super::service::Service;
use super::subject::Subject;
use crate::instance::DIRECTORY;
use crate::keyring::Key;
use crate::path::RelPath;
use crate::store::holders::{Holder, What as Held};
use crate::store::{CONTROL_DIR, LockError};
use crate::sys::memory;

/// How long a program may hold a file open for writing before an adoption gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked again.
const PACE: Duration = Duration::from_millis(50);

/// How often a start is tried that a writer prevents.
const STARTS: u32 = 10;

/// How often the store is gone through, for what programs laid open meanwhile beneath the mount.
const ROUNDS: u32 = 5;

/// Tells that a step has been done.
pub(in crate::cli) fn announce(what: &str) -> Result<()> {
    say(format_args!("{what}"))
}

/// Adopts what `preflight` has looked at.
pub(super) fn carry_out(preflight: &Preflight) -> Result {
    if let Err(error) = memory::forbid_dumps() {
        log::debug!("dumps are not forbidden: {error}");
    }
    let Preflight { subject, keeping, service, .. } = preflight;
    say(format_args!(""))?;
    if let Some(text) = &preflight.policy {
        write_policy(subject, text)?;
    }
    let key = keep_key(keeping)?;
    if let Some(file) = &preflight.escrow {
        put_copy(&key, file)?;
        if file.as_os_str() != "-" {
            announce(&format!("wrote a copy of the key to {}", file.display()))?;
        }
    }
    if subject.instance.is_none() {
        write_instance(subject, keeping)?;
    }
    mount_if_missing(subject, *service)?;
    wait_for_openers(subject)?;
    let outcome = seal_until_done(subject)?;
    say_what_is_left_to_do(preflight, &key)?;
    Ok(outcome)
}

fn write_policy(subject: &Subject, text: &str) -> Result<()> {
    let store = subject.open_store()?;
    let path = subject.dir.join(CONTROL_DIR).join("policy.toml");
    let _lock = lock(&store)?;
    if store.read_state("policy.toml").map_err(Failure::io(&path))?.is_none() {
        store.write_state("policy.toml", text.as_bytes()).map_err(Failure::io(&path))?;
        announce(&format!("wrote {}", path.display()))?;
    }
    Ok(())
}

fn keep_key(keeping: &Keeping) -> Result<Key> {
    let (key, is_new) = keeping.ensure()?;
    let file = keeping.file().map(|file| format!(" in {}", file.display())).unwrap_or_default();
    let made = if is_new { "made a key and kept it" } else { "took the key" };
    announce(&format!("{made}{file}: key id {}", key.id()))?;
    Ok(key)
}

fn write_instance(subject: &Subject, keeping: &Keeping) -> Result<()> {
    let quoted = |text: String| toml::Value::String(text).to_string();
    let store = subject.dir.to_str().ok_or_else(|| {
        let what = "an instance cannot name a path that is not UTF-8";
        Failure::Usage(format!("{}: {what}", subject.dir.display()))
    })?;
    let text = format!(
        "# Written by `confseal adopt`; docs/cli.md says what else may stand here.\n\
         store = {}\n\n[keys]\nmaster = {}\n",
        quoted(store.to_owned()),
        quoted(keeping.source().to_string()),
    );
    make_directory(Path::new(DIRECTORY), 0o755)?;
    let file = subject.file();
    replace_file(&file, text.as_bytes()).map_err(Failure::io(&file))?;
    announce(&format!("wrote {}", file.display()))
}

/// Writes a file of ours whole, durably, mode 0644.
pub(super) fn replace_file(file: &Path, content: &[u8]) -> io::Result<()> {
    let parent = file.parent().unwrap_or(Path::new("/"));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let draft = parent.join(format!(".{name}.new"));
    // What one left that was cut off.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut made = File::options().write(true).create_new(true).mode(0o644).open(&draft)?;
    made.write_all(content)?;
    made.sync_all()?;
    fs::rename(&draft, file)?;
    File::open(parent)?.sync_all()
}

/// Starts the daemon unless its mount stands. A program that holds a file open for writing would
/// prevent it, and a unit that fails stops the programs that need it: so it is started when nobody
/// does. Who begins to in between is waited for by the service itself, and without one it is tried
/// again.
pub(in crate::cli) fn mount_if_missing(subject: &Subject, service: Service) -> Result<()> {
    if subject.is_mounted() {
        return Ok(());
    }
    for left in (0..STARTS).rev() {
        if subject.is_over_itself() {
            let store = subject.open_store()?;
            wait_until_none(|| store.holders().into_iter().filter(Holder::can_write).collect())?;
        }
        match service.start(subject) {
            Ok(()) => break,
            Err(Failure::Held { .. }) if left > 0 => {}
            Err(failure) => return Err(failure),
        }
    }
    let over = subject.dir.display();
    announce(&match service {
        Service::Unit => format!("started {}: mounted over {over}", subject.unit()),
        Service::Direct => format!("mounted over {over}"),
    })
}

/// Waits for those who opened a file before the mount stood and would notice what becomes of it: what
/// they write goes to the file that is beneath now, and would be lost once that is replaced; and one
/// with several names is not replaced but written over, so that they would read tokens.
fn wait_for_openers(subject: &Subject) -> Result<()> {
    let store = subject.open_store()?;
    let daemon = match store.lock() {
        Err(LockError::Held { pid }) => pid,
        Ok(_) | Err(LockError::Io(_)) => None,
    };
    let has_names = |holder: &Holder| {
        let file = holder.path.strip_prefix(&subject.dir).ok()?;
        let file = RelPath::new(file.as_os_str().as_bytes()).ok()?;
        Some(store.dir(&file.parent()).ok()?.stat(file.name()).ok()?.nlink > 1)
    };
    // They know it by the path that it had. (A mapping is known by its path alone, so those of the
    // mount would count; a writable one that was there before has kept the mount from being made.)
    let is_meant = |holder: &Holder| {
        let notices = holder.can_write() || has_names(holder) == Some(true);
        matches!(holder.what, Held::Fd { .. }) && notices && Some(holder.pid) != daemon
    };
    wait_until_none(|| store.holders_by(&subject.dir).into_iter().filter(is_meant).collect())
}

fn wait_until_none(holders: impl Fn() -> Vec<Holder>) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let left = holders();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            let list: Vec<_> = left.iter().map(|holder| format!("  {holder}")).collect();
            let list = list.join("\n");
            return Err(Failure::Refused(format!(
                "these hold files open that are about to change beneath them; stop them, or have \
                 them open anew, and repeat:\n{list}"
            )));
        }
        thread::sleep(PACE);
    }
}

/// Has the daemon seal file by file, until it finds nothing any more.
fn seal_until_done(subject: &Subject) -> Result {
    let mut outcome = Outcome::Done;
    for round in 0..ROUNDS {
        let (answer, done) = control::ask(&subject.dir, "seal", &[])?;
        outcome = done;
        let nothing = answer.starts_with("0 secrets");
        if round == 0 || !nothing {
            announce(&answer)?;
        }
        if nothing || done != Outcome::Done {
            break;
        }
    }
    let (answer, verified) = control::ask(&subject.dir, "verify", &[])?;
    announce(&format!("verified: {answer}"))?;
    Ok(if verified == Outcome::Done { outcome } else { verified })
}

fn say_what_is_left_to_do(preflight: &Preflight, key: &Key) -> Result<()> {
    let Preflight { subject, keeping, .. } = preflight;
    let dir = subject.dir.display();
    if preflight.escrow.is_none() {
        say(format_args!(
            "\nput a copy of the key {} away, off this machine: without it, nothing opens the store \
             when this machine is gone",
            key.id()
        ))?;
        say(format_args!("  confseal adopt {dir} --yes --escrow FILE"))?;
    }
    if let Keeping::Credential { name, .. } = keeping
        && let Some(file) = keeping.file()
    {
        say(format_args!(
            "  (this machine alone: systemd-creds decrypt --name={name} {} -)",
            file.display()
        ))?;
    }
    let exposed = preflight.was_in_the_clear();
    if !exposed.is_empty() {
        say(format_args!(
            "\nthese stood on the disk in the clear, and may be in old blocks, backups and \
             snapshots: change them now"
        ))?;
        for (file, field) in exposed {
            let file = on_one_line(&file.to_string_lossy());
            match field {
                Some(field) => say(format_args!("  {file}: {}", on_one_line(&field)))?,
                None => say(format_args!("  {file}: all of it"))?,
            }
        }
    }
    let copies: Vec<_> =
        preflight.leftovers.iter().filter(|leftover| leftover.what == What::Copy).collect();
    if !copies.is_empty() || !preflight.recorded.is_empty() {
        say(format_args!("\nthey remain in:"))?;
        for copy in copies {
            say(format_args!("  {}", on_one_line(&copy.path.to_string_lossy())))?;
        }
        for recorded in &preflight.recorded {
            let (root, file) = (recorded.root.display(), recorded.file.display());
            say(format_args!("  the history of {root}: {file}"))?;
        }
    }
    say(format_args!(
        "\nback up {} instead of {dir}; when its programs are stopped, `confseal adopt --finish {dir}` \
         moves the store beside",
        pinned::covered_at(&subject.name).display()
    ))
}
