//! YAML, where what stands in a place depends on more than the place: block scalars and
//! indentation, aliases, comments over several lines.

use super::*;

#[test]
fn a_manifest_keeps_its_shape() {
    let view = "\u{feff}apiVersion: v1\r\nkind: Secret # a note\r\ndata:\r\n  user: Ym9i\r\n---\r\n\
                env:\r\n- name: DB_PASSWORD\r\n  value: 'hunter22'\r\n- name: PORT\r\n  value: \"5432\"\r\n\
                tls:\r\n  private_key: |\r\n    -----BEGIN\r\n    x: y\r\n\r\n  cert: &c [a, b]\r\n\
                list: [DB_PASSWORD=hunter33, A=b]\r\n# token: >-\r\n#   old\r\n#   one\r\nlast: true";
    let sealed = builtin().sealed("x.yaml", view, &[]);
    assert_eq!(sealed.form, Form::Fields(CodecId::Yaml));
    assert_eq!(
        without_tokens(&sealed.stored),
        "\u{feff}apiVersion: v1\r\nkind: Secret # a note\r\ndata:\r\n  user: \"T0\"\r\n---\r\n\
         env:\r\n- name: DB_PASSWORD\r\n  value: \"T1\"\r\n- name: PORT\r\n  value: \"5432\"\r\n\
         tls:\r\n  private_key: \"T2\"\r\n\r\n  cert: &c [a, b]\r\n\
         list: [DB_PASSWORD=T3, A=b]\r\n# token: \"T4\"\r\nlast: true"
    );
}

#[test]
fn a_value_is_secret_where_an_alias_shows_it() {
    for view in [
        "x: &x hunter22222\npassword: *x\n",
        "x: &x [hunter22222]\nauth: {password: *x}\n",
        "x: &x {y: {z: hunter22222}}\nsecret:\n  <<: *x\n",
        "x: &x hunter22222\ny: &y {z: *x}\ntoken: *y\n",
    ] {
        let sealed = builtin().sealed("x.yaml", view, &[]);
        assert_eq!(tokens_in(&sealed.stored).len(), 1, "{view}");
    }
    let sealed = builtin().sealed("x.yaml", "x: &x hunter22222\nuser: *x\n", &[]);
    assert_eq!(sealed.form, Form::Plain);
}

#[test]
fn a_block_scalar_moved_by_hand_is_the_same_value_at_any_indentation() {
    let sealing = everything();
    for (source, value) in [
        ("|\n  one\n   two\n", "one\n two\n"),
        ("|2-\n    one\n", "  one"),
        (">+\n  one\n  two\n\n", "one two\n\n"),
        ("goes\n  on\n", "goes on"),
        ("'it''s\n\n  so'\n", "it's\nso"),
    ] {
        let stored = sealing.sealed("x.yaml", &format!("f: {source}"), &[]).stored;
        let token = &tokens_in(&stored)[..1];
        for place in ["f: \"T0\"\n", "# f: \"T0\"\n", "---\n\n? f\n: \"T0\"\n", "{f: \"T0\" }\n"] {
            let view = sealing.opened("x.yaml", &with_tokens(place, token)).view;
            let sites = CodecId::Yaml.codec().scan(&view).unwrap();
            let [site] = &sites[..] else { panic!("one value") };
            let decoded = CodecId::Yaml.codec().decode(site.span.of(&view), site.context);
            assert_eq!(&decoded.unwrap()[..], value.as_bytes(), "{place}");
        }
    }
}

/// The same field, further in: the path is that of a merged mapping, which adds no step.
#[test]
fn an_explicit_indentation_is_read_where_it_was_written() {
    let sealing = everything();
    let stored = sealing.sealed("x.yaml", "f: |2\n     one\n", &[]).stored;
    let moved = with_tokens("<<:\n    f: \"T0\"\n", &tokens_in(&stored));
    assert_eq!(sealing.view("x.yaml", &moved), "<<:\n    f: \"   one\\n\"\n");
    let stored = sealing.sealed("x.yaml", "<<:\n    f: |\n      one\n", &[]).stored;
    let moved = with_tokens("f: \"T0\"\n", &tokens_in(&stored));
    assert_eq!(sealing.view("x.yaml", &moved), "f: |\n      one\n");
    let stored = sealing.sealed("x.yaml", "f: |\n  one\n", &[]).stored;
    let moved = with_tokens("<<:\n    f: \"T0\"\n", &tokens_in(&stored));
    assert_eq!(sealing.view("x.yaml", &moved), "<<:\n    f: \"one\\n\"\n");
}

