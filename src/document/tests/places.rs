//! A sealed value opens in its place, as one value, or not at all.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::document::{Cause, ValueError, field_value};
use crate::format::{Format, Scanned, Site};
use crate::span::{Edit, splice};
use crate::token::TokenError;

/// A document with one token in it, and the same with harmless neighbours changed to nothing.
const PLACES: &[(&str, &str)] = &[
    ("x.toml", "a = 1\nf = \"T0\" # z = 'n'\nb = '2'\n"),
    ("x.toml", "a = 1\n# f = \"T0\"\nb = '2'\n"),
    ("x.toml", "a = 1\n# f = \"T0\", # z = 2\n"),
    ("x.toml", "a = { f = 0, b = [1] }\nf = \"T0\""),
    ("x.json", "{\"a\": 1, \"f\": \"T0\", /* \"z\": 1 */ \"b\": [true]}"),
    ("x.json", "{\"a\": 1, // \"f\": \"T0\", \"z\": 1\n \"b\": [true]}"),
    ("x.json", "{\"a\": 1, /* \"f\": \"T0\", \"z\": 1 */ \"b\": [true]}"),
    ("x.json5", "{a: 1, f: \"T0\", // z: 'x',\n 'b': [+1]}"),
    ("x.json5", "{a: 1, // f: \"T0\", z: 'x'\n 'b': [+1]}"),
    ("x.yaml", "a: 1\nf: \"T0\"\nb: '2'\n"),
    ("x.yaml", "f: \"T0\" # z: n\nb: 2"),
    ("x.yaml", "a: [1, {f: 0}]\nf: !!str &x \"T0\"\nb: *x\n"),
    ("x.yaml", "{a: 1, f: \"T0\", b: [x]}\n"),
    ("x.yaml", "a: |\n  x: y\nf: \"T0\"\n# z: 1\nb: |2\n    x\n"),
    ("x.yaml", "f:\n\n  \"T0\"\nb: >+\n  x\n\n"),
    ("x.yaml", "? f\n: \"T0\"\n? - b\n: - x\n"),
    ("x.yaml", "a: 1\n# f: \"T0\"\nb: 2\n"),
    ("x.yaml", "a: 1\n# f: \"T0\"  # z: 2\n#   z: it's\nb: 2\n"),
    ("x.yaml", "a: 1 # f: \"T0\" # z: n\nb: 2\n"),
    ("x.yaml", "a: 1\n---\nf: \"T0\"\n--- \nb: 2\n"),
    ("x.yaml", "a: {b: [\n  1, # z: 3\n ]}\nf:\n  \"T0\""),
    ("x.env", "A=1\nf=T0 # z=3\nB='2'\n"),
    ("x.env", "A=1\n# f=T0\nB='2'\n"),
    ("x.ini", "a = 1\nf = T0\nb = '2'\n"),
    ("x.ini", "a = 1\n;f=T0\nb : 2\r\n[s]\nb=3\n"),
    ("x.nmconnection", "f=T0"),
    ("x.nmconnection", "a=1\n#f = T0\nb\n"),
    (".gitconfig", "f = T0 ; z = 'n'\n\tb = \"2\"\n"),
    (".gitconfig", "f = T0"),
    (".gitconfig", "a=1\n# f = T0 # z\nb = 2\n"),
    ("x.service", "a=1\nf=T0\n# z=1\nb=2\n"),
    ("x.service", "a=1\n#f=T0\nEnvironment=A=1 'B=2'\n"),
    ("my.cnf", "# f=T0 # z=1\n[x]\nb=\"2 # 3\"\n"),
    ("php.ini", "a = \"1\n\"\nf = T0 ; z\nb = E_ALL & ~E_NOTICE\n"),
    ("php.ini", ";f = T0 ; z = 1\nb[] = 2\n"),
    ("grafana.ini", "a = 1\nf = T0\nb = \"\"\"2\n\"\"\"\n"),
    ("grafana.ini", "a = 1\nf = T0 ; z = 1\nb = 2\n"),
    ("grafana.ini", "a = 1\n;f = T0\nb = `2`\n"),
    (".pypirc", "# f = T0\n[x]\na=1\nb =\n  1\n  2\n"),
    ("x.properties", "a=1\nf = T0\nb : 2\n"),
    ("x.properties", "a=1\n#f=T0\nb 2\n"),
    ("redis.conf", "a 1\nf T0\nb 'x y'\n"),
    ("redis.conf", "user f on >p1 ~*\nf T0\n"),
    ("sshd_config", "Port 1\nf T0 # a 1\nUser b\n"),
    ("postgresql.conf", "a = 1\nf = 'T0' # b = 2\nc 'x'\n"),
    ("postgresql.conf", "a = 1\n#f = 'T0' # b = 2\nc 'x'\n"),
    ("nginx.conf", "a 1; f T0; b 'x';# c 2;\n"),
    ("nginx.conf", "a 1;\n# f T0; b x;\nc 2;"),
    ("nginx.conf", "a 1; /* f T0; b x; */ c 2;"),
    ("x.conf", "a 1\nf T0\nb password x\n"),
    ("x.xml", "<f a='1'>\n T0\n</f>"),
    ("x.xml", "<f><!-- z --><b/>T0<b a='n'/>t</f>"),
    ("x.xml", "<!-- <f>T0</f> <b>2</b> --><c>1</c>"),
    ("x.xml", "<r f=\"T0\" b='2'><c>1</c></r>"),
    ("x.xml", "<r b='2' f='T0'/>"),
    ("x.xml", "<!-- <r f=\"T0\" b='2'/> --><c>1</c>"),
    ("x.xml", "<!-- <r f = 'T0'><c>1</c> --><c/>"),
    ("x.tf", "a = 1\nf = \"T0\" # z = 'n'\nb = \"2\"\n"),
    ("x.tf", "a = [g(1, \"n\"), 2]\nf = upper(\"T0\")\nb = <<E\n2\nE\n"),
    ("x.tf", "a = 1\n# f = \"T0\"\nb = \"2\"\n"),
    ("x.tf", "a = 1\n// f = \"T0\", # z = 2\n"),
    ("x.tf", "/* f = \"T0\" # z = 1 */ b = true\n"),
    ("x.tf", "a = 1 /*\n * f = \"T0\"\n * z = 1 */\n"),
    ("x.tfvars", "a = { b = 1 }\nf = \"T0\"\nb = <<-E\n  ${1}\n  E\n"),
    ("x.hcl", "f = \"T0\""),
    ("x.hcl", "a = <<E\n1\nE\n# f = \"T0\"\n"),
];

