//! From a lab file to a lab in three stages: `file` mirrors the YAML and may be wrong, `resolve` finds all problems at
//! once, `model` cannot be wrong. Pure: no I/O, no async.

mod expand;
mod file;
pub mod model;
pub mod resolve;
mod step_file;
mod types;

pub use types::name_problem;
