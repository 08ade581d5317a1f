//! Stopping at a boundary: the wire hands over to whoever reads the connection next, with nothing
//! half done.
//!
//! A request that is held back stays unanswered. The kernel keeps it, and gives it again to the one
//! who asks for it (FUSE_NOTIFY_RESEND).
//!
//! What must stay true: what is held back has not been begun; and no thread of this process waits for
//! a request that is held back, or the process could not end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::announce::OwnOpens;

/// How often is looked whether it is over.
const LOOK: Duration = Duration::from_millis(1);

/// From here on what is open may be finished, and nothing that exists is opened. Below, everything
/// passes.
const LEAVING: u8 = 1;
/// From here on nothing is made and opened either. A program that waits to make a file keeps others
/// from listing its directory, so that comes last.
const LEFT: u8 = 2;
/// From here on nothing passes.
const CLOSED: u8 = 3;

/// What every request passes. All in one order, as one counter is judged by another.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: AtomicU8,
    /// Requests between their arrival and their answer.
    busy: AtomicUsize,
    /// Open files and directories, as far as programs have heard of them.
    files: AtomicUsize,
}

/// Held from a request's arrival until it has been answered.
#[derive(Debug)]
pub(super) struct Turn(Arc<Gate>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gate {
    /// Lets a request in; `None` when it is to be held back.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Turn> {
        self.enter_until(CLOSED)
    }

    /// The same for one that opens something, which counts as open from here on; whoever fails to
    /// open it says that it is [`released`](Self::released). `is_ours` passes until nothing does.
    pub(super) fn enter_to_open(self: &Arc<Self>, is_ours: impl FnOnce() -> bool) -> Option<Turn> {
        self.enter_to_open_until(LEAVING, is_ours)
    }

    /// The same for one that makes what it opens.
    pub(super) fn enter_to_create(
        self: &Arc<Self>,
        is_ours: impl FnOnce() -> bool,
    ) -> Option<Turn> {
        self.enter_to_open_until(LEFT, is_ours)
    }

    fn enter_to_open_until(
        self: &Arc<Self>,
        end: u8,
        is_ours: impl FnOnce() -> bool,
    ) -> Option<Turn> {
        // Counted first, as below.
        self.files.fetch_add(1, Ordering::SeqCst);
        let turn = self.enter_until(end);
        let turn = turn.or_else(|| self.enter_until(CLOSED).filter(|_| is_ours()));
        if turn.is_none() {
            self.released();
        }
        turn
    }

    fn enter_until(self: &Arc<Self>, end: u8) -> Option<Turn> {
        // Counted first, so that who closes the gate sees it or it sees the closed gate.
        self.busy.fetch_add(1, Ordering::SeqCst);
        let turn = Turn(self.clone());
        (self.state.load(Ordering::SeqCst) < end).then_some(turn)
    }

    /// What was open has been closed, or could not be opened.
    pub(super) fn released(&self) {
        let less = |files: usize| Some(files.saturating_sub(1));
        let _ = self.files.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    /// Lets nothing be opened any more, and waits for a moment in which all files are closed; from
    /// then on nothing is made either. `false` when there is none by the end of `patience`.
    pub(super) fn leave(&self, patience: Duration) -> bool {
        self.state.fetch_max(LEAVING, Ordering::SeqCst);
        let start = Instant::now();
        while !self.is_left() {
            if start.elapsed() >= patience {
                self.state.fetch_max(LEFT, Ordering::SeqCst);
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    /// Lets nothing be made any more if all files are closed.
    fn is_left(&self) -> bool {
        if self.files.load(Ordering::SeqCst) != 0 {
            return false;
        }
        self.state.fetch_max(LEFT, Ordering::SeqCst);
        // One that came in between has been counted, or is held back and counts for a moment.
        let is_left = self.files.load(Ordering::SeqCst) == 0;
        if !is_left {
            let back = (LEFT, LEAVING);
            let order = (Ordering::SeqCst, Ordering::SeqCst);
            let _ = self.state.compare_exchange(back.0, back.1, order.0, order.1);
        }
        is_left
    }

    /// Lets nothing pass any more, and waits until what is under way has been answered. `false` when
    /// it has not by the end of `patience`.
    pub(super) fn close(&self, patience: Duration) -> bool {
        self.state.store(CLOSED, Ordering::SeqCst);
        is_zero_within(&self.busy, patience)
    }
}

/// Stops a session so that another process can go on with its connection: nothing is half done, and
/// whoever asks for something waits for the other.
#[derive(Clone, Debug)]
pub struct Stop {
    gate: Arc<Gate>,
    own_opens: OwnOpens,
}

impl Stop {
    pub(super) fn new(gate: Arc<Gate>, own_opens: OwnOpens) -> Self {
        Self { gate, own_opens }
    }

    /// Lets programs finish with the files that they have open, while what they want to open waits.
    /// `false` when some are still open after `patience`.
    pub fn wait_for_files(&self, patience: Duration) -> bool {
        self.gate.leave(patience)
    }

    /// Answers no request any more (this process is to look into its mount no more: see
    /// [`Attachment::look_away`](super::mount::Attachment::look_away)); what is under way is finished. `false` when it takes longer than
    /// `patience`. The process is to end soon: every program waits.
    pub fn hold_all(&self, patience: Duration) -> bool {
        // They would wait for what is held back, and this process for them.
        self.own_opens.stop(patience);
        self.gate.close(patience)
    }
}

fn is_zero_within(count: &AtomicUsize, patience: Duration) -> bool {
    let start = Instant::now();
    while count.load(Ordering::SeqCst) != 0 {
        if start.elapsed() >= patience {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_opens_nothing_and_finishes_what_is_open() {
        let gate = Arc::new(Gate::default());
        assert!(gate.enter_to_open(|| false).is_some());
        assert!(!gate.leave(Duration::ZERO), "it counts before it is answered");
        assert!(gate.enter_to_open(|| false).is_none());
        assert!(gate.enter_to_open(|| true).is_some());
        gate.released();
        assert!(gate.enter().is_some());
        gate.released();
        assert!(gate.leave(Duration::ZERO));
    }

    #[test]
    fn whoever_leaves_lets_files_be_made_until_all_are_closed() {
        let gate = Arc::new(Gate::default());
        assert!(gate.enter_to_open(|| false).is_some());
        assert!(!gate.is_left());
        gate.state.store(LEAVING, Ordering::SeqCst);
        assert!(gate.enter_to_create(|| false).is_some(), "one is open anyway");
        gate.released();
        assert!(!gate.is_left());
        gate.released();
        assert!(gate.is_left());
        assert!(gate.enter_to_create(|| false).is_none());
        assert!(gate.enter().is_some(), "what is not an open passes");
    }

    #[test]
    fn a_closed_gate_has_nothing_under_way() {
        let gate = Arc::new(Gate::default());
        let turn = gate.enter().unwrap();
        assert!(!gate.close(Duration::ZERO));
        assert!(gate.enter().is_none());
        drop(turn);
        assert!(gate.close(Duration::ZERO), "one that is held back is not under way");
    }

    #[test]
    fn a_file_closed_once_too_often_leaves_the_count_right() {
        let gate = Arc::new(Gate::default());
        gate.released();
        drop(gate.enter_to_open(|| false));
        assert!(!gate.leave(Duration::ZERO));
    }
}
