//! Which fields are sealed: tokens written by the app, what was sealed before, the ledger.

use super::*;
use crate::document::WholeBecause;

#[test]
fn a_token_written_by_the_app_is_sealed_again_and_comes_back_verbatim() {
    let sealing = ruled("[[file]]\npath = \"*\"\npublic = [\"note\", \"other\"]\n");
    let first = sealing.sealed("x.toml", "password = 'hunter22222'\nnote = 'x'\n", &[]);
    let token = &tokens_in(&first.stored)[0];
    for view in [
        // Copied to a public field, within a value, back onto its own field, and elsewhere.
        format!("password = 'hunter22222'\nnote = '{token}'\n"),
        format!("note = 'see {token}.'\nother = 'a://u:{token}@h'\n"),
        format!("password = '{token}'\n"),
        format!("# password = '{token}'\n# see {token}\n"),
        "note = 'ENC:'\nother = 'ENC:v1:'\n".to_owned(),
        "note = 'x ENC:v1:'\nother = 'x ENC:v9:y'\n".to_owned(),
    ] {
        let sealed = sealing.sealed("x.toml", &view, &[&first.stock]);
        assert!(sealed.form == Form::Fields(CodecId::Toml) || sealed.form == Form::Whole);
        if !view.contains("see ENC") && !view.contains("# see") {
            assert_eq!(sealed.form, Form::Fields(CodecId::Toml), "{view}");
        }
        if !view.starts_with("password = 'hunter") {
            assert!(
                !tokens_in(&sealed.stored)
                    .iter()
                    .any(|new| new == token && !view.contains("# see"))
            );
        }
    }
    let sealed = sealing.sealed("x.toml", "note = 'ENC:'\nother = 'x ENC:v9:y'\n", &[]);
    assert_eq!(without_tokens(&sealed.stored), "note = \"T0\"\nother = \"T1\"\n");
    assert!(sealed.ledger.is_empty());
}

#[test]
fn a_marker_that_only_decoding_shows_is_sealed() {
    let view = "{\"note\": \"\\u0045NC:x\", \"b\": \"x \\u0045NC:v1:\"}";
    let sealed = builtin().sealed("x.json", view, &[]);
    assert_eq!(without_tokens(&sealed.stored), "{\"note\": \"T0\", \"b\": \"T1\"}");
}

#[test]
fn a_field_found_sealed_though_no_rule_names_it_is_told_and_stays_sealed() {
    let sealing = builtin();
    let token = sealing.seal_value(&path("x.toml"), &field("a.pin"), b"1234", Binding::Field);
    let stored = with_tokens("a.pin = 'T0'\nport = 1\n", &[token]);
    let opened = sealing.opened("x.toml", &stored);
    assert_eq!(opened.unruled, [field("a.pin")]);

    // Its next value is sealed, and the ledger hears of it.
    let next = sealing.sealed("x.toml", "a.pin = 5678\nport = 1\n", &[&opened.stock]);
    assert_eq!(without_tokens(&next.stored), "a.pin = \"T0\"\nport = 1\n");
    assert_eq!(next.ledger, [field("a.pin")]);

    // Once it is entered, nothing needs to be said, and no stock is needed.
    let mut ledger = Ledger::new();
    ledger.insert(&path("x.toml"), &field("a.pin"));
    let entered = Sealing { ledger: Arc::new(ledger), ..builtin() };
    let next = entered.sealed("x.toml", "a.pin = 9\n", &[]);
    assert_eq!(without_tokens(&next.stored), "a.pin = \"T0\"\n");
    assert!(next.ledger.is_empty());
    assert!(entered.opened("x.toml", &next.stored).unruled.is_empty());

    // A rule that makes it public is an answer.
    let public = ruled("[[file]]\npath = \"*\"\npublic = [\"a.pin\"]\n");
    let opened = public.opened("x.toml", &stored);
    assert!(opened.unruled.is_empty());
    let next = public.sealed("x.toml", "a.pin = 5678\n", &[&opened.stock]);
    assert_eq!(next.stored, b"a.pin = 5678\n");
}

#[test]
fn ruled_fields_need_no_ledger() {
    let sealed = builtin().sealed("x.toml", "password = 'a'\nurl = 'a://u:hunter22222@h'\n", &[]);
    assert!(sealed.ledger.is_empty());
    assert!(builtin().opened("x.toml", &sealed.stored).unruled.is_empty());
    let next = builtin().sealed("x.toml", "password = ''\nurl = 'a://u@h'\n", &[&sealed.stock]);
    assert!(next.ledger.is_empty());
}

