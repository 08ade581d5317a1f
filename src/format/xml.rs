//! XML 1.0. `quick-xml` says where tags, text and comments begin and end; what it leaves open of
//! a document's well-formedness is checked here.
//!
//! Sites are attribute values without their quotes, runs of text without the white space around
//! them (configuration is indented, and its readers trim), and both in commented-out elements.
//! Attributes and child elements are keys alike: `add.value` may be either. Processing
//! instructions and namespace declarations hold no sites. A document is refused, so that it is sealed whole, when it has an
//! internal DTD subset (declared entities and attribute defaults may be secrets, and what they
//! stand for is not known here), references that XML does not define by itself, or another
//! encoding than UTF-8.

mod attribute;
mod comment;
mod document;
mod scalar;
mod tree;

use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;

/// The codec of XML files.
pub(super) struct Xml;

/// An attribute's value between double quotes.
const DOUBLE_QUOTED: Context = Context(2);
/// An attribute's value between single quotes.
const SINGLE_QUOTED: Context = Context(3);
/// The same in a comment; text there is [`Context::COMMENT`].
const DOUBLE_QUOTED_COMMENT: Context = Context(4);
/// The same in a comment.
const SINGLE_QUOTED_COMMENT: Context = Context(5);

impl Codec for Xml {
    fn id(&self) -> CodecId {
        CodecId::Xml
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        document::scan(text)
    }

    fn decode(&self, source: &[u8], context: Context) -> Option<SecretBytes> {
        scalar::decode(source, context)
    }

    fn encode(&self, value: &[u8], context: Context, _column: u16) -> Option<SecretBytes> {
        scalar::encode(value, context)
    }

