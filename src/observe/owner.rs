//! Which component made a link, a route or a rule. The names are those that flannel, kube-proxy and the CNI plugins use.

/// Who made something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    Flannel,
    /// The bridge plugin that flannel's CNI configuration calls for pods.
    BridgePlugin,
    KubeProxy,
    Kubelet,
    Other,
}

impl Owner {
    /// The owner for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flannel => "flannel",
            Self::BridgePlugin => "CNI bridge plugin (for pods)",
            Self::KubeProxy => "kube-proxy",
            Self::Kubelet => "kubelet",
            Self::Other => "others",
        }
    }
}

/// The owner of a link by its name.
pub fn of_link(name: &str) -> Owner {
    match name {
        n if n.starts_with("flannel") => Owner::Flannel,
        n if n.starts_with("cni") || n.starts_with("veth") => Owner::BridgePlugin,
        _ => Owner::Other,
    }
}

/// The owner of a route, by the device it leaves through.
pub fn of_route(line: &str) -> Owner {
    let mut words = line.split_whitespace();
    let device = words.find(|w| *w == "dev").and_then(|_| words.next());
    device.map_or(Owner::Other, of_link)
}

/// The owner of a line of `iptables -S`. A rule that jumps into another's chain was made by that chain's owner.
pub fn of_rule(line: &str) -> Owner {
    if line.contains("FLANNEL-") {
        Owner::Flannel
    } else if line.contains("KUBELET") {
        Owner::Kubelet
    } else if line.contains("KUBE-") {
        Owner::KubeProxy
    } else if line.contains("CNI-") {
        Owner::BridgePlugin
    } else {
        Owner::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_by_the_names_they_use() {
        assert_eq!(of_link("flannel.1"), Owner::Flannel);
        assert_eq!(of_route("10.244.0.0/24 dev cni0 proto kernel"), Owner::BridgePlugin);
        assert_eq!(of_route("10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink"), Owner::Flannel);
        assert_eq!(of_rule("-A POSTROUTING -m comment --comment \"flanneld masq\" -j FLANNEL-POSTRTG"), Owner::Flannel);
        assert_eq!(of_rule("-N KUBE-SVC-NPX46M4PTMTKRN6Y"), Owner::KubeProxy);
        assert_eq!(of_rule("-N KUBE-KUBELET-CANARY"), Owner::Kubelet);
    }
}
