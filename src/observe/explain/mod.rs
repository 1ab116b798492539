//! Why the network does what it does: proofs from observations, not from what ought to be.

mod client;
mod delivery;
mod node;
mod packet;
mod pod;
mod prefix;
mod requests;
mod route;
mod service;
mod walk;

pub use client::{Client, Sent, client, sent};
pub use delivery::Leg;
pub use node::{Explained, NodeExplanation, node};
pub use pod::{PodExplanation, pod_to_pod};
pub use prefix::in_network;
pub use requests::{EndpointCount, PortCount, Requests, requests};
pub use route::{RouteExplanation, TableAnswer, route};
pub use service::{Backend, Journey, Outcome, PortExplanation, Proof, ServiceExplanation, service, share_of};
pub use walk::{Step, Verdict};

use super::cluster::{Cluster, Pod};
use super::named;
use crate::error::Result;

/// The pod that the user named.
fn find_pod<'a>(cluster: &'a Cluster, text: &str) -> Result<&'a Pod> {
    named::pod("explain", text, cluster)
}
