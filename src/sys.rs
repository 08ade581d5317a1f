//! System calls: the only `unsafe` of the crate.

pub mod environ;
pub mod file;
pub mod memory;
pub mod mount;
pub mod namespaces;
pub mod process;
pub mod room;
