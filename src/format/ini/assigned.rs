//! Assignments within a value, as another reader might see them: behind `;` or `#`, which begin a
//! comment for some readers only, at the start of a line within a value of several lines, and in
//! the variables of an `environment`.
//!
//! A value is secret if one of these names is. That no reader is harmed costs nothing: a value is
//! sealed as a whole.

use crate::format::line::{is_blank, skip_blanks};
use crate::format::{FieldPath, Segment};

/// `path`, extended by each name that `source` assigns to.
pub(super) fn paths(source: &[u8], path: &FieldPath) -> Box<[FieldPath]> {
    let mut found = Vec::new();
    let words = path.inwards().next().and_then(Segment::key).is_some_and(is_environment);
    // Elsewhere the first name of a value is for its own detection: `conn = password=…`.
    let mut opens = words;
    let mut at = 0;
    while at < source.len() {
        match source[at] {
            b'\n' => opens = true,
            b';' | b'#' if opens || (at > 0 && is_blank(source[at - 1])) => opens = true,
            // Environments of supervisord and uWSGI: `A="x",B="y"`.
            b',' => opens = true,
            b'"' | b'\'' if words => opens = true,
            byte if is_blank(byte) => opens |= words,
            byte if opens && is_name_byte(byte) => {
                let len = source[at..].iter().take_while(|b| is_name_byte(**b)).count();
                let name = &source[at..at + len];
                if matches!(source.get(skip_blanks(source, at + len)), Some(b'=' | b':')) {
                    found.push(path.key(name));
                }
                opens = false;
                at += len;
                continue;
            }
            _ => opens = false,
        }
        at += 1;
    }
    found.into()
}

/// Whether the value of `key` is a list of variables: systemd's, in a drop-in of any name, those of
/// supervisord and of uWSGI.
fn is_environment(key: &[u8]) -> bool {
    ["environment", "defaultenvironment", "env"]
        .iter()
        .any(|name| key.eq_ignore_ascii_case(name.as_bytes()))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_marks_commas_and_line_starts_are_found() {
        let samples: [(&str, &[&str]); 7] = [
            ("x ; password = y", &["k.password"]),
            ("x # a: 1 ;b=2", &["k.a", "k.b"]),
            ("x;y=1#z=2", &[]),
            ("\n  A = 1\n  # B=2\n  just words = 3", &["k.A", "k.B"]),
            ("A=\"1\",DB_PASSWORD=\"2\"", &["k.DB_PASSWORD"]),
            ("a=b c=d --e=f", &[]),
            ("postgres://u:p@h/?a=b", &[]),
        ];
        for (source, names) in samples {
            let found = paths(source.as_bytes(), &FieldPath::root().key("k"));
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, names, "{source}");
        }
    }

    #[test]
    fn every_variable_of_an_environment_is_found() {
        let path = FieldPath::root().key("Environment");
        let found = paths(b"A=1 \"DB_PASSWORD=x y\" 'C=d'", &path);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["Environment.A", "Environment.DB_PASSWORD", "Environment.C"]);
    }
}
