//! `git-check`: what the pre-commit hook runs. Does a secret stand in the clear in what is about to
//! be committed? Looks at the index, not at the work tree, and needs no key.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use clap::Args;

use super::super::check::exposed_in;
use super::super::error::Failure;
use super::super::import::LookArguments;
use super::super::offline::LARGEST;
use super::super::output::count;
use super::super::pinned;
use super::super::{Outcome, Result};
use super::{Repository, output, records, within};
use crate::document::inspect_with;
use crate::path::RelPath;
use crate::policy::{Class, Ledger, Policy};
use crate::store::CONTROL_DIR;

/// Tell whether a secret stands in the clear in what `git commit` would commit
#[derive(Args)]
pub(in crate::cli) struct StagedCheck {}

/// A regular file in the index.
struct Staged {
    /// The object with its content.
    id: String,
    /// Below the top of the work tree.
    path: RelPath,
}

impl StagedCheck {
    pub(in crate::cli) fn run(self) -> Result {
        let repository = Repository::of(Path::new("."))?;
        let mut blobs = Blobs::open(&repository)?;
        let stores = repository.stores()?;
        let changed = changed(&repository)?;
        let mut exposed = 0;
        for store in &stores {
            let own = |staged: &&Staged| {
                within(&stores, &staged.path).is_some_and(|(holder, _)| holder == store)
            };
            // Other rules may make a secret of what is committed already.
            let is_rule = |staged: &Staged| {
                RULES.iter().any(|name| state_path(store, name).as_ref() == Some(&staged.path))
            };
            let all = match changed.iter().any(is_rule) {
                true => Some(tracked(&repository)?),
                false => None,
            };
            let files: Vec<&Staged> = all.as_ref().unwrap_or(&changed).iter().filter(own).collect();
            if !files.is_empty() {
                exposed += look_at(&repository, store, &files, &mut blobs)?;
            }
        }
        if exposed == 0 {
            return Ok(Outcome::Done);
        }
        eprintln!(
            "{} in the clear in what is to be committed; `confseal seal` seals them, then \
             `git add` them again",
            count(exposed, "secret")
        );
        Ok(Outcome::NotClean)
    }
}

/// The state files that decide what is secret.
const RULES: [&str; 2] = ["policy.toml", "sealed"];

fn state_path(store: &RelPath, name: &str) -> Option<RelPath> {
    let path = [store.as_bytes(), b"/", CONTROL_DIR.as_bytes(), b"/", name.as_bytes()].concat();
    RelPath::new(path.strip_prefix(b"/").unwrap_or(&path)).ok()
}

/// How many secrets of these `files` of one store stand in the clear; each is said.
fn look_at(
    repository: &Repository,
    store: &RelPath,
    files: &[&Staged],
    blobs: &mut Blobs,
) -> Result<usize> {
    let (policy, ledger) = rules(repository, store)?;
    let imports = LookArguments::default().imports(&repository.store_path(store))?;
    let mut exposed = 0;
    for staged in files {
        let Some((_, file)) = within(std::slice::from_ref(store), &staged.path) else { continue };
        if file.components().next() == Some(CONTROL_DIR.as_bytes()) {
            continue;
        }
        let shown = Path::new(staged.path.as_os_str());
        let Some(text) = blobs.read(&staged.id)? else {
            if !matches!(policy.classify(&file).class, Class::Unknown | Class::Plain) {
                eprintln!("confseal: {}: larger than {} MiB", shown.display(), LARGEST >> 20);
                exposed += 1;
            }
            continue;
        };
        let seen = inspect_with(&policy, &ledger, &imports, &file, &text);
        for secret in exposed_in(&policy, &seen, shown, &text) {
            secret.say()?;
            exposed += 1;
        }
    }
    Ok(exposed)
}

/// The rules that are committed along; where they are not in the index, those of the work tree.
fn rules(repository: &Repository, store: &RelPath) -> Result<(Policy, Ledger)> {
    let read = |name: &str| -> Result<Option<String>> {
        let Some(path) = state_path(store, name) else { return Ok(None) };
        let shown = repository.top.join(path.as_os_str());
        let mut object = std::ffi::OsString::from(":0:");
        object.push(path.as_os_str());
        let mut command = repository.git(["cat-file", "blob"].map(std::ffi::OsStr::new));
        let said =
            command.arg(object).stderr(Stdio::null()).output().map_err(Failure::io("git"))?;
        let text = match said.status.success() {
            true => said.stdout,
            false => match std::fs::read(&shown) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                other => other.map_err(Failure::io(&shown))?,
            },
        };
        String::from_utf8(text).map(Some).map_err(|error| Failure::Io {
            path: shown,
            error: std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error()),
        })
    };
    let path = |name: &str| repository.store_path(store).join(CONTROL_DIR).join(name);
    let policy = match read("policy.toml")? {
        Some(text) => Policy::parse(&text)
            .map_err(|error| Failure::Policy { path: path("policy.toml"), error })?,
        None => Policy::builtin(),
    };
    let ledger = match read("sealed")? {
        Some(text) => {
            Ledger::parse(&text).map_err(|error| Failure::Ledger { path: path("sealed"), error })?
        }
        None => Ledger::new(),
    };
    // What was not accepted yet does not make a secret fit to be committed.
    pinned::together(&repository.store_path(store), policy, ledger)
}

