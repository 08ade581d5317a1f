//! Tokens of other systems: opened where they stand, sealed as ours when the file is next written,
//! and never read out of what a program wrote.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::identity::document;
use super::*;
use crate::document::{
    Cause, ForeignError, ForeignKey, Import, Scheme, Standing, WholeBecause, inspect, inspect_with,
};
use crate::policy::{Places, Secret};

const LIBERTY_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Holds `hunter2`.
const LIBERTY: &str = "ENC:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P6ChoqOkpaanqKmqq6ytrq/zGAjjNwZh3PClv1g0F7yw7wv0yB7XRA==";
const FERNET_KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
/// Holds `hello`.
const FERNET: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

fn import(scheme: Scheme, key: &str, paths: &[&str], fields: &[&str]) -> Import {
    let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let places = Places::parse(&owned(paths), &owned(fields)).unwrap();
    let key = ForeignKey::parse(scheme, key.as_bytes()).unwrap();
    Import::new(scheme, None, None, places).unwrap().with_key(Arc::new(key))
}

fn liberty() -> Import {
    import(Scheme::Liberty, LIBERTY_KEY, &[], &[])
}

fn fiestaboard() -> Import {
    import(Scheme::Fiestaboard, FERNET_KEY, &[], &[])
}

/// Bare Fernet tokens in the fields `api.key` and `KEY` of the files `app.*`.
fn fernet() -> Import {
    import(Scheme::Fernet, FERNET_KEY, &["app.*"], &["api.key", "KEY"])
}

fn importing(imports: impl IntoIterator<Item = Import>) -> Sealing {
    Sealing { imports: imports.into_iter().collect(), ..builtin() }
}

fn cause(sealing: &Sealing, file: &str, stored: &str) -> Cause {
    sealing.open(&path(file), stored.as_bytes()).unwrap_err().cause
}

/// One document per format, with a foreign token in the ordinary place and one in a comment: how
/// it is stored, how it is seen.
fn documents() -> Vec<(&'static str, String, String)> {
    let board = format!("enc::v1::{FERNET}");
    vec![
        (
            "app.toml",
            format!(
                "# here\nkind = '{LIBERTY}' # x\n[api]\nkey = \"{FERNET}\"\n# token = \"{board}\"\nn=1"
            ),
            "# here\nkind = \"hunter2\" # x\n[api]\nkey = \"hello\"\n# token = \"hello\"\nn=1".into(),
        ),
        (
            "app.json",
            format!(
                "{{ \"kind\": \"{LIBERTY}\",\n \"api\": {{\"key\": \"{FERNET}\"}},\n \
                 // \"token\": \"{board}\",\n \"n\": 1 }}"
            ),
            "{ \"kind\": \"hunter2\",\n \"api\": {\"key\": \"hello\"},\n // \"token\": \"hello\",\n \
             \"n\": 1 }"
                .into(),
        ),
        (
            "app.env",
            format!("KIND={LIBERTY}\nexport KEY='{FERNET}' # x\n#TOKEN={board}\nN=1\n"),
            "KIND=hunter2\nexport KEY=hello # x\n#TOKEN=hello\nN=1\n".into(),
        ),
    ]
}

fn all() -> Sealing {
    importing([liberty(), fiestaboard(), fernet()])
}

#[test]
fn foreign_tokens_open_where_they_stand_in_every_format() {
    for (file, stored, view) in documents() {
        let opened = all().opened(file, stored.as_bytes());
        assert_eq!(String::from_utf8_lossy(&opened.view), view, "{file}");
        let schemes: Vec<_> = opened.stock.foreign().collect();
        let expected = [Scheme::Liberty, Scheme::Fernet, Scheme::Fiestaboard];
        assert_eq!(schemes, expected, "{file}");
        assert_eq!(opened.stock.tokens().count(), 0, "none of ours stands there");
        assert!(matches!(opened.form, Form::Fields(_)));
        let kind = |field: &FieldPath| field.to_string().eq_ignore_ascii_case("kind");
        assert!(opened.unruled.iter().any(kind), "nothing else makes it secret: {file}");
    }
}

