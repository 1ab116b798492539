//! How a service's address becomes a pod's: chain by chain, on each node, with proofs and real shares.

mod journey;
mod limits;
mod proof;
mod render;

pub use journey::{Journey, Outcome, share_of};
pub(super) use journey::{Sight, source_rules};
pub use proof::Proof;

use super::super::cluster::{Cluster, Service, ServicePort};
use super::super::named;
use super::super::observation::Observation;
use super::delivery::Leg;
use super::{find_pod, prefix};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// How a service works on the nodes that were observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceExplanation {
    pub service: String,
    pub kind: String,
    pub cluster_ips: Vec<String>,
    pub ports: Vec<PortExplanation>,
    /// Nodes of the cluster that were not observed.
    pub absent: Vec<String>,
    /// What is special about the service, and what is not explained.
    pub notes: Vec<String>,
}

/// One port of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortExplanation {
    /// kube-proxy's name for it, `namespace/name:port`.
    pub name: String,
    pub port: u16,
    /// In small letters.
    pub protocol: String,
    /// 0 when there is none.
    pub node_port: u16,
    /// What the endpoint slices say.
    pub backends: Vec<Backend>,
    pub proofs: Vec<Proof>,
    pub journeys: Vec<Journey>,
}

/// An endpoint with who stands behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// address:port.
    pub endpoint: String,
    pub ready: bool,
    /// namespace/name.
    pub pod: Option<String>,
    pub node: Option<String>,
}

/// Explains a service, given as namespace/name, from what was observed on `nodes`. With `from`, a pod as
/// namespace/name, only that pod's connections are followed; else those of a pod and of the node itself, on each node.
///
/// # Errors
/// When there is no such service or pod.
pub fn service(name: &str, nodes: &[Observation], cluster: &Cluster, from: Option<&str>) -> Result<ServiceExplanation> {
    let service = find(name, cluster)?;
    let from = from.map(|pod| find_pod(cluster, pod)).transpose()?;
    let sights: Vec<Sight> = nodes.iter().map(Sight::new).collect();
    let absent = cluster.nodes.iter().map(|n| &n.name).filter(|n| !nodes.iter().any(|o| &o.node == *n));
    let mut explained = ServiceExplanation {
        service: format!("{}/{}", service.namespace, service.name),
        kind: if service.is_headless() { "headless".to_string() } else { service.kind.clone() },
        cluster_ips: service.cluster_ips.iter().filter(|ip| *ip != "None").cloned().collect(),
        ports: Vec::new(),
        absent: absent.cloned().collect(),
        notes: limits::of_service(service),
    };
    explained.notes.extend(nodes.iter().filter_map(limits::of_node));
    for port in &service.ports {
        let backends = backends(cluster, service, port);
        let journeys = journey::journeys(service, port, &sights, cluster, from);
        let proofs = proof::proofs(&service.port_name(port), &port.protocol, &backends, &journeys, &sights);
        explained.ports.push(PortExplanation {
            name: service.port_name(port),
            port: port.port,
            protocol: port.protocol.to_ascii_lowercase(),
            node_port: port.node_port,
            backends,
            proofs,
            journeys,
        });
    }
    if let Some(pod) = from.filter(|p| !nodes.iter().any(|n| n.node == p.node)) {
        explained.notes.push(format!("{} runs on {}, which was not observed", pod.full_name(), pod.node));
    }
    Ok(explained)
}

/// The service that the user named.
pub(super) fn find<'a>(text: &str, cluster: &'a Cluster) -> Result<&'a Service> {
    named::service("explain", text, cluster)
}

/// The endpoints that the slices name, in the order of their addresses.
fn backends(cluster: &Cluster, service: &Service, port: &ServicePort) -> Vec<Backend> {
    let backend = |(endpoint, number): (&super::super::cluster::Endpoint, u16)| Backend {
        endpoint: prefix::endpoint(&endpoint.address, number),
        ready: endpoint.ready,
        pod: Some(&endpoint.pod).filter(|p| !p.is_empty()).map(|p| format!("{}/{p}", service.namespace)),
        node: Some(&endpoint.node).filter(|n| !n.is_empty()).cloned(),
    };
    let mut found: Vec<Backend> = cluster.endpoints(service, port).into_iter().map(backend).collect();
    found.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    found
}

/// Who stands behind an address that a rule leads to, whatever the slices say.
pub(super) fn backend_at(cluster: &Cluster, to: &str) -> Backend {
    let address = prefix::parse_endpoint(to, 0).map(|(address, _)| address.to_string()).unwrap_or_default();
    let pod = cluster.pod_at(&address);
    let node = pod.map(|p| p.node.clone()).or_else(|| cluster.node_at(&address).map(|n| n.name.clone()));
    Backend { endpoint: to.to_string(), ready: true, pod: pod.map(super::super::cluster::Pod::full_name), node }
}

/// The legs of a way, none for what was refused.
type Legs = Vec<Leg>;

#[cfg(test)]
mod tests;
