//! What a node's network looks like, what changed, and how a packet goes: pure functions over text captured on nodes.

pub mod capture;
pub mod chain_name;
pub mod check;
pub mod cluster;
pub mod conntrack;
pub mod diff;
pub mod explain;
pub mod fact;
mod iproute;
mod named;
pub mod observation;
pub mod owner;
mod paint;
pub mod rules;
mod target;
pub mod versions;

pub use cluster::Cluster;
pub use explain::in_network;
pub use observation::Observation;
pub use target::Target;

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod moments_tests;
