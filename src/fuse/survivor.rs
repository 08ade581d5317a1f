//! A process that outlives the daemon for as long as the daemon's end takes.
//!
//! A daemon that is killed does not end while one of its threads waits in the kernel for a program (an
//! invalidation waits for the directory in which a program looks something up), and that program waits
//! for the daemon, which has its request and will not answer. Nothing of the daemon runs any more that
//! could break the circle, and until it has ended it holds the lock of the store.
//!
//! So a child is left behind that holds the connection and sleeps. When the daemon's end takes long, it
//! answers what the daemon had taken on, and no more: whoever comes next sees to the rest.
//!
//! What must stay true: it is made before any key is read, it ends with the daemon, and while the
//! daemon lives it touches nothing.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, getppid};

use super::attend::release;
use crate::sys::process::{Signals, receive_descriptor, send_descriptor, spawn_child, wait_for};

/// How often is looked whether the daemon has ended.
const LOOK: Duration = Duration::from_millis(5);

/// How many looks its end takes at most when nothing holds it up; then it is helped, again each time.
const PATIENCE: u32 = 20;

/// After how many looks it is given up.
const LOOKS: u32 = 12_000;

/// See the head of this file.
#[derive(Debug)]
pub struct Survivor {
    child: Pid,
    socket: OwnedFd,
}

impl Drop for Survivor {
    /// A daemon that comes to its end by itself takes it along: it would keep the namespace, and with
    /// it other file systems, in use for a moment.
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.child, Signal::KILL);
        let _ = wait_for(self.child);
    }
}

impl Survivor {
    /// Leaves the child behind, which runs `first` before anything else. The process must have a
    /// single thread, the one that will last as long as the daemon.
    pub fn leave_behind(first: impl FnOnce()) -> io::Result<Self> {
        let (ours, its) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let daemon = rustix::process::getpid();
        let child = spawn_child(its, |socket| {
            first();
            // Whoever it tells of an error is gone.
            let _ = outlive(daemon, socket);
        })?;
        Ok(Self { child, socket: ours })
    }

    /// Gives it the connection.
    pub fn watch(&self, device: impl AsFd) -> io::Result<()> {
        send_descriptor(&self.socket, device.as_fd())
    }
}

fn outlive(daemon: Pid, socket: OwnedFd) -> io::Result<()> {
    let signals = Signals::block()?;
    // Of the thread that left us behind: the others may be stuck.
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let Some(device) = receive_descriptor(&socket)? else { return Ok(()) };
    drop(socket);
    // Signals for the daemon's group come here, too.
    while !has_died(daemon) {
        signals.wait()?;
    }
    for look in 0..LOOKS {
        if is_gone(daemon) {
            return Ok(());
        }
        if look > 0 && look % PATIENCE == 0 {
            release(&device, daemon.as_raw_nonzero().get().unsigned_abs())?;
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Whether nothing is left of it.
fn is_gone(daemon: Pid) -> bool {
    getppid() != Some(daemon)
}

/// Whether its first thread has ended: the others that are left are on their way out.
fn has_died(daemon: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.as_raw_nonzero()));
    let state = status.unwrap_or_default();
    let state = state.lines().find_map(|line| line.strip_prefix("State:"));
    is_gone(daemon) || state.is_some_and(|state| state.trim_start().starts_with(['Z', 'X']))
}