#[test]
fn a_rewrap_makes_them_ours_counts_them_apart_and_leaves_the_rest() {
    let sealing = all();
    for (file, stored, view) in documents() {
        let done = sealing.rewrap(&path(file), stored.as_bytes(), false).unwrap();
        assert_eq!((done.tokens, done.imported), (0, 3), "{file}");
        let new = done.stored.unwrap();
        assert_eq!(sealing.view(file, &new), view);
        assert_eq!(builtin().view(file, &new), view, "no import is needed any more");
        let bare = without_tokens(&new);
        assert!(!bare.contains(FERNET) && !bare.contains(LIBERTY) && !bare.contains("hello"));
        // Bytes outside the values are the same.
        let outside = |text: &str| {
            let quotes = ['\'', '"'];
            let masked = text.replace(LIBERTY, "T0").replace(FERNET, "T1");
            masked.replace("enc::v1::T1", "T2").replace(quotes, "")
        };
        assert_eq!(outside(&bare), outside(&stored), "{file}");
        let again = sealing.rewrap(&path(file), &new, false).unwrap();
        assert_eq!((again.stored, again.tokens, again.imported), (None, 0, 0));
        let all = sealing.rewrap(&path(file), &new, true).unwrap();
        assert_eq!((all.tokens, all.imported), (3, 0));
    }
}

#[test]
fn the_first_save_seals_them_under_the_master_key_and_keeps_everything_else() {
    let sealing = all();
    for (file, stored, view) in documents() {
        let opened = sealing.opened(file, stored.as_bytes());
        let sealed = sealing.sealed(file, &view, &[&opened.stock]);
        assert_eq!(tokens_in(&sealed.stored).len(), 3, "{file}");
        let text = String::from_utf8(sealed.stored.clone()).unwrap();
        assert!(!text.contains(FERNET) && !text.contains(LIBERTY));
        assert_eq!(sealed.stock.foreign().count(), 0);
        // From now on an unchanged value keeps its token.
        let changed = view.replace("n=1", "n=2").replace("\"n\": 1", "\"n\": 2");
        let next = sealing.sealed(file, &changed, &[&sealed.stock]);
        assert_eq!(tokens_in(&next.stored), tokens_in(&sealed.stored), "{file}");
    }
}

#[test]
fn a_save_that_cannot_be_read_forgets_none_of_them() {
    let sealing = all();
    let stored = format!("kind = \"{LIBERTY}\"\nn = 1\n");
    let opened = sealing.opened("app.toml", stored.as_bytes());
    let torn = sealing.sealed("app.toml", "kind = \"hunter2\"\nn = ", &[&opened.stock]);
    assert!(matches!(torn.whole, Some(WholeBecause::Unreadable(_))));
    assert_eq!(torn.stock.foreign().count(), 0);
    let torn = sealing.opened("app.toml", &torn.stored);
    let whole = sealing.sealed("app.toml", "kind = \"hunter2\"\nn = 2\n", &[&torn.stock]);
    assert_eq!(tokens_in(&whole.stored).len(), 1, "no rule would have sealed it");
}

#[test]
fn what_a_program_writes_is_never_read_as_a_foreign_token() {
    let board = format!("enc::v1::{FERNET}");
    let sealing = all();
    for (file, view) in [
        ("app.toml", format!("note = \"{LIBERTY}\"\n")),
        ("app.toml", format!("note = \"{board}\"\n# note = \"{board}\"\n")),
        ("app.toml", "note = \"enc::v1::\"\n".into()),
        ("app.toml", format!("[api]\nkey = \"{FERNET}\"\n")),
        ("app.toml", "[api]\nkey = \"gAAAAcut-off\"\n".into()),
        // It may be renamed to app.toml.
        ("draft.toml", format!("[api]\nkey = \"{FERNET}\"\n")),
        ("app.env", format!("KEY={FERNET}\nNOTE={board}\n")),
    ] {
        let sealed = sealing.sealed(file, &view, &[]);
        assert_eq!(
            tokens_in(&sealed.stored).len(),
            view.lines().count() - view.matches('[').count()
        );
        assert_eq!(sealing.opened(file, &sealed.stored).stock.foreign().count(), 0);
    }
    // Where no import could read it, it is a word like any other; FiestaBoard's prefix always is
    // taken seriously: an import may come later.
    let note = format!("note = \"{FERNET}\"\n");
    assert_eq!(sealing.sealed("app.toml", &note, &[]).form, Form::Plain);
    let note = format!("note = \"{board}\"\n");
    assert_eq!(tokens_in(&builtin().sealed("app.toml", &note, &[]).stored).len(), 1);
}

