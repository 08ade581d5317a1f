//! The mount as programs see it.

#[path = "../support/mod.rs"]
mod support;

mod basics;
