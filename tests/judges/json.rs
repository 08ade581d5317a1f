//! JSON, judged by Python's json.

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
