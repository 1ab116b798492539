//! What a picture shows: nodes with their devices, bridge, tunnel and pods, and what joins the nodes.

use crate::lab::model::Subnet;
use crate::observe::observation::{Address, Observation};
use crate::observe::{Cluster, in_network};
use std::collections::BTreeSet;

/// The network of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    pub nodes: Vec<NodeView>,
    /// What carries pods' packets between two nodes, each pair once.
    pub joints: Vec<Joint>,
    /// The segment that the nodes share, as `192.168.20.0/24`.
    pub segment: Option<String>,
}

/// A node with what stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeView {
    pub name: String,
    /// Its devices with their addresses: eth0, eth1.
    pub devices: Vec<(String, String)>,
    /// The device on the shared segment.
    pub uplink: Option<String>,
    /// The bridge of its pods, with its address.
    pub bridge: Option<(String, String)>,
    /// The tunnel's link with its address, and what makes it one.
    pub tunnel: Option<(String, String)>,
    /// The tunnel's VNI and UDP port.
    pub vxlan: Option<(u32, u16)>,
    pub pods: Vec<PodView>,
}

/// A pod on a node's bridge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodView {
    /// namespace/name, or the link's name where the cluster was not asked.
    pub name: String,
    pub address: String,
}

/// What joins two nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    /// Places in [`Topology::nodes`].
    pub between: (usize, usize),
    pub kind: JointKind,
}

/// How pods' packets get over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JointKind {
    /// In a tunnel, both sides' FDB naming the other.
    Vxlan { id: u32, port: u16 },
    /// By plain routes to the other's pods over the segment.
    Routes,
}

/// Reads the picture out of observations.
pub fn topology(nodes: &[Observation]) -> Topology {
    let cluster = nodes.iter().find_map(|n| n.cluster.as_ref());
    let segment = segment(nodes);
    let views: Vec<NodeView> = nodes.iter().map(|n| view(n, cluster, segment.as_deref())).collect();
    let mut joints = Vec::new();
    for a in 0..nodes.len() {
        for b in a + 1..nodes.len() {
            let kind = joined(&nodes[a], &nodes[b], &views[b]).or_else(|| joined(&nodes[b], &nodes[a], &views[a]));
            joints.extend(kind.map(|kind| Joint { between: (a, b), kind }));
        }
    }
    Topology { nodes: views, joints, segment }
}

/// The network of which every node has another address; NAT's is the same everywhere.
fn segment(nodes: &[Observation]) -> Option<String> {
    let first = nodes.first()?;
    let own = |a: &&Address| is_device(first, &a.dev) && !a.address.contains(':');
    first.addresses.iter().filter(own).map(network).find(|network| {
        let here: Vec<&str> = nodes
            .iter()
            .flat_map(|n| &n.addresses)
            .filter(|a| in_network(&a.address, network))
            .map(|a| a.address.as_str())
            .collect();
        let different: BTreeSet<&str> = here.iter().copied().collect();
        here.len() == nodes.len() && different.len() == nodes.len()
    })
}

fn network(address: &Address) -> String {
    address.address.parse().map_or_else(|_| String::new(), |ip| Subnet::around(ip, address.prefix.min(32)).to_string())
}

fn is_device(seen: &Observation, name: &str) -> bool {
    let link = seen.link(name);
    // In a container node a device is one end of a pair, too; a pod's is a port of a bridge.
    let plain = |l: &&crate::observe::observation::Link| {
        l.master.is_none() && matches!(l.kind.as_deref(), None | Some("veth" | "tun")) && l.name != "lo"
    };
    link.filter(plain).is_some()
}

fn view(seen: &Observation, cluster: Option<&Cluster>, segment: Option<&str>) -> NodeView {
    let of = |dev: &str| {
        let v4 = |a: &&Address| a.dev == dev && !a.address.contains(':');
        seen.addresses.iter().find(v4)
    };
    let with_prefix = |dev: &str| of(dev).map(|a| format!("{}/{}", a.address, a.prefix)).unwrap_or_default();
    let names: Vec<&str> = seen.links.iter().map(|l| l.name.as_str()).collect();
    let devices: Vec<(String, String)> = names
        .iter()
        .filter(|n| is_device(seen, n) && of(n).is_some())
        .map(|n| (n.to_string(), with_prefix(n)))
        .collect();
    let uplink = devices.iter().find(|(n, _)| of(n).zip(segment).is_some_and(|(a, s)| in_network(&a.address, s)));
    let bridge = seen.links.iter().find(|l| l.kind.as_deref() == Some("bridge"));
    let tunnel = seen.links.iter().find(|l| l.vxlan.is_some());
    NodeView {
        name: seen.node.clone(),
        uplink: uplink.map(|(n, _)| n.clone()),
        bridge: bridge.map(|l| (l.name.clone(), with_prefix(&l.name))),
        tunnel: tunnel.map(|l| (l.name.clone(), with_prefix(&l.name))),
        vxlan: tunnel.and_then(|l| l.vxlan.as_ref()).map(|v| (v.id, v.port)),
        pods: pods(seen, cluster, bridge.map(|l| l.name.as_str())),
        devices,
    }
}

