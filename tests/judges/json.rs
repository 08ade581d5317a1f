//! JSON, judged by Python's json; JSON5, by its json5.

use confseal::format::CodecId;

use super::judge::agrees;

const SAMPLE: &str = r####"{
  "title": "Shop \"A\u00e4\ud83d\ude00\" \/ \\ \b\f\n\r\t",
  "empty": "", "list": [1, -2.5e10, true, false, null, "x", [], {}, [["deep"]]],
  "ConnectionStrings": {"Default": "Server=db;Password=hunter2;Database=shop"},
  "a.b": {"": "an empty key", "ключ": "значение"},
  "users": [{"name": "bob", "password": "x"}, {"name": "alice", "password": "y{}[]:,"}]
}
"####;

#[test]
fn json_sees_the_same_document() {
    let compact = serde_json::from_str::<serde_json::Value>(SAMPLE).unwrap().to_string();
    let marked = format!("\u{feff}{SAMPLE}");
    for text in [SAMPLE.to_owned(), SAMPLE.replace('\n', "\r\n"), compact, marked] {
        assert!(agrees("json", CodecId::Json, &text, &["bob", "alice"]) > 12);
    }
}

const JSON5: &str = r####"// comments
{
  unquoted: 'and you can quote me on that', /* a note */
  singleQuotes: 'I can use "double quotes" here',
  lineBreaks: "Look, Mom! \
No \\n's!",
  hexadecimal: 0xdecaf, leading: .8675309, trailing: 8675309., positive: +1,
  special: [Infinity, -Infinity, NaN, null, true,],
  'it\'s': "it\'s \x41\u00e4\v\q", $dollar_: {"backwards": "compatible"},
  users: [{name: 'bob', password: 'x'},],
}
"####;

#[test]
fn json5_sees_the_same_document() {
    for text in [JSON5.to_owned(), JSON5.replace('\n', "\r\n")] {
        assert_eq!(agrees("json5", CodecId::Json, &text, &["bob"]), 15);
    }
}
