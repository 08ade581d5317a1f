//! Threads for what has to wait.
//!
//! What must stay true: work that blocks for good (a store that is frozen, or gone) holds up no
//! other. So no thread is waited for: when all are at work, there will be one more. And of the
//! threads that read requests one is always left to read, see [`Spare`].

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

type Work = Box<dyn FnOnce() + Send>;

/// The most threads there will be. Each stands for a program that waits: what comes when all are
/// blocked waits with them.
const MOST: usize = 512;

/// How long a thread beyond those that stay goes without work before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// Threads that take work in the order it comes: a fixed number, and as many more as are needed.
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
    /// How many threads there are.
    threads: usize,
    /// How many of them wait for work.
    idle: usize,
    is_over: bool,
}

impl Pool {
    pub(super) fn new(threads: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        for _ in 0..threads.max(1) {
            queue.waiting.lock().threads += 1;
            start(&queue, None)?;
        }
        Ok(Self { queue })
    }

    /// Runs `work` as soon as a thread is free; at once, short of [`MOST`] that are not.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        let mut waiting = self.queue.waiting.lock();
        waiting.work.push_back(Box::new(work));
        let is_short = waiting.work.len() > waiting.idle && waiting.threads < MOST;
        waiting.threads += usize::from(is_short);
        drop(waiting);
        if is_short && let Err(error) = start(&self.queue, Some(IDLE)) {
            self.queue.waiting.lock().threads -= 1;
            log::warn!("no further thread: {error}");
        }
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

/// The threads that read requests, as far as they can be spared: whichever takes a turn may wait
/// itself, which saves waking another thread and being woken by its answer. The last one gets none,
/// and so never waits.
pub(super) struct Spare(AtomicUsize);

/// Leave to wait, until it is dropped.
pub(super) struct Turn<'a>(&'a AtomicUsize);

impl Spare {
    /// Of `readers` threads all but one.
    pub(super) fn of(readers: usize) -> Self {
        Self(AtomicUsize::new(readers.saturating_sub(1)))
    }

    /// `None` when no further thread can be spared.
    pub(super) fn take(&self) -> Option<Turn<'_>> {
        let one_less = |spare: usize| spare.checked_sub(1);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        taken.ok().map(|_| Turn(&self.0))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Starts a thread that has been counted already.
fn start(queue: &Arc<Queue>, patience: Option<Duration>) -> io::Result<()> {
    let queue = queue.clone();
    let thread = std::thread::Builder::new().name("store".into());
    thread.spawn(move || serve(&queue, patience)).map(drop)
}

/// Takes work until the pool is dropped and nothing is left, or none came for as long as `patience`.
fn serve(queue: &Queue, patience: Option<Duration>) {
    loop {
        let mut waiting = queue.waiting.lock();
        let work = loop {
            if let Some(work) = waiting.work.pop_front() {
                break work;
            }
            if waiting.is_over {
                return;
            }
            waiting.idle += 1;
            let gave_up = match patience {
                Some(patience) => queue.bell.wait_for(&mut waiting, patience).timed_out(),
                None => {
                    queue.bell.wait(&mut waiting);
                    false
                }
            };
            waiting.idle -= 1;
            if gave_up && waiting.work.is_empty() {
                waiting.threads -= 1;
                return;
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
    fn however_much_is_blocked_there_is_a_thread_for_what_comes() {
        let pool = Pool::new(2).unwrap();
        let (done, result) = channel();
        let mut blocked = Vec::new();
        for _ in 0..100 {
            let (wake, woken) = channel::<()>();
            blocked.push(wake);
            pool.run(move || assert!(woken.recv().is_err()));
        }
        pool.run(move || done.send(7).unwrap());
        assert_eq!(result.recv().unwrap(), 7);
        assert!(pool.queue.waiting.lock().threads > 100);
    }

    #[test]
    fn one_thread_is_enough_for_what_comes_one_after_the_other() {
        let pool = Pool::new(1).unwrap();
        for _ in 0..1000 {
            let is_free = |waiting: &Waiting| waiting.idle == 1 && waiting.work.is_empty();
            while !is_free(&pool.queue.waiting.lock()) {
                std::thread::yield_now();
            }
            pool.run(|| ());
        }
        assert_eq!(pool.queue.waiting.lock().threads, 1);
    }

    #[test]
    fn the_last_thread_that_reads_is_never_spared() {
        assert!(Spare::of(0).take().is_none());
        assert!(Spare::of(1).take().is_none());
        let spare = Spare::of(3);
        let turns = [spare.take(), spare.take()];
        assert!(turns.iter().all(Option::is_some));
        assert!(spare.take().is_none());
        drop(turns);
        assert!(spare.take().is_some(), "a turn ends");
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
