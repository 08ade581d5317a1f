//! The bare parser below a codec, where there is one: what it takes to read the document at all.

use confseal::format::CodecId;

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
    granit_parser::Parser::new_from_str(text).map(|event| event.expect("YAML")).count()
}

fn xml(text: &str) -> usize {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut events = 0;
    while !matches!(reader.read_event().expect("XML"), quick_xml::events::Event::Eof) {
        events += 1;
    }
    events
}

fn hcl(text: &str) -> usize {
    hcl_edit::parser::parse_body(text).expect("HCL").len()
}
