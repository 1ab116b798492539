//! The real binary, on nodes that are folders.

#[path = "../support/mod.rs"]
mod support;

mod bad_days;
mod bad_input;
mod resume;
