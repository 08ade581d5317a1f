//! A policy's text with one more word in it: that a field is public. Everything else stays, comments
//! and order too.

use std::os::unix::ffi::OsStrExt;

use toml_edit::{Document, Item, TableLike};

use super::{Class, Policy};
use crate::format::{FieldPath, Format};
use crate::path::RelPath;

/// Why no rule can be made for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a policy is UTF-8, and the name of the file is not")]
pub struct Unnameable;

impl Policy {
    /// The text of this policy with a rule that calls `field` of `file` public: in the last rule, if
    /// that is for this file alone; else in a new one behind it, where it has the last word. Whether
    /// the result can be read, [`Policy::parse`] says.
    pub fn with_public(&self, file: &RelPath, field: &FieldPath) -> Result<String, Unnameable> {
        let text = self.text();
        let path = glob_of(std::str::from_utf8(file.as_bytes()).map_err(|_| Unnameable)?);
        let field = quoted(&field.to_string());
        if let Some(at) = end_of_public_list(text, &path) {
            let before = text[..at].trim_end();
            let comma = if before.ends_with(['[', ',']) { "" } else { "," };
            let blank = if before.ends_with('[') { "" } else { " " };
            return Ok(format!("{before}{comma}{blank}{field}{}", &text[at..]));
        }
        let mut amended = text.to_owned();
        if text.is_empty() {
            amended.push_str("version = 1\n");
        } else if !text.ends_with('\n') {
            amended.push('\n');
        }
        amended.push_str(&format!("\n[[file]]\npath = {}\n", quoted(&path)));
        // The rule that says how the file is read says so no more, once another matches after it.
        let by_name = Format::by_file_name(file.name().as_bytes());
        match self.classify(file).class {
            Class::Fields(format) if by_name.as_ref() == Some(&format) => {}
            Class::Fields(format @ Format::Codec(_)) => {
                amended.push_str(&format!("format = {}\n", quoted(&format.to_string())));
            }
            Class::Fields(Format::Pattern(pattern)) => {
                let pattern = quoted(pattern.text());
                amended.push_str(&format!("format = \"regex\"\npattern = {pattern}\n"));
            }
            _ => {}
        }
        amended.push_str(&format!("public = [{field}]\n"));
        Ok(amended)
    }
}

/// The pattern that matches this path and no other.
fn glob_of(path: &str) -> String {
    let mut glob = String::from("/");
    for c in path.chars() {
        if "*?[]{}\\!".contains(c) {
            glob.push('\\');
        }
        glob.push(c);
    }
    glob
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Where the list `public` of the last rule ends, before its bracket, if the rule is for `path`, and
/// no comment stands there.
fn end_of_public_list(text: &str, path: &str) -> Option<usize> {
    let document = Document::parse(text).ok()?;
    let files = document.as_table().get("file")?.as_array_of_tables()?;
    let last: &dyn TableLike = files.iter().last()?;
    if last.get("path").and_then(Item::as_str) != Some(path) {
        return None;
    }
    let list = last.get("public")?.as_array()?;
    let end = list.span()?.end - 1;
    let before = text[..end].trim_end();
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    (!last_line.contains('#')).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Ledger, Secret};

    fn file(path: impl AsRef<[u8]>) -> RelPath {
        RelPath::new(path).unwrap()
    }

    fn field(text: &str) -> FieldPath {
        FieldPath::parse(text).unwrap()
    }

    /// Amends, and demands that the field is public then and the same field of no other file.
    fn amended(text: &str, path: &str, name: &str) -> String {
        let policy = if text.is_empty() { Policy::builtin() } else { Policy::parse(text).unwrap() };
        let amended = policy.with_public(&file(path), &field(name)).unwrap();
        let policy = Policy::parse(&amended).unwrap_or_else(|error| panic!("{error}\n{amended}"));
        let secret = |path: &str| {
            let rules = policy.fields(&file(path), &Ledger::new()).judge(&field(name), b"value");
            rules.secret
        };
        assert_eq!(secret(path), Secret::No, "{amended}");
        assert_ne!(secret("other/x.toml"), Secret::No, "{amended}");
        amended
    }

    #[test]
    fn a_rule_is_put_behind_all_others() {
        let text = "version = 1 # ours\n[[file]]\npath = \"**\" # all\nsecret = [\"**\"]";
        let expected =
            format!("{text}\n\n[[file]]\npath = \"/a/x.toml\"\npublic = [\"db.password\"]\n");
        assert_eq!(amended(text, "a/x.toml", "db.password"), expected);
    }

    #[test]
    fn a_store_without_a_policy_gets_one() {
        let expected = "version = 1\n\n[[file]]\npath = \"/x.toml\"\npublic = [\"password\"]\n";
        assert_eq!(amended("", "x.toml", "password"), expected);
    }

    #[test]
    fn the_next_field_of_a_file_joins_the_first() {
        let one = amended("", "x.toml", "password");
        let two = amended(&one, "x.toml", "b.\"odd token\"");
        assert!(two.ends_with("public = [\"password\", 'b.\"odd token\"']\n"), "{two}");
        // Another file's rule came behind.
        let three = amended(&two, "y.toml", "password");
        let four = amended(&three, "x.toml", "token");
        assert_eq!(four.matches("[[file]]").count(), 3, "{four}");
    }

    #[test]
    fn lists_of_every_shape_take_one_more() {
        for (list, expected) in [
            ("[]", "[\"token\"]"),
            ("[ \"a\" ]", "[ \"a\", \"token\"]"),
            ("[\n  \"a\",\n]", "[\n  \"a\", \"token\"]"),
        ] {
            let text = format!("version = 1\n[[file]]\npath = \"/x.toml\"\npublic = {list} # n\n");
            let new = amended(&text, "x.toml", "token");
            assert!(new.ends_with(&format!("public = {expected} # n\n")), "{new}");
        }
        let text = "version = 1\n[[file]]\npath = \"/x.toml\"\npublic = [\n  \"a\" # why\n]\n";
        assert!(amended(text, "x.toml", "token").starts_with(text));
    }

    #[test]
    fn a_file_keeps_its_format_and_odd_names_match_themselves_alone() {
        let text = "version = 1\n[[file]]\npath = \"*.conf\"\nformat = \"toml\"\n";
        let new = amended(text, "app.conf", "password");
        assert!(new.ends_with("\nformat = \"toml\"\npublic = [\"password\"]\n"), "{new}");
        let text = "version = 1\n[[file]]\npath = \"*.odd\"\nformat = \"regex\"\n\
                    pattern = 'pass: (?P<value>\\S+)'\n";
        let new = amended(text, "app.odd", "password");
        assert!(new.contains("pattern = 'pass: (?P<value>\\S+)'\npublic"), "{new}");
        for odd in ["[a]*.toml", "{x,y}.toml", "!a\\b?.toml", "it's \"so\".toml"] {
            amended("", odd, "password");
        }
        let bytes = Policy::builtin().with_public(&file(b"\xff.toml"), &field("a"));
        assert_eq!(bytes, Err(Unnameable));
    }
}
