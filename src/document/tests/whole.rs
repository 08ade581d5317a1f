//! The whole-file form: when it is taken, what it remembers, and the way back.

use super::*;
use crate::document::{Cause, WholeBecause};
use crate::token::TokenError;

fn seal(sealing: &Sealing, file: &str, view: &[u8], existing: Existing) -> Sealed {
    sealing.seal(&path(file), view, &[], existing)
}

#[test]
fn a_half_written_save_loses_nothing_and_the_next_good_one_finds_its_tokens() {
    let sealing = builtin();
    let good = "[db]\npassword = 'hunter22222'\nurl = 'a://u:hunter33333@h'\n";
    let first = sealing.sealed("x.toml", good, &[]);
    let torn = sealing.sealed(
        "x.toml",
        "[db]\npassword = 'hunter22222'\nurl = 'a://u:hun",
        &[&first.stock],
    );
    assert!(matches!(torn.whole, Some(WholeBecause::Unreadable(_))));
    assert!(crate::document::is_whole(&torn.stored));

    // Opened by someone who knows nothing but the file.
    let stock = sealing.opened("x.toml", &torn.stored).stock;
    assert_eq!(stock.len(), 3);
    assert_eq!(tokens(&stock).len(), 1, "the remembered ones do not stand in the text");
    let next = sealing.sealed("x.toml", good, &[&stock]);
    assert_eq!(next.stored, first.stored);

    // Twice torn is still remembered.
    let torn = sealing.sealed("x.toml", "[db", &[&stock]);
    let stock = sealing.opened("x.toml", &torn.stored).stock;
    assert_eq!(sealing.sealed("x.toml", good, &[&stock]).stored, first.stored);
}

#[test]
fn an_unchanged_view_keeps_its_text_and_a_changed_one_does_not() {
    let sealing = builtin();
    let first = sealing.sealed("id_rsa", "key material", &[]);
    assert_eq!(first.whole, Some(WholeBecause::Rule));
    let stock = sealing.opened("id_rsa", &first.stored).stock;
    assert_eq!(sealing.sealed("id_rsa", "key material", &[&stock]).stored, first.stored);
    assert_ne!(sealing.sealed("id_rsa", "key material!", &[&stock]).stored, first.stored);
}

#[test]
fn an_empty_file_stays_empty() {
    for file in ["x.toml", "x.json", "x.env", "id_rsa", "unknown"] {
        let sealed = builtin().sealed(file, "", &[]);
        assert!(sealed.stored.is_empty() && sealed.form == Form::Plain && sealed.stock.is_empty());
    }
}

#[test]
fn an_unknown_file_stays_plain_only_if_it_was_and_holds_no_secret() {
    let sealing = builtin();
    let form = |view: &str, existing| seal(&sealing, "unknown", view.as_bytes(), existing).form;
    assert_eq!(form("prose\n", Existing::Plain), Form::Plain);
    assert_eq!(form("prose\n", Existing::Sealed), Form::Whole);
    for secret in [
        "see postgres://app:hunter22222@db/shop",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        "password = \"hunter22222\"\n",
        "{\"password\": \"hunter22222\"}",
        "PASSWORD=hunter22222\n",
        "prose about ENC:v1:abc",
        "ENC: is our marker",
    ] {
        assert_eq!(form(secret, Existing::Plain), Form::Whole, "{secret}");
    }
}

#[test]
fn a_file_without_format_that_holds_our_tokens_is_not_shown() {
    let sealing = builtin();
    let stored = sealing.sealed("x.toml", "password = 'hunter22222'\n", &[]).stored;
    for file in ["unknown", "id_rsa"] {
        let error = sealing.open(&path(file), &stored).unwrap_err();
        assert_eq!((error.cause, error.field), (Cause::NoFormat, None));
    }
    // A token of somebody else's, and a text about tokens, are plain text.
    let theirs =
        under(9, &[], Policy::builtin()).sealed("x.toml", "password = 'hunter22222'\n", &[]);
    for stored in [&theirs.stored[..], b"ENC:v1:630dcd29: is how a token begins"] {
        assert_eq!(&sealing.opened("unknown", stored).view[..], stored);
    }
}

#[test]
fn an_unreadable_text_with_tokens_is_not_shown() {
    let sealing = builtin();
    let stored = sealing.sealed("x.toml", "password = 'hunter22222'\n", &[]).stored;
    let conflict =
        [b"<<<<<<< ours\n", &stored[..], b"=======\n", &stored, b">>>>>>> theirs\n"].concat();
    let error = sealing.open(&path("x.toml"), &conflict).unwrap_err();
    assert!(matches!(error.cause, Cause::Unreadable(_)), "{error}");
    assert_eq!(error.line, None);
    assert!(sealing.rewrap(&path("x.toml"), &conflict, false).is_err());
    // Without tokens it is a file like any other.
    assert_eq!(sealing.view("x.toml", b"<<<<<<< ours\n"), "<<<<<<< ours\n");
}

#[test]
fn a_damaged_whole_file_is_refused() {
    let sealing = builtin();
    let stored = sealing.sealed("id_rsa", "key material", &[]).stored;
    let refused = |stored: &[u8]| sealing.open(&path("id_rsa"), stored).unwrap_err().cause;
    let mut flipped = stored.clone();
    flipped[40] = if flipped[40] == b'A' { b'B' } else { b'A' };
    assert_eq!(refused(&flipped), Cause::Token(TokenError::Tampered(key(1).id())));
    for broken in [&stored[..stored.len() - 1], &[&stored[..], b"\n"].concat(), b"ENC:file:v1:"] {
        assert!(matches!(refused(broken), Cause::Token(TokenError::Malformed(_))));
    }
    let other = under(2, &[], Policy::builtin()).open(&path("id_rsa"), &stored).unwrap_err();
    assert_eq!(other.key_id(), Some(key(1).id()));
    assert_eq!(other.cause, Cause::Token(TokenError::NoKey(key(1).id())));
}

#[test]
fn a_version_kept_aside_opens_as_such_and_as_nothing_else() {
    let sealing = builtin();
    for stored in [&b""[..], b"\0\xff", b"ENC:file:v1:x"] {
        let kept = sealing.seal_kept(stored);
        assert_eq!(&sealing.open_kept(&kept).unwrap()[..], stored);
        assert!(sealing.open(&path("id_rsa"), &kept).is_err());
        // It has no place to be bound to: a stronger demand later does not lose it.
        let strict = Sealing { binding: Binding::File, ..builtin() };
        assert_eq!(&strict.open_kept(&kept).unwrap()[..], stored);
        assert!(strict.rewrap_kept(&kept, true).unwrap().stored.is_some());
    }
    let whole = sealing.sealed("id_rsa", "x", &[]).stored;
    assert!(sealing.open_kept(&whole).is_err());
}
