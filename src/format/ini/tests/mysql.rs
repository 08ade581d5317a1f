//! Option files of MySQL and MariaDB, as `my_print_defaults` of 10.11 reads them.

use super::*;

#[test]
fn groups_options_and_comments() {
    let text = "!includedir /etc/mysql/conf.d/\n[client]\nport=3306 # note\npassword=\"x # y\" # z\n\
                skip-networking\nloose-g_h = 2 ; no comment\n;m=1\n#n=1\n[mysqld] # t=1\nl='a\"b' # z\n";
    finds(
        &MYSQL,
        text,
        &[
            ("client.port", "3306"),
            ("client.password", "\\\"x # y\\\""),
            ("client.loose-g_h", "2 ; no comment"),
            (";client.m", "1"),
            (";client.n", "1"),
            (";mysqld.t", "1"),
            ("mysqld.l", "\\'a\\\"b\\'"),
        ],
    );
}

#[test]
fn escapes_and_quotes_are_read_as_mysql_does() {
    let text = "[c]\nc='it''s'\nd=a\\sb\\tc\\nd\\\\e\ne=\"a\\\"b\"\ni=a#b\nj=a'b # c' d\nk=\"a\" \"b\"\n\
                p=\"abc # d\nx=x\"y # z\"w # q\nr=a\\\nh= #\n";
    reads(
        &MYSQL,
        text,
        &[
            "it''s",
            "a b\tc\nd\\e",
            "a\"b",
            "a",
            "a'b # c' d",
            "a\" \"b",
            "\"abc # d",
            "x\"y # z\"w",
            "a\\",
            "",
        ],
    );
    // What stands behind `#` may be the rest of a password.
    finds(&MYSQL, "[c]\npassword=ab#cd # x\n", &[("c.password", "ab#cd")]);
}

#[test]
fn values_are_quoted_where_mysql_needs_it() {
    for (value, source) in [
        ("a b", Some("a b")),
        ("a#b", Some("\"a#b\"")),
        (" a\n\r", Some("\" a\\n\\r\"")),
        ("a\\nb", Some("\"a\\\\nb\"")),
        ("", Some("\"\"")),
        ("\"'", Some("\"\\\"'\"")),
    ] {
        spells(&MYSQL, value, source);
    }
}