/// The field whose token stands in a text of [`PLACES`]: an attribute has an element around it.
fn the_field(text: &str) -> FieldPath {
    field(if text.contains("<r ") { "r.f" } else { "f" })
}

/// A text that can be read as what its name says.
fn scan(file: &str, text: &[u8]) -> Scanned {
    Format::by_file_name(file.as_bytes()).unwrap().scan(text).expect("it can be read")
}

/// What a program sees but for the one field.
fn others(file: &str, view: &[u8], field: &FieldPath) -> Vec<(String, u8, Vec<u8>)> {
    let sites = scan(file, view).sites;
    let others = sites.iter().filter(|site| site.path != *field);
    others
        .map(|site| (site.path.to_string(), site.context.0, site.span.of(view).to_vec()))
        .collect()
}

/// Whether `token` may stand there at all: a comment in XML holds no two hyphens.
fn takes(file: &str, text: &str, token: &str) -> bool {
    let Scanned { id, sites } = scan(file, text.as_bytes());
    let site = sites.iter().find(|site| site.path == the_field(text)).expect("a site");
    id.codec().takes(token, site.context)
}

/// A token with `value`, made by hand for this place.
fn by_hand(sealing: &Sealing, file: &str, text: &str, value: &[u8]) -> String {
    let seal = || sealing.seal_value(&path(file), &the_field(text), value, Binding::Field);
    std::iter::repeat_with(seal).find(|token| takes(file, text, token)).expect("one that fits")
}

