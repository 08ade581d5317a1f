//! JSON, with comments and trailing commas tolerated. `jsonc-parser` says whether a text is JSON
//! and which tokens it has; the sites follow from the tokens.
//!
//! Beyond RFC 8259 are taken: a byte order mark, comments, trailing commas, lone surrogate
//! escapes (the parser refuses them, so it sees a copy without), and what the parser cannot be
//! told to refuse: raw control characters in strings, and any Unicode white space.

mod comment;
mod scalar;
mod walk;

use jsonc_parser::tokens::{Token, TokenAndRange};
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};

use self::walk::{Tok, TokKind};
use super::{Codec, CodecId, Context, ParseError, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

/// The codec of JSON files.
pub(super) struct Json;

impl Codec for Json {
    fn id(&self) -> CodecId {
        CodecId::Json
    }

    fn scan(&self, text: &[u8]) -> Result<Vec<Site>, ParseError> {
        let source = std::str::from_utf8(text)
            .map_err(|error| ParseError::at(text, error.valid_up_to(), "not UTF-8"))?;
        let body = source.strip_prefix('\u{feff}').unwrap_or(source);
        let shift = source.len() - body.len();
        let body = scalar::without_lone_surrogates(body);
        let parsed = parse_to_ast(&body, &COLLECT, &STRICT).map_err(|error| {
            ParseError::at(text, error.range().start + shift, kind_of(error.kind()))
        })?;
        if parsed.value.is_none() {
            return Err(ParseError::at(text, text.len(), "no value"));
        }
        let toks: Vec<Tok> =
            parsed.tokens.unwrap_or_default().iter().map(|token| tok(token, shift)).collect();
        Ok(walk::document(text, &toks))
    }

    fn decode(&self, source: &[u8], _context: Context) -> Option<SecretBytes> {
        scalar::decode(source)
    }

    fn encode(&self, value: &[u8], context: Context, _column: u16) -> Option<SecretBytes> {
        scalar::encode(value, context)
    }

    fn token(&self, token: &str, _context: Context) -> String {
        format!("\"{token}\"")
    }
}

const COLLECT: CollectOptions =
    CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };

const STRICT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

fn tok(token: &TokenAndRange<'_>, shift: usize) -> Tok {
    let kind = match token.token {
        Token::OpenBrace => TokKind::OpenObject,
        Token::OpenBracket => TokKind::OpenArray,
        Token::CloseBrace | Token::CloseBracket => TokKind::Close,
        Token::Comma => TokKind::Comma,
        Token::Colon => TokKind::Colon,
        Token::String(_) => TokKind::String,
        Token::Word(_) => TokKind::Word,
        Token::Boolean(_) | Token::Number(_) | Token::Null => TokKind::Literal,
        Token::CommentLine(_) => TokKind::LineComment,
        Token::CommentBlock(_) => TokKind::BlockComment,
    };
    Tok { kind, span: Span::from(token.range.start..token.range.end).shifted(shift) }
}

/// The parser's own words quote source text now and then.
fn kind_of(kind: &jsonc_parser::errors::ParseErrorKind) -> &'static str {
    use jsonc_parser::errors::ParseErrorKind as Kind;
    match kind {
        Kind::NestingDepthExceeded => "nested too deeply",
        Kind::UnterminatedObject => "an object that does not end",
        Kind::UnterminatedArray => "an array that does not end",
        Kind::UnterminatedCommentBlock => "a comment that does not end",
        Kind::String(jsonc_parser::ParseStringErrorKind::UnterminatedStringLiteral) => {
            "a string that does not end"
        }
        Kind::String(_) => "not a valid escape",
        Kind::ExpectedComma => "a comma is missing",
        Kind::MultipleRootJsonValues => "more than one value",
        _ => "not valid JSON",
    }
}
