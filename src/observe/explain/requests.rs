//! What the rules counted between two observations of a node: which endpoint got how many connections.

use super::super::chain_name;
use super::super::cluster::Cluster;
use super::super::observation::Observation;
use super::super::rules::{Counters, Index};
use super::service::{Sight, backend_at, find};
use super::walk::{Verdict, Walker};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Connections counted on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    pub service: String,
    pub node: String,
    pub ports: Vec<PortCount>,
    pub notes: Vec<String>,
}

/// Connections to one port of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortCount {
    pub name: String,
    /// Connections counted at all endpoints together.
    pub total: u64,
    /// Whether counters went back: kube-proxy wrote the rules anew in between, and what was counted before is lost.
    pub reset: bool,
    pub endpoints: Vec<EndpointCount>,
}

/// Connections to one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointCount {
    pub endpoint: String,
    pub pod: Option<String>,
    pub node: Option<String>,
    /// Connections: nat rules see only the first packet of each.
    pub counted: u64,
    /// The share that the statistic rules give it, of 1.
    pub expected: f64,
}

/// Compares the counters of a service's endpoint chains on one node, before and after requests were sent.
///
/// # Errors
/// When there is no such service.
pub fn requests(before: &Observation, after: &Observation, name: &str, cluster: &Cluster) -> Result<Requests> {
    let service = find(name, cluster)?;
    let full = format!("{}/{}", service.namespace, service.name);
    let mut result = Requests { service: full, node: after.node.clone(), ports: Vec::new(), notes: Vec::new() };
    if before.node != after.node {
        result.notes.push(format!("the first observation is of {}, the second of {}", before.node, after.node));
    }
    let (old, new) = (Sight::new(before), Sight::new(after));
    let families: Vec<bool> =
        service.cluster_ips.iter().filter(|ip| *ip != "None").map(|ip| ip.contains(':')).collect();
    for port in &service.ports {
        let (port_name, mut counts) = (service.port_name(port), Vec::new());
        let mut reset = false;
        for &ipv6 in &families {
            let key = (port_name.as_str(), port.protocol.as_str());
            for (endpoint, expected) in shares(&new, ipv6, key, port.port) {
                let chain = chain_name::hash(&chain_name::endpoint_input(key.0, key.1, &endpoint));
                let chain = format!("KUBE-SEP-{chain}");
                let (counted, went_back) = delta(old.index(ipv6), new.index(ipv6), &chain);
                reset |= went_back;
                let backend = backend_at(cluster, &endpoint);
                counts.push(EndpointCount { endpoint, pod: backend.pod, node: backend.node, counted, expected });
            }
        }
        let total = counts.iter().map(|c| c.counted).sum();
        result.ports.push(PortCount { name: port_name, total, reset, endpoints: counts });
    }
    if result.ports.iter().all(|p| p.endpoints.is_empty()) {
        result.notes.push("no endpoint chains of this service on the node: nothing to count".to_string());
    }
    Ok(result)
}

/// Endpoints of a port with their shares, by the rules of its KUBE-SVC chain.
fn shares(sight: &Sight, ipv6: bool, (name, protocol): (&str, &str), port: u16) -> Vec<(String, f64)> {
    let chain = format!("KUBE-SVC-{}", chain_name::hash(&chain_name::service_input(name, protocol)));
    let index = sight.index(ipv6);
    if index.chain("nat", &chain).is_none() {
        return Vec::new();
    }
    let unspecified = if ipv6 { [0u16; 8].into() } else { [0u8; 4].into() };
    let packet = super::packet::Packet {
        source: None,
        destination: unspecified,
        protocol: protocol.to_ascii_lowercase(),
        port,
        in_dev: Some(String::new()),
        out_dev: None,
        mark: 0,
        translated: false,
    };
    let ways = Walker::new(index, sight.seen, "nat").walk(&chain, packet);
    let endpoint = |v: Verdict| match v {
        Verdict::Dnat { to } => Some(to),
        _ => None,
    };
    ways.into_iter().filter_map(|w| Some((endpoint(w.verdict)?, w.share))).collect()
}

