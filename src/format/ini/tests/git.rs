//! git's configuration: gitconfig(5), and what `git config -l` of 2.47 says.

use super::*;

#[test]
fn sections_have_subsections() {
    let text = "[core] bare = true\n[remote \"origin\"]\n\turl = https://u:p@h/r\n[s \"a\\\"b.c\\\\\"]\nk=1\n\
                [s.Sub.B]\n k = 2 ; c\n\tflag\n[a]k=x [b]\n";
    finds(
        &GIT,
        text,
        &[
            ("core.bare", "true"),
            ("remote.origin.url", "https://u:p@h/r"),
            ("s.\"a\\\"b.c\\\\\".k", "1"),
            ("s.\"Sub.B\".k", "2"),
            ("a.k", "x [b]"),
        ],
    );
}

#[test]
fn quotes_escapes_and_continued_lines() {
    let text = "[s]\nk1 = v ; c\nk2 = \"a ; b\" c # d\nk3 = a \\\n   b\nk5 = \"a\\\"b\\\\\\n\\t\\b\"\n\
                k6 = a\"b c\"d   e\nk7 = \"multi\\\nline\"\nk8=\nk9 = \"\" # b\nk10 = a \\\n# b = 1\nk11=x\\\r\ny\n";
    // The blank that git keeps behind a continued line of nothing is no part of the value.
    reads(
        &GIT,
        text,
        &[
            "v",
            "a ; b c",
            "a    b",
            "a\"b\\\n\t\u{8}",
            "ab cd   e",
            "multiline",
            "",
            "",
            "a",
            "1",
            "xy",
        ],
    );
}

#[test]
fn what_looks_cut_off_is_sealed_with_the_value() {
    let text = "[s]\nk = a#b c ; d\nl = #x\nm=#x\n";
    finds(&GIT, text, &[("s.k", "a#b c"), ("s.l", ""), ("s.m", "#x")]);
    reads(&GIT, text, &["a", "", ""]);
}

#[test]
fn commented_out_values_are_found() {
    let text = "[s]\n# token = x # y\nk = 1 ; password = \"a b\" z\n;; k = \"a\n#k = a \\\n# b\n";
    finds(
        &GIT,
        text,
        &[
            (";s.token", "x"),
            ("s.k", "1"),
            (";s.password", "\\\"a b\\\" z"),
            (";s.k", "\\\"a"),
            (";s.k", "a \\\\\\n# b"),
        ],
    );
}

#[test]
fn what_git_refuses_is_refused() {
    for text in [
        "[a]\nk: v\n",
        "[a]\nk_e = v\n",
        "[a \"b]\nk=v\n",
        "[a]\nk = a\\qb\n",
        "[a]\nk = \"a\n",
        "[a]\n1k=2\n",
        "[a]\n k l = b\n",
        "[a]\nk # = c\n",
        "[a]\nk ; c\n",
        "[ a ]\n",
        "[a \"b\" ]\n",
        "[a\"b\"]\n",
        "[a]\nk = a\\",
        "[a]\nk = \"a\\\"\n",
    ] {
        assert!(GIT.scan(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn values_are_quoted_where_git_needs_it() {
    for (value, source) in [
        ("a b", Some("a b")),
        ("", Some("\"\"")),
        (" a", Some("\" a\"")),
        ("a;b", Some("\"a;b\"")),
        ("a\"\\\n", Some("\"a\\\"\\\\\\n\"")),
        ("a\rb", None),
    ] {
        spells(&GIT, value, source);
    }
}
