//! TOML 1.1, from the events of `toml_parser`: the same that `toml_edit` makes its documents of.
//! Those documents would take most of the time and serve nobody; what they check besides, that
//! nothing is defined twice, is checked here, and a test holds the two against each other.

mod comment;
mod tables;
mod tree;

use toml_parser::Source;
use toml_parser::decoder::{ScalarKind, StringBuilder};
use toml_parser::parser::{Event, EventKind, parse_value};

use self::tree::{Grammar, Tree, Wrong};
use super::{Codec, CodecId, Context, Front, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of TOML files.
pub(super) struct Toml;

impl Codec for Toml {
    fn id(&self) -> CodecId {
        CodecId::Toml
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        let source = std::str::from_utf8(text)
            .map_err(|error| ParseError::at(text, error.valid_up_to(), "not UTF-8"))?;
        let wrong = |Wrong { at, kind }| ParseError::at(text, at, kind);
        let tree = Tree::read(source, Grammar::Document, Front::ROOT, Context::ORDINARY);
        let Tree { outline, tables, comments, .. } = tree.map_err(wrong)?;
        let (mut sites, mut paths) = outline.finish();
        if !comments.is_empty() {
            comment::scan(source, &comments, &tables, &mut paths, &mut sites);
            sites.sort_by_key(|site| site.span.start);
        }
        Ok(sites)
    }

    fn decode(&self, source: &[u8], context: Context) -> Option<SecretBytes> {
        let text = std::str::from_utf8(source).ok()?;
        if context == Context::ORDINARY {
            return decode_scalar(text);
        }
        let line = text.trim_matches([' ', '\t']);
        if line.len() != text.len() || line.is_empty() || line.contains(['\n', '\r']) {
            return None;
        }
        // The rest of a commented-out line that is no TOML value is a value all the same.
        Some(decode_scalar(text).unwrap_or_else(|| source.into()))
    }

    fn encode(&self, value: &[u8], _context: Context, _column: u16) -> Option<SecretBytes> {
        let value = std::str::from_utf8(value).ok()?;
        let mut out = SecretBytes::with_capacity(value.len() + 2);
        out.extend(b"\"");
        for c in value.chars() {
            match c {
                '"' => out.extend(b"\\\""),
                '\\' => out.extend(b"\\\\"),
                '\n' => out.extend(b"\\n"),
                '\r' => out.extend(b"\\r"),
                '\t' => out.extend(b"\\t"),
                c if c.is_ascii_control() => {
                    out.extend(format!("\\u{:04X}", u32::from(c)).as_bytes());
                }
                c => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out.extend(b"\"");
        Some(out)
    }

    fn quote(&self, _context: Context) -> &'static str {
        "\""
    }
}

/// The value of `text` if that is one scalar and nothing else.
fn decode_scalar(text: &str) -> Option<SecretBytes> {
    if let Some(inner) = tree::verbatim(text) {
        return Some(inner.as_bytes().into());
    }
    let source = Source::new(text);
    let mut events: Vec<Event> = Vec::new();
    let mut errors: Vec<toml_parser::ParseError> = Vec::new();
    parse_value(&source.lex().into_vec(), &mut events, &mut errors);
    let [event] = events[..] else { return None };
    if event.kind() != EventKind::Scalar || event.span().len() != text.len() {
        return None;
    }
    let mut decoded = Decoded(SecretBytes::with_capacity(text.len()));
    let kind = source.get(event)?.decode_scalar(&mut decoded, &mut errors);
    match kind {
        _ if !errors.is_empty() => None,
        ScalarKind::String => Some(decoded.0),
        _ => Some(text.as_bytes().into()),
    }
}

/// Takes a decoded string without leaving copies behind.
struct Decoded(SecretBytes);

impl<'s> StringBuilder<'s> for Decoded {
    fn clear(&mut self) {
        self.0.resize(0);
    }

    fn push_str(&mut self, append: &'s str) -> bool {
        self.0.extend(append.as_bytes());
        true
    }

    fn push_char(&mut self, append: char) -> bool {
        self.0.extend(append.encode_utf8(&mut [0; 4]).as_bytes());
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml_edit::{Document, Item, Table, Value};

    use super::*;

    proptest! {
        /// What is taken as it stands, the parser takes for the same.
        #[test]
        fn a_string_without_escapes_is_what_stands_in_it(inner in "[ -~\\t\u{7f}é\u{1}\n]{0,12}") {
            let text = format!("\"{inner}\"");
            if let Some(verbatim) = tree::verbatim(&text) {
                prop_assert_eq!(verbatim, &*inner);
                let parsed = format!("a = {text}").parse::<Document<String>>().unwrap();
                prop_assert_eq!(parsed["a"].as_str(), Some(verbatim));
            }
        }
    }

    /// Path, source and context number of each site.
    fn found(text: &str) -> Vec<(String, &str, u8)> {
        let sites = Toml.scan(text.as_bytes()).unwrap();
        let source = |site: &Site| &text[site.span.start..site.span.end];
        sites.iter().map(|site| (site.path.to_string(), source(site), site.context.0)).collect()
    }

    fn in_comments(text: &str) -> Vec<(String, &str)> {
        let sites = found(text).into_iter().filter(|site| site.2 == Context::COMMENT.0);
        sites.map(|(path, source, _)| (path, source)).collect()
    }

    fn owned<'a>(sites: &[(&str, &'a str)]) -> Vec<(String, &'a str)> {
        sites.iter().map(|(path, source)| ((*path).to_owned(), *source)).collect()
    }

    #[test]
    fn every_kind_of_scalar_is_found_in_the_order_of_the_text() {
        let text = "\u{feff}a = 'x'\r\nb.\"c d\" = \"\"\"y\r\n\"\"\"\r\n[t.u]\r\nl = [1, [2.5], { k = true }]\r\n\
                    [t]\r\nd = 1979-05-27 07:32:00 # c\r\n[[s]]\r\ne = '''\u{e9}'''\r\n";
        let wanted = [
            ("a", "'x'"),
            ("b.\"c d\"", "\"\"\"y\r\n\"\"\""),
            ("t.u.l[]", "1"),
            ("t.u.l[][]", "2.5"),
            ("t.u.l[].k", "true"),
            ("t.d", "1979-05-27 07:32:00"),
            ("s[].e", "'''\u{e9}'''"),
        ];
        let found: Vec<_> =
            found(text).into_iter().map(|(path, source, _)| (path, source)).collect();
        assert_eq!(found, owned(&wanted));
    }

    #[test]
    fn a_name_tells_the_elements_of_a_list_apart() {
        let text = "[[env]]\nvalue = 'x'\nname = 'DB'\n[env.sub]\na = 1\n# b = 2\n[[env]]\nvalue = 'y'\n\
                    [[env]]\nname = 'ENC:v1:x'\nvalue = 'z'\n[x]\nl = [{ name = 'N', value = 1 }]";
        let wanted = [
            ("env[].DB.value", "'x'"),
            ("env[].name", "'DB'"),
            ("env[].DB.sub.a", "1"),
            ("env[].DB.sub.b", "2"),
            ("env[].value", "'y'"),
            ("env[].name", "'ENC:v1:x'"),
            ("env[].value", "'z'"),
            ("x.l[].name", "'N'"),
            ("x.l[].N.value", "1"),
        ];
        let sites: Vec<_> =
            found(text).into_iter().map(|(path, source, _)| (path, source)).collect();
        assert_eq!(sites, owned(&wanted));
        let naming = Toml.scan(text.as_bytes()).unwrap();
        let naming: Vec<_> = naming.iter().map(|site| site.naming).collect();
        assert_eq!(naming, [false, true, false, false, false, false, false, true, false]);
    }

    #[test]
    fn commented_out_assignments_are_found_however_they_are_written() {
        let samples: [(&str, &[(&str, &str)]); 14] = [
            ("#password = \"x\"", &[("password", "\"x\"")]),
            ("# password=\"x\"  # note", &[("password", "\"x\"")]),
            ("## password = 'x'", &[("password", "'x'")]),
            ("a = 1 # password = \"x\" # b = 2", &[("password", "\"x\""), ("b", "2")]),
            ("# password = hunter2 # or so ", &[("password", "hunter2 # or so")]),
            ("# password = it's \u{e9}", &[("password", "it's \u{e9}")]),
            ("# a.\"b c\" = [1, { d = 'x' }],", &[("a.\"b c\"[]", "1"), ("a.\"b c\"[].d", "'x'")]),
            ("[t]\n# a = 1\n[u] # b = 2", &[("t.a", "1"), ("u.b", "2")]),
            (
                "l = [\n # 'x', # a = 1\n # { name = 'N', p = 'y' },\n]",
                &[("l[]", "'x'"), ("l[].a", "1"), ("l[].name", "'N'"), ("l[].N.p", "'y'")],
            ),
            ("i = {\n a = 1, # b = 2,\n}\n# c = 3", &[("i.b", "2"), ("c", "3")]),
            ("# Note: see = docs", &[]),
            ("# just = ", &[]),
            ("# a b = 1", &[]),
            ("s = '''\n# a = 1\n''' # prose", &[]),
        ];
        for (text, wanted) in samples {
            assert_eq!(in_comments(text), owned(wanted), "{text}");
        }
    }

    #[test]
    fn a_commented_out_header_holds_for_the_comment_lines_directly_below() {
        let text = "[[s]]\nname = 'N'\n[t]\n# [db] # note\n# a = 1\n#b = 2\n\n# c = 3\n\
                    # [[s]]\n# d = 4\ne = 5 # f = 6\n# [s.x]\n# g = 7\n# h = [1, 2]\n# [1, 2] = 3";
        let wanted = [
            ("db.a", "1"),
            ("db.b", "2"),
            ("t.c", "3"),
            ("s[].d", "4"),
            ("t.f", "6"),
            ("s[].N.x.g", "7"),
            ("s[].N.x.h[]", "1"),
            ("s[].N.x.h[]", "2"),
        ];
        assert_eq!(in_comments(text), owned(&wanted));
    }

    #[test]
    fn values_are_decoded_and_encoded() {
        let decoded = |source: &str, context| {
            Toml.decode(source.as_bytes(), context).map(|value| value.to_vec())
        };
        for (source, value) in [
            ("\"a\\n\\u00e9\"", "a\n\u{e9}"),
            ("'a\\n'", "a\\n"),
            ("\"\"\"\na\\\n  b\"\"\"", "ab"),
            ("1_000", "1_000"),
            ("1979-05-27", "1979-05-27"),
        ] {
            assert_eq!(decoded(source, Context::ORDINARY).unwrap(), value.as_bytes(), "{source}");
        }
        for source in ["", "hunter2", "1 # x", " 1", "1\nb = 2", "[1]", "'a' 'b'", "{}"] {
            assert_eq!(decoded(source, Context::ORDINARY), None, "{source}");
        }
        assert_eq!(decoded("it's so", Context::COMMENT).unwrap(), b"it's so");
        assert_eq!(decoded("'so'", Context::COMMENT).unwrap(), b"so");
        assert_eq!(decoded("a\nb", Context::COMMENT), None);
        let source = Toml.encode(b"a\"\\\n\x00\x7f", Context::COMMENT, 0).unwrap();
        assert_eq!(&source[..], b"\"a\\\"\\\\\\n\\u0000\\u007F\"");
        assert!(Toml.encode(b"\xff", Context::ORDINARY, 0).is_none());
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_place_and_nothing_quoted() {
        let deep = format!("a = {}", "[".repeat(100_000));
        for (text, line) in [
            (&b"a = 1\nb = hunter2"[..], 2),
            (b"a = 1\na = 2", 2),
            (b"\n\n\"\xff\" = 1", 3),
            (b"<<<<<<< HEAD", 1),
            (deep.as_bytes(), 1),
        ] {
            let error = Toml.scan(text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    /// Statements over a handful of keys, so that they meet.
    fn statements() -> impl Strategy<Value = String> {
        let key = prop::collection::vec(prop::sample::select(vec!["a", "b", "\"a\""]), 1..4)
            .prop_map(|keys| keys.join("."));
        let pairs = prop::collection::vec(key.clone(), 0..3)
            .prop_map(|keys| keys.iter().map(|key| format!("{key} = 1, ")).collect::<String>());
        let value = prop_oneof![
            3 => Just("1".to_owned()),
            1 => pairs.clone().prop_map(|pairs| format!("{{ {pairs} }}")),
            1 => pairs.prop_map(|pairs| format!("[{{ {pairs} }}, [1]]")),
        ];
        let statement = prop_oneof![
            (key.clone(), value).prop_map(|(key, value)| format!("{key} = {value}\n")),
            key.clone().prop_map(|key| format!("[{key}]\n")),
            key.prop_map(|key| format!("[[{key}]]\n")),
        ];
        prop::collection::vec(statement, 1..6).prop_map(|lines| lines.concat())
    }

    /// The places of the scalars that `toml_edit` sees.
    fn scalars(item: &Item, found: &mut Vec<usize>) {
        match item {
            Item::None => {}
            Item::Table(table) => table.iter().for_each(|(_, item)| scalars(item, found)),
            Item::ArrayOfTables(list) => {
                list.iter().flat_map(Table::iter).for_each(|(_, item)| scalars(item, found));
            }
            Item::Value(value) => scalars_in(value, found),
        }
    }

    fn scalars_in(value: &Value, found: &mut Vec<usize>) {
        match value {
            Value::Array(list) => list.iter().for_each(|value| scalars_in(value, found)),
            Value::InlineTable(table) => {
                table.iter().for_each(|(_, value)| scalars_in(value, found));
            }
            scalar => found.extend(scalar.span().map(|span| span.start)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn what_is_defined_twice_is_refused_where_toml_edit_does(text in statements()) {
            let ours = Toml.scan(text.as_bytes());
            match (Document::parse(text.as_str()), ours) {
                (Ok(document), Ok(sites)) => {
                    let mut wanted = Vec::new();
                    scalars(document.as_item(), &mut wanted);
                    wanted.sort_unstable();
                    let found: Vec<usize> = sites.iter().map(|site| site.span.start).collect();
                    prop_assert_eq!(found, wanted, "{}", text);
                }
                (Err(_), Err(_)) => {}
                (theirs, ours) => prop_assert!(false, "{}\n{:?}\n{:?}", text, theirs.err(), ours.err()),
            }
        }
    }
}
