//! Attending the connection of a mount whose daemon is gone.
//!
//! While a descriptor of the connection is open somewhere, programs that use the old mount wait
//! instead of failing. Whoever takes the mount's place takes the old one out of sight first, and then
//! sees to those who wait: what they asked by path is answered with ESTALE, upon which the kernel
//! walks the path anew, by itself, and comes to the new mount. What they do on open files fails: the
//! buffers of those went with the daemon.
//!
//! What must stay true:
//! - nothing is answered before the old mount is out of sight: the kernel walks anew only once;
//! - every request gets its answer at once, so nobody waits for us;
//! - what is read here (names, and bytes that programs write) is wiped.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use zeroize::Zeroize;

/// Asks the kernel for the requests that were read and not answered (linux/fuse.h, Linux 6.9).
const NOTIFY_RESEND: i32 = 7;

/// The largest request, in bytes, that any daemon of ours may have agreed to. Its pages are touched
/// only as far as requests reach.
const LARGEST: usize = (16 << 20) + (64 << 10);

/// Length of a request's head, in bytes (`fuse_in_header`).
const HEAD: usize = 40;

/// Requests, by their numbers in linux/fuse.h.
mod op {
    pub(super) const FORGET: u32 = 2;
    pub(super) const GETATTR: u32 = 3;
    pub(super) const SETATTR: u32 = 4;
    pub(super) const READ: u32 = 15;
    pub(super) const WRITE: u32 = 16;
    pub(super) const RELEASE: u32 = 18;
    pub(super) const FSYNC: u32 = 20;
    pub(super) const FLUSH: u32 = 25;
    pub(super) const INIT: u32 = 26;
    pub(super) const RELEASEDIR: u32 = 29;
    pub(super) const INTERRUPT: u32 = 36;
    pub(super) const DESTROY: u32 = 38;
    pub(super) const IOCTL: u32 = 39;
    pub(super) const POLL: u32 = 40;
    pub(super) const BATCH_FORGET: u32 = 42;
    pub(super) const FALLOCATE: u32 = 43;
    pub(super) const LSEEK: u32 = 46;
    pub(super) const COPY_FILE_RANGE: u32 = 47;
    pub(super) const COPY_FILE_RANGE_64: u32 = 53;
}

/// Attends the connection behind `device` on a thread of its own until the kernel ends it: the old
/// mount is out of sight, and nobody uses what was in it any more. Then `ended` runs.
///
/// Where the kernel cannot give back the requests that the old daemon had read (before Linux 6.9), the
/// connection is given up at once: if nobody else holds it, whoever waits gets an error.
pub fn attend(device: OwnedFd, ended: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("attend".to_owned()).spawn(move || {
        if let Err(error) = answer_all(&device) {
            log::warn!("programs that waited for the old mount get an error: {error}");
        }
        drop(device);
        ended();
    })?;
    Ok(())
}

