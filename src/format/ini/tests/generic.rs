//! The dialect that most readers share.

use super::*;

#[test]
fn sections_keys_and_values_are_found() {
    let text = "\u{feff}root = 1\r\n[a.b]\r\nkey=v\r\n  # note\r\nother : x y  \r\n\r\n\
                [ req ] ; note\r\nflag\r\ndistinguished name=@x\r\nlast=z";
    finds(
        &INI,
        text,
        &[
            ("root", "1"),
            ("\"a.b\".key", "v"),
            ("\"a.b\".other", "x y"),
            ("req.\"distinguished name\"", "@x"),
            ("req.last", "z"),
        ],
    );
}

#[test]
fn repeated_keys_and_sections_are_found_each_time() {
    let text = "[a]\nk=1\nk=2\n[b]\n[a]\nk=3\n";
    finds(&INI, text, &[("a.k", "1"), ("a.k", "2"), ("a.k", "3")]);
}

#[test]
fn what_might_be_a_comment_is_a_part_of_the_value() {
    let text = "[a]\nk = x ; y\nl = #z\nm = \"q\" ; note\n";
    finds(&INI, text, &[("a.k", "x ; y"), ("a.l", "#z"), ("a.m", "\\\"q\\\" ; note")]);
    reads(&INI, text, &["x ; y", "#z", "q"]);
    let sites = INI.scan(b"[a]\nk = x ; password = y # b=1\n").unwrap();
    let also: Vec<_> = sites[0].also.iter().map(ToString::to_string).collect();
    assert_eq!(also, ["a.k.password", "a.k.b"]);
}

#[test]
fn an_empty_value_is_a_place_at_the_end_of_its_line() {
    for (text, at) in [("k=", 2), ("k =  ", 5), ("k = \r\nl=", 4)] {
        assert_eq!(INI.scan(text.as_bytes()).unwrap()[0].span.start, at, "{text:?}");
    }
}

#[test]
fn commented_out_assignments_are_found() {
    let text = "[a]\n;password = x\n# pass word: y\n#b: z\n;; ldap admin dn = c d\n\
                # Note that this = that, as everyone knows\n#prose it is: yes\n# e =\n# Example:\n#f=1 # g=2\n";
    finds(
        &INI,
        text,
        &[
            (";a.password", "x"),
            (";a.b", "z"),
            (";a.\"ldap admin dn\"", "c d"),
            (";a.\"Note that this\"", "that, as everyone knows"),
            (";a.e", ""),
            (";a.f", "1 # g=2"),
        ],
    );
}

#[test]
fn a_commented_out_value_takes_its_continued_lines_along() {
    finds(
        &INI,
        "[a]\n#k = one \\\n#  two \\\r\n# three\n# x = 1\n",
        &[(";a.k", "one \\\\\\n#  two \\\\\\r\\n# three"), (";a.x", "1")],
    );
}

#[test]
fn keys_of_npm_are_addresses() {
    let text = "//registry.npmjs.org/:_authToken=abc\n@corp:registry = https://r.example:8080/\n";
    finds(
        &INI,
        text,
        &[
            ("\"//registry.npmjs.org/:_authToken\"", "abc"),
            ("\"@corp:registry\"", "https://r.example:8080/"),
        ],
    );
}

#[test]
fn a_value_that_ends_in_a_backslash_may_go_on() {
    // For some readers the second line belongs to the password.
    let sites = INI.scan(b"password = ab\\\nc = d\ne = f\n").unwrap();
    assert_eq!(sites[1].also[0].to_string(), "password");
    assert!(sites[2].also.is_empty());
    refuses(&INI, "password = ab\\\ncd\n", 2);
    finds(&INI, "dir = C:\\x\\\n[s]\n", &[("dir", "C:\\\\x\\\\")]);
}

#[test]
fn bytes_that_are_no_text_pass_in_values_and_keys() {
    let text = b"[s]\nn\xe4me = M\xfcller\n";
    let sites = INI.scan(text).unwrap();
    assert_eq!(sites[0].span.of(text), b"M\xfcller");
}

#[test]
fn values_are_spelled_for_all_readers() {
    for (value, source) in [
        ("hunter2", Some("hunter2")),
        ("a ; b # c", Some("a ; b # c")),
        ("", Some("")),
        (" a ", Some("\" a \"")),
        ("\"a\"", Some("'\"a\"'")),
        ("a\nb", None),
        ("a\rb", None),
        ("\0", None),
    ] {
        spells(&INI, value, source);
    }
}
