//! Telling the kernel what to forget.
//!
//! An invalidation waits for requests in flight on the same inode or directory, whose handlers may
//! wait for a lock: so it is only ever sent from one thread of its own that holds none, and
//! whoever has something to tell just queues it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use fuser::{INodeNo, Notifier};

use super::announce::Announcer;
use crate::fs::{Ino, Invalidate};
use crate::path::RelPath;

enum Message {
    Content(Ino),
    Attributes(Ino),
    Name(Ino, OsString),
    Removed { parent: Ino, name: OsString, ino: Ino },
    Changed(RelPath),
}

/// The way to the kernel.
pub struct KernelNotifier {
    queue: Sender<Message>,
    notifier: Notifier,
}

impl KernelNotifier {
    /// Starts the thread that tells the kernel through `notifier`, and then the programs that watch
    /// through `announcer`.
    pub fn start(notifier: Notifier, announcer: Announcer) -> io::Result<Self> {
        let (queue, messages) = channel();
        let own = notifier.clone();
        std::thread::Builder::new()
            .name("invalidate".into())
            .spawn(move || pass_on(&notifier, &announcer, &messages))?;
        Ok(Self { queue, notifier: own })
    }

    fn send(&self, message: Message) {
        // The thread ends only with the process; what is lost then matters to nobody.
        let _ = self.queue.send(message);
    }
}

impl Invalidate for KernelNotifier {
    fn content(&self, ino: Ino) {
        self.send(Message::Content(ino));
    }

    fn attributes(&self, ino: Ino) {
        self.send(Message::Attributes(ino));
    }

    fn attributes_now(&self, ino: Ino) {
        // Touches no page, so it waits for no request: only pages make an invalidation wait.
        told(self.notifier.inval_inode(INodeNo(ino.0), -1, 0));
    }

    fn name(&self, parent: Ino, name: &OsStr) {
        self.send(Message::Name(parent, name.to_owned()));
    }

    fn removed(&self, parent: Ino, name: &OsStr, ino: Ino) {
        self.send(Message::Removed { parent, name: name.to_owned(), ino });
    }

    fn changed(&self, file: RelPath) {
        // In line with the rest: whoever is told of the change has to see it.
        self.send(Message::Changed(file));
    }
}

fn pass_on(notifier: &Notifier, announcer: &Announcer, messages: &Receiver<Message>) {
    for message in messages {
        let _turn = announcer.invalidating();
        told(match message {
            Message::Content(ino) => notifier.inval_inode(INodeNo(ino.0), 0, 0),
            // A negative offset leaves the pages alone.
            Message::Attributes(ino) => notifier.inval_inode(INodeNo(ino.0), -1, 0),
            Message::Name(parent, name) => notifier.inval_entry(INodeNo(parent.0), &name),
            Message::Removed { parent, name, ino } => {
                // Refused where something is mounted on it, or known below it.
                let told = notifier.delete(INodeNo(parent.0), INodeNo(ino.0), &name);
                told.or_else(|_| notifier.inval_entry(INodeNo(parent.0), &name))
            }
            Message::Changed(file) => {
                announcer.changed(file);
                Ok(())
            }
        });
    }
}

fn told(result: io::Result<()>) {
    match result {
        Ok(()) => {}
        // The kernel does not know it: nothing to forget.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
        Err(error) => log::debug!("the kernel did not take an invalidation: {error}"),
    }
}
