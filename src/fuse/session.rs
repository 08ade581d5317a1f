//! A running session: threads that answer what the kernel asks on one `/dev/fuse` descriptor.
//!
//! What must stay true: all threads share that one descriptor (requests on a cloned one would be
//! lost with the process, and could not be taken over), and the library never mounts or unmounts
//! anything. A handler must not panic: it would take its thread along.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::{self, JoinHandle};

use fuser::{Config, Filesystem, InitFlags, KernelConfig, Notifier, SessionACL};

/// What the kernel is asked for at INIT, where it can.
const WANTED: [InitFlags; 5] = [
    // Else open(O_TRUNC) arrives as a truncate of its own, and a save has a torn moment.
    InitFlags::FUSE_ATOMIC_O_TRUNC,
    InitFlags::FUSE_POSIX_ACL,
    // The umask yields to default ACLs, which only the store knows.
    InitFlags::FUSE_DONT_MASK,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_CACHE_SYMLINKS,
];

/// The largest write that comes as one message, in bytes.
const MAX_WRITE: u32 = 1 << 20;

/// Asks the kernel for what is wanted of it, at INIT.
pub(super) fn negotiate(config: &mut KernelConfig) {
    for flag in WANTED {
        if config.add_capabilities(flag).is_err() {
            log::warn!("this kernel's FUSE lacks {flag:?}");
        }
    }
    // The kernel's own limit, if it is lower.
    if let Err(most) = config.set_max_write(MAX_WRITE) {
        let _ = config.set_max_write(most);
    }
}

/// Threads at work on one connection to the kernel.
#[derive(Debug)]
pub struct Session {
    notifier: Notifier,
    device: OwnedFd,
    dispatch: JoinHandle<io::Result<()>>,
}

impl Session {
    /// Answers the kernel's INIT, which must be under way on `device` already, and starts to serve
    /// requests on `threads` threads (at least one). They inherit the namespaces of the caller.
    ///
    /// Fails with what [`Filesystem::init`] returned, or when the kernel speaks no protocol that
    /// the library knows.
    pub fn start<F: Filesystem>(fs: F, device: OwnedFd, threads: usize) -> io::Result<Self> {
        let own = device.try_clone()?;
        let mut config = Config::default();
        config.n_threads = Some(threads.max(1));
        config.clone_fd = false;
        // The kernel knows who may enter (allow_other). A second check in the library would see
        // only a uid, and refuse what the kernel itself asks for.
        let session = fuser::Session::from_fd(fs, device, SessionACL::All, config)?;
        let notifier = session.notifier();
        let dispatch =
            thread::Builder::new().name("fuse-session".to_owned()).spawn(|| session.run())?;
        Ok(Self { notifier, device: own, dispatch })
    }

    /// For telling the kernel what it must forget.
    pub fn notifier(&self) -> Notifier {
        self.notifier.clone()
    }

    /// Blocks until the kernel has ended the connection, or the last thread has given up.
    pub fn wait(self) -> io::Result<()> {
        // From here on the threads alone hold the connection: when the last one gives up, visitors
        // get ENOTCONN instead of waiting for an answer that nobody will give.
        drop((self.notifier, self.device));
        self.dispatch.join().unwrap_or_else(|_| Err(io::Error::other("a session thread panicked")))
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}
