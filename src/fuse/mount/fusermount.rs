//! Mounting as an ordinary user, by the setuid program `fusermount3`.
//!
//! A small child stays behind in the namespaces that the daemon was started in, and runs the program
//! on request; it is created before the daemon has keys, and ends with it. The descriptor of
//! `/dev/fuse` comes straight from the program over the socket that daemon and child share.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Stdio};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags,
    SocketFlags, SocketType,
};
use serde::{Deserialize, Serialize};

use super::{KIND, MountError, MountOptions, SUBTYPE};
use crate::sys::environ;
use crate::sys::mount::{Device, MountId, mounts};
use crate::sys::process::{inheritable, spawn_child, with_signals_open};

/// The program, found by PATH.
const PROGRAM: &str = "fusermount3";
/// Where it reads what ordinary users may do.
const CONFIGURATION: &str = "/etc/fuse.conf";
/// Room for the longest request: two paths of 4096 bytes, each byte up to four characters.
const PACKET: usize = 64 * 1024;

#[derive(Serialize, Deserialize, Debug)]
enum Request {
    Mount { mountpoint: OsString, options: OsString },
    Unmount { id: u64, major: u32, minor: u32, lazy: bool },
}

#[derive(Serialize, Deserialize, Debug)]
enum Answer {
    Mounted {
        id: u64,
        major: u32,
        minor: u32,
    },
    Unmounted,
    /// The mount point cannot be used.
    MountPoint(i32),
    /// Some other system call failed.
    Failed(i32),
    /// The program is not installed.
    Missing,
    /// The program refused, in these words.
    Refused(String),
}

/// The daemon's end of the conversation with its child.
#[derive(Debug)]
pub(super) struct Fusermount {
    /// Held for one request and its answer, so that each gets its own. Taken with no other lock.
    socket: Mutex<OwnedFd>,
}

impl Fusermount {
    /// Leaves the child behind in the current namespaces. The process must have a single thread.
    pub(super) fn leave_behind() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        spawn_child(theirs, |socket| {
            if forget_variables().is_ok() {
                serve(&socket);
            }
        })?;
        Ok(Self { socket: Mutex::new(ours) })
    }

    /// Mounts. INIT is under way on the descriptor that is returned.
    pub(super) fn mount(
        &self,
        mountpoint: &Path,
        options: &MountOptions,
    ) -> Result<(OwnedFd, MountId), MountError> {
        if options.allow_other && !may_allow_other() {
            return Err(MountError::AllowOtherForbidden);
        }
        let request = Request::Mount {
            mountpoint: mountpoint.as_os_str().to_owned(),
            options: option_list(options),
        };
        let (answer, device) = self.ask(&request).map_err(|source| MountError::Host { source })?;
        match (answer, device) {
            (Answer::Mounted { id, major, minor }, Some(device)) => {
                Ok((device, MountId { id, device: Device { major, minor } }))
            }
            (Answer::MountPoint(errno), _) => Err(MountError::MountPoint {
                path: mountpoint.to_owned(),
                source: io::Error::from_raw_os_error(errno),
            }),
            (Answer::Missing, _) => Err(MountError::FusermountMissing),
            (Answer::Refused(message), _) => Err(MountError::Fusermount { message }),
            (Answer::Failed(errno), _) => {
                Err(MountError::Host { source: io::Error::from_raw_os_error(errno) })
            }
            (Answer::Mounted { .. } | Answer::Unmounted, _) => {
                Err(MountError::Host { source: io::ErrorKind::InvalidData.into() })
            }
        }
    }

    /// Takes a mount away; see [`Attachment::unmount`](super::Attachment::unmount).
    pub(super) fn unmount(&self, mount: MountId, lazy: bool) -> io::Result<()> {
        let MountId { id, device: Device { major, minor } } = mount;
        match self.ask(&Request::Unmount { id, major, minor, lazy })?.0 {
            Answer::Unmounted => Ok(()),
            Answer::Failed(errno) | Answer::MountPoint(errno) => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Answer::Missing => Err(io::Error::other(MountError::FusermountMissing)),
            Answer::Refused(message) => Err(io::Error::other(message)),
            Answer::Mounted { .. } => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn ask(&self, request: &Request) -> io::Result<(Answer, Option<OwnedFd>)> {
        let socket = self.socket.lock();
        send(socket.as_fd(), request)?;
        let mut device = None;
        loop {
            let mut packet = vec![0; PACKET];
            let (length, received) = receive(socket.as_fd(), &mut packet)?;
            match received {
                // From the program itself, with one byte that says nothing.
                Some(descriptor) => device = Some(descriptor),
                None if length == 0 => return Err(io::ErrorKind::BrokenPipe.into()),
                None => return Ok((serde_json::from_slice(&packet[..length])?, device)),
            }
        }
    }
}

/// Some variable may hold a key: of them all, the child keeps the one that it needs.
fn forget_variables() -> Result<(), environ::NotAlone> {
    let names: Vec<OsString> =
        std::env::vars_os().map(|(name, _)| name).filter(|name| name != "PATH").collect();
    environ::wipe(names.iter().map(OsString::as_os_str))
}

/// The child: answers requests until the daemon is gone.
///
/// It leaves a mount alone whose daemon died: with nobody to serve it, it fails, whereas taking it
/// away would let programs write plaintext into what lies beneath.
fn serve(socket: &OwnedFd) {
    let mut packet = vec![0; PACKET];
    while let Ok((length @ 1.., _)) = receive(socket.as_fd(), &mut packet) {
        let answer = match serde_json::from_slice(&packet[..length]) {
            Ok(Request::Mount { mountpoint, options }) => {
                run_mount(socket, Path::new(&mountpoint), &options)
            }
            Ok(Request::Unmount { id, major, minor, lazy }) => {
                run_unmount(MountId { id, device: Device { major, minor } }, lazy)
            }
            Err(_) => Answer::Failed(libc::EPROTO),
        };
        if send(socket.as_fd(), &answer).is_err() {
            return;
        }
    }
}

fn run_mount(socket: &OwnedFd, mountpoint: &Path, options: &OsStr) -> Answer {
    let mountpoint = match mountpoint.canonicalize() {
        Ok(path) => path,
        Err(error) => return Answer::MountPoint(error.raw_os_error().unwrap_or(libc::EIO)),
    };
    let inherited = match inheritable(socket) {
        Ok(inherited) => inherited,
        Err(error) => return failed(&error),
    };
    let mut command = Command::new(PROGRAM);
    command.arg("-o").arg(options).arg("--").arg(&mountpoint);
    let mounted = run(command, Some(inherited.as_fd())).and_then(|()| {
        let mounts = mounts().map_err(|error| failed(&error))?;
        // The newest of one place lies on top.
        mounts
            .into_iter()
            .rfind(|entry| entry.point == mountpoint && entry.kind == KIND)
            .ok_or(Answer::Failed(libc::ENOENT))
    });
    match mounted {
        Ok(entry) => {
            let MountId { id, device: Device { major, minor } } = entry.mount;
            Answer::Mounted { id, major, minor }
        }
        Err(answer) => answer,
    }
}

fn run_unmount(mount: MountId, lazy: bool) -> Answer {
    let mounts = match mounts() {
        Ok(mounts) => mounts,
        Err(error) => return failed(&error),
    };
    let Some(position) = mounts.iter().position(|entry| entry.mount == mount) else {
        return Answer::Unmounted;
    };
    let point = &mounts[position].point;
    if mounts[position + 1..].iter().any(|entry| entry.point == *point) {
        return Answer::Failed(libc::EBUSY);
    }
    let mut command = Command::new(PROGRAM);
    command.arg("-u").args(lazy.then_some("-z")).arg("--").arg(point);
    match run(command, None) {
        Ok(()) => Answer::Unmounted,
        // The one failure that the daemon acts upon. In the C locale, see `run`.
        Err(Answer::Refused(message)) if message.ends_with("Device or resource busy") => {
            Answer::Failed(libc::EBUSY)
        }
        Err(answer) => answer,
    }
}

/// Runs the program to its end, in an environment without our variables: some may hold keys.
fn run(mut command: Command, socket: Option<BorrowedFd<'_>>) -> Result<(), Answer> {
    command.env_clear().stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if let Some(socket) = socket {
        command.env("_FUSE_COMMFD", socket.as_raw_fd().to_string());
    }
    match with_signals_open(&mut command).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Answer::Refused(if words.is_empty() { output.status.to_string() } else { words }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Answer::Missing),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &io::Error) -> Answer {
    Answer::Failed(error.raw_os_error().unwrap_or(libc::EIO))
}

/// The options in one word, as `fusermount3 -o` takes them.
fn option_list(options: &MountOptions) -> OsString {
    let mut list = format!(
        "fsname={},subtype={SUBTYPE},default_permissions,nosuid,nodev",
        escape(&options.source)
    );
    for (wanted, name) in [
        (options.allow_other, ",allow_other"),
        (options.read_only, ",ro"),
        (options.no_exec, ",noexec"),
    ] {
        if wanted {
            list.push_str(name);
        }
    }
    if let Some(label) = &options.context {
        list.push_str(",context=");
        list.push_str(&escape(label));
    }
    OsString::from_vec(list.into_bytes())
}

/// A comma ends an option unless a backslash stands before it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,")
}

