//! JSON, JSON with comments, JSON5: one grammar, of which each is a part. `jsonc-parser` takes a
//! text apart into tokens.
//!
//! Beyond JSON5 are taken: a byte order mark, lone surrogate escapes (the scanner refuses them, so
//! it sees a copy without), literals and `-` in unquoted keys, and what the scanner cannot be told
//! to refuse: raw control characters in strings, and any Unicode white space. Not taken are
//! escapes in unquoted keys.

mod comment;
mod scalar;
mod tree;
mod walk;

use jsonc_parser::{Scanner, ScannerOptions};

use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of JSON files.
pub(super) struct Json;

impl Codec for Json {
    fn id(&self) -> CodecId {
        CodecId::Json
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        let source = std::str::from_utf8(text)
            .map_err(|error| ParseError::at(text, error.valid_up_to(), "not UTF-8"))?;
        let body = source.strip_prefix('\u{feff}').unwrap_or(source);
        let shift = source.len() - body.len();
        let body = scalar::without_lone_surrogates(body);
        let scanner = Scanner::new(&body, &JSON5);
        tree::sites(text, shift, scanner)
            .map_err(|Wrong { at, kind }| ParseError::at(text, at, kind))
    }

    fn decode(&self, source: &[u8], _context: Context) -> Option<SecretBytes> {
        scalar::decode(source)
    }

    fn encode(&self, value: &[u8], context: Context, _column: u16) -> Option<SecretBytes> {
        scalar::encode(value, context)
    }

    fn quote(&self, _context: Context) -> &'static str {
        "\""
    }
}

const JSON5: ScannerOptions = ScannerOptions {
    allow_single_quoted_strings: true,
    allow_hexadecimal_numbers: true,
    allow_unary_plus_numbers: true,
    allow_bare_decimal_point_numbers: true,
    allow_non_finite_numbers: true,
    allow_extended_string_escapes: true,
};

/// What is wrong, and at which byte.
struct Wrong {
    at: usize,
    kind: &'static str,
}

