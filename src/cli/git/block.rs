//! Lines of ours in a file of the user's, between two comments.

use std::path::Path;

use super::super::Result;
use super::super::error::Failure;

const BEGIN: &str = "# confseal git-setup: begin";
const END: &str = "# confseal git-setup: end";

/// `text` with exactly `lines` between our comments: at its front if it has none yet, so that what
/// the user writes further down has the last word.
pub(super) fn with(text: &[u8], lines: &str) -> Vec<u8> {
    let block = format!("{BEGIN}\n{lines}{END}\n");
    match find(text) {
        Some((start, end)) => [&text[..start], block.as_bytes(), &text[end..]].concat(),
        None => [block.as_bytes(), text].concat(),
    }
}

/// The content of a file that may not be there. A link is refused: it may lead anywhere.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => std::fs::read(path).map_err(Failure::io(path)),
        Ok(_) => Err(Failure::Usage(format!("{}: not a regular file", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::io(path)(error)),
    }
}

/// Where our block stands, with its line ends.
fn find(text: &[u8]) -> Option<(usize, usize)> {
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let trimmed = line.trim_ascii();
        if trimmed == BEGIN.as_bytes() {
            start = Some(at);
        }
        at += line.len();
        if let (true, Some(start)) = (trimmed == END.as_bytes(), start) {
            return Some((start, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_replaced_in_its_place_and_nothing_else_changes() {
        let first = with(b"*.png binary", "a\n");
        assert_eq!(first, format!("{BEGIN}\na\n{END}\n*.png binary").into_bytes());
        let moved = [b"x\n", &first[..]].concat();
        let second = with(&moved, "b\nc\n");
        assert_eq!(second, format!("x\n{BEGIN}\nb\nc\n{END}\n*.png binary").into_bytes());
        assert_eq!(with(&second, "b\nc\n"), second);
    }

    #[test]
    fn a_beginning_without_an_end_is_not_ours_to_cut() {
        let torn = format!("{BEGIN}\nx\n");
        assert_eq!(with(torn.as_bytes(), "a\n"), format!("{BEGIN}\na\n{END}\n{torn}").into_bytes());
    }
}
