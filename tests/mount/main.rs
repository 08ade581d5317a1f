//! The mount as programs see it.

#[path = "../support/mod.rs"]
mod support;

mod alike;
mod basics;
mod hot;
mod operations;
mod review;
mod saving;
