//! The kernel's wire, and the only place that knows `fuser`: each method decodes, makes one call
//! into `fs`, and replies. Nothing is decided here but who runs the call: what `fs` can do at once
//! is done on the dispatch thread; so is what has to wait, as long as another one is left to read
//! requests; else it goes to a pool. So a slow store never stops the reading of other requests.

pub mod attend;
pub mod mount;
pub mod session;

mod announce;
mod convert;
mod gate;
mod guarded;
mod notify;
mod pool;
mod reply;
mod run;
mod survivor;

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, FileHandle, INodeNo, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use crate::fs::{Error, Filesystem, Ino, Op, Pace, SetAttr, is_control};

use convert::{caller, mode_of, new_time, node_type, open_mode, rename_flags};
use gate::Gate;
use guarded::guarded;
use pool::{Pool, Spare};
use reply::{Answer, Xattr};
use run::{hold_back, or_released};

pub use announce::{Announcer, OwnOpens};
pub use gate::Stop;
pub use notify::KernelNotifier;
pub use survivor::Survivor;

/// A [`Filesystem`] on the wire.
pub struct Wire {
    fs: Arc<Filesystem>,
    pool: Pool,
    own_opens: OwnOpens,
    spare: Spare,
    gate: Arc<Gate>,
}

/// The handle of an open that announces a change. Those of programs never get so far.
const ANNOUNCEMENT: u64 = u64::MAX;

impl Wire {
    /// Serves `fs` to a session of `readers` threads; what they cannot wait for themselves runs on
    /// `workers` threads.
    pub fn new(fs: Arc<Filesystem>, readers: usize, workers: usize) -> io::Result<Self> {
        let (own_opens, spare) = (OwnOpens::default(), Spare::of(readers));
        Ok(Self { fs, pool: Pool::new(workers)?, own_opens, spare, gate: Arc::default() })
    }

    /// By which an [`Announcer`] makes its opens known here.
    pub fn own_opens(&self) -> OwnOpens {
        self.own_opens.clone()
    }

    /// By which the session can be stopped where another can go on.
    pub fn stop(&self) -> Stop {
        Stop::new(self.gate.clone(), self.own_opens.clone())
    }
}

fn ino(ino: INodeNo) -> Ino {
    Ino(ino.0)
}

