//! From a legacy key to the master, the view untouched.

use super::*;
use crate::document::{Cause, token_keys};
use crate::token::TokenError;

const VIEWS: [(&str, &str); 5] = [
    (
        "x.toml",
        "\u{feff}password = 'hunter2' # token = old\r\nport = 1\r\nurl = \"a://u:hunter22222@h,a://v:hunter33333@i\"\r\n",
    ),
    ("x.json", "{\"password\": \"a\\\"b\", /* \"token\": \"old\" */ \"port\": 1}"),
    ("x.env", "PASSWORD='a\nb'\n# TOKEN=old\nPORT=1"),
    ("id_rsa", "key material"),
    ("unknown", "anything"),
];

#[test]
fn every_token_comes_under_the_master_key_and_the_view_stays() {
    for (file, view) in VIEWS {
        let stored = builtin().sealed(file, view, &[]).stored;
        let sealing = under(2, &[1], Policy::builtin());
        let rewrapped = sealing.rewrap(&path(file), &stored, false).unwrap();
        let new = rewrapped.stored.expect("it had to change");
        assert_eq!(rewrapped.tokens, token_keys(&stored).count(), "{file}");
        assert!(token_keys(&new).all(|id| id == key(2).id()), "{file}");
        assert_eq!(token_keys(&new).count(), rewrapped.tokens);
        // The legacy key is no longer needed.
        assert_eq!(under(2, &[], Policy::builtin()).view(file, &new), view);
        assert_eq!(sealing.rewrap(&path(file), &new, false).unwrap(), Default::default());
        if file.contains('.') {
            assert_eq!(without_tokens(&new), without_tokens(&stored));
        }
    }
}

#[test]
fn all_renews_tokens_under_the_master_key_too() {
    for (file, view) in VIEWS {
        let sealing = builtin();
        let stored = sealing.sealed(file, view, &[]).stored;
        assert_eq!(sealing.rewrap(&path(file), &stored, false).unwrap().stored, None);
        let new = sealing.rewrap(&path(file), &stored, true).unwrap();
        assert_eq!(new.tokens, token_keys(&stored).count());
        let new = new.stored.unwrap();
        assert_eq!(sealing.view(file, &new), view);
        let old = tokens_in(&stored);
        assert!(new != stored && tokens_in(&new).iter().all(|token| !old.contains(token)));
    }
}

#[test]
fn only_tokens_that_need_it_are_renewed() {
    let old = builtin().sealed("x.toml", "password = 'hunter22222'\n", &[]).stored;
    let new =
        under(2, &[], Policy::builtin()).sealed("x.toml", "token = 'hunter33333'\n", &[]).stored;
    let sealing = under(2, &[1], Policy::builtin());
    let mixed = [&old[..], &new].concat();
    let rewrapped = sealing.rewrap(&path("x.toml"), &mixed, false).unwrap();
    assert_eq!(rewrapped.tokens, 1);
    assert!(rewrapped.stored.unwrap().ends_with(&new));
}

#[test]
fn the_quotes_that_someone_chose_stay() {
    let token = tokens_in(&builtin().sealed("x.env", "PASSWORD=hunter22222\n", &[]).stored);
    let stored = with_tokens("PASSWORD='T0' # by hand\n", &token);
    let sealing = under(2, &[1], Policy::builtin());
    let new = sealing.rewrap(&path("x.env"), &stored, false).unwrap().stored.unwrap();
    assert_eq!(without_tokens(&new), "PASSWORD='T0' # by hand\n");
}

#[test]
fn a_value_sealed_by_hand_stays_one() {
    let old = builtin();
    let token = old.seal_value(&path("x.toml"), &field("password"), b"a\tb", Binding::Field);
    let stored = with_tokens("password = 'T0'\n", &[token]);
    let sealing = under(2, &[1], Policy::builtin());
    let new = sealing.rewrap(&path("x.toml"), &stored, false).unwrap().stored.unwrap();
    assert_eq!(sealing.view("x.toml", &new), "password = \"a\\tb\"\n");
}

