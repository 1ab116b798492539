//! Who made it: a guess from names, protocols and comments, always with its reason.

use super::explain::in_network;
use super::observation::{FdbEntry, Link, Neighbour, Observation, Route};
use super::rules::Rule;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A part of the system that changes a node's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    Flannel,
    /// The CNI plugin `bridge`, which flannel's CNI plugin calls for each pod.
    BridgePlugin,
    /// The CNI plugin `portmap`.
    PortMap,
    Calico,
    Cilium,
    KubeProxy,
    Kubelet,
    /// The node's own set-up: its devices and what systemd-networkd or DHCP gave them.
    Node,
    Kernel,
    Unknown,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flannel => "flannel",
            Self::BridgePlugin => "CNI bridge plugin",
            Self::PortMap => "CNI portmap plugin",
            Self::Calico => "Calico",
            Self::Cilium => "Cilium",
            Self::KubeProxy => "kube-proxy",
            Self::Kubelet => "kubelet",
            Self::Node => "the node",
            Self::Kernel => "kernel",
            Self::Unknown => "unknown",
        })
    }
}

/// Who made something, and what tells so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub component: Component,
    pub why: String,
}

impl Owner {
    fn new(component: Component, why: impl Into<String>) -> Self {
        Self { component, why: why.into() }
    }
}

/// The chains that the kernel has without anybody making them.
pub const BUILT_IN: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// Who made a link.
pub fn of_link(link: &Link) -> Owner {
    if link.name.starts_with("veth") && link.master.as_deref() == Some("cni0") {
        let why = "the node's end of a pod's eth0: the plugin makes the pair when the pod starts and puts it on cni0";
        return Owner::new(Component::BridgePlugin, why);
    }
    match of_device(&link.name) {
        Owner { component: Component::Unknown, .. } if link.kind.is_none() => {
            Owner::new(Component::Node, "a device of the node, there since boot")
        }
        owner => owner,
    }
}

/// Who made the link of this name, as far as the name tells.
fn of_device(name: &str) -> Owner {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|p| name.starts_with(p));
    if name == "lo" {
        Owner::new(Component::Kernel, "every network namespace has lo")
    } else if name.starts_with("flannel.") {
        let why = "flanneld makes the tunnel when it starts, named after its VXLAN identifier";
        Owner::new(Component::Flannel, why)
    } else if name == "cni0" {
        let why = "the plugin makes the bridge when the first pod starts on the node; flannel's CNI plugin calls it with \
                   the node's pod network";
        Owner::new(Component::BridgePlugin, why)
    } else if name == "kube-ipvs0" {
        Owner::new(Component::KubeProxy, "kube-proxy in ipvs mode puts the service addresses on it")
    } else if starts(&["cali", "vxlan.calico", "tunl0"]) {
        Owner::new(Component::Calico, "Calico's name for it")
    } else if starts(&["cilium_", "lxc"]) {
        Owner::new(Component::Cilium, "Cilium's name for it")
    } else if starts(&["eth", "en"]) {
        Owner::new(Component::Node, "a device of the node, there since boot")
    } else if name.starts_with("veth") {
        Owner::new(Component::BridgePlugin, "a name that CNI plugins give to the node's end of a pod's eth0")
    } else {
        Owner::new(Component::Unknown, "nothing in its name tells")
    }
}

/// Who gave a link its address.
pub fn of_address(dev: &str) -> Owner {
    let owner = of_device(dev);
    let why = match owner.component {
        Component::Flannel => "flanneld gives the tunnel the first address of the node's pod network, as a /32",
        Component::BridgePlugin => "the plugin gives the bridge the pods' gateway address",
        Component::Node => "the node's own set-up (seed or DHCP)",
        _ => return owner,
    };
    Owner::new(owner.component, why)
}

