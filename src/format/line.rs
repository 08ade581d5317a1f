//! Lines and blanks, for the formats made of lines.

/// The byte order mark of UTF-8.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Whether `byte` is a blank within a line; the carriage return of a line's end is one.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// The first byte at or behind `at` that is no blank.
pub(super) fn skip_blanks(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|b| is_blank(**b)).count()
}

/// Where the line of `at` ends: at its line feed or the end of the text.
pub(super) fn line_end(text: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |len| at + len)
}

/// `end` without the blanks in front of it, but not before `start`.
pub(super) fn trimmed_end(text: &[u8], start: usize, end: usize) -> usize {
    end - text[start..end].iter().rev().take_while(|b| is_blank(**b)).count()
}

/// `text` without the blanks around it.
pub(super) fn trimmed(text: &[u8]) -> &[u8] {
    let start = skip_blanks(text, 0);
    &text[start..trimmed_end(text, start, text.len())]
}

/// The first byte that no format of lines has: a NUL, or a carriage return within a line.
pub(super) fn misplaced(text: &[u8]) -> Option<usize> {
    memchr::memchr2_iter(b'\0', b'\r', text).find(|at| match text[*at] {
        b'\r' => !matches!(text.get(at + 1), None | Some(b'\n' | b'\r')),
        _ => true,
    })
}