/// The scanner's own words quote source text now and then.
fn kind_of(kind: &jsonc_parser::errors::ParseErrorKind) -> &'static str {
    use jsonc_parser::errors::ParseErrorKind as Kind;
    match kind {
        Kind::UnterminatedCommentBlock => "a comment that does not end",
        Kind::String(jsonc_parser::ParseStringErrorKind::UnterminatedStringLiteral) => {
            "a string that does not end"
        }
        Kind::String(_) => "not a valid escape",
        _ => "not valid JSON",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a site is wanted to be: path, source and context number.
    type Wanted<'a> = (&'a str, &'a str, u8);

    fn found(text: &str) -> Vec<(String, &str, u8)> {
        let sites = Json.scan(text.as_bytes()).unwrap();
        let source = |site: &Site| &text[site.span.start..site.span.end];
        sites.iter().map(|site| (site.path.to_string(), source(site), site.context.0)).collect()
    }

    fn owned<'a>(sites: &[Wanted<'a>]) -> Vec<(String, &'a str, u8)> {
        sites.iter().map(|(path, source, n)| ((*path).to_owned(), *source, *n)).collect()
    }

    #[test]
    fn every_scalar_is_found_and_a_byte_order_mark_counts() {
        let text = "\u{feff}{\"a\": \"x\", \"b c\": [1, [null], {\"\\u0064\": true,}], \"a\": \"\\ud800\"}\r\n";
        let wanted = [
            ("a", "\"x\"", 0),
            ("\"b c\"[]", "1", 0),
            ("\"b c\"[][]", "null", 0),
            ("\"b c\"[].d", "true", 0),
            ("a", "\"\\ud800\"", 0),
        ];
        assert_eq!(found(text), owned(&wanted));
        assert_eq!(found(" 5 // x"), owned(&[("", "5", 0)]));
    }

    /// The example of the specification (json5.org), and what it leaves out.
    #[test]
    fn json5_is_found_as_well() {
        let text = "{\n  // comments\n  unquoted: 'and you can quote me on that',\n\
                    singleQuotes: 'I can use \"double quotes\" here',\n\
                    lineBreaks: \"Look, Mom! \\\nNo \\\\n's!\",\n  hexadecimal: 0xdecaf,\n\
                    leadingDecimalPoint: .8675309, andTrailing: 8675309.,\n  positiveSign: +1,\n\
                    trailingComma: 'in objects', andIn: ['arrays',],\n\
                    \"backwardsCompatible\": \"with JSON\",\n\
                    $_\u{e9}: [+Infinity, -NaN, -.5e+1, '\\x41\\'\\v\\0'], true: null, 1: /* x: 'y' */ 2,\n}";
        let wanted = [
            ("unquoted", "'and you can quote me on that'", 0),
            ("singleQuotes", "'I can use \"double quotes\" here'", 0),
            ("lineBreaks", "\"Look, Mom! \\\nNo \\\\n's!\"", 0),
            ("hexadecimal", "0xdecaf", 0),
            ("leadingDecimalPoint", ".8675309", 0),
            ("andTrailing", "8675309.", 0),
            ("positiveSign", "+1", 0),
            ("trailingComma", "'in objects'", 0),
            ("andIn[]", "'arrays'", 0),
            ("backwardsCompatible", "\"with JSON\"", 0),
            ("\"$_\u{e9}\"[]", "+Infinity", 0),
            ("\"$_\u{e9}\"[]", "-NaN", 0),
            ("\"$_\u{e9}\"[]", "-.5e+1", 0),
            ("\"$_\u{e9}\"[]", "'\\x41\\'\\v\\0'", 0),
            ("true", "null", 0),
            ("x", "'y'", 2),
            ("1", "2", 0),
        ];
        assert_eq!(found(text), owned(&wanted));
        for site in Json.scan(text.as_bytes()).unwrap() {
            assert!(Json.decode(site.span.of(text.as_bytes()), site.context).is_some());
        }
    }

    #[test]
    fn a_name_tells_the_elements_of_a_list_apart() {
        let text = r#"{"env": [
            {"value": "x", "name": "DB", "sub": {"a": 1 /* "b": 2 */}},
            {"name": "ENC:x", "value": "y"}, [{"Key": "K", "Value": "z"}], {"key": "k", "user": "u"}
        ], "o": {"name": "N", "value": "w"}}"#;
        let wanted = [
            ("env[].DB.value", "\"x\"", 0),
            ("env[].name", "\"DB\"", 0),
            ("env[].DB.sub.a", "1", 0),
            ("env[].DB.sub.b", "2", 2),
            ("env[].name", "\"ENC:x\"", 0),
            ("env[].value", "\"y\"", 0),
            ("env[][].Key", "\"K\"", 0),
            ("env[][].K.Value", "\"z\"", 0),
            ("env[].key", "\"k\"", 0),
            ("env[].user", "\"u\"", 0),
            ("o.name", "\"N\"", 0),
            ("o.value", "\"w\"", 0),
        ];
        assert_eq!(found(text), owned(&wanted));
        let sites = Json.scan(text.as_bytes()).unwrap();
        let naming: Vec<_> = (0..sites.len()).filter(|n| sites[*n].naming).collect();
        assert_eq!(naming, [1, 6]);
    }

    #[test]
    fn commented_out_members_are_found_however_they_are_written() {
        let samples: [(&str, &[Wanted<'_>]); 12] = [
            ("{ // \"password\": \"x\",\n}", &[("password", "\"x\"", 1)]),
            ("{ /* \"password\": \"x\" */ }", &[("password", "\"x\"", 2)]),
            ("{ /**\n * \"a\": 1,\r\n *\t\"b\": 2 */ }", &[("a", "1", 2), ("b", "2", 2)]),
            (
                "{\"o\": { /// a: 'x', b: \"x\"\n// \"b\": \"x\" as of late\n}}",
                &[("o.a", "'x'", 1), ("o.b", "\"x\"", 1), ("o.b", "\"x\"", 1)],
            ),
            ("{// \"db\": { \"a\": 1, \"l\": [2] } }\n}", &[("db.a", "1", 1), ("db.l[]", "2", 1)]),
            ("{// } \"a\": 1 // \"b\": 2\n}", &[("a", "1", 1), ("b", "2", 1)]),
            ("[ // \"x\", // note\n ]", &[("[]", "\"x\"", 1)]),
            (
                "[ // {\"name\": \"N\", \"p\": \"x\"}\n ]",
                &[("[].name", "\"N\"", 1), ("[].N.p", "\"x\"", 1)],
            ),
            ("[ // \"x\" is what it was\n ]", &[]),
            ("{ // \"x\"\n }", &[]),
            ("{ // Note: see http://x \"a\"\n }", &[]),
            ("{} // {\"a\": 01, \"b\": tru, c: }", &[]),
        ];
        for (text, wanted) in samples {
            let mut found = found(text);
            found.retain(|site| site.2 != 0);
            assert_eq!(found, owned(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place_and_nothing_quoted() {
        let deep = "[".repeat(100_000);
        for (text, line) in [
            (&b"{\n\"a\": hunter2}"[..], 2),
            (b"", 1),
            (b"// only a comment", 1),
            (b"{\"a\": 1\n\"b\": 2}", 1),
            (b"[\"\\1\"]", 1),
            (b"\n\xff", 2),
            (b"{'a': 1", 1),
            (b"{a: 'b\"}", 1),
            (b"{a: b}", 1),
            (b"{\"a\": 01}", 1),
            (deep.as_bytes(), 1),
        ] {
            let error = Json.scan(text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