/// Opens the text with `token` in its place: an error, or one field holds `value`, the others as
/// they were.
fn stays_in_place(
    sealing: &Sealing,
    file: &str,
    text: &str,
    token: &str,
    value: &[u8],
) -> Result<bool, TestCaseError> {
    let field = the_field(text);
    let stored = with_tokens(text, &[token.to_owned()]);
    let opened = match sealing.open(&path(file), &stored) {
        Ok(opened) => opened,
        Err(error) => {
            prop_assert_eq!(error.cause, Cause::Misplaced);
            prop_assert_eq!(error.field, Some(field.into()));
            return Ok(false);
        }
    };
    let shown = opened.view.escape_ascii().to_string();
    let found = field_value(&sealing.policy, &path(file), &opened.view, &field);
    prop_assert_eq!(
        found.as_deref().map(<[u8]>::escape_ascii).map(|v| v.to_string()),
        Some(value.escape_ascii().to_string()),
        "{}",
        shown
    );
    prop_assert_eq!(others(file, &opened.view, &field), others(file, &stored, &field), "{}", shown);
    // What was opened can be saved.
    let saved = sealing.seal(&path(file), &opened.view, &[&opened.stock], Existing::Sealed);
    prop_assert_eq!(&sealing.open(&path(file), &saved.stored).unwrap().view, &opened.view);
    Ok(true)
}

fn hostile() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "#",
        "]",
        "}",
        "\n",
        "\r\n",
        "\\",
        "\0",
        "*/",
        "//",
        "ENC:v1:x",
        "\"\nadmin = true\n",
        "', evil = '1",
        "\", \"evil\": \"1",
        "x # evil = 1",
        "x\nEVIL=1",
        "*/ \"evil\": 1, /*",
        "$(reboot)",
        "`id`",
        "true",
        "1",
        "null",
        " x ",
        "\u{e9}\u{2028}",
        "x, # evil = 1",
        "[1]",
        "{}",
        "\u{7f}",
        "\u{feff}",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), "[\"'#\\[\\]{}=,:\\\\\n\r*/ a0]{0,8}", ".{0,12}"]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hostile_value_sealed_by_hand_stays_in_its_place(value in hostile()) {
        let sealing = builtin();
        for &(file, text) in PLACES {
            let token = by_hand(&sealing, file, text, value.as_bytes());
            stays_in_place(&sealing, file, text, &token, value.as_bytes())?;
        }
    }

    #[test]
    fn so_do_bytes_that_are_no_text(value in prop::collection::vec(any::<u8>(), 0..12)) {
        let sealing = builtin();
        for &(file, text) in PLACES {
            let token = by_hand(&sealing, file, text, &value);
            stays_in_place(&sealing, file, text, &token, &value)?;
        }
    }

    /// From any place to every other: comment, file, format.
    #[test]
    fn a_token_moved_to_another_place_is_the_same_value_there(
        value in hostile(),
        (from, text) in select(PLACES),
    ) {
        let sealing = ruled("[[file]]\npath = \"*\"\nsecret = [\"f\", \"r.f\"]\n");
        let Scanned { id, sites } = scan(from, text.as_bytes());
        let field = the_field(text);
        let Site { context, span, .. } = *sites.iter().find(|site| site.path == field).unwrap();
        let Some(source) = id.codec().encode(value.as_bytes(), context, 0) else { return Ok(()) };
        let (view, _) = splice(text.as_bytes(), &[Edit { span, text: source }]);
        let sealed = sealing.seal(&path(from), &view, &[], Existing::Sealed);
        if !matches!(sealed.form, Form::Fields(_)) {
            return Ok(());
        }
        let item = sealed.stock.items.iter().find(|item| item.path == field).unwrap();
        let token = item.token.to_string();
        let fits = |(to, text): &(&str, &str)| the_field(text) == field && takes(to, text, &token);
        for (to, text) in PLACES.iter().copied().filter(fits) {
            stays_in_place(&sealing, to, text, &token, value.as_bytes())?;
        }
    }
}

#[test]
fn ordinary_values_do_open_everywhere() {
    let sealing = builtin();
    for value in ["hunter2", "", "it is", "true", "ENC:x"] {
        for &(file, text) in PLACES {
            let token = by_hand(&sealing, file, text, value.as_bytes());
            let opens = stays_in_place(&sealing, file, text, &token, value.as_bytes()).unwrap();
            assert!(opens, "{value} in {text}");
        }
    }
}

