//! A private room: a directory in memory that nobody sees but one child and what it starts, for
//! programs that are to have plaintext as a file.
//!
//! What must stay true: it is a file system of its own (ramfs, whose pages are never swapped) in a
//! mount namespace of its own, gone with the child. In that namespace nothing else can be written
//! but devices and a copy of the home directory, which is in memory too: whatever a program wants
//! to leave behind (swap files, backups, histories), it leaves there.

use std::fs::{self, DirBuilder};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use super::memory::forbid_dumps;
use super::mount;
use super::process::{start_child, wait_for};

/// See the head of this file. Dropped, it is gone with all that is in it.
#[derive(Debug)]
pub struct Room {
    dir: OwnedFd,
    /// The child ends when this end is closed.
    socket: Option<OwnedFd>,
    child: rustix::process::Pid,
}

/// The directories in the room's file system.
struct Plan<'a> {
    point: &'a Path,
    /// The home directory, if there is one to be covered.
    home: Option<&'a Path>,
}

impl Room {
    /// Makes a room at the empty directory `point`, seen there by the child alone. Each
    /// [`Room::run`] lets the child call `work` with the path of the room's directory.
    ///
    /// To be called before the process has a second thread, and before it reads a key: the child
    /// is a copy of it. As an ordinary user it takes a user namespace, which some hosts forbid.
    pub fn open(point: &Path, home: Option<&Path>, work: impl Fn(&Path) -> u8) -> io::Result<Self> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let inside = |home: &&Path| {
            // A room below it would be covered; the root cannot be.
            !point.starts_with(home) && home.is_dir() && home.parent().is_some()
        };
        let plan = Plan { point, home: home.filter(inside) };
        let child = start_child(theirs, |socket| serve(&socket, &plan, &work))?;
        let mut answer = [0; 4];
        let dir = match receive(&ours, &mut answer) {
            Ok((4, Some(dir))) => dir,
            Ok((4, None)) => {
                let _ = wait_for(child);
                return Err(io::Error::from_raw_os_error(i32::from_ne_bytes(answer)));
            }
            Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) => return Err(error),
        };
        Ok(Self { dir, socket: Some(ours), child })
    }

    /// The directory. Reaches into the room from outside.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Has the child do its work, and returns its answer.
    pub fn run(&self) -> io::Result<u8> {
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        send(socket, &[0], None)?;
        let mut answer = [0; 1];
        match receive(socket, &mut answer)? {
            (1, _) => Ok(answer[0]),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(self.socket.take());
        let _ = wait_for(self.child);
    }
}

/// The child.
fn serve(socket: &OwnedFd, plan: &Plan<'_>, work: &impl Fn(&Path) -> u8) -> u8 {
    let room = match plan.build() {
        Ok(room) => room,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            let _ = send(socket, &errno.to_ne_bytes(), None);
            return 1;
        }
    };
    let opened = mount::reach(&room).and_then(|dir| send(socket, &[0; 4], Some(dir.as_fd())));
    let mut request = [0; 1];
    while opened.is_ok() && matches!(receive(socket, &mut request), Ok((1, _))) {
        if send(socket, &[work(&room)], None).is_err() {
            break;
        }
    }
    0
}

impl Plan<'_> {
    /// Makes the namespace and what is in it; the path of the room.
    fn build(&self) -> io::Result<PathBuf> {
        let user = !mount::may_mount();
        match user {
            true => mount::enter_own_user_and_mount_namespace()?,
            false => mount::enter_own_mount_namespace()?,
        }
        // The programs started here dump no core either.
        forbid_dumps()?;
        mount::make_all_read_only()?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("confseal", self.point, "ramfs", flags, c"mode=0700")?;
        let make = |name: &str| {
            let path = self.point.join(name);
            DirBuilder::new().mode(0o700).create(&path).map(|()| path)
        };
        let room = make("room")?;
        let (upper, work) = (make("upper")?, make("work")?);
        if let Some(home) = self.home
            && let Err(error) = cover(home, &upper, &work, user)
        {
            // It stays read-only.
            log::debug!("{}: {error}", home.display());
        }
        Ok(room)
    }
}

/// Lets `home` be written to in memory alone.
fn cover(home: &Path, upper: &Path, work: &Path, user: bool) -> io::Result<()> {
    let mode = fs::metadata(home)?.permissions();
    fs::set_permissions(upper, mode)?;
    let mut options = Vec::new();
    for (name, path) in [("lowerdir=", home), (",upperdir=", upper), (",workdir=", work)] {
        let path = path.as_os_str().as_bytes();
        if path.iter().any(|byte| matches!(byte, b',' | b':' | b'\\')) {
            return Err(Errno::INVAL.into());
        }
        options.extend_from_slice(name.as_bytes());
        options.extend_from_slice(path);
    }
    if user {
        options.extend_from_slice(b",userxattr");
    }
    let options = std::ffi::CString::new(options)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(rustix::mount::mount("confseal", home, "overlay", flags, options.as_c_str())?)
}

fn send(socket: &OwnedFd, bytes: &[u8], with: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if let Some(with) = &with {
        ancillary.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(with)));
    }
    let slices = [IoSlice::new(bytes)];
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(socket, &slices, &mut ancillary, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// How many bytes came, and the descriptor with them; none when nobody is there any more.
fn receive(socket: &OwnedFd, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let slices = &mut [IoSliceMut::new(bytes)];
        match rustix::net::recvmsg(socket, slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((message.bytes, descriptor))
}
