//! Documents to test with: what means something to a format, in any order.

use confseal::format::CodecId;
use proptest::prelude::*;
use proptest::sample::select;

use super::yaml::yaml;

pub(super) fn toml() -> impl Strategy<Value = String> {
    let scalar = || {
        select(vec![
            r#""x""#,
            r#""""#,
            r#""a\"b\u00e9 # c = 1""#,
            "'it\"s'",
            "\"\"\"m\nl # a = 'x'\n\"\"\"",
            "'''q'\n[x]\n'''",
            "1",
            "-0",
            "0xDEAD_beef",
            "1e5",
            "-inf",
            "true",
            "1979-05-27 07:32:00Z",
            "07:32:00",
            "\"\u{e9}\u{1f600}\"",
            "\"ENC:x\"",
        ])
    };
    let comment = || {
        prop_oneof![
            select(vec![
                "#password = \"x\"",
                "# password=\"x\"  # note",
                "## password = 'x'",
                "#",
                "# [db]",
                "# password = hunter2 ",
                "# [[srv]] # x",
                "# [srv.\"a b\"]",
                "# see: docs = here",
                "# a = 1 # b = two # c = '3'",
                "# a = [1, \"two\", { name = \"n\", x = 3 }],",
                "# \"x\",",
                "# { name = \"N\", value = 'v' },",
                "# a = it's # \u{e9}",
                "# a = \"\"\"",
                "# \"a b\".c = 3,  # d = 4",
                "# password = \"x\" y",
                "# [\"x\", 1]",
                "# a = ENC:v1:x",
            ])
            .prop_map(str::to_owned),
            "#[#ab =\"'\\[\\]{},.1\\\\]{0,16}",
        ]
    };
    let line = prop_oneof![
        (scalar(), comment()).prop_map(|(value, note)| format!("k@ = {value} {note}")),
        (scalar(), scalar()).prop_map(|(a, b)| format!("t@.u.\"v w\" = {a}\nt@.u.z = {b}")),
        (scalar(), scalar(), comment()).prop_map(|(a, b, note)| format!(
            "l@ = [ {a}, # c\n {note}\n [ {b} ], {{ name = {a}, value = {b} }},\n {note}\n]"
        )),
        (scalar(), scalar(), comment())
            .prop_map(|(a, b, note)| format!("i@ = {{ a = {a}, {note}\n b.c = {b}, {note}\n }}")),
        comment(),
        (comment(), comment(), comment()).prop_map(|(a, b, c)| format!("{a}\n  {b}\n{c}")),
        comment().prop_map(|note| format!("[h@] {note}")),
        comment().prop_map(|note| format!("[srv.h@.x]\n{note}")),
        (select(vec!["name", "key", "Name"]), scalar(), scalar()).prop_map(|(key, a, b)| format!(
            "[[list]]\nvalue = {a}\n{key} = {b}\n[list.sub]\npassword = {b}"
        )),
        Just(String::new()),
    ];
    lines(line)
}

/// Lines with `@` replaced by a number of their own, under any line ending, with and without a
/// byte order mark and a last line ending.
pub(super) fn lines(line: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (prop::collection::vec(line, 0..12), any::<(bool, bool, bool)>()).prop_map(
        |(lines, (bom, crlf, last))| {
            let numbered: Vec<_> = lines
                .iter()
                .enumerate()
                .map(|(n, line)| line.replace('@', &n.to_string()))
                .collect();
            let mut text = if bom { "\u{feff}" } else { "" }.to_owned();
            text.push_str(&numbered.join("\n"));
            text.push_str(if last { "\n" } else { "" });
            if crlf { text.replace('\n', "\r\n") } else { text }
        },
    )
}

