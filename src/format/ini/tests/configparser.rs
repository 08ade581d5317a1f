//! Python's configparser.

use super::*;

#[test]
fn indented_lines_continue_a_value() {
    let text =
        "[a]\nk = v\n  cont\n\n  more\n# c\n  again\nx: y\n# b\n\n[b]\n  i = 1\n  j = 2\n m = 3\n";
    finds(
        &CONFIGPARSER,
        text,
        &[
            ("a.k", "v\\n  cont\\n\\n  more\\n# c\\n  again"),
            ("a.x", "y"),
            ("b.i", "1"),
            ("b.j", "2"),
            ("b.m", "3"),
        ],
    );
    // As Python 3.11 reads it.
    reads(&CONFIGPARSER, text, &["v\ncont\n\nmore\nagain", "y", "1", "2", "3"]);
}

#[test]
fn a_list_begins_on_the_line_below_its_key() {
    let text = "[tox]\r\nsetenv =\r\n    A = 1\r\n    DB_PASSWORD = x\r\ndeps=\r\n";
    finds(
        &CONFIGPARSER,
        text,
        &[("tox.setenv", "\\r\\n    A = 1\\r\\n    DB_PASSWORD = x"), ("tox.deps", "")],
    );
    reads(&CONFIGPARSER, text, &["\nA = 1\nDB_PASSWORD = x", ""]);
    // Each line is judged by its own name too.
    let sites = CONFIGPARSER.scan(text.as_bytes()).unwrap();
    let also: Vec<_> = sites[0].also.iter().map(ToString::to_string).collect();
    assert_eq!(also, ["tox.setenv.A", "tox.setenv.DB_PASSWORD"]);
}

#[test]
fn the_first_separator_counts_and_quotes_and_marks_are_text() {
    let text = "[DEFAULT]\na b c = 1\na:b=2\nc=d:e\nq = \"v\" ; w\nu = %(a)s%%\nflag\n";
    finds(
        &CONFIGPARSER,
        text,
        &[
            ("DEFAULT.\"a b c\"", "1"),
            ("DEFAULT.a", "b=2"),
            ("DEFAULT.c", "d:e"),
            ("DEFAULT.q", "\\\"v\\\" ; w"),
            ("DEFAULT.u", "%(a)s%%"),
        ],
    );
    reads(&CONFIGPARSER, text, &["1", "b=2", "d:e", "\"v\" ; w", "%(a)s%%"]);
}

#[test]
fn commented_out_lines_below_a_commented_out_key_belong_to_it() {
    let text = "[a]\n#key = -----BEGIN\n#   abc\n#   def\n# other = 1\n# prose\n";
    let wanted = [(";a.key", "-----BEGIN\\n#   abc\\n#   def"), (";a.other", "1")];
    finds(&CONFIGPARSER, text, &wanted);
}

#[test]
fn several_lines_are_indented_by_the_column() {
    spells(&CONFIGPARSER, "a\n\nb", Some("a\n\n    b"));
    for value in ["a\n#b", "a\n b", " a", "a\n", "a\r\nb"] {
        spells(&CONFIGPARSER, value, None);
    }
    let sites = CONFIGPARSER.scan(b"[a]\n  k = 1\n").unwrap();
    assert_eq!(sites[0].column, 6);
}
