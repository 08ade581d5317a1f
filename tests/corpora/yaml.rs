//! Generated YAML, as people and programs write it.

use proptest::prelude::*;
use proptest::sample::select;

/// Lines that stand in one place, indented alike.
type Lines = Vec<String>;

/// A scalar or a flow collection: what stands behind `key:`, and the lines below it.
fn inline() -> impl Strategy<Value = Lines> {
    let single = select(vec![
        "x",
        "it's so",
        "\"a\\\"b\\u00e9 # c: 1\"",
        "'it''s # so'",
        "\"\"",
        "''",
        "0x1F",
        "-1.5e3",
        "~",
        "true",
        "2001-12-14t21:59:43.10-05:00",
        "\u{e9}\u{1f600}",
        "\"ENC:x\"",
        "http://u:p@h/#a",
        "a#b",
        "- x",
        "-x",
        "!!str 5",
        "!vault 'x'",
        "&anchor@ x",
        "&anchor@ !!str \"x\"",
        "*base",
        "*word",
        "{a: x, 'b': [1, \"two\"], c, \"d\":'e', ? f : g}",
        "[x, {name: N, value: 'v'}, [y], k: z, *word]",
        "[]",
        "{}",
        "",
    ])
    .prop_map(|text| vec![text.to_owned()]);
    let several = select(vec![
        "|\n  a\n\n   # b: 'x'\n  c: d",
        "|2-\n     x\n    y",
        "|1\n   x",
        ">+ # note: x\n  a\n  b\n\n",
        ">\n\n   a\n  \n   b\n",
        "!!binary |\n  aGVsbG8=\n  aGVsbG8=",
        "!vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6638",
        "|-",
        "|+\n\n",
        "plain\n  goes on\n\n  and on",
        "\"quoted\n   goes \\\n  on # not: x\"",
        "'quoted\n\n  on'",
        "[ x, # a: b\n  # \"c\": 'd',\n  y,\n  ]",
        "{ a: x, # b: c\n  # d: \"e\",\n  f: [1,\n  2] }",
        "\n  below",
        "# a: x\n  below",
        "&anchor@ |\n  x",
        "!!str\n  &anchor@\n  below",
    ])
    .prop_map(|text| text.split('\n').map(str::to_owned).collect());
    prop_oneof![3 => single, 2 => several]
}

fn comment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec![
            "#password: x",
            "# password: \"x\"  # note: y",
            "## password: 'x'",
            "#",
            "#    password: x",
            "# a: 1 # b: two # c: '3'",
            "# - name: N",
            "#   value: \"v\"",
            "# - PASSWORD=x",
            "# - a list of words",
            "# db:",
            "#   password: it's",
            "#   - x",
            "# key: |",
            "#   line: one",
            "#",
            "#   two",
            "# key: \"not closed",
            "# key: [1, 'two', {name: N, x: 3}] # d: 4",
            "# key: [1,",
            "#   2]",
            "# key: {",
            "# Note: see http://u:p@h/",
            "# just prose, and more: prose",
            "# 'a b': x, # c",
            "# key: \"x\",",
            "# key: 'x' y",
            "# name: *alias",
            "# key: >-  # x",
        ])
        .prop_map(str::to_owned),
        1 => "#[#ab:\"'\\[\\]{},|>1 -]{0,16}",
    ]
}

fn key() -> impl Strategy<Value = &'static str> {
    select(vec![
        "k@",
        "name",
        "key",
        "value",
        "Name",
        "password",
        "'a b'",
        "\"q\\u00e9\"",
        "? k@",
        "&key@ k@",
        "*word ",
        "[a, b]",
        "!!str k@",
        "<<",
        "kind",
        "data",
        "\u{e9}",
    ])
}

fn indented(by: usize, lines: impl IntoIterator<Item = String>) -> Lines {
    lines.into_iter().map(|line| " ".repeat(by) + &line).collect()
}

/// `lines` behind `front`, on its line.
fn behind(front: &str, lines: Lines) -> Lines {
    let mut lines = lines.into_iter();
    let first = lines.next().unwrap_or_default();
    std::iter::once(format!("{front}{first}")).chain(lines).collect()
}

/// A block collection.
fn block() -> impl Strategy<Value = Lines> {
    let entry = |value: Lines, key: &str, note: Option<String>| {
        let simple = value.len() == 1 && !value[0].starts_with('#');
        let mut lines = match key.strip_prefix("? ") {
            Some(key) => {
                let mut lines = vec![format!("? {key}")];
                lines.extend(behind(": ", value));
                lines
            }
            None => behind(&format!("{key}: "), value),
        };
        match note {
            Some(note) if simple => lines[0] += &format!(" {note}"),
            Some(note) => lines.push(note),
            None => {}
        }
        lines
    };
    let note = || prop::option::weighted(0.4, comment());
    let leaf =
        (inline(), key(), note()).prop_map(move |(value, key, note)| entry(value, key, note));
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let some = prop::collection::vec(inner.clone(), 1..4);
        let below =
            (some.clone(), key(), note(), 1..4usize).prop_map(|(entries, key, note, by)| {
                let key = key.trim_start_matches("? ");
                let mut lines = vec![format!("{key}: {}", note.unwrap_or_default())];
                lines.extend(indented(by, entries.concat()));
                lines
            });
        let item = prop_oneof![
            inline().prop_map(|lines| behind("- ", lines)),
            some.clone()
                .prop_map(|entries| {
                    behind("- ", indented(2, entries.concat())).into_iter().collect::<Vec<_>>()
                })
                .prop_map(|mut lines| {
                    // The first entry stands behind the dash.
                    lines[0] = lines[0].replacen("-   ", "- ", 1);
                    lines
                }),
            comment().prop_map(|note| vec![note]),
            inline().prop_map(|lines| behind("- - ", lines)),
        ];
        let list =
            (prop::collection::vec(item, 1..4), key(), 0..3usize).prop_map(|(items, key, by)| {
                let key = key.trim_start_matches("? ");
                let mut lines = vec![format!("{key}:")];
                lines.extend(indented(by, items.concat()));
                lines
            });
        let noted = (comment(), 0..4usize, some).prop_map(|(note, by, entries)| {
            let mut lines = indented(by, [note]);
            lines.extend(entries.concat());
            lines
        });
        prop_oneof![below, list, noted, inner]
    })
}

/// A stream of documents. What is generated may be no YAML: a value may not fit where it stands.
pub fn yaml() -> impl Strategy<Value = String> {
    let document = (prop::collection::vec(block(), 0..5), select(vec!["", "---", "%YAML 1.2\n---", "--- # x: y"]))
        .prop_map(|(entries, start)| {
            let head = "base: &base\n  user: &word bob\n  password: \"x\"\n  name: N\nlist:\n- &item {name: I, value: x}\n- *item";
            let mut lines = vec![start.to_owned(), head.to_owned()];
            lines.extend(entries.concat());
            lines.join("\n")
        });
    let root = inline().prop_map(|lines| behind("--- ", lines).join("\n"));
    (
        prop::collection::vec(prop_oneof![4 => document, 1 => root], 1..3),
        any::<(bool, bool, bool)>(),
    )
        .prop_map(|(documents, (bom, crlf, last))| {
            let joined = documents.join("\n...\n");
            let mut text = if bom { "\u{feff}" } else { "" }.to_owned();
            for (n, part) in joined.split('@').enumerate() {
                if n > 0 {
                    text += &n.to_string();
                }
                text += part;
            }
            text += if last { "\n" } else { "" };
            if crlf { text.replace('\n', "\r\n") } else { text }
        })
}
