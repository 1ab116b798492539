//! How a packet gets from a node to an address: routes, neighbours, FDB, tunnel, the peer's bridge, the pod's port.

use super::super::fact::route_line;
use super::super::observation::{Link, Observation, Route, Vxlan};
use super::route;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Nodes passed at most; flannel's tunnel takes two.
const HOPS: usize = 6;

/// One leg of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "leg", rename_all = "snake_case")]
pub enum Leg {
    /// A pod's packet comes out of its port of the node's bridge.
    LeavesPod {
        node: String,
        pod: String,
        port: Option<String>,
        bridge: Option<String>,
    },
    Route {
        node: String,
        route: Route,
    },
    /// Which MAC stands for the next address.
    Neighbour {
        node: String,
        dev: String,
        address: String,
        mac: String,
    },
    /// To which node the tunnel sends frames for the MAC.
    Fdb {
        node: String,
        dev: String,
        mac: String,
        peer: String,
        peer_node: Option<String>,
    },
    /// In a UDP packet from node to node.
    Tunnel {
        node: String,
        vni: u32,
        from: String,
        to: String,
        port: u16,
        dev: String,
    },
    /// Over a link without a tunnel.
    Link {
        node: String,
        dev: String,
        next: String,
        next_node: Option<String>,
    },
    /// Through a port of the bridge into the pod.
    Bridge {
        node: String,
        bridge: String,
        mac: Option<String>,
        port: Option<String>,
    },
    /// To the node itself.
    Arrives {
        node: String,
        address: String,
    },
    /// The way cannot be followed further.
    Gap {
        node: String,
        why: String,
    },
}

impl Leg {
    /// The node that it is seen on.
    pub fn node(&self) -> &str {
        match self {
            Self::LeavesPod { node, .. }
            | Self::Route { node, .. }
            | Self::Neighbour { node, .. }
            | Self::Fdb { node, .. }
            | Self::Tunnel { node, .. }
            | Self::Link { node, .. }
            | Self::Bridge { node, .. }
            | Self::Arrives { node, .. }
            | Self::Gap { node, .. } => node,
        }
    }

    /// One line for people, without the node.
    pub fn line(&self) -> String {
        let or = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_string());
        match self {
            Self::LeavesPod { pod, port, bridge, .. } => {
                format!("{pod} -> {} -> {}", or(port, "its port (not seen)"), or(bridge, "the bridge"))
            }
            Self::Route { route, .. } => format!("route: {}", route_line(route)),
            Self::Neighbour { dev, address, mac, .. } => format!("neighbour: {address} on {dev} is {mac}"),
            Self::Fdb { dev, mac, peer, peer_node, .. } => {
                format!("FDB of {dev}: {mac} is behind {peer}, {}", or(peer_node, "a node that was not observed"))
            }
            Self::Tunnel { vni, from, to, port, dev, .. } => {
                format!("VXLAN {vni}: in UDP from {from} to {to} port {port}, out of {dev}")
            }
            Self::Link { dev, next, next_node, .. } => {
                let to = next_node.as_deref().map(|n| format!(", {n}")).unwrap_or_default();
                format!("out of {dev} to {next}{to}")
            }
            Self::Bridge { bridge, mac, port, .. } => {
                let mac = mac.as_deref().map(|m| format!(" ({m})")).unwrap_or_default();
                format!("{bridge} -> {} -> the pod{mac}", or(port, "a port that the bridge has yet to learn"))
            }
            Self::Arrives { address, .. } => format!("{address} is the node's own"),
            Self::Gap { why, .. } => format!("not followed further: {why}"),
        }
    }
}

/// Follows a packet to `address` from the node `start`.
pub(super) fn deliver(nodes: &[&Observation], start: &str, address: IpAddr) -> Vec<Leg> {
    let mut legs = Vec::new();
    let mut at = start.to_string();
    for _ in 0..HOPS {
        let Some(seen) = nodes.iter().find(|n| n.node == at) else {
            legs.push(Leg::Gap { node: at, why: "the node was not observed".to_string() });
            return legs;
        };
        match hop(nodes, seen, address, &mut legs) {
            Some(next) => at = next,
            None => return legs,
        }
    }
    legs.push(Leg::Gap { node: at, why: format!("more than {HOPS} nodes: the routes go in a circle") });
    legs
}

