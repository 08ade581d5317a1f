//! The bare parser below a codec, where there is one: what it takes to read the document at all.

use confseal::format::CodecId;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

/// Reads a document to its end; the number is something of what it saw, so that it must.
pub fn of(codec: CodecId) -> Option<fn(&str) -> usize> {
    match codec {
        CodecId::Toml => Some(toml),
        CodecId::Json => Some(json),
        CodecId::Yaml => Some(yaml),
        CodecId::Xml => Some(xml),
        CodecId::Hcl => Some(hcl),
        _ => None,
    }
}

fn toml(text: &str) -> usize {
    toml_edit::Document::parse(text).expect("TOML").len()
}

fn json(text: &str) -> usize {
    let parsed = jsonc_parser::parse_to_ast(text, &Default::default(), &Default::default());
    usize::from(parsed.expect("JSON").value.is_some())
}

fn yaml(text: &str) -> usize {
    let events = granit_parser::Parser::new_from_str(text);
    events.filter(|event| event.is_ok()).count()
}

/// The reader's events, attributes taken apart and references resolved: nobody gets a value
/// without.
fn xml(text: &str) -> usize {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut seen = 0;
    loop {
        match reader.read_event().expect("XML") {
            Event::Eof => return seen,
            Event::Start(tag) | Event::Empty(tag) => {
                for attribute in tag.attributes() {
                    let attribute = attribute.expect("an attribute");
                    let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                    seen += value.expect("a value").len();
                }
            }
            Event::Text(text) => seen += text.xml10_content().len(),
            Event::GeneralRef(name) => seen += resolve_xml_entity(&name).map_or(0, str::len),
            _ => seen += 1,
        }
    }
}

fn hcl(text: &str) -> usize {
    hcl_edit::parser::parse_body(text).expect("HCL").len()
}
