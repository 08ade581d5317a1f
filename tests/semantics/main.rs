//! What docs/semantics.md promises, paragraph by paragraph: each has a test of its name here.

#[path = "../support/calls.rs"]
mod calls;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod attributes;
mod content;
mod directories;
mod held;
mod names;
mod paragraphs;
mod renames;
mod scene;
mod space;