#[test]
fn a_field_sealed_as_a_whole_is_not_laid_open_but_for_a_part() {
    let sealing = builtin();
    let url = b"postgres://app:hunter22222@db/shop";
    let token = sealing.seal_value(&path("x.toml"), &field("dsn.x"), url, Binding::Field);
    let stored = with_tokens("dsn.x = \"T0\"\nport = 1\n", std::slice::from_ref(&token));
    let opened = sealing.opened("x.toml", &stored);
    let view = String::from_utf8(opened.view.to_vec()).unwrap();
    let next = sealing.sealed("x.toml", &view.replace("= 1", "= 2"), &[&opened.stock]);
    assert_eq!(without_tokens(&next.stored), "dsn.x = \"T0\"\nport = 2\n");
    assert_eq!(tokens_in(&next.stored), [token]);
    // Unless a rule says that the field is public: then the password alone is secret.
    let public = ruled("[[file]]\npath = \"*\"\npublic = [\"dsn\"]\n");
    let next = public.sealed("x.toml", &view, &[&opened.stock]);
    assert!(next.stored.starts_with(b"dsn.x = \"postgres://app:ENC:v1:"));
}

#[test]
fn user_info_is_sealed_as_a_part_and_the_rest_can_be_read() {
    for (file, view, sealed) in [
        ("x.toml", "u = 'postgres://app:hunter22222@db/shop'", "u = 'postgres://app:T0@db/shop'"),
        (
            "x.json",
            "{\"u\": \"a://u:hunter22222@h,a://v:hunter33333@i\"}",
            "{\"u\": \"a://u:T0@h,a://v:T1@i\"}",
        ),
        ("x.env", "U=postgres://app:hunter22222@db # n", "U=postgres://app:T0@db # n"),
        ("x.toml", "# u = 'postgres://app:hunter22222@db'", "# u = 'postgres://app:T0@db'"),
        // With escapes it is sealed as a whole.
        ("x.json", "{\"u\": \"a:\\/\\/u:hunter22222@h\"}", "{\"u\": \"T0\"}"),
    ] {
        let stored = builtin().sealed(file, view, &[]).stored;
        assert_eq!(without_tokens(&stored), sealed);
    }
}

#[test]
fn the_name_of_a_list_element_stays_and_its_value_is_sealed() {
    let view = "{\"env\": [{\"name\": \"DB_PASSWORD\", \"value\": \"hunter22222\"}]}";
    let stored = builtin().sealed("x.json", view, &[]).stored;
    assert_eq!(
        without_tokens(&stored),
        "{\"env\": [{\"name\": \"DB_PASSWORD\", \"value\": \"T0\"}]}"
    );
    // A name that must be sealed takes its file with it.
    let sealed = everything().sealed("x.json", view, &[]);
    assert_eq!(sealed.form, Form::Whole);
}

#[test]
fn fields_that_share_a_path_are_counted() {
    let sealing = builtin();
    let cred = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let view = format!("l = ['{cred}', 'plain']\n");
    let first = sealing.sealed("x.toml", &view, &[]);
    assert_eq!(without_tokens(&first.stored), "l = [\"T0\", 'plain']\n");
    // The neighbour of a secret is none for it, not with the next save either.
    let next = sealing.sealed("x.toml", &view.replace("plain", "other"), &[&first.stock]);
    assert_eq!(without_tokens(&next.stored), "l = [\"T0\", 'other']\n");
    assert!(next.ledger.is_empty());
    // But which of these is the new spelling of the secret?
    let next = sealing.sealed("x.toml", &view.replace(cred, "new"), &[&first.stock]);
    assert_eq!(without_tokens(&next.stored), "l = [\"T0\", \"T1\"]\n");
    assert_eq!(next.ledger, [field("l[]")]);
}

#[test]
fn a_copy_of_a_secret_is_sealed_and_enters_no_ledger() {
    let sealing = builtin();
    let view = "password = 'hunter22222'\nl = ['hunter22222, he said', 'hunter22222, he said, she said', 'x']\n";
    let sealed = sealing.sealed("x.toml", view, &[]);
    let expected = "password = \"T0\"\nl = [\"T1\", \"T2\", 'x']\n";
    assert_eq!(without_tokens(&sealed.stored), expected);
    let opened = sealing.opened("x.toml", &sealed.stored);
    assert!(opened.unruled.is_empty());
    let again = sealing.sealed("x.toml", view, &[&opened.stock]);
    assert_eq!(again.stored, sealed.stored);
    assert!(again.ledger.is_empty());
}

#[test]
fn a_new_file_that_no_rule_names_may_be_somebodys_temporary_one() {
    let sealing = ruled("[[file]]\npath = \"app.toml\"\nsecret = [\"room.hue\"]\n");
    let view = "[room]\nhue = 4711\nname = 'front'\n";
    let seal = |file: &str, existing| {
        let sealed = sealing.seal(&path(file), view.as_bytes(), &[], existing);
        without_tokens(&sealed.stored)
    };
    let sealed = "[room]\nhue = \"T0\"\nname = 'front'\n";
    assert_eq!(seal("tmpab12.toml", Existing::Nothing), sealed);
    assert_eq!(seal("app.toml", Existing::Nothing), sealed);
    // One that was there is its own file, and what a rule says of others is not said of it.
    assert_eq!(seal("tmpab12.toml", Existing::Plain), view);
    let named = ruled(
        "[[file]]\npath = \"app.toml\"\nsecret = [\"room.hue\"]\n\
         [[file]]\npath = \"other.toml\"\npublic = [\"room\"]\n",
    );
    let other = named.seal(&path("other.toml"), view.as_bytes(), &[], Existing::Nothing);
    assert_eq!(other.form, Form::Plain);
}