pub(super) fn json() -> impl Strategy<Value = String> {
    let scalar = || {
        select(vec![
            r#""x""#,
            r#""""#,
            r#""a\"b\u00e9 // \/* c""#,
            r#""\ud800""#,
            r#""\ud83d\ude00""#,
            "0",
            "-1.5e+3",
            "true",
            "null",
            "\"\u{e9}\u{1f600}\"",
            "\"ENC:x\"",
            "\"tab\there\"",
            "'it\"s'",
            "'a\\'b\\x41 // c'",
            "\"a\\\nb\"",
            "0xdecaf",
            "+.5",
            "-8675309.",
            "-Infinity",
            "NaN",
        ])
        .prop_map(str::to_owned)
    };
    let gap = || {
        prop_oneof![
            6 => select(vec!["", " ", "\n", "\t"]).prop_map(str::to_owned),
            3 => select(vec![
                "// \"password\": \"x\",\n", "/* \"password\": \"x\" */", "// note: \"x\" // \"b\": 1\n",
                "/**\n * \"a\": 1,\n * \"b\": \"it's\"\n **/", "// prose \"x\"\n", "// \"x\", 5\n",
                "// { \"name\": \"N\", \"value\": \"v\" },\n", "// \"a\": { \"b\": [1, {\"c\": 2\n", "/**/",
                "// } ], \"z\": \"y\"\n", "// \"a\": [\"x\", 'y']\n", "// see http://u:p@h/\n",
                "// a: 'x', b: 0x1f, // c: +1\n", "/* don't: 'x' */", "// 'x', .5,\n",
            ])
            .prop_map(str::to_owned),
            2 => "[/*\"'a:,1 {}\\[\\]\\\\x]{0,16}".prop_map(|text| format!("//{text}\n")),
            1 => "[\"'a:,1 {}\\[\\]\\\\x\n*]{0,16}".prop_map(|text| format!("/*{text}*/")),
        ]
    };
    let key = || {
        select(vec![
            "\"a\"",
            "\"b c\"",
            "\"name\"",
            "\"key\"",
            "\"Value\"",
            "\"\\ud800\"",
            "\"\"",
            "a ",
            "$_b\t",
            "'name'",
            "true",
            "0",
        ])
    };
    let value = scalar().prop_recursive(4, 24, 4, move |inner| {
        let element = (gap(), inner.clone(), gap()).prop_map(|(a, v, b)| format!("{a}{v}{b}"));
        let member = (gap(), key(), gap(), inner, gap())
            .prop_map(|(a, k, b, v, c)| format!("{a}{k}{b}:{v}{c}"));
        let close = |items: Vec<String>, comma: bool| {
            items.join(",") + if comma && !items.is_empty() { "," } else { "" }
        };
        prop_oneof![
            (prop::collection::vec(element, 0..4), any::<bool>(), gap())
                .prop_map(move |(items, comma, gap)| format!("[{}{gap}]", close(items, comma))),
            (prop::collection::vec(member, 0..4), any::<bool>(), gap())
                .prop_map(move |(items, comma, gap)| format!("{{{}{gap}}}", close(items, comma))),
        ]
    });
    (gap(), value, gap(), any::<(bool, bool)>()).prop_map(|(a, value, b, (bom, crlf))| {
        let text = format!("{}{a}{value}{b}", if bom { "\u{feff}" } else { "" });
        if crlf { text.replace('\n', "\r\n") } else { text }
    })
}

pub(super) fn dotenv() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        6 => select(vec![
            "A=1", "export B = 'x y' ", "C=\"a\\\"b\nc\" # note", "D=`x\ny`", "E=a b#c # d=1 # e='x'",
            "F=#x", "F='x' #y", "G=", "H= # PASSWORD=x", "I='a'b", "J=\"a\"# b", "# PASSWORD=\"x\" # y",
            "#export PASSWORD=x", "# prose", "", "  ", "K=\u{e9}\u{1f600}", "L=ENC:x", "M='it\\'s'",
            "# N='x", "O=\"a\\", "P=\t\"x\"\t",
            "Q: x", "# Q: y", "R_1", "S=x #y", "T='C:\\'", "# U='x\n# y\n#' # V=1", "; W=x", "X=a\\",
            "Y=\"\\\\\"",
        ])
        .prop_map(str::to_owned),
        2 => "[A-C](=| = )[ #'\"`a\\\\=$]{0,10}",
        2 => "#[ #'\"`A\\\\=]{0,12}",
    ];
    lines(line)
}

