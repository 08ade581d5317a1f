//! `open(seal(x)) == x`, whatever `x` is.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::document::inspect;

/// Values of each kind, odd spellings among them.
fn toml_value() -> impl Strategy<Value = String> {
    let odd = select(vec![
        r#""""#,
        r#""a\"b\u00e9 # c = 1""#,
        "'it\"s'",
        "\"\"\"m\nl # a = 'x'\n\"\"\"",
        "'''q'\n[x]\n'''",
        "-0",
        "0xDEAD_beef",
        "1e5",
        "-inf",
        "true",
        "1979-05-27 07:32:00Z",
        "07:32:00",
        "\"\u{e9}\u{1f600}\"",
        "\"ENC:x\"",
        "\"enc::v1::gAAAAAx\"",
        "\"gAAAAAx\"",
        "'a ENC:v1:630dcd29:AAAA b'",
        "\"postgres://app:hunter22222@db/shop\"",
        "[ 'PASSWORD=hunter22222', \"x\", # password = \"x\"\n ]",
        "{ name = \"DB_PASSWORD\", value = 'hunter33333' }",
    ]);
    prop_oneof![
        odd.prop_map(str::to_owned),
        "[a-z0-9 ]{0,20}".prop_map(|text| format!("\"{text}\"")),
        any::<i64>().prop_map(|number| number.to_string()),
    ]
}

fn json_value() -> impl Strategy<Value = String> {
    let odd = select(vec![
        r#""""#,
        r#""a\"b\u00e9 // \/* c""#,
        r#""\ud800""#,
        r#""\u0045NC:v1:x""#,
        "-1.5e+3",
        "true",
        "null",
        "\"\u{e9}\u{1f600}\"",
        "\"ENC:x\"",
        "\"\\u0065nc::v1::x\"",
        "\"gAAAAAx\"",
        "\"tab\there\"",
        "\"postgres://app:hunter22222@db/shop\"",
        "\"postgres:\\/\\/app:hunter22222@db\\/shop\"",
        "[ \"PASSWORD=hunter22222\", /* \"password\": \"x\", */ {} ]",
        "{ \"name\": \"DB_PASSWORD\", \"value\": \"hunter33333\" }",
    ]);
    prop_oneof![
        odd.prop_map(str::to_owned),
        "[a-z0-9 ]{0,20}".prop_map(|text| format!("\"{text}\"")),
        any::<i64>().prop_map(|number| number.to_string()),
    ]
}

fn dotenv_value() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "",
        "'x y' ",
        "\"a\\\"b\nc\" # note",
        "`x\ny`",
        "a b#c # d=1 # e='x'",
        "#x",
        "'a'b",
        "\u{e9}\u{1f600}",
        "ENC:x",
        "enc::v1::x",
        "'gAAAAAx' # gAAAAAx",
        "a\\",
        "postgres://app:hunter22222@db/shop",
        "x # PASSWORD=old",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), "[ -~]{0,20}"]
}

fn key_name() -> impl Strategy<Value = &'static str> {
    select(vec!["password", "port", "api_key", "note", "url"])
}

/// A byte order mark or none, either line ending, a last one or none.
fn finished(text: String, (bom, crlf, last): (bool, bool, bool)) -> String {
    let mut text = if bom { format!("\u{feff}{text}") } else { text };
    if last {
        text.push('\n');
    }
    if crlf { text.replace('\n', "\r\n") } else { text }
}

