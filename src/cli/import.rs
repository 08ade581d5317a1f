//! `--import` and `[[keys.import]]`: the tokens of other systems, from what was written to what
//! opens them.
//!
//! ```text
//! --import scheme=fernet,key=file:/etc/confseal/old.key,path=app.toml,field=api.*.key
//! ```

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;

use super::Result;
use super::error::Failure;
use super::open::KeyArguments;
use crate::document::{
    Encoding, ForeignKey, ForeignKeyError, Import, ImportError, Imports, Scheme,
};
use crate::instance;
use crate::keyring::{KeySource, SourceError};
use crate::policy::{Places, PlacesError};

/// One import whose key has not been read.
#[derive(Clone, Debug)]
pub(super) struct ImportSource {
    /// How messages name it.
    entry: String,
    import: Import,
    /// A look needs none.
    key: Option<KeySource>,
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntryError {
    /// Not `NAME=VALUE`, or of no known name.
    #[error(
        "scheme=SCHEME,key=SOURCE is expected, and where needed prefix=TEXT, encoding=base64|hex, \
         path=GLOB and field=PATTERN, the last two as often as you like"
    )]
    Syntax,
    /// A part that may stand there once.
    #[error("`{0}` stands there twice")]
    Twice(&'static str),
    /// A part that must stand there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value that its part does not have.
    #[error("{0}: {1}")]
    Value(&'static str, String),
    /// The key's source.
    #[error("key: {0}")]
    Source(#[from] SourceError),
    /// The patterns.
    #[error(transparent)]
    Places(#[from] PlacesError),
    /// The parts do not go together.
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// Why the key of another system could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImportKeyError {
    /// Its source gave nothing.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What its source gave is no key of the scheme.
    #[error("{0}: {1}")]
    Key(KeySource, #[source] ForeignKeyError),
}

/// The parts of one entry, as text.
#[derive(Default)]
struct Entry<'a> {
    scheme: Option<&'a str>,
    key: Option<&'a str>,
    prefix: Option<&'a str>,
    encoding: Option<&'a str>,
    path: Vec<String>,
    field: Vec<String>,
}

const NAMES: [&str; 6] = ["scheme", "key", "prefix", "encoding", "path", "field"];

impl<'a> Entry<'a> {
    /// Takes the argument of `--import` apart. A comma ends a part only before the name of the
    /// next: globs may hold some.
    fn parse(text: &'a str) -> Result<Self, EntryError> {
        let begins = |at: &usize| NAMES.iter().any(|name| named(&text[*at..], name).is_some());
        let commas = text.match_indices(',').map(|(at, _)| at + 1);
        let mut starts: Vec<usize> = std::iter::once(0).chain(commas).filter(begins).collect();
        if starts.first() != Some(&0) {
            return Err(EntryError::Syntax);
        }
        starts.push(text.len() + 1);
        let mut entry = Entry::default();
        for pair in starts.windows(2) {
            entry.add(&text[pair[0]..pair[1] - 1])?;
        }
        Ok(entry)
    }

    fn add(&mut self, part: &'a str) -> Result<(), EntryError> {
        let found = NAMES.into_iter().find_map(|name| Some((name, named(part, name)?)));
        let (name, value) = found.ok_or(EntryError::Syntax)?;
        let replaced = match name {
            "scheme" => self.scheme.replace(value),
            "key" => self.key.replace(value),
            "prefix" => self.prefix.replace(value),
            "encoding" => self.encoding.replace(value),
            list => {
                let list = if list == "path" { &mut self.path } else { &mut self.field };
                list.push(value.to_owned());
                None
            }
        };
        match replaced {
            Some(_) => Err(EntryError::Twice(name)),
            None => Ok(()),
        }
    }

    fn build(&self, entry: String) -> Result<ImportSource, EntryError> {
        let scheme = self.scheme.ok_or(EntryError::Missing("scheme"))?;
        let scheme = scheme
            .parse::<Scheme>()
            .map_err(|error| EntryError::Value("scheme", error.to_string()))?;
        let encoding = self.encoding.map(str::parse::<Encoding>).transpose();
        let encoding =
            encoding.map_err(|error| EntryError::Value("encoding", error.to_string()))?;
        let places = Places::parse(&self.path, &self.field)?;
        Ok(ImportSource {
            entry,
            import: Import::new(scheme, self.prefix, encoding, places)?,
            key: self.key.map(str::parse).transpose()?,
        })
    }
}

fn named<'a>(part: &'a str, name: &str) -> Option<&'a str> {
    part.strip_prefix(name)?.strip_prefix('=')
}

impl FromStr for ImportSource {
    type Err = EntryError;

    fn from_str(text: &str) -> Result<Self, EntryError> {
        let entry = Entry::parse(text)?;
        entry.build(format!("--import scheme={}", entry.scheme.unwrap_or_default()))
    }
}

impl ImportSource {
    /// The entries of an instance.
    pub(super) fn all_of(instance: &instance::Instance) -> Result<Vec<Self>> {
        let build = |(n, import): (usize, &instance::Import)| {
            let entry = Entry {
                scheme: Some(&import.scheme),
                key: Some(&import.key),
                prefix: import.prefix.as_deref(),
                encoding: import.encoding.as_deref(),
                path: import.path.as_slice().to_vec(),
                field: import.field.as_slice().to_vec(),
            };
            let name = format!("[[keys.import]] number {} ({})", n + 1, import.scheme);
            entry.build(name.clone()).map_err(|error| Failure::Import { entry: name, error })
        };
        instance.keys.import.iter().enumerate().map(build).collect()
    }

    /// Where its key comes from.
    pub(super) fn key_mut(&mut self) -> Option<&mut KeySource> {
        self.key.as_mut()
    }

    /// The same.
    pub(super) fn key(&self) -> Option<&KeySource> {
        self.key.as_ref()
    }
}

/// The keys of imports that were read, each with its source: what came from a variable is not
/// there a second time.
pub(super) type ForeignKeysRead = Vec<(KeySource, Scheme, Arc<ForeignKey>)>;

/// Reads the keys of `sources`; those that come from the environment are taken from `known`. A key
/// that is not there is reported and done without: what needs it says so.
pub(super) fn read(sources: &[ImportSource], known: &mut ForeignKeysRead) -> Result<Imports> {
    let before = std::mem::take(known);
    let mut imports = Vec::with_capacity(sources.len());
    for ImportSource { entry, import, key } in sources {
        let scheme = import.scheme();
        let Some(source) = key else {
            let error = EntryError::Missing("key");
            return Err(Failure::Import { entry: entry.clone(), error });
        };
        let wiped = matches!(source, KeySource::Env(_));
        let same = |(other, of, _): &&(KeySource, Scheme, _)| other == source && *of == scheme;
        let key = match before.iter().find(same).filter(|_| wiped) {
            Some((_, _, key)) => key.clone(),
            None => match read_key(scheme, source) {
                Ok(key) => Arc::new(key),
                Err(ImportKeyError::Source(error)) if error.is_absence() => {
                    log::warn!("{entry}: {error}");
                    imports.push(import.clone());
                    continue;
                }
                Err(error) => return Err(Failure::ImportKey { entry: entry.clone(), error }),
            },
        };
        known.push((source.clone(), scheme, key.clone()));
        imports.push(import.clone().with_key(key));
    }
    Ok(imports.into_iter().collect())
}

fn read_key(scheme: Scheme, source: &KeySource) -> Result<ForeignKey, ImportKeyError> {
    let text = source.read_text()?;
    ForeignKey::parse(scheme, &text).map_err(|error| ImportKeyError::Key(source.clone(), error))
}

/// For verbs that only look: what tokens of other systems are like.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct LookArguments {
    /// Know the tokens of another system for what they are; as for `rewrap`, and no key is needed.
    /// Without it: what the instance says that holds the path.
    #[arg(long, value_name = "IMPORT")]
    import: Vec<ImportSource>,
}

