//! What outlives the daemon: descriptors that the service manager keeps for the one that comes next,
//! and whether one comes next.
//!
//! Without a service manager nothing is kept, and nobody comes.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::sys::process::{take_inherited, with_signals_open};

/// Where the service manager listens.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";

/// The first descriptor that it passes (SD_LISTEN_FDS_START).
const FIRST: RawFd = 3;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A descriptor that was kept since an earlier daemon of this service.
#[derive(Debug)]
pub struct Kept {
    /// The name it was given.
    pub name: String,
    /// It.
    pub fd: OwnedFd,
}

/// Has the service manager keep a duplicate of `fd` under `name` (no colon in it) until
/// [`forget`], or until the service has ended for good. `false` when there is no service manager.
///
/// Whether it has room for it (`FileDescriptorStoreMax=`) is not told.
pub fn keep(fd: impl AsFd, name: &str) -> io::Result<bool> {
    // Not polled: each request wakes whoever polls a FUSE device.
    tell(&format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0\n"), Some(fd.as_fd()))
}

/// Ends what [`keep`] began.
pub fn forget(name: &str) {
    if let Err(error) = tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}\n"), None) {
        log::debug!("systemd keeps a descriptor that is of no use: {error}");
    }
}

/// The kept descriptors, once: nobody else gets them. To be called before this process opens files
/// that its children inherit.
pub fn kept() -> Vec<Kept> {
    let variable = |name: &str| std::env::var(name).ok();
    let pid = variable("LISTEN_PID").and_then(|pid| pid.parse().ok());
    if pid != Some(std::process::id()) {
        return Vec::new();
    }
    let count = variable("LISTEN_FDS").and_then(|count| count.parse().ok()).unwrap_or(0);
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let numbers = (FIRST..).take(count).zip(names.split(':'));
    let taken = numbers.filter_map(|(number, name)| match take_inherited(number) {
        Ok(fd) => Some(Kept { name: name.to_owned(), fd }),
        Err(error) => {
            log::warn!("the descriptor {name} that was kept for us cannot be used: {error}");
            None
        }
    });
    taken.collect()
}

fn tell(message: &str, fd: Option<BorrowedFd<'_>>) -> io::Result<bool> {
    let Some(address) = std::env::var_os(SOCKET_VARIABLE) else { return Ok(false) };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address_of(&address)?)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if let Some(fd) = &fd {
        ancillary.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(fd)));
    }
    let slices = [IoSlice::new(message.as_bytes())];
    rustix::net::sendmsg(&socket, &slices, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(true)
}

/// An address that begins with `@` is an abstract one.
fn address_of(address: &OsStr) -> io::Result<SocketAddr> {
    match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(address),
    }
}

/// Whether the service, which was just told to end, is to be started again at once and something is
/// kept for it: the job that ends it is a restart.
///
/// Asked of systemd through its own program. Silence counts as yes: a mount too many does no harm,
/// one too few could show the store.
pub fn is_restarting() -> bool {
    if std::env::var_os(SOCKET_VARIABLE).is_none() {
        return false;
    }
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(unit) = unit_of(&groups) else { return false };
    let jobs = ["list-jobs", "--no-legend", "--plain", "--full"];
    let store = ["show", "--property=NFileDescriptorStore", "--", unit];
    match (ask(&jobs), ask(&store)) {
        (Ok(jobs), Ok(store)) => is_restarted(unit, &jobs) && is_anything_kept(&store),
        (Err(error), _) | (_, Err(error)) => {
            log::debug!("systemctl does not tell why we are to end: {error}");
            error.kind() == io::ErrorKind::TimedOut
        }
    }
}

/// The unit that a process runs in, by its `/proc/PID/cgroup`.
fn unit_of(groups: &str) -> Option<&str> {
    let systemd = groups.lines().find_map(|line| {
        line.strip_prefix("0::").or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
    })?;
    systemd.rsplit('/').find(|part| part.ends_with(".service"))
}

/// By the columns of `systemctl list-jobs`: number, unit, kind, state.
fn is_restarted(unit: &str, jobs: &str) -> bool {
    jobs.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(unit) && fields.next() == Some("restart")
    })
}

fn is_anything_kept(properties: &str) -> bool {
    let count = properties.lines().find_map(|line| line.strip_prefix("NFileDescriptorStore="));
    count.and_then(|count| count.parse().ok()).is_some_and(|count: u32| count > 0)
}

/// What `systemctl` says. TimedOut when it does not say it in time.
fn ask(arguments: &[&str]) -> io::Result<String> {
    let mut command = Command::new("systemctl");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = with_signals_open(&mut command).spawn()?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(2)),
            None => {
                child.kill()?;
                child.wait()?;
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    };
    // A few lines: they fitted into the pipe.
    let mut answer = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut answer)?;
    }
    if status.success() { Ok(answer) } else { Err(io::Error::other(status.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_read_from_either_kind_of_control_group() {
        let unified = "0::/system.slice/system-confseal.slice/confseal@shop.service\n";
        assert_eq!(unit_of(unified), Some("confseal@shop.service"));
        let hybrid = "4:memory:/x\n1:name=systemd:/system.slice/confseal@shop.service\n";
        assert_eq!(unit_of(hybrid), Some("confseal@shop.service"));
        assert_eq!(unit_of("0::/user.slice/user-0.slice/session-1.scope\n"), None);
        assert_eq!(unit_of("0::/\n"), None);
    }

    #[test]
    fn only_a_restart_of_this_very_unit_counts() {
        let jobs = "112 confseal@shop.service       restart running\n\
                    113 confseal@other.service      stop    running\n\
                    114 app.service                 restart waiting\n";
        assert!(is_restarted("confseal@shop.service", jobs));
        assert!(!is_restarted("confseal@other.service", jobs));
        assert!(!is_restarted("shop.service", jobs));
        assert!(!is_restarted("confseal@shop.service", "No jobs running.\n"));
    }

    #[test]
    fn without_anything_kept_nobody_can_take_over() {
        assert!(is_anything_kept("NFileDescriptorStore=1\n"));
        assert!(!is_anything_kept("NFileDescriptorStore=0\n"));
        assert!(!is_anything_kept("\n"));
    }

    #[test]
    fn an_abstract_address_is_told_from_a_path() {
        let of = |address: &str| address_of(OsStr::new(address)).unwrap();
        assert_eq!(of("@a/b").as_abstract_name(), Some(&b"a/b"[..]));
        assert_eq!(of("/run/x").as_pathname(), Some("/run/x".as_ref()));
    }
}
