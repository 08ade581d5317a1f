//! The tokens of HCL. A template is one token, with all that is interpolated in it.
//!
//! What must stay true: time is linear, and nothing recurses.

use crate::span::Span;

/// Where and what.
pub(super) type Wrong = (usize, &'static str);

/// A token without its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tok {
    pub kind: TokKind,
    pub span: Span,
}

/// The kinds of [`Tok`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TokKind {
    Ident,
    Number,
    /// Between double quotes.
    Text,
    /// From its `<<` to the end of its last marker.
    Heredoc,
    Newline,
    /// Without the line end.
    LineComment,
    BlockComment,
    /// A bracket, a separator, or another character by itself.
    Mark(u8),
    /// `==`, `&&`, `+` and so on.
    Operator,
    /// `...`
    Ellipsis,
    /// `=>`
    Arrow,
    /// `::`
    Scope,
    End,
}

/// How deep templates may stand within each other.
const DEEPEST: usize = 64;

/// The token at `at`, or behind the blanks there.
pub(super) fn next(text: &[u8], at: usize) -> Result<Tok, Wrong> {
    let at = at + text[at..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let rest = &text[at..];
    let tok = |kind, len| Ok(Tok { kind, span: Span::new(at, at + len) });
    let Some(first) = rest.first() else { return tok(TokKind::End, 0) };
    match first {
        b'\n' => tok(TokKind::Newline, 1),
        b'\r' if rest.starts_with(b"\r\n") => tok(TokKind::Newline, 2),
        b'#' => tok(TokKind::LineComment, line_len(rest)),
        b'/' if rest.starts_with(b"//") => tok(TokKind::LineComment, line_len(rest)),
        b'/' if rest.starts_with(b"/*") => match memchr::memmem::find(&rest[2..], b"*/") {
            Some(len) => tok(TokKind::BlockComment, len + 4),
            None => Err((at, "a comment that does not end")),
        },
        b'"' => Ok(Tok { kind: TokKind::Text, span: Span::new(at, template_end(text, at)?) }),
        b'<' if rest.starts_with(b"<<") => {
            Ok(Tok { kind: TokKind::Heredoc, span: Span::new(at, template_end(text, at)?) })
        }
        b'0'..=b'9' => tok(TokKind::Number, number_len(rest)),
        b if is_ident_start(*b) => {
            tok(TokKind::Ident, rest.iter().take_while(|b| is_ident(**b)).count())
        }
        b'.' if rest.starts_with(b"...") => tok(TokKind::Ellipsis, 3),
        b':' if rest.starts_with(b"::") => tok(TokKind::Scope, 2),
        b'=' if rest.starts_with(b"=>") => tok(TokKind::Arrow, 2),
        b'=' | b'!' | b'<' | b'>' if rest.get(1) == Some(&b'=') => tok(TokKind::Operator, 2),
        b'&' | b'|' if rest.get(1) == Some(first) => tok(TokKind::Operator, 2),
        b'<' | b'>' | b'+' | b'/' | b'%' => tok(TokKind::Operator, 1),
        b'{' | b'}' | b'[' | b']' | b'(' | b')' | b',' | b'.' | b'=' | b':' | b'?' | b'!'
        | b'-' | b'*' => tok(TokKind::Mark(*first), 1),
        _ => Err((at, "a character that means nothing here")),
    }
}

fn line_len(text: &[u8]) -> usize {
    let len = memchr::memchr(b'\n', text).unwrap_or(text.len());
    if text[..len].ends_with(b"\r") { len - 1 } else { len }
}

/// How long the number is that `text` begins with; 0 if it begins with none.
pub(super) fn number_len(text: &[u8]) -> usize {
    let digits = |at: usize| text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut len = digits(0);
    if len == 0 {
        return 0;
    }
    if text.get(len) == Some(&b'.') && digits(len + 1) > 0 {
        len += 1 + digits(len + 1);
    }
    if matches!(text.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(len + 1), Some(b'+' | b'-')));
        if digits((len + 1 + sign).min(text.len())) > 0 {
            len += 1 + sign + digits(len + 1 + sign);
        }
    }
    len
}

fn is_ident_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

pub(super) fn is_ident(byte: u8) -> bool {
    is_ident_start(byte) || byte.is_ascii_digit() || byte == b'-'
}

/// What is open around a byte of a template.
enum Around {
    Quotes,
    /// Of an interpolation: how many braces are open in it.
    Braces(usize),
    /// A heredoc and its marker.
    Heredoc(Span),
}

