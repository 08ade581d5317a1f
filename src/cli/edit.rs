//! `edit`: the view of one file in an editor, without a mount.
//!
//! Must stay true: the plaintext is in memory alone: ours, a private room's ([`Room`]) and the
//! editor's. What the editor saved is sealed into the store, or kept aside sealed, or given up on
//! the user's word; it is never just lost.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;
use rustix::fs::{Mode, OFlags};

use super::audited::Audited;
use super::error::Failure;
use super::offline::{Change, LARGEST};
use super::one::One;
use super::open::{KeyArguments, remember_key};
use super::output::say;
use super::trouble::Trouble;
use super::{Outcome, Result};
use crate::audit::{self, Action};
use crate::document::{Existing, Form, Markers, Opened, Sealed, Sealing, Versions, WholeBecause};
use crate::path::RelPath;
use crate::secret::SecretBytes;
use crate::store::StoreLock;
use crate::sys::process::{Signals, with_signals_open};
use crate::sys::room::Room;

/// How often, and after what pause, the store is asked for when an edit is to be saved.
const ATTEMPTS: usize = 20;
const PACE: Duration = Duration::from_millis(250);

/// Edit the plaintext of a file in $VISUAL, $EDITOR or vi
///
/// The editor sees the file in a private directory in memory, where its swap and backup files go
/// too. What it saves is sealed; values that it does not change keep their tokens.
#[derive(Args)]
pub(super) struct Edit {
    /// A file in a store; one in a mount is simply edited.
    file: PathBuf,
    #[command(flatten)]
    keys: KeyArguments,
}

impl Edit {
    pub(super) fn run(self) -> Result {
        let one = One::of(&self.file)?;
        // Blocked before there is anything that an interrupt could lose.
        let _signals = Signals::block().map_err(Failure::io(&self.file))?;
        let point = tempfile::Builder::new().prefix("confseal-edit-").tempdir();
        let point = point.map_err(Failure::io(std::env::temp_dir()))?;
        let room = self.room(&one, point.path())?;

        // Whether the store is to be had is better known now; while the user thinks, others may
        // have it.
        let (sealing, lock) = one.begin(&self.keys)?;
        drop(lock);
        let stored = one.read()?;
        let opened = one.open(&sealing, &stored)?;
        let audited = Audited::of(one.store().path(), Action::Edit, &one.file, None)?;
        audited.before(audit::Outcome::Shown)?;
        let desk = Desk { room: &room, name: one.file.name() };
        let edited = desk.lay(&opened.view).map_err(Failure::Room);
        let edited = edited.and_then(|()| desk.edit(&sealing, &one.file, &opened));
        let edited = match edited {
            Ok(edited) => edited,
            failed => audited.ended(audit::Outcome::Done, failed)?,
        };
        let Some(sealed) = edited else {
            audited.after(audit::Outcome::Unchanged, "");
            say(format_args!("{}: no change", self.file.display()))?;
            return Ok(Outcome::Done);
        };
        let saved = self.save(&one, &stored, &opened, &sealed);
        audited.ended(audit::Outcome::Done, saved)
    }

    /// The room, in which the editor runs on demand.
    fn room(&self, one: &One, point: &Path) -> Result<Room> {
        let mut named = ["VISUAL", "EDITOR"].into_iter().filter_map(std::env::var_os);
        let editor = named.find(|editor| !editor.is_empty()).unwrap_or("vi".into());
        let variables = self.keys.sources(one.store().path())?.variables();
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let work = |room: &Path| {
            let mut command = shell(&editor, &room.join(one.file.name()));
            command.current_dir(room).env("PWD", room).env("TMPDIR", room);
            // It has the plaintext of one file: no key is its business.
            for name in &variables {
                command.env_remove(name);
            }
            let status = with_signals_open(&mut command).status();
            let code = |status: std::process::ExitStatus| {
                status.code().or_else(|| status.signal().map(|signal| 128 + signal))
            };
            status.ok().and_then(code).and_then(|code| u8::try_from(code).ok()).unwrap_or(127)
        };
        Room::open(point, home.as_deref(), work).map_err(Failure::Room)
    }

    /// The store for ourselves; waits a little for another verb that works on it.
    fn begin(&self, one: &One) -> Result<(Sealing, Option<StoreLock>)> {
        for _ in 0..ATTEMPTS {
            match one.begin(&self.keys) {
                Err(Failure::Locked { .. }) => std::thread::sleep(PACE),
                other => return other,
            }
        }
        one.begin(&self.keys)
    }

