//! Who runs the call of a request: what can be done at once is done on the dispatch thread; so is what
//! has to wait, as long as another one is left to read requests; else it goes to the pool.

use std::sync::Arc;

use super::Wire;
use super::gate::Turn;
use super::guarded::guarded;
use super::reply::Answer;
use crate::fs::{Caller, Error, Filesystem, Pace, Result};

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
            return reply.give(guarded(|| op(&self.fs)));
        }
        let fs = self.fs.clone();
        self.pool.run(move || {
            reply.give(guarded(|| op(&fs)));
            drop(turn);
        });
    }

    /// The turn of a request that opens something. An announcement does it in passing, and is over
    /// before the gate closes.
    pub(super) fn enter_to_open(&self, caller: Caller) -> Option<Turn> {
        match self.own_opens.include(caller.pid) {
            true => self.gate.enter(),
            false => self.gate.enter_to_open(),
        }
    }
}

/// Leaves a request without an answer. (A reply that is dropped answers with EIO.)
pub(super) fn hold_back<R>(reply: R) {
    std::mem::forget(reply);
}