/// One node's part; gives the next node.
fn hop(nodes: &[&Observation], seen: &Observation, address: IpAddr, legs: &mut Vec<Leg>) -> Option<String> {
    let node = seen.node.clone();
    let gap = |why: String| Leg::Gap { node: seen.node.clone(), why };
    let Some(route) = route::lookup(seen, address).chosen else {
        legs.push(gap(format!("no route to {address}")));
        return None;
    };
    if route.kind == "local" {
        legs.push(Leg::Arrives { node, address: address.to_string() });
        return None;
    }
    legs.push(Leg::Route { node: node.clone(), route: route.clone() });
    if route.kind != "unicast" {
        legs.push(gap(format!("a route of kind {} delivers to nobody", route.kind)));
        return None;
    }
    // Of several ways of equal cost the first is followed.
    let first = route.nexthops.first();
    let dev = route.dev.clone().or_else(|| first.and_then(|h| h.dev.clone())).unwrap_or_default();
    let next = route.via.clone().or_else(|| first.and_then(|h| h.via.clone())).unwrap_or_else(|| address.to_string());
    let link = seen.link(&dev);
    match link {
        Some(Link { vxlan: Some(vxlan), .. }) => tunnel(nodes, seen, &dev, vxlan, &next, legs),
        Some(Link { kind: Some(kind), .. }) if kind == "bridge" => {
            let mac = mac_of(seen, &dev, &next);
            let port = mac.as_deref().and_then(|m| port_of(seen, &dev, m));
            legs.push(Leg::Bridge { node, bridge: dev, mac, port });
            None
        }
        _ => {
            let next_node = owner_of(nodes, seen, &next);
            legs.push(Leg::Link { node, dev, next, next_node: next_node.clone() });
            next_node
        }
    }
}

fn tunnel(
    nodes: &[&Observation],
    seen: &Observation,
    dev: &str,
    vxlan: &Vxlan,
    next: &str,
    legs: &mut Vec<Leg>,
) -> Option<String> {
    let node = seen.node.clone();
    let gap = |why: String| Leg::Gap { node: seen.node.clone(), why };
    let Some(mac) = mac_of(seen, dev, next) else {
        legs.push(gap(format!("{dev} has no neighbour entry for {next}: flanneld has not written the peer yet")));
        return None;
    };
    legs.push(Leg::Neighbour { node: node.clone(), dev: dev.into(), address: next.into(), mac: mac.clone() });
    if !seen.has("fdb") {
        legs.push(gap("the FDB was not captured".to_string()));
        return None;
    }
    let entry = seen.fdb.iter().filter(|f| f.dev == dev && f.mac == mac).find_map(|f| f.destination.clone());
    let Some(peer) = entry else {
        legs.push(gap(format!("the FDB of {dev} does not say behind which node {mac} is")));
        return None;
    };
    let peer_node = owner_of(nodes, seen, &peer);
    legs.push(Leg::Fdb { node: node.clone(), dev: dev.into(), mac, peer: peer.clone(), peer_node: peer_node.clone() });
    legs.push(Leg::Tunnel {
        node: node.clone(),
        vni: vxlan.id,
        from: vxlan.local.clone().unwrap_or_default(),
        to: peer.clone(),
        port: vxlan.port,
        dev: vxlan.dev.clone().unwrap_or_default(),
    });
    if peer_node.is_none() {
        legs.push(gap(format!("no observed node has {peer}")));
    }
    peer_node
}

/// Where a pod's packets come into the node's network.
pub(super) fn leaves(seen: &Observation, pod: &str, address: &str) -> Leg {
    let entry = seen.neighbours.iter().find(|n| n.address == address && n.mac.is_some());
    let bridge = entry.map(|n| n.dev.clone());
    let port = entry.and_then(|n| port_of(seen, &n.dev, n.mac.as_deref()?));
    Leg::LeavesPod { node: seen.node.clone(), pod: pod.to_string(), port, bridge }
}