fn may_allow_other() -> bool {
    let configuration = fs::read_to_string(CONFIGURATION).unwrap_or_default();
    configuration.lines().any(|line| line.trim() == "user_allow_other")
}

fn send(socket: BorrowedFd<'_>, message: &impl Serialize) -> io::Result<()> {
    let packet = serde_json::to_vec(message)?;
    if packet.len() > PACKET {
        return Err(Errno::MSGSIZE.into());
    }
    let sent = rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(
            socket,
            &[IoSlice::new(&packet)],
            &mut Default::default(),
            SendFlags::NOSIGNAL,
        )
    })?;
    debug_assert_eq!(sent, packet.len());
    Ok(())
}

/// One packet, and the descriptor that came with it. Length 0: nobody is there any more.
fn receive(socket: BorrowedFd<'_>, packet: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let slices = &mut [IoSliceMut::new(packet)];
        match rustix::net::recvmsg(socket, slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::MSGSIZE.into());
    }
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((message.bytes, descriptor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(source: &str) -> MountOptions {
        MountOptions {
            source: source.to_owned(),
            allow_other: true,
            read_only: true,
            no_exec: true,
            context: Some("system_u:object_r:etc_t:s0:c1,c2".to_owned()),
            threads: 1,
        }
    }

    #[test]
    fn a_source_cannot_smuggle_in_an_option() {
        let list = option_list(&options("/srv/a,suid\\"));
        assert_eq!(
            list,
            "fsname=/srv/a\\,suid\\\\,subtype=confseal,default_permissions,nosuid,nodev,\
             allow_other,ro,noexec,context=system_u:object_r:etc_t:s0:c1\\,c2"
        );
    }

    #[test]
    fn the_longest_request_fits_a_packet() {
        let path = OsString::from_vec(vec![0xff; 4096]);
        let options = OsString::from_vec(vec![0xff; 8192]);
        let packet = serde_json::to_vec(&Request::Mount { mountpoint: path, options }).unwrap();
        assert!(packet.len() <= PACKET, "{}", packet.len());
    }
}
