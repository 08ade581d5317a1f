//! Three texts merged line by line, in memory, as `git merge-file` does it with files.
//!
//! Must stay true: every line of the result stands in one of the three texts, or is a marker; and
//! no copy of a text is left in memory but the result. Line ends are part of their lines.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use crate::secret::SecretBytes;

/// How a conflict is marked.
#[derive(Clone, Copy, Debug)]
pub struct Markers<'a> {
    /// How many characters a marker has; git's `%L`.
    pub size: usize,
    /// What stands behind the markers of one side, of the origin, and of the other side.
    pub labels: [&'a str; 3],
    /// Whether the lines of the origin are shown too.
    pub with_base: bool,
}

/// A merged text.
pub(super) struct Lines {
    pub text: SecretBytes,
    /// How many places are marked in it.
    pub conflicts: usize,
}

/// A stretch of the three texts, in lines.
struct Stretch {
    base: Range<usize>,
    ours: Range<usize>,
    theirs: Range<usize>,
}

/// `base`, with what was changed on the way to `ours` and to `theirs`. Changes that overlap, or
/// that touch, conflict unless they are the same.
pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], markers: &Markers<'_>) -> Lines {
    let [base, ours, theirs] = [base, ours, theirs].map(split);
    let mut merged = Writer {
        text: SecretBytes::with_capacity(size(&ours).max(size(&theirs))),
        conflicts: 0,
        markers,
        line_end: ours.first().or(theirs.first()).is_some_and(|line| line.ends_with(b"\r\n")),
    };
    let mut done = 0;
    for stretch in stretches(&base, &ours, &theirs) {
        merged.lines(&base[done..stretch.base.start]);
        done = stretch.base.end;
        let was = &base[stretch.base];
        let (one, other) = (&ours[stretch.ours], &theirs[stretch.theirs]);
        if one == other || other == was {
            merged.lines(one);
        } else if one == was {
            merged.lines(other);
        } else {
            merged.conflict(was, one, other);
        }
    }
    merged.lines(&base[done..]);
    Lines { text: merged.text, conflicts: merged.conflicts }
}

/// Both texts whole, as one conflict.
pub(super) fn conflict(ours: &[u8], theirs: &[u8], markers: &Markers<'_>) -> SecretBytes {
    let markers = Markers { with_base: false, ..*markers };
    let text = SecretBytes::with_capacity(ours.len() + theirs.len());
    let mut merged = Writer { text, conflicts: 0, markers: &markers, line_end: false };
    merged.marker('<', markers.labels[0]);
    merged.lines(&split(ours));
    merged.marker('=', "");
    merged.lines(&split(theirs));
    merged.marker('>', markers.labels[2]);
    merged.text
}

/// The lines of a text, each with its end.
fn split(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn size(lines: &[&[u8]]) -> usize {
    lines.iter().map(|line| line.len()).sum()
}

/// Where either side differs from the origin; what overlaps or touches is one stretch.
fn stretches(base: &[&[u8]], ours: &[&[u8]], theirs: &[&[u8]]) -> Vec<Stretch> {
    let [ours, theirs] = [ours, theirs].map(|side| changes(base, side));
    let (mut ours, mut theirs) = (Side::new(&ours), Side::new(&theirs));
    let mut stretches = Vec::new();
    while let Some(start) = [ours.next_start(), theirs.next_start()].into_iter().flatten().min() {
        let mut end = start;
        // A change on one side may reach the next on the other, and that one the next again.
        while ours.take(&mut end) || theirs.take(&mut end) {}
        stretches.push(Stretch {
            base: start..end,
            ours: ours.leave(start, end),
            theirs: theirs.leave(start, end),
        });
    }
    stretches
}

/// A change: lines of the origin, and those of a side that stand for them.
type Change = (Range<usize>, Range<usize>);

fn changes(base: &[&[u8]], side: &[&[u8]]) -> Vec<Change> {
    let mut input = InternedInput::default();
    input.update_before(base.iter().copied());
    input.update_after(side.iter().copied());
    let mut diff = Diff::compute(Algorithm::Myers, &input);
    diff.postprocess_lines(&input);
    let range = |range: Range<u32>| range.start as usize..range.end as usize;
    diff.hunks().map(|hunk| (range(hunk.before), range(hunk.after))).collect()
}

/// The changes of one side, from first to last.
struct Side<'a> {
    changes: &'a [Change],
    /// How far the changes are taken.
    at: usize,
    /// A line of the origin outside of all changes so far, and the line of the side it became.
    anchor: (usize, usize),
}

impl<'a> Side<'a> {
    fn new(changes: &'a [Change]) -> Self {
        Self { changes, at: 0, anchor: (0, 0) }
    }

    fn next_start(&self) -> Option<usize> {
        self.changes.get(self.at).map(|(base, _)| base.start)
    }

    /// Takes the next change if it begins no later than `end`, which moves behind it.
    fn take(&mut self, end: &mut usize) -> bool {
        match self.changes.get(self.at) {
            Some((base, _)) if base.start <= *end => {
                *end = base.end.max(*end);
                self.at += 1;
                true
            }
            _ => false,
        }
    }

    /// The lines of this side for `start..end` of the origin, whose changes have been taken.
    fn leave(&mut self, start: usize, end: usize) -> Range<usize> {
        let from = self.anchor.1 + (start - self.anchor.0);
        if let Some((base, side)) = self.at.checked_sub(1).map(|last| &self.changes[last])
            && base.end >= self.anchor.0
        {
            self.anchor = (base.end, side.end);
        }
        let to = self.anchor.1 + (end - self.anchor.0);
        self.anchor = (end, to);
        from..to
    }
}

