//! The network of a lab as a picture: what stands where, by observations and never by the lab file.

mod boxes;
mod place;
mod svg;
mod topology;
mod way;

pub use boxes::boxes;
pub use svg::{svg, svg_in_page};
pub use topology::{Joint, JointKind, NodeView, PodView, Topology, topology};
pub use way::{Stop, way};
