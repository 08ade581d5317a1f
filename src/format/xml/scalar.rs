//! How XML spells a value: references, CDATA sections, the line ends and blanks that a reader
//! changes, and the hyphens that a comment forbids.

use std::borrow::Cow;

use super::attribute::is_blank;
use super::{Context, DOUBLE_QUOTED, DOUBLE_QUOTED_COMMENT, SINGLE_QUOTED, SINGLE_QUOTED_COMMENT};
use crate::secret::SecretBytes;

const CDATA: &[u8] = b"<![CDATA[";
const CDATA_END: &[u8] = b"]]>";

/// The quote around the values of this context.
fn quote(context: Context) -> Option<u8> {
    match context {
        DOUBLE_QUOTED | DOUBLE_QUOTED_COMMENT => Some(b'"'),
        SINGLE_QUOTED | SINGLE_QUOTED_COMMENT => Some(b'\''),
        _ => None,
    }
}

fn is_comment(context: Context) -> bool {
    matches!(context, Context::COMMENT | DOUBLE_QUOTED_COMMENT | SINGLE_QUOTED_COMMENT)
}

/// The value that `source` stands for. In a comment, an `&` that begins no reference stands for
/// itself: nobody checked it.
pub(super) fn decode(source: &[u8], context: Context) -> Option<SecretBytes> {
    std::str::from_utf8(source).ok()?;
    let (quote, commented) = (quote(context), is_comment(context));
    if commented && holds(source, b"--") {
        return None;
    }
    let ends = [source.first(), source.last()];
    if quote.is_none()
        && (ends.into_iter().flatten().any(|b| is_blank(*b)) || holds_outside_cdata_end(source))
    {
        return None;
    }
    let mut out = SecretBytes::with_capacity(source.len());
    let mut at = 0;
    while at < source.len() {
        let special =
            |b: &u8| matches!(b, b'<' | b'&' | b'\r' | b'\n' | b'\t') || Some(*b) == quote;
        let len = source[at..].iter().position(special).unwrap_or(source.len() - at);
        out.extend(&source[at..at + len]);
        at += len;
        match source.get(at) {
            None => break,
            Some(b'&') => match reference(&source[at..]) {
                Some((c, len)) => {
                    out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                    at += len;
                }
                None if commented => {
                    out.extend(b"&");
                    at += 1;
                }
                None => return None,
            },
            Some(b'<') if quote.is_none() => {
                let inner = source[at..].strip_prefix(CDATA)?;
                let len = memchr::memmem::find(inner, CDATA_END)?;
                lines(&inner[..len], &mut out);
                at += CDATA.len() + len + CDATA_END.len();
            }
            Some(b @ (b'\r' | b'\n' | b'\t')) => {
                let crlf = source[at..].starts_with(b"\r\n");
                out.extend(match b {
                    _ if quote.is_some() => b" ",
                    b'\t' => b"\t",
                    _ => b"\n",
                });
                at += if crlf { 2 } else { 1 };
            }
            Some(_) => return None,
        }
    }
    Some(out)
}

/// The value of what may be a name, which is no secret.
pub(super) fn name(source: &[u8], context: Context) -> Option<Cow<'_, [u8]>> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"._-/: ".contains(b);
    match source.iter().all(plain) {
        true => Some(source.into()),
        false => decode(source, context).map(|value| value.to_vec().into()),
    }
}

/// Whether `]]>` stands in text otherwise than as the end of a CDATA section.
fn holds_outside_cdata_end(source: &[u8]) -> bool {
    let mut rest = source;
    while let Some(end) = memchr::memmem::find(rest, CDATA_END) {
        if !holds(&rest[..end], CDATA) {
            return true;
        }
        rest = &rest[end + CDATA_END.len()..];
    }
    false
}

fn holds(text: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(text, what).is_some()
}

/// Appends `text` with its line ends as readers see them.
fn lines(text: &[u8], out: &mut SecretBytes) {
    let mut lines = text.split(|b| *b == b'\r');
    out.extend(lines.next().unwrap_or_default());
    for line in lines {
        if !line.starts_with(b"\n") {
            out.extend(b"\n");
        }
        out.extend(line);
    }
}

/// The character that the reference at the beginning of `text` stands for, and its length.
pub(super) fn reference(text: &[u8]) -> Option<(char, usize)> {
    /// `&#x10FFFF;`, with room for zeros in front.
    const LONGEST: usize = 24;
    let window = &text[..text.len().min(LONGEST)];
    let end = memchr::memchr(b';', window)?;
    let name = std::str::from_utf8(window.get(1..end)?).ok()?;
    let c = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        name => {
            let digits = name.strip_prefix('#')?;
            let (digits, radix) = match digits.strip_prefix('x') {
                Some(hex) => (hex, 16),
                None => (digits, 10),
            };
            if !digits.starts_with(|c: char| c.is_digit(radix)) {
                return None;
            }
            char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|c| is_allowed(*c))?
        }
    };
    Some((c, end + 1))
}

/// Whether a document may hold `c`, in any spelling.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Where the first character stands that a document may not hold.
pub(super) fn forbidden(text: &str) -> Option<usize> {
    let is_control = |b: &u8| *b < b' ' && !is_blank(*b);
    // Whole chunks are compared at once; there is next to never one to look into.
    let holds_control = |chunk: &[u8]| chunk.iter().filter(|b| is_control(b)).count() > 0;
    let chunk = text.as_bytes().chunks(4096).position(holds_control);
    let control = chunk.and_then(|chunk| {
        let start = chunk * 4096;
        Some(start + text.as_bytes()[start..].iter().position(is_control)?)
    });
    control.or_else(|| {
        let mut starts = memchr::memmem::find_iter(text.as_bytes(), b"\xef\xbf");
        starts.find(|at| matches!(text.as_bytes().get(at + 2), Some(0xbe | 0xbf)))
    })
}

/// A spelling of `value`. Values that a reader would change are spelled with references: blanks at
/// the ends of a text, line ends, and in a comment what could end it.
pub(super) fn encode(value: &[u8], context: Context) -> Option<SecretBytes> {
    let value = std::str::from_utf8(value).ok()?;
    if !value.chars().all(is_allowed) {
        return None;
    }
    let (quote, commented) = (quote(context), is_comment(context));
    if value.is_empty() && quote.is_none() {
        // Between other things, nothing would be no value.
        return Some(b"<![CDATA[]]>"[..].into());
    }
    let mut out = SecretBytes::with_capacity(value.len());
    let mut before = None;
    for (at, c) in value.char_indices() {
        let outermost = at == 0 || at + c.len_utf8() == value.len();
        let escaped = match c {
            '&' | '<' | '>' | '\r' => true,
            '"' | '\'' => quote.is_some_and(|quote| char::from(quote) == c),
            '\n' => quote.is_some() || commented || outermost,
            '\t' => quote.is_some() || outermost,
            ' ' => quote.is_none() && outermost,
            '-' => commented && (before == Some('-') || outermost),
            _ => false,
        };
        match c {
            '&' => out.extend(b"&amp;"),
            '<' => out.extend(b"&lt;"),
            '>' => out.extend(b"&gt;"),
            '"' if escaped => out.extend(b"&quot;"),
            '\'' if escaped => out.extend(b"&apos;"),
            c if escaped => out.extend(format!("&#{};", u32::from(c)).as_bytes()),
            c => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        before = Some(c);
    }
    Some(out)
}