#[test]
fn no_line_of_a_commented_out_value_is_left() {
    for view in [
        "# password: |\n#   hunter22222\n#   hunter33333\na: 1\n",
        "a:\n  # token: \"hunter22222\n  #   hunter33333\"\n  b: 1\n",
        "# tokens: [hunter22222,\n#   hunter33333]\na: 1\n",
        "# password: hunter22222\n#   hunter33333\n",
        "# db:\n#   password: hunter22222 # hunter\n#   api:\n#   - token: hunter33333\n",
        "env:\n# - name: DB_PASSWORD\n#   value: hunter22222\n- x\n",
        "a: 1 # password: hunter22222\n",
    ] {
        let sealed = builtin().sealed("x.yaml", view, &[]);
        let stored = String::from_utf8(sealed.stored).unwrap();
        assert!(stored.contains("ENC:v1:"), "{view}");
        assert!(!stored.contains("hunter2") && !stored.contains("hunter3"), "{stored}");
        assert!(matches!(sealed.form, Form::Fields(_)), "{view}");
    }
}

#[test]
fn what_is_no_yaml_goes_whole() {
    for view in ["password: {{ vault_password }}: x\n", "a: *b\n", "a:\n\t- b\n"] {
        let sealed =
            ruled("[[file]]\npath = \"*\"\nsecret = [\"**\"]\n").sealed("x.yaml", view, &[]);
        assert_eq!(sealed.form, Form::Whole, "{view}");
    }
}

/// Longer than YAML allows a key on one line to be.
#[test]
fn a_long_token_stands_wherever_a_short_value_stood() {
    let long = "x".repeat(5000);
    for view in [
        "@",
        "--- @\n",
        "- @\n",
        "a: @\n",
        "a:\n  @\n",
        "[@, @]\n",
        "{a: @}\n",
        "? a\n: @\n",
        "[a: @]\n",
        "# a: @\n",
        "a: |\n  @\n",
        "- ? a\n  : - @\n",
        "[\n@\n]\n",
    ] {
        let sealed = everything().sealed("x.yaml", &view.replace('@', &long), &[]);
        assert_eq!(sealed.form, Form::Fields(CodecId::Yaml), "{view}");
    }
}

#[test]
fn a_tagged_name_of_a_secret_is_none_and_any_other_value_is() {
    let sealing = builtin();
    for (view, stored) in [
        ("password: !secret mqtt_password\n", "password: !secret mqtt_password\n"),
        ("password: !env_var MQTT_PW\n", "password: !env_var MQTT_PW\n"),
        ("password: !secret \"hunter 2\"\n", "password: !secret \"T0\"\n"),
        ("password: !str hunter2\n", "password: !str \"T0\"\n"),
        ("url: !secret pg://u:hunter22222@h\n", "url: !secret pg://u:T0@h\n"),
    ] {
        let sealed = sealing.sealed("x.yaml", view, &[]);
        assert_eq!(without_tokens(&sealed.stored), stored, "{view}");
    }
}

/// Sealed again, and looked at, it is still its option that makes it secret: the ledger, which
/// would name every argument, is left alone.
#[test]
fn an_argument_behind_a_secret_option_is_sealed_and_no_other() {
    let sealing = builtin();
    let view = "args: [run, --api-key, hunter2, --token-ttl, 1h, --user, me]\n";
    let sealed = sealing.sealed("x.yaml", view, &[]);
    let wanted = "args: [run, --api-key, \"T0\", --token-ttl, 1h, --user, me]\n";
    assert_eq!(without_tokens(&sealed.stored), wanted);
    let opened = sealing.open(&path("x.yaml"), &sealed.stored).unwrap();
    assert_eq!((&*opened.view, &*opened.unruled), (view.as_bytes(), &[][..]));
    let again = sealing.seal(&path("x.yaml"), view.as_bytes(), &[&opened.stock], Existing::Sealed);
    assert_eq!((again.stored, &*again.ledger), (sealed.stored, &[][..]));
}
