//! Reads `policy.toml`. Any error refuses the whole text: half a policy would leave secrets in
//! the clear that the other half names.

mod error;
mod suggest;

use std::sync::Arc;

use toml_edit::{Document, Item, TableLike, Value};

pub use self::error::{Excerpt, PolicyError};
pub use self::suggest::closest;
use super::names::{Names, Word};
use super::pattern::FieldPattern;
use super::rules::{FieldRule, FileGlob, Rule, Seal};
use crate::format::{CodecId, Format, ParseError, Pattern};

/// What a policy says, before it is put to use.
#[derive(Debug, Clone, Default)]
pub(super) struct Parsed {
    /// Verbatim; empty for the built-in policy.
    pub text: Arc<str>,
    pub rules: Vec<Rule>,
    pub names: Names,
    pub padding: Option<usize>,
}

const POLICY_KEYS: &[&str] = &["version", "defaults", "padding", "secrets", "file"];
const SECRETS_KEYS: &[&str] = &["names", "except"];
const FILE_KEYS: &[&str] = &["path", "format", "pattern", "secret", "public", "seal"];
const SEALS: &[(&str, Seal)] =
    &[("fields", Seal::Fields), ("whole", Seal::Whole), ("none", Seal::None)];

/// Reads the text of a policy.
pub(super) fn parse(text: &str) -> Result<Parsed, PolicyError> {
    let reader = Reader { text };
    let document = Document::parse(text).map_err(|error| {
        let at = error.span().map_or(text.len(), |span| span.start);
        let message = error.message().trim();
        let hint = match message.contains("duplicate key") {
            true => "a key stands once in its table; `[[file]]` begins another rule",
            false => "a policy is TOML: `key = \"text\"`, `key = [\"a\", \"b\"]`, `[[file]]`",
        };
        reader.error(at, message).with(hint)
    })?;
    reader.policy(document.as_table())
}

struct Reader<'t> {
    text: &'t str,
}

type Result<T, E = PolicyError> = std::result::Result<T, E>;

