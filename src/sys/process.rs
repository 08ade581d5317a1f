//! Processes and signals: becoming a daemon, leaving a child behind, and waiting for signals.
//!
//! What must stay true: the process is forked only while it has a single thread, since in the
//! child every other thread, and each lock one of them held, would be lost.
#![allow(unsafe_code)]

use std::fs;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, WaitOptions, WaitStatus};

/// Code of a child that panicked, as that of a Rust program.
const PANICKED: u8 = 101;

/// Why a daemon did not come up: what its user should read, and the exit code for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// Text for the user.
    pub message: String,
}

/// Why [`daemonize`] has no running daemon to show.
#[derive(Clone, Debug)]
pub enum NotStarted {
    /// It said why.
    Failed(Failure),
    /// It ended without a word, by a signal most likely.
    Died(WaitStatus),
}

/// How a daemon tells that it is in service.
#[derive(Debug)]
pub struct Ready {
    /// Where the process waits that the user started; none in the foreground.
    waiting: Option<fs::File>,
}

impl Ready {
    /// For a daemon that stays in the foreground: nobody waits for it.
    pub fn foreground() -> Self {
        Self { waiting: None }
    }

    /// In service: lets the waiting process end with success and lets go of its terminal, once.
    /// From here on standard input and output are `/dev/null` (descriptors 0 to 2 stay taken, so
    /// that no other file can be mistaken for them).
    pub fn ready(&mut self) -> io::Result<()> {
        let Some(mut waiting) = self.waiting.take() else { return Ok(()) };
        quiet_stdio()?;
        waiting.write_all(&[0])
    }

    /// Passes a failure on to the waiting process. False when nobody waits (any more).
    fn failed(&mut self, failure: &Failure) -> bool {
        let report = [&[1, failure.code], failure.message.as_bytes()].concat();
        self.waiting.take().is_some_and(|mut waiting| waiting.write_all(&report).is_ok())
    }
}

/// Runs `serve` in a daemon: a child in a session of its own, working directory `/`, umask 0, and
/// without the descriptors that this process inherited (those to be kept must be close-on-exec).
///
/// Returns in the calling process only, as soon as the daemon has called [`Ready::ready`] or has
/// ended; a failure before that is handed over in words. The daemon's process ends when `serve`
/// returns. A failure after [`Ready::ready`] can only become its exit code: `serve` logs it.
///
/// Errors are those of creating the child; more than one thread is one.
pub fn daemonize(
    serve: impl FnOnce(&mut Ready) -> Result<(), Failure>,
) -> io::Result<Result<(), NotStarted>> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    io::stdout().flush()?;
    match fork()? {
        Some(child) => {
            drop(write);
            wait_until_ready(read, child)
        }
        None => {
            drop(read);
            let mut ready = Ready { waiting: Some(write.into()) };
            let code = guarded(|| {
                let result = detach_from_user().and_then(|()| serve(&mut ready));
                result.map_or_else(
                    |failure| {
                        ready.failed(&failure);
                        failure.code
                    },
                    |()| 0,
                )
            });
            std::process::exit(code.into())
        }
    }
}

fn detach_from_user() -> Result<(), Failure> {
    let detached = rustix::process::setsid()
        .and_then(|_| rustix::process::chdir("/"))
        .map_err(io::Error::from)
        .and_then(|()| close_inherited());
    rustix::process::umask(Mode::empty());
    detached.map_err(|error| Failure { code: 1, message: format!("cannot detach: {error}") })
}

/// Closes what a shell left open, a lock that a script holds on descriptor 9 for one: it would be
/// held as long as the daemon runs.
fn close_inherited() -> io::Result<()> {
    let open: Vec<_> = fs::read_dir("/proc/self/fd")?.collect::<Result<_, _>>()?;
    let numbers = open.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|number: &RawFd| *number > 2) {
        // SAFETY: F_GETFD reads a flag. Only what has come through exec lacks close-on-exec, as all
        // that this process opens has it: nothing in the process owns such a descriptor.
        unsafe {
            if libc::fcntl(number, libc::F_GETFD) == 0 {
                libc::close(number);
            }
        }
    }
    Ok(())
}

/// Takes the descriptor `number`, which the program that started us left open, for ourselves.
///
/// EBADF when there is none, or when it has been taken or opened by this process itself.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD reads a flag, F_SETFD sets it. Only what has come through exec lacks
    // close-on-exec, as all that this process opens has it: nothing in the process owns such a
    // descriptor, and with the flag it is not taken a second time.
    unsafe {
        match libc::fcntl(number, libc::F_GETFD) {
            0 if number > 2 => {}
            _ => return Err(rustix::io::Errno::BADF.into()),
        }
        if libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(number))
    }
}

fn wait_until_ready(report: OwnedFd, child: Pid) -> io::Result<Result<(), NotStarted>> {
    let mut report = fs::File::from(report);
    // Not read to its end: the daemon's own children may hold the other side for longer.
    let mut verdict = [0; 1];
    if report.read(&mut verdict)? == 0 {
        return Ok(Err(NotStarted::Died(wait_for(child)?)));
    }
    if verdict == [0] {
        return Ok(Ok(()));
    }
    wait_for(child)?;
    let mut rest = Vec::new();
    report.read_to_end(&mut rest)?;
    let (code, message) = rest.split_first().unwrap_or((&1, &[]));
    let message = String::from_utf8_lossy(message).into_owned();
    Ok(Err(NotStarted::Failed(Failure { code: *code, message })))
}

