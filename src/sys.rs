//! System calls: the only `unsafe` of the crate.

pub mod mount;
pub mod process;
