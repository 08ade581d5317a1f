//! What is wrong with the text of a policy, where, and what to do about it.

use std::fmt;

/// Why a text is no policy, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// 1-based.
    pub line: usize,
    /// 1-based, in bytes.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line it stands on, fit to be shown; of a long one the part around the column.
    pub excerpt: Box<Excerpt>,
}

/// A piece of a policy: it holds no secrets, so it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    line: usize,
    text: String,
    /// How many characters stand before the place.
    before: usize,
}

/// How much of a line is shown before and behind the place, in characters.
const SHOWN: usize = 60;

impl PolicyError {
    /// An error at a place in `text`, without a hint yet.
    pub(super) fn at(text: &str, line: usize, column: usize, message: &str) -> Self {
        let excerpt = Excerpt::of(text, line, column);
        Self { line, column, message: shown(message), hint: None, excerpt: excerpt.into() }
    }

    /// The same with a way out.
    pub(super) fn with(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(shown(&hint.into())), ..self }
    }
}

impl Excerpt {
    fn of(text: &str, line: usize, column: usize) -> Self {
        let source = text.split('\n').nth(line - 1).unwrap_or_default();
        let at = (0..column.min(source.len() + 1)).rev().find(|at| source.is_char_boundary(*at));
        let (before, behind) = source.split_at(at.unwrap_or(0));
        let skipped = before.chars().count().saturating_sub(SHOWN);
        let shown = before.chars().skip(skipped).chain(behind.chars().take(SHOWN));
        // A policy comes with a repository: nothing in it is to reach the terminal as a command.
        let text = shown.map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        Self { line, text: text.trim_end().to_owned(), before: before.chars().count() - skipped }
    }
}

impl fmt::Display for Excerpt {
    /// Two lines: the text, and a mark below the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        write!(f, "{number} | {}\n{margin} | {:2$}^", self.text, "", self.before)
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy line {}, column {}: {}", self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PolicyError {}

/// `text` with its control characters escaped: keys and strings of a policy may hold any.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}
