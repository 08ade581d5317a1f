//! systemd.syntax(7) and systemd.exec(5).

use super::*;

#[test]
fn lines_continue_behind_a_backslash_and_comments_between_them_are_skipped() {
    let text = "[Section A]\nKeyOne=value 1\nKeyTwo=value 2\n\n# a comment\n[Section B]\nSetting=\"something\" \"some thing\" \"…\"\n\
                KeyTwo=value 2 \\\n       value 2 continued\n\n[Section C]\nKeyThree=value 3\\\n# this line is ignored\n; this line is ignored too\n       value 3 continued\nx=a\\\\\ny=b\\\n\nz=1\n";
    let wanted = [
        "value 1",
        "value 2",
        "\"something\" \"some thing\" \"…\"",
        "value 2         value 2 continued",
        "value 3 # this line is ignored\n; this line is ignored too\n       value 3 continued",
        "a\\\\",
        "b\\",
        "1",
    ];
    reads(&SYSTEMD, text, &wanted);
}

#[test]
fn each_word_of_an_environment_is_a_value() {
    let text = "[Service]\nEnvironment=VAR1=word1 \"VAR2=word2 word 3\" 'VAR3=$word 5 6'\nEnvironment=\n\
                Environment=A=\"b c\" \\\n # B_TOKEN=x\n  C=d\\x20\\\"e\\\nF='\nEnvironmentFile=-/etc/x\nExecStart=/x --a=\"b\"\n";
    let path = "Service.Environment";
    finds(
        &SYSTEMD,
        text,
        &[
            (path, "VAR1=word1"),
            (path, "\\\"VAR2=word2 word 3\\\""),
            (path, "\\'VAR3=$word 5 6\\'"),
            (path, "A=\\\"b c\\\""),
            (";Service.B_TOKEN", "x"),
            (path, "C=d\\\\x20\\\\\\\"e"),
            (path, "F=\\'"),
            ("Service.EnvironmentFile", "-/etc/x"),
            ("Service.ExecStart", "/x --a=\\\"b\\\""),
        ],
    );
    reads(
        &SYSTEMD,
        text,
        &[
            "VAR1=word1",
            "VAR2=word2 word 3",
            "VAR3=$word 5 6",
            "A=b c",
            "x",
            "C=d \"e",
            "F='",
            "-/etc/x",
            "/x --a=\"b\"",
        ],
    );
}

#[test]
fn commented_out_settings_are_found() {
    let text = "[Service]\n#Environment=A=1 \"B=2 3\" \\\n#  DB_PASSWORD=x\n;ExecStart=/x \\\n;  --password=y\n#[Other]\n";
    finds(
        &SYSTEMD,
        text,
        &[
            (";Service.Environment", "A=1"),
            (";Service.Environment", "\\\"B=2 3\\\""),
            (";Service.DB_PASSWORD", "x"),
            (";Service.ExecStart", "/x \\\\\\n;  --password=y"),
        ],
    );
}

#[test]
fn desktop_entries_have_keys_for_languages() {
    let text = "[Desktop Entry]\nName=x\nName[de]=Größe\nExec=a %U\n";
    finds(
        &SYSTEMD,
        text,
        &[
            ("\"Desktop Entry\".Name", "x"),
            ("\"Desktop Entry\".\"Name[de]\"", "Gr\\xc3\\xb6\\xc3\\x9fe"),
            ("\"Desktop Entry\".Exec", "a %U"),
        ],
    );
}

#[test]
fn a_word_is_spelled_with_escapes_and_a_setting_as_it_is() {
    let word = SYSTEMD.encode(b"A=\"b\\ \n\r", Context(3), 0).unwrap();
    assert_eq!(&word[..], b"\"A=\\\"b\\\\ \\n\\r\"");
    assert_eq!(&SYSTEMD.decode(&word, Context(3)).unwrap()[..], b"A=\"b\\ \n\r");
    spells(&SYSTEMD, "\"a\" # b", Some("\"a\" # b"));
    spells(&SYSTEMD, "a\nb", None);
}