/// Who made a route on a node where this was seen.
pub fn of_route(route: &Route, seen: &Observation) -> Owner {
    let dev = route.dev.as_deref().unwrap_or("");
    let device = of_device(dev);
    match route.protocol.as_deref() {
        Some("kernel") => {
            let why =
                format!("the kernel adds it along with the address on {dev}, which came from {}", device.component);
            Owner::new(if device.component == Component::Unknown { Component::Kernel } else { device.component }, why)
        }
        Some("bird") => Owner::new(Component::Calico, "its protocol is bird, Calico's BGP daemon"),
        Some("dhcp" | "ra") => Owner::new(Component::Node, "its protocol tells: learned from DHCP or a router"),
        _ if device.component == Component::Flannel => {
            let why = "flanneld adds one per peer: the peer's pod network, through the peer's address on the tunnel; \
                       onlink, because no prefix of the tunnel covers that gateway";
            Owner::new(Component::Flannel, why)
        }
        _ if route.via.is_some() && flannel_network(seen).is_some_and(|n| in_network(&route.destination, n)) => {
            let why = "flanneld adds one per peer: the peer's pod network, through the peer's own address, as its host-gw \
                       backend does; no tunnel is needed on one segment";
            Owner::new(Component::Flannel, why)
        }
        _ if device.component == Component::Node && route.via.is_some() && dev != "eth0" => {
            Owner::new(Component::Unknown, "a route through another node; flannel's host-gw backend makes such")
        }
        _ => device,
    }
}

/// The pod network of all nodes, as flanneld got it.
fn flannel_network(seen: &Observation) -> Option<&str> {
    seen.files.get("/run/flannel/subnet.env")?.lines().find_map(|line| line.strip_prefix("FLANNEL_NETWORK="))
}

/// Who wrote a neighbour entry.
pub fn of_neighbour(neighbour: &Neighbour) -> Owner {
    if !neighbour.states.iter().any(|s| s == "PERMANENT") {
        return Owner::new(Component::Kernel, "learned by ARP or neighbour discovery");
    }
    match of_device(&neighbour.dev) {
        Owner { component: Component::Flannel, .. } => {
            let why = "flanneld writes which MAC the peer's tunnel address has, so that nobody need ask by broadcast";
            Owner::new(Component::Flannel, why)
        }
        owner => owner,
    }
}

/// Who wrote an FDB entry.
pub fn of_fdb(entry: &FdbEntry) -> Owner {
    match of_device(&entry.dev) {
        Owner { component: Component::Flannel, .. } if entry.destination.is_some() => {
            let why = "flanneld writes to which node a frame for the peer's tunnel MAC is sent";
            Owner::new(Component::Flannel, why)
        }
        owner if matches!(entry.state.as_str(), "permanent" | "static") => owner,
        _ => Owner::new(Component::Kernel, "the bridge learned it from a frame"),
    }
}

/// Who made a chain, by its name.
pub fn of_chain(name: &str) -> Owner {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|p| name.starts_with(p));
    if BUILT_IN.contains(&name) {
        Owner::new(Component::Kernel, "a built-in chain: it is there with its table")
    } else if matches!(name, "KUBE-KUBELET-CANARY" | "KUBE-FIREWALL" | "KUBE-IPTABLES-HINT") {
        Owner::new(Component::Kubelet, "kubelet makes it: its canary tells a flush of the rules, its hint the variant")
    } else if starts(&["KUBE-"]) {
        Owner::new(Component::KubeProxy, "kube-proxy's chains begin with KUBE-")
    } else if starts(&["FLANNEL-"]) {
        Owner::new(Component::Flannel, "flanneld's chains begin with FLANNEL-")
    } else if starts(&["CNI-HOSTPORT-", "CNI-DN-", "CNI-SN-"]) {
        Owner::new(Component::PortMap, "the portmap plugin makes it for a container's hostPort")
    } else if starts(&["CNI-"]) {
        Owner::new(Component::BridgePlugin, "a CNI plugin with ipMasq makes one per pod")
    } else if starts(&["cali-"]) {
        Owner::new(Component::Calico, "Calico's chains begin with cali-")
    } else if starts(&["CILIUM_"]) {
        Owner::new(Component::Cilium, "Cilium's chains begin with CILIUM_")
    } else {
        Owner::new(Component::Unknown, "nothing in its name tells")
    }
}

/// Who wrote a rule: the owner of its chain; in a built-in chain, of its target or comment.
pub fn of_rule(rule: &Rule) -> Owner {
    if !BUILT_IN.contains(&rule.chain.as_str()) {
        return of_chain(&rule.chain);
    }
    let target = of_chain(rule.target());
    if target.component != Component::Unknown {
        let why = format!("it leads to {}: {}", rule.target(), target.why);
        return Owner::new(target.component, why);
    }
    let comment = rule.comment();
    if comment.contains("flannel") {
        Owner::new(Component::Flannel, "its comment tells")
    } else if comment.contains("kubernetes") {
        Owner::new(Component::KubeProxy, "its comment tells")
    } else {
        Owner::new(Component::Unknown, "nothing in the rule tells")
    }
}

