//! Generated HCL, valid and mutated: it scans or is refused, never a panic, and what scans can be
//! sealed in any part. `hcl-edit` reads the same; and the control: a wrong span is found.

use confseal::format::{CodecId, Site};
use confseal::span::{Edit, Span, splice};
use hcl_edit::Span as _;
use hcl_edit::expr::Expression;
use hcl_edit::structure::Body;
use hcl_edit::visit::{Visit, visit_expr, visit_object_item};
use proptest::prelude::*;
use proptest::sample::select;

use super::properties::{chosen, mutate, sealed};
use super::shape::{check_replacing, check_seals, token};

fn scalar() -> impl Strategy<Value = String> {
    select(vec![
        "\"x\"",
        "\"\"",
        "\"a\\\"b\\u00e9 # c = 1\"",
        "1",
        "-1.5e3",
        "true",
        "null",
        "\"\u{e9}\u{1f600}\"",
        "\"ENC:x\"",
        "\"${var.x}\"",
        "\"a-${f(\"}\", \"# b = 1\")}-$${c}\"",
        "\"%{ if x }y%{ endif }\"",
        "\"postgres://u:p@${var.h}/d\"",
    ])
    .prop_map(str::to_owned)
}

fn comment() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "# password = \"x\"",
            "//password=\"x\" # note",
            "## a = 1 # b = two // c = \"3\"",
            "#",
            "# prose",
            "# password = hunter2 ",
            "# a = it's # \u{e9}",
            "# a = [\"x\", { b = \"y\" }],",
            "# a = <<EOT",
            "# block \"l\" { a = \"x\" }",
            "# \"a\" : \"x\",",
            "# a = f(\"x\") + 2",
            "# a = ENC:v1:x",
            "# a = \"x\" y",
            "# a = { b = \"c\"",
            "# a = var.b",
            "# a = (",
            "# a = \"${",
            "# a = \"b\" ? \"c\"",
        ])
        .prop_map(str::to_owned),
        "#[#ab =\"'\\[\\]{}(),.1\\\\$?:]{0,16}",
    ]
}

fn block_comment() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "/* a = \"x\" */",
            "/*\n * a = 1\n * b = two words\n **/",
            "/**/",
            "/* \"a\" = \"b\", */"
        ])
        .prop_map(str::to_owned),
        "[a =\"\n,.1]{0,12}".prop_map(|text| format!("/*{text}*/")),
    ]
}

/// A value on one line, or in brackets on several.
fn expression() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 16, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..4);
        let key =
            select(vec!["a", "\"b c\"", "name", "key", "value", "(var.k)", "\"${x}\"", "password"]);
        let items =
            prop::collection::vec((key, select(vec![" = ", ": ", "="]), inner.clone()), 0..4);
        prop_oneof![
            (list(), block_comment())
                .prop_map(|(list, note)| format!("[{} {note}]", list.join(", "))),
            (list(), comment()).prop_map(|(list, note)| {
                let lines: String =
                    list.iter().map(|value| format!("\n {value}, {note}")).collect();
                format!("[{lines}\n {note}\n]")
            }),
            (items, comment(), select(vec![",\n", "\n", ", # n = \"1\"\n"])).prop_map(
                |(items, note, end)| {
                    let mut seen = Vec::new();
                    let mut lines = String::new();
                    for (key, sign, value) in items {
                        if !seen.contains(&key) {
                            seen.push(key);
                            lines += &format!("  {key}{sign}{value}{end}");
                        }
                    }
                    format!("{{ {note}\n{lines}}}")
                }
            ),
            (list(), select(vec!["f", "a::b", "coalesce"]))
                .prop_map(|(list, f)| format!("{f}({})", list.join(",\n "))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("var.x == {a} ? {b} : {a}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + -{b})")),
            inner.clone().prop_map(|a| format!("[for k, v in {a} : v if v != {a}]")),
            inner.clone().prop_map(|a| format!("{{for k in {a} : k => {a}...}}")),
            Just("var.a[\"b\"].c[*].d[0].*.e".to_owned()),
            Just("!local.x".to_owned()),
        ]
    })
}

