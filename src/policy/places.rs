//! Places: some fields of some files, named by the same patterns as in a policy, for others than
//! the policy to speak of.
//!
//! Must stay true: a name that is derived from another (`app.toml~`) is covered with it, as by a
//! `[[file]]` rule.

use super::pattern::FieldPattern;
use super::rules::FileGlob;
use super::single::origins;
use crate::format::FieldPath;
use crate::path::RelPath;

/// Some fields of some files.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// None: every file.
    files: Vec<FileGlob>,
    /// None: every field.
    fields: Vec<FieldPattern>,
}

/// Which pattern is none, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no pattern for {of}: {why}")]
pub struct PlacesError {
    /// The pattern.
    pub pattern: String,
    /// What it should name: `path` or `field`.
    pub of: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Places {
    /// The fields that one of the patterns `fields` names, in the files that one of the globs
    /// `paths` names; of either, none given stands for all.
    pub fn parse(paths: &[String], fields: &[String]) -> Result<Self, PlacesError> {
        let error = |pattern: &String, of, why| PlacesError { pattern: pattern.clone(), of, why };
        let glob =
            |path: &String| FileGlob::new(path).map_err(|wrong| error(path, "path", wrong.message));
        let pattern = |field: &String| {
            FieldPattern::parse(field).map_err(|wrong| error(field, "field", wrong.kind.into()))
        };
        Ok(Self {
            files: paths.iter().map(glob).collect::<Result<_, _>>()?,
            fields: fields.iter().map(pattern).collect::<Result<_, _>>()?,
        })
    }

    /// Whether both files and fields are named.
    pub fn is_narrowed(&self) -> bool {
        !self.files.is_empty() && !self.fields.is_empty()
    }

    /// Whether fields of `file` are meant at all.
    pub fn covers_file(&self, file: &RelPath) -> bool {
        let named = |file: &RelPath| self.files.iter().any(|glob| glob.matches(file));
        self.files.is_empty() || named(file) || origins(file).iter().any(named)
    }

    /// Whether the field is meant, in the files that are.
    pub fn covers_field(&self, path: &FieldPath) -> bool {
        self.fields.is_empty() || self.fields.iter().any(|pattern| pattern.covers(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(paths: &[&str], fields: &[&str]) -> Result<Places, PlacesError> {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        Places::parse(&owned(paths), &owned(fields))
    }

    #[test]
    fn patterns_mean_what_they_mean_in_a_policy() {
        let places = places(&["conf/*.toml", "/app.json"], &["api.*.key", "token"]).unwrap();
        assert!(places.is_narrowed());
        for (file, covered) in [
            ("conf/a.toml", true),
            ("conf/a.toml~", true),
            ("app.json", true),
            ("x/app.json", false),
            ("conf/a.yaml", false),
        ] {
            assert_eq!(places.covers_file(&RelPath::new(file).unwrap()), covered, "{file}");
        }
        for (field, covered) in [("api.x.key", true), ("token", true), ("api.x.id", false)] {
            assert_eq!(places.covers_field(&FieldPath::parse(field).unwrap()), covered, "{field}");
        }
    }

    #[test]
    fn none_given_stands_for_all() {
        let places = Places::default();
        assert!(!places.is_narrowed());
        assert!(places.covers_file(&RelPath::new("x").unwrap()));
        assert!(places.covers_field(&FieldPath::parse("a.b").unwrap()));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        let error = places(&["../x"], &["a"]).unwrap_err();
        assert!(error.to_string().starts_with("`../x` is no pattern for path: "), "{error}");
        let error = places(&["x"], &["a..b"]).unwrap_err();
        assert!(error.to_string().starts_with("`a..b` is no pattern for field: "), "{error}");
    }
}
