//! Which of several codecs a text is of.
//!
//! Must stay true: a sealed text is of the codec that its view is of. So a token's colons, which
//! would make `KEYWORD TOKEN` an assignment, are not looked at.

use super::{CodecId, ParseError, Scanned, Site};

/// Takes `text` apart by the first of `candidates` that finds values in it, else by the first that
/// understands it. The error is that of the first that was tried.
pub(super) fn scan(candidates: &[CodecId], text: &[u8]) -> Result<Scanned, ParseError> {
    let masked = without_colons(text);
    let (mut without_values, mut first) = (None, None);
    for id in candidates {
        let found = match &masked {
            Some(masked) => read(*id, masked).and_then(|_| read(*id, text)),
            None => read(*id, text),
        };
        match found {
            Ok(sites) if sites.is_empty() => _ = without_values.get_or_insert(*id),
            Ok(sites) => return Ok(Scanned { id: *id, sites }),
            Err(error) => _ = first.get_or_insert(error),
        }
    }
    let unknown = || ParseError::at(text, 0, "of no known format");
    without_values
        .map(|id| Scanned { id, sites: Vec::new() })
        .ok_or_else(|| first.unwrap_or_else(unknown))
}

/// The sites of `text`, if the codec understands it. A dialect of INI that reads several words as
/// a key outside of all sections does not: there the first word is a keyword, and the rest belongs
/// to its value (`bindpw hunter:2`). Nor does YAML, if all of the text is one scalar to it.
fn read(id: CodecId, text: &[u8]) -> Result<Vec<Site>, ParseError> {
    let sites = id.codec().scan(text)?;
    let is_ini = matches!(id, CodecId::Ini | CodecId::Configparser | CodecId::Php);
    let has_words = |site: &&Site| {
        let mut segments = site.path.inwards();
        let key = segments.next().and_then(|segment| segment.key());
        let blank = key.is_some_and(|key| key.iter().any(u8::is_ascii_whitespace));
        blank && segments.next().is_none() && !site.context.is_comment()
    };
    if id == CodecId::Yaml && sites.iter().any(|site| site.path.is_root()) {
        return Err(ParseError::at(text, 0, "no more than words"));
    }
    match sites.iter().find(has_words) {
        Some(site) if is_ini => {
            Err(ParseError::at(text, site.span.start, "a key of several words"))
        }
        _ => Ok(sites),
    }
}

/// `text` with the colons in tokens replaced; `None` if no token stands in it.
fn without_colons(text: &[u8]) -> Option<Vec<u8>> {
    let mut found = memchr::memmem::find_iter(text, b"ENC:v").peekable();
    found.peek()?;
    let mut masked = text.to_vec();
    let mut end = 0;
    for start in found {
        let belongs = |b: &&u8| b.is_ascii_alphanumeric() || b"_:-".contains(*b);
        let start = start.max(end);
        end = start + text[start..].iter().take_while(belongs).count();
        for byte in &mut masked[start..end] {
            if *byte == b':' {
                *byte = b'_';
            }
        }
    }
    Some(masked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{assert_linear, repeated};

    const CANDIDATES: &[CodecId] = &[CodecId::Ini, CodecId::Configparser, CodecId::Directives];

    fn chosen(text: &str) -> Option<CodecId> {
        scan(CANDIDATES, text.as_bytes()).ok().map(|scanned| scanned.id)
    }

    #[test]
    fn a_token_makes_no_assignment_of_a_keyword() {
        for value in ["hunter2", "hunter:2", "hunter=2", "ENC:v1:0011aabb:AA--_"] {
            let text = format!("base x\nbindpw {value}\n");
            assert_eq!(chosen(&text), Some(CodecId::Directives), "{text}");
        }
    }

    #[test]
    fn keys_of_several_words_stand_in_sections() {
        assert_eq!(chosen("uri ldap://x\nbase dc=x\n"), Some(CodecId::Directives));
        assert_eq!(chosen("[global]\nserver string = x\n"), Some(CodecId::Ini));
        assert_eq!(chosen("a = 1\n"), Some(CodecId::Ini));
    }

    #[test]
    fn yaml_has_keys() {
        let candidates = [CodecId::Yaml, CodecId::Directives];
        let chosen = |text: &str| scan(&candidates, text.as_bytes()).map(|scanned| scanned.id);
        assert_eq!(chosen("net:\n  port: 27017\n"), Ok(CodecId::Yaml));
        assert_eq!(chosen("base dc=x\nbindpw hunter2\n"), Ok(CodecId::Directives));
        assert_eq!(chosen("word\n"), Ok(CodecId::Directives));
    }

    #[test]
    fn a_hostile_text_takes_linear_time() {
        assert_linear(
            "tokens",
            |len| repeated("ENC:v", len),
            |text| assert!(without_colons(text.as_bytes()).is_some()),
        );
    }
}