fn heredoc() -> impl Strategy<Value = String> {
    select(vec![
        "<<EOT\nx # a = 1\nEOT",
        "<<-E\n    ${f(\"}\")} \"\n  y\n    E",
        "<<E\nE",
        "<<E1\nE\n  E1x\nE1",
    ])
    .prop_map(str::to_owned)
}

fn structure() -> impl Strategy<Value = String> {
    let attribute = prop_oneof![
        6 => (select(vec!["a@", "password", "name", "value", "b-c@"]), expression())
            .prop_map(|(key, value)| format!("{key} = {value}")),
        1 => heredoc().prop_map(|value| format!("h@ = {value}")),
        1 => heredoc().prop_map(|value| format!("h@ = [{value}\n, 1]")),
    ];
    let line = prop_oneof![
        4 => (attribute, prop_oneof![Just(String::new()), comment()]).prop_map(|(a, note)| {
            if a.contains("<<") { a } else { format!("{a} {note}") }
        }),
        2 => comment(),
        1 => block_comment(),
        1 => Just(String::new()),
        1 => scalar().prop_map(|value| format!("one@ {{ a = {value} }}")),
    ];
    line.prop_recursive(3, 16, 4, |inner| {
        let header = select(vec!["env", "resource \"a b\" c", "x \"y\"", "set"]);
        (header, prop::collection::vec(inner, 0..4))
            .prop_map(|(header, lines)| format!("{header} {{\n{}\n}}", lines.join("\n")))
    })
}

fn document() -> impl Strategy<Value = String> {
    (prop::collection::vec(structure(), 0..6), any::<(bool, bool, bool)>()).prop_map(
        |(lines, (bom, crlf, last))| {
            let mut text = lines.join("\n");
            let mut n = 0;
            while text.contains('@') {
                text = text.replacen('@', &format!("_{n}_"), 1);
                n += 1;
            }
            text = text.replace("_:__", "://u:p@");
            if last {
                text.push('\n');
            }
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            format!("{}{text}", if bom { "\u{feff}" } else { "" })
        },
    )
}

fn telling_byte() -> impl Strategy<Value = u8> {
    prop_oneof![select(b"\"#/*=:,[]{}()<$%\\\n\r .-?!a0E".to_vec()), any::<u8>()]
}

/// Where `hcl-edit` sees strings, templates and heredocs that are values.
struct Strings(Vec<Span>);

impl Visit for Strings {
    fn visit_expr(&mut self, expression: &Expression) {
        match expression {
            Expression::String(_)
            | Expression::StringTemplate(_)
            | Expression::HeredocTemplate(_) => {
                let span = expression.span().expect("it was parsed");
                self.0.push(Span::new(span.start, span.end));
            }
            // What selects is a key.
            Expression::Traversal(traversal) => self.visit_expr(&traversal.expr),
            _ => visit_expr(self, expression),
        }
    }

    fn visit_object_item(
        &mut self,
        key: &hcl_edit::expr::ObjectKey,
        value: &hcl_edit::expr::ObjectValue,
    ) {
        let before = self.0.len();
        visit_object_item(self, key, value);
        // Keys come first, and hold no values.
        let mut of_value = Strings(Vec::new());
        of_value.visit_expr(value.expr());
        self.0.truncate(before);
        self.0.append(&mut of_value.0);
    }
}

