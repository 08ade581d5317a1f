//! The wire.

pub mod mount;
pub mod session;
