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
use crate::error::{Error, Result};

/// Splits `namespace/name`; without a namespace it is `default`.
fn full_name(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or(("default", text))
}

/// The pod that the user named.
fn find_pod<'a>(cluster: &'a Cluster, text: &str) -> Result<&'a Pod> {
    let (namespace, name) = full_name(text);
    let what = format!("explain pod {namespace}/{name}");
    let Some(pod) = cluster.pod(namespace, name) else {
        let near = cluster.pods.iter().filter(|p| p.namespace == namespace && p.name.starts_with(name));
        let names: Vec<&str> = near.map(|p| p.name.as_str()).collect();
        let hint = match names.is_empty() {
            true => "`kubectl get pods -A` lists them".to_string(),
            false => format!("there is: {}", names.join(", ")),
        };
        return Err(Error::input(what, "there is no such pod").hint(hint));
    };
    if pod.ips.is_empty() || pod.node.is_empty() {
        let why = format!("it has no address yet: its phase is {}", pod.phase);
        return Err(Error::failed(what, why).hint(format!("kubectl describe pod -n {namespace} {name}")));
    }
    Ok(pod)
}