struct Writer<'a> {
    text: SecretBytes,
    conflicts: usize,
    markers: &'a Markers<'a>,
    /// Whether lines end in CR LF.
    line_end: bool,
}

impl Writer<'_> {
    fn lines(&mut self, lines: &[&[u8]]) {
        lines.iter().for_each(|line| self.text.extend(line));
    }

    /// Both sides between markers. Without the origin, what they have in common at either end
    /// stands outside.
    fn conflict(&mut self, base: &[&[u8]], ours: &[&[u8]], theirs: &[&[u8]]) {
        let Markers { labels, with_base, .. } = *self.markers;
        let pairs = ours.iter().zip(theirs);
        let front = if with_base { 0 } else { pairs.take_while(|(a, b)| a == b).count() };
        let pairs = ours[front..].iter().rev().zip(theirs[front..].iter().rev());
        let back = if with_base { 0 } else { pairs.take_while(|(a, b)| a == b).count() };
        self.conflicts += 1;
        self.lines(&ours[..front]);
        self.marker('<', labels[0]);
        self.lines(&ours[front..ours.len() - back]);
        if with_base {
            self.marker('|', labels[1]);
            self.lines(base);
        }
        self.marker('=', "");
        self.lines(&theirs[front..theirs.len() - back]);
        self.marker('>', labels[2]);
        self.lines(&ours[ours.len() - back..]);
    }

    fn marker(&mut self, sign: char, label: &str) {
        let line_end: &[u8] = if self.line_end { b"\r\n" } else { b"\n" };
        // The last line of a text may have no end.
        if self.text.last().is_some_and(|byte| *byte != b'\n') {
            self.text.extend(line_end);
        }
        let blank = if label.is_empty() { "" } else { " " };
        let signs = sign.to_string().repeat(self.markers.size);
        self.text.extend(format!("{signs}{blank}{label}").as_bytes());
        self.text.extend(line_end);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    const MARKERS: Markers<'_> =
        Markers { size: 7, labels: ["ours", "base", "theirs"], with_base: false };

    fn merged(base: &str, ours: &str, theirs: &str) -> (String, usize) {
        let lines = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &MARKERS);
        (String::from_utf8(lines.text.to_vec()).unwrap(), lines.conflicts)
    }

    #[test]
    fn changes_apart_from_each_other_are_both_taken() {
        let (text, conflicts) = merged("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\ne\n");
        assert_eq!((&*text, conflicts), ("A\nb\nc\nD\ne\n", 0));
        assert_eq!(merged("a\nb\nc\n", "b\nc\n", "a\nb\n"), ("b\n".into(), 0));
        assert_eq!(merged("", "a", "a"), ("a".into(), 0));
    }

    #[test]
    fn the_same_change_on_both_sides_is_one() {
        assert_eq!(merged("a\nb\nc\n", "a\nX\nc\n", "a\nX\nc\n"), ("a\nX\nc\n".into(), 0));
    }

    #[test]
    fn a_conflict_holds_no_more_than_what_differs() {
        let (text, conflicts) = merged("a\nb\n", "x\n1\ny\n", "x\n2\ny\n");
        let expected = "x\n<<<<<<< ours\n1\n=======\n2\n>>>>>>> theirs\ny\n";
        assert_eq!((&*text, conflicts), (expected, 1));
    }

    #[test]
    fn a_last_line_without_an_end_does_not_run_into_a_marker() {
        let (text, _) = merged("a", "b", "c");
        assert_eq!(text, "<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n");
        let (text, _) = merged("a\r\n", "b\r\n", "c\r\n");
        assert_eq!(text, "<<<<<<< ours\r\nb\r\n=======\r\nc\r\n>>>>>>> theirs\r\n");
    }

    #[test]
    fn the_origin_is_shown_on_demand() {
        let markers = Markers { with_base: true, size: 3, ..MARKERS };
        let lines = merge(b"a\n", b"x\n1\n", b"x\n2\n", &markers);
        let expected = b"<<< ours\nx\n1\n||| base\na\n===\nx\n2\n>>> theirs\n";
        assert_eq!(&lines.text[..], expected);
    }

    /// A text of `len` lines, no two alike, after a random edit of some of them. The same edit of
    /// the same line gives the same line.
    fn edited(edits: &[u8]) -> String {
        let line = |(n, edit): (usize, &u8)| match edit {
            0 => String::new(),
            1 | 2 => format!("new {edit} for {n}\n"),
            3 | 4 => format!("new {edit} before {n}\n{n}\n"),
            _ => format!("{n}\n"),
        };
        edits.iter().enumerate().map(line).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// With lines that no two places share there is one right answer, and git gives it.
        #[test]
        fn git_merges_alike(sides in prop::collection::vec((0_u8..30, 0_u8..30), 1..40)) {
            let (ours, theirs): (Vec<u8>, Vec<u8>) = sides.into_iter().unzip();
            let base = edited(&vec![9; ours.len()]);
            let (ours, theirs) = (edited(&ours), edited(&theirs));
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in [("base", &base), ("ours", &ours), ("theirs", &theirs)] {
                std::fs::write(dir.path().join(name), text).unwrap();
            }
            let git = Command::new("git")
                .args(["merge-file", "-p", "--diff3", "-L", "ours", "-L", "base", "-L", "theirs"])
                .args(["ours", "base", "theirs"])
                .current_dir(dir.path())
                .output()
                .unwrap();
            let markers = Markers { with_base: true, ..MARKERS };
            let lines = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &markers);
            let text = String::from_utf8_lossy(&lines.text);
            prop_assert_eq!(text, String::from_utf8_lossy(&git.stdout));
            prop_assert_eq!(git.status.code(), i32::try_from(lines.conflicts).ok());
        }
    }
}
