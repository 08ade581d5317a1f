//! Looking at texts without a key.

use super::*;
use crate::document::{Standing, inspect, token_keys};
use crate::policy::{Class, Secret};

fn look(file: &str, text: &[u8]) -> crate::document::Inspection {
    inspect(&Policy::builtin(), &Ledger::new(), &path(file), text)
}

#[test]
fn each_field_is_found_with_its_line_and_standing() {
    let view = "password = 'x'\nurl = 'a://u:hunter22222@h'\n\nport = 1\n# token = 'x'\n";
    let mut stored = builtin().sealed("x.toml", view, &[]).stored;
    stored.extend(b"note = 'ENC:x'\nsecret = 'clear'\nparts = 'a ENC:v1:x'\n");
    let seen = look("x.toml", &stored);
    let id = key(1).id();
    let found: Vec<_> = seen
        .fields
        .iter()
        .map(|field| (field.path.to_string(), field.line, field.commented, field.standing.clone()))
        .collect();
    let row = |name: &str, line, commented, standing| (name.to_owned(), line, commented, standing);
    assert_eq!(
        found,
        [
            row("password", 1, false, Standing::Sealed(id)),
            row("url", 2, false, Standing::PartsSealed(id)),
            row("port", 4, false, Standing::Clear),
            row("token", 5, true, Standing::Sealed(id)),
            row("note", 6, false, Standing::Malformed),
            row("secret", 7, false, Standing::Clear),
            row("parts", 8, false, Standing::Malformed),
        ]
    );
    let exposed: Vec<_> = seen.fields.iter().filter(|field| field.is_exposed()).collect();
    assert_eq!(exposed.len(), 1);
    assert_eq!(exposed[0].path, field("secret"));
    assert!(seen.is_exposed() && !seen.exposed_whole && seen.unreadable.is_none());
    assert_eq!(seen.form, Form::Fields(CodecId::Toml));
    assert_eq!(seen.keys().collect::<Vec<_>>(), [id; 3]);
    let verdict = &seen.fields[0].verdict;
    assert_eq!(verdict.secret, Secret::All);
}

#[test]
fn a_sealed_file_exposes_nothing_and_a_view_exposes_what_would_be_sealed() {
    let view = "password = 'x'\nurl = 'a://u:hunter22222@h'\nport = 1\n";
    assert_eq!(look("x.toml", view.as_bytes()).fields.iter().filter(|f| f.is_exposed()).count(), 2);
    assert_eq!(look("x.toml", view.as_bytes()).form, Form::Plain);
    assert!(!look("x.toml", &builtin().sealed("x.toml", view, &[]).stored).is_exposed());
}

#[test]
fn prose_that_speaks_of_passwords_holds_none() {
    let text = "# Shop\n\nPasswords are kept in the vault.\nToken rotation is done by ops.\n";
    for file in ["README.md", "NOTES"] {
        let seen = look(file, text.as_bytes());
        assert!(!seen.is_exposed(), "{file}");
    }
    assert!(look("NOTES", b"DB_PASSWORD='hunter2'\n").is_exposed());
}

#[test]
fn a_secret_beside_a_sealed_part_is_exposed() {
    let view = "u = 'a://u:hunter22222@h,a://v:hunter33333@i'\n";
    let sealed = builtin().sealed("x.toml", view, &[]).stored;
    assert!(!look("x.toml", &sealed).is_exposed());
    let tokens = tokens_in(&sealed);
    let half = with_tokens("u = 'a://u:T0@h,a://v:hunter33333@i'\n", &tokens);
    assert!(look("x.toml", &half).is_exposed());
    let ruled = Policy::parse(EVERYTHING).unwrap();
    assert!(inspect(&ruled, &Ledger::new(), &path("x.toml"), &sealed).is_exposed());
    let list = builtin().sealed("x.toml", "l = ['PASSWORD=hunter22222']\n", &[]).stored;
    assert!(list.starts_with(b"l = ['PASSWORD=ENC:") && !look("x.toml", &list).is_exposed());
}

#[test]
fn whole_files_show_their_key() {
    let stored = builtin().sealed("id_rsa", "x", &[]).stored;
    let seen = look("id_rsa", &stored);
    assert_eq!((seen.form, seen.whole_key), (Form::Whole, Some(key(1).id())));
    assert!(!seen.is_exposed());
    assert_eq!(seen.class.class, Class::Whole);
    assert_eq!(look("id_rsa", b"ENC:file:v1:damaged").whole_key, None);
    assert!(look("id_rsa", b"x").exposed_whole && !look("id_rsa", b"").exposed_whole);
    assert!(look("unknown", b"a://u:hunter22222@h").exposed_whole);
    assert!(!look("unknown", b"prose").is_exposed());
}

#[test]
fn what_cannot_be_read_counts_as_exposed() {
    let seen = look("x.toml", b"password = 'hunter2");
    assert!(seen.unreadable.is_some() && seen.is_exposed());
}

#[test]
fn the_keys_of_tokens_are_found_without_a_codec() {
    let one =
        builtin().sealed("x.toml", "password = 'x'\nurl = 'a://u:hunter22222@h'\n", &[]).stored;
    let two = under(2, &[], Policy::builtin()).sealed("id_rsa", "x", &[]).stored;
    assert_eq!(token_keys(&one).collect::<Vec<_>>(), [key(1).id(); 2]);
    assert_eq!(token_keys(&two).collect::<Vec<_>>(), [key(2).id()]);
    for none in [
        &b""[..],
        b"ENC:v1:",
        b"ENC:v1:0011",
        b"ENC:v1:\xff\xff\xff\xff\xff\xff\xff\xff",
        b"ENC:file:v1:",
    ] {
        assert_eq!(token_keys(none).count(), 0);
    }
}

#[test]
fn a_credential_outside_every_field_is_told_by_its_line_and_shown_nowhere() {
    let text = "[a]\n\tb = c\n[url \"https://me:hunter22222@h/token\"]\n\ttoken = x\n";
    let seen = look(".gitconfig", text.as_bytes());
    assert_eq!(seen.outside.map(|outside| outside.line), Some(3));
    assert!(seen.is_exposed() && seen.exposed_whole);
    assert_eq!(seen.fields.len(), 2);
    let said = format!("{seen:?} {}", seen.outside.unwrap());
    assert!(!said.contains("hunter22222"), "{said}");
    let harmless = look(".gitconfig", b"[url \"https://me@h/\"]\n\tinsteadOf = x\n");
    assert!(harmless.outside.is_none() && !harmless.is_exposed());
}
