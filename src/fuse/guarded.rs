//! Faults of our own, kept to the operation that met them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fs::{Error, Result};

/// A fault in one operation is that operation's EIO: a panic that reached fuser would end the
/// session, and with it the mount.
pub(super) fn guarded<T>(op: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(op)).unwrap_or_else(|_| {
        log::error!("a fault in confseal itself: one operation failed with EIO");
        Err(Error::Store(io::Error::from_raw_os_error(libc::EIO)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_panics_fails_with_eio_and_others_go_on() {
        let failed = guarded::<()>(|| panic!("a fault, for the test"));
        let Err(Error::Store(error)) = failed else { panic!("{failed:?}") };
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert!(matches!(guarded(|| Ok(7)), Ok(7)));
    }

    /// Nothing that the operation held stays locked.
    #[test]
    fn a_lock_held_by_an_operation_that_panics_is_free_again() {
        let lock = parking_lot::Mutex::new(());
        let failed = guarded::<()>(|| {
            let _held = lock.lock();
            panic!("a fault, for the test")
        });
        assert!(failed.is_err() && lock.try_lock().is_some());
    }
}