/// Runs `act` in a child and returns its exit code, for trying what cannot be undone.
pub fn try_in_child(act: impl FnOnce() -> u8) -> io::Result<u8> {
    match fork()? {
        Some(child) => {
            let status = wait_for(child)?.exit_status();
            Ok(status.and_then(|code| u8::try_from(code).ok()).unwrap_or(PANICKED))
        }
        None => exit_now(guarded(act)),
    }
}

/// Leaves a child behind that runs `act` and ends. Of the open descriptors it keeps `socket` alone,
/// and no other process of the user can look into it.
pub fn spawn_child(socket: OwnedFd, act: impl FnOnce(OwnedFd)) -> io::Result<Pid> {
    match fork()? {
        Some(child) => Ok(child),
        None => exit_now(guarded(|| {
            let kept = quiet_stdio()
                .and_then(|()| only_descriptor(socket))
                .and_then(|socket| forbid_dumps().map(|()| socket));
            match kept {
                Ok(socket) => {
                    act(socket);
                    0
                }
                Err(_) => 1,
            }
        })),
    }
}

/// Starts a child that runs `act` and ends with its answer. It keeps the terminal, and `socket` alone
/// of the other descriptors. With signals blocked here, it has them blocked.
pub fn start_child(socket: OwnedFd, act: impl FnOnce(OwnedFd) -> u8) -> io::Result<Pid> {
    match fork()? {
        Some(child) => Ok(child),
        None => exit_now(guarded(|| only_descriptor(socket).map_or(1, act))),
    }
}

/// Creates a child: its pid in the parent, nothing in the child.
fn fork() -> io::Result<Option<Pid>> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with several threads cannot be forked"));
    }
    // SAFETY: the process has one thread, as just counted, so the child finds no lock held and no
    // data half-changed by a thread that does not exist in it.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(Pid::from_raw(child)),
    }
}

/// Runs `act` so that a panic cannot unwind into what the parent's stack frames were about.
fn guarded(act: impl FnOnce() -> u8) -> u8 {
    panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or(PANICKED)
}

fn exit_now(code: u8) -> ! {
    // SAFETY: ends the process without running anything of it. A forked child must not run the
    // exit handlers, nor flush the buffers, of its parent.
    unsafe { libc::_exit(code.into()) }
}

/// Waits for the end of a child.
pub fn wait_for(child: Pid) -> io::Result<WaitStatus> {
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn quiet_stdio() -> io::Result<()> {
    let null = rustix::fs::openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}

fn forbid_dumps() -> io::Result<()> {
    let never = rustix::process::DumpableBehavior::NotDumpable;
    Ok(rustix::process::set_dumpable_behavior(never)?)
}

/// Closes every descriptor above standard error but `kept`, which gets a new number.
fn only_descriptor(kept: OwnedFd) -> io::Result<OwnedFd> {
    const ONLY: RawFd = 3;
    // Given up as an owned descriptor: its number is closed with the others below.
    let kept = kept.into_raw_fd();
    if kept != ONLY {
        // SAFETY: both are plain numbers to the kernel. What number 3 was before belongs to frames
        // of the parent, which this child, made to end in `exit_now`, never returns to.
        if unsafe { libc::dup3(kept, ONLY, libc::O_CLOEXEC) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: as above, the owners of these descriptors are never reached again.
    if unsafe { libc::syscall(libc::SYS_close_range, ONLY + 1, libc::c_uint::MAX, 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: number 3 is open, and nothing else owns it any more.
    Ok(unsafe { OwnedFd::from_raw_fd(ONLY) })
}

/// A duplicate that a program started from here inherits.
pub fn inheritable(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::dup(fd)?)
}

/// A signal that a daemon answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM or SIGINT: commit everything and end.
    Terminate,
    /// SIGHUP: read the configuration again (or, in the foreground, the terminal is gone).
    Hangup,
}

/// SIGTERM, SIGINT and SIGHUP, kept back from every thread for one that asks for them.
#[derive(Debug)]
pub struct Signals {
    set: libc::sigset_t,
}

impl Signals {
    /// Blocks them in the calling thread and in those it starts later: called first in `main`.
    pub fn block() -> io::Result<Self> {
        let set = signal_set(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP]);
        set_mask(libc::SIG_BLOCK, &set)?;
        Ok(Self { set })
    }

    /// Waits for the next one, on any thread.
    pub fn wait(&self) -> io::Result<Signal> {
        let mut number = 0;
        // SAFETY: both pointers are to live values of the right type.
        match unsafe { libc::sigwait(&self.set, &mut number) } {
            0 if number == libc::SIGHUP => Ok(Signal::Hangup),
            0 => Ok(Signal::Terminate),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Makes `command` start with no signal blocked. A child inherits what [`Signals::block`] did, and
/// could not be ended with SIGTERM.
pub fn with_signals_open(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only sigemptyset and sigprocmask run, which are
    // async-signal-safe, and nothing is allocated.
    unsafe { command.pre_exec(|| set_mask(libc::SIG_SETMASK, &signal_set(&[]))) }
}

fn signal_set(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set; sigaddset changes that, and fails only for
    // numbers that are no signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

fn set_mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is live and initialised; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_forked() {
        // The harness runs each test on a thread of its own.
        let error = try_in_child(|| 0).unwrap_err();
        assert!(error.to_string().contains("several threads"), "{error}");
    }

    #[test]
    fn in_the_foreground_ready_keeps_the_terminal() {
        let before = rustix::fs::fstat(rustix::stdio::stdout()).unwrap();
        Ready::foreground().ready().unwrap();
        let after = rustix::fs::fstat(rustix::stdio::stdout()).unwrap();
        assert_eq!((before.st_dev, before.st_ino), (after.st_dev, after.st_ino));
    }
}
