//! The mount as programs see it.

#[path = "../support/mod.rs"]
mod support;

mod accepting;
mod alike;
mod basics;
mod behind;
mod content;
mod control;
mod foreign;
mod hot;
mod limits;
mod operations;
mod review;
mod saving;
mod together;
mod trouble;
