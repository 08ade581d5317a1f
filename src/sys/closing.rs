//! Closing files when nobody waits any more.
//!
//! To close the last descriptor of a removed file is to free its blocks, and where the disk is told
//! of it (`discard`) to wait for the disk. Whoever saves a file need not wait for that: what stood
//! there before is gone as far as anybody can see.

use std::cell::RefCell;
use std::fs::File;

thread_local! {
    /// What is to be closed later; `None` where nothing is.
    static PENDING: RefCell<Option<Vec<File>>> = const { RefCell::new(None) };
}

/// Files that are closed when this is dropped.
#[must_use = "what is dropped at once is closed at once"]
pub struct Closing(#[allow(dead_code, reason = "it is there to be dropped")] Vec<File>);

/// Runs `op`. What this thread gives to [`close_later`] meanwhile is closed when the second of the
/// two is dropped.
pub fn closing_later<T>(op: impl FnOnce() -> T) -> (T, Closing) {
    /// Puts back what was before, also should `op` panic.
    struct Before(Option<Vec<File>>);
    impl Drop for Before {
        fn drop(&mut self) {
            drop(PENDING.replace(self.0.take()));
        }
    }
    let before = Before(PENDING.replace(Some(Vec::new())));
    let result = op();
    let pending = PENDING.take().unwrap_or_default();
    drop(before);
    (result, Closing(pending))
}

/// Whether this thread is within [`closing_later`].
pub fn is_later() -> bool {
    PENDING.with_borrow(Option::is_some)
}

/// Closes `file`: at once, unless within [`closing_later`].
pub fn close_later(file: File) {
    PENDING.with_borrow_mut(|pending| {
        if let Some(pending) = pending {
            pending.push(file);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsFd, AsRawFd};

    fn is_open(number: i32) -> bool {
        std::path::Path::new(&format!("/proc/thread-self/fd/{number}"))
            .read_link()
            .is_ok_and(|target| target.to_string_lossy().contains("confseal-closing"))
    }

    fn file() -> File {
        tempfile::Builder::new().prefix("confseal-closing").tempfile().unwrap().into_file()
    }

    #[test]
    fn a_file_stays_open_until_the_answer_is_given() {
        let file = file();
        let number = file.as_fd().as_raw_fd();
        let (answer, closing) = closing_later(|| {
            close_later(file);
            7
        });
        assert_eq!(answer, 7);
        assert!(is_open(number));
        drop(closing);
        assert!(!is_open(number));
    }

    #[test]
    fn a_file_is_closed_at_once_where_nobody_answers() {
        let file = file();
        let number = file.as_fd().as_raw_fd();
        close_later(file);
        assert!(!is_open(number));
    }

    #[test]
    fn a_panic_leaves_nothing_open() {
        let file = file();
        let number = file.as_fd().as_raw_fd();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            closing_later(|| {
                close_later(file);
                panic!("a fault, for the test")
            })
            .0
        }));
        assert!(ended.is_err());
        assert!(!is_open(number));
    }
}
