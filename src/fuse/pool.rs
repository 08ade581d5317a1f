//! Threads for what has to wait.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

type Work = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that take work in the order it comes.
pub(super) struct Pool {
    queue: Arc<Queue>,
}

/// One piece of work wakes one thread: a wake-up costs as much as many an operation.
#[derive(Default)]
struct Queue {
    /// Held for moments.
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Default)]
struct Waiting {
    work: VecDeque<Work>,
    is_over: bool,
}

impl Pool {
    pub(super) fn new(threads: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        for n in 0..threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new().name(format!("store-{n}")).spawn(move || serve(&queue))?;
        }
        Ok(Self { queue })
    }

    /// Runs `work` as soon as a thread is free.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        self.queue.waiting.lock().work.push_back(Box::new(work));
        self.queue.bell.notify_one();
    }

    /// Runs `work` on a thread of its own, which no other work waits for.
    pub(super) fn run_apart(&self, work: impl FnOnce() + Send + 'static) {
        let _ = std::thread::Builder::new().name("control".into()).spawn(work);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.waiting.lock().is_over = true;
        self.queue.bell.notify_all();
    }
}

/// Takes work until the pool is dropped and nothing is left.
fn serve(queue: &Queue) {
    loop {
        let mut waiting = queue.waiting.lock();
        let work = loop {
            match waiting.work.pop_front() {
                Some(work) => break work,
                None if waiting.is_over => return,
                None => queue.bell.wait(&mut waiting),
            }
        };
        // Taken under the lock, run without it.
        drop(waiting);
        work();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn all_work_is_done_also_after_the_pool_is_gone() {
        let pool = Pool::new(3).unwrap();
        let (done, results) = channel();
        for n in 0..100 {
            let done = done.clone();
            pool.run(move || done.send(n).unwrap());
        }
        drop((pool, done));
        let mut results: Vec<i32> = results.iter().collect();
        results.sort_unstable();
        assert_eq!(results, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn work_that_waits_for_other_work_does_not_stop_it() {
        let pool = Pool::new(2).unwrap();
        let (wake, woken) = channel();
        let (done, result) = channel();
        pool.run(move || done.send(woken.recv().unwrap()).unwrap());
        pool.run(move || wake.send(7).unwrap());
        assert_eq!(result.recv().unwrap(), 7);
    }
}