/// The dialects of INI; none of them is sure of a text that another takes.
pub(super) const INI: [CodecId; 7] = [
    CodecId::Ini,
    CodecId::Configparser,
    CodecId::Git,
    CodecId::Systemd,
    CodecId::Mysql,
    CodecId::Php,
    CodecId::Grafana,
];

pub(super) fn ini() -> impl Strategy<Value = String> {
    let value = || {
        prop_oneof![
            select(vec![
                "x",
                "",
                "a b ",
                "\"a # b\"",
                "'a;b'",
                "a#b;c",
                "\"a\\\"b\"",
                "\"\"\"a\nb\"\"\"",
                "`a\nb`",
                "a \\\n  b",
                "a\\\\",
                "\n  a\n\n  b = 1\n# c\n  d",
                "A=1 \"B=2 3\" 'C=4'",
                "\u{e9}\u{1f600}",
                "ENC:x",
                "\"a\nb\"",
                "E_ALL & ~E",
                "$__env{X}",
                "\"a\" 'b'",
                "=x",
                "it's",
                "\\\n#c\n d",
                "\"",
            ])
            .prop_map(str::to_owned),
            "[ #;'\"`a\\\\=,:]{0,8}",
        ]
    };
    let comment = || {
        prop_oneof![
            Just(String::new()),
            select(vec![
                " ; password = x",
                " # a=1 ; b='2' # c",
                ";a=\"b",
                "#k = a \\\n# b\n#   c",
                "# Environment=A=1 'B",
                "#k=\n#  a\n#  b\n# c = 1",
                ";k = `a\n;b`",
                ";k=\"a\n;b\"",
                "#",
                "; [s]",
                "# prose: it is",
            ])
            .prop_map(str::to_owned),
            "[#;][ #;'\"`a\\\\=,:]{0,12}",
        ]
    };
    let key =
        || select(vec!["k@", "Environment", "a-b", "  deep", "k[]", "k[x]", "a b", "#k", "//r/:t"]);
    let line = prop_oneof![
        6 => (key(), select(vec!["=", " = ", ": "]), value(), comment())
            .prop_map(|(key, equals, value, note)| format!("{key}{equals}{value}{note}")),
        2 => comment(),
        1 => (select(vec!["[a]", "[a.b]", "[r \"s\"]", " [ x ]", "[a] k=1"]), comment())
            .prop_map(|(header, note)| format!("{header}{note}")),
        1 => select(vec!["flag", "", "  ", "!include x"]).prop_map(str::to_owned),
    ];
    lines(line).prop_map(|text| match text.strip_prefix('\u{feff}') {
        Some(text) => format!("\u{feff}[s]\n{text}"),
        None => format!("[s]\n{text}"),
    })
}

/// Lines of fragments that mean something to a format, and of such bytes at random.
fn fragments(known: &'static [&'static str], odd: &'static str) -> impl Strategy<Value = String> {
    lines(prop_oneof![4 => select(known).prop_map(str::to_owned), 1 => odd])
}

pub(super) fn properties() -> impl Strategy<Value = String> {
    fragments(
        &[
            "a.b=1",
            "c : two words ",
            "d 3",
            "e = x \\\n   # y\\\n z",
            "f",
            "g=",
            "h ",
            "# db.password=x y",
            "! password: x",
            "# prose: with words",
            "#k=\\",
            "i=C:\\\\tmp\\\\",
            "j=\\u00e9\\ud800",
            "k\\ l\\==v",
            "m \\\n = \\\n v",
            "n==",
            "url=a://u:p@h \u{e9}",
            "",
            "o=ENC:x",
            "p=x\\",
        ],
        "[abk#!][ =:.\\\\#a]{0,10}",
    )
}