fn mac_of(seen: &Observation, dev: &str, address: &str) -> Option<String> {
    seen.neighbours.iter().find(|n| n.dev == dev && n.address == address).and_then(|n| n.mac.clone())
}

fn port_of(seen: &Observation, bridge: &str, mac: &str) -> Option<String> {
    let port = |f: &&super::super::observation::FdbEntry| f.mac == mac && f.master.as_deref() == Some(bridge);
    seen.fdb.iter().find(port).map(|f| f.dev.clone())
}

/// The other node that has this address. Addresses that every node has (10.0.2.15) are nobody's.
fn owner_of(nodes: &[&Observation], from: &Observation, address: &str) -> Option<String> {
    if from.owns(address) {
        return None;
    }
    nodes.iter().find(|n| n.owns(address)).map(|n| n.node.clone())
}

/// Lines for people; the node's name stands where it changes.
pub(super) fn render(legs: &[Leg], indent: &str) -> String {
    let mut out = String::new();
    let mut node = "";
    for leg in legs {
        if leg.node() != node {
            node = leg.node();
            out += &format!("{indent}on {node}\n");
        }
        out += &format!("{indent}  {}\n", leg.line());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    fn way(nodes: &[Observation], from: &str, to: &str) -> String {
        let nodes: Vec<&Observation> = nodes.iter().collect();
        render(&deliver(&nodes, from, to.parse().unwrap()), "")
    }

    #[test]
    fn through_the_tunnel() {
        let expected = "on flannel-ctr
  route: 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink
  neighbour: 10.244.2.0 on flannel.1 is 32:cf:30:f8:5f:c7
  FDB of flannel.1: 32:cf:30:f8:5f:c7 is behind 192.168.20.102, flannel-w2
  VXLAN 1: in UDP from 192.168.20.100 to 192.168.20.102 port 8472, out of eth1
on flannel-w2
  route: 10.244.2.0/24 dev cni0 proto kernel scope link src 10.244.2.1
";
        let shown = way(&fixture::nodes(), "flannel-ctr", "10.244.2.2");
        assert!(shown.starts_with(expected), "{shown}");
        assert!(shown.contains("cni0 -> veth"), "{shown}");
    }

    #[test]
    fn to_nodes_and_out() {
        let nodes = fixture::nodes();
        let shown = way(&nodes, "flannel-w1", "192.168.20.100");
        assert!(shown.contains("out of eth1 to 192.168.20.100, flannel-ctr"), "{shown}");
        assert!(shown.ends_with("on flannel-ctr\n  192.168.20.100 is the node's own\n"), "{shown}");
        assert!(way(&nodes, "flannel-w1", "1.1.1.1").ends_with("out of eth0 to 10.0.2.2\n"));
    }

    #[test]
    fn gaps_are_said() {
        let mut nodes = fixture::nodes();
        nodes.remove(2);
        assert!(way(&nodes, "flannel-ctr", "10.244.2.2").contains("no observed node has 192.168.20.102"));
        assert!(way(&nodes, "flannel-w2", "10.244.2.2").contains("was not observed"));
        nodes[0].fdb.clear();
        assert!(way(&nodes, "flannel-ctr", "10.244.1.2").contains("does not say behind which node"));
        nodes[0].neighbours.clear();
        assert!(way(&nodes, "flannel-ctr", "10.244.1.2").contains("no neighbour entry"));
        assert!(way(&[], "x", "10.0.0.1").contains("was not observed"));
    }

    #[test]
    fn circles_end() {
        let via = |node: &str, own: &str, next: &str| {
            let mut seen = Observation { node: node.into(), ..Observation::default() };
            let address = crate::observe::observation::Address { address: own.into(), ..Default::default() };
            seen.addresses.push(address);
            let route = Route {
                destination: "default".into(),
                table: "main".into(),
                kind: "unicast".into(),
                via: Some(next.into()),
                dev: Some("eth0".into()),
                ..Route::default()
            };
            seen.routes.push(route);
            seen
        };
        let nodes = [via("a", "1.0.0.1", "1.0.0.2"), via("b", "1.0.0.2", "1.0.0.1")];
        assert!(way(&nodes, "a", "9.9.9.9").contains("in a circle"));
    }
}
