//! The pre-commit hook: ours where there is none, a word to the user where there is one.

use std::path::{Path, PathBuf};

use super::super::Result;
use super::super::error::Failure;
use super::step::{Act, Step, tell};
use super::{Repository, program};

/// The second line of the hook: how we know it again.
const MARK: &str = "# confseal git-setup wrote this: no secret is committed in the clear.";

/// What puts the hook in its place; `None` when it is there.
pub(super) fn install(repository: &Repository) -> Result<Option<Step>> {
    let call = [&program()?[..], b" git-check"].concat();
    let content = [b"#!/bin/sh\n", MARK.as_bytes(), b"\nexec ", &call, b"\n"].concat();
    let (path, own) = hook_path(repository)?;
    let shown = path.display();
    let line = String::from_utf8_lossy(&call);
    let before = read_if_there(&path)?;
    Ok(match before {
        Some(before) if before == content => None,
        // Somebody did as we said.
        Some(before) if memchr::memmem::find(&before, &call).is_some() && !is_ours(&before) => None,
        Some(before) if !is_ours(&before) => {
            Some(tell(format!("{shown}: left as it is; add this line to it:\n  {line} || exit")))
        }
        None if !own => Some(tell(format!(
            "{shown}: serves other repositories too; to have a hook there, make it with this line:\n\
             \x20 {line} || exit"
        ))),
        Some(_) | None => {
            let what = format!("{shown}: refuses a commit with a secret in the clear");
            Some(Step { what, act: Act::Write { path, content, mode: 0o777 } })
        }
    })
}

fn is_ours(hook: &[u8]) -> bool {
    hook.split(|byte| *byte == b'\n').nth(1) == Some(MARK.as_bytes())
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(path)(error)),
    }
}

/// What takes our hook away; `None` when there is none.
pub(super) fn remove(repository: &Repository) -> Result<Option<Step>> {
    let (path, _) = hook_path(repository)?;
    let ours = read_if_there(&path)?.is_some_and(|hook| is_ours(&hook));
    let what = format!("{}: removed", path.display());
    Ok(ours.then_some(Step { what, act: Act::Remove(path) }))
}

/// Where the pre-commit hook stands, and whether it is this clone's own affair.
fn hook_path(repository: &Repository) -> Result<(PathBuf, bool)> {
    let scope = repository.git(["config", "--show-scope", "--get", "core.hooksPath"]).output();
    let scope = scope.map_err(Failure::io("git"))?.stdout;
    let shared = ["global", "system"].iter().any(|shared| scope.starts_with(shared.as_bytes()));
    Ok((repository.git_path("hooks")?.join("pre-commit"), !shared))
}