impl fuser::Filesystem for Wire {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        session::negotiate(config);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.fs.requests().count(Op::Lookup);
        let name = name.to_owned();
        self.quick(reply, move |fs, pace| fs.lookup(ino(parent), &name, pace));
    }

    fn forget(&self, _: &Request, node: INodeNo, count: u64) {
        self.fs.requests().count(Op::Forget);
        let _ = guarded(|| {
            self.fs.forget(ino(node), count);
            Ok(())
        });
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.fs.requests().count(Op::Getattr);
        self.quick(reply, move |fs, pace| fs.getattr(ino(node), pace));
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.fs.requests().count(Op::Setattr);
        let (atime, mtime) = (atime.map(new_time), mtime.map(new_time));
        let set = SetAttr { mode: mode.map(mode_of), uid, gid, size, atime, mtime };
        self.patient(reply, move |fs| fs.setattr(ino(node), set));
    }

    fn readlink(&self, _: &Request, node: INodeNo, reply: ReplyData) {
        self.fs.requests().count(Op::Readlink);
        self.patient(reply, move |fs| fs.readlink(ino(node)));
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        self.fs.requests().count(Op::Mknod);
        let (caller, name) = (caller(request), name.to_owned());
        self.patient(reply, move |fs| {
            let what = (node_type(mode).ok_or(Error::Invalid)?, mode_of(mode), rdev.into());
            fs.mknod(caller, ino(parent), &name, what, umask)
        });
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        self.fs.requests().count(Op::Mkdir);
        let (caller, name) = (caller(request), name.to_owned());
        self.patient(reply, move |fs| fs.mkdir(caller, ino(parent), &name, mode_of(mode), umask));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.fs.requests().count(Op::Unlink);
        let name = name.to_owned();
        self.patient(reply, move |fs| fs.unlink(ino(parent), &name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.fs.requests().count(Op::Rmdir);
        let name = name.to_owned();
        self.patient(reply, move |fs| fs.rmdir(ino(parent), &name));
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        self.fs.requests().count(Op::Symlink);
        let (caller, name, target) = (caller(request), name.to_owned(), target.to_owned());
        self.patient(reply, move |fs| fs.symlink(caller, ino(parent), &name, target.as_os_str()));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        self.fs.requests().count(Op::Rename);
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        self.patient(reply, move |fs| {
            let flags = rename_flags(flags).ok_or(Error::Invalid)?;
            fs.rename((ino(parent), &name), (ino(new_parent), &new_name), flags)
        });
    }

    fn link(&self, _: &Request, node: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.fs.requests().count(Op::Link);
        let name = name.to_owned();
        self.patient(reply, move |fs| fs.link(ino(node), ino(parent), &name));
    }

    fn open(&self, request: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.fs.requests().count(Op::Open);
        let (caller, mode) = (caller(request), open_mode(flags));
        let Some(turn) = self.enter_to_open(caller) else { return hold_back(reply) };
        if self.own_opens.include(caller.pid) {
            let opened =
                |gate: &Gate| or_released(gate, self.fs.announce_open(ino(node), ANNOUNCEMENT));
            return reply.give(guarded(|| opened(&self.gate)));
        }
        let gate = self.gate.clone();
        let open = move |fs: &Arc<Filesystem>, pace| {
            or_released(&gate, fs.open(caller, ino(node), mode, pace))
        };
        if is_control(ino(node)) {
            // `status` counts the store: no file is to wait for that.
            let fs = self.fs.clone();
            return self.pool.run_apart(move || {
                reply.give(guarded(|| open(&fs, Pace::Patient)));
                drop(turn);
            });
        }
        self.quick_in(Some(turn), reply, open);
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.fs.requests().count(Op::Read);
        self.quick(reply, move |fs, pace| fs.read(ino(node), handle.0, offset, size, pace));
    }

    fn write(
        &self,
        request: &Request,
        node: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.fs.requests().count(Op::Write);
        let Some(turn) = self.gate.enter() else { return hold_back(reply) };
        let node = ino(node);
        if is_control(node) {
            // A command may take its ten seconds: it gets a thread of its own.
            let (caller, line) = (caller(request), data.to_vec());
            let fs = self.fs.clone();
            return self.pool.run_apart(move || {
                reply.give(guarded(|| fs.control_write(caller, node, handle.0, &line)));
                drop(turn);
            });
        }
        match guarded(|| self.fs.write(node, offset, data, Pace::Quick)) {
            Err(Error::WouldBlock) => {
                let data = crate::secret::SecretBytes::from(data);
                self.patient_in(Some(turn), reply, move |fs| {
                    fs.write(node, offset, &data, Pace::Patient)
                });
            }
            result => reply.give(result),
        }
    }

    fn flush(&self, _: &Request, node: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.fs.requests().count(Op::Flush);
        self.quick(reply, move |fs, pace| fs.flush(ino(node), pace));
    }

    fn release(
        &self,
        _: &Request,
        node: INodeNo,
        handle: FileHandle,
        flags: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.fs.requests().count(Op::Release);
        if handle.0 == ANNOUNCEMENT {
            self.gate.released();
            return reply.ok();
        }
        let (mode, gate) = (open_mode(flags), self.gate.clone());
        self.quick(reply, move |fs, pace| {
            let released = fs.release(ino(node), handle.0, mode, pace);
            if !matches!(released, Err(Error::WouldBlock)) {
                gate.released();
            }
            released
        });
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.fs.requests().count(Op::Fsync);
        self.patient(reply, move |fs| fs.fsync(ino(node)));
    }

    fn opendir(&self, request: &Request, node: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.fs.requests().count(Op::Opendir);
        let turn = self.enter_to_open(caller(request));
        let Some(_turn) = turn else { return hold_back(reply) };
        // Looks at nothing in the store: the first reading does.
        reply.give(guarded(|| or_released(&self.gate, self.fs.open_directory(ino(node)))));
    }

    fn readdir(
        &self,
        _: &Request,
        node: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        self.fs.requests().count(Op::Readdir);
        let reply = reply::DirectoryFrom { reply, offset };
        self.quick(reply, move |fs, pace| fs.read_directory(ino(node), handle.0, offset, pace));
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.fs.requests().count(Op::Releasedir);
        self.fs.close_directory(handle.0);
        self.gate.released();
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.fs.requests().count(Op::Fsyncdir);
        self.patient(reply, move |fs| fs.sync_directory(ino(node)));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.fs.requests().count(Op::Statfs);
        self.patient(reply, move |fs| fs.statfs());
    }

    fn setxattr(
        &self,
        _: &Request,
        node: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        self.fs.requests().count(Op::Setxattr);
        let (name, value) = (name.to_owned(), value.to_vec());
        self.patient(reply, move |fs| fs.setxattr(ino(node), &name, &value, flags));
    }

    fn getxattr(&self, _: &Request, node: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        self.fs.requests().count(Op::Getxattr);
        let name = name.to_owned();
        self.patient(Xattr { reply, room: size }, move |fs| fs.getxattr(ino(node), &name));
    }

    fn listxattr(&self, request: &Request, node: INodeNo, size: u32, reply: ReplyXattr) {
        self.fs.requests().count(Op::Listxattr);
        let caller = caller(request);
        self.patient(Xattr { reply, room: size }, move |fs| fs.listxattr(caller, ino(node)));
    }

    fn removexattr(&self, _: &Request, node: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.fs.requests().count(Op::Removexattr);
        let name = name.to_owned();
        self.patient(reply, move |fs| fs.removexattr(ino(node), &name));
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        self.fs.requests().count(Op::Create);
        let (caller, name) = (caller(request), name.to_owned());
        let open = open_mode(OpenFlags(flags));
        let turn = self.enter_to_create(caller);
        let gate = self.gate.clone();
        self.patient_in(turn, reply, move |fs| {
            let created = fs.create(caller, ino(parent), &name, mode_of(mode), umask, open);
            or_released(&gate, created)
        });
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: fuser::IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: fuser::ReplyIoctl,
    ) {
        // Many a program asks of every file whether it is a terminal: nothing to log.
        reply.error(fuser::Errno::ENOTTY);
    }

    fn fallocate(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.fs.requests().count(Op::Fallocate);
        self.patient(reply, move |fs| fs.allocate(ino(node), offset, len, mode));
    }

    // The kernel sends what follows until it has heard ENOSYS once, and then answers by itself:

    /// Every file is ready at any time.
    fn poll(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: fuser::PollNotifier,
        _: fuser::PollEvents,
        _: fuser::PollFlags,
        reply: fuser::ReplyPoll,
    ) {
        reply.error(fuser::Errno::ENOSYS);
    }

    /// All is data up to the end.
    fn lseek(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: i64,
        _: i32,
        reply: fuser::ReplyLseek,
    ) {
        reply.error(fuser::Errno::ENOSYS);
    }

    /// By reading and writing.
    fn copy_file_range(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: fuser::CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        reply.error(fuser::Errno::ENOSYS);
    }
}