impl Reader<'_> {
    fn policy(&self, table: &dyn TableLike) -> Result<Parsed> {
        // First: a later version may well have other keys.
        match table.get("version") {
            None => {
                return Err(self.error(0, "`version` is missing").with("begin with `version = 1`"));
            }
            Some(version) => self.edition(version, "version", "this is policy version 1")?,
        }
        if let Some(defaults) = table.get("defaults") {
            self.edition(defaults, "defaults", "the built-in lists are at edition 1")?;
        }
        self.known_keys(table, POLICY_KEYS, "")?;
        let mut parsed = Parsed { text: self.text.into(), ..Parsed::default() };
        if let Some(padding) = table.get("padding") {
            parsed.padding = Some(self.padding(padding)?);
        }
        if let Some(secrets) = table.get("secrets") {
            let secrets = secrets
                .as_table_like()
                .ok_or_else(|| self.at(secrets, "`secrets` is a table").with("`[secrets]`"))?;
            self.known_keys(secrets, SECRETS_KEYS, " in `[secrets]`")?;
            parsed.names.names = self.words(secrets, "names")?;
            parsed.names.except = self.words(secrets, "except")?;
        }
        for (file, start) in self.files(table)? {
            parsed.rules.push(self.rule(file, start)?);
        }
        Ok(parsed)
    }

    fn edition(&self, item: &Item, key: &str, known: &str) -> Result<()> {
        match item.as_integer() {
            Some(1) => Ok(()),
            Some(other) => Err(self
                .at(item, format!("`{key} = {other}` is not known to this confseal"))
                .with(known)),
            None => Err(self.at(item, format!("`{key}` is a number")).with(format!("`{key} = 1`"))),
        }
    }

    fn padding(&self, item: &Item) -> Result<usize> {
        item.as_integer()
            .and_then(|bytes| usize::try_from(bytes).ok())
            .filter(|bytes| (16..=4096).contains(bytes) && bytes % 16 == 0)
            .ok_or_else(|| {
                self.at(item, "`padding` is a multiple of 16, from 16 to 4096 bytes")
                    .with("`padding = 64` hides which values are shorter than that")
            })
    }

    /// The `[[file]]` tables in order, with where each begins.
    fn files<'d>(&self, table: &'d dyn TableLike) -> Result<Vec<(&'d dyn TableLike, usize)>> {
        let Some(item) = table.get("file") else { return Ok(Vec::new()) };
        let wrong = |at| self.error(at, "`file` is a list of tables").with("write `[[file]]`");
        match item {
            Item::ArrayOfTables(tables) => {
                let start = |span: Option<std::ops::Range<usize>>| span.map_or(0, |s| s.start);
                Ok(tables.iter().map(|t| (t as &dyn TableLike, start(t.span()))).collect())
            }
            Item::Value(Value::Array(array)) => array
                .iter()
                .map(|value| match value {
                    Value::InlineTable(table) => Ok((table as &dyn TableLike, start_of(value))),
                    value => Err(wrong(start_of(value))),
                })
                .collect(),
            item => Err(wrong(item.span().map_or(0, |span| span.start))),
        }
    }

    fn rule(&self, table: &dyn TableLike, start: usize) -> Result<Rule> {
        self.known_keys(table, FILE_KEYS, " in `[[file]]`")?;
        let Some(path) = table.get("path") else {
            return Err(self
                .error(start, "a rule without `path`")
                .with("add `path = \"…\"`; `path = \"**\"` is for every file"));
        };
        let glob = FileGlob::new(self.string(path, "path")?).map_err(|error| {
            let at = self.at(path, format!("not a file pattern: {}", error.message));
            at.with(
                error.hint.unwrap_or("`[`, `{`, `*` and `?` stand for themselves behind a `\\`"),
            )
        })?;
        let codec = table.get("format").map(|item| self.format(item)).transpose()?;
        let format = match (codec, table.get("pattern")) {
            (Some(CodecId::Pattern), Some(pattern)) => Some(self.pattern(pattern)?),
            (Some(CodecId::Pattern), None) => {
                let format = table.get("format").expect("it was read");
                return Err(self
                    .at(format, "`format = \"regex\"` needs a `pattern`")
                    .with("for example `pattern = '(?m)^password:(?P<value>.+)$'`"));
            }
            (_, Some(pattern)) => {
                return Err(self
                    .at(pattern, "`pattern` belongs to `format = \"regex\"`")
                    .with("add `format = \"regex\"`, or drop `pattern`"));
            }
            (codec, None) => codec.map(Format::Codec),
        };
        let seal = table.get("seal").map(|item| self.seal(item)).transpose()?;
        let mut fields = self.fields(table, "secret")?;
        fields.extend(self.fields(table, "public")?);
        if let (Some(seal @ (Seal::Whole | Seal::None)), Some(item)) = (seal, table.get("seal")) {
            let about_fields =
                ["secret", "public", "format"].iter().find(|key| table.contains_key(key));
            if let Some(key) = about_fields {
                let sealed = if seal == Seal::Whole { "all" } else { "nothing" };
                return Err(self
                    .at(item, format!("`{key}` has no meaning in a file where {sealed} is sealed"))
                    .with(format!("drop `{key}`, or `seal`")));
            }
        }
        let (line, _) = self.position(start_of_item(path));
        Ok(Rule { line, glob, seal, format, fields })
    }

    fn format(&self, item: &Item) -> Result<CodecId> {
        let name = self.string(item, "format")?;
        if let Some(codec) = CodecId::from_name(name) {
            return Ok(codec);
        }
        let known: Vec<&str> = CodecId::ALL.into_iter().map(CodecId::name).collect();
        Err(self.at(item, format!("no format is called `{name}`")).with(suggest::among(
            name,
            &known,
            "known are",
        )))
    }

    fn pattern(&self, item: &Item) -> Result<Format> {
        let text = self.string(item, "pattern")?;
        match Pattern::new(text) {
            Ok(pattern) => Ok(Format::Pattern(pattern.into())),
            Err(error) => Err(self
                .at(item, format!("not a usable pattern: {error}"))
                .with("the group `value` marks what is secret: `(?P<value>.+)`")),
        }
    }

    fn seal(&self, item: &Item) -> Result<Seal> {
        let name = self.string(item, "seal")?;
        let known: Vec<&str> = SEALS.iter().map(|(name, _)| *name).collect();
        SEALS.iter().find(|(known, _)| *known == name).map(|(_, seal)| *seal).ok_or_else(|| {
            self.at(item, format!("`seal` cannot be `{name}`")).with(suggest::among(
                name,
                &known,
                "it is one of",
            ))
        })
    }

    fn fields(&self, table: &dyn TableLike, key: &str) -> Result<Vec<FieldRule>> {
        let pattern = |(text, at): (&str, usize)| match FieldPattern::parse(text) {
            Ok(pattern) => Ok(FieldRule {
                pattern,
                text: text.into(),
                line: self.position(at).0,
                secret: key == "secret",
            }),
            Err(error) => Err(self
                .error(
                    self.within(at, text, error.at),
                    format!("not a field pattern: {}", error.kind),
                )
                .with("`database.password`, `users[].token`, `db_*`, `oidc.**`, `\"odd key\".x`")),
        };
        self.strings(table, key)?.into_iter().map(pattern).collect()
    }

    fn words(&self, table: &dyn TableLike, key: &str) -> Result<Vec<Word>> {
        let word = |(text, at): (&str, usize)| {
            if !text.bytes().any(|b| b.is_ascii_alphanumeric() || !b.is_ascii()) {
                return Err(self
                    .error(at, format!("`{text}` in `{key}` names nothing or everything"))
                    .with("to seal every field, use `secret = [\"**\"]` in a `[[file]]`"));
            }
            Ok(Word::new(text, self.position(at).0))
        };
        self.strings(table, key)?.into_iter().map(word).collect()
    }

    /// The strings of a list, each with the offset of its source.
    fn strings<'d>(&self, table: &'d dyn TableLike, key: &str) -> Result<Vec<(&'d str, usize)>> {
        let Some(item) = table.get(key) else { return Ok(Vec::new()) };
        let Some(array) = item.as_array() else {
            let text = item.as_str().unwrap_or("…");
            let error = self.at(item, format!("`{key}` is a list of strings"));
            return Err(error.with(format!("`{key} = [\"{text}\"]`")));
        };
        let string = |value: &'d Value| match value.as_str() {
            Some(text) => Ok((text, start_of(value))),
            None => Err(self
                .error(start_of(value), format!("`{key}` is a list of strings"))
                .with("each of them in quotes")),
        };
        array.iter().map(string).collect()
    }

    fn string<'d>(&self, item: &'d Item, key: &str) -> Result<&'d str> {
        item.as_str().ok_or_else(|| {
            self.at(item, format!("`{key}` is a string")).with(format!("`{key} = \"…\"`"))
        })
    }

    fn known_keys(&self, table: &dyn TableLike, known: &[&str], place: &str) -> Result<()> {
        let Some((key, item)) = table.iter().find(|(key, _)| !known.contains(key)) else {
            return Ok(());
        };
        let span = table.key(key).and_then(|key| key.span());
        let start = span.map_or_else(|| start_of_item(item), |span| span.start);
        let error = self.error(start, format!("unknown key `{key}`{place}"));
        // A key of another table is more likely misplaced than misspelled.
        let home =
            [(POLICY_KEYS, "the top"), (SECRETS_KEYS, "`[secrets]`"), (FILE_KEYS, "a `[[file]]`")];
        let home = home.iter().find(|(keys, _)| keys.contains(&key));
        Err(match (closest(key, known), home) {
            (_, Some((_, home))) => error.with(format!("it belongs to {home}")),
            _ => error.with(suggest::among(key, known, "known are")),
        })
    }

    /// Where byte `inner` of the decoded string at `start` stands in the source; the string's
    /// start if escapes or lines make that hard to tell.
    fn within(&self, start: usize, decoded: &str, inner: usize) -> usize {
        let verbatim = self.text.get(start + 1..).is_some_and(|rest| rest.starts_with(decoded));
        if verbatim { start + 1 + inner } else { start }
    }

    fn at(&self, item: &Item, message: impl Into<String>) -> PolicyError {
        self.error(start_of_item(item), message)
    }

    fn error(&self, at: usize, message: impl Into<String>) -> PolicyError {
        let (line, column) = self.position(at);
        PolicyError::at(self.text, line, column, &message.into())
    }

    fn position(&self, at: usize) -> (usize, usize) {
        let ParseError { line, column, .. } = ParseError::at(self.text.as_bytes(), at, "");
        (line, column)
    }
}

