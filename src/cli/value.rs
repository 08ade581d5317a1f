//! `encrypt-value` and `decrypt-value`: one token, made or opened by hand.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use super::audited::Audited;
use super::error::Failure;
use super::offline::keep_secrets_in_memory;
use super::open::{KeyArguments, is_mount, locate, open_store, sealing};
use super::output::{say, show};
use super::view::parse_field;
use super::{Outcome, Result};
use crate::audit::{self, Action};
use crate::document::{Binding, Sealing};
use crate::path::RelPath;
use crate::secret::SecretBytes;

/// Seal one value: from standard input, as a token to be put into a file by hand
///
/// One line end at the end of the input is not part of the value. The token opens under the field
/// it was made for and nowhere else.
#[derive(Args)]
pub(super) struct EncryptValue {
    #[command(flatten)]
    place: PlaceArguments,
    /// A token that opens anywhere. A file opens with it only where the instance's `binding` is
    /// "none".
    #[arg(long)]
    unbound: bool,
    #[command(flatten)]
    keys: KeyArguments,
}

/// Open one token from standard input, and print its value
///
/// White space around the token, and quotes, are ignored.
#[derive(Args)]
pub(super) struct DecryptValue {
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    keys: KeyArguments,
}

/// Where a token stands, or will.
#[derive(Args)]
struct PlaceArguments {
    /// The field path, as `explain` shows it: database.password
    #[arg(long, value_name = "PATH")]
    field: String,
    /// The file, which need not exist yet; its store's key and rules hold. Without it: those of the
    /// current directory's store. Needed where tokens are bound to their file.
    #[arg(long)]
    file: Option<PathBuf>,
}

impl PlaceArguments {
    /// The store, its keys and rules, and the file's path in it.
    fn open(&self, keys: &KeyArguments) -> Result<(PathBuf, Sealing, RelPath)> {
        keep_secrets_in_memory();
        let (root, file) = match &self.file {
            None => (locate(Path::new("."))?.0, RelPath::root()),
            Some(file) => {
                let name = file
                    .file_name()
                    .ok_or_else(|| Failure::Usage(format!("{}: names no file", file.display())))?;
                let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
                let (root, directory) = locate(parent.unwrap_or(Path::new(".")))?;
                (root, directory.join(name))
            }
        };
        if is_mount(&root) {
            let path = self.file.clone().unwrap_or(root);
            return Err(Failure::Mounted { path });
        }
        let store = open_store(&root)?;
        let sealing = sealing(&store, &keys.sources(store.path())?)?;
        Ok((root, sealing, file))
    }
}

impl EncryptValue {
    pub(super) fn run(self) -> Result {
        let field = parse_field(&self.place.field)?;
        let (_, sealing, file) = self.place.open(&self.keys)?;
        let binding = if self.unbound { Binding::None } else { sealing.binding };
        if binding == Binding::File && file.is_root() {
            let why = "tokens of this store are bound to their file: say which with --file";
            return Err(Failure::Usage(why.to_owned()));
        }
        let input = standard_input()?;
        let value = without_line_end(&input);
        say(format_args!("{}", sealing.seal_value(&file, &field, value, binding)))?;
        Ok(Outcome::Done)
    }
}

impl DecryptValue {
    pub(super) fn run(self) -> Result {
        let field = parse_field(&self.place.field)?;
        let (root, sealing, file) = self.place.open(&self.keys)?;
        let input = standard_input()?;
        let audited = Audited::of(&root, Action::DecryptValue, &file, Some(&field))?;
        let value = sealing
            .open_value(&file, &field, unquoted(&input))
            .map_err(|error| Failure::Value(format!("field `{field}`: {error}")));
        let value = match value {
            Ok(value) => value,
            failed => audited.ended(audit::Outcome::Shown, failed)?,
        };
        audited.before(audit::Outcome::Shown)?;
        show(&value)?;
        Ok(Outcome::Done)
    }
}

/// A token is often copied with the quotes around it.
fn unquoted(text: &[u8]) -> &[u8] {
    match text.trim_ascii() {
        [b'"', token @ .., b'"'] | [b'\'', token @ .., b'\''] => token,
        token => token,
    }
}

/// `input` less one line end.
pub(super) fn without_line_end(input: &[u8]) -> &[u8] {
    match input.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => input,
    }
}

/// All of standard input; grown without leaving a copy behind.
pub(super) fn standard_input() -> Result<SecretBytes> {
    let mut input = SecretBytes::new();
    let mut piece = SecretBytes::from(vec![0; 4096]);
    loop {
        match io::stdin().read(piece.as_mut_slice()) {
            Ok(0) => return Ok(input),
            Ok(len) => input.extend(&piece[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::io("standard input")(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_blanks_around_a_token_are_taken_off() {
        for text in ["ENC:x", " ENC:x\n", "\"ENC:x\"\n", "'ENC:x'"] {
            assert_eq!(unquoted(text.as_bytes()), b"ENC:x", "{text}");
        }
    }

    #[test]
    fn one_line_end_is_not_part_of_a_value() {
        let cases: [(&[u8], &[u8]); 5] =
            [(b"a\n", b"a"), (b"a\r\n", b"a"), (b"a\n\n", b"a\n"), (b"a", b"a"), (b"\r", b"\r")];
        for (input, value) in cases {
            assert_eq!(without_line_end(input), value);
        }
    }
}