fn answer_all(device: &OwnedFd) -> io::Result<()> {
    match reply(device, NOTIFY_RESEND, 0) {
        // Not known to this kernel.
        Err(Errno::INVAL) => {
            return Err(io::Error::other("this kernel cannot give requests back (Linux 6.9 can)"));
        }
        Err(error) => return Err(error.into()),
        Ok(()) => {}
    }
    let mut buffer = vec![0; LARGEST];
    loop {
        let length = match rustix::io::read(device, &mut buffer) {
            Ok(length) => length,
            Err(Errno::NODEV) => return Ok(()),
            // A signal; a caller that is gone.
            Err(Errno::INTR | Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        let request = &mut buffer[..length];
        let outcome = match Request::parse(request) {
            Some(request) => {
                log::debug!("old mount: request {} gets {:?}", request.opcode, answer(&request));
                match answer(&request) {
                    Answer::None => Ok(()),
                    Answer::Done => reply(device, 0, request.unique),
                    Answer::Error(errno) => reply(device, -errno.raw_os_error(), request.unique),
                }
            }
            None => Err(Errno::PROTO),
        };
        request.zeroize();
        match outcome {
            // Nobody waits for it any more.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::NODEV) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes a `fuse_out_header` without anything after it.
fn reply(device: &OwnedFd, code: i32, unique: u64) -> Result<(), Errno> {
    let mut head = [0; 16];
    head[..4].copy_from_slice(&16u32.to_ne_bytes());
    head[4..8].copy_from_slice(&code.to_ne_bytes());
    head[8..].copy_from_slice(&unique.to_ne_bytes());
    rustix::io::write(device, &head).map(drop)
}

struct Request<'a> {
    opcode: u32,
    unique: u64,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, body) = bytes.split_at_checked(HEAD)?;
        let opcode = u32::from_ne_bytes(head[4..8].try_into().ok()?);
        let unique = u64::from_ne_bytes(head[8..16].try_into().ok()?);
        Some(Self { opcode, unique, body })
    }

    /// The number that the body holds at `at`.
    fn word(&self, at: usize) -> u32 {
        let bytes = self.body.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_ne_bytes)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    /// Nobody waits for one.
    None,
    Done,
    Error(Errno),
}

/// What a program hears. EIO for what is done through an open file, which cannot be done elsewhere;
/// ESTALE for the rest, so that it is done again where the path leads now. (`stat` and `fstat` are the
/// same request; so `fstat` may bring ESTALE.)
fn answer(request: &Request<'_>) -> Answer {
    /// FUSE_GETATTR_FH.
    const GETATTR_BY_HANDLE: u32 = 1;
    /// FATTR_FH.
    const SETATTR_BY_HANDLE: u32 = 1 << 6;
    let by_handle = match request.opcode {
        // An interrupt means a request that has its answer by now.
        op::FORGET | op::BATCH_FORGET | op::INTERRUPT => return Answer::None,
        // What a close could have saved it has said in FLUSH.
        op::RELEASE | op::RELEASEDIR | op::DESTROY => return Answer::Done,
        op::READ | op::WRITE | op::FLUSH | op::FSYNC | op::FALLOCATE => true,
        op::LSEEK | op::COPY_FILE_RANGE | op::COPY_FILE_RANGE_64 | op::IOCTL | op::POLL => true,
        op::INIT => true,
        op::GETATTR => request.word(0) & GETATTR_BY_HANDLE != 0,
        op::SETATTR => request.word(0) & SETATTR_BY_HANDLE != 0,
        _ => false,
    };
    Answer::Error(if by_handle { Errno::IO } else { Errno::STALE })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_to(opcode: u32, body: &[u8]) -> Answer {
        answer(&Request { opcode, unique: 7, body })
    }

    #[test]
    fn what_goes_by_path_is_sent_to_the_new_mount() {
        let lookup_open_create_mkdir_rename2 = [1, 14, 35, 9, 45];
        for opcode in lookup_open_create_mkdir_rename2 {
            assert_eq!(answer_to(opcode, b"name\0"), Answer::Error(Errno::STALE), "{opcode}");
        }
        assert_eq!(answer_to(op::GETATTR, &[0; 16]), Answer::Error(Errno::STALE));
    }

    #[test]
    fn what_goes_by_an_open_file_fails() {
        for opcode in [op::READ, op::WRITE, op::FLUSH, op::FSYNC] {
            assert_eq!(answer_to(opcode, &[0; 64]), Answer::Error(Errno::IO), "{opcode}");
        }
        let by_handle = [1u32.to_ne_bytes(), [0; 4]].concat();
        assert_eq!(answer_to(op::GETATTR, &by_handle), Answer::Error(Errno::IO));
        let truncate = (1u32 << 6 | 1 << 3).to_ne_bytes();
        assert_eq!(answer_to(op::SETATTR, &truncate), Answer::Error(Errno::IO));
    }

    #[test]
    fn a_close_ends_well_and_what_is_forgotten_needs_no_answer() {
        assert_eq!(answer_to(op::RELEASE, &[0; 24]), Answer::Done);
        assert_eq!(answer_to(op::BATCH_FORGET, &[0; 8]), Answer::None);
    }

    #[test]
    fn a_request_is_known_by_its_head() {
        let mut bytes = [0; HEAD + 4];
        bytes[4] = 15;
        bytes[8..16].copy_from_slice(&(1u64 << 63 | 5).to_ne_bytes());
        let request = Request::parse(&bytes).unwrap();
        // The mark of what comes a second time has to come back in the answer.
        assert_eq!((request.opcode, request.unique), (15, 1 << 63 | 5));
        assert!(Request::parse(&bytes[..HEAD - 1]).is_none());
    }
}