#[test]
fn one_that_fails_names_field_and_scheme_and_not_the_value() {
    let changed = LIBERTY.replace("zGAj", "zGAk");
    let sealing = all();
    let rejected = |scheme| Cause::Foreign(ForeignError::Rejected(scheme));
    let stored = format!("n = 1\n[db]\npass = \"{changed}\"\n");
    let error = sealing.open(&path("app.toml"), stored.as_bytes()).unwrap_err();
    assert_eq!(error.cause, rejected(Scheme::Liberty));
    assert_eq!((error.field.clone().unwrap().to_string(), error.line), ("db.pass".into(), Some(3)));
    let text = format!("{error} {error:?}");
    assert!(text.contains("liberty") && !text.contains(&changed[4..20]), "{text}");
    assert_eq!(sealing.rewrap(&path("app.toml"), stored.as_bytes(), false).unwrap_err(), error);

    let flipped = FERNET.replace("y021", "y022");
    let stored = format!("[api]\nkey = \"{flipped}\"\n");
    assert_eq!(cause(&sealing, "app.toml", &stored), rejected(Scheme::Fernet));
    let cut = Cause::Foreign(ForeignError::Malformed(Scheme::Fiestaboard));
    assert_eq!(cause(&sealing, "app.toml", "a = \"enc::v1::gAAAAAAdwJ6w\"\n"), cut);
    // A file that cannot be taken apart is not shown with its tokens in it.
    let torn = format!("a = \"enc::v1::{FERNET}\"\nb = ");
    assert!(matches!(cause(&sealing, "app.toml", &torn), Cause::Unreadable(_)));
    let about = "how ENC: and enc::v1::TOKEN look\n";
    assert_eq!(sealing.view("app.toml", about.as_bytes()), about);
}

#[test]
fn without_its_key_a_token_fails_and_is_known_for_what_it_is() {
    let places = Places::default();
    let keyless = Import::new(Scheme::Liberty, None, None, places).unwrap();
    let sealing = importing([keyless]);
    let stored = format!("password = \"{LIBERTY}\"\n");
    let no_key = Cause::Foreign(ForeignError::NoKey(Scheme::Liberty));
    assert_eq!(cause(&sealing, "app.toml", &stored), no_key);
    let seen = inspect_with(
        &sealing.policy,
        &sealing.ledger,
        &sealing.imports,
        &path("app.toml"),
        stored.as_bytes(),
    );
    assert!(!seen.is_exposed());
    assert_eq!(seen.fields[0].standing, Standing::Foreign(Scheme::Liberty));
    assert_eq!(seen.fields[0].verdict.secret, Secret::All, "judged by its path");
    assert_eq!(Vec::from_iter(seen.foreign()), [Scheme::Liberty]);
}

#[test]
fn a_look_takes_only_well_formed_tokens_in_their_places_for_sealed() {
    let look = |imports: Imports, file: &str, text: &str| {
        let sealing = builtin();
        let file = path(file);
        let seen = inspect_with(&sealing.policy, &sealing.ledger, &imports, &file, text.as_bytes());
        seen.fields[0].standing.clone()
    };
    let all = || [liberty(), fiestaboard(), fernet()].into_iter().collect::<Imports>();
    let key = format!("[api]\nkey = \"{FERNET}\"\n");
    assert_eq!(look(all(), "app.toml", &key), Standing::Foreign(Scheme::Fernet));
    assert_eq!(look(all(), "app.toml~", &key), Standing::Foreign(Scheme::Fernet), "a backup of it");
    assert_eq!(look(all(), "other.toml", &key), Standing::Clear);
    let cut = "[api]\nkey = \"gAAAAcut-off\"\n";
    assert_eq!(look(all(), "app.toml", cut), Standing::Malformed);
    let board = format!("a = \"enc::v1::{FERNET}\"\n");
    assert_eq!(look(all(), "x.toml", &board), Standing::Foreign(Scheme::Fiestaboard));
    assert_eq!(
        look(Imports::default(), "x.toml", &board),
        Standing::Clear,
        "a word like any other"
    );
    assert_eq!(look(all(), "x.toml", "a = \"enc::v1::x\"\n"), Standing::Malformed);
}

