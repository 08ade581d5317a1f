//! Threads for what has to wait.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;

type Work = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that take work in the order it comes.
pub(super) struct Pool {
    work: Sender<Work>,
}

impl Pool {
    pub(super) fn new(threads: usize) -> io::Result<Self> {
        let (work, queue) = channel::<Work>();
        let queue = Arc::new(Mutex::new(queue));
        for n in 0..threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new().name(format!("store-{n}")).spawn(move || serve(&queue))?;
        }
        Ok(Self { work })
    }

    /// Runs `work` as soon as a thread is free.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        // Fails only when no thread is left; a reply that is dropped answers EIO.
        let _ = self.work.send(Box::new(work));
    }

    /// Runs `work` on a thread of its own, which no other work waits for.
    pub(super) fn run_apart(&self, work: impl FnOnce() + Send + 'static) {
        let _ = std::thread::Builder::new().name("control".into()).spawn(work);
    }
}

/// Takes work until the pool is dropped.
fn serve(queue: &Mutex<Receiver<Work>>) {
    loop {
        // Taken under the lock, run without it.
        let work = queue.lock().recv();
        match work {
            Ok(work) => work(),
            Err(_) => return,
        }
    }
}
