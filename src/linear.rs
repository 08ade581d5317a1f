//! Whether work takes linear time, for tests.
//!
//! One size is held against another, by the processor time of the thread: what else the machine
//! does is left out.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Sizes, in bytes.
const SMALL: usize = 12_500;
const LARGE: usize = 4 * SMALL;

/// Within this, not even debug builds do anything that is not linear with [`LARGE`] bytes.
const LITTLE: Duration = Duration::from_millis(50);

/// How often a measurement is repeated that looks bad.
const TRIES: usize = 4;

/// Checks that `work` on a text of four times the length takes no more than ten times as long;
/// `make` makes a text of about that many bytes.
///
/// # Panics
///
/// When it takes longer; `what` says with which kind of text.
pub(crate) fn assert_linear<T>(what: &str, make: impl Fn(usize) -> T, work: impl Fn(&T)) {
    let (small, large) = (make(SMALL), make(LARGE));
    let mut least = (Duration::MAX, Duration::MAX);
    for _ in 0..TRIES {
        least.1 = least.1.min(time(|| work(&large)));
        if least.1 <= LITTLE {
            return;
        }
        least.0 = least.0.min(time(|| work(&small)));
        if least.1 <= 10 * least.0 {
            return;
        }
    }
    panic!("{what}: {SMALL} bytes take {:?}, {LARGE} bytes {:?}", least.0, least.1);
}

/// `piece` over and over, to about `len` bytes.
pub(crate) fn repeated(piece: &str, len: usize) -> String {
    piece.repeat(len / piece.len())
}

fn time(work: impl FnOnce()) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let started = now();
    work();
    now().saturating_sub(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `steps` steps that the compiler keeps.
    fn walk(steps: usize) {
        (0..steps).for_each(|step| _ = std::hint::black_box(step));
    }

    #[test]
    fn linear_work_passes() {
        assert_linear("linear", |len| len, |len| walk(200 * *len));
    }

    #[test]
    #[should_panic(expected = "quadratic: ")]
    fn quadratic_work_does_not() {
        assert_linear("quadratic", |len| len, |len| walk(len * len / 50));
    }
}
