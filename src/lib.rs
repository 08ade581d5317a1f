//! confseal: a FUSE filesystem that lets an unchanged program keep secrets in its configuration
//! files while no secret ever lies on disk in the clear.
//!
//! The layers, outermost first; each may import only what stands to its right
//! (`tests/layers.rs` holds this table and fails on anything else):
//!
//! | layer | what it knows | may import |
//! |---|---|---|
//! | [`cli`] | one verb per file, exit codes, hints | everything below |
//! | [`fuse`] | the kernel's wire: decode, one call, reply; mounting | `fs` |
//! | [`fs`] | a filesystem on plain structs: nodes, buffers, control room | `document`, `store`, `policy`, `keyring`, `pins`, `audit` |
//! | [`document`] | pure: open, seal, rewrap one file's bytes | `format`, `policy`, `token`, `keyring` |
//! | [`policy`] | is this field secret, what class is this file | `format` |
//! | [`format`](mod@format) | where the scalars of a document stand; never keys | |
//! | [`token`] | the sealed forms; the only cipher call | `keyring` |
//! | [`keyring`] | keys by id, and where they come from | `sys` |
//! | [`store`] | the directory on disk: reach, commit, recover, watch | `sys` |
//! | [`pins`] | what this machine accepted of a store, out of its writers' reach | |
//! | [`audit`] | who read or changed secrets, written down | |
//! | [`systemd`] | the service manager, the journal and its message ids | |
//!
//! [`path`], [`span`], [`secret`] and [`sys`] serve all.

pub mod audit;
pub mod cli;
pub mod document;
pub mod format;
pub mod fs;
pub mod fuse;
pub mod instance;
pub mod keyring;
#[cfg(test)]
mod linear;
pub mod path;
pub mod pins;
pub mod policy;
pub mod secret;
pub mod span;
pub mod store;
pub mod sys;
pub mod systemd;
pub mod token;
