//! YAML, judged by PyYAML and ruamel.yaml.

use confseal::format::CodecId;

use super::judge::agrees;

const SAMPLE: &str = r####"# a shop
title: Shop "Zum äußersten" # a note
single: 'it''s # so'
double: "tab\tand \u00e4 \
  goes on"
empty: ""
number: 0x1f
no: ~
unset:
date: 2001-12-14
literal: |
  first
    second

  # no comment
clipped: |-  # a note
  x: y

folded: >
  one
  two

   three
kept: |+
  kept


indented: |2
     by two
plain: goes
  on

  and on
list:
- a
-   b
- - c
  - - d
- {e: f, "g":'h', i: [j, k # a note
  ]}
users:
  - name: bob
    password: &secret |
      tr0ub4dor
    deeper: |1
       by one
  - name: alice
    password: *secret
base: &base
  host: h
  port: 5432
merged:
  <<: *base
  host: other
tagged: !!str 5
? complex
: value
nested:
    deep:
        text: "1"   # a note
last: 'line
  break'
"####;

const STREAM: &str =
    "%YAML 1.1\n---\na: x\n...\n---\n- y\n- |\n z\n--- >\n plain\n text\n--- 'w'\n";

#[test]
fn pyyaml_and_ruamel_see_the_same_document() {
    let marked = format!("\u{feff}{SAMPLE}");
    let texts =
        [SAMPLE.to_owned(), SAMPLE.replace('\n', "\r\n"), SAMPLE.trim_end().to_owned(), marked];
    for text in texts {
        for judge in ["pyyaml", "ruamel"] {
            assert_eq!(agrees(judge, CodecId::Yaml, &text, &["bob", "alice"]), 32);
        }
    }
}

#[test]
fn they_see_the_same_documents_of_a_stream() {
    for judge in ["pyyaml", "ruamel"] {
        assert_eq!(agrees(judge, CodecId::Yaml, STREAM, &[]), 5);
    }
}
