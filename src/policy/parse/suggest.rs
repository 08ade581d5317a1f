//! "Did you mean …?"

/// The hint for `wrong` in a place for one of `known`: the one it resembles, or all of them.
pub(super) fn among(wrong: &str, known: &[&str], introduction: &str) -> String {
    match closest(wrong, known) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("{introduction} `{}`", known.join("`, `")),
    }
}

/// The one of `known` that `wrong` is a slip of, if any.
pub fn closest<'k>(wrong: &str, known: &[&'k str]) -> Option<&'k str> {
    let wrong: Vec<char> = wrong.chars().take(64).map(|c| c.to_ascii_lowercase()).collect();
    known
        .iter()
        .map(|word| (distance(&wrong, &word.chars().collect::<Vec<_>>()), *word))
        .filter(|(distance, word)| *distance * 2 <= word.len())
        .min()
        .map(|(_, word)| word)
}

/// Damerau-Levenshtein distance: how many characters are to be put in, left out, replaced or
/// exchanged with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let differs = usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swap = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                swap.min(rows[i - 1][j] + 1)
                    .min(rows[i][j - 1] + 1)
                    .min(rows[i - 1][j - 1] + differs)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_none() {
        let known = ["path", "secret", "public"];
        assert_eq!(closest("paht", &known), Some("path"));
        assert_eq!(closest("Secrets", &known), Some("secret"));
        assert_eq!(closest("glob", &known), None);
        assert_eq!(closest("", &known), None);
    }
}
