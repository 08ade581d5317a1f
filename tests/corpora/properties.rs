//! Generated documents of each format, and the same with bytes mutated: the text scans or is
//! refused, never a panic, and what scans can be sealed in any part.

use confseal::format::{Codec, CodecId, Context, Site};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::generators::{INI, document, dotenv, ini, json, keywords, toml};
use super::shape::{check_replacing, check_seals};
use super::yaml::yaml;

/// Which sites to replace: a bit each, over and over.
pub(super) fn chosen(mask: u64) -> impl Fn(usize, &Site) -> bool {
    move |n, site| mask >> (n % 64) & 1 == 1 && !site.naming
}

/// Replaces, inserts or deletes a byte at each of some places.
pub(super) fn mutate(text: &str, changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, kind, byte) in changes {
        let at = at.index(bytes.len() + 1);
        match kind % 3 {
            0 if at < bytes.len() => bytes[at] = *byte,
            1 if at < bytes.len() => _ = bytes.remove(at),
            _ => bytes.insert(at, *byte),
        }
    }
    bytes
}

fn telling_byte() -> impl Strategy<Value = u8> {
    prop_oneof![select(b"\"'`#;=:,[]{}/*\\\n\r .-\t0a|>&!?%".to_vec()), any::<u8>()]
}

pub(super) fn sealed(
    codec: &dyn Codec,
    text: &[u8],
    mask: u64,
) -> Result<Option<usize>, TestCaseError> {
    check_seals(codec, text, chosen(mask))
        .map_err(|error| TestCaseError::fail(format!("{error}\n{}", text.escape_ascii())))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_part_of_a_toml_document_can_be_sealed(text in toml(), mask: u64) {
        prop_assert!(sealed(CodecId::Toml.codec(), text.as_bytes(), mask)?.is_some(), "{text}");
    }

    #[test]
    fn any_part_of_a_json_document_can_be_sealed(text in json(), mask: u64) {
        prop_assert!(sealed(CodecId::Json.codec(), text.as_bytes(), mask)?.is_some(), "{text}");
    }

    #[test]
    fn any_part_of_a_dotenv_document_can_be_sealed(text in dotenv(), mask: u64) {
        sealed(CodecId::Dotenv.codec(), text.as_bytes(), mask)?;
    }

    #[test]
    fn any_part_of_a_yaml_document_can_be_sealed(text in yaml(), mask: u64) {
        sealed(CodecId::Yaml.codec(), text.as_bytes(), mask)?;
    }

    #[test]
    fn any_part_of_a_document_of_keywords_can_be_sealed((id, text) in keywords(), mask: u64) {
        sealed(id.codec(), text.as_bytes(), mask)?;
    }

    #[test]
    fn names_too_can_be_sealed_though_that_takes_them_out_of_paths((id, text) in document()) {
        let checked = check_seals(id.codec(), text.as_bytes(), |_, _| true);
        prop_assert!(checked.is_ok(), "{checked:?}\n{}", text.escape_debug());
    }

    #[test]
    fn any_part_of_a_text_that_a_dialect_of_ini_takes_can_be_sealed(text in ini(), mask: u64) {
        for id in INI {
            sealed(id.codec(), text.as_bytes(), mask)?;
        }
    }

    #[test]
    fn a_mutated_document_is_refused_or_can_be_sealed(
        (id, text) in document(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, telling_byte()), 1..6),
        mask: u64,
    ) {
        sealed(id.codec(), &mutate(&text, &changes), mask)?;
    }

    #[test]
    fn any_bytes_are_refused_or_can_be_sealed(
        text in prop::collection::vec(telling_byte(), 0..40),
        mask: u64,
    ) {
        for id in CodecId::ALL {
            sealed(id.codec(), &text, mask)?;
        }
    }

    #[test]
    fn an_encoded_value_decodes_and_stays_in_its_place(
        (id, text) in document(),
        value in prop_oneof!["[ -~]{0,12}", ".{0,12}", "[*/'\"`$\\\\\r\n\u{e9}#]{0,8}"],
        mask: u64,
    ) {
        let codec = id.codec();
        let Ok(sites) = codec.scan(text.as_bytes()) else { return Ok(()) };
        if meets_quotes(id, &text) {
            return Ok(());
        }
        // A name in a list is another element's path, so it may not change.
        let value = format!("ENC:{value}");
        let encode = |context, column| codec.encode(value.as_bytes(), context, column);
        for context in (0..=4).map(Context) {
            if let Some(source) = encode(context, 0) {
                prop_assert_eq!(&codec.decode(&source, context).unwrap()[..], value.as_bytes());
                prop_assert!(context == Context::ORDINARY || !source.contains(&b'\n'));
            }
        }
        let checked = check_replacing(codec, text.as_bytes(), &sites, |n, site| {
            let source = || encode(site.context, site.column).map(|source| source.to_vec());
            chosen(mask)(n, site).then(source)?
        });
        prop_assert!(checked.is_ok(), "{checked:?}\n{}", text.escape_debug());
    }
}

/// Whether a quote that a value is spelled with might close something elsewhere in `text`: in a
/// comment behind a value, to go-ini. A value that is put there by hand is then refused when it is
/// opened.
fn meets_quotes(id: CodecId, text: &str) -> bool {
    id == CodecId::Grafana && (text.contains("\"\"\"") || text.contains('`'))
}

/// The control: what is generated as YAML mostly is YAML, and what is looked for is in it.
#[test]
fn generated_yaml_is_worth_the_test() {
    let mut runner = TestRunner::deterministic();
    let (mut read, mut blocks, mut comments, mut shown) = (0, 0, 0, 0);
    for _ in 0..500 {
        let text = yaml().new_tree(&mut runner).unwrap().current();
        let Ok(sites) = CodecId::Yaml.codec().scan(text.as_bytes()) else { continue };
        read += 1;
        for site in sites {
            let source = site.span.of(text.as_bytes());
            blocks += usize::from(matches!(source[0], b'|' | b'>') && source.contains(&b'\n'));
            comments += usize::from(site.context == Context::COMMENT);
            shown += usize::from(!site.also.is_empty());
        }
    }
    assert!(
        read > 350 && blocks > 200 && comments > 800 && shown > 500,
        "{read} documents, {blocks} block scalars, {comments} in comments, {shown} shown by aliases"
    );
}