pub(super) fn directives() -> impl Strategy<Value = String> {
    fragments(
        &[
            "bindpw x y # z",
            "key = v",
            "log: \"a b\"",
            "# requirepass x",
            "; a = b c",
            "user admin password x rest of it",
            "b {",
            "}",
            "flag",
            "e =",
            "SetEnv A x y",
            "user a on >x ~*",
            "s 'a \\' b' secret \"c\" token d",
            "",
        ],
        "[ab#][ ='\"{}a\\\\>]{0,10}",
    )
}

pub(super) fn redis() -> impl Strategy<Value = String> {
    fragments(
        &[
            "bind 127.0.0.1 ::1",
            "requirepass \"a \\\" b\\x00\"",
            "masterauth 'x'",
            "user alice on >p1 >\"p 2\" \">p 3\" <old #ab !cd +@all",
            "# user bob on >\"p q\" #00",
            "# requirepass foobared",
            "# prose about requirepass",
            "rename-command CONFIG \"\"",
            "sentinel auth-pass m x",
            "sentinel monitor m ::1 1 2",
            "",
        ],
        "(user |# user |)[ab>#][ ='\"a\\\\>]{0,10}",
    )
}

pub(super) fn sshd() -> impl Strategy<Value = String> {
    fragments(
        &[
            "Port 22",
            "X=\"a b\" # Port 1",
            "#UsePAM yes",
            "SetEnv A=1 \"B=x y\" # c",
            "ProxyCommand sh -c 'it # is",
            "Match User x",
            "",
        ],
        "[aB#][ ='\"a\\\\#]{0,10}",
    )
}

pub(super) fn postgresql() -> impl Strategy<Value = String> {
    fragments(
        &[
            "port = 5432 # note = 1",
            "c 'host=db password=''x'' '",
            "#a = 'b' # c = d",
            "d='x'#e = 1",
            "x.y = on",
            "# prose",
            "f = ''",
            "g = 'a\\'b'",
            "",
        ],
        "[ab#][ =''a\\\\#]{0,10}",
    )
}

pub(super) fn nginx() -> impl Strategy<Value = String> {
    fragments(
        &[
            "user www;",
            "http { server {",
            "} }",
            "set $k \"x\\\" y\";",
            "proxy_set_header A 'b c'; # d e;",
            "map $k $ok { default 0; \"s\" 1; a 'b'; }",
            "map $k $ok { # \"old\" 1;",
            "}",
            "if ($k != \"x\") { return 1; }",
            "if ( $k = x ) {",
            "x_by_lua_block { local k = \"a\" -- }",
            "f('b') --[[ } ]] }",
            "/* a b; ",
            " * c d; */",
            "// a b;",
            "l { 1.2.3.4; !a; }",
            "e = 'f';",
            "listen a b",
            " c;",
            "p ${x}y$z;",
            "",
        ],
        "[ab#][ ;='\"a\\\\{}()$]{0,10}",
    )
}

/// A document of keywords, and the codec of its dialect.
pub(super) fn keywords() -> impl Strategy<Value = (CodecId, String)> {
    prop_oneof![
        properties().prop_map(|text| (CodecId::Properties, text)),
        directives().prop_map(|text| (CodecId::Directives, text)),
        redis().prop_map(|text| (CodecId::Redis, text)),
        sshd().prop_map(|text| (CodecId::Sshd, text)),
        postgresql().prop_map(|text| (CodecId::Postgresql, text)),
        nginx().prop_map(|text| (CodecId::Nginx, text)),
    ]
}

/// A document and its codec.
pub(super) fn document() -> impl Strategy<Value = (CodecId, String)> {
    prop_oneof![
        1 => toml().prop_map(|text| (CodecId::Toml, text)),
        1 => json().prop_map(|text| (CodecId::Json, text)),
        1 => dotenv().prop_map(|text| (CodecId::Dotenv, text)),
        1 => yaml().prop_map(|text| (CodecId::Yaml, text)),
        2 => (select(INI.to_vec()), ini()),
        3 => keywords(),
    ]
}
