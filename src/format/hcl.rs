//! HCL 2, native syntax: bodies of attributes and blocks, expressions, templates, heredocs.
//!
//! The scanner is our own. `hcl-edit` compares each key of an object with all before it, takes an
//! empty heredoc for one that goes on to the next marker, and lets no comment say where it stands
//! (docs/decisions.md); a test holds the two against each other.
//!
//! Sites are literals: strings wherever they stand in an expression (`coalesce("x", var.y)`),
//! templates as a whole, heredocs; numbers and words where they are a whole value, element or
//! argument. Labels, the
//! keys of objects and what selects an element (`var.secrets["db"]`) are keys and no sites.
//! A block without labels, or an object in a list, is named by its `name`. Taken beyond the
//! specification: quoted names of attributes (HCL 1), several attributes with one name.

mod body;
mod comment;
mod frame;
mod lex;
mod scalar;
mod walk;

use self::walk::Walk;
use super::outline::Outline;
use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of HCL files.
pub(super) struct Hcl;

impl Codec for Hcl {
    fn id(&self) -> CodecId {
        CodecId::Hcl
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        let source = std::str::from_utf8(text)
            .map_err(|error| ParseError::at(text, error.valid_up_to(), "not UTF-8"))?;
        let start = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut outline = Outline::new(text.len());
        Walk::document(text, start, &mut outline)
            .run()
            .map_err(|(at, kind)| ParseError::at(text, at, kind))?;
        Ok(outline.into_sites())
    }

    fn decode(&self, source: &[u8], context: Context) -> Option<SecretBytes> {
        scalar::decode(source, context)
    }

    fn encode(&self, value: &[u8], context: Context, _column: u16) -> Option<SecretBytes> {
        scalar::encode(value, context)
    }