    fn quote(&self, _context: Context) -> &'static str {
        ""
    }

    fn takes(&self, token: &str, context: Context) -> bool {
        !self.is_comment(context) || !(token.contains("--") || token.ends_with('-'))
    }

    fn is_comment(&self, context: Context) -> bool {
        matches!(context, Context::COMMENT | DOUBLE_QUOTED_COMMENT | SINGLE_QUOTED_COMMENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Path, source and context number of each site.
    fn found(text: &str) -> Vec<(String, &str, u8)> {
        let sites = Xml.scan(text.as_bytes()).unwrap();
        let source = |site: &Site| &text[site.span.start..site.span.end];
        sites.iter().map(|site| (site.path.to_string(), source(site), site.context.0)).collect()
    }

    fn check(text: &str, wanted: &[(&str, &str, u8)]) {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(path, source, context)| ((*path).into(), *source, *context))
            .collect();
        assert_eq!(found(text), wanted, "{text}");
    }

    fn naming(text: &str) -> Vec<bool> {
        Xml.scan(text.as_bytes()).unwrap().iter().map(|site| site.naming).collect()
    }

    #[test]
    fn attributes_text_and_sections_are_values() {
        check(
            "\u{feff}<?xml version='1.0'?>\r\n<!DOCTYPE c SYSTEM \"[a]\">\n<c a = 'x\"' p:b=\"\" xmlns='u' xmlns:p='v'>\r\n\
             \t<user>\u{e9} b&lt;<![CDATA[<c>]]>&#x41; </user><none/><empty></empty>\n\
             before<i>in</i>after<?pi a='b'?><![CDATA[ ]]></c>\n<!-- end -->\n",
            &[
                ("c.a", "x\"", 3),
                ("c.\"p:b\"", "", 2),
                ("c.user", "\u{e9} b&lt;<![CDATA[<c>]]>&#x41;", 0),
                ("c.empty", "", 0),
                ("c", "before", 0),
                ("c.i", "in", 0),
                ("c", "after", 0),
                ("c", "<![CDATA[ ]]>", 0),
            ],
        );
    }

    #[test]
    fn siblings_tell_which_element_it_is() {
        check(
            "<c name='root'><add key='DbPassword' value='x'/><add key='k'/><entry key='a.b'>x</entry>\
             <P value='v' name='N'><q r='s'/>t</P><P name='http://u:p@h' value='w'/></c>",
            &[
                ("c.name", "root", 3),
                ("c.add.key", "DbPassword", 3),
                ("c.add.DbPassword.value", "x", 3),
                ("c.add.key", "k", 3),
                ("c.entry.key", "a.b", 3),
                ("c.entry.\"a.b\"", "x", 0),
                ("c.P.N.value", "v", 3),
                ("c.P.name", "N", 3),
                ("c.P.N.q.r", "s", 3),
                ("c.P.N", "t", 0),
                ("c.P.name", "http://u:p@h", 3),
                ("c.P.value", "w", 3),
            ],
        );
        assert_eq!(
            naming("<c><add key='DbPassword' value='x'/><add key='k'/><e key='k'></e></c>"),
            [true, false, false, true, false]
        );
    }

    #[test]
    fn a_name_in_a_child_counts_beside_a_value_in_another() {
        check(
            "<c><name>all</name><property><value>x</value><name>db.password</name></property>\
             <p><param-name>N</param-name><param-value>v</param-value></p>\
             <m><name>n</name><value><string>s</string></value></m></c>",
            &[
                ("c.name", "all", 0),
                ("c.property.\"db.password\".value", "x", 0),
                ("c.property.name", "db.password", 0),
                ("c.p.param-name", "N", 0),
                ("c.p.N.param-value", "v", 0),
                ("c.m.name", "n", 0),
                ("c.m.n.value.string", "s", 0),
            ],
        );
    }

    #[test]
    fn the_keys_of_a_property_list_name_what_stands_behind_them() {
        let text = "<plist version='1.0'><dict><key>password</key>\n<string>x</string><key>in</key>\
                    <dict><key>n</key><integer>1</integer><key>t</key><true/></dict></dict></plist>";
        check(
            text,
            &[
                ("plist.version", "1.0", 3),
                ("plist.dict.key", "password", 0),
                ("plist.dict.password.string", "x", 0),
                ("plist.dict.key", "in", 0),
                ("plist.dict.in.dict.key", "n", 0),
                ("plist.dict.in.dict.n.integer", "1", 0),
                ("plist.dict.in.dict.key", "t", 0),
            ],
        );
        assert_eq!(naming(text), [false, true, false, true, true, false, true]);
    }

    #[test]
    fn commented_out_elements_are_found_among_prose() {
        check(
            "<!-- <a>1</a> --><c><!-- <add key=\"DbPassword\" value='x&y'/> <password> x </password> --></c>\
             <!-- set <password> to a <b>secret</b>, a < b, </x> <p a='1'>open <i a='2' --b=''/> -->"
                .replace("--b", "- b")
                .as_str(),
            &[
                ("a", "1", 1),
                ("c.add.key", "DbPassword", 4),
                ("c.add.DbPassword.value", "x&y", 5),
                ("c.password", "x", 1),
                ("password.b", "secret", 1),
                ("password.p.a", "1", 5),
            ],
        );
        check(
            "<c><!--\n<p><q>1</q><r/></p><s><![CDATA[a]]>b</s><t></t></u>\n--> x</c>",
            &[("c.p.q", "1", 1), ("c.s", "<![CDATA[a]]>b", 1), ("c.t", "", 1), ("c", "x", 0)],
        );
    }

    #[test]
    fn values_are_decoded_as_readers_do() {
        let decoded = |source: &str, context| {
            Xml.decode(source.as_bytes(), context).map(|value| value.to_vec())
        };
        for (source, context, value) in [
            ("", Context::ORDINARY, ""),
            ("a&amp;&#65;&#x1F600;", Context::ORDINARY, "a&A\u{1f600}"),
            ("a\r\nb\rc\td", Context::ORDINARY, "a\nb\nc\td"),
            ("<![CDATA[ &amp;\r]]>]]&gt;", Context::ORDINARY, " &amp;\n]]>"),
            (" a\r\nb\t'&#10;", DOUBLE_QUOTED, " a b '\n"),
            ("\"", SINGLE_QUOTED, "\""),
            ("a & b &nbsp;", Context::COMMENT, "a & b &nbsp;"),
        ] {
            assert_eq!(decoded(source, context).as_deref(), Some(value.as_bytes()), "{source}");
        }
        for (source, context) in [
            (" a", Context::ORDINARY),
            ("<b>", Context::ORDINARY),
            ("a]]>", Context::ORDINARY),
            ("<![CDATA[a", Context::ORDINARY),
            ("&nbsp;", Context::ORDINARY),
            ("&", DOUBLE_QUOTED),
            ("&#0;", Context::ORDINARY),
            ("&#+1;", Context::ORDINARY),
            ("\"", DOUBLE_QUOTED),
            ("<", SINGLE_QUOTED),
            ("a--b", Context::COMMENT),
        ] {
            assert_eq!(decoded(source, context), None, "{source}");
        }
        assert!(Xml.decode(b"\xff", Context::ORDINARY).is_none());
    }

    #[test]
    fn an_encoded_value_decodes_to_itself_everywhere() {
        let contexts: Vec<_> = (0..6).map(Context).collect();
        for value in
            ["", " ", " a  b ", "\n", "a\r\n\tb", "<&>\"'", "]]>", "--", "-", "a--->", "\u{e9}"]
        {
            for context in &contexts {
                let source = Xml.encode(value.as_bytes(), *context, 0).unwrap();
                let back = Xml.decode(&source, *context);
                assert_eq!(back.as_deref(), Some(value.as_bytes()), "{value:?} in {context:?}");
                let text = std::str::from_utf8(&source).unwrap();
                assert!(!Xml.is_comment(*context) || Xml.takes(text, *context), "{text}");
            }
        }
        for value in [&b"\xff"[..], b"\0", b"\x1b", "\u{ffff}".as_bytes()] {
            assert!(Xml.encode(value, Context::ORDINARY, 0).is_none());
        }
    }

    #[test]
    fn a_token_in_a_comment_holds_nothing_that_ends_the_comment() {
        for token in ["ENC:v1:0:a--b", "ENC:v1:0:a-"] {
            assert!(Xml.takes(token, DOUBLE_QUOTED) && !Xml.takes(token, Context::COMMENT));
            assert!(!Xml.takes(token, DOUBLE_QUOTED_COMMENT));
        }
        assert!(Xml.takes("ENC:v1:0:-a", SINGLE_QUOTED_COMMENT));
    }

    #[test]
    fn what_is_no_xml_is_refused_with_its_place_and_nothing_quoted() {
        let deep = "<a>".repeat(100_000);
        for (text, line, column) in [
            ("", 1, 1),
            ("hunter2", 1, 1),
            ("<!-- hunter2 -->", 1, 17),
            ("<a>\n<b>hunter2</c></a>", 2, 11),
            ("<a>hunter2", 1, 11),
            ("<a/>\n<hunter2/>", 2, 1),
            ("<a/>hunter2", 1, 5),
            ("<a/>&#65;", 1, 5),
            ("</hunter2>", 1, 1),
            ("<a b='hunter2' b=''/>", 1, 4),
            ("<a b='hunter2'c='x'/>", 1, 15),
            ("<a hunter2/>", 1, 11),
            ("<a b=hunter2/>", 1, 6),
            ("<a b='<'/>", 1, 7),
            ("<a>]]></a>", 1, 4),
            ("<a>&hunter2;</a>", 1, 4),
            ("<a>hunter & x</a>", 1, 11),
            ("<a b='&hunter2;'/>", 1, 7),
            ("<a><!-- hunter -- 2 --></a>", 1, 16),
            ("<a><![CDATA[hunter2</a>", 1, 4),
            ("<1/>", 1, 1),
            ("<a>\u{1}</a>", 1, 4),
            ("<a>\u{ffff}</a>", 1, 4),
            ("\u{feff}\u{feff}<a/>", 1, 4),
            (" <?xml version='1.0'?><a/>", 1, 2),
            ("<a/><!DOCTYPE a>", 1, 5),
            ("<!DOCTYPE a [<!ENTITY p 'hunter2'>]><a>&p;</a>", 1, 1),
            ("<?xml version='1.0' encoding='UTF-16'?><a/>", 1, 1),
            ("<?xml version='1.0' encoding='ISO-8859-1'?><a>\u{e9}</a>", 1, 1),
            (&deep, 1, 769),
        ] {
            let error = Xml.scan(text.as_bytes()).expect_err(&text[..text.len().min(60)]);
            assert_eq!((error.line, error.column), (line, column), "{text:.60}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
        assert!(Xml.scan(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>x</a>").is_ok());
        assert!(Xml.scan(b"\xff\xfe<\0a\0/\0>\0").is_err(), "UTF-16");
    }
}
