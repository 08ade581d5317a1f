//! System calls: the only `unsafe` of the crate.

pub mod file;