#[test]
fn a_token_made_by_hand_may_stand_in_any_comment() {
    let sealing = builtin();
    for _ in 0..200 {
        // Of tokens of this length one in seven would not do.
        let token = sealing.seal_value(&path("x.xml"), &field("a.f"), &[b'x'; 400], Binding::Field);
        assert!(!token.contains("--") && !token.ends_with('-'), "{token}");
    }
    let long = vec![b'x'; 1 << 20];
    let token = sealing.seal_value(&path("x.xml"), &field("a.f"), &long, Binding::Field);
    assert!(token.starts_with("ENC:v1:"));
}

#[test]
fn a_moved_value_leaves_the_spelling_of_its_neighbours_alone() {
    let sealing = everything();
    let stored = sealing.sealed("x.toml", "port = 0x10\nf = 1\n# note = yes\n", &[]).stored;
    let [port, _, note] = &tokens_in(&stored)[..] else { panic!("three tokens") };
    let moved = sealing.seal_value(&path("x.toml"), &field("f"), b"a \"b\"\n", Binding::Field);
    let tokens = [port.clone(), moved, note.clone()];
    let stored = with_tokens("port = \"T0\"\nf = \"T1\"\n# note = \"T2\"\n", &tokens);
    assert_eq!(
        sealing.view("x.toml", &stored),
        "port = 0x10\nf = \"a \\\"b\\\"\\n\"\n# note = yes\n"
    );
}

#[test]
fn an_assignment_commented_out_or_in_by_hand_opens() {
    let sealing = ruled("[[file]]\npath = \"*\"\nsecret = [\"f\"]\n");
    let stored = sealing.sealed("x.toml", "# f = two words\n", &[]).stored;
    let uncommented = String::from_utf8(stored).unwrap().replace("# ", "");
    assert_eq!(sealing.view("x.toml", uncommented.as_bytes()), "f = \"two words\"\n");
    // What stands behind it now would be taken for a part of it.
    let stored = sealing.sealed("x.env", "f='two\nlines'\n", &[]).stored;
    let commented = format!("# {} # b=1\n", String::from_utf8(stored).unwrap().trim_end());
    assert_eq!(sealing.view("x.env", commented.as_bytes()), "# f=\"two\\nlines\" # b=1\n");
}

#[test]
fn a_value_that_would_run_into_its_neighbour_gets_quotes() {
    let sealing = everything();
    let stored = sealing.sealed("x.toml", "port = 0x10\n# f = two words\n", &[]).stored;
    let [port, words] = &tokens_in(&stored)[..] else { panic!("two tokens") };
    let text = "port = \"T0\"\n# f = \"T1\" # z = 2\n";
    let view = "port = 0x10\n# f = \"two words\" # z = 2\n";
    assert_eq!(sealing.view("x.toml", &with_tokens(text, &[port.clone(), words.clone()])), view);
    // From elsewhere; the neighbours, in comments too, stay as they are spelled.
    for value in ["two words", "a, b", "x,#y", "#x", "a #", "[a", "x = 1"] {
        let env =
            sealing.seal(&path("x.env"), format!("f={value}\n").as_bytes(), &[], Existing::Sealed);
        let moved = tokens_in(&env.stored).remove(0);
        let text = "port = \"T0\"\n# f = \"T1\", # z = 2\n# note = \"T2\"\n";
        let note = tokens_in(&sealing.sealed("x.toml", "# note = yes\n", &[]).stored).remove(0);
        let shown = sealing.view("x.toml", &with_tokens(text, &[port.clone(), moved, note]));
        assert!(
            shown.starts_with("port = 0x10\n") && shown.ends_with("\n# note = yes\n"),
            "{shown}"
        );
    }
}

#[test]
fn a_part_follows_its_file_into_another_format() {
    let sealing = builtin();
    let stored = sealing.sealed("x.toml", "url = \"a://u:p'w$d22222@h\"\n", &[]).stored;
    let tokens = tokens_in(&stored);
    let json = with_tokens("{\"url\": \"a://u:T0@h\"}", &tokens);
    assert_eq!(sealing.view("x.json", &json), "{\"url\": \"a://u:p'w$d22222@h\"}");
}

