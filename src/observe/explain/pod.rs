//! How one pod's packets reach another.

use super::super::cluster::Cluster;
use super::super::observation::Observation;
use super::super::rules::Index;
use super::delivery::{self, Leg};
use super::service::source_rules;
use super::walk::Step;
use super::{find_pod, prefix};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The way between two pods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodExplanation {
    pub from: String,
    pub to: String,
    pub from_address: String,
    pub to_address: String,
    pub there: Vec<Leg>,
    pub back: Vec<Leg>,
    /// Whether the other pod sees the node's address instead of the pod's.
    pub masqueraded: bool,
    /// The POSTROUTING rules that the packet meets on the first pod's node.
    pub source_rules: Vec<Step>,
    pub notes: Vec<String>,
}

/// Explains how packets go from pod `a` to pod `b`, each namespace/name.
///
/// # Errors
/// When there is no such pod, or it has no address.
pub fn pod_to_pod(a: &str, b: &str, nodes: &[Observation], cluster: &Cluster) -> Result<PodExplanation> {
    let (from, to) = (find_pod(cluster, a)?, find_pod(cluster, b)?);
    let ip6 = |ip: &&String| ip.contains(':');
    let target = to.ips.iter().find(|ip| from.ips.iter().any(|f| ip6(&f) == ip6(ip))).unwrap_or(&to.ips[0]);
    let source = from.ips.iter().find(|ip| ip6(ip) == ip6(&target)).unwrap_or(&from.ips[0]);
    let (source_ip, target_ip) = (prefix::address(source)?, prefix::address(target)?);
    let all: Vec<&Observation> = nodes.iter().collect();
    let way = |pod: &super::Pod, own: &str, address| {
        let mut legs = Vec::new();
        if let Some(seen) = nodes.iter().find(|n| n.node == pod.node).filter(|_| !pod.host_network) {
            legs.push(delivery::leaves(seen, &pod.full_name(), own));
        }
        legs.extend(delivery::deliver(&all, &pod.node, address));
        legs
    };
    let mut explained = PodExplanation {
        from: from.full_name(),
        to: to.full_name(),
        from_address: source.clone(),
        to_address: target.clone(),
        there: way(from, source, target_ip),
        back: way(to, target, source_ip),
        masqueraded: false,
        source_rules: Vec::new(),
        notes: Vec::new(),
    };
    if from.host_network {
        explained.notes.push(format!("{} lives in the network of its node", from.full_name()));
    }
    if from.node == to.node && !from.host_network && !to.host_network {
        explained.notes.push("both are on one node: the frame stays on its bridge and is not routed".to_string());
    } else if let Some(seen) = nodes.iter().find(|n| n.node == from.node) {
        let rules = if target_ip.is_ipv6() { &seen.rules6 } else { &seen.rules };
        let index = Index::new(rules);
        let (masqueraded, steps, notes) = source_rules(seen, &index, Some(source_ip), target_ip, 0);
        (explained.masqueraded, explained.source_rules) = (masqueraded, steps);
        explained.notes.extend(notes);
    }
    Ok(explained)
}

impl PodExplanation {
    /// Lines for people.
    pub fn render(&self) -> String {
        let mut out = format!("{} ({}) to {} ({})\n", self.from, self.from_address, self.to, self.to_address);
        out += &delivery::render(&self.there, "  ");
        if !self.source_rules.is_empty() {
            out += if self.masqueraded {
                "  its source is changed to the node's address by\n"
            } else {
                "  its source stays the pod's, by\n"
            };
            self.source_rules.iter().for_each(|s| out += &format!("    {}\n", s.rule));
        }
        out += "the answer\n";
        out += &delivery::render(&self.back, "  ");
        self.notes.iter().for_each(|n| out += &format!("note: {n}\n"));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    #[test]
    fn from_curl_to_webpod() {
        let (nodes, cluster) = (fixture::nodes(), fixture::cluster());
        let way = pod_to_pod("curl-pod", "default/webpod-55ff548fc7-x9csv", &nodes, &cluster).unwrap();
        assert!(!way.masqueraded);
        let shown = way.render();
        for part in [
            "default/curl-pod (10.244.0.2) to default/webpod-55ff548fc7-x9csv (10.244.1.2)\n  on flannel-ctr\n    default/curl-pod -> veth",
            "VXLAN 1: in UDP from 192.168.20.100 to 192.168.20.101 port 8472, out of eth1",
            "cni0 -> veth4a3027d5 -> the pod (c2:c1:ce:03:66:db)",
            "its source stays the pod's, by\n    -A POSTROUTING",
            "-A FLANNEL-POSTRTG -s 10.244.0.0/24 -d 10.244.0.0/16",
            "the answer\n  on flannel-w1",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
    }

    #[test]
    fn one_node_and_errors() {
        let (nodes, cluster) = (fixture::nodes(), fixture::cluster());
        let a = "kube-system/coredns-69c67c75fc-kbjtq";
        let way = pod_to_pod("curl-pod", a, &nodes, &cluster).unwrap();
        assert!(way.notes[0].contains("one node"));
        let error = pod_to_pod("webpod", a, &nodes, &cluster).unwrap_err();
        assert!(error.to_string().contains("webpod-55ff548fc7-8fkfv"), "{error}");
        let down = pod_to_pod("curl-pod", "webpod-55ff548fc7-8fkfv", &nodes[..1], &cluster).unwrap();
        assert!(down.render().contains("no observed node has 192.168.20.102"));
    }
}
