//! Real git on a store: two clones of one repository, edited on both, shown, merged, refused.

mod commits;
mod merging;
mod scene;
mod setup;
mod showing;