    /// Brings what the editor saved into the store; beside it, sealed, where others were quicker.
    fn save(&self, one: &One, stored: &[u8], opened: &Opened, sealed: &Sealed) -> Result {
        let saved = self.begin(one).and_then(|(mut sealing, _lock)| {
            one.enter(&mut sealing, &[&opened.unruled[..], &sealed.ledger].concat())?;
            if sealed.form != Form::Plain {
                remember_key(one.store(), &sealing)?;
            }
            one.replace(&sealing, |now| match now == stored {
                true => Ok((Some(sealed.stored.clone()), Saved::AsItIs)),
                false => merge(&sealing, &one.file, stored, now, &sealed.stored),
            })
        });
        let shown = self.file.display();
        let (why, failure) = match saved {
            Ok(Saved::AsItIs) => {
                match &sealed.whole {
                    None | Some(WholeBecause::Rule) => say(format_args!("{shown}: saved"))?,
                    Some(because) => say(format_args!("{shown}: saved, sealed whole: {because}"))?,
                }
                return Ok(Outcome::Done);
            }
            Ok(Saved::Merged) => {
                say(format_args!("{shown}: saved, merged with what changed it meanwhile"))?;
                return Ok(Outcome::Done);
            }
            Ok(Saved::Conflict) => ("changed meanwhile in the same places".to_owned(), None),
            Err(failure) => ("cannot be written".to_owned(), Some(failure)),
        };
        let kept = one.sealing(&self.keys)?.seal_kept(&sealed.stored);
        let kept = one.store().keep(&one.file, &kept).map_err(Failure::io(one.kept_path("")))?;
        let kept = one.kept_path(&kept);
        eprintln!("confseal: {shown}: {why}; your version is kept, sealed, in {}", kept.display());
        failure.map_or(Ok(Outcome::NotClean), Err)
    }
}

enum Saved {
    AsItIs,
    Merged,
    Conflict,
}

/// The edit, and what somebody else did to the file meanwhile.
fn merge(
    sealing: &Sealing,
    file: &RelPath,
    base: &[u8],
    now: &[u8],
    edited: &[u8],
) -> Result<Change<Saved>, Trouble> {
    let markers = Markers { size: 7, labels: ["", "", ""], with_base: false };
    let merged = sealing.merge(file, &Versions { base, ours: now, theirs: edited }, &markers)?;
    Ok(match merged.conflict {
        true => (None, Saved::Conflict),
        false => (Some(merged.stored), Saved::Merged),
    })
}

/// The file in the room.
struct Desk<'a> {
    room: &'a Room,
    name: &'a OsStr,
}

impl Desk<'_> {
    /// Puts the view there.
    fn lay(&self, view: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        File::from(rustix::fs::openat(self.room.dir(), self.name, flags, mode)?).write_all(view)
    }

    /// What lies there now.
    fn take(&self) -> io::Result<SecretBytes> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file =
            File::from(rustix::fs::openat(self.room.dir(), self.name, flags, Mode::empty())?);
        let len = file.metadata()?.len();
        if len > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        // No growth on the way: that would leave copies behind.
        let mut view = SecretBytes::from(vec![0; len as usize]);
        io::Read::read_exact(&mut &file, view.as_mut_slice())?;
        Ok(view)
    }

    /// Lets the user edit until the result can be sealed as it should be, or he says that it may be
    /// sealed otherwise. `None`: nothing has changed.
    fn edit(&self, sealing: &Sealing, file: &RelPath, opened: &Opened) -> Result<Option<Sealed>> {
        loop {
            match self.room.run().map_err(Failure::Room)? {
                0 => {}
                127 => return Err(Failure::Editor("the editor cannot be started".to_owned())),
                code => {
                    let what = format!("the editor ended with code {code}: nothing was saved");
                    return Err(Failure::Editor(what));
                }
            }
            let view = self.take().map_err(|error| {
                Failure::Editor(format!("the editor left no file to be saved: {error}"))
            })?;
            if *view == *opened.view {
                return Ok(None);
            }
            let existing = Existing::of(Some(opened.form));
            let sealed = sealing.seal(file, &view, &[&opened.stock], existing);
            let because = match &sealed.whole {
                Some(because @ WholeBecause::Unreadable(_)) => because,
                // The format goes by the content, and this is of none any more.
                Some(because @ (WholeBecause::UnknownName | WholeBecause::NoMatch))
                    if opened.form != Form::Whole =>
                {
                    because
                }
                _ => return Ok(Some(sealed)),
            };
            eprintln!("confseal: {file}: its fields cannot be sealed one by one: {because}");
            match ask("edit again [e], save it sealed as a whole [w], or give up the edit [q]?")? {
                'e' => {}
                'w' => return Ok(Some(sealed)),
                _ => return Err(Failure::Editor("given up: nothing was saved".to_owned())),
            }
        }
    }
}

/// The first letter of the user's answer; `q` when there is none.
fn ask(question: &str) -> Result<char> {
    loop {
        eprint!("{question} ");
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer).map_err(Failure::io("standard input"))?;
        match answer.trim_start().chars().next().map(|letter| letter.to_ascii_lowercase()) {
            Some(letter @ ('e' | 'w' | 'q')) => return Ok(letter),
            _ if read == 0 => return Ok('q'),
            _ => {}
        }
    }
}

/// The editor, which may have arguments, as git starts it: by a shell.
fn shell(editor: &OsStr, file: &Path) -> Command {
    let mut script = OsString::from(editor);
    script.push(" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(editor).arg(file);
    command
}