/// Connections that the chain's DNAT rule counted in between, and whether its counter was reset.
fn delta(old: &Index, new: &Index, chain: &str) -> (u64, bool) {
    let count = |index: &Index| {
        let rule = index.rules("nat", chain).iter().find(|r| r.target() == "DNAT")?;
        Some(rule.counters.unwrap_or_default())
    };
    let Counters { packets: after, .. } = count(new).unwrap_or_default();
    match count(old) {
        Some(before) if before.packets > after => (after, true),
        Some(before) => (after - before.packets, false),
        // The endpoint is new: all that it counted came in between.
        None => (after, false),
    }
}

impl Requests {
    /// Lines for people.
    pub fn render(&self) -> String {
        let mut out = format!("connections to {} counted on {}\n", self.service, self.node);
        for port in &self.ports {
            out += &format!("  {}: {}\n", port.name, port.total);
            for e in &port.endpoints {
                let share = if port.total == 0 { 0.0 } else { e.counted as f64 / port.total as f64 * 100.0 };
                let who = e.pod.as_deref().or(e.node.as_deref()).unwrap_or("");
                out += &format!("    {:>6}  {share:5.1} % of {:5.1} % expected", e.counted, e.expected * 100.0);
                out += &format!("  {} {who}\n", e.endpoint);
            }
            if port.reset {
                out += "    counters went back: kube-proxy wrote its rules anew in between; count again\n";
            }
        }
        self.notes.iter().for_each(|n| out += &format!("  note: {n}\n"));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    fn counted(set: &[(&str, u64)]) -> Observation {
        let mut seen = fixture::after("flannel-ctr");
        for rule in seen.rules.tables.iter_mut().flat_map(|t| &mut t.rules) {
            let to = rule.target_option("--to-destination").unwrap_or("").to_string();
            if let Some((_, packets)) = set.iter().find(|(endpoint, _)| *endpoint == to) {
                rule.counters = Some(Counters { packets: *packets, bytes: 0 });
            }
        }
        seen
    }

    #[test]
    fn two_hundred_requests() {
        let before = counted(&[("10.244.1.2:80", 5), ("10.244.2.2:80", 7)]);
        let after = counted(&[("10.244.1.2:80", 102), ("10.244.2.2:80", 110)]);
        let requests = requests(&before, &after, "default/webpod", &fixture::cluster()).unwrap();
        let port = &requests.ports[0];
        assert_eq!((port.total, port.reset), (200, false));
        assert!(port.endpoints.iter().all(|e| e.expected == 0.5));
        assert_eq!(port.endpoints.iter().map(|e| e.counted).collect::<Vec<_>>(), [97, 103]);
        assert_eq!(port.endpoints[0].node.as_deref(), Some("flannel-w1"));
        assert!(requests.render().contains("48.5 % of  50.0 % expected"), "{}", requests.render());
    }

    #[test]
    fn resets_and_absent_services() {
        let before = counted(&[("10.244.1.2:80", 50), ("10.244.2.2:80", 7)]);
        let after = counted(&[("10.244.1.2:80", 3), ("10.244.2.2:80", 9)]);
        let found = requests(&before, &after, "webpod", &fixture::cluster()).unwrap();
        assert!(found.ports[0].reset && found.render().contains("counters went back"));
        assert_eq!(found.ports[0].total, 5);
        let none = requests(&before, &Observation::default(), "webpod", &fixture::cluster()).unwrap();
        assert!(none.notes.iter().any(|n| n.contains("nothing to count")));
        let error = requests(&before, &after, "kube-dns", &fixture::cluster()).unwrap_err();
        assert!(error.hint.unwrap().contains("kube-system/kube-dns"));
    }
}
