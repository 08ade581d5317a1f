//! The mount as programs see it.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/calls.rs"]
mod calls;

mod accepting;
mod adopting;
mod ailing;
mod announced;
mod basics;
mod behind;
mod control;
mod foreign;
mod hot;
mod limits;
mod quiet;
mod races;
mod recovery;
mod remembered;
mod review;
mod saving;
mod succession;
mod together;
mod trouble;
mod unwatched;
mod watching;