pub(super) fn document() -> impl Strategy<Value = (&'static str, String)> {
    let comment = || {
        select(vec![
            "",
            "# prose",
            "# password = \"old-secret\"",
            "# password = old # x",
            "#",
            "# a=ENC:v1:b",
        ])
    };
    let toml =
        prop::collection::vec((key_name(), toml_value(), comment()), 0..6).prop_map(|lines| {
            let lines = lines.iter().enumerate();
            let line = |(n, (key, value, note)): (usize, &(&str, String, &str))| {
                format!("{key}_{n} = {value} {note}\n[t{n}.{key}]\n{note}")
            };
            lines.map(line).collect::<Vec<_>>().join("\n")
        });
    let gap = || select(vec!["", " ", "\n", "// \"password\": \"old-secret\",\n", "/* prose */"]);
    let json =
        prop::collection::vec((gap(), key_name(), json_value(), gap()), 0..6).prop_map(|all| {
            // Keys may well be repeated.
            let members = all.iter().map(|(a, key, value, b)| format!("{a}\"{key}\": {value}{b}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        });
    let dotenv = prop::collection::vec(
        (select(vec!["", "export ", "# ", "#"]), key_name(), dotenv_value()),
        0..6,
    )
    .prop_map(|lines| {
        let line = |(front, key, value): &(&str, &str, String)| {
            format!("{front}{}={value}", key.to_uppercase())
        };
        lines.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    let finish = any::<(bool, bool, bool)>();
    (
        prop_oneof![
            toml.prop_map(|text| ("x.toml", text)),
            json.prop_map(|text| ("x.json", text)),
            dotenv.prop_map(|text| ("x.env", text)),
        ],
        finish,
    )
        .prop_map(|((file, text), finish)| (file, finished(text, finish)))
}

fn returns(
    sealing: &Sealing,
    file: &str,
    view: &[u8],
    existing: Existing,
) -> Result<(), TestCaseError> {
    let file = path(file);
    let sealed = sealing.seal(&file, view, &[], existing);
    let opened = sealing.open(&file, &sealed.stored);
    let opened = opened.map_err(|error| {
        TestCaseError::fail(format!("{error}\n{}", sealed.stored.escape_ascii()))
    })?;
    prop_assert_eq!(opened.view.escape_ascii().to_string(), view.escape_ascii().to_string());
    prop_assert_eq!(opened.form, sealed.form);
    // And a second time, with the tokens of the first, nothing changes in the store.
    let again = sealing.seal(&file, view, &[&sealed.stock], existing);
    prop_assert_eq!(&again.stored, &sealed.stored);
    let again = sealing.seal(&file, view, &[&opened.stock], existing);
    prop_assert_eq!(&again.stored, &sealed.stored);
    // Someone without a key sees nothing in the clear that should not be.
    let seen = inspect(&sealing.policy, &sealing.ledger, &file, &sealed.stored);
    prop_assert!(!seen.is_exposed() || sealed.form == Form::Plain, "{:?}", seen);
    prop_assert!(seen.fields.iter().all(|field| !field.is_exposed()), "{:?}", seen);
    prop_assert_eq!(seen.keys().count() > 0, !sealed.stock.is_empty());
    // Under the next key it is the same document.
    let next = under(2, &[1], sealing.policy.clone());
    let rewrapped = next.rewrap(&file, &sealed.stored, false).unwrap();
    prop_assert_eq!(rewrapped.tokens, tokens(&sealed.stock).len());
    let stored = rewrapped.stored.as_deref().unwrap_or(&sealed.stored);
    let alone = under(2, &[], sealing.policy.clone());
    prop_assert_eq!(&alone.open(&file, stored).unwrap().view, &opened.view);
    Ok(())
}

const CLASSES: &str = "[[file]]\npath = \"*.plain\"\nseal = \"none\"\n";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_document_comes_back_to_the_byte((file, view) in document()) {
        for sealing in [builtin(), everything()] {
            returns(&sealing, file, view.as_bytes(), Existing::Sealed)?;
        }
    }

    #[test]
    fn any_bytes_come_back_whatever_the_class(
        front in select(vec!["", "ENC:", "ENC:file:", "ENC:file:v1:", "ENC:v1:", "A=", "\"", "# "]),
        bytes in prop::collection::vec(
            prop_oneof![select(b"\"'`#=:,[]{}/*\\\n\r .-\t0aENC:v1".to_vec()), any::<u8>()], 0..60),
        plain: bool,
    ) {
        let sealing = ruled(CLASSES);
        let view = [front.as_bytes(), &bytes].concat();
        let existing = if plain { Existing::Plain } else { Existing::Sealed };
        for file in ["x.toml", "x.json", "x.env", "id_rsa", "x.plain", "unknown"] {
            returns(&sealing, file, &view, existing)?;
            returns(&everything(), file, &view, existing)?;
        }
    }
}

#[test]
fn what_begins_like_a_whole_file_goes_whole_under_every_class() {
    let sealing = ruled(CLASSES);
    for front in ["ENC:file:", "ENC:file:v1:", "ENC:file:v1:630dcd29:\nAAAA\n", "ENC:file:v9:x"] {
        for file in ["x.toml", "x.json", "x.env", "id_rsa", "x.plain", "unknown"] {
            for existing in [Existing::Sealed, Existing::Plain] {
                let view = format!("{front}\nA=1\n");
                let sealed = sealing.seal(&path(file), view.as_bytes(), &[], existing);
                assert_eq!(sealed.form, Form::Whole, "{file}: {view}");
                assert_eq!(sealing.view(file, &sealed.stored), view);
            }
        }
    }
}
