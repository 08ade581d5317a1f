//! Every value of public conformance corpora, sealed: same shape, restored to the byte. And the
//! same for generated and mutated documents.
//!
//! The corpora are not part of the project: they are looked for beside it, or where
//! `CONFSEAL_CORPORA` says. Without them their tests say so and pass, except under `CI=true`.

#[path = "corpora/documents.rs"]
mod documents;
#[path = "corpora/generators.rs"]
mod generators;
#[path = "corpora/hcl.rs"]
mod hcl;
#[path = "corpora/properties.rs"]
mod properties;
#[path = "corpora/shape.rs"]
mod shape;
#[path = "corpora/xml.rs"]
mod xml;
#[path = "corpora/yaml.rs"]
mod yaml;

use std::path::{Path, PathBuf};

use confseal::format::{Codec, CodecId, Site};
use confseal::span::Span;
use shape::{check_replacing, check_seals, token};

/// What JSONTestSuite wants refused and confseal takes, each for a reason (see `format::json`).
const TOLERATED_JSON: [&str; 39] = [
    // Comments.
    "n_object_trailing_comment.json",
    "n_object_trailing_comment_slash_open.json",
    "n_structure_object_with_comment.json",
    // Trailing commas.
    "n_array_extra_comma.json",
    "n_array_number_and_comma.json",
    "n_object_trailing_comma.json",
    // Raw control characters in strings, form feeds between values: the parser takes these.
    "n_string_unescaped_ctrl_char.json",
    "n_string_unescaped_newline.json",
    "n_string_unescaped_tab.json",
    "n_structure_whitespace_formfeed.json",
    // JSON5's numbers,
    "n_number_+1.json",
    "n_number_-2..json",
    "n_number_-NaN.json",
    "n_number_.2e-3.json",
    "n_number_0.e1.json",
    "n_number_2.e+3.json",
    "n_number_2.e-3.json",
    "n_number_2.e3.json",
    "n_number_NaN.json",
    "n_number_hex_1_digit.json",
    "n_number_hex_2_digits.json",
    "n_number_infinity.json",
    "n_number_minus_infinity.json",
    "n_number_neg_real_without_int_part.json",
    "n_number_real_without_fractional_part.json",
    "n_number_starting_with_dot.json",
    // its keys (and literals as keys),
    "n_object_key_with_single_quotes.json",
    "n_object_non_string_key.json",
    "n_object_non_string_key_but_huge_number_instead.json",
    "n_object_repeated_null_null.json",
    "n_object_single_quote.json",
    "n_object_unquoted_key.json",
    // its strings and escapes.
    "n_string_backslash_00.json",
    "n_string_escape_x.json",
    "n_string_escaped_ctrl_char_tab.json",
    "n_string_escaped_emoji.json",
    "n_string_invalid_backslash_esc.json",
    "n_string_single_quote.json",
    "n_string_unicode_CapitalU.json",
];

/// What yaml-test-suite wants refused and confseal takes, as PyYAML and ruamel.yaml do: a flow
/// collection that closes at the indentation of its key.
const TOLERATED_YAML: [&str; 1] = ["9C9N.error.yaml"];

fn corpus(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let root = std::env::var_os("CONFSEAL_CORPORA").map_or(beside, PathBuf::from);
    let corpus = root.join(name);
    if corpus.is_dir() {
        return Some(corpus);
    }
    let absent = format!("no corpus at {}; set CONFSEAL_CORPORA", corpus.display());
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{absent}");
    eprintln!("skipped: {absent}");
    None
}

/// Every file with `extension` below `directory`, with its content.
fn files(directory: &Path, extension: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let content = std::fs::read(&path).unwrap();
                found.push((path, content));
            }
        }
    }
    found.sort();
    found
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// All sites, all but names (which must leave every path as it is), and each third.
fn seals_everywhere(codec: &dyn Codec, path: &Path, text: &[u8]) -> usize {
    let subsets: [fn(usize, &Site) -> bool; 5] = [
        |_, _| true,
        |_, site| !site.naming,
        |n, site| n % 3 == 0 && !site.naming,
        |n, site| n % 3 == 1 && !site.naming,
        |n, site| n % 3 == 2 && !site.naming,
    ];
    let sealed = subsets.map(|subset| match check_seals(codec, text, subset) {
        Ok(Some(sealed)) => sealed,
        Ok(None) => panic!("{}: {}", path.display(), codec.scan(text).unwrap_err()),
        Err(error) => panic!("{}: {error}", path.display()),
    });
    sealed[0]
}

#[test]
fn every_valid_toml_file_can_be_sealed_and_restored() {
    let Some(corpus) = corpus("toml/valid") else { return };
    let files = files(&corpus, "toml");
    let codec = CodecId::Toml.codec();
    let sealed: usize = files.iter().map(|(path, text)| seals_everywhere(codec, path, text)).sum();
    assert_eq!(files.len(), 220);
    assert!(sealed >= 833, "only {sealed} values");
}

