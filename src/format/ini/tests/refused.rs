//! Texts of other formats, which must not be taken for INI with the wrong keys.

use super::*;
use crate::linear::{assert_linear, repeated};

#[test]
fn other_formats_are_refused() {
    let samples = [
        "user nginx;\nhttp {\n  server_name x;\n}\n",
        "<VirtualHost *:80>\nServerName x\n</VirtualHost>\n",
        "<?xml version=\"1.0\"?>\n<a b=\"c\"/>\n",
        "database:\n  host: x\n  password: y\n",
        "hosts:\n- a\n- b: c\n",
        "---\nkey: value\n",
        "key: |\n  text\n",
        "{\n  \"a\": 1\n}\n",
        "[\n  1\n]\n",
        "[\"a\", \"b\"]\n",
        "a {\n  b = c\n}\n",
        "a = {\n  b = c\n}\n",
        "a = [\n  \"x\",\n]\n",
        "[[servers]]\nname = \"x\"\n",
        "if [ \"$A\" = \"b\" ]; then\n  C=d\nfi\n",
        "[ -f /etc/x ] && A=b\n",
        "f() {\n  A=b\n}\n",
        "This is prose. It goes on\nfor two lines.\n",
        "Host *\n  HostName = x\n",
        "Port 22\nPasswordAuthentication no\n",
        "\"HKEY\"=\"value\"\n",
        "network={\n  ssid=\"x\"\n  psk=\"y\"\n}\n",
        "a = 1\nb = \"two\nlines\" or three\n",
        "a\0b = 1\n",
        "\u{feff}a=1\rb=2\r",
    ];
    for text in samples {
        for codec in [&INI, &CONFIGPARSER, &SYSTEMD, &MYSQL] {
            assert!(codec.scan(text.as_bytes()).is_err(), "{}: {text}", codec.id);
        }
    }
}

#[test]
fn an_error_tells_its_place_and_quotes_nothing() {
    let error = INI.scan(b"k = v\n\n  deeper = x\n").unwrap_err();
    assert_eq!(error.to_string(), "line 3, column 3: indented further than the key above");
    refuses(&INI, "[s]\nk\n  deeper\n", 3);
    refuses(&INI, "[s]\nk = `v\n", 2);
    refuses(&CONFIGPARSER, "[s]\nk\n  deeper\n", 3);
    refuses(&CONFIGPARSER, "k = v\n", 1);
    refuses(&MYSQL, "k = v\n", 1);
}

#[test]
fn time_is_linear_in_hostile_texts() {
    let pieces = [
        "[",
        "\\\n",
        "\"",
        "'",
        "`",
        "#",
        ";",
        "=",
        "k=\"\n",
        "k='\n",
        "k=`\n",
        "#k=\"\n",
        "#k=`\n",
        "#a=1 ",
        "#a=1 #\n",
        " #\n",
        "k=\\\n",
        "#k=\\\n",
        "k=\n ",
        "k=v\n # c\n",
        "k= \\\n#\n",
        "a,b=",
        "[a]",
        "[a]k=\\\n",
        "\n",
        " ",
        "Environment=\\\n",
        "Environment=a ",
        "\"\"\"",
        ",",
        "]",
        "\r\n",
    ];
    for piece in pieces {
        for front in ["", "[s]\n", "[s]\nk=", "[s]\n#k=", "[s]\nEnvironment=", "[s]\n#k=\"\n"] {
            let text = |len| front.to_owned() + &repeated(piece, len);
            for codec in [&INI, &GIT, &SYSTEMD, &MYSQL, &PHP, &GRAFANA, &CONFIGPARSER] {
                assert_linear(&format!("{}: {front}{piece}", codec.id), text, |text| {
                    let sites = codec.scan(text.as_bytes()).unwrap_or_default();
                    for site in sites.iter().take(3) {
                        let source = site.span.of(text.as_bytes());
                        codec.decode(source, site.context);
                    }
                });
            }
        }
    }
}