/// Who set a kernel setting.
pub fn of_setting(key: &str) -> Owner {
    if key == "net.ipv4.ip_forward" || key.starts_with("net.bridge.bridge-nf-call-") {
        return Owner::new(Component::Node, "Kubernetes needs it, and kubeadm checks it; the node's image sets it");
    }
    if key.starts_with("net.ipv4.conf.") && !key.starts_with("net.ipv4.conf.all.") {
        return Owner::new(Component::Kernel, "each link has its own, from the defaults unless somebody sets it");
    }
    Owner::new(Component::Unknown, "a setting does not tell who set it; most are the kernel's defaults")
}

/// Who made a policy rule.
pub fn of_policy(preference: u32) -> Owner {
    match preference {
        0 | 32766 | 32767 => Owner::new(Component::Kernel, "one of the three that every network namespace has"),
        _ => Owner::new(Component::Unknown, "nothing in the rule tells"),
    }
}

/// Who made a table of nft, given as `family name`.
pub fn of_nft_table(name: &str) -> Owner {
    match name.split_once(' ') {
        Some((_, "kube-proxy")) => {
            Owner::new(Component::KubeProxy, "kube-proxy in nftables mode keeps its rules there")
        }
        Some(("ip" | "ip6", "nat" | "filter" | "mangle" | "raw" | "security")) => {
            Owner::new(Component::Kernel, "where iptables-nft keeps the rules that are written with iptables")
        }
        _ => Owner::new(Component::Unknown, "nothing in its name tells"),
    }
}

/// Who wrote a file, by its path.
pub fn of_file(path: &str, text: &str) -> Owner {
    if path.starts_with("/run/flannel/") {
        Owner::new(Component::Flannel, "flanneld writes the lease it got: the node's pod network and the MTU")
    } else if path.contains("flannel") || text.contains("\"flannel\"") {
        let why = "flannel's DaemonSet installs it; it tells the container runtime which CNI plugins to call";
        Owner::new(Component::Flannel, why)
    } else {
        Owner::new(Component::Unknown, "nothing in its path tells")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    #[test]
    fn the_fixture_has_no_unknown() {
        let seen = fixture::after("flannel-w1");
        assert!(seen.links.iter().all(|l| of_link(l).component != Component::Unknown));
        assert!(seen.routes.iter().all(|r| of_route(r, &seen).component != Component::Unknown));
        for (_, rule) in seen.rules.rules() {
            assert_ne!(of_rule(rule).component, Component::Unknown, "{}", rule.body());
        }
    }

    #[test]
    fn a_route_through_a_peer_is_flannels_where_flannel_has_that_network() {
        let mut seen = fixture::after("flannel-w1");
        let mut route = seen.routes.iter().find(|r| r.destination == "10.244.2.0/24").unwrap().clone();
        (route.via, route.dev, route.onlink) = (Some("192.168.20.102".into()), Some("eth1".into()), false);
        let owner = of_route(&route, &seen);
        assert!(owner.component == Component::Flannel && owner.why.contains("host-gw"), "{owner:?}");
        route.destination = "172.16.0.0/16".into();
        assert_eq!(of_route(&route, &seen).component, Component::Unknown);
        seen.files.clear();
        route.destination = "10.244.2.0/24".into();
        assert_eq!(of_route(&route, &seen).component, Component::Unknown);
    }

    #[test]
    fn owners_of_the_lesson() {
        let chain = |name| of_chain(name).component;
        assert_eq!(chain("FLANNEL-FWD"), Component::Flannel);
        assert_eq!(chain("KUBE-SVC-X"), Component::KubeProxy);
        assert_eq!(chain("KUBE-KUBELET-CANARY"), Component::Kubelet);
        assert_eq!(chain("CNI-HOSTPORT-DNAT"), Component::PortMap);
        let rule = Rule::parse("-A POSTROUTING -m comment --comment \"flanneld masq\" -j FLANNEL-POSTRTG").unwrap();
        assert_eq!(of_rule(&rule).component, Component::Flannel);
        let ours = Rule::parse("-A INPUT -p tcp -j ACCEPT").unwrap();
        assert_eq!(of_rule(&ours).component, Component::Unknown);
    }
}
