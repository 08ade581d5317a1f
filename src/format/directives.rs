//! Keywords with arguments, and the dialects of programs that write them.
//!
//! A dialect is its tokenizer and its quotes. What all share: the keyword is the path, and with it
//! those arguments that say what the rest is about (`set $api_key …` stands under
//! `set."$api_key"`). Such an argument is never a value itself, so sealing changes no path.

mod generic;
mod lua;
mod nginx;
mod postgresql;
mod redis;
mod sshd;
mod words;

use super::{Codec, CodecId, Context, FieldPath, ParseError, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

/// The codec of one dialect.
pub(super) struct Directives {
    id: CodecId,
    dialect: &'static Dialect,
}

/// What one program's files differ in. For each function, what the one of [`Codec`] promises.
struct Dialect {
    scan: fn(&[u8]) -> Result<Vec<Site>, ParseError>,
    decode: fn(&[u8], Context) -> Option<SecretBytes>,
    encode: fn(&[u8], Context) -> Option<SecretBytes>,
    /// What stands on both sides of a token.
    quote: &'static str,
}

pub(super) static DIRECTIVES: Directives =
    Directives { id: CodecId::Directives, dialect: &generic::DIALECT };
pub(super) static REDIS: Directives = Directives { id: CodecId::Redis, dialect: &redis::DIALECT };
pub(super) static SSHD: Directives = Directives { id: CodecId::Sshd, dialect: &sshd::DIALECT };
pub(super) static POSTGRESQL: Directives =
    Directives { id: CodecId::Postgresql, dialect: &postgresql::DIALECT };
pub(super) static NGINX: Directives = Directives { id: CodecId::Nginx, dialect: &nginx::DIALECT };

impl Codec for Directives {
    fn id(&self) -> CodecId {
        self.id
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        (self.dialect.scan)(text)
    }

    fn decode(&self, source: &[u8], context: Context) -> Option<SecretBytes> {
        (self.dialect.decode)(source, context)
    }

    fn encode(&self, value: &[u8], context: Context, _column: u16) -> Option<SecretBytes> {
        (self.dialect.encode)(value, context)
    }

    fn quote(&self, context: Context) -> &'static str {
        // Those around the inside of a string stand there already.
        if context == words::INSIDE { "" } else { self.dialect.quote }
    }
}

fn site(path: &FieldPath, span: Span, context: Context) -> Site {
    Site { span, path: path.clone(), context, column: 0, naming: false, also: Box::default() }
}

/// Appends the sites of `values` under `path`: of a single one there, of more in a list.
fn values(sites: &mut Vec<Site>, path: &FieldPath, values: &[Span], context: Context) {
    let list = path.element();
    let path = if values.len() > 1 { &list } else { path };
    sites.extend(values.iter().map(|span| site(path, *span, context)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{assert_linear, repeated};

    /// The sites of a text: path, source, whether it stands in a comment.
    pub(super) fn found<'a>(
        codec: &Directives,
        text: &'a str,
    ) -> Result<Vec<(String, &'a str, bool)>, ParseError> {
        let sites = codec.scan(text.as_bytes())?;
        Ok(sites
            .iter()
            .map(|site| {
                let source = &text[site.span.start..site.span.end];
                (site.path.to_string(), source, site.context.is_comment())
            })
            .collect())
    }

    /// Checks what is found in `text`: `path=source`, with a `#` in front of what is commented out.
    pub(super) fn check(codec: &Directives, text: &str, wanted: &[&str]) {
        let found: Vec<_> = found(codec, text)
            .unwrap_or_else(|error| panic!("{text:?}: {error}"))
            .into_iter()
            .map(|(path, source, commented)| {
                format!("{}{path}={source}", if commented { "#" } else { "" })
            })
            .collect();
        assert_eq!(found, wanted, "{text:?}");
    }

    #[test]
    fn hostile_texts_take_linear_time() {
        for codec in [&DIRECTIVES, &REDIS, &SSHD, &POSTGRESQL, &NGINX] {
            for piece in [
                "a ",
                "a b\n",
                "# a b\n",
                "#",
                "\"",
                "'",
                "\\",
                "a {\n",
                "a{",
                "}",
                "a 'b' ",
                "$",
                "user >a >b\n",
                "# a b; ",
                "a = 'b'\n",
                "a b;",
                "password x ",
                "# a 'b\n",
                "[[",
                "--",
                "a_by_lua_block {[[",
                "${",
                "\r",
                "(",
                "# a = b",
            ] {
                for (front, behind) in [("", ""), ("x_by_lua_block {", "}"), ("a ", "")] {
                    let what = format!("{}: {front}{piece}", codec.id);
                    let text = |len| [front, &repeated(piece, len), behind].concat();
                    assert_linear(&what, text, |text| _ = codec.scan(text.as_bytes()));
                }
            }
        }
    }
}