/// Where the template that begins at `start` ends, with a quote or with `<<`.
pub(super) fn template_end(text: &[u8], start: usize) -> Result<usize, Wrong> {
    let (first, at) = open(text, start)?;
    end_of(text, first, start, at)
}

/// How long the interpolation is that `text` begins with.
pub(super) fn interpolation_len(text: &[u8]) -> Option<usize> {
    end_of(text, Around::Braces(0), 0, "${".len()).ok()
}

/// Where `first` ends, which begins at `start` and whose inside begins at `at`.
fn end_of(text: &[u8], first: Around, start: usize, mut at: usize) -> Result<usize, Wrong> {
    let unended = (start, "a string that does not end");
    let mut stack = vec![first];
    loop {
        let depth = stack.len();
        let Some(around) = stack.last_mut() else { return Ok(at) };
        let rest = &text[at..];
        if depth > DEEPEST {
            return Err((at, "nested too deeply"));
        }
        let first = rest.first().ok_or(unended)?;
        at += match (around, first) {
            (Around::Braces(open), b'{') => {
                *open += 1;
                1
            }
            (Around::Braces(0), b'}') => {
                stack.pop();
                1
            }
            (Around::Braces(open), b'}') => {
                *open -= 1;
                1
            }
            (Around::Braces(_), b'"' | b'<') if *first == b'"' || rest.starts_with(b"<<") => {
                let (inner, behind) = open(text, at)?;
                stack.push(inner);
                behind - at
            }
            (Around::Braces(_), b'#') => line_len(rest),
            (Around::Braces(_), b'/') if rest.starts_with(b"//") => line_len(rest),
            (Around::Braces(_), b'/') if rest.starts_with(b"/*") => {
                memchr::memmem::find(&rest[2..], b"*/").ok_or(unended)? + 4
            }
            (Around::Braces(_), _) => 1,
            (_, b'$' | b'%') if rest.get(1) == Some(first) && rest.get(2) == Some(&b'{') => 3,
            (_, b'$' | b'%') if rest.get(1) == Some(&b'{') => {
                stack.push(Around::Braces(0));
                2
            }
            (Around::Quotes, b'"') => {
                stack.pop();
                1
            }
            (Around::Quotes, b'\\') => match escape(rest) {
                Some((_, len)) => len,
                None => return Err((at, "not a valid escape")),
            },
            (Around::Quotes, b'\n' | b'\r') => return Err(unended),
            (Around::Heredoc(marker), b'\n') => {
                let line = &rest[1..];
                let blank = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
                let end = blank + marker.len();
                let ends = line[blank..].starts_with(marker.of(text))
                    && matches!(&line[end..], [] | [b'\n', ..] | [b'\r', b'\n', ..]);
                if ends {
                    stack.pop();
                    1 + end
                } else {
                    1
                }
            }
            _ => 1,
        };
    }
}

/// What begins at `at`, and where its inside begins. A heredoc's inside begins with the line end
/// behind its marker.
fn open(text: &[u8], at: usize) -> Result<(Around, usize), Wrong> {
    if text[at] == b'"' {
        return Ok((Around::Quotes, at + 1));
    }
    let marker = at + if text[at..].starts_with(b"<<-") { 3 } else { 2 };
    let len = text[marker..].iter().take_while(|b| is_ident(**b)).count();
    let end = marker + len;
    let line_end = matches!(&text[end..], [b'\n', ..] | [b'\r', b'\n', ..]);
    match line_end && len > 0 && is_ident_start(text[marker]) {
        true => {
            let inside = if text[end] == b'\r' { end + 1 } else { end };
            Ok((Around::Heredoc(Span::new(marker, end)), inside))
        }
        false => Err((at, "not a heredoc")),
    }
}

/// The character that the escape at the beginning of `text` stands for, and its length.
pub(super) fn escape(text: &[u8]) -> Option<(char, usize)> {
    let hex = |len: usize| {
        let digits = text.get(2..2 + len).filter(|d| d.iter().all(u8::is_ascii_hexdigit))?;
        let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        Some((char::from_u32(code)?, 2 + len))
    };
    match text.get(1)? {
        b'n' => Some(('\n', 2)),
        b'r' => Some(('\r', 2)),
        b't' => Some(('\t', 2)),
        b'"' => Some(('"', 2)),
        b'\\' => Some(('\\', 2)),
        b'u' => hex(4),
        b'U' => hex(8),
        _ => None,
    }
}