#[test]
fn remembered_tokens_of_a_whole_file_come_along() {
    let view = "password = 'hunter22222'\n";
    let old = builtin();
    let first = old.sealed("x.toml", view, &[]);
    let torn = old.sealed("x.toml", "password = '", &[&first.stock]).stored;
    let sealing = under(2, &[1], Policy::builtin());
    let rewrapped = sealing.rewrap(&path("x.toml"), &torn, false).unwrap();
    assert_eq!(rewrapped.tokens, 2);
    let new = rewrapped.stored.unwrap();
    assert_eq!(sealing.rewrap(&path("x.toml"), &new, false).unwrap().stored, None);
    let alone = under(2, &[], Policy::builtin());
    let opened = alone.opened("x.toml", &new);
    assert_eq!(&opened.view[..], b"password = '");
    assert_eq!(opened.stock.items.len(), 1);
    assert!(alone.sealer.is_current(&opened.stock.items[0].token));
    let saved = alone.sealed("x.toml", view, &[&opened.stock]);
    assert_eq!(tokens_in(&saved.stored), [opened.stock.items[0].token.to_string()]);
}

#[test]
fn a_whole_file_with_a_current_token_and_an_old_memory_is_rewrapped() {
    let first = builtin().sealed("x.toml", "password = 'hunter22222'\n", &[]);
    let sealing = under(2, &[1], Policy::builtin());
    let torn = sealing.sealed("x.toml", "password = '", &[&first.stock]);
    assert!(token_keys(&torn.stored).all(|id| id == key(2).id()));
    let rewrapped = sealing.rewrap(&path("x.toml"), &torn.stored, false).unwrap();
    assert_eq!(rewrapped.tokens, 1);
    assert!(rewrapped.stored.is_some());
}

#[test]
fn a_broken_token_is_an_error_and_nothing_is_written() {
    let stored = builtin().sealed("x.toml", "password = 'hunter22222'\ntoken = 'x'\n", &[]).stored;
    let tokens = tokens_in(&stored);
    let text = "password = \"T1\"\ntoken = \"T1\"\n";
    let error = under(2, &[1], Policy::builtin())
        .rewrap(&path("x.toml"), &with_tokens(text, &tokens), false)
        .unwrap_err();
    assert_eq!(error.field, Some(field("password").into()));
    assert_eq!(error.cause, Cause::Token(TokenError::Tampered(key(1).id())));
    let unknown =
        under(2, &[], Policy::builtin()).rewrap(&path("x.toml"), &stored, false).unwrap_err();
    assert_eq!(unknown.cause, Cause::Token(TokenError::NoKey(key(1).id())));
    assert_eq!(unknown.failing, 2);
    let malformed = builtin().rewrap(&path("x.toml"), b"a = 'ENC:x'\n", false).unwrap_err();
    assert!(matches!(malformed.cause, Cause::Token(TokenError::Malformed(_))));
}

#[test]
fn a_version_kept_aside_is_rewrapped_as_such() {
    let kept = builtin().seal_kept(b"content");
    let sealing = under(2, &[1], Policy::builtin());
    let new = sealing.rewrap_kept(&kept, false).unwrap().stored.unwrap();
    assert_eq!(&under(2, &[], Policy::builtin()).open_kept(&new).unwrap()[..], b"content");
    assert_eq!(sealing.rewrap_kept(&new, false).unwrap().stored, None);
    let whole = builtin().sealed("id_rsa", "x", &[]).stored;
    assert!(sealing.rewrap_kept(&whole, false).is_err());
}

#[test]
fn what_holds_no_token_is_left_alone() {
    for (file, stored) in [
        ("x.toml", "a = 1\n"),
        ("x.toml", "broken ="),
        ("x.toml", "a = \"\\n\""),
        ("unknown", "prose"),
        ("x.toml", ""),
        ("x.toml", "# prose about ENC:v1: tokens\n"),
    ] {
        let rewrapped = builtin().rewrap(&path(file), stored.as_bytes(), true).unwrap();
        assert_eq!(rewrapped, Default::default(), "{stored}");
    }
}

/// Each token is found behind the one before: from the start each time would take minutes.
#[test]
fn many_parts_of_one_value_are_rewrapped_in_linear_time() {
    let urls: Vec<String> = (0..2000).map(|n| format!("a://u:hunter2222{n}@h")).collect();
    let view = format!("urls = \"{}\"\n", urls.join(","));
    let stored = builtin().sealed("x.toml", &view, &[]).stored;
    assert_eq!(tokens_in(&stored).len(), 2000);
    let sealing = under(2, &[1], Policy::builtin());
    assert_eq!(sealing.rewrap(&path("x.toml"), &stored, false).unwrap().tokens, 2000);
}
