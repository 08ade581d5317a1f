//! An unchanged value keeps its token, and each token is used once.

use super::*;

#[test]
fn a_changed_value_changes_its_own_token_and_no_other_byte() {
    let sealing = everything();
    for (file, view) in [
        ("x.toml", "a = 'one' # n\n[t]\nb = \"two\"\nl = [1, 1, 2]\n# c = 'x'\n"),
        ("x.json", "{\"a\": \"one\", // \"c\": \"x\"\n \"t\": {\"b\": \"two\"}, \"l\": [1, 1, 2]}"),
        ("x.env", "A=one # n\nexport B='two'\n# C=x\nB=two\n"),
    ] {
        let old = sealing.sealed(file, view, &[]);
        let new = sealing.sealed(file, &view.replace("two", "three"), &[&old.stock]);
        assert_eq!(without_tokens(&old.stored), without_tokens(&new.stored));
        let (old, new) = (tokens_in(&old.stored), tokens_in(&new.stored));
        let changed = view.matches("two").count();
        assert_eq!(old.iter().zip(&new).filter(|(old, new)| old != new).count(), changed, "{file}");
    }
}

#[test]
fn an_inserted_or_moved_list_element_keeps_every_token() {
    let sealing = ruled("[[file]]\npath = \"*\"\nsecret = [\"l\", \"s\"]\n");
    let old = sealing.sealed("x.toml", "l = ['a', 'b', 'a']\ns.x = 1\ns.y = 1\n", &[]);
    let old_tokens = tokens_in(&old.stored);
    let [a, b, c, x, y] = &old_tokens[..] else { panic!("five tokens") };

    let view = "# new\ns.y = 1\nl = ['b', 'new', 'a', 'a']\ns.x = 1\n";
    let new = sealing.sealed("x.toml", view, &[&old.stock]);
    let new_tokens = tokens_in(&new.stored);
    let new_value = new_tokens[2].clone();
    assert!(!old_tokens.contains(&new_value));
    assert_eq!(new_tokens, [y, b, &new_value, a, c, x].map(String::clone));
}

#[test]
fn equal_values_never_share_a_token() {
    let sealing = everything();
    let old = sealing.sealed("x.json", "[\"same-value\"]", &[]);
    // Known from two places: the file, and what was last seen under its name.
    let stocks = [&old.stock, &old.stock.clone(), &sealing.opened("x.json", &old.stored).stock];
    let new = sealing.sealed("x.json", "[\"same-value\", \"same-value\"]", &stocks);
    let tokens = tokens_in(&new.stored);
    assert_eq!(tokens[0], tokens_in(&old.stored)[0]);
    assert_ne!(tokens[0], tokens[1]);
}

#[test]
fn the_best_stock_comes_first() {
    let sealing = everything();
    let [one, two] = [(); 2].map(|()| sealing.sealed("x.env", "A=value\n", &[]));
    let new = sealing.sealed("x.env", "A=value\n", &[&two.stock, &one.stock]);
    assert_eq!(new.stored, two.stored);
}

#[test]
fn parts_and_comments_keep_their_tokens_too() {
    let view = "url = \"a://u:hunter22222@h\" # password = \"old\"\nport = 1\n";
    let old = builtin().sealed("x.toml", view, &[]);
    assert_eq!(tokens_in(&old.stored).len(), 2);
    let new = builtin().sealed("x.toml", &view.replace("= 1", "= 2"), &[&old.stock]);
    assert_eq!(tokens_in(&new.stored), tokens_in(&old.stored));
}

#[test]
fn a_token_made_by_hand_is_kept_by_the_next_save() {
    for (file, text, changed) in [
        (
            "x.toml",
            "password = \"T0\"\nport = 1\n",
            "password = \"it's a \\\"secret\\\"\"\nport = 2\n",
        ),
        ("x.env", "password=T0\nport=1\n", "password='it'\nport=2\n"),
    ] {
        let sealing = builtin();
        let value: &[u8] = if file == "x.env" { b"it has blanks" } else { b"it's a \"secret\"" };
        let token = sealing.seal_value(&path(file), &field("password"), value, Binding::Field);
        let stored = with_tokens(text, std::slice::from_ref(&token));
        let opened = sealing.opened(file, &stored);
        let view = String::from_utf8(opened.view.to_vec()).unwrap();
        let saved = sealing.sealed(file, &view.replace('1', "2"), &[&opened.stock]);
        assert_eq!(tokens_in(&saved.stored), [token]);
        if file == "x.toml" {
            assert_eq!(sealing.view(file, &saved.stored), changed);
        }
    }
}

#[test]
fn a_token_bound_to_another_file_is_not_kept_here() {
    for demanded in [Binding::Field, Binding::File] {
        let bound = Sealing { binding: Binding::File, ..builtin() };
        let old = bound.sealed("old.toml", "password = 'hunter22222'\n", &[]);
        let sealing = Sealing { binding: demanded, ..builtin() };
        let new = sealing.sealed("new.toml", "password = 'hunter22222'\n", &[&old.stock]);
        assert_eq!(new.form, Form::Fields(CodecId::Toml));
        assert_ne!(tokens_in(&new.stored), tokens_in(&old.stored));
        // Nor when it rode along in a file that could not be read for a while.
        let torn = sealing.sealed("new.toml", "password = 'hunter22", &[&old.stock]);
        let new = sealing.sealed("new.toml", "password = 'hunter22222'\n", &[&torn.stock]);
        assert_eq!(new.form, Form::Fields(CodecId::Toml));
        assert_ne!(tokens_in(&new.stored), tokens_in(&old.stored));
    }
}

#[test]
fn beside_a_token_that_may_not_be_kept_the_others_are() {
    let sealing = Sealing { binding: Binding::File, ..builtin() };
    let other = sealing.sealed("old.toml", "token = 'hunter33333'\n", &[]);
    let own = sealing.sealed("new.toml", "password = 'hunter22222'\n", &[]);
    let view = "password = 'hunter22222'\ntoken = 'hunter33333'\n";
    let new = sealing.sealed("new.toml", view, &[&other.stock, &own.stock]);
    assert_eq!(tokens_in(&new.stored)[0], tokens_in(&own.stored)[0]);
    assert_ne!(tokens_in(&new.stored)[1], tokens_in(&other.stored)[0]);
}

#[test]
fn legacy_tokens_are_kept_until_a_rewrap_has_begun() {
    let view = "password = 'hunter22222'\n";
    let old = builtin().sealed("x.toml", view, &[]);
    let sealing = under(2, &[1], Policy::builtin());
    assert_eq!(sealing.sealed("x.toml", view, &[&old.stock]).stored, old.stored);
    let sealing = Sealing { keep_legacy_tokens: false, ..sealing };
    for view in [view, "password = 'hunter22", view] {
        let new = sealing.sealed("x.toml", view, &[&old.stock]);
        let token = new.stock.tokens().next().unwrap();
        assert!(sealing.sealer.is_current(token));
        // The remembered ones count too.
        let key = key(2).id();
        assert!(new.stock.items.iter().all(|item| item.token.key_id() == key));
    }
}

#[test]
fn taking_tokens_from_a_large_stock_costs_one_comparison_each() {
    // All equal: a search from the start each time would take 4 * 10^8 comparisons here.
    let sealing = everything();
    let view = format!("[{}]", vec!["\"same-value\""; 20_000].join(","));
    let old = sealing.seal(&path("x.json"), view.as_bytes(), &[], Existing::Sealed);
    let new = sealing.seal(&path("x.json"), view.as_bytes(), &[&old.stock], Existing::Sealed);
    assert_eq!(old.stored, new.stored);
}