/// The regular files that the commit changes; none that it removes.
fn changed(repository: &Repository) -> Result<Vec<Staged>> {
    let head = repository.git(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).output();
    let head = head.map_err(Failure::io("git"))?;
    let tree = match head.status.success() {
        true => "HEAD".to_owned(),
        // The first commit: everything is new.
        false => {
            let mut command = repository.git(["hash-object", "-t", "tree", "--stdin"]);
            command.stdin(Stdio::null());
            String::from_utf8_lossy(&super::line(output(command)?)).into_owned()
        }
    };
    let options = ["diff-index", "--cached", "-z", "--no-renames", "--diff-filter=d"];
    let said = output(repository.git(options.into_iter().chain([&*tree, "--"])))?;
    let mut fields = records(&said);
    let mut staged = Vec::new();
    while let (Some(entry), Some(path)) = (fields.next(), fields.next()) {
        // :OLDMODE NEWMODE OLDID NEWID STATUS
        let mut words = entry.split(|byte| *byte == b' ').skip(1);
        staged.extend(words.next().and_then(|mode| file(mode, words.nth(1)?, path)));
    }
    Ok(staged)
}

/// All regular files of the index.
fn tracked(repository: &Repository) -> Result<Vec<Staged>> {
    let said = output(repository.git(["ls-files", "--stage", "-z", "--full-name"]))?;
    let entry = |record: &[u8]| {
        // MODE ID STAGE TAB PATH
        let tab = record.iter().position(|byte| *byte == b'\t')?;
        let mut words = record[..tab].split(|byte| *byte == b' ');
        file(words.next()?, words.next()?, &record[tab + 1..])
    };
    Ok(records(&said).filter_map(entry).collect())
}

/// A link holds a path and a submodule the name of a commit: neither is a file of the store. Nor is
/// a file that is only meant to be added, which has no content yet.
fn file(mode: &[u8], id: &[u8], path: &[u8]) -> Option<Staged> {
    let regular = mode.starts_with(b"100") && id.iter().any(|digit| *digit != b'0');
    let id = regular.then(|| String::from_utf8_lossy(id).into_owned())?;
    Some(Staged { id, path: RelPath::new(path).ok()? })
}

/// Objects of the repository, read one after the other from one `git cat-file`.
struct Blobs {
    child: Child,
    /// Taken when dropped, so that the program ends.
    ask: Option<ChildStdin>,
    answer: BufReader<ChildStdout>,
}

impl Blobs {
    fn open(repository: &Repository) -> Result<Self> {
        let mut command = repository.git(["cat-file", "--batch"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::io("git"))?;
        let (ask, answer) = (child.stdin.take(), child.stdout.take());
        let answer = answer.ok_or_else(|| Failure::Usage("git cat-file has no output".into()))?;
        Ok(Self { child, ask, answer: BufReader::new(answer) })
    }

    /// The content of an object; `None` when it is too large to be looked at.
    fn read(&mut self, id: &str) -> Result<Option<Vec<u8>>> {
        let content = self.ask_for(id).map_err(Failure::io("git cat-file"))?;
        Ok((content.len() as u64 <= LARGEST).then_some(content))
    }

    fn ask_for(&mut self, id: &str) -> std::io::Result<Vec<u8>> {
        let ask = self.ask.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
        writeln!(ask, "{id}")?;
        let mut head = String::new();
        self.answer.read_line(&mut head)?;
        let size = head.strip_suffix('\n').and_then(|head| head.rsplit_once(" blob "));
        let size = size.and_then(|(_, size)| size.parse::<u64>().ok());
        let size = size.ok_or_else(|| std::io::Error::other(format!("{id} is no file")))?;
        let kept = size.min(LARGEST + 1);
        let mut content = Vec::new();
        Read::take(&mut self.answer, kept).read_to_end(&mut content)?;
        // The rest, and the line end behind it.
        let mut rest = Read::take(&mut self.answer, size - kept + 1);
        std::io::copy(&mut rest, &mut std::io::sink())?;
        match content.len() as u64 == kept {
            true => Ok(content),
            false => Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        drop(self.ask.take());
        let _ = self.child.wait();
    }
}
