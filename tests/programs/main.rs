//! Programs that know nothing of confseal, unchanged, with their configuration in a mount: they
//! read it, do their work with it, rewrite it, each in its own way. Each story ends with the
//! program content and with a search for plaintext in every byte that was kept. Needs root, and
//! the programs: one that is missing fails its test. What stands here is listed in
//! docs/programs.md.

#[path = "../support/mod.rs"]
mod support;

mod copies;
mod databases;
mod documented;
mod dpkg;
mod editors;
mod scene;
mod servers;
mod terminal;
mod tools;
