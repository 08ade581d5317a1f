//! User info in URLs: `scheme://user:PASSWORD@host`.
//!
//! Programs accept passwords that the RFC would have them escape, so an authority ends at its
//! last `@`, and a "port" that is no number is a password with a slash in it.

use super::harmless::is_placeholder;
use super::token;
use crate::secret::SecretBytes;
use crate::span::Span;

/// How far the `@` behind a password with a slash in it is looked for; keeps the whole linear.
const REACH: usize = 1024;

/// The passwords of every URL in `text`, in order, and of a `user:PASSWORD@tcp(…)` locator.
pub(super) fn passwords(text: &[u8]) -> Vec<Span> {
    let mut found: Vec<Span> = authorities(text).filter_map(|at| password(text, at)).collect();
    if found.is_empty() {
        found.extend(go_locator(text).or_else(|| oracle_locator(text)));
    }
    found
}

/// The user infos, in order, that are or begin with a known token. Empty unless that is where
/// every token of `text` stands.
pub(super) fn token_users(text: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    let mut rest = SecretBytes::with_capacity(text.len());
    let mut copied = 0;
    for start in authorities(text) {
        let Some(at) = last_at(text, start, authority_end(text, start)) else { continue };
        let info = Span::new(start, at);
        if start < copied || info.is_empty() || token::find(info.of(text)).is_none() {
            continue;
        }
        // With a user in front, the token is the password; else all of it goes.
        let user_end = text[start..at].iter().position(|b| *b == b':').map(|len| start + len);
        let part = match user_end {
            Some(end) if token::find(&text[start..end]).is_none() => Span::new(end + 1, at),
            _ => info,
        };
        found.push(part);
        rest.extend(&text[copied..part.start]);
        copied = at;
    }
    rest.extend(&text[copied..]);
    if token::find(&rest).is_some() {
        found.clear();
    }
    if !found.is_empty() {
        let known = found.clone();
        let apart = |span: &Span| known.iter().all(|k| span.end <= k.start || k.end <= span.start);
        found.extend(passwords(text).into_iter().filter(apart));
    }
    found
}

/// Where the authorities of the URLs in `text` begin. A value may begin behind the scheme: that of
/// `# see http://…`, where the scheme reads as a name.
fn authorities(text: &[u8]) -> impl Iterator<Item = usize> {
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let marks = text.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
    let without_scheme = text.starts_with(b"//").then_some(2).into_iter();
    let with_scheme = marks
        .filter(move |at| text[*at..].starts_with(b"://") && *at > 0 && is_scheme(text[*at - 1]))
        .map(|at| at + 3);
    without_scheme.chain(with_scheme)
}

/// White space, control characters and the double quote end a URL wherever they stand.
fn ends_url(byte: u8) -> bool {
    byte <= b' ' || byte == b'"' || byte == 0x7f
}

fn authority_end(text: &[u8], start: usize) -> usize {
    let ends = |b: &u8| ends_url(*b) || matches!(b, b'/' | b'?' | b'#');
    text[start..].iter().position(ends).map_or(text.len(), |len| start + len)
}

fn last_at(text: &[u8], start: usize, end: usize) -> Option<usize> {
    text[start..end].iter().rposition(|b| *b == b'@').map(|at| start + at)
}

fn password(text: &[u8], start: usize) -> Option<Span> {
    if text.get(start) == Some(&b'[') {
        return None;
    }
    let end = authority_end(text, start);
    let colon = start + text[start..end].iter().position(|b| *b == b':')?;
    let at = last_at(text, start, end).or_else(|| slashed(text, colon + 1, end))?;
    let span = (colon < at).then(|| Span::new(colon + 1, at))?;
    (!span.is_empty() && !is_placeholder(span.of(text))).then_some(span)
}

/// The `@` behind what looks like a port up to `end`, but is a password that goes on there.
fn slashed(text: &[u8], start: usize, end: usize) -> Option<usize> {
    if text.get(end).is_none_or(|b| ends_url(*b) && *b != b'"') {
        return None;
    }
    let limit = text.len().min(end + REACH);
    let url_end =
        end + text[end..limit].iter().position(|b| *b <= b' ' || *b == 0x7f).unwrap_or(limit - end);
    let port = &text[start..end];
    if port.is_empty() || is_template(port) {
        return None;
    }
    // `host:8080/path@2`: the number is a port, unless a host can only follow the `@`.
    if port.len() <= 5 && port.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Not across the beginning of another URL.
    let limit = text[end..url_end].windows(3).position(|three| three == b"://");
    let limit = limit.map_or(url_end, |at| end + at);
    last_at(text, end, limit)
}

/// Whether a variable begins here.
fn is_template(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'$' | b'{' | b'<' | b'%'))
}

/// `jdbc:oracle:thin:user/PASSWORD@host`.
fn oracle_locator(text: &[u8]) -> Option<Span> {
    let rest = text.strip_prefix(b"jdbc:oracle:")?;
    let user = rest.iter().position(|b| *b == b':')? + 1;
    let slash = user + rest[user..].iter().position(|b| matches!(b, b'/' | b'@'))?;
    if rest[slash] != b'/' {
        return None;
    }
    let at = slash + rest[slash..].iter().position(|b| *b == b'@')?;
    let front = text.len() - rest.len();
    let span = Span::new(front + slash + 1, front + at);
    (!span.is_empty() && !is_placeholder(span.of(text))).then_some(span)
}

/// `user:PASSWORD@tcp(host:port)/db`, as Go's MySQL driver takes it.
fn go_locator(text: &[u8]) -> Option<Span> {
    let at = [&b"@tcp("[..], b"@tcp6(", b"@unix("]
        .iter()
        .find_map(|mark| text.windows(mark.len()).position(|part| part == *mark))?;
    let colon = text[..at].iter().position(|b| *b == b':')?;
    let span = Span::new(colon + 1, at);
    (!span.is_empty() && !is_placeholder(span.of(text))).then_some(span)
}