impl LookArguments {
    /// The imports for what lies at `path`.
    pub(super) fn imports(&self, path: &Path) -> Result<Imports> {
        let found;
        let sources = if self.import.is_empty() {
            let instance = KeyArguments::default().instance_for(path)?;
            found = instance.as_ref().map(ImportSource::all_of).transpose()?.unwrap_or_default();
            &found
        } else {
            &self.import
        };
        Ok(sources.iter().map(|source| source.import.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<ImportSource>().unwrap_err().to_string()
    }

    #[test]
    fn a_comma_ends_a_part_only_before_the_next() {
        let text = "scheme=fernet,key=file:/a,b,path=x.{toml,json},field=a.b,field=\"c,d\",path=y";
        let entry = Entry::parse(text).unwrap();
        assert_eq!((entry.scheme, entry.key), (Some("fernet"), Some("file:/a,b")));
        assert_eq!(entry.path, ["x.{toml,json}", "y"]);
        assert_eq!(entry.field, ["a.b", "\"c,d\""]);
        let source: ImportSource = text.parse().unwrap();
        assert_eq!(source.key.unwrap().to_string(), "file:/a,b");
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_said() {
        for (text, expected) in [
            ("", "scheme=SCHEME,key=SOURCE is expected"),
            ("liberty", "scheme=SCHEME,key=SOURCE is expected"),
            ("kay=x,scheme=liberty", "scheme=SCHEME,key=SOURCE is expected"),
            ("key=env:K", "`scheme` is missing"),
            ("scheme=liberty,scheme=fernet", "`scheme` stands there twice"),
            ("scheme=vault,key=env:K", "scheme: liberty, fiestaboard, fernet"),
            ("scheme=liberty,key=hunter2", "key: not a key source"),
            ("scheme=fernet,key=env:K", "say in which files (`path`) and fields"),
            ("scheme=airis,key=env:K,path=x", "say in which files (`path`) and fields"),
            ("scheme=liberty,key=env:K,prefix=abc", "leave `prefix` out"),
            ("scheme=aes-256-gcm,key=env:K,prefix=a", "at least 3 characters"),
            ("scheme=aes-256-gcm,key=env:K,prefix=abc,encoding=b64", "encoding: base64 or hex"),
            ("scheme=fernet,key=env:K,prefix=abc,encoding=hex", "`encoding` is for aes-256-gcm"),
            ("scheme=fernet,key=env:K,path=../x,field=a", "`../x` is no pattern for path"),
        ] {
            let error = error(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(!error("scheme=liberty,key=hunter2").contains("hunter2"));
    }

    #[test]
    fn a_prefix_is_enough_to_tell_tokens_and_a_look_needs_no_key() {
        for text in ["scheme=liberty", "scheme=fiestaboard", "scheme=aes-256-gcm,prefix={aes}"] {
            let source: ImportSource = text.parse().unwrap();
            assert!(source.key.is_none());
            let refused = read(&[source], &mut Vec::new()).unwrap_err().to_string();
            assert!(refused.contains("`key` is missing"), "{refused}");
        }
    }

    #[test]
    fn a_key_that_is_not_there_is_done_without_and_a_wrong_one_is_not() {
        let source: ImportSource =
            "scheme=liberty,key=env:CONFSEAL_TEST_NEVER_SET".parse().unwrap();
        let mut known = Vec::new();
        let imports = read(&[source], &mut known).unwrap();
        assert_eq!((imports.schemes().count(), known.len()), (1, 0));

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        let text = format!("scheme=fiestaboard,key=file:{}", file.path().display());
        let error = read(&[text.parse().unwrap()], &mut known).unwrap_err().to_string();
        assert!(error.contains("fiestaboard") && !error.contains("hunter2"), "{error}");
    }
}