#[test]
fn what_looks_like_an_import_that_nobody_named_says_so() {
    let stored = format!("password = \"{LIBERTY}\"\n");
    let error = builtin().open(&path("x.toml"), stored.as_bytes()).unwrap_err();
    assert_eq!(error.cause, Cause::Unimported(Scheme::Liberty));
    assert!(error.to_string().contains("[[keys.import]]"), "{error}");
    let other = cause(&all(), "x.toml", "password = \"ENC:hello\"\n");
    assert!(matches!(other, Cause::Token(_)), "it looks like nothing: {other:?}");
    let sealing = builtin();
    let seen = inspect(&sealing.policy, &sealing.ledger, &path("x.toml"), stored.as_bytes());
    assert_eq!(seen.fields[0].standing, Standing::Unimported(Scheme::Liberty));
}

#[test]
fn of_several_keys_the_one_that_fits_opens() {
    let other = import(Scheme::Liberty, "another master key", &[], &[]);
    let stored = format!("password = \"{LIBERTY}\"\n");
    for imports in [[other.clone(), liberty()], [liberty(), other]] {
        assert_eq!(
            importing(imports).view("x.toml", stored.as_bytes()),
            "password = \"hunter2\"\n"
        );
    }
}

#[test]
fn our_own_tokens_stay_ours_whatever_is_imported() {
    let wide = Places::parse(&["**".into()], &["**".into()]).unwrap();
    let key = Arc::new(ForeignKey::parse(Scheme::AesGcm, b"0123".repeat(16).as_slice()).unwrap());
    let gcm = Import::new(Scheme::AesGcm, Some("ENC:"), None, wide).unwrap().with_key(key);
    let sealing = importing([liberty(), gcm]);
    let sealed = sealing.sealed("x.toml", "password = \"hunter2\"\n", &[]);
    assert_eq!(tokens(&sealing.opened("x.toml", &sealed.stored).stock).len(), 1);
    let rewrapped = sealing.rewrap(&path("x.toml"), &sealed.stored, true).unwrap();
    assert_eq!((rewrapped.tokens, rewrapped.imported), (1, 0));
}

/// As many words as possible read as tokens: Fernet's and bare AES-GCM in every field.
fn greedy() -> Sealing {
    let everywhere = Places::parse(&["**".into()], &["**".into()]).unwrap();
    let key = Arc::new(ForeignKey::parse(Scheme::AesGcm, &b"0123".repeat(16)).unwrap());
    let gcm = Import::new(Scheme::AesGcm, None, None, everywhere).unwrap().with_key(key);
    let fernet = import(Scheme::Fernet, FERNET_KEY, &["**"], &["**"]);
    importing([liberty(), fiestaboard(), fernet, gcm])
}

fn returns(file: &str, view: &[u8], existing: Existing) -> Result<(), TestCaseError> {
    let (sealing, file) = (greedy(), path(file));
    let sealed = sealing.seal(&file, view, &[], existing);
    let opened = sealing.open(&file, &sealed.stored);
    let opened = opened.map_err(|error| {
        TestCaseError::fail(format!("{error}\n{}", sealed.stored.escape_ascii()))
    })?;
    prop_assert_eq!(opened.view.escape_ascii().to_string(), view.escape_ascii().to_string());
    prop_assert_eq!(opened.stock.foreign().count(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_document_comes_back_whatever_is_imported((file, view) in document()) {
        returns(file, view.as_bytes(), Existing::Sealed)?;
    }

    #[test]
    fn any_bytes_come_back_whatever_is_imported(
        front in select(vec!["", "ENC:", "enc::v1::", "gAAAA", "A=enc::v1::", "a = \"gAAAA", "# "]),
        bytes in prop::collection::vec(
            prop_oneof![select(b"\"'#=:,[]{}\\\n -0aAENC:v1".to_vec()), any::<u8>()], 0..60),
        plain: bool,
    ) {
        let view = [front.as_bytes(), &bytes].concat();
        let existing = if plain { Existing::Plain } else { Existing::Sealed };
        for file in ["x.toml", "x.json", "x.env", "x.conf", "x.cfg", "id_rsa", "unknown"] {
            returns(file, &view, existing)?;
        }
    }
}
