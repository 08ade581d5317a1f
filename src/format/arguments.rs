//! Lists of arguments: what stands behind `--name` in a list is that option's value.
//!
//! The list says so to the program alone, so the name makes another path of the value
//! ([`Site::also`]) and never a part of its own: no seal depends on a neighbour.

use super::{Codec, Segment, Site};

/// Gives each element of a list the name of the option in front of it.
pub(super) fn name(text: &[u8], codec: &dyn Codec, sites: &mut [Site]) {
    for at in 1..sites.len() {
        let (front, back) = sites.split_at_mut(at);
        let (option, site) = (&front[at - 1], &mut back[0]);
        if !may_be_option(option.span.of(text)) || !are_neighbours(option, site) {
            continue;
        }
        let Some(name) = codec.decode(option.span.of(text), option.context) else { continue };
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        if name.iter().all(is_name) && !is_option(site.span.of(text)) {
            let path = site.path.key(&*name);
            site.also = site.also.iter().cloned().chain([path]).collect();
        }
    }
}

/// Whether both are elements of one list. Lists in a list of lists share a path: what is named
/// too much there is sealed too much.
fn are_neighbours(one: &Site, next: &Site) -> bool {
    next.path.inwards().next() == Some(&Segment::Element)
        && one.context.is_comment() == next.context.is_comment()
        && one.path == next.path
}

fn unquoted(source: &[u8]) -> &[u8] {
    match source {
        [b'"' | b'\'', rest @ ..] => rest,
        source => source,
    }
}

/// `--name`.
fn may_be_option(source: &[u8]) -> bool {
    matches!(unquoted(source), [b'-', b'-', name, ..] if name.is_ascii_alphabetic())
}

/// The next option: the one in front of it is a switch.
fn is_option(source: &[u8]) -> bool {
    unquoted(source).starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use crate::format::{CodecId, Format};
    use crate::linear::{assert_linear, repeated};

    /// Each site's own path, and the others.
    fn named(id: CodecId, text: &str) -> Vec<(String, Vec<String>)> {
        let scanned = Format::Codec(id).scan(text.as_bytes()).unwrap();
        let sites = scanned.sites.iter();
        sites
            .map(|site| {
                (site.path.to_string(), site.also.iter().map(ToString::to_string).collect())
            })
            .collect()
    }

    #[test]
    fn an_argument_is_named_by_the_option_in_front_of_it() {
        for (id, text) in [
            (CodecId::Json, "[\"run\", \"--api-key\", \"x\", \"y\"]"),
            (CodecId::Yaml, "- run\n- --api-key\n- x\n- y\n"),
            (CodecId::Yaml, "['run', '--api-key', 'x', 'y']\n"),
        ] {
            let also: Vec<_> = named(id, text).into_iter().map(|(_, also)| also).collect();
            assert_eq!(also, [vec![], vec![], vec!["[].--api-key".to_owned()], vec![]], "{text}");
        }
    }

    #[test]
    fn a_switch_and_another_list_name_nothing() {
        for text in [
            "{\"a\": [\"--token\", \"--quiet\"], \"b\": [\"x\"]}",
            "{\"a\": \"--token\", \"b\": \"x\"}",
            "[\"--token=x\", \"y\"]",
            "[\"--\", \"y\"]",
            "[\"-p\", \"y\"]",
        ] {
            let found = named(CodecId::Json, text);
            assert!(found.iter().all(|(_, also)| also.is_empty()), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_long_list_takes_linear_time() {
        let text = |len| format!("[{}\"x\"]", repeated("\"--token\", ", len));
        assert_eq!(named(CodecId::Json, &text(11_000)).len(), 1_001);
        assert_linear("a list", text, |text| _ = named(CodecId::Json, text));
    }
}
