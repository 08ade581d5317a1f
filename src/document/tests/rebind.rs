//! What was renamed in the store opens again, in its new place, and nothing is sealed anew without
//! need.

use super::super::{Rebound, Was};
use super::*;

fn rebind(sealing: &Sealing, file: &str, stored: &[u8], was: &Was) -> Option<Rebound> {
    sealing.rebind(&path(file), stored, was).unwrap_or_else(|error| panic!("{error}"))
}

fn renamed(from: &str, to: &str, file: &str) -> Was {
    Was { file: path(file), field: Some((field(from), field(to))) }
}

const VIEW: &str = "[db]\npassword = 'hunter2x'\nurl = 'a://u:hunter3x@h' # token = 'c'\n\
                    [mail]\ntoken = 'canary'\n";

#[test]
fn a_table_that_was_renamed_by_hand_opens_under_its_new_name() {
    let sealing = builtin();
    let sealed = sealing.sealed("x.toml", VIEW, &[]);
    let text = String::from_utf8(sealed.stored).unwrap();
    let moved = text.replace("[db]", "[database]");
    assert!(sealing.open(&path("x.toml"), moved.as_bytes()).is_err());
    let was = renamed("db", "database", "x.toml");
    let rebound = rebind(&sealing, "x.toml", moved.as_bytes(), &was).unwrap();
    assert_eq!(rebound.values, 3);
    let stored = rebound.sealed.stored;
    assert_eq!(sealing.view("x.toml", &stored), VIEW.replace("[db]", "[database]"));
    let (before, after) = (tokens_in(text.as_bytes()), tokens_in(&stored));
    assert_eq!(before[3], after[3], "what was not renamed keeps its token");
    assert!(rebind(&sealing, "x.toml", &stored, &was).is_none(), "a second time");
}

#[test]
fn a_secret_that_moved_to_a_harmless_name_stays_sealed() {
    let sealing = builtin();
    let sealed = sealing.sealed("x.toml", VIEW, &[]).stored;
    let moved = String::from_utf8(sealed).unwrap().replace("[mail]\ntoken", "[mail]\ncolour");
    let was = renamed("mail.token", "mail.colour", "x.toml");
    let rebound = rebind(&sealing, "x.toml", moved.as_bytes(), &was).unwrap();
    assert_eq!(rebound.sealed.ledger, [field("mail.colour")]);
    assert!(!String::from_utf8(rebound.sealed.stored).unwrap().contains("canary"));
}

#[test]
fn tokens_bound_to_a_file_follow_it() {
    let sealing = Sealing { binding: Binding::File, ..builtin() };
    for (old, new, view) in [("a.toml", "b.toml", VIEW), ("a.key", "b.key", "canary")] {
        let stored = sealing.sealed(old, view, &[]).stored;
        assert!(sealing.open(&path(new), &stored).is_err());
        let was = Was { file: path(old), field: None };
        let rebound = rebind(&sealing, new, &stored, &was).unwrap();
        assert_eq!(sealing.view(new, &rebound.sealed.stored), view);
        assert!(sealing.open(&path(old), &rebound.sealed.stored).is_err());
        assert!(rebind(&sealing, new, &rebound.sealed.stored, &was).is_none());
    }
}

#[test]
fn the_wrong_old_place_is_no_help() {
    let sealing = builtin();
    let sealed = sealing.sealed("x.toml", VIEW, &[]).stored;
    let moved = String::from_utf8(sealed).unwrap().replace("[db]", "[database]");
    let was = renamed("mail", "database", "x.toml");
    let error = sealing.rebind(&path("x.toml"), moved.as_bytes(), &was).unwrap_err();
    assert_eq!(error.field, Some(field("database.password").into()));
}
