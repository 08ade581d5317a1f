//! Git: a repository whose work tree holds stores, asked through the `git` program.
//!
//! Must stay true: everything is asked of git itself, so that work trees, submodules, the variables
//! of hooks and odd names are its business; names are bytes, separated by NUL; and no plaintext is
//! handed to git but on the standard output of `git-textconv`.

mod block;
pub(super) mod check;
mod hook;
pub(super) mod merge;
pub(super) mod setup;
mod step;
pub(super) mod textconv;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Result;
use super::error::Failure;
use super::open::{KeyArguments, open_store, sealing};
use crate::document::Sealing;
use crate::path::RelPath;

/// Name of the diff and merge drivers, and of our section in git's configuration.
const DRIVER: &str = "confseal";

/// The key of the stores in git's configuration, each as its path below the top of the work tree.
const STORE_KEY: &str = "confseal.store";

/// A work tree.
pub(super) struct Repository {
    /// Its top directory.
    top: PathBuf,
}

impl Repository {
    /// The one that `dir` lies in, by git's own rules and variables.
    fn of(dir: &Path) -> Result<Self> {
        let top = output(git(dir, ["rev-parse", "--show-toplevel"]))?;
        let top = PathBuf::from(OsString::from_vec(line(top)));
        Ok(Self { top: top.canonicalize().map_err(Failure::io(&top))? })
    }

    /// `git ARGUMENTS`, in the top directory.
    fn git<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        git(&self.top, arguments)
    }

    /// The file of git's own that is called `name`: `hooks` may stand anywhere.
    fn git_path(&self, name: &str) -> Result<PathBuf> {
        let path = output(self.git(["rev-parse", "--git-path", name]))?;
        Ok(self.top.join(OsString::from_vec(line(path))))
    }

    /// All values of `key` in the configuration; none where there is none.
    fn config(&self, key: &str) -> Result<Vec<Vec<u8>>> {
        let mut command = self.git(["config", "-z", "--get-all", key]);
        let output = command.stderr(Stdio::inherit()).output().map_err(Failure::io("git"))?;
        match output.status.code() {
            Some(0) => Ok(records(&output.stdout).map(<[u8]>::to_vec).collect()),
            // There is no such key.
            Some(1) => Ok(Vec::new()),
            _ => Err(failed(&command)),
        }
    }

    /// The stores that `git-setup` has set up.
    fn stores(&self) -> Result<Vec<RelPath>> {
        let stores = self.config(STORE_KEY)?;
        Ok(stores.iter().filter_map(|store| RelPath::new(store).ok()).collect())
    }

    /// Where the store `store` is.
    fn store_path(&self, store: &RelPath) -> PathBuf {
        self.top.join(store.as_os_str())
    }

    /// The keys and rules of a store.
    fn sealing(&self, store: &RelPath, keys: &KeyArguments) -> Result<Sealing> {
        let store = open_store(&self.store_path(store))?;
        sealing(&store, &keys.sources(store.path())?)
    }
}

/// The store of `stores` that holds `path`, and where in it; the innermost of several.
fn within<'a>(stores: &'a [RelPath], path: &RelPath) -> Option<(&'a RelPath, RelPath)> {
    let holders = stores.iter().filter(|store| path.is_within(store));
    let store = holders.max_by_key(|store| store.as_bytes().len())?;
    let rest = &path.as_bytes()[store.as_bytes().len()..];
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    Some((store, RelPath::new(rest).ok()?))
}

fn git<S: AsRef<OsStr>>(dir: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("git");
    command.current_dir(dir).args(arguments);
    command
}

/// What the command prints; what it complains of goes to our standard error.
fn output(mut command: Command) -> Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output().map_err(Failure::io("git"))?;
    if output.status.success() { Ok(output.stdout) } else { Err(failed(&command)) }
}

fn failed(command: &Command) -> Failure {
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    Failure::Usage(format!("git {} failed", arguments.join(" ")))
}

/// A line without its end.
fn line(mut text: Vec<u8>) -> Vec<u8> {
    text.pop_if(|last| *last == b'\n');
    text
}

/// What stands before each NUL.
fn records(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == 0).filter_map(|record| record.strip_suffix(b"\0"))
}

/// This very program, for the shell.
fn program() -> Result<Vec<u8>> {
    let path = std::env::current_exe().map_err(Failure::io("/proc/self/exe"))?;
    Ok(quoted(path.as_os_str()))
}

/// A word for the shell.
fn quoted(word: &OsStr) -> Vec<u8> {
    let mut text = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => text.extend_from_slice(b"'\\''"),
            byte => text.push(*byte),
        }
    }
    text.push(b'\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_innermost_store() {
        let path = |text: &str| RelPath::new(text).unwrap();
        let stores = [path("etc"), path("etc/shop"), path("srv")];
        let held = |file: &str| {
            within(&stores, &path(file)).map(|(store, rest)| (store.to_string(), rest.to_string()))
        };
        assert_eq!(held("etc/shop/a/b.toml"), Some(("etc/shop".into(), "a/b.toml".into())));
        assert_eq!(held("etc/shopping.toml"), Some(("etc".into(), "shopping.toml".into())));
        assert_eq!(held("README"), None);
        let top = [RelPath::root()];
        assert_eq!(within(&top, &path("a/b")), Some((&top[0], path("a/b"))));
    }

    #[test]
    fn words_come_through_the_shell_as_they_are() {
        let word = OsStr::from_bytes(b"/opt/it's $HOME\n\xff/confseal");
        let script = [b"printf %s ", &quoted(word)[..]].concat();
        let said = Command::new("sh").arg("-c").arg(OsStr::from_bytes(&script)).output().unwrap();
        assert_eq!(said.stdout, word.as_bytes());
    }
}
