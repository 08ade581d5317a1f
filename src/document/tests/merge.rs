//! Three versions merge by what is in them; nothing of a view stands in the result.

use proptest::prelude::*;

use super::super::{Markers, Merged, Versions, merge_sealed};
use super::*;

const MARKERS: Markers<'_> =
    Markers { size: 7, labels: ["ours", "base", "theirs"], with_base: false };

const BASE: &str = "host = 'a'\n[db]\npassword = 'canary-base'\n\n[mail]\ntoken = 'canary-mail'\n";

/// The three views, sealed on hosts of their own from one base.
fn hosts(file: &str, views: [&str; 3], hosts: [&Sealing; 2]) -> [Vec<u8>; 3] {
    let base = hosts[0].sealed(file, views[0], &[]);
    let ours = hosts[0].sealed(file, views[1], &[&base.stock]);
    let theirs = hosts[1].sealed(file, views[2], &[&base.stock]);
    [base.stored, ours.stored, theirs.stored]
}

fn merge(sealing: &Sealing, file: &str, [base, ours, theirs]: &[Vec<u8>; 3]) -> Merged {
    let merged = sealing.merge(&path(file), &Versions { base, ours, theirs }, &MARKERS).unwrap();
    let text = String::from_utf8_lossy(&merged.stored);
    assert!(!text.contains("canary"), "{text}");
    merged
}

#[test]
fn edits_apart_from_each_other_merge_and_keep_the_tokens_of_both_sides() {
    let sealing = builtin();
    let ours = BASE.replace("canary-base", "canary-ours").replace("'a'", "'b'");
    let theirs = BASE.replace("canary-mail", "canary-theirs") + "port = 25\n";
    let texts = hosts("x.toml", [BASE, &ours, &theirs], [&sealing; 2]);
    let merged = merge(&sealing, "x.toml", &texts);
    assert!(!merged.conflict);
    let both = ours.replace("canary-mail", "canary-theirs") + "port = 25\n";
    assert_eq!(sealing.view("x.toml", &merged.stored), both);
    let expected = [tokens_in(&texts[1])[0].clone(), tokens_in(&texts[2])[1].clone()];
    assert_eq!(tokens_in(&merged.stored), expected);
}

#[test]
fn the_same_edit_on_two_hosts_does_not_conflict() {
    let sealing = builtin();
    let new = BASE.replace("canary-base", "canary-new");
    let texts = hosts("x.toml", [BASE, &new, &new], [&sealing; 2]);
    assert_ne!(texts[1], texts[2]);
    let merged = merge(&sealing, "x.toml", &texts);
    assert_eq!(merged, Merged { stored: texts[1].clone(), conflict: false });
    // As they stand, they do.
    let [base, ours, theirs] = &texts;
    assert!(merge_sealed(&Versions { base, ours, theirs }, &MARKERS).conflict);
}

#[test]
fn a_conflict_marks_sealed_lines_and_no_others() {
    let sealing = builtin();
    let ours = BASE.replace("canary-base", "canary-ours").replace("canary-mail", "canary-same");
    let theirs = BASE.replace("canary-base", "canary-theirs").replace("canary-mail", "canary-same");
    let texts = hosts("x.toml", [BASE, &ours, &theirs], [&sealing; 2]);
    let merged = merge(&sealing, "x.toml", &texts);
    assert!(merged.conflict);
    assert_eq!(
        without_tokens(&merged.stored),
        "host = 'a'\n[db]\n<<<<<<< ours\npassword = \"T0\"\n=======\npassword = \"T1\"\n\
         >>>>>>> theirs\n\n[mail]\ntoken = \"T2\"\n"
    );
    // Whoever takes one side by hand has a file that opens.
    let text = String::from_utf8(merged.stored).unwrap();
    let (front, rest) = text.split_once("<<<<<<< ours\n").unwrap();
    let (_, rest) = rest.split_once("=======\n").unwrap();
    let taken = front.to_owned() + &rest.replace(">>>>>>> theirs\n", "");
    assert_eq!(sealing.view("x.toml", taken.as_bytes()), theirs);
}

#[test]
fn a_file_that_both_sides_made_merges_without_a_base() {
    let sealing = builtin();
    let [one, two] = [(); 2].map(|()| sealing.sealed("x.env", "TOKEN=canary\nA=1\n", &[]).stored);
    let merged = merge(&sealing, "x.env", &[Vec::new(), one.clone(), two]);
    assert_eq!(merged, Merged { stored: one, conflict: false });
}

