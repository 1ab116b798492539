//! The real binary, on nodes that are folders.

#[path = "../support/pty.rs"]
mod pty;
#[path = "../support/mod.rs"]
mod support;

mod author;
mod bad_days;
mod bad_input;
mod chapters;
mod damage;
mod docs;
mod doctor;
mod drivers;
mod errors;
mod export;
mod halt;
mod hostile;
mod insight;
mod node_verbs;
mod resume;
mod screens;
mod secrets;
mod signals;
mod switch;
mod terminal;
mod tool_verbs;
