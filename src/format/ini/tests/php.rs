//! `php.ini` and PHP-FPM's pools, as `parse_ini_file` of 8.2 reads them.

use super::*;

#[test]
fn arrays_sections_and_comments() {
    let text = "[www]\nenv[DB_PASSWORD] = x\nlist[] = a\nlist[]=\"b;c\" ; d = 1\ne = E_ALL & ~E_NOTICE\n\
                k.a-b = 1\n;disabled = y ; z\n[s] k=1\nh = a # b\nl = a;b\n#o = p\nflag\n";
    finds(
        &PHP,
        text,
        &[
            ("www.env.DB_PASSWORD", "x"),
            ("www.list[]", "a"),
            ("www.list[]", "\\\"b;c\\\""),
            (";www.d", "1"),
            ("www.e", "E_ALL & ~E_NOTICE"),
            ("www.\"k.a-b\"", "1"),
            (";www.disabled", "y"),
            ("s.k", "1"),
            ("s.h", "a # b"),
            ("s.l", "a;b"),
            (";s.o", "p"),
        ],
    );
    reads(
        &PHP,
        text,
        &["x", "a", "b;c", "1", "E_ALL & ~E_NOTICE", "1", "y", "1", "a # b", "a", "p"],
    );
}

#[test]
fn quotes_span_lines() {
    let text = "m = \"line1\nline2 ; x = 1\" ; y\nn='x\ny'\nesc = \"a\\\"b\\\\c\\n\\$e\"\nsq='a\\\\b'\nj=a\"b\"c\n";
    reads(&PHP, text, &["line1\nline2 ; x = 1", "x\ny", "a\"b\\c\\n$e", "a\\\\b", "a\"b\"c"]);
    refuses(&PHP, "a=1\nm = \"x;y\n", 2);
    finds(
        &PHP,
        ";k = \"a\n;b = 1\n;c\"\n;d = 'e\n",
        &[(";k", "\\\"a\\n;b = 1\\n;c\\\""), (";d", "\\'e")],
    );
}

#[test]
fn values_are_always_quoted() {
    for (value, source) in [
        ("E_ALL", Some("\"E_ALL\"")),
        ("", Some("\"\"")),
        ("a\"b\\${x}$", Some("\"a\\\"b\\\\\\${x}$\"")),
        ("a\nb", Some("\"a\nb\"")),
    ] {
        spells(&PHP, value, source);
    }
}