fn start_of(value: &Value) -> usize {
    value.span().map_or(0, |span| span.start)
}

fn start_of_item(item: &Item) -> usize {
    item.span().map_or(0, |span| span.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused_whole(text: &str) -> PolicyError {
        // Not `expect_err`: a parsed policy is too much to show.
        parse(text).map(|_| "read").expect_err(text)
    }

    fn refused(text: &str) -> (usize, usize, String, String) {
        let error = refused_whole(text);
        (error.line, error.column, error.message, error.hint.unwrap_or_default())
    }

    fn check(text: &str, line: usize, column: usize, message: &str, hint: &str) {
        let error = refused(text);
        assert_eq!((error.0, error.1), (line, column), "{text}\n{error:?}");
        assert!(error.2.contains(message), "{text}\n{error:?}");
        assert!(error.3.contains(hint), "{text}\n{error:?}");
    }

    #[test]
    fn the_example_of_the_manual_reads() {
        let parsed = parse(
            "version = 1\ndefaults = 1\npadding = 64\n\n[secrets]\nnames = [\"internal_pin\"]\n\
             except = [\"*_hint\"]\n\n[[file]]\npath = \"conf.d/*.toml\"\nsecret = [\n  \
             \"database.password\",\n  \"services.*.token\", \"oidc.**\"]\n\
             public = [\"oidc.issuer\"]\n\n[[file]]\npath = \"tls/*.key\"\nseal = \"whole\"\n",
        )
        .unwrap();
        assert_eq!(parsed.padding, Some(64));
        assert_eq!((parsed.names.names.len(), parsed.names.except.len()), (1, 1));
        assert_eq!((parsed.rules[0].line, parsed.rules[1].line), (10, 17));
        let lines: Vec<_> = parsed.rules[0].fields.iter().map(|f| (f.line, f.secret)).collect();
        assert_eq!(lines, [(12, true), (13, true), (13, true), (14, false)]);
        assert_eq!(parsed.rules[1].seal, Some(Seal::Whole));
    }

    #[test]
    fn inline_tables_do_as_well() {
        let text = "version = 1\nsecrets = { names = [\"x\"] }\n\
                    file = [{ path = \"a\", seal = \"none\" },\n  { path = \"b\" }]\n";
        let parsed = parse(text).unwrap();
        assert_eq!(parsed.rules.iter().map(|rule| rule.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn every_error_tells_its_place_and_a_way_out() {
        check("", 1, 1, "`version` is missing", "`version = 1`");
        check("version = 2\nnew = 1\n", 1, 11, "`version = 2` is not known", "version 1");
        check("version = \"1\"", 1, 11, "`version` is a number", "");
        check("version = 1\ndefaults = 9", 2, 12, "`defaults = 9` is not known", "edition 1");
        check("version = 1\nversion = 1", 2, 1, "duplicate key", "");
        check("version = 1\n[[file]\n", 2, 8, "unclosed", "");
        check("version = 1\n[secret]\nnames = []", 2, 2, "unknown key `secret`", "`[[file]]`");
        check("version = 1\n\n[secrts]\n", 3, 2, "unknown key `secrts`", "did you mean `secrets`");
        check("version = 1\nzzz = 1", 2, 1, "unknown key `zzz`", "known are `version`");
        check("version = 1\n[secrets]\nexclude = []", 3, 1, "`exclude` in `[secrets]`", "`except`");
        check("version = 1\n[secrets]\nnames = \"a\"", 3, 9, "list of strings", "[\"a\"]");
        check("version = 1\n[secrets]\nnames = [\"a\",\n 1]", 4, 2, "list of strings", "");
        check("version = 1\n[secrets]\nexcept = [\"*\"]", 3, 11, "names nothing", "");
        check("version = 1\npadding = 24", 2, 11, "multiple of 16", "");
        check("version = 1\npadding = 8192", 2, 11, "multiple of 16", "");
        check("version = 1\n[file]\npath = \"a\"", 2, 1, "list of tables", "`[[file]]`");
        check("version = 1\n[[file]]\nseal = \"whole\"", 2, 1, "without `path`", "path");
        check("version = 1\n[[file]]\npath = 1", 3, 8, "`path` is a string", "");
        check("version = 1\n[[file]]\npath = \"[a\"", 3, 8, "not a file pattern", "");
        check("version = 1\n[[file]]\npath = \"!a\"", 3, 8, "negated", "seal = \"none\"");
        check("version = 1\n[[file]]\npath = \"./a\"", 3, 8, "match nothing", "root");
        check("version = 1\n[[file]]\npaht = \"a\"", 3, 1, "unknown key `paht`", "`path`");
        check("version = 1\n[[file]]\npath = \"a\"\nnames = []", 4, 1, "`names`", "`[secrets]`");
    }

    #[test]
    fn errors_within_a_rule_tell_their_place_too() {
        let rule = |rest: &str| format!("version = 1\n[[file]]\npath = \"a\"\n{rest}\n");
        check(&rule("format = \"regex\""), 4, 10, "needs a `pattern`", "for example");
        check(&rule("format = \"regex\"\npattern = 'x'"), 5, 11, "no group", "(?P<value>");
        check(&rule("format = \"tmol\""), 4, 10, "no format is called", "did you mean `toml`");
        check(&rule("format = \"cobol\""), 4, 10, "no format", "known are `toml`, `json`");
        check(&rule("pattern = 'x'"), 4, 11, "belongs to `format = \"regex\"`", "");
        check(&rule("seal = \"hole\""), 4, 8, "cannot be `hole`", "did you mean `whole`");
        check(&rule("seal = \"whole\"\nsecret = [\"a\"]"), 4, 8, "`secret` has no meaning", "drop");
        check(&rule("seal = \"none\"\nformat = \"toml\""), 4, 8, "`format` has no meaning", "");
        check(&rule("secret = [\"ok\", \"a..b\"]"), 4, 20, "a key is expected", "");
        check(&rule("secret = ['a b']"), 4, 13, "`.` or `[]`", "");
        check(&rule("secret = [\"\\u0061..b\"]"), 4, 11, "a key is expected", "");
        check(&rule("public = \"a\""), 4, 10, "list of strings", "`public = [\"a\"]`");
    }

    #[test]
    fn the_place_is_shown_and_nothing_in_it_commands_a_terminal() {
        let shown = |text: &str| refused_whole(text).excerpt.to_string();
        assert_eq!(shown("version = 1\nzzz = 1"), "2 | zzz = 1\n  | ^");
        assert_eq!(shown(""), "1 | \n  | ^");
        assert_eq!(shown("version = 1\nsecrets.names = 'ä\u{7f}' \r\n").lines().count(), 2);
        let tabbed = "version = 1\n[[file]]\n\t\tpath = 1\n";
        assert_eq!(shown(tabbed), "3 |   path = 1\n  |          ^");
        let long = format!("version = 1\nsecrets.names = [{}1]", "'ä', ".repeat(500));
        assert!(shown(&long).lines().all(|line| line.chars().count() < 140), "{}", shown(&long));
        let error = refused_whole("version = 1\n\"a\\u001b[31mb\" = 1").to_string();
        assert!(error.contains("`a\\u{1b}[31mb`"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_with_a_place_in_it_and_a_way_out(
            text in prop_oneof![
                any::<String>(),
                // Pieces of policies, put together at random.
                prop::collection::vec(prop::sample::select(vec![
                    "version = 1\n", "version = 2\n", "defaults = 1\n", "defaults = ", "padding = ",
                    "64\n", "[secrets]\n", "names = ", "except = ", "[[file]]\n", "[file]\n",
                    "path = ", "secret = ", "public = ", "seal = ", "format = ", "pattern = ",
                    "'a.toml'\n", "\"[x\"\n", "['a', 'b..c']\n", "['*']\n", "[1, 'ä']\n", "'whole'\n",
                    "'regex'\n", "'(?P<value>x)'\n", "'(x'\n", "'tmol'\n", "{ a = 1 }\n", "\"\\u001b\"\n",
                    "pfad = 1\n", "\r\n", "#", "'", "[[", "ß",
                ]), 0..12).prop_map(|pieces| pieces.concat()),
            ],
        ) {
            let Err(error) = parse(&text) else { return Ok(()) };
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert!((1..=lines.len()).contains(&error.line), "{error:?}");
            prop_assert!((1..=lines[error.line - 1].len() + 1).contains(&error.column), "{error:?}");
            prop_assert!(error.hint.as_deref().is_some_and(|hint| !hint.is_empty()), "{error:?}");
            prop_assert_eq!(error.excerpt.to_string().lines().count(), 2);
            prop_assert!(!error.to_string().contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn an_error_reads_as_one_line() {
        let error = parse("version = 1\nzzz = 1").unwrap_err().to_string();
        assert_eq!(
            error,
            "policy line 2, column 1: unknown key `zzz` (known are `version`, `defaults`, \
             `padding`, `secrets`, `file`)"
        );
    }
}