#[test]
fn sealing_a_file_and_editing_it_elsewhere_merge() {
    let sealing = builtin();
    let sealed = sealing.sealed("x.toml", BASE, &[]).stored;
    let edited = BASE.replace("'a'", "'b'");
    let texts = [BASE.into(), sealed, edited.clone().into_bytes()];
    let merged = merge(&sealing, "x.toml", &texts);
    assert!(!merged.conflict);
    assert_eq!(sealing.view("x.toml", &merged.stored), edited);
}

#[test]
fn a_rewrap_on_one_side_and_an_edit_on_the_other_merge_to_the_new_key() {
    let (old, new) = (builtin(), under(2, &[1], Policy::builtin()));
    let base = old.sealed("x.toml", BASE, &[]);
    let rewrapped = new.rewrap(&path("x.toml"), &base.stored, false).unwrap().stored.unwrap();
    let edited = BASE.replace("'a'", "'b'");
    let edited = old.sealed("x.toml", &edited, &[&base.stock]).stored;
    for texts in [
        [base.stored.clone(), rewrapped.clone(), edited.clone()],
        [base.stored.clone(), edited.clone(), rewrapped.clone()],
    ] {
        let merged = merge(&new, "x.toml", &texts);
        assert!(!merged.conflict);
        assert_eq!(tokens_in(&merged.stored), tokens_in(&rewrapped));
        assert!(String::from_utf8(merged.stored).unwrap().starts_with("host = 'b'\n"));
    }
}

#[test]
fn a_merge_that_no_parser_reads_is_left_to_somebody_sealed() {
    let sealing = builtin();
    let base = "{\n\"password\": \"canary-1\",\n\"a\": 1,\n\"b\": 2,\n\"c\": 3\n}\n";
    let ours = base.replace("\"c\": 3", "\"c\": 3,\n\"d\": [\n4\n]");
    let theirs =
        base.replace("{\n\"password\"", "{\"x\": {\n\"password\"").replace("3\n}", "3\n}}");
    let texts = hosts("x.json", [base, &ours, &theirs], [&sealing; 2]);
    let merged = merge(&sealing, "x.json", &texts);
    assert!(merged.conflict);
    let text = String::from_utf8(merged.stored).unwrap();
    assert!(text.contains("ENC:v1:") && !text.contains("ENC:file"), "{text}");
}

#[test]
fn files_that_are_sealed_whole_merge_by_what_is_inside() {
    let sealing = ruled("[[file]]\npath = \"*.key\"\nseal = \"whole\"\n");
    let base = "canary 1\n2\n3\n4\n";
    let (ours, theirs) = (base.replace('1', "one"), base.replace('4', "four"));
    let texts = hosts("a.key", [base, &ours, &theirs], [&sealing; 2]);
    let merged = merge(&sealing, "a.key", &texts);
    assert!(!merged.conflict);
    assert_eq!(sealing.view("a.key", &merged.stored), "canary one\n2\n3\nfour\n");

    let texts = hosts("a.key", [base, &ours, "canary eins\n"], [&sealing; 2]);
    let merged = merge(&sealing, "a.key", &texts);
    assert!(merged.conflict);
    let text = |n: usize| String::from_utf8(texts[n].clone()).unwrap();
    let expected = format!("<<<<<<< ours\n{}=======\n{}>>>>>>> theirs\n", text(1), text(2));
    assert_eq!(String::from_utf8(merged.stored).unwrap(), expected);
}

#[test]
fn binary_files_are_taken_from_the_side_that_changed_them() {
    let sealing = ruled("[[file]]\npath = \"*.key\"\nseal = \"whole\"\n");
    let [a, b, c] = ["\0a", "\0b", "\0c"].map(|view| sealing.sealed("a.key", view, &[]).stored);
    let again = sealing.sealed("a.key", "\0a", &[]).stored;
    let take = |base: &Vec<u8>, ours: &Vec<u8>, theirs: &Vec<u8>| {
        merge(&sealing, "a.key", &[base.clone(), ours.clone(), theirs.clone()])
    };
    assert_eq!(take(&a, &again, &b), Merged { stored: b.clone(), conflict: false });
    assert_eq!(take(&a, &b, &again), Merged { stored: b.clone(), conflict: false });
    assert!(take(&a, &b, &c).conflict);
    let plain = ["\0a", "\0b", "\0c"].map(|text| text.as_bytes().to_vec());
    assert_eq!(merge(&sealing, "x", &plain), Merged { stored: plain[1].clone(), conflict: true });
}