const ODD: &str = "[[file]]\npath = \"odd.cfg\"\nformat = \"regex\"\n\
                   pattern = '(?m)^(?P<name>\\w+):(?P<value>.+)$'\n";

#[test]
fn what_a_pattern_matches_is_sealed_in_place() {
    let sealing = ruled(ODD);
    let first = sealing.sealed("odd.cfg", "pass:hunter22222\nother\nurl:a\n", &[]);
    assert_eq!(without_tokens(&first.stored), "pass:T0\nother\nurl:T1\n");
    let next = sealing.sealed("odd.cfg", "url:b\npass:hunter22222\n", &[&first.stock]);
    assert_eq!(tokens_in(&next.stored)[1], tokens_in(&first.stored)[0]);
}

#[test]
fn a_pattern_that_matched_and_does_no_more_seals_the_file_until_it_does_again() {
    let sealing = ruled(ODD);
    let first = sealing.sealed("odd.cfg", "pass:hunter22222\n", &[]);
    let lost = sealing.sealed("odd.cfg", "pass = hunter22222\n", &[&first.stock]);
    assert_eq!(lost.whole, Some(WholeBecause::NoMatch));
    assert!(WholeBecause::NoMatch.is_amiss());
    let again = sealing.sealed("odd.cfg", "pass still = hunter22222\n", &[&lost.stock]);
    assert_eq!(again.whole, Some(WholeBecause::NoMatch));
    let back = sealing.sealed("odd.cfg", "pass:hunter22222\n", &[&again.stock]);
    assert_eq!(back.stored, first.stored);
    // One that never matched says nothing.
    assert_eq!(sealing.sealed("odd.cfg", "nothing\n", &[]).form, Form::Plain);
}

#[test]
fn a_pattern_that_takes_no_token_seals_the_file_and_says_so() {
    for value in ["[a-z]+", "\\w{1,16}"] {
        let policy = format!(
            "[[file]]\npath = \"odd.cfg\"\nformat = \"regex\"\npattern = 'pass:(?P<value>{value})'\n"
        );
        let sealed = ruled(&policy).sealed("odd.cfg", "pass:hunter\n", &[]);
        assert_eq!(sealed.whole, Some(WholeBecause::NoToken), "{value}");
    }
}

#[test]
fn secrets_of_keywords_and_properties_are_sealed_and_their_neighbours_stay() {
    let sealing = builtin();
    for (file, view, stored) in [
        (
            "app.properties",
            "spring.datasource.url=jdbc:x?user=a&password=hunter22222&ssl=1\n\
             my.api.key = abcdefgh \\\n   ijkl\n#old.password=x\nserver.port=1\n",
            "spring.datasource.url=jdbc:x?user=a&password=T0&ssl=1\n\
             my.api.key = T1\n#old.password=T2\nserver.port=1\n",
        ),
        (
            "client.properties",
            "sasl.jaas.config=org.Plain required username=\"u\" password=\"hunter22222\";\n",
            "sasl.jaas.config=org.Plain required username=\"u\" password=\"T0\";\n",
        ),
        (
            "redis.conf",
            "# requirepass foobared\nrequirepass \"hunter 2\"\nport 6379\n\
             user app on >hunter22222 ~*\nsentinel auth-pass m hunter3\n",
            "# requirepass T0\nrequirepass T1\nport 6379\nuser app on >T2 ~*\n\
             sentinel auth-pass m T3\n",
        ),
        (
            "postgresql.conf",
            "port = 5432\nprimary_conninfo = 'host=a password=hunter22222'\n#api_key = 'x y'\n",
            "port = 5432\nprimary_conninfo = 'host=a password=T0'\n#api_key = 'T1'\n",
        ),
        (
            "nginx.conf",
            "http { server { set $api_key \"x y\"; proxy_set_header Authorization \
             \"Bearer abcdefghijklmnop1234\"; listen 80; } }",
            "http { server { set $api_key T0; proxy_set_header Authorization \
             T1; listen 80; } }",
        ),
        ("ldap.conf", "base dc=x\nbindpw hunter 2\n", "base dc=x\nbindpw T0\n"),
        ("ldap.conf", "uri ldap://x\nbindpw hunter:2=x\n", "uri ldap://x\nbindpw T0\n"),
    ] {
        let sealed = sealing.sealed(file, view, &[]);
        assert_eq!(without_tokens(&sealed.stored), stored, "{file}: {:?}", sealed.whole);
    }
}