#[test]
fn no_invalid_toml_file_scans() {
    let Some(corpus) = corpus("toml/invalid") else { return };
    let files = files(&corpus, "toml");
    for (path, text) in &files {
        assert!(CodecId::Toml.codec().scan(text).is_err(), "{}", path.display());
    }
    assert_eq!(files.len(), 492);
}

#[test]
fn every_json_file_is_taken_or_refused_as_it_should_be() {
    let Some(corpus) = corpus("json/test_parsing") else { return };
    let codec = CodecId::Json.codec();
    let mut counts = [0; 3];
    let mut tolerated = Vec::new();
    for (path, text) in &files(&corpus, "json") {
        let scans = codec.scan(text).is_ok();
        match name(path).as_bytes()[0] {
            b'y' => {
                counts[0] += 1;
                assert!(scans, "{}", path.display());
            }
            b'n' => {
                counts[1] += 1;
                if scans {
                    tolerated.push(name(path).to_owned());
                }
            }
            _ => counts[2] += 1,
        }
        if scans {
            seals_everywhere(codec, path, text);
        }
    }
    assert_eq!(counts, [95, 188, 35]);
    tolerated.sort_by_key(|name| TOLERATED_JSON.iter().position(|wanted| wanted == name));
    assert_eq!(tolerated, TOLERATED_JSON);
}

/// The files of the YAML corpus that are valid, or those that are not.
fn yaml_files(valid: bool) -> Option<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = files(&corpus("yaml")?, "yaml");
    files.retain(|(path, _)| name(path).ends_with(".valid.yaml") == valid);
    assert_eq!(files.len(), if valid { 308 } else { 94 });
    Some(files)
}

/// The text as it would be had it been written elsewhere: with other line ends, behind a byte
/// order mark, without its last line break.
fn elsewhere(text: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let other = [
        text.replace('\n', "\r\n"),
        text.replace('\n', "\r"),
        format!("\u{feff}{text}"),
        format!("# \u{e9}\u{1f600}\n{text}"),
        text.trim_end_matches('\n').to_owned(),
    ];
    other.map(String::into_bytes).into()
}

#[test]
fn every_valid_yaml_file_can_be_sealed_and_restored() {
    let Some(files) = yaml_files(true) else { return };
    let codec = CodecId::Yaml.codec();
    let sealed: usize = files.iter().map(|(path, text)| seals_everywhere(codec, path, text)).sum();
    assert!(sealed >= 630, "only {sealed} values");
}

#[test]
fn so_can_it_with_other_line_ends_a_byte_order_mark_and_no_last_line_break() {
    let Some(files) = yaml_files(true) else { return };
    let codec = CodecId::Yaml.codec();
    let mut taken = 0;
    for (path, text) in &files {
        for text in elsewhere(text) {
            if codec.scan(&text).is_ok() {
                taken += 1;
                seals_everywhere(codec, path, &text);
            }
        }
    }
    assert!(taken >= 5 * 308 - 20, "only {taken} were taken");
}

#[test]
fn no_invalid_yaml_file_scans_but_for_what_the_common_readers_take() {
    let Some(files) = yaml_files(false) else { return };
    let codec = CodecId::Yaml.codec();
    let mut tolerated = Vec::new();
    for (path, text) in &files {
        if codec.scan(text).is_ok() {
            tolerated.push(name(path).to_owned());
            seals_everywhere(codec, path, text);
        }
    }
    assert_eq!(tolerated, TOLERATED_YAML);
}

#[test]
fn a_lone_surrogate_is_no_reason_to_refuse_a_file() {
    let Some(corpus) = corpus("json/test_parsing") else { return };
    for file in [
        "i_object_key_lone_2nd_surrogate.json",
        "i_string_1st_surrogate_but_2nd_missing.json",
        "i_string_incomplete_surrogates_escape_valid.json",
        "i_string_inverted_surrogates_U+1D11E.json",
    ] {
        let text = std::fs::read(corpus.join(file)).unwrap();
        assert!(CodecId::Json.codec().scan(&text).is_ok(), "{file}");
    }
}

/// The control: each way in which a codec could be wrong is found by the check.
#[test]
fn the_check_finds_a_wrong_span() {
    let text = b"[a]\nuser = \"bob\" # c\npassword = \"hunter2\"\n";
    let codec = CodecId::Toml.codec();
    let right = codec.scan(text).unwrap();
    let check =
        |sites: &[Site]| check_replacing(codec, text, sites, |_, site| Some(token(codec, site)));
    assert_eq!(check(&right), Ok(2));

    let spoilt: [fn(&mut Vec<Site>); 6] = [
        |sites| sites[1].span = sites[1].span.shifted(1),
        |sites| sites[0].span = Span::new(sites[0].span.start, sites[0].span.end + 1),
        |sites| sites[1].span = Span::new(sites[1].span.start + 1, sites[1].span.end - 1),
        |sites| sites[1].path = sites[0].path.clone(),
        |sites| sites[1].context = confseal::format::Context::COMMENT,
        |sites| _ = sites.pop(),
    ];
    for (n, spoil) in spoilt.iter().enumerate() {
        let mut wrong = right.clone();
        spoil(&mut wrong);
        assert!(check(&wrong).is_err(), "spoilt in way {n}");
    }
}