#[test]
fn swapped_and_moved_tokens_are_refused_by_field_line_and_key() {
    let sealing = everything();
    let view = "a = 'one'\nb = 'two'\n[t]\na = 'three'\n";
    let tokens = tokens_in(&sealing.sealed("x.toml", view, &[]).stored);
    let part = {
        let stored = builtin().sealed("x.toml", "c = 'a://u:hunter22222@h'\n", &[]).stored;
        tokens_in(&stored)
    };
    for (text, tokens, name, line, failing) in [
        ("a = 'T1'\nb = 'T0'\n", &tokens, "a", 1, 2),
        ("a = 'T0'\nb = 'T2'\n", &tokens, "b", 2, 1),
        ("\n\n[t]\nx = 'T2'\n", &tokens, "t.x", 4, 1),
        ("c = 'T0'\n", &part, "c", 1, 1),
        ("z = 'xxT0'\n", &part, "z", 1, 1),
        ("a = 'a://T0'\n", &tokens, "a", 1, 1),
    ] {
        for stored in [with_tokens(text, tokens), with_tokens(text, tokens)] {
            let error = sealing.open(&path("x.toml"), &stored).unwrap_err();
            assert_eq!(error.field, Some(field(name).into()), "{text}");
            assert_eq!((error.line, error.failing), (Some(line), failing), "{text}");
            assert_eq!(error.cause, Cause::Token(TokenError::Tampered(key(1).id())));
            assert_eq!(error.key_id(), Some(key(1).id()));
            assert!(sealing.rewrap(&path("x.toml"), &stored, true).is_err());
        }
    }
    let swapped = with_tokens("l = ['T0']\n", &tokens);
    assert!(sealing.open(&path("x.toml"), &swapped).is_err());
}

#[test]
fn the_elements_of_a_list_may_change_places() {
    let sealing = everything();
    let tokens = tokens_in(&sealing.sealed("x.toml", "l = ['one', 2]\n", &[]).stored);
    let stored = with_tokens("l = [\"T1\", \"T0\"]\n", &tokens);
    assert_eq!(sealing.view("x.toml", &stored), "l = [2, 'one']\n");
}

#[test]
fn what_begins_like_a_token_and_is_none_is_an_error() {
    let sealing = builtin();
    let good = tokens_in(&sealing.sealed("x.toml", "password = 'x'\n", &[]).stored).remove(0);
    for bad in ["ENC:", "ENC:v1:", "ENC:v2:x", &format!("{good} "), &format!("{good}="), "ENC:x"] {
        let stored = format!("\nnote = \"{bad}\"\n");
        let error = sealing.open(&path("x.toml"), stored.as_bytes()).unwrap_err();
        assert!(matches!(error.cause, Cause::Token(TokenError::Malformed(_))), "{bad}: {error}");
        assert_eq!((error.field, error.line), (Some(field("note").into()), Some(2)));
    }
    // In the middle of a value: a damaged part.
    let error = sealing.open(&path("x.toml"), b"note = 'see ENC:v1:630dcd29:AA'\n").unwrap_err();
    assert!(matches!(error.cause, Cause::Token(TokenError::Malformed(_))));
    assert_eq!(sealing.view("x.toml", b"note = 'see ENC:x'\n"), "note = 'see ENC:x'\n");
}

#[test]
fn a_token_spelled_with_escapes_is_a_token() {
    let sealing = builtin();
    let old = under(7, &[], Policy::builtin());
    let token =
        tokens_in(&old.sealed("x.json", "{\"password\": \"hunter2\"}", &[]).stored).remove(0);
    for spelled in [token.replace("ENC", "\\u0045NC"), token.replace(":v1", ":\\u00761")] {
        let stored = format!("{{\"password\": \"{spelled}\"}}");
        let sealing = under(1, &[7], Policy::builtin());
        assert_eq!(sealing.view("x.json", stored.as_bytes()), "{\"password\": \"hunter2\"}");
        let rewrapped = sealing.rewrap(&path("x.json"), stored.as_bytes(), false).unwrap();
        assert_eq!(rewrapped.tokens, 1);
        let view = builtin().view("x.json", &rewrapped.stored.unwrap());
        assert_eq!(view, "{\"password\": \"hunter2\"}");
        assert!(builtin().open(&path("x.json"), stored.as_bytes()).is_err());
    }
    assert!(sealing.open(&path("x.json"), b"{\"a\": \"\\u0045NC:x\"}").is_err());
}

