//! What must hold when things end badly, or in the middle of something: no plaintext on the disk,
//! no torn file, no mount left behind. Real mounts, real programs, real signals. Needs root.

#[path = "../support/mod.rs"]
mod support;

mod canary;
mod holders;
mod hygiene;
mod kill;
mod rotation;
mod signals;
mod start;
mod user;
mod with_store;

use std::time::{Duration, Instant};

/// Gives this test's thread, and the programs it starts, a mount namespace of their own: whatever
/// happens, its mounts end with it, and no other test's daemon sees them.
fn apart() {
    confseal::sys::mount::enter_own_mount_namespace().expect("a mount namespace: run as root");
}

/// Waits until something is so.
#[track_caller]
fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(20), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
