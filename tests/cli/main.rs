//! The real binary, on nodes that are folders.

#[path = "../support/mod.rs"]
mod support;

mod author;
mod bad_days;
mod bad_input;
mod chapters;
mod docs;
mod export;
mod insight;
mod node_verbs;
mod resume;