fn pods(seen: &Observation, cluster: Option<&Cluster>, bridge: Option<&str>) -> Vec<PodView> {
    let Some(cluster) = cluster else {
        let port = |l: &&crate::observe::observation::Link| l.master.is_some() && l.master.as_deref() == bridge;
        let link = |l: &crate::observe::observation::Link| PodView { name: l.name.clone(), address: String::new() };
        return seen.links.iter().filter(port).map(link).collect();
    };
    let here = cluster.pods.iter().filter(|p| p.node == seen.node && !p.host_network && p.phase == "Running");
    let view = |p: &crate::observe::cluster::Pod| PodView {
        name: p.full_name(),
        address: p.ips.first().cloned().unwrap_or_default(),
    };
    let mut all: Vec<PodView> = here.map(view).collect();
    // The lesson's own pods first; the system's are many.
    all.sort_by_key(|p| (p.name.starts_with("kube-"), p.name.clone()));
    all
}

/// How `a` reaches the pods of `b`, if it does.
fn joined(a: &Observation, b: &Observation, view: &NodeView) -> Option<JointKind> {
    for link in &a.links {
        let Some(vxlan) = &link.vxlan else { continue };
        let peer = |f: &&crate::observe::observation::FdbEntry| {
            f.dev == link.name && f.destination.as_deref().is_some_and(|d| b.owns(d))
        };
        if a.fdb.iter().any(|f| peer(&f)) {
            return Some(JointKind::Vxlan { id: vxlan.id, port: vxlan.port });
        }
    }
    let bridge = view.bridge.as_ref()?;
    let of_bridge = b.addresses.iter().find(|x| x.dev == bridge.0 && !x.address.contains(':')).map(network)?;
    let over = |r: &crate::observe::observation::Route| {
        r.destination == of_bridge && r.via.as_deref().is_some_and(|v| b.owns(v))
    };
    a.routes.iter().any(over).then_some(JointKind::Routes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    #[test]
    fn the_flannel_lab() {
        let seen = topology(&fixture::nodes());
        assert_eq!(seen.segment.as_deref(), Some("192.168.20.0/24"));
        let ctr = &seen.nodes[0];
        assert_eq!(ctr.bridge, Some(("cni0".into(), "10.244.0.1/24".into())));
        assert_eq!(ctr.tunnel, Some(("flannel.1".into(), "10.244.0.0/32".into())));
        assert_eq!((ctr.uplink.as_deref(), ctr.vxlan), (Some("eth1"), Some((1, 8472))));
        assert_eq!(ctr.devices.len(), 2);
        assert_eq!(seen.joints.len(), 3);
        assert!(seen.joints.iter().all(|j| j.kind == JointKind::Vxlan { id: 1, port: 8472 }));
    }

    #[test]
    fn routes_join_nodes_without_a_tunnel() {
        let mut nodes = fixture::nodes();
        for node in &mut nodes {
            node.links.retain(|l| l.vxlan.is_none());
            for route in node.routes.iter_mut().filter(|r| r.dev.as_deref() == Some("flannel.1")) {
                let peer = if route.destination.starts_with("10.244.0.") {
                    "192.168.20.100"
                } else if route.destination.starts_with("10.244.1.") {
                    "192.168.20.101"
                } else {
                    "192.168.20.102"
                };
                (route.via, route.dev) = (Some(peer.into()), Some("eth1".into()));
            }
        }
        let seen = topology(&nodes);
        assert_eq!(seen.joints.iter().filter(|j| j.kind == JointKind::Routes).count(), 3);
        assert!(seen.nodes[0].tunnel.is_none());
    }

    #[test]
    fn before_the_plugin_and_nothing_at_all() {
        let seen = topology(&[fixture::before("flannel-ctr"), fixture::before("flannel-w1")]);
        assert!(seen.joints.is_empty() && seen.nodes[0].bridge.is_none() && seen.segment.is_some());
        assert_eq!(topology(&[]), Topology::default());
        let one = topology(&[fixture::after("flannel-ctr")]);
        assert!(one.joints.is_empty() && one.nodes.len() == 1);
    }
}
