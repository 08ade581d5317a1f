//! `view`: the plaintext of a sealed file, or of one field, to standard output and nowhere else.

use std::path::{Path, PathBuf};

use clap::Args;

use super::audited::Audited;
use super::error::Failure;
use super::offline::{keep_secrets_in_memory, read};
use super::open::{KeyArguments, is_mount, locate, open_store, sealing};
use super::output::show;
use super::trouble::Trouble;
use super::{Outcome, Result, control};
use crate::audit::{self, Action};
use crate::document::{FieldPath, field_value};
use crate::path::RelPath;
use crate::policy::Policy;
use crate::secret::SecretBytes;
use crate::store::Store;

/// Print the plaintext of a file, or of one of its fields
///
/// The bytes are printed as they are. Of a version kept aside (a file in `.confseal/kept/`), what
/// programs would have seen. A field is printed as programs understand it, without quotes
/// and escapes. Only on a terminal a missing line end is added.
#[derive(Args)]
pub(super) struct View {
    /// A file in a store; one in a mount is simply read.
    file: PathBuf,
    /// A field path, as `explain` shows it: database.password, users[].token, "odd key".x
    field: Option<String>,
    #[command(flatten)]
    keys: KeyArguments,
}

impl View {
    pub(super) fn run(self) -> Result {
        keep_secrets_in_memory();
        let field = self.field.as_deref().map(parse_field).transpose()?;
        let (root, file) = locate(&self.file)?;
        let audited = Audited::of(&root, Action::View, &file, field.as_ref())?;
        let plaintext = match self.plaintext(&root, file, field.as_ref()) {
            Ok(plaintext) => plaintext,
            failed => audited.ended(audit::Outcome::Shown, failed)?,
        };
        audited.before(audit::Outcome::Shown)?;
        show(&plaintext)?;
        Ok(Outcome::Done)
    }

    /// What is to be shown.
    fn plaintext(
        &self,
        root: &Path,
        file: RelPath,
        field: Option<&FieldPath>,
    ) -> Result<SecretBytes> {
        let (policy, view) = match Store::kept_of(&file) {
            Some(original) => self.open_kept(root, &file, &original)?,
            None => self.open(root, &file)?,
        };
        let Some(field) = field else { return Ok(view) };
        let file = Store::kept_of(&file).unwrap_or(file);
        field_value(&policy, &file, &view, field).ok_or_else(|| {
            let file = self.file.display();
            Failure::Value(format!("{file}: there is no field `{field}`"))
        })
    }

    /// The rules of the store at `root`, and the view of `kept`, a version of the file `original`.
    fn open_kept(
        &self,
        root: &Path,
        kept: &RelPath,
        original: &RelPath,
    ) -> Result<(Policy, SecretBytes)> {
        let store = open_store(root)?;
        let sealing = sealing(&store, &self.keys.sources(store.path())?)?;
        let here = |trouble: Trouble| trouble.into_failure(&self.file);
        let text = store.read_kept(&kept.name().to_string_lossy()).map_err(|e| here(e.into()))?;
        let stored = sealing.open_kept(&text).map_err(|error| here(error.into()))?;
        let view = sealing.open(original, &stored).map_err(|error| here(error.into()))?.view;
        Ok((sealing.policy, view))
    }

    /// The rules of the store or mount at `root`, and the view of `file` in it.
    fn open(&self, root: &Path, file: &RelPath) -> Result<(Policy, SecretBytes)> {
        if is_mount(root) {
            let view = std::fs::read(&self.file).map_err(Failure::io(&self.file))?;
            return Ok((control::rules(root)?.0, view.into()));
        }
        let store = open_store(root)?;
        let sealing = sealing(&store, &self.keys.sources(store.path())?)?;
        let stored = read(&store, file).map_err(|trouble| trouble.into_failure(&self.file))?;
        let opened = sealing
            .open(file, &stored)
            .map_err(|error| Failure::Sealed { file: file.clone(), error })?;
        Ok((sealing.policy, opened.view))
    }
}

/// Reads a field path given as an argument.
pub(super) fn parse_field(text: &str) -> Result<FieldPath> {
    FieldPath::parse(text).map_err(|error| Failure::Usage(format!("`{text}`: {error}")))
}