#[test]
fn what_cannot_be_opened_is_an_error_and_merges_as_it_stands() {
    let sealing = builtin();
    let ours = BASE.replace("canary-base", "canary-ours");
    let theirs = BASE.replace("'a'", "'b'");
    let [base, ours, theirs] = &hosts("x.toml", [BASE, &ours, &theirs], [&sealing; 2]);
    let versions = Versions { base, ours, theirs };
    let stranger = under(9, &[], Policy::builtin());
    assert!(stranger.merge(&path("x.toml"), &versions, &MARKERS).is_err());
    let merged = merge_sealed(&versions, &MARKERS);
    assert!(!merged.conflict);
    let view = BASE.replace("canary-base", "canary-ours").replace("'a'", "'b'");
    assert_eq!(sealing.view("x.toml", &merged.stored), view);
}

#[test]
fn a_policy_that_calls_a_sealed_value_public_lays_nothing_open() {
    let loose = ruled("[[file]]\npath = \"*\"\npublic = [\"**\"]\n");
    let ours = BASE.replace("'a'", "'b'");
    for theirs in [BASE.to_owned() + "port = 25\n", BASE.replace("'a'", "'c'")] {
        let texts = hosts("x.toml", [BASE, &ours, &theirs], [&builtin(); 2]);
        merge(&loose, "x.toml", &texts);
    }
    let whole = ruled("[[file]]\npath = \"*\"\nseal = \"whole\"\n");
    let texts = hosts("x.toml", [BASE, &ours, &(BASE.to_owned() + "port = 25\n")], [&whole; 2]);
    merge(&loose, "x.toml", &texts);
    merge(&ruled("[[file]]\npath = \"*\"\nseal = \"none\"\n"), "x.toml", &texts);
}

#[test]
fn what_was_made_public_on_one_side_stays_so() {
    let public = ruled("[[file]]\npath = \"*\"\npublic = [\"mail.token\"]\n");
    let view = BASE.replace("canary-mail", "smtp");
    let base = builtin().sealed("x.toml", &view, &[]);
    let ours = public.sealed("x.toml", &view, &[&base.stock]).stored;
    let edited = view.replace("'a'", "'b'");
    let theirs = builtin().sealed("x.toml", &edited, &[&base.stock]).stored;
    let merged = merge(&public, "x.toml", &[base.stored, ours, theirs]);
    assert!(!merged.conflict);
    let text = String::from_utf8(merged.stored).unwrap();
    assert!(text.starts_with("host = 'b'\n") && text.contains("token = 'smtp'\n"), "{text}");
}

/// A document of `edits.len()` assignments, every second a secret, some of them edited: the same
/// edit of the same one on both sides gives the same value.
fn document(file: &str, edits: &[u8]) -> String {
    let line = |(n, edit): (usize, &u8)| {
        let name = if n % 2 == 0 { format!("password_{n}") } else { format!("port_{n}") };
        let value = match edit {
            0 => return String::new(),
            1 | 2 => format!("canary-{n}-{edit}-new"),
            _ => format!("canary-{n}"),
        };
        let value = if n % 2 == 0 { value } else { value.replace("canary", "plain") };
        match file.ends_with("toml") {
            true => format!("{name} = '{value}'\n\n"),
            false => format!("{name}={value}\n\n"),
        }
    };
    edits.iter().enumerate().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sealed_documents_merge_as_their_views_do(
        file in prop::sample::select(vec!["x.toml", "x.env"]),
        sides in prop::collection::vec((0_u8..12, 0_u8..12), 1..12),
    ) {
        let sealing = builtin();
        let (ours, theirs): (Vec<u8>, Vec<u8>) = sides.into_iter().unzip();
        let views = [document(file, &vec![9; ours.len()]), document(file, &ours), document(file, &theirs)];
        let texts = hosts(file, views.each_ref().map(String::as_str), [&sealing; 2]);
        let merged = merge(&sealing, file, &texts);
        let [base, ours, theirs] = views.each_ref().map(|view| view.as_bytes());
        let plain = merge_sealed(&Versions { base, ours, theirs }, &MARKERS);
        prop_assert_eq!(merged.conflict, plain.conflict);
        if merged.conflict {
            let marks = |text: &[u8]| String::from_utf8_lossy(text).matches("<<<<<<<").count();
            prop_assert_eq!(marks(&merged.stored), marks(&plain.stored));
        } else {
            prop_assert_eq!(sealing.view(file, &merged.stored).into_bytes(), plain.stored);
        }
        // No token is of nowhere.
        let known: Vec<_> = texts.iter().flat_map(|text| tokens_in(text)).collect();
        prop_assert!(tokens_in(&merged.stored).iter().all(|token| known.contains(token)));
    }
}
