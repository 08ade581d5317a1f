//! A field gets another value: in its place, spelled for it, and nothing else changes.

use super::super::FieldError;
use super::*;

fn set(file: &str, view: &str, name: &str, value: &str) -> Result<String, FieldError> {
    let set =
        builtin().with_value(&path(file), view.as_bytes(), &field(name), value.as_bytes(), false);
    set.map(|view| String::from_utf8(view.to_vec()).unwrap())
}

#[test]
fn a_value_is_spelled_for_its_place() {
    for (file, view, name, value, expected) in [
        ("x.toml", "a.b = 'x' # n\n", "a.b", "it's \"so\"\n", "a.b = \"it's \\\"so\\\"\\n\" # n\n"),
        ("x.toml", "a = 1\n", "a", "-27", "a = -27\n"),
        ("x.toml", "a = 1\n", "a", "007", "a = \"007\"\n"),
        ("x.toml", "a = 'x'\n", "a", "27", "a = \"27\"\n"),
        ("x.toml", "a = true\n", "a", "false", "a = false\n"),
        ("x.toml", "a = true\n", "a", "no", "a = \"no\"\n"),
        ("x.json", "{\"a\": 1, \"b\": 2}", "b", "3.5", "{\"a\": 1, \"b\": 3.5}"),
        ("x.json", "{\"a\": 1}", "a", "+1", "{\"a\": \"+1\"}"),
        ("x.json", "{\"a\": 1}", "a", "1]", "{\"a\": \"1]\"}"),
        ("x.json", "{\"a\": \"x\"}", "a", "\"", "{\"a\": \"\\\"\"}"),
    ] {
        assert_eq!(set(file, view, name, value).unwrap(), expected, "{view} {value}");
    }
    let env = set("x.env", "A=x # n\nB=y\n", "A", "two words # 'q'").unwrap();
    assert!(env.ends_with(" # n\nB=y\n"), "{env}");
    assert_eq!(set("x.env", &env, "A", "x").unwrap().matches('#').count(), 1);
}

#[test]
fn a_field_that_is_there_several_times_is_set_on_demand_only() {
    let view = "l = [\n 'a',\n 'b'\n]\n";
    let lines = vec![2, 3];
    assert_eq!(
        set("x.toml", view, "l[]", "c"),
        Err(FieldError::Several { field: field("l[]"), lines })
    );
    let all = builtin().with_value(&path("x.toml"), view.as_bytes(), &field("l[]"), b"c", true);
    assert_eq!(&all.unwrap()[..], b"l = [\n \"c\",\n \"c\"\n]\n");
}

#[test]
fn a_missing_field_brings_those_that_are_meant_perhaps() {
    let view = "[db]\npassword = 'x'\nuser = 'y'\n[mail]\npassword = 'z'\n# old = 'c'\n";
    for (name, expected) in [
        ("password", vec!["db.password", "mail.password"]),
        ("db.pasword", vec!["db.password"]),
        ("db.usre", vec!["db.user"]),
        ("db.old", vec![]),
        ("mail.old", vec![]),
    ] {
        match set("x.toml", view, name, "new") {
            Err(FieldError::Missing { near, .. }) => {
                let near: Vec<_> = near.iter().map(ToString::to_string).collect();
                assert_eq!(near, expected, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn what_has_no_fields_or_no_spelling_is_refused() {
    assert_eq!(set("x.key", "a", "a", "b"), Err(FieldError::NoFields));
    assert!(matches!(set("x.toml", "a = [", "a", "b"), Err(FieldError::Unreadable(_))));
    let bytes = builtin().with_value(&path("x.json"), b"{\"a\": 1}", &field("a"), b"\xff", false);
    assert_eq!(bytes, Err(FieldError::NoSpelling(field("a"))));
}