#[test]
fn a_token_bound_to_its_file_opens_in_no_other() {
    let sealing = Sealing { binding: Binding::File, ..builtin() };
    for (from, to, view) in [
        ("a.toml", "b.toml", "password = 'hunter22222'\n"),
        ("a.toml", "d/a.toml", "url = 'a://u:hunter22222@h'\n"),
        ("id_rsa", "d/id_rsa", "key material"),
    ] {
        let sealed = sealing.sealed(from, view, &[]);
        let error = sealing.open(&path(to), &sealed.stored).unwrap_err();
        assert_eq!(error.cause, Cause::Token(TokenError::Tampered(key(1).id())));
    }
}

#[test]
fn a_weaker_binding_than_demanded_is_refused() {
    let view = "password = 'hunter22222'\n";
    let bindings = [Binding::None, Binding::Field, Binding::File];
    for (sealed, demanded) in bindings.into_iter().flat_map(|s| bindings.map(|d| (s, d))) {
        let stored = Sealing { binding: sealed, ..builtin() }.sealed("x.toml", view, &[]).stored;
        let opened = Sealing { binding: demanded, ..builtin() }.open(&path("x.toml"), &stored);
        match opened {
            Ok(_) => assert!(sealed >= demanded),
            Err(error) => {
                assert!(sealed < demanded);
                assert_eq!(error.cause, Cause::Token(TokenError::WeakBinding));
            }
        }
    }
}

#[test]
fn single_values_open_under_their_field() {
    let sealing = builtin();
    let file = path("x.toml");
    let token = sealing.seal_value(&file, &field("a.b"), b"v\0\xff", Binding::Field);
    assert_eq!(
        &sealing.open_value(&file, &field("a.b"), token.as_bytes()).unwrap()[..],
        b"v\0\xff"
    );
    let elsewhere = sealing.open_value(&file, &field("a.c"), token.as_bytes());
    assert!(matches!(elsewhere, Err(ValueError::Token(TokenError::Tampered(_)))));
    let stored = sealing.sealed("x.toml", "password = \"a\\tb\"\n", &[]).stored;
    let token = &tokens_in(&stored)[0];
    assert_eq!(
        &sealing.open_value(&file, &field("password"), token.as_bytes()).unwrap()[..],
        b"a\tb"
    );
}

#[test]
fn a_token_in_an_xml_comment_is_drawn_until_it_fits() {
    let sealing = builtin();
    let view = "<c><!-- <password>hunter22222</password> <a token='hunter33333'/> --></c>";
    for _ in 0..100 {
        let sealed = sealing.sealed("x.xml", view, &[]);
        assert_eq!(sealed.form, Form::Fields(CodecId::Xml), "{:?}", sealed.whole);
    }
}

#[test]
fn what_names_a_secret_in_xml_and_hcl_is_found_by_the_built_in_rules() {
    let sealing = builtin();
    for (file, view, secrets) in [
        (
            "web.config",
            "<configuration><connectionStrings><add name=\"Main\" connectionString=\"Server=db;\
             Password=hunter22222;\"/></connectionStrings><appSettings><add key=\"DbPassword\" \
             value=\"hunter33333\"/><add key=\"Theme\" value=\"dark\"/></appSettings></configuration>",
            2,
        ),
        (
            "core-site.xml",
            "<c><property><name>ssl.keystore.password</name><value>hunter22222</value></property>\
             <property><name>io.sort.mb</name><value>100</value></property></c>",
            1,
        ),
        ("settings.xml", "<s><server><id>r</id><password>hunter22222</password></server></s>", 1),
        (
            "a.plist",
            "<plist><dict><key>ApiToken</key><string>hunter22222</string></dict></plist>",
            1,
        ),
        (
            "main.tf",
            "variable \"db_password\" {\n  default = \"hunter22222\"\n}\nenv {\n  name  = \"API_TOKEN\"\n  \
             value = \"hunter33333\"\n}\nurl = \"postgres://app:hunter44444@${var.host}/db\"\n\
             password = var.db_password\nname = \"shop\"\n",
            3,
        ),
    ] {
        let sealed = sealing.sealed(file, view, &[]);
        let stored = String::from_utf8(sealed.stored).unwrap();
        assert_eq!(stored.matches("ENC:v1:").count(), secrets, "{stored}");
        assert!(!stored.contains("hunter"), "{stored}");
    }
}