    fn quote(&self, _context: Context) -> &'static str {
        "\""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Path, source and context number of each site.
    fn found(text: &str) -> Vec<(String, &str, u8)> {
        let sites = Hcl.scan(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
        let source = |site: &Site| &text[site.span.start..site.span.end];
        sites.iter().map(|site| (site.path.to_string(), source(site), site.context.0)).collect()
    }

    fn check(text: &str, wanted: &[(&str, &str)]) {
        let found: Vec<_> =
            found(text).into_iter().map(|(path, source, _)| (path, source)).collect();
        let wanted: Vec<_> =
            wanted.iter().map(|(path, source)| ((*path).to_owned(), *source)).collect();
        assert_eq!(found, wanted, "{text}");
    }

    #[test]
    fn literals_are_found_under_blocks_labels_and_keys() {
        check(
            "\u{feff}a = \"\u{e9}\"\r\nb=-1.5e3\r\nresource \"aws_x\" y {\r\n  c = true\r\n  d {\r\n    e = null\r\n  }\r\n\
             \x20 f = { g = \"1\", \"h i\" : 2\r\n    (var.x) = \"3\"\n }\r\n}\r\nj = [\"4\", [5], { k = \"6\" }]\r\n\
             one { l = \"7\" }\r\nempty {}\r\n",
            &[
                ("a", "\"\u{e9}\""),
                ("b", "-1.5e3"),
                ("resource.aws_x.y.c", "true"),
                ("resource.aws_x.y.d.e", "null"),
                ("resource.aws_x.y.f.g", "\"1\""),
                ("resource.aws_x.y.f.\"h i\"", "2"),
                ("resource.aws_x.y.f.\"(var.x)\"", "\"3\""),
                ("j[]", "\"4\""),
                ("j[][]", "5"),
                ("j[].k", "\"6\""),
                ("one.l", "\"7\""),
            ],
        );
    }

    #[test]
    fn no_string_hides_in_an_expression() {
        check(
            "a = coalesce(\"1\", var.b, 2)\nb = var.c == \"2\" ? \"3\" : upper(\"4\")\n\
             c = \"5-${lookup(var.d, \"k\")}\"\nd = sensitive([\"6\"])\ne = (\"7\")\n\
             f = [for s in [\"8\"] : \"9${s}\" if s != \"10\"]\ng = {for k, v in m : k => \"11\"...}\n\
             h = jsonencode({ password = \"12\" })\ni = var.s[\"key\"].x[*].y\nj = 1 + 2\nk = !true\n\
             l = provider::aws::f(\"13\")\nm = [true, var.x ? 1 : 2]\n",
            &[
                ("a", "\"1\""),
                ("a", "2"),
                ("b", "\"2\""),
                ("b", "\"3\""),
                ("b", "\"4\""),
                ("c", "\"5-${lookup(var.d, \"k\")}\""),
                ("d[]", "\"6\""),
                ("e", "\"7\""),
                ("f[][]", "\"8\""),
                ("f[]", "\"9${s}\""),
                ("f[]", "\"10\""),
                ("g", "\"11\""),
                ("h.password", "\"12\""),
                ("l", "\"13\""),
                ("m[]", "true"),
            ],
        );
    }

    #[test]
    fn heredocs_are_values_up_to_their_last_marker() {
        check(
            "a = <<EOT\r\nx ${f(\nEOT\n, \"}\")} EOT\r\n$${ EOTX\r\nEOT\r\nb = [<<-E\n  y\n  E\n, 1]\nc = <<E\nE\n",
            &[
                ("a", "<<EOT\r\nx ${f(\nEOT\n, \"}\")} EOT\r\n$${ EOTX\r\nEOT"),
                ("b[]", "<<-E\n  y\n  E"),
                ("b[]", "1"),
                ("c", "<<E\nE"),
            ],
        );
    }

    #[test]
    fn a_name_tells_blocks_and_elements_apart() {
        let text = "name = \"all\"\nenv {\n value = \"x\"\n name = \"DB_PASSWORD\"\n}\n\
                    env {\n name = var.n\n value = \"y\"\n}\nr \"l\" {\n name = \"z\"\n}\n\
                    e = [{ name = \"N\", value = \"v\", sub = { a = 1 } }, { name = \"ENC:x\", value = 2 }]\n\
                    o = { name = \"n\", value = \"w\" }\nname = \"a\" == \"b\"\n";
        check(
            text,
            &[
                ("name", "\"all\""),
                ("env.DB_PASSWORD.value", "\"x\""),
                ("env.name", "\"DB_PASSWORD\""),
                ("env.value", "\"y\""),
                ("r.l.name", "\"z\""),
                ("e[].name", "\"N\""),
                ("e[].N.value", "\"v\""),
                ("e[].N.sub.a", "1"),
                ("e[].name", "\"ENC:x\""),
                ("e[].value", "2"),
                ("o.name", "\"n\""),
                ("o.value", "\"w\""),
                ("name", "\"a\""),
                ("name", "\"b\""),
            ],
        );
        let sites = Hcl.scan(text.as_bytes()).unwrap();
        let naming: Vec<_> = (0..).zip(&sites).filter(|(_, s)| s.naming).map(|(n, _)| n).collect();
        assert_eq!(naming, [2, 5]);
    }

    #[test]
    fn commented_out_assignments_are_found_however_they_are_written() {
        type Wanted<'t> = &'t [(&'t str, &'t str, u8)];
        let samples: [(&str, Wanted<'_>); 13] = [
            ("# password = \"x\"", &[("password", "\"x\"", 1)]),
            ("//password=\"x\" # note", &[("password", "\"x\"", 1)]),
            ("t {\n # a = \"x\" # b = 2\r\n}", &[("t.a", "\"x\"", 1), ("t.b", "2", 1)]),
            ("# password = hunter2 ", &[("password", "hunter2", 1)]),
            ("# password = it's so # 2", &[("password", "it's so # 2", 1)]),
            ("# password = var.x", &[]),
            ("# l = [\"x\", { k = \"y\"", &[("l[]", "\"x\"", 1), ("l[].k", "\"y\"", 1)]),
            ("# provider \"p\" { token = \"x\" }", &[("token", "\"x\"", 1)]),
            ("/*\n * a = \"x\"\n b = two words */", &[("a", "\"x\"", 2), ("b", "two words", 2)]),
            (
                "o = {\n # a = \"x\",\n // \"b\" : \"y\"\n}",
                &[("o.a", "\"x\"", 1), ("o.b", "\"y\"", 1)],
            ),
            ("# see https://h/?a=b, note: c", &[]),
            ("# a = [\"x\", /* b = \"y\" */] # c = 1", &[("a[]", "\"x\"", 1)]),
            (
                "x = [ # a = \"y\"\n 1 /* b = 2 */ , 3]",
                &[("x[].a", "\"y\"", 1), ("x[]", "1", 0), ("x[].b", "2", 2), ("x[]", "3", 0)],
            ),
        ];
        for (text, wanted) in samples {
            let wanted: Vec<_> = wanted
                .iter()
                .map(|(path, source, context)| ((*path).to_owned(), *source, *context))
                .collect();
            assert_eq!(found(text), wanted, "{text}");
        }
    }

    #[test]
    fn values_are_decoded_and_encoded() {
        let decoded = |source: &str, context| {
            Hcl.decode(source.as_bytes(), context).map(|value| value.to_vec())
        };
        for (source, value) in [
            (r#""a\n\"\\\u00e9\U0001F600""#, "a\n\"\\\u{e9}\u{1f600}"),
            (r#""$${x} %%{y} $x %""#, "${x} %{y} $x %"),
            (r#""${f("}")}\t$${""#, "${f(\"}\")}\t${"),
            ("<<E\na\\n\n  $${b}\n  E", "a\\n\n  ${b}\n"),
            ("<<-E\n    a\n\n      b\n    E", "a\n\n  b\n"),
            ("<<E\r\na\r\nE", "a\r\n"),
            ("<<E\nE", ""),
            ("-1.5", "-1.5"),
            ("true", "true"),
        ] {
            assert_eq!(
                decoded(source, Context::ORDINARY).as_deref(),
                Some(value.as_bytes()),
                "{source}"
            );
        }
        for source in
            ["", "\"", "\"a\" ", "\"a\"b\"", "x", "1 ", "-", "\"a\nb\"", "<<E\na", "[1]", r#""\q""#]
        {
            assert_eq!(decoded(source, Context::ORDINARY), None, "{source}");
        }
        assert_eq!(decoded("two words", Context::COMMENT).unwrap(), b"two words");
        assert_eq!(decoded("<<E\nE", Context::COMMENT), None);
        for value in ["", "a\"\\\n\r\t\0", "${x}", "$${x}", "%%%{", "$", "*/", "\u{e9}"] {
            for context in [Context::ORDINARY, Context::COMMENT, Context::BLOCK_COMMENT] {
                let source = Hcl.encode(value.as_bytes(), context, 0).unwrap();
                let text = std::str::from_utf8(&source).unwrap();
                assert_eq!(decoded(text, context).as_deref(), Some(value.as_bytes()), "{text}");
                assert!(context != Context::BLOCK_COMMENT || !text.contains("*/"));
            }
        }
        assert_eq!(&Hcl.encode(b"${x}", Context::ORDINARY, 0).unwrap()[..], b"\"$${x}\"");
    }

    #[test]
    fn what_is_no_hcl_is_refused_with_its_place_and_nothing_quoted() {
        let deep = format!("a = {}", "[".repeat(100_000));
        let braces = format!("a = \"{}", "${\"".repeat(100_000));
        let blocks = "a {\n".repeat(100_000);
        let labels = format!("a {} {{\n}}", "b ".repeat(100));
        for (text, line) in [
            ("a = 1\nb = hunter2 hunter3", 2),
            ("hunter2", 1),
            ("a", 1),
            ("a =", 1),
            ("a = \n\"hunter2\"", 1),
            ("a = \"hunter2\nb\"", 1),
            ("a = \"hunter2", 1),
            ("a = \"\\q\"", 1),
            ("a = [1,, 2]", 1),
            ("a = [1", 1),
            ("a = [1}", 1),
            ("a = (\n)", 2),
            ("a = { b }", 1),
            ("a = { b = }", 1),
            ("a = { b = \n 1 }", 1),
            ("a = x ? 1", 1),
            ("a = 1 : 2", 1),
            ("a = x.", 1),
            ("a = <<E\nhunter2", 1),
            ("a = <<E x\nE", 1),
            ("a {\nb = 1\n", 3),
            ("}", 1),
            ("a = 1 }", 1),
            ("\"a\" {\n}", 1),
            ("a = 1 # \u{e9}\n/* hunter2", 2),
            ("<<<<<<< HEAD", 1),
            ("a = @", 1),
            ("[section]\na = 1", 1),
            (&deep, 1),
            (&braces, 1),
            (&blocks, 256),
            (&labels, 1),
        ] {
            let error = Hcl.scan(text.as_bytes()).expect_err(&text[..text.len().min(60)]);
            assert_eq!(error.line, line, "{text:.60}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
        assert!(Hcl.scan(b"a = \"\xff\"").is_err());
    }
}
