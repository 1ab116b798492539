//! YAML with positions: a tree in which every value knows where it stands, and a reader that collects every problem
//! instead of stopping at the first. The only room that knows the YAML crate.

mod problem;
mod read;
mod tree;
mod write;

pub use problem::{Problem, Problems, closest};
pub use read::MapReader;
pub use tree::{Key, Node, Span, Value, parse};
pub use write::write;
