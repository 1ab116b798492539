//! From a lab file to a lab in three stages: `file` mirrors the YAML and may be wrong, `resolve` finds all problems at
//! once, `model` cannot be wrong. Pure: no I/O, no async.

mod action;
mod chapter;
pub mod check;
mod expand;
mod file;
mod library;
pub mod model;
mod rendered;
pub mod resolve;
pub mod schema;
pub mod scope;
mod step_file;
mod templates;
mod tool;
mod types;
mod values;

pub use rendered::rendered;
pub use types::name_problem;
