//! Who runs the call of a request: what can be done at once is done on the dispatch thread; so is what
//! has to wait, as long as another one is left to read requests; else it goes to the pool.

use std::sync::Arc;

use super::Wire;
use super::gate::{Gate, Turn};
use super::guarded::guarded;
use super::reply::Answer;
use crate::fs::{Caller, Error, Filesystem, Pace, Result};
use crate::sys::closing::closing_later;
use crate::sys::process::is_own_thread;

impl Wire {
    /// Tries `op` at once; if it would have to wait, it is made again by who may.
    pub(super) fn quick<T: 'static, R: Answer<T>>(
        &self,
        reply: R,
        op: impl Fn(&Arc<Filesystem>, Pace) -> Result<T> + Send + 'static,
    ) {
        let turn = self.gate.enter();
        self.quick_in(turn, reply, op);
    }

    /// The same with the turn that the request got, if it did.
    pub(super) fn quick_in<T: 'static, R: Answer<T>>(
        &self,
        turn: Option<Turn>,
        reply: R,
        op: impl Fn(&Arc<Filesystem>, Pace) -> Result<T> + Send + 'static,
    ) {
        let Some(turn) = turn else { return hold_back(reply) };
        match guarded(|| op(&self.fs, Pace::Quick)) {
            Err(Error::WouldBlock) => {
                self.patient_in(Some(turn), reply, move |fs| op(fs, Pace::Patient));
            }
            result => reply.give(result),
        }
    }

    /// Runs `op`, which may wait: here, if this thread can be spared, else on the pool.
    pub(super) fn patient<T: 'static, R: Answer<T>>(
        &self,
        reply: R,
        op: impl FnOnce(&Arc<Filesystem>) -> Result<T> + Send + 'static,
    ) {
        let turn = self.gate.enter();
        self.patient_in(turn, reply, op);
    }

    pub(super) fn patient_in<T: 'static, R: Answer<T>>(
        &self,
        turn: Option<Turn>,
        reply: R,
        op: impl FnOnce(&Arc<Filesystem>) -> Result<T> + Send + 'static,
    ) {
        let Some(turn) = turn else { return hold_back(reply) };
        if let Some(_spare) = self.spare.take() {
            return answer(reply, || op(&self.fs));
        }
        let fs = self.fs.clone();
        self.pool.run(move || {
            answer(reply, || op(&fs));
            drop(turn);
        });
    }

    /// The turn of a request that opens something. What this process itself opens, to announce
    /// something or to see whether it is answered, is not held back: it could not end then.
    pub(super) fn enter_to_open(&self, caller: Caller) -> Option<Turn> {
        self.gate.enter_to_open(|| is_own_thread(caller.pid))
    }

    /// The same for one that makes what it opens.
    pub(super) fn enter_to_create(&self, caller: Caller) -> Option<Turn> {
        self.gate.enter_to_create(|| is_own_thread(caller.pid))
    }
}

/// Gives the answer of `op`, and then closes what it has done with.
fn answer<T, R: Answer<T>>(reply: R, op: impl FnOnce() -> Result<T>) {
    let (result, closing) = closing_later(|| guarded(op));
    reply.give(result);
    drop(closing);
}

/// Says so when something could not be opened; what is tried again has not failed yet.
pub(super) fn or_released<T>(gate: &Gate, opened: Result<T>) -> Result<T> {
    opened.inspect_err(|error| {
        if !matches!(error, Error::WouldBlock) {
            gate.released();
        }
    })
}

/// Leaves a request without an answer. (A reply that is dropped answers with EIO.)
pub(super) fn hold_back<R>(reply: R) {
    std::mem::forget(reply);
}
