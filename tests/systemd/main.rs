//! The service, by a real systemd: what an operator installs, driven by what an operator types.

#[path = "../support/mod.rs"]
mod support;

mod adopt;
mod boots;
mod fstab;
mod keys;
mod machine;
mod order;
mod package;
mod readme;
mod service;
mod shop;
mod succession;
mod tight;
mod told;
mod watch;
