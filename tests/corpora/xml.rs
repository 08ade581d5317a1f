//! Generated XML, well formed and mutated: it scans or is refused, never a panic, and what scans
//! can be sealed in any part. And the control: a wrong span is found.

use confseal::format::{CodecId, Context, Site};
use confseal::span::Span;
use proptest::prelude::*;
use proptest::sample::select;

use super::properties::{chosen, mutate, sealed};
use super::shape::{check_replacing, check_seals, token};

fn name() -> impl Strategy<Value = &'static str> {
    select(vec![
        "a",
        "add",
        "password",
        "name",
        "key",
        "value",
        "dict",
        "param-name",
        "param-value",
        "p:x",
        "\u{e9}t\u{e9}",
        "_1.-",
    ])
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec![
            "", " ", "\n  ", "x", " hunter2 ", "\u{e9}\u{1f600}", "a&amp;b", "&#65;&#x42;", "ENC:x", "-",
            "<![CDATA[<b>--]]>", "<![CDATA[]]>", "x<![CDATA[ y ]]> z", "]]&gt;", "a'b\"c", "http://u:p@h/",
        ])
        .prop_map(str::to_owned),
        1 => "[ \n\t>\"'=/;a-]{0,8}",
    ]
}

fn attributes() -> impl Strategy<Value = String> {
    let attribute = (
        name(),
        select(vec!["=", " = ", "\n="]),
        select(vec![
            "\"x\"",
            "'x'",
            "\"\"",
            "'it\"s'",
            "\"it's>\"",
            "'a&lt;b\n&#10;'",
            "'ENC:x'",
            "'N'",
            "\"Server=s;Password=hunter2;\"",
            "'/'",
        ]),
    );
    prop::collection::vec(attribute, 0..4).prop_map(|attributes| {
        let mut seen = Vec::new();
        let mut out = String::new();
        for (name, equals, value) in attributes {
            if !seen.contains(&name) {
                seen.push(name);
                out += &format!(" {name}{equals}{value}");
            }
        }
        out
    })
}

/// An element with what it holds.
fn element() -> impl Strategy<Value = String> {
    let leaf = (name(), attributes(), text(), any::<bool>()).prop_map(
        |(name, attributes, text, empty)| match empty {
            true => format!("<{name}{attributes}/>"),
            false => format!("<{name}{attributes}>{text}</{name} >"),
        },
    );
    leaf.prop_recursive(4, 24, 4, |inner| {
        let comment = prop_oneof![
            inner.clone().prop_map(|inside| inside.replace('-', "_")),
            "[<>/=\"'a &!\\[\\]\n]{0,24}",
            select(vec![
                " <password> is <b>needed</b>",
                " <a b='x'><c>1</c> ",
                "</a> <a>x</a",
                "<![CDATA[ <a>x</a>",
                " <a b=\"x\" b=\"y\"/> ",
                " <a>x<!b>y</a> ",
                "<a>x & y</a><a>&amp;</a>",
            ])
            .prop_map(str::to_owned),
        ];
        let child = prop_oneof![
            4 => inner,
            2 => text(),
            2 => comment.prop_map(|inside| format!("<!--{inside}-->")),
            1 => select(vec!["<?pi a='b'?>", "<?x?>"]).prop_map(str::to_owned),
        ];
        (name(), attributes(), prop::collection::vec(child, 0..5)).prop_map(
            |(name, attributes, children)| {
                format!("<{name}{attributes}>{}</{name}>", children.concat())
            },
        )
    })
}

fn document() -> impl Strategy<Value = String> {
    let prologue = select(vec![
        "",
        "\u{feff}",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n",
        "<!DOCTYPE a SYSTEM 'x'>\n",
        "<!-- <password>x</password> -->\n",
        " \n",
    ]);
    (prologue, element(), select(vec!["", "\n", "<!-- <a b='c'/> -->\n"]), any::<bool>()).prop_map(
        |(before, element, after, crlf)| {
            let text = format!("{before}{element}{after}");
            if crlf { text.replace('\n', "\r\n") } else { text }
        },
    )
}

fn telling_byte() -> impl Strategy<Value = u8> {
    prop_oneof![select(b"<>/=\"'&;!-[]?:\n\r a0".to_vec()), any::<u8>()]
}

const CONTEXTS: [Context; 6] =
    [Context(0), Context(1), Context(2), Context(3), Context(4), Context(5)];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_part_of_an_xml_document_can_be_sealed(text in document(), mask: u64) {
        prop_assert!(sealed(CodecId::Xml.codec(), text.as_bytes(), mask)?.is_some(), "{text}");
    }

    #[test]
    fn names_too_can_be_sealed(text in document()) {
        let checked = check_seals(CodecId::Xml.codec(), text.as_bytes(), |_, _| true);
        prop_assert!(checked.is_ok(), "{checked:?}\n{}", text.escape_debug());
    }

    #[test]
    fn a_mutated_xml_document_is_refused_or_can_be_sealed(
        text in document(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, telling_byte()), 1..6),
        mask: u64,
    ) {
        sealed(CodecId::Xml.codec(), &mutate(&text, &changes), mask)?;
    }

    #[test]
    fn an_encoded_value_decodes_and_stays_in_its_place_in_xml(
        text in document(),
        value in prop_oneof!["[ -~]{0,12}", ".{0,12}", "[ <>&'\"\r\n\t\\]\u{e9}-]{0,8}"],
        mask: u64,
    ) {
        let codec = CodecId::Xml.codec();
        for context in CONTEXTS {
            if let Some(source) = codec.encode(value.as_bytes(), context, 0) {
                prop_assert_eq!(&codec.decode(&source, context).unwrap()[..], value.as_bytes());
            }
        }
        let Ok(sites) = codec.scan(text.as_bytes()) else { return Ok(()) };
        // A value that is no name: a name is another value's path, so it may not change.
        let value = format!("ENC:{value}");
        let checked = check_replacing(codec, text.as_bytes(), &sites, |n, site| {
            let source = codec.encode(value.as_bytes(), site.context, 0)?.to_vec();
            chosen(mask)(n, site).then_some(source)
        });
        prop_assert!(checked.is_ok(), "{checked:?}\n{}", text.escape_debug());
    }
}

/// The control: each way in which the codec could be wrong is found by the check.
#[test]
fn the_check_finds_a_wrong_span_in_xml() {
    let text = b"<c><user a='b'> bob </user><!-- <p>x</p> --><p>hunter2</p></c>";
    let codec = CodecId::Xml.codec();
    let right = codec.scan(text).unwrap();
    let check =
        |sites: &[Site]| check_replacing(codec, text, sites, |_, site| Some(token(codec, site)));
    assert_eq!(check(&right), Ok(4));
    let spoilt: [fn(&mut Vec<Site>); 7] = [
        |sites| sites[1].span = sites[1].span.shifted(1),
        |sites| sites[0].span = Span::new(sites[0].span.start - 1, sites[0].span.end + 1),
        |sites| sites[1].span = Span::new(sites[1].span.start - 1, sites[1].span.end + 1),
        |sites| sites[3].span = Span::new(sites[3].span.start + 1, sites[3].span.end - 1),
        |sites| sites[1].path = sites[0].path.clone(),
        |sites| sites[2].context = Context::ORDINARY,
        |sites| _ = sites.pop(),
    ];
    for (n, spoil) in spoilt.iter().enumerate() {
        let mut wrong = right.clone();
        spoil(&mut wrong);
        assert!(check(&wrong).is_err(), "spoilt in way {n}");
    }
}
