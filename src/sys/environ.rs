//! The process's environment, wiped: a variable that held a key is overwritten where the kernel
//! put it, so that neither `/proc/PID/environ` nor a core dump nor a child has it any more.

#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

/// Why the environment was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("environment variables can be wiped only while the process has a single thread")]
pub struct NotAlone;

unsafe extern "C" {
    /// environ(7); at start its entries point into the block that `/proc/self/environ` shows.
    static mut environ: *mut *mut c_char;
}

/// Overwrites the value of each variable in `names` with NULs, in place, and removes the variable.
/// One that is not set is passed over.
///
/// To be called at start, before any thread exists (and before anything has called `setenv`,
/// which moves values to where `/proc/self/environ` no longer looks); refused otherwise, since
/// another thread may be reading the very bytes.
pub fn wipe<'a>(names: impl IntoIterator<Item = &'a OsStr>) -> Result<(), NotAlone> {
    if !alone() {
        return Err(NotAlone);
    }
    for name in names {
        // SAFETY: there is no other thread (checked above; only this one could start any), and
        // this function keeps no reference into the environment.
        unsafe {
            overwrite(name.as_bytes());
            std::env::remove_var(name);
        }
    }
    Ok(())
}

/// Whether this thread is the only one. Unknown counts as no.
fn alone() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}

/// # Safety
/// No other thread may run, and no reference into the environment may be alive.
unsafe fn overwrite(name: &[u8]) {
    // SAFETY: `environ` is null or a null-terminated array of pointers to NUL-terminated strings
    // in writable memory (environ(7), execve(2): the initial block lies on our own stack), and by
    // the contract above nobody else looks at them. Only bytes before each NUL are written;
    // volatile, because the next step forgets the string and the writes would seem dead.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            let text = CStr::from_ptr(*entry).to_bytes();
            let value = match text.strip_prefix(name) {
                Some([b'=', value @ ..]) => value.len(),
                _ => 0,
            };
            let start = (*entry).add(text.len() - value);
            for at in 0..value {
                start.add(at).write_volatile(0);
            }
            entry = entry.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const SECRET: &str = "CONFSEAL_TEST_WIPED";
    const OTHER: &str = "CONFSEAL_TEST_KEPT";

    #[test]
    fn with_other_threads_about_nothing_is_touched() {
        std::thread::scope(|scope| {
            let (go, wait) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || wait.recv());
            assert_eq!(wipe([OsStr::new("PATH")]), Err(NotAlone));
            drop(go);
        });
        assert!(std::env::var_os("PATH").is_some());
    }

    /// Plays two parts. First it runs itself again, with the variables in the initial environment;
    /// there it forks, and the child, which has one thread, wipes and looks.
    #[test]
    fn a_wiped_variable_is_gone_from_proc_and_from_children() {
        if std::env::var_os(SECRET).is_some() {
            return in_a_single_thread(|| {
                let before = std::fs::read("/proc/self/environ").unwrap();
                wipe([OsStr::new(SECRET), OsStr::new("CONFSEAL_TEST_UNSET")]).unwrap();
                let after = std::fs::read("/proc/self/environ").unwrap();
                let child = Command::new("env").output().unwrap().stdout;
                holds(&before, b"hunter2hunter2")
                    && !holds(&after, b"hunter2")
                    && holds(&after, b"left-alone")
                    && !holds(&child, b"hunter2")
                    && holds(&child, b"left-alone")
                    && std::env::var_os(SECRET).is_none()
                    && std::env::var_os(OTHER).is_some_and(|value| value == "left-alone")
            });
        }
        let module = module_path!().split_once("::").unwrap().1;
        let this = format!("{module}::a_wiped_variable_is_gone_from_proc_and_from_children");
        let again = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &this])
            .env(SECRET, "hunter2hunter2")
            .env(OTHER, "left-alone")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&again.stdout);
        assert!(again.status.success() && told.contains("1 passed"), "{told}");
    }

    fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
        bytes.windows(wanted.len()).any(|window| window == wanted)
    }

    fn in_a_single_thread(check: impl Fn() -> bool) {
        // SAFETY: the child reads files and allocates (glibc keeps its allocator usable across
        // fork), then leaves by `_exit`.
        match unsafe { libc::fork() } {
            -1 => panic!("{}", std::io::Error::last_os_error()),
            0 => {
                let fine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
                // SAFETY: ends the child at once; nothing of the test harness runs twice.
                unsafe { libc::_exit(i32::from(!fine.unwrap_or(false))) }
            }
            child => {
                let mut status = 0;
                // SAFETY: `child` is our child, `status` a live integer.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0, "the child's checks failed");
            }
        }
    }
}
