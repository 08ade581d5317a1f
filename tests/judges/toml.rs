//! TOML, judged by Python's tomllib.

use confseal::format::CodecId;

use super::judge::agrees;

const SAMPLE: &str = r####"# a shop
title = "Shop \"Zum \u00e4u\u00dfersten\" \t"
raw = 'C:\new\table'
"quoted key" = """
first \
   second
third"""
verbatim = '''
it's
 "raw"'''
numbers = [1_000, 0xff, -3.5e2, inf, true, 1979-05-27T07:32:00Z]
empty = ""

[servers.alpha]
ip = "10.0.0.1"   # a note
tags = ["a,b", 'c]', """d
e"""]
limits = { cpu = 2, "mem.max" = "4 GiB", nested = { deep = "x" } }
a.dotted.key = "value"

[[users]]
name = "bob"
password = "tr0ub4dor&3"
[[users]]
name = "alice"
password = 'correct horse # battery'
"####;

#[test]
fn tomllib_sees_the_same_document() {
    for text in [SAMPLE.to_owned(), SAMPLE.replace('\n', "\r\n"), SAMPLE.trim_end().to_owned()] {
        assert!(agrees("tomllib", CodecId::Toml, &text, &["bob", "alice"]) > 15);
    }
}
