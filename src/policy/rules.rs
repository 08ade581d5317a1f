//! The `[[file]]` rules of a policy: which files they are for, and what they say.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};

use super::Class;
use super::pattern::FieldPattern;
use crate::format::Format;
use crate::path::RelPath;

/// One `[[file]]` table.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// The line of its `path`, 1-based.
    pub line: usize,
    pub glob: FileGlob,
    pub seal: Option<Seal>,
    pub format: Option<Format>,
    /// `secret` first, then `public`: within a rule, `public` names the exceptions.
    pub fields: Vec<FieldRule>,
}

/// How a file is sealed, as `seal = "…"` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    Fields,
    Whole,
    None,
}

/// One pattern out of `secret` or `public`.
#[derive(Debug, Clone)]
pub(super) struct FieldRule {
    pub pattern: FieldPattern,
    pub text: Arc<str>,
    /// The line it stands on, 1-based.
    pub line: usize,
    pub secret: bool,
}

impl Rule {
    /// What this rule makes of a file that it matches and that is read as `format` by its name.
    /// `None` when it only adds fields to be public and nobody knows how to read the file.
    pub fn class(&self, format: Option<&Format>) -> Option<Class> {
        let format = self.format.as_ref().or(format).cloned();
        match self.seal {
            Some(Seal::None) => Some(Class::Plain),
            Some(Seal::Whole) => Some(Class::Whole),
            // Secrets are said to be inside, but not where.
            Some(Seal::Fields) => Some(format.map_or(Class::Whole, Class::Fields)),
            None if format.is_some() => format.map(Class::Fields),
            None => self.fields.iter().any(|field| field.secret).then_some(Class::Whole),
        }
    }
}

/// A gitignore-style glob over paths in the store: without a slash it matches at any depth, a
/// slash at its front or within anchors it, one at its end means everything below, `**` any
/// number of directories; `{a,b}` is a choice.
#[derive(Debug, Clone)]
pub(super) struct FileGlob {
    text: Arc<str>,
    matcher: GlobMatcher,
}

/// Why a text is no file glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GlobError {
    pub message: String,
    pub hint: Option<&'static str>,
}

impl FileGlob {
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let fail = |message: &str, hint| Err(GlobError { message: message.into(), hint });
        if text.starts_with('!') {
            let hint = "add a later rule with seal = \"none\" for what is to stay plain";
            return fail("a path cannot be negated", Some(hint));
        }
        let below = text.ends_with('/');
        let body = text.trim_end_matches('/');
        let anchored = body.contains('/');
        let body = body.strip_prefix('/').unwrap_or(body);
        if body.is_empty() {
            return fail("the path is empty", Some("`**` matches every file"));
        }
        if body.split('/').any(|part| matches!(part, "" | "." | "..")) {
            let hint = "paths begin at the store's root and hold no `.`, `..` or empty part";
            return fail("the path can match nothing", Some(hint));
        }
        let front = if anchored { "" } else { "**/" };
        let behind = if below { "/**" } else { "" };
        let glob = GlobBuilder::new(&format!("{front}{body}{behind}"))
            .literal_separator(true)
            .backslash_escape(true)
            .build();
        match glob {
            Ok(glob) => Ok(Self { text: text.into(), matcher: glob.compile_matcher() }),
            Err(error) => Err(GlobError { message: error.kind().to_string(), hint: None }),
        }
    }

    pub fn matches(&self, file: &RelPath) -> bool {
        self.matcher.is_match(Path::new(OsStr::from_bytes(file.as_bytes())))
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, file: impl AsRef<[u8]>) -> bool {
        FileGlob::new(glob).unwrap().matches(&RelPath::new(file).unwrap())
    }

    #[test]
    fn globs_match_as_in_gitignore() {
        for (glob, file) in [
            ("app.toml", "app.toml"),
            ("app.toml", "a/b/app.toml"),
            ("/app.toml", "app.toml"),
            ("conf.d/*.toml", "conf.d/db.toml"),
            ("conf.d/**/x", "conf.d/x"),
            ("conf.d/**/x", "conf.d/a/b/x"),
            ("**/x", "x"),
            ("**", "a/b"),
            ("a/**", "a/b/c"),
            ("tls/", "tls/a/b.key"),
            ("tls/", "x/tls/b.key"),
            ("/tls/", "tls/b.key"),
            ("*.{key,pem}", "a/b.pem"),
            ("[ab].toml", "b.toml"),
            (".*", ".env"),
            ("\\*.toml", "*.toml"),
        ] {
            assert!(matches(glob, file), "{glob} matches {file}");
        }
        for (glob, file) in [
            ("/app.toml", "a/app.toml"),
            ("conf.d/*.toml", "conf.d/x/db.toml"),
            ("conf.d/*.toml", "a/conf.d/db.toml"),
            ("*.toml", "a.toml~"),
            ("tls/", "tls"),
            ("/tls/", "a/tls/b"),
            ("a", "a/b"),
            ("A.toml", "a.toml"),
            ("\\*.toml", "a.toml"),
        ] {
            assert!(!matches(glob, file), "{glob} does not match {file}");
        }
    }

    #[test]
    fn a_name_need_not_be_utf8() {
        assert!(matches("*.toml", b"d/\xff.toml"));
        assert!(matches("?.toml", b"\xff.toml"));
    }

    #[test]
    fn what_can_match_nothing_is_refused() {
        for glob in ["", "/", "!a", "./a", "a/../b", "a//b", "[a", "{a"] {
            assert!(FileGlob::new(glob).is_err(), "{glob}");
        }
    }
}
