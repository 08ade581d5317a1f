//! System calls: the only `unsafe` of the crate.
