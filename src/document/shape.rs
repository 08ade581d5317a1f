//! The check that splicing changed values and nothing else.

use crate::format::Site;
use crate::span::Span;

/// Whether `after` has the same sites as `before`: same paths, contexts and columns in the same
/// order, those in `edited` standing exactly at `places`, the others where copying puts them.
/// `edited` and `places` go together and are in order.
pub(super) fn is_same(before: &[Site], after: &[Site], edited: &[usize], places: &[Span]) -> bool {
    if before.len() != after.len() {
        return false;
    }
    let mut edits = edited.iter().zip(places).peekable();
    let mut grown: isize = 0;
    for (n, (old, new)) in before.iter().zip(after).enumerate() {
        if old.path != new.path || old.context != new.context || old.column != new.column {
            return false;
        }
        let expected = match edits.peek() {
            Some((at, place)) if **at == n => {
                let place = **place;
                grown = place.end as isize - old.span.end as isize;
                edits.next();
                place
            }
            _ => Span {
                start: old.span.start.wrapping_add_signed(grown),
                end: old.span.end.wrapping_add_signed(grown),
            },
        };
        if new.span != expected {
            return false;
        }
    }
    edits.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Context, FieldPath};

    fn site(start: usize, end: usize, key: &str) -> Site {
        let path = FieldPath::root().key(key);
        Site {
            span: Span::new(start, end),
            path,
            context: Context::ORDINARY,
            column: 0,
            naming: false,
            also: Box::default(),
        }
    }

    #[test]
    fn only_the_edited_value_may_change_its_length() {
        let before = [site(2, 5, "a"), site(8, 9, "b"), site(12, 13, "c")];
        let after = [site(2, 5, "a"), site(8, 19, "b"), site(22, 23, "c")];
        assert!(is_same(&before, &after, &[1], &[Span::new(8, 19)]));
        assert!(!is_same(&before, &after, &[], &[]), "an edit that was not announced");
        assert!(!is_same(&before, &after, &[1], &[Span::new(8, 18)]), "ends elsewhere");
        let moved = [site(2, 5, "a"), site(8, 19, "b"), site(23, 24, "c")];
        assert!(!is_same(&before, &moved, &[1], &[Span::new(8, 19)]));
        let renamed = [site(2, 5, "a"), site(8, 19, "x"), site(22, 23, "c")];
        assert!(!is_same(&before, &renamed, &[1], &[Span::new(8, 19)]));
    }
}