/// What `hcl-edit` sees, if it reads the text: it takes no name twice, and reads an empty heredoc on
/// to the next marker.
fn strings_by_hcl_edit(text: &str) -> Option<Vec<Span>> {
    if text.contains("<<E\nE") || text.contains("<<E\r\nE") {
        return None;
    }
    let body: Body = hcl_edit::parser::parse_body(text).ok()?;
    let mut strings = Strings(Vec::new());
    strings.visit_body(&body);
    Some(strings.0)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_part_of_an_hcl_document_can_be_sealed(text in document(), mask: u64) {
        prop_assert!(sealed(CodecId::Hcl.codec(), text.as_bytes(), mask)?.is_some(), "{text}");
    }

    #[test]
    fn names_too_can_be_sealed(text in document()) {
        let checked = check_seals(CodecId::Hcl.codec(), text.as_bytes(), |_, _| true);
        prop_assert!(checked.is_ok(), "{checked:?}\n{}", text.escape_debug());
    }

    #[test]
    fn a_mutated_hcl_document_is_refused_or_can_be_sealed(
        text in document(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, telling_byte()), 1..6),
        mask: u64,
    ) {
        sealed(CodecId::Hcl.codec(), &mutate(&text, &changes), mask)?;
    }

    #[test]
    fn hcl_edit_sees_the_same_strings(text in document()) {
        let text = text.trim_start_matches('\u{feff}').replace("password =", "p =");
        let Some(wanted) = strings_by_hcl_edit(&text) else { return Ok(()) };
        let sites = CodecId::Hcl.codec().scan(text.as_bytes());
        prop_assert!(sites.is_ok(), "{sites:?}\n{}", text.escape_debug());
        let found: Vec<Span> = sites
            .unwrap()
            .iter()
            .filter(|site| site.context.0 == 0)
            .map(|site| site.span)
            .filter(|span| text[span.start..].starts_with(['"', '<']))
            .collect();
        prop_assert_eq!(found, wanted, "{}", text.escape_debug());
    }

    #[test]
    fn hcl_edit_reads_what_was_sealed(text in document()) {
        let text = text.trim_start_matches('\u{feff}');
        let Some(before) = strings_by_hcl_edit(text) else { return Ok(()) };
        let codec = CodecId::Hcl.codec();
        let sites = codec.scan(text.as_bytes()).unwrap();
        let edits: Vec<_> =
            sites.iter().map(|site| Edit { span: site.span, text: token(codec, site) }).collect();
        let sealed = String::from_utf8(splice(text.as_bytes(), &edits).0).unwrap();
        let after = strings_by_hcl_edit(&sealed);
        prop_assert!(after.is_some_and(|after| after.len() >= before.len()), "{sealed}");
    }

    #[test]
    fn an_encoded_value_decodes_and_stays_in_its_place_in_hcl(
        text in document(),
        value in prop_oneof!["[ -~]{0,12}", ".{0,12}", "[*/\"`$%{}\\\\\r\n\u{e9}#]{0,8}"],
        mask: u64,
    ) {
        let codec = CodecId::Hcl.codec();
        let Ok(sites) = codec.scan(text.as_bytes()) else { return Ok(()) };
        let value = format!("ENC:{value}");
        let checked = check_replacing(codec, text.as_bytes(), &sites, |n, site| {
            let source = codec.encode(value.as_bytes(), site.context, 0)?.to_vec();
            assert_eq!(&codec.decode(&source, site.context).unwrap()[..], value.as_bytes());
            chosen(mask)(n, site).then_some(source)
        });
        prop_assert!(checked.is_ok(), "{checked:?}\n{}", text.escape_debug());
    }
}

/// The control: each way in which the codec could be wrong is found by the check.
#[test]
fn the_check_finds_a_wrong_span_in_hcl() {
    let text = b"a = [\"x\", 1] # p = \"z\"\nb \"c\" {\n d = <<E\nhunter2\nE\n}\n";
    let codec = CodecId::Hcl.codec();
    let right = codec.scan(text).unwrap();
    let check =
        |sites: &[Site]| check_replacing(codec, text, sites, |_, site| Some(token(codec, site)));
    assert_eq!(check(&right), Ok(4));
    let spoilt: [fn(&mut Vec<Site>); 6] = [
        |sites| sites[0].span = sites[0].span.shifted(1),
        |sites| sites[0].span = Span::new(sites[0].span.start + 1, sites[0].span.end - 1),
        |sites| sites[3].span = Span::new(sites[3].span.start, sites[3].span.end + 1),
        |sites| sites[2].context = confseal::format::Context::ORDINARY,
        |sites| sites[1].path = sites[2].path.clone(),
        |sites| _ = sites.pop(),
    ];
    for (n, spoil) in spoilt.iter().enumerate() {
        let mut wrong = right.clone();
        spoil(&mut wrong);
        assert!(check(&wrong).is_err(), "spoilt in way {n}");
    }
}

/// The other control: most of what is generated is read by both.
#[test]
fn hcl_edit_reads_most_of_what_is_generated() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let read = (0..200)
        .filter(|_| {
            let text = document().new_tree(&mut runner).unwrap().current();
            let text = text.trim_start_matches('\u{feff}').replace("password =", "p =");
            strings_by_hcl_edit(&text).is_some()
        })
        .count();
    assert!(read > 100, "{read} of 200");
}
