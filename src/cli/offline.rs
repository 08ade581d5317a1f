//! Offline verbs, shared.
