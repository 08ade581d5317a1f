//! Each dialect, by the samples of its reader's own documentation where there are any.

mod configparser;
mod generic;
mod git;
mod go;
mod mysql;
mod php;
mod refused;
mod systemd;

use super::*;

/// Path, source and context of each site.
fn found(codec: &Ini, text: &str) -> Vec<(String, String, u8)> {
    let sites = codec.scan(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let source = |site: &Site| site.span.of(text.as_bytes()).escape_ascii().to_string();
    sites.iter().map(|site| (site.path.to_string(), source(site), site.context.0)).collect()
}

/// Checks path and source of each site of `text`; a commented-out one has `;` in front of its path.
fn finds(codec: &Ini, text: &str, wanted: &[(&str, &str)]) {
    let found: Vec<_> = found(codec, text)
        .into_iter()
        .map(|(path, source, context)| {
            let mark = if Context(context).is_comment() { ";" } else { "" };
            (format!("{mark}{path}"), source)
        })
        .collect();
    let wanted: Vec<_> =
        wanted.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned())).collect();
    assert_eq!(found, wanted, "{text}");
}

/// Checks what a reader takes each site of `text` for, its comments included.
fn reads(codec: &Ini, text: &str, wanted: &[&str]) {
    let sites = codec.scan(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let values: Vec<_> = sites
        .iter()
        .map(|site| {
            let value = codec.decode(site.span.of(text.as_bytes()), site.context);
            let value = value.unwrap_or_else(|| panic!("{} in {text}", site.path));
            String::from_utf8_lossy(&value).into_owned()
        })
        .collect();
    assert_eq!(values, wanted, "{text}");
}

fn refuses(codec: &Ini, text: &str, line: usize) {
    match codec.scan(text.as_bytes()) {
        Ok(sites) => panic!("{} sites in {text}", sites.len()),
        Err(error) => assert_eq!(error.line, line, "{error}\n{text}"),
    }
}

/// Checks that `value` is spelled as `source`, and read back.
fn spells(codec: &Ini, value: &str, source: Option<&str>) {
    let encoded = codec.encode(value.as_bytes(), Context::ORDINARY, 4);
    let shown = encoded.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!(shown.as_deref(), source, "{value:?}");
}
