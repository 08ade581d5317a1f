//! `grafana.ini`, as go-ini reads it.

use super::*;

#[test]
fn quotes_of_three_and_backticks_hold_several_lines() {
    let text = "app_mode = production\n[database]\npassword = \"\"\"#pass;\nword\"\"\" ; note = 1\n\
                url = `a\nb`\nx: 'y'\ni = \"\"\"a\"\"\" b\n";
    finds(
        &GRAFANA,
        text,
        &[
            ("app_mode", "production"),
            ("database.password", "\\\"\\\"\\\"#pass;\\nword\\\"\\\"\\\""),
            (";database.note", "1"),
            ("database.url", "`a\\nb`"),
            ("database.x", "\\'y\\'"),
            ("database.i", "\\\"\\\"\\\"a\\\"\\\"\\\" b"),
        ],
    );
    reads(&GRAFANA, text, &["production", "#pass;\nword", "1", "a\nb", "y", "a"]);
}

#[test]
fn a_comment_begins_anywhere_but_for_the_span() {
    let text = "[a]\nk = pass#word ; c\nl = a ; b\nm = ; x\nn = \"a#b\"\n";
    finds(
        &GRAFANA,
        text,
        &[("a.k", "pass#word"), ("a.l", "a"), ("a.m", ""), ("a.n", "\\\"a#b\\\"")],
    );
    reads(&GRAFANA, text, &["pass", "a", "", "\"a"]);
}

#[test]
fn lines_go_on_behind_a_backslash() {
    let text = "[a]\nk = a ; b \\\n  c \\\r\n# d\nl = $__env{X}%(y)s\n";
    finds(&GRAFANA, text, &[("a.k", "a ; b \\\\\\n  c \\\\\\r\\n# d"), ("a.l", "$__env{X}%(y)s")]);
    reads(&GRAFANA, text, &["a ; b c # d", "$__env{X}%(y)s"]);
}

#[test]
fn commented_out_defaults_are_found() {
    let text = "[security]\n;admin_password = admin ; x = 1\n;key = \"\"\"a\n;b\"\"\"\n;c = `d\n";
    finds(
        &GRAFANA,
        text,
        &[
            (";security.admin_password", "admin"),
            (";security.x", "1"),
            (";security.key", "\\\"\\\"\\\"a\\n;b\\\"\\\"\\\""),
            (";security.c", "`d"),
        ],
    );
}

#[test]
fn values_with_marks_stand_in_quotes_of_three() {
    for (value, source) in [
        ("a b", Some("a b")),
        ("", Some("\"\"")),
        ("#a;b", Some("\"\"\"#a;b\"\"\"")),
        ("a\nb", Some("\"\"\"a\nb\"\"\"")),
        ("'a'", Some("\"'a'\"")),
        ("a\"\"\"\n#", Some("`a\"\"\"\n#`")),
    ] {
        spells(&GRAFANA, value, source);
    }
    refuses(&GRAFANA, "[a]\nk = `x\n", 2);
}
