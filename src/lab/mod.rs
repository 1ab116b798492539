//! The model of a lab. Pure: no I/O, no async.

pub mod model;
